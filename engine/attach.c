// SPDX-License-Identifier: BSD-2-Clause
/* Lists the interfaces and hooks them. */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "down.h"
#include "engine.h"
#include "error.h"
#include "hook.h"
#include "load.h"
#include "needs.h"
#include "netlink.h"
#include "port.h"
#include "sysctl.h"

struct iface {
	uint32_t ifindex;
	char name[IF_NAMESIZE];
	uint32_t master;
	bool port;    /* of a bridge or another master, which carries most of its IP traffic */
	bool carrier; /* ifb: carries packets of other interfaces temporarily */
	bool up;
	bool spare[2]; /* enum hook_side: no hook is needed there */
};

struct ifaces {
	struct iface *iface;
	size_t n, room;
	uint32_t only; /* ifindex, or 0 */
};

static bool is_ifb(const struct nlattr *info)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, info)
	{
		if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
			return !strcmp(mnl_attr_get_str(attr), "ifb");
	}
	return false;
}

/* Ports of a VRF keep their own IP; ports of every other master give it up. */
static bool is_port(const struct nlattr *info)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, info)
	{
		if (mnl_attr_get_type(attr) == IFLA_INFO_SLAVE_KIND)
			return strcmp(mnl_attr_get_str(attr), "vrf") != 0;
	}
	return true;
}

static int take_link(const struct nlmsghdr *nlh, void *data)
{
	const struct ifinfomsg *ifm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr, *info = NULL;
	struct iface iface = {.ifindex = ifm->ifi_index, .up = ifm->ifi_flags & IFF_UP};
	struct ifaces *all = data;

	if (all->only && iface.ifindex != all->only)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(*ifm))
	{
		switch (mnl_attr_get_type(attr)) {
		case IFLA_IFNAME:
			snprintf(iface.name, sizeof(iface.name), "%s", mnl_attr_get_str(attr));
			break;
		case IFLA_MASTER:
			iface.master = mnl_attr_get_u32(attr);
			break;
		case IFLA_LINKINFO:
			info = attr;
			break;
		}
	}
	iface.port = iface.master && (!info || is_port(info));
	iface.carrier = info && is_ifb(info);
	if (all->n == all->room) {
		size_t room = all->room ? 2 * all->room : 16;
		struct iface *more = realloc(all->iface, room * sizeof(*more));

		if (!more)
			return MNL_CB_ERROR;
		all->iface = more;
		all->room = room;
	}
	all->iface[all->n++] = iface;
	return MNL_CB_OK;
}

