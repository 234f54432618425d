// SPDX-License-Identifier: BSD-2-Clause
/* The rule set in place. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "error.h"
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

/* Is the protocol this one, in packets of this kind? 1, 0, or -1: it may be. */
static int is_proto(uint32_t kind, uint32_t proto)
{
	static const uint32_t of[2][3] = {{IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP},
					  {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMPV6}};
	const uint32_t *here = of[!!(kind & DIVERT_FIRST_V6)];
	uint32_t i = kind % DIVERT_FIRST_V6;

	if (i < DIVERT_FIRST_OTHER)
		return proto == here[i];
	if (kind & DIVERT_FIRST_V6)
		return -1;
	return proto == here[0] || proto == here[1] || proto == here[2] ? 0 : -1;
}

/* Does it match, as far as the kind of the packet tells? 1, 0, or -1. */
static int matches_kind(const struct divert_insn *in, uint32_t kind)
{
	const uint32_t known = DIVERT_IS_OUT | DIVERT_IS_V4 | DIVERT_IS_V6;
	uint32_t flags = kind & DIVERT_FIRST_V6 ? DIVERT_IS_V6 : DIVERT_IS_V4;

	if (kind & DIVERT_FIRST_OUT)
		flags |= DIVERT_IS_OUT;
	if (in->op != DIVERT_OP_MASK)
		return -1;
	if (in->field == DIVERT_F_FLAGS && !(in->mask.mask & ~known))
		return (flags & in->mask.mask) == in->mask.value;
	if (in->field == DIVERT_F_PROTO && in->mask.mask == ~0u)
		return is_proto(kind, in->mask.value);
	return -1;
}

/* Past the rules that packets of this kind cannot match. */
static uint32_t first_for(const struct engine_rules *r, uint32_t kind)
{
	uint32_t pc = 0;
	int matches;

	while (pc < r->insns) {
		matches = matches_kind(&r->insn[pc], kind);
		if (matches < 0)
			break;
		pc = matches ? r->insn[pc].yes : r->insn[pc].no;
	}
	return pc;
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

static bool is_in_place(const struct engine *e, int map)
{
	struct bpf_map_info info = {};
	uint32_t zero = 0, id, len = sizeof(info);

	if (bpf_map_lookup_elem(e->map[ENGINE_RULES], &zero, &id))
		return map < 0 && errno == ENOENT;
	return map >= 0 && !bpf_obj_get_info_by_fd(map, &info, &len) && info.id == id;
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

int engine_rules_set(struct engine *e, const struct engine_rules *r)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_INNER_MAP);
	int (*put)(const struct engine *e, int map) = r->soon ? put_in_place_soon : put_in_place;
	uint32_t pages, kind;
	struct divert_rules_head head = {
		.insns = r->insns,
		.entries = r->entries,
		.entries_page = 1 + pages_for(r->insns * sizeof(*r->insn)),
		.source_len = r->source_len,
	};
	int map, rc;

	if (!r->source_len) {
		rc = put(e, -1);
		return rc ? engine_fail_errno(rc, "removing the rules") : 0;
	}
	if (r->insns > DIVERT_INSNS_MAX || r->source_len > SOURCE_MAX)
		return engine_fail(-E2BIG, "the rule set is too large: %u instructions, %u at most",
				   r->insns, DIVERT_INSNS_MAX);
	for (kind = 0; kind < sizeof(head.first) / sizeof(*head.first); kind++)
		head.first[kind] = first_for(r, kind);
	head.calls = has_calls(r);
	if (r->entries)
		head.last_insn = r->entry[r->entries - 1].insn;
	if (r->entries > 1)
		head.last_rule = r->entry[r->entries - 2].rule;
	head.source_page = head.entries_page + pages_for(r->entries * sizeof(*r->entry));
	pages = head.source_page + pages_for(r->source_len);
	map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "rule_pages", sizeof(uint32_t),
			     sizeof(union divert_page), pages, &opts);
	if (map < 0)
		return engine_fail_errno(-errno, "a map for the rules");
	rc = put_pages(map, 0, &head, sizeof(head));
	if (!rc)
		rc = put_pages(map, 1, r->insn, r->insns * sizeof(*r->insn));
	if (!rc)
		rc = put_pages(map, head.entries_page, r->entry, r->entries * sizeof(*r->entry));
	if (!rc)
		rc = put_pages(map, head.source_page, r->source, r->source_len);
	if (!rc)
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
