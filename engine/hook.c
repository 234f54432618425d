// SPDX-License-Identifier: BSD-2-Clause
#include "hook.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include "chain.h"
#include "filter.h"
#include "layout.h"

#define CHAIN_MAX 64 /* the kernel's limit for a chain */

/*
 * Priorities of our classic filter: first on ingress and last on egress, so that the rules see
 * packets as they are on the wire.
 */
#define PRIO_FIRST 1
#define PRIO_LAST  65535

struct hooks {
	struct hook *hook; /* in the order in which packets meet them */
	int n, room;
};

/* ---- identifying programs ---- */

static bool has_rules(const struct bpf_prog_info *info, const uint32_t *id)
{
	struct bpf_map_info map;
	bool found = false;
	uint32_t i, len;
	int fd;

	for (i = 0; !found && i < info->nr_map_ids; i++) {
		fd = bpf_map_get_fd_by_id(id[i]);
		if (fd < 0)
			continue;
		memset(&map, 0, sizeof(map));
		len = sizeof(map);
		found = !bpf_obj_get_info_by_fd(fd, &map, &len) &&
			!strcmp(map.name, "rule_counters");
		close(fd);
	}
	return found;
}

/*
 * Get the program's name, and whether it is an engine's: by its name, and by a map that both
 * programs of every engine have.
 */
static int know_program(struct hook *h, enum hook_side side)
{
	uint32_t id[64] = {}, len = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = {.nr_map_ids = 64, .map_ids = (uintptr_t)id};
	int fd = bpf_prog_get_fd_by_id(h->prog_id);

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!bpf_obj_get_info_by_fd(fd, &info, &len)) {
		if (info.nr_map_ids > 64)
			info.nr_map_ids = 64;
		if (*info.name)
			snprintf(h->name, sizeof(h->name), "%s", info.name);
		h->ours = !strcmp(info.name, side == HOOK_IN ? "divert_in" : "divert_out") &&
			  has_rules(&info, id);
	}
	close(fd);
	return 0;
}

/* ---- listing hooks ---- */

static int add(const struct hook *h, void *arg)
{
	struct hooks *all = arg;
	struct hook *more;

	if (all->n == all->room) {
		more = realloc(all->hook, (2 * all->room + 8) * sizeof(*more));
		if (!more) {
			errno = ENOMEM;
			return -1;
		}
		all->hook = more;
		all->room = 2 * all->room + 8;
	}
	all->hook[all->n++] = *h;
	return 0;
}

static int add_chain(uint32_t ifindex, enum hook_side side, struct hooks *hooks)
{
	uint32_t id[CHAIN_MAX];
	int i, n = chain_list(ifindex, side, id, CHAIN_MAX);

	if (n == -EINVAL)
		return 0; /* this kernel has no chain */
	for (i = 0; i < n; i++) {
		struct hook h = {.prog_id = id[i], .bpf = true, .name = "?"};

		if (add(&h, hooks))
			return -errno;
	}
	return n < 0 ? n : 0;
}

/* List the hooks on one side by program id. know_programs() adds names, and marks ours. */
static int list(uint32_t ifindex, enum hook_side side, struct hooks *hooks)
{
	int rc;

	memset(hooks, 0, sizeof(*hooks));
	rc = add_chain(ifindex, side, hooks);
	if (!rc)
		rc = filter_list(ifindex, side, add, hooks);
	return rc == -EOPNOTSUPP ? 0 : rc; /* this kernel has no classic filters */
}

static int know_programs(struct hooks *hooks, int n, enum hook_side side)
{
	int i, rc = 0;

	for (i = 0; !rc && i < n; i++)
		if (hooks->hook[i].prog_id)
			rc = know_program(&hooks->hook[i], side);
	return rc;
}

static int list_known(uint32_t ifindex, enum hook_side side, struct hooks *hooks)
{
	int rc = list(ifindex, side, hooks);

	return rc ? rc : know_programs(hooks, hooks->n, side);
}

static void list_free(struct hooks *hooks)
{
	free(hooks->hook);
}

bool hook_has_chain(void)
{
	uint32_t id[CHAIN_MAX];

	return chain_list(LO_IFINDEX, HOOK_IN, id, CHAIN_MAX) >= 0;
}

bool hook_is_bare(uint32_t ifindex, enum hook_side side)
{
	uint32_t id[CHAIN_MAX];

	return !chain_list(ifindex, side, id, CHAIN_MAX);
}

/* Our hook in the chain or, with chain false, our classic filter; NULL: none. */
static const struct hook *find_ours(const struct hooks *hooks, bool chain)
{
	int i;

	for (i = 0; i < hooks->n; i++)
		if (hooks->hook[i].ours && !hooks->hook[i].prio == chain)
			return &hooks->hook[i];
	return NULL;
}

int hook_query(uint32_t ifindex, enum hook_side side, uint32_t *prog_id)
{
	const struct hook *ours;
	struct hooks hooks;
	int rc = list_known(ifindex, side, &hooks);

	ours = find_ours(&hooks, true);
	if (!ours)
		ours = find_ours(&hooks, false);
	*prog_id = ours ? ours->prog_id : 0;
	list_free(&hooks);
	return rc;
}

/* ---- hooking ---- */

/* A program that passes every packet on. */
static int load_placeholder(void)
{
	const struct bpf_insn insn[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = TC_ACT_UNSPEC},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "divert_none", "Dual BSD/GPL", insn, 2,
			       NULL);

	return fd < 0 ? -errno : fd;
}

