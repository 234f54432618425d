// SPDX-License-Identifier: BSD-2-Clause
/* The rule set in place. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "error.h"
#include "indexed.h"
#include "port.h"

#define SOURCE_MAX (64u << 20)

static uint32_t pages_for(uint32_t bytes)
{
	return (bytes + DIVERT_PAGE - 1) / DIVERT_PAGE;
}

/* Write size bytes, the rest of the last page zero. */
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

/* map: -1: no map in the slot, packets are not even looked at */
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
 * The rules are in place at once, but the kernel keeps whoever put them there until no packet can be
 * with the old ones any more, 10 to 25 ms. A child stays for that: it holds no lock of engine_close()'s
 * and nothing of the caller's that anyone could wait for. (If a packet takes longer than until a new
 * rule has the counter of one of those, it is counted there.)
 */
static int put_in_place_soon(const struct engine *e, int map)
{
	static const struct timespec moment = {.tv_nsec = 20000};
	pid_t child;
	int fd, status;

	/* nobody could tell that the child has done it: it might do so when there are rules again */
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

/* How it lies in the pages. */
static void lay_out(const struct engine_rules *r, struct indexed *x)
{
	struct divert_rules_head *head = &x->head;

	head->insns = x->insns;
	head->entries = r->entries;
	head->entries_page = 1 + pages_for(x->insns * sizeof(*x->insn));
	head->values_page = head->entries_page + pages_for(r->entries * sizeof(*x->entry));
	head->source_page = head->values_page + pages_for(x->values * sizeof(*x->value));
	head->source_len = r->source_len;
	head->calls = has_calls(r);
	if (r->entries)
		head->last_insn = x->entry[r->entries - 1].insn;
	if (r->entries > 1)
		head->last_rule = x->entry[r->entries - 2].rule;
}

/* A map with it; or -errno. */
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
		rc = put_pages(map, head->source_page, r->source, r->source_len);
	if (rc)
		close(map);
	return rc ? rc : map;
}

int engine_rules_set(struct engine *e, const struct engine_rules *r)
{
	int (*put)(const struct engine *e, int map) = r->soon ? put_in_place_soon : put_in_place;
	struct indexed x;
	int map, rc;

	if (!r->source_len) {
		rc = put(e, -1);
		return rc ? engine_fail_errno(rc, "removing the rules") : 0;
	}
	if (r->insns + r->entries > DIVERT_INSNS_MAX || r->source_len > SOURCE_MAX)
		return engine_fail(-E2BIG, "the rule set is too large: %u instructions, %u at most",
				   r->insns + r->entries, DIVERT_INSNS_MAX);
	rc = index_make(r, &x);
	if (rc)
		return engine_fail_errno(rc, "the index of the rules");
	lay_out(r, &x);
	map = make_map(r, &x);
	index_free(&x);
	if (map < 0)
		return engine_fail_errno(map, "a map for the rules");
	rc = put(e, map);
	close(map);
	return rc ? engine_fail_errno(rc, "the rules") : 0;
}

static int get_source(int map, char **source, uint32_t *len)
{
	union divert_page buf;
	uint32_t at, part, page = 0;
	struct divert_rules_head head;

	if (bpf_map_lookup_elem(map, &page, &buf))
		return -errno;
	head = buf.head;
	if (head.source_len > SOURCE_MAX)
		return -EPROTO;
	*source = malloc(head.source_len + 1);
	if (!*source)
		return -ENOMEM;
	for (at = 0; at < head.source_len; at += part) {
		page = head.source_page + at / DIVERT_PAGE;
		part = head.source_len - at < DIVERT_PAGE ? head.source_len - at : DIVERT_PAGE;
		if (bpf_map_lookup_elem(map, &page, &buf)) {
			free(*source);
			*source = NULL;
			return -errno;
		}
		memcpy(*source + at, buf.byte, part);
	}
	(*source)[head.source_len] = '\0';
	*len = head.source_len;
	return 0;
}

/* The rule set in place: a descriptor; -ENOENT, without a sentence: there is none. */
static int open_rules(struct engine *e)
{
	uint32_t zero = 0, id;
	int map;

	if (bpf_map_lookup_elem(e->map[ENGINE_RULES], &zero, &id))
		return errno == ENOENT ? -ENOENT : engine_fail_errno(-errno, "the rules");
	map = bpf_map_get_fd_by_id(id);
	return map < 0 ? engine_fail_errno(-errno, "the rules") : map;
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

static void name_port(const struct divert_insn *in, struct named *named)
{
	if (in->op != DIVERT_OP_DIVERT && in->op != DIVERT_OP_TEE)
		return;
	if (in->action.flags & DIVERT_ACT_TABLEARG)
		named->any = true;
	else
		named->port[in->action.port] = true;
}

static int get_named(int map, struct named *named)
{
	union divert_page buf;
	uint32_t i, insns, page = 0;

	if (bpf_map_lookup_elem(map, &page, &buf))
		return -errno;
	insns = buf.head.insns;
	for (i = 0; i < insns; i++) {
		if (i % DIVERT_PAGE_INSNS == 0) {
			page++;
			if (bpf_map_lookup_elem(map, &page, &buf))
				return -errno;
		}
		name_port(&buf.insn[i % DIVERT_PAGE_INSNS], named);
	}
	return 0;
}

int ruleset_named(struct engine *e, struct named *named)
{
	int rc, map = open_rules(e);

	if (map < 0)
		return map == -ENOENT ? 0 : map;
	rc = get_named(map, named);
	close(map);
	return rc ? engine_fail_errno(rc, "the rules") : 0;
}
