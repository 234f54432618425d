// SPDX-License-Identifier: BSD-2-Clause
/* Installs and reads rule sets. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "error.h"
#include "flows.h"
#include "indexed.h"
#include "port.h"

#define SOURCE_MAX (64u << 20)

static uint32_t pages_for(uint32_t bytes)
{
	return (bytes + DIVERT_PAGE - 1) / DIVERT_PAGE;
}

/* Write size bytes; the rest of the last page is zero. */
static int put_pages(int map, uint32_t page, const void *data, size_t size)
{
	union divert_page buf;
	size_t part;

	for (; size; page++) {
		part = size < DIVERT_PAGE ? size : DIVERT_PAGE;
		memset(&buf, 0, sizeof(buf));
		memcpy(buf.byte, data, part);
		if (bpf_map_update_elem(map, &page, &buf, BPF_ANY))
			return -errno;
		data = (const char *)data + part;
		size -= part;
	}
	return 0;
}

static bool has_calls(const struct engine_rules *r)
{
	uint32_t i;

	for (i = 0; i < r->insns; i++)
		if (r->insn[i].op == DIVERT_OP_CALL || r->insn[i].op == DIVERT_OP_RETURN)
			return true;
	return false;
}

static bool asks_owner(const struct divert_insn *in)
{
	return in->op == DIVERT_OP_LOAD &&
	       (in->field == DIVERT_LOAD_UID || in->field == DIVERT_LOAD_GID);
}

static bool has_owners(const struct engine_rules *r)
{
	uint32_t i;

	for (i = 0; i < r->insns; i++)
		if (asks_owner(&r->insn[i]))
			return true;
	return false;
}

/* Does the instruction do the same with all packets of a flow? */
static bool is_alike(const struct divert_insn *in)
{
	switch (in->op) {
	case DIVERT_OP_MASK:
	case DIVERT_OP_RANGE:
	case DIVERT_OP_BELOW:
		return in->field <= DIVERT_F_ICMP6 || in->field == DIVERT_F_EXT;
	case DIVERT_OP_GO:
	case DIVERT_OP_DIVERT:
	case DIVERT_OP_TEE:
	case DIVERT_OP_CALL:
		return !(in->action.flags & DIVERT_ACT_TABLEARG);
	case DIVERT_OP_PREFIX:
	case DIVERT_OP_ALLOW:
	case DIVERT_OP_DENY:
	case DIVERT_OP_REJECT:
	case DIVERT_OP_RETURN:
	case DIVERT_OP_FRAGMENT:
	case DIVERT_OP_SKIP:
	case DIVERT_OP_FIRST:
		return true;
	default:
		return false;
	}
}

/* enum divert_alike */
static uint32_t alike(const struct engine_rules *r)
{
	uint32_t i, all = DIVERT_ALIKE;

	for (i = 0; i < r->insns; i++) {
		if (!is_alike(&r->insn[i]))
			return 0;
		if (r->insn[i].op == DIVERT_OP_FIRST)
			all |= DIVERT_ALIKE_FIRST;
	}
	return all;
}

/* map -1: empty the slot; packets are not examined at all then */
static int put_in_place(const struct engine *e, int map)
{
	uint32_t zero = 0;
	int rc;

	if (map >= 0)
		rc = bpf_map_update_elem(e->map[ENGINE_RULES], &zero, &map, BPF_ANY);
	else
		rc = bpf_map_delete_elem(e->map[ENGINE_RULES], &zero);
	return rc && (map >= 0 || errno != ENOENT) ? -errno : 0;
}

static int map_id(int map, uint32_t *id)
{
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(map, &info, &len))
		return -errno;
	*id = info.id;
	return 0;
}

static bool is_in_place(const struct engine *e, int map)
{
	uint32_t zero = 0, id = 0, there;

	if (bpf_map_lookup_elem(e->map[ENGINE_RULES], &zero, &there))
		return map < 0 && errno == ENOENT;
	return map >= 0 && !map_id(map, &id) && id == there;
}

/*
 * Install the rules at once, but have a child wait for the kernel: an update of the map returns
 * only when no packet uses the old rules any more, after 10 to 25 ms. The child holds no lock of
 * engine_close()'s, and nothing of the caller's that anyone could wait for. (A packet that takes so
 * long that a new rule has reused a counter is counted there.)
 */