/*
 * Move from a classic filter to the chain. Adding a program to the chain takes the kernel some 20
 * ms; packets would meet both hooks meanwhile, and reinjected ones would be diverted again.
 * Replacing a program takes no time, so add a placeholder and replace it.
 */
static int move_to_chain(uint32_t ifindex, enum hook_side side, int prog_fd)
{
	int fd = load_placeholder(), rc;

	if (fd < 0)
		return fd;
	rc = chain_attach(ifindex, side, fd, -1);
	if (!rc) {
		rc = chain_attach(ifindex, side, prog_fd, fd);
		if (rc)
			chain_detach(ifindex, side, fd);
	}
	close(fd);
	return rc;
}

static int attach_chain(uint32_t ifindex, enum hook_side side, int prog_fd, const struct hook *old)
{
	int rc, old_fd = -1;

	if (old) {
		old_fd = bpf_prog_get_fd_by_id(old->prog_id);
		if (old_fd < 0)
			return -errno;
	}
	rc = chain_attach(ifindex, side, prog_fd, old_fd);
	if (old_fd >= 0)
		close(old_fd);
	return rc;
}

/*
 * Can our filter have this priority? Yes, if it is unused, or used only by filters that allow
 * others beside them. handle: a free one.
 */
static bool is_free(const struct hooks *hooks, uint32_t prio, uint32_t *handle)
{
	const struct hook *h;

	*handle = 1;
	for (h = hooks->hook; h < hooks->hook + hooks->n; h++) {
		if (h->prio != prio)
			continue;
		if (!h->bpf || h->protocol != ETH_P_ALL)
			return false;
		if (h->handle >= *handle)
			*handle = h->handle + 1;
	}
	return *handle != 0;
}

static int attach_filter(uint32_t ifindex, enum hook_side side, int prog_fd,
			 const struct hooks *hooks, const struct hook *old)
{
	uint32_t prio = side == HOOK_IN ? PRIO_FIRST : PRIO_LAST, handle;

	if (old)
		return filter_attach(ifindex, side, old->prio, old->handle, prog_fd);
	while (!is_free(hooks, prio, &handle)) {
		prio += side == HOOK_IN ? 1 : -1;
		if (!prio || prio > PRIO_LAST)
			return -ENOSPC;
	}
	return filter_attach(ifindex, side, prio, handle, prog_fd);
}

static int detach(uint32_t ifindex, enum hook_side side, const struct hook *h)
{
	int fd, rc;

	if (h->prio)
		return filter_detach(ifindex, side, h->prio, h->handle);
	fd = bpf_prog_get_fd_by_id(h->prog_id);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno; /* gone meanwhile */
	rc = chain_detach(ifindex, side, fd);
	close(fd);
	return rc == -ENOENT ? 0 : rc;
}

/* Is the program the first of the chain? That is the usual case, and fast to check. */
static bool is_first(uint32_t ifindex, enum hook_side side, uint32_t prog_id)
{
	uint32_t id[CHAIN_MAX];

	return chain_list(ifindex, side, id, CHAIN_MAX) > 0 && *id == prog_id;
}

int hook_attach(uint32_t ifindex, enum hook_side side, int prog_fd, uint32_t prog_id, bool chain)
{
	const struct hook *old, *other;
	struct hooks hooks;
	int rc;

	if (chain && is_first(ifindex, side, prog_id))
		return 0;
	rc = list_known(ifindex, side, &hooks);
	old = find_ours(&hooks, chain);
	other = find_ours(&hooks, !chain);
	if (!rc && chain && !old && other)
		rc = move_to_chain(ifindex, side, prog_fd);
	else if (!rc && (!old || old->prog_id != prog_id))
		rc = chain ? attach_chain(ifindex, side, prog_fd, old)
			   : attach_filter(ifindex, side, prog_fd, &hooks, old);
	/*
	 * remove an older engine's other kind of hook; at this moment packets meet both, so none
	 * misses the rules
	 */
	if (!rc && other)
		rc = detach(ifindex, side, other);
	list_free(&hooks);
	return rc;
}

int hook_before(uint32_t ifindex, enum hook_side side, uint32_t prog_id, char *names, size_t size)
{
	struct hooks hooks;
	int i, len = 0, n = 0, rc;

	*names = '\0';
	if (is_first(ifindex, side, prog_id))
		return 0;
	rc = list(ifindex, side, &hooks);
	while (!rc && n < hooks.n && hooks.hook[n].prog_id != prog_id)
		n++;
	if (!rc && n == hooks.n)
		rc = -ENOENT;
	if (!rc)
		rc = know_programs(&hooks, n, side);
	for (i = 0; !rc && i < n && len < (int)size; i++)
		len += snprintf(names + len, size - len, "%s'%s'", i ? ", " : "",
				hooks.hook[i].name);
	list_free(&hooks);
	return rc ? rc : n;
}

int hook_detach(uint32_t ifindex, enum hook_side side)
{
	struct hooks hooks;
	int i, rc = list_known(ifindex, side, &hooks);

	for (i = 0; !rc && i < hooks.n; i++)
		if (hooks.hook[i].ours)
			rc = detach(ifindex, side, &hooks.hook[i]);
	list_free(&hooks);
	return rc;
}