static int list_ifaces(struct ifaces *all)
{
	char buf[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	int rc;

	nlh->nlmsg_type = RTM_GETLINK;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	rc = netlink_ask(nlh, take_link, all);
	return rc ? engine_fail_errno(rc, "rtnetlink: listing interfaces") : 0;
}

/* Reinjection uses lo, which is down in a new namespace. */
static int set_up(const struct iface *iface)
{
	struct ifreq ifr = {};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc = 0;

	if (fd < 0)
		return -errno;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", iface->name);
	if (ioctl(fd, SIOCGIFFLAGS, &ifr))
		rc = -errno;
	ifr.ifr_flags |= IFF_UP;
	if (!rc && ioctl(fd, SIOCSIFFLAGS, &ifr))
		rc = -errno;
	close(fd);
	return rc;
}

static void tell_not_up(char *why, size_t size, int rc)
{
	int len = snprintf(why, size, "lo: setting it up: ");

	engine_reason(rc, why + len, size - len);
}

/* For a kind of qdisc or filter that the kernel lacks it returns ENOENT. */
static void tell_refused(char *why, size_t size, const char *name, const char *what,
			 const char *config, int rc)
{
	int len = snprintf(why, size, "%s: no %s: ", name, what);

	if (rc == -ENOENT)
		snprintf(why + len, size - len,
			 "this kernel lacks CONFIG_NET_%s: load the module, or take another kernel",
			 config);
	else
		engine_reason(rc, why + len, size - len);
}

/* The id of the engine's program for the side; 0, which no program has, if it is not known. */
static uint32_t prog_id(const struct engine *e, enum hook_side side)
{
	uint32_t len = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = {};

	if (bpf_obj_get_info_by_fd(side == HOOK_IN ? e->prog_in : e->prog_out, &info, &len))
		return 0;
	return info.id;
}

static const char *meta(enum hook_side side)
{
	return side == HOOK_IN ? "in" : "out";
}

/*
 * Warn about a program or filter ahead of the rules: it may handle packets that the rules then
 * miss.
 */
static void tell_before(char *text, size_t size, const char *name, enum hook_side side,
			const char *before)
{
	snprintf(text, size,
		 "%s: %s comes before the rules on the way %s: they see no packet that it takes, "
		 "drops or lets pass for good",
		 name, before, meta(side));
}

/* ---- per-interface flags: enum divert_iface_flags ---- */

static uint32_t flags_of(const struct engine *e, uint32_t ifindex)
{
	uint32_t flags;

	return bpf_map_lookup_elem(e->map[ENGINE_IFACES], &ifindex, &flags) ? 0 : flags;
}

static int set_flags(struct engine *e, uint32_t ifindex, uint32_t set, uint32_t clear)
{
	const uint32_t was = flags_of(e, ifindex), flags = (was | set) & ~clear;

	if (flags == was)
		return 0;
	return bpf_map_update_elem(e->map[ENGINE_IFACES], &ifindex, &flags, BPF_ANY) ? -errno : 0;
}

static uint32_t side_flag(enum hook_side side)
{
	return side == HOOK_IN ? DIVERT_IFACE_IN : DIVERT_IFACE_OUT;
}

/* ---- hooking ---- */

static int hook_up(struct engine *e, const struct iface *iface, enum hook_side side, char *why,
		   size_t size)
{
	const uint32_t id = prog_id(e, side);
	char before[128];
	int rc = hook_attach(iface->ifindex, side, side == HOOK_IN ? e->prog_in : e->prog_out, id,
			     e->identity.chain);

	/* without the flag, reinjected packets would meet all rules again */
	if (!rc) {
		rc = set_flags(e, iface->ifindex, side_flag(side), 0);
		if (rc)
			hook_detach(iface->ifindex, side);
	} else {
		set_flags(e, iface->ifindex, 0, side_flag(side));
	}
	if (rc == -ENODEV)
		return 0; /* the interface is gone meanwhile */
	if (rc)
		tell_refused(why, size, iface->name,
			     side == HOOK_IN ? "ingress hook" : "egress hook", "CLS_BPF", rc);
	else if (hook_before(iface->ifindex, side, id, before, sizeof(before)) > 0)
		tell_before(why, size, iface->name, side, before);
	return rc;
}

static int add_qdisc(struct engine *e, const struct iface *iface, char *why, size_t size)
{
	int ours = 0, rc = hook_qdisc_add(iface->ifindex, &ours);

	if (ours) /* no hook is there yet: any flags are left from an earlier interface */
		rc = set_flags(e, iface->ifindex, DIVERT_IFACE_QDISC,
			       DIVERT_IFACE_IN | DIVERT_IFACE_OUT);
	if (rc == -EEXIST)
		snprintf(why, size,
			 "%s: no egress hook: its qdisc is the older ingress, not clsact",
			 iface->name);
	else if (rc && rc != -ENODEV)
		tell_refused(why, size, iface->name, "clsact qdisc", "SCH_INGRESS", rc);
	return rc;
}

/*
 * Only called together with unhooking: the kernel drops packets that the interface sends at that
 * moment. So the qdisc of an older engine, which used classic filters, stays where this engine
 * needs none.
 */
static int remove_qdisc(struct engine *e, uint32_t ifindex)
{
	int rc = hook_qdisc_is_ours(ifindex);

	/* the flags may be left from an earlier interface with this index */
	if (rc > 0 || (!rc && flags_of(e, ifindex) & DIVERT_IFACE_QDISC))
		rc = hook_qdisc_remove(ifindex);
	/* somebody else may have removed it */
	if (rc == -ENOENT || rc == -EINVAL || rc == -ENODEV)
		rc = 0;
	if (!rc)
		bpf_map_delete_elem(e->map[ENGINE_IFACES], &ifindex);
	return rc;
}

static int hook_iface(struct engine *e, const struct iface *iface, const bool need[2], char *why,
		      size_t size)
{
	int rc = 0, rc_out = 0;

	if (!e->identity.chain && (need[HOOK_IN] || need[HOOK_OUT]))
		rc_out = add_qdisc(e, iface, why, size);
	if (rc_out == -ENODEV)
		return 0; /* the interface is gone meanwhile */
	if (rc_out && rc_out != -EEXIST)
		return rc_out;
	if (need[HOOK_IN])
		rc = hook_up(e, iface, HOOK_IN, why, size);
	if (need[HOOK_OUT] && !rc_out)
		rc_out = hook_up(e, iface, HOOK_OUT, why, size);
	return rc ? rc : rc_out;
}

/*
 * Which sides need a hook. lo needs both, for reinjection. A port needs the ingress hook: it gives
 * reinjected packets an address that makes a bridge pass them to IP on the port.
 */
static void ask_needs(struct needs *n, const struct iface *iface, bool need[2])
{
	const bool lo = iface->ifindex == LO_IFINDEX;

	need[HOOK_IN] = lo || iface->port || needs_hook(n, iface->name, HOOK_IN);
	need[HOOK_OUT] = lo || needs_hook(n, iface->name, HOOK_OUT);
}

static int unhook(struct engine *e, uint32_t ifindex)
{
	int rc = hook_detach(ifindex, HOOK_IN), rc_out = hook_detach(ifindex, HOOK_OUT);

	if (!rc)
		rc = rc_out;
	if (rc)
		return rc == -ENODEV ? 0 : rc; /* the interface is gone meanwhile */
	return remove_qdisc(e, ifindex);
}

/* Egress goes last: its hook or qdisc is how an incompletely removed engine is found. */
static int unhook_lo(struct engine *e)
{
	int rc = hook_detach(LO_IFINDEX, HOOK_IN);

	if (rc)
		return rc;
	sysctl_restore(e->identity.sysctl_was);
	rc = hook_detach(LO_IFINDEX, HOOK_OUT);
	return rc ? rc : remove_qdisc(e, LO_IFINDEX);
}

/* Forget interfaces that are gone, so that a new one with the same index starts clean. */
static void forget_gone(struct engine *e, const struct ifaces *all)
{
	uint32_t gone[64], key, *from = NULL;
	size_t i, n = 0;

	while (n < 64 && !bpf_map_get_next_key(e->map[ENGINE_IFACES], from, &key)) {
		for (i = 0; i < all->n && all->iface[i].ifindex != key; i++)
			;
		if (i == all->n)
			gone[n++] = key;
		gone[63] = key; /* where the iteration continues */
		from = &gone[63];
	}
	while (n--)
		bpf_map_delete_elem(e->map[ENGINE_IFACES], &gone[n]);
}

int engine_attach_first(struct engine *e)
{
	const struct iface lo = {.ifindex = LO_IFINDEX, .name = "lo"};
	char why[ENGINE_ERROR_MAX] = "";
	int rc = e->identity.chain ? 0 : add_qdisc(e, &lo, why, sizeof(why));

	if (!rc)
		rc = hook_up(e, &lo, HOOK_OUT, why, sizeof(why));
	return rc ? engine_fail(rc, "%s", why) : 0;
}

/* ---- hooks that no rule needs any more ---- */

static bool is_hooked(const struct iface *iface, enum hook_side side)
{
	uint32_t id;

	return !hook_query(iface->ifindex, side, &id) && id;
}

/*
 * Clear the flag of an unneeded hook that is gone: somebody removed it, or it was an earlier
 * interface's.
 */
static int forget_hook(struct engine *e, const struct iface *iface, enum hook_side side)
{
	if (!(flags_of(e, iface->ifindex) & side_flag(side)) || is_hooked(iface, side))
		return 0;
	return set_flags(e, iface->ifindex, 0, side_flag(side));
}

/*
 * Is there a hook that is not needed? Most interfaces have no program at all, which is checked
 * first because it is fast.
 */
static bool is_spare(const struct engine *e, const struct iface *iface, enum hook_side side)
{
	if (!(flags_of(e, iface->ifindex) & side_flag(side)) && hook_is_bare(iface->ifindex, side))
		return false;
	return is_hooked(iface, side);
}

/*
 * Tell reinjection not to expect these hooks any more. Packets that were written before still do:
 * wait until they have got there.
 */
static int expect_none(struct engine *e, const struct ifaces *all)
{
	const struct iface *iface;
	int rc = 0, map;

	for (iface = all->iface; !rc && iface < all->iface + all->n; iface++)
		rc = set_flags(e, iface->ifindex, 0,
			       (iface->spare[HOOK_IN] ? DIVERT_IFACE_IN : 0) |
				       (iface->spare[HOOK_OUT] ? DIVERT_IFACE_OUT : 0));
	if (rc)
		return engine_fail_errno(rc, "an interface without hooks");
	map = port_settle_begin(e);
	if (map < 0)
		return map;
	rc = port_settle(e, map);
	close(map);
	return rc;
}

static int remove_spare(struct engine *e, const struct ifaces *all)
{
	int side, rc, first = 0;
	struct iface *iface;
	bool any = false;

	for (iface = all->iface; iface < all->iface + all->n; iface++) {
		for (side = HOOK_IN; side <= HOOK_OUT; side++) {
			iface->spare[side] = iface->spare[side] && is_spare(e, iface, side);
			any |= iface->spare[side];
		}
	}
	if (!any)
		return 0;
	rc = expect_none(e, all);
	if (rc)
		return rc;
	for (iface = all->iface; iface < all->iface + all->n; iface++) {
		for (side = HOOK_IN; side <= HOOK_OUT; side++) {
			rc = iface->spare[side] ? hook_detach(iface->ifindex, side) : 0;
			if (rc && rc != -ENODEV && !first)
				first = engine_fail_errno(rc, "%s: removing a hook", iface->name);
		}
	}
	return first;
}

/* ---- all interfaces ---- */

static int attach_iface(struct engine *e, struct iface *iface, const bool need[2], char *why,
			size_t size)
{
	int rc = hook_iface(e, iface, need, why, size);

	if (!rc && iface->ifindex == LO_IFINDEX && !iface->up) {
		rc = set_up(iface);
		if (rc)
			tell_not_up(why, size, rc);
	}
	return rc;
}

static int attach(struct engine *e, struct ifaces *all, struct needs *needs,
		  void (*tell)(const char *name, const char *why, void *arg), void *arg)
{
	char why[ENGINE_ERROR_MAX];
	int side, rc, first = 0;
	bool need[2];
	size_t i;

	for (i = 0; i < all->n; i++) {
		struct iface *iface = &all->iface[i];

		if (iface->carrier) {
			unhook(e, iface->ifindex);
			continue;
		}
		ask_needs(needs, iface, need);
		why[0] = '\0';
		rc = attach_iface(e, iface, need, why, sizeof(why));
		if (*why && tell)
			tell(iface->name, why, arg);
		if (rc && !first)
			first = engine_fail(rc, "%s", why);
		for (side = HOOK_IN; side <= HOOK_OUT; side++) {
			iface->spare[side] = !need[side];
			if (!need[side] && forget_hook(e, iface, side) && !first)
				first = engine_fail(-ENOMEM, "%s: noting that it has no hook",
						    iface->name);
		}
	}
	return first;
}

static int attach_some(struct engine *e, uint32_t ifindex, const struct engine_rules *next,
		       bool remove, void (*tell)(const char *name, const char *why, void *arg),
		       void *arg)
{
	struct ifaces all = {.only = ifindex};
	struct needs needs;
	int rc, first = list_ifaces(&all);

	if (!first && ifindex && !all.n)
		first = engine_fail(-ENODEV, "interface %u: no such interface", ifindex);
	if (first) {
		free(all.iface);
		return first;
	}
	if (!ifindex)
		forget_gone(e, &all);
	needs_begin(&needs, e, next);
	first = attach(e, &all, &needs, tell, arg);
	needs_end(&needs);
	rc = remove ? remove_spare(e, &all) : 0;
	free(all.iface);
	return first ? first : rc;
}

int engine_attach(struct engine *e, uint32_t ifindex,
		  void (*tell)(const char *name, const char *why, void *arg), void *arg)
{
	return attach_some(e, ifindex, NULL, true, tell, arg);
}

int engine_attach_ahead(struct engine *e, const struct engine_rules *next,
			void (*tell)(const char *name, const char *why, void *arg), void *arg)
{
	return attach_some(e, 0, next, false, tell, arg);
}

int engine_attach_noted(struct engine *e)
{
	struct ifaces all = {};
	int side, rc = list_ifaces(&all);
	size_t i;

	for (i = 0; i < all.n; i++)
		for (side = HOOK_IN; !rc && side <= HOOK_OUT; side++)
			if (is_hooked(&all.iface[i], side))
				rc = set_flags(e, all.iface[i].ifindex, side_flag(side), 0);
	free(all.iface);
	return rc;
}

int engine_detach(struct engine *e)
{
	struct ifaces all = {};
	int rc = list_ifaces(&all), first = 0;
	size_t i;

	if (rc)
		return rc;
	for (i = all.n; i--;) {
		if (all.iface[i].ifindex == LO_IFINDEX)
			continue;
		rc = unhook(e, all.iface[i].ifindex);
		if (rc && !first)
			first = engine_fail_errno(rc, "%s: removing the hooks", all.iface[i].name);
	}
	free(all.iface);
	if (e->identity.layout == DIVERT_LAYOUT)
		engine_down(e);
	if (first)
		return first;
	rc = unhook_lo(e);
	return rc ? engine_fail_errno(rc, "lo: removing the hooks") : 0;
}

static void look_at(const struct engine *e, const struct iface *iface, const bool need[2],
		    void (*see)(const struct engine_iface *i, void *arg), void *arg)
{
	struct engine_iface i = {
		.name = iface->name,
		.ifindex = iface->ifindex,
		.need_in = need[HOOK_IN],
		.need_out = need[HOOK_OUT],
	};
	char before[2][128];
	bool no_in, no_out;
	int n[2];

	n[HOOK_IN] = hook_before(iface->ifindex, HOOK_IN, prog_id(e, HOOK_IN), before[HOOK_IN],
				 sizeof(*before));
	n[HOOK_OUT] = hook_before(iface->ifindex, HOOK_OUT, prog_id(e, HOOK_OUT), before[HOOK_OUT],
				  sizeof(*before));
	i.in = n[HOOK_IN] >= 0;
	i.out = n[HOOK_OUT] >= 0;
	no_in = i.need_in && !i.in;
	no_out = i.need_out && !i.out;
	if (no_in || no_out)
		snprintf(i.warning, sizeof(i.warning),
			 "%s: the rules see no packet on the way %s: 'divertctl attach' hooks it",
			 i.name,
			 !no_in	   ? "out"
			 : !no_out ? "in"
				   : "in or out");
	else if (i.need_in && n[HOOK_IN] > 0)
		tell_before(i.warning, sizeof(i.warning), i.name, HOOK_IN, before[HOOK_IN]);
	else if (i.need_out && n[HOOK_OUT] > 0)
		tell_before(i.warning, sizeof(i.warning), i.name, HOOK_OUT, before[HOOK_OUT]);
	see(&i, arg);
}

int engine_look(struct engine *e, void (*see)(const struct engine_iface *i, void *arg), void *arg)
{
	struct ifaces all = {};
	int rc = list_ifaces(&all);
	struct needs needs;
	bool need[2];
	size_t i;

	needs_begin(&needs, e, NULL);
	for (i = 0; !rc && i < all.n; i++) {
		if (all.iface[i].carrier)
			continue;
		ask_needs(&needs, &all.iface[i], need);
		look_at(e, &all.iface[i], need, see, arg);
	}
	needs_end(&needs);
	free(all.iface);
	return rc;
}

int engine_port_of(uint32_t ifindex, char master[IF_NAMESIZE])
{
	struct ifaces all = {.only = ifindex};
	int yes = !list_ifaces(&all) && all.n && all.iface[0].port;

	if (yes && !if_indextoname(all.iface[0].master, master))
		snprintf(master, IF_NAMESIZE, "?");
	free(all.iface);
	return yes;
}