static int put_in_place_soon(const struct engine *e, int map)
{
	static const struct timespec moment = {.tv_nsec = 20000};
	pid_t child;
	int fd, status;

	/*
	 * already done: the child's progress could not be observed, and it might act when there are
	 * other rules
	 */
	if (is_in_place(e, map))
		return 0;
	child = fork();
	if (child < 0)
		return put_in_place(e, map);
	if (!child) {
		for (fd = 0; fd <= 2; fd++)
			close(fd);
		_exit(-put_in_place(e, map));
	}
	while (!is_in_place(e, map)) {
		if (waitpid(child, &status, WNOHANG) == child)
			return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
		nanosleep(&moment, NULL);
	}
	return 0;
}

/* Compute the positions in the pages. */
static void lay_out(const struct engine_rules *r, struct indexed *x)
{
	struct divert_rules_head *head = &x->head;

	head->insns = x->insns;
	head->entries = r->entries;
	head->entries_page = 1 + pages_for(x->insns * sizeof(*x->insn));
	head->values_page = head->entries_page + pages_for(r->entries * sizeof(*x->entry));
	head->states_page = head->values_page + pages_for(x->values * sizeof(*x->value));
	head->states = x->states;
	head->source_page = head->states_page + pages_for(x->states * sizeof(*x->state));
	head->source_len = r->source_len;
	head->calls = has_calls(r);
	head->owned = has_owners(r);
	head->alike = alike(r);
	if (r->entries)
		head->last_insn = x->entry[r->entries - 1].insn;
	if (r->entries > 1)
		head->last_rule = x->entry[r->entries - 2].rule;
}

/* Create a map with the rules; or -errno. */
static int make_map(const struct engine_rules *r, struct indexed *x)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_INNER_MAP);
	struct divert_rules_head *head = &x->head;
	const uint32_t pages = head->source_page + pages_for(r->source_len);
	int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "rule_pages", sizeof(uint32_t),
				 sizeof(union divert_page), pages, &opts);
	int rc;

	if (map < 0)
		return -errno;
	rc = map_id(map, &head->id);
	if (!rc)
		rc = put_pages(map, 0, head, sizeof(*head));
	if (!rc)
		rc = put_pages(map, 1, x->insn, x->insns * sizeof(*x->insn));
	if (!rc)
		rc = put_pages(map, head->entries_page, x->entry, r->entries * sizeof(*x->entry));
	if (!rc)
		rc = put_pages(map, head->values_page, x->value, x->values * sizeof(*x->value));
	if (!rc)
		rc = put_pages(map, head->states_page, x->state, x->states * sizeof(*x->state));
	if (!rc)
		rc = put_pages(map, head->source_page, r->source, r->source_len);
	if (rc)
		close(map);
	return rc ? rc : map;
}

/* Read what put_pages() wrote. */
static int get_pages(int map, uint32_t page, void *data, size_t size)
{
	union divert_page buf;
	size_t part;

	for (; size; page++) {
		part = size < DIVERT_PAGE ? size : DIVERT_PAGE;
		if (bpf_map_lookup_elem(map, &page, &buf))
			return -errno;
		memcpy(data, buf.byte, part);
		data = (char *)data + part;
		size -= part;
	}
	return 0;
}

static int get_source(int map, char **source, uint32_t *len)
{
	struct divert_rules_head head;
	int rc = get_pages(map, 0, &head, sizeof(head));

	if (rc)
		return rc;
	if (head.source_len > SOURCE_MAX)
		return -EPROTO;
	*source = malloc(head.source_len + 1);
	if (!*source)
		return -ENOMEM;
	rc = get_pages(map, head.source_page, *source, head.source_len);
	if (rc) {
		free(*source);
		*source = NULL;
		return rc;
	}
	(*source)[head.source_len] = '\0';
	*len = head.source_len;
	return 0;
}

/*
 * Open the installed rule set: a descriptor; -ENOENT, without a sentence for engine_error(): none.
 */
static int open_rules(struct engine *e)
{
	uint32_t zero = 0, id;
	int map;

	if (bpf_map_lookup_elem(e->map[ENGINE_RULES], &zero, &id))
		return errno == ENOENT ? -ENOENT : engine_fail_errno(-errno, "the rules");
	map = bpf_map_get_fd_by_id(id);
	return map < 0 ? engine_fail_errno(-errno, "the rules") : map;
}

/* Does the rule set in place make states? */
static bool makes_states(struct engine *e)
{
	struct divert_rules_head head = {};
	int map = open_rules(e);

	if (map < 0)
		return false;
	if (get_pages(map, 0, &head, sizeof(head)))
		head.states = 0;
	close(map);
	return head.states;
}

/* After a change: states of rules that are gone go, too. */
static int end_states(struct engine *e, const struct indexed *x)
{
	if (x && x->states)
		return flows_sweep(e, x->state, x->states);
	flows_end(e, FLOWS_STATES);
	return 0;
}

static int put_rules(struct engine *e, const struct engine_rules *r, struct indexed *x)
{
	int (*put)(const struct engine *e, int map) = r->soon ? put_in_place_soon : put_in_place;
	const bool made_states = makes_states(e);
	int map, rc = x->states ? flows_begin(e, FLOWS_STATES) : 0;

	if (rc)
		return rc;
	lay_out(r, x);
	map = make_map(r, x);
	if (map < 0)
		return engine_fail_errno(map, "a map for the rules");
	rc = put(e, map);
	close(map);
	if (rc)
		return engine_fail_errno(rc, "the rules");
	return made_states ? end_states(e, x) : 0;
}

int engine_rules_set(struct engine *e, const struct engine_rules *r)
{
	struct indexed x;
	int rc;

	if (!r->source_len) {
		const bool made_states = makes_states(e);

		rc = r->soon ? put_in_place_soon(e, -1) : put_in_place(e, -1);
		if (rc)
			return engine_fail_errno(rc, "removing the rules");
		return made_states ? end_states(e, NULL) : 0;
	}
	if (r->insns + r->entries > DIVERT_INSNS_MAX || r->source_len > SOURCE_MAX)
		return engine_fail(-E2BIG, "the rule set is too large: %u instructions, %u at most",
				   r->insns + r->entries, DIVERT_INSNS_MAX);
	rc = index_make(r, &x);
	if (rc)
		return engine_fail_errno(rc, "the index of the rules");
	rc = put_rules(e, r, &x);
	index_free(&x);
	return rc;
}

int engine_rules_get(struct engine *e, char **source, uint32_t *len)
{
	int rc, map = open_rules(e);

	*source = NULL;
	*len = 0;
	if (map < 0)
		return map == -ENOENT ? 0 : map;
	rc = get_source(map, source, len);
	close(map);
	return rc ? engine_fail_errno(rc, "the rules") : 0;
}

static int get_code(int map, struct engine_rules *r)
{
	struct divert_rules_head head;
	int rc = get_pages(map, 0, &head, sizeof(head));

	if (rc)
		return rc;
	if (head.insns > DIVERT_INSNS_MAX || head.entries > DIVERT_INSNS_MAX)
		return -EPROTO;
	r->insn = calloc(head.insns + 1, sizeof(*r->insn));
	r->entry = calloc(head.entries + 1, sizeof(*r->entry));
	if (!r->insn || !r->entry)
		return -ENOMEM;
	r->insns = head.insns;
	r->entries = head.entries;
	rc = get_pages(map, 1, r->insn, r->insns * sizeof(*r->insn));
	if (!rc)
		rc = get_pages(map, head.entries_page, r->entry, r->entries * sizeof(*r->entry));
	return rc;
}

int ruleset_code(struct engine *e, struct engine_rules *r)
{
	int rc, map = open_rules(e);

	*r = (struct engine_rules){};
	if (map < 0)
		return map == -ENOENT ? 0 : map;
	rc = get_code(map, r);
	close(map);
	if (rc)
		ruleset_code_free(r);
	return rc ? engine_fail_errno(rc, "the rules") : 0;
}

void ruleset_code_free(struct engine_rules *r)
{
	free(r->insn);
	free(r->entry);
	*r = (struct engine_rules){};
}

static void name_port(const struct divert_insn *in, struct named *named)
{
	if (in->op != DIVERT_OP_DIVERT && in->op != DIVERT_OP_TEE)
		return;
	if (in->action.flags & DIVERT_ACT_TABLEARG)
		named->any = true;
	else
		named->port[in->action.port] = true;
}

int ruleset_named(struct engine *e, struct named *named)
{
	struct engine_rules r;
	int rc = ruleset_code(e, &r);
	uint32_t i;

	for (i = 0; i < r.insns; i++)
		name_port(&r.insn[i], named);
	ruleset_code_free(&r);
	return rc;
}
