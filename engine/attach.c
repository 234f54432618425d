// SPDX-License-Identifier: BSD-2-Clause
/* Which interfaces there are, and hooking them. */
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
#include "netlink.h"

#define LO_IFINDEX 1

struct iface {
	uint32_t ifindex;
	char name[IF_NAMESIZE];
	uint32_t master;
	bool port;    /* of its master, a bridge or the like, which carries most IP in its stead */
	bool carrier; /* carries other interfaces' packets for a while: ifb */
	bool up;
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

/* A VRF's ports keep their own IP; those of all other masters give it up. */
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

/* The way back runs over lo, which a new namespace has down. */
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

/* The kernel says ENOENT of a kind of qdisc or filter that it does not have. */
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

/* The id of the engine's program for the side; 0, which no program has: it cannot be known. */
static uint32_t prog_id(const struct engine *e, enum hook_side side)
{
	uint32_t len = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = {};

	if (bpf_obj_get_info_by_fd(side == HOOK_IN ? e->prog_in : e->prog_out, &info, &len))
		return 0;
	return info.id;
}

static const char *way(enum hook_side side)
{
	return side == HOOK_IN ? "in" : "out";
}

/* Something that packets meet before the rules may send them on, past these. */
static void tell_before(char *text, size_t size, const char *name, enum hook_side side,
			const char *before)
{
	snprintf(text, size,
		 "%s: %s comes before the rules on the way %s: they see no packet that it takes, "
		 "drops or lets pass for good",
		 name, before, way(side));
}

static int hook_up(struct engine *e, const struct iface *iface, enum hook_side side, char *why,
		   size_t size)
{
	const uint32_t id = prog_id(e, side);
	char before[128];
	int rc = hook_attach(iface->ifindex, side, side == HOOK_IN ? e->prog_in : e->prog_out, id,
			     e->identity.chain);

	if (rc == -ENODEV)
		return 0; /* gone meanwhile */
	if (rc)
		tell_refused(why, size, iface->name,
			     side == HOOK_IN ? "ingress hook" : "egress hook", "CLS_BPF", rc);
	else if (hook_before(iface->ifindex, side, id, before, sizeof(before)) > 0)
		tell_before(why, size, iface->name, side, before);
	return rc;
}

/* Is the interface's clsact ours? What is known may be of an earlier interface of the same index. */
static bool has_our_qdisc(const struct engine *e, uint32_t ifindex)
{
	uint32_t flags;

	return !bpf_map_lookup_elem(e->map[ENGINE_IFACES], &ifindex, &flags) &&
	       flags & DIVERT_IFACE_QDISC;
}

static int add_qdisc(struct engine *e, const struct iface *iface, char *why, size_t size)
{
	uint32_t flags = DIVERT_IFACE_QDISC;
	int ours = 0, rc = hook_qdisc_add(iface->ifindex, &ours);

	if (ours && bpf_map_update_elem(e->map[ENGINE_IFACES], &iface->ifindex, &flags, BPF_ANY))
		return -errno;
	if (rc == -EEXIST)
		snprintf(why, size,
			 "%s: no egress hook: its qdisc is the older ingress, not clsact",
			 iface->name);
	else if (rc && rc != -ENODEV)
		tell_refused(why, size, iface->name, "clsact qdisc", "SCH_INGRESS", rc);
	return rc;
}

/*
 * Only with the hooks: the kernel drops what the interface sends in that moment. So one of an engine of before, which
 * had classic filters, stays where this one needs none.
 */
static void remove_qdisc(struct engine *e, uint32_t ifindex)
{
	if (has_our_qdisc(e, ifindex))
		hook_qdisc_remove(ifindex);
	bpf_map_delete_elem(e->map[ENGINE_IFACES], &ifindex);
}

static int hook_iface(struct engine *e, const struct iface *iface, char *why, size_t size)
{
	int rc, rc_out = e->identity.chain ? 0 : add_qdisc(e, iface, why, size);

	if (rc_out == -ENODEV)
		return 0; /* gone meanwhile */
	if (rc_out && rc_out != -EEXIST)
		return rc_out;
	rc = hook_up(e, iface, HOOK_IN, why, size);
	if (!rc_out)
		rc_out = hook_up(e, iface, HOOK_OUT, why, size);
	return rc ? rc : rc_out;
}

static int unhook(struct engine *e, uint32_t ifindex)
{
	int rc = hook_detach(ifindex, HOOK_IN), rc_out = hook_detach(ifindex, HOOK_OUT);

	remove_qdisc(e, ifindex);
	return rc ? rc : rc_out;
}

/* Forget interfaces that are gone, so that a new one of the same index starts clean. */
static void forget_gone(struct engine *e, const struct ifaces *all)
{
	uint32_t gone[64], key, *from = NULL;
	size_t i, n = 0;

	while (n < 64 && !bpf_map_get_next_key(e->map[ENGINE_IFACES], from, &key)) {
		for (i = 0; i < all->n && all->iface[i].ifindex != key; i++)
			;
		if (i == all->n)
			gone[n++] = key;
		gone[63] = key; /* where to go on from */
		from = &gone[63];
	}
	while (n--)
		bpf_map_delete_elem(e->map[ENGINE_IFACES], &gone[n]);
}

int engine_attach(struct engine *e, uint32_t ifindex,
		  void (*tell)(const char *name, const char *why, void *arg), void *arg)
{
	struct ifaces all = {.only = ifindex};
	char why[ENGINE_ERROR_MAX];
	int rc, first;
	size_t i;

	first = list_ifaces(&all);
	if (first) {
		free(all.iface);
		return first;
	}
	if (ifindex && !all.n)
		return engine_fail(-ENODEV, "interface %u: no such interface", ifindex);
	if (!ifindex)
		forget_gone(e, &all);
	for (i = 0; i < all.n; i++) {
		const struct iface *iface = &all.iface[i];

		if (iface->carrier) {
			unhook(e, iface->ifindex);
			continue;
		}
		why[0] = '\0';
		rc = hook_iface(e, iface, why, sizeof(why));
		if (!rc && iface->ifindex == LO_IFINDEX && !iface->up) {
			rc = set_up(iface);
			snprintf(why, sizeof(why), "lo: setting it up: ");
			engine_reason(rc, why + strlen(why), sizeof(why) - strlen(why));
		}
		if (*why && tell)
			tell(iface->name, why, arg);
		if (rc && !first)
			first = engine_fail(rc, "%s", why);
	}
	free(all.iface);
	return first;
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
	rc = unhook(e, LO_IFINDEX);
	if (rc && !first)
		first = engine_fail_errno(rc, "lo: removing the hooks");
	return first;
}

static void look_at(const struct engine *e, const struct iface *iface,
		    void (*see)(const struct engine_iface *i, void *arg), void *arg)
{
	struct engine_iface i = {.name = iface->name, .ifindex = iface->ifindex};
	char before[2][128];
	int n[2];

	n[HOOK_IN] = hook_before(iface->ifindex, HOOK_IN, prog_id(e, HOOK_IN), before[HOOK_IN],
				 sizeof(*before));
	n[HOOK_OUT] = hook_before(iface->ifindex, HOOK_OUT, prog_id(e, HOOK_OUT), before[HOOK_OUT],
				  sizeof(*before));
	i.in = n[HOOK_IN] >= 0;
	i.out = n[HOOK_OUT] >= 0;
	if (!i.in || !i.out)
		snprintf(i.warning, sizeof(i.warning),
			 "%s: the rules see no packet on the way %s: 'divertctl attach' hooks it",
			 i.name,
			 i.in	 ? "out"
			 : i.out ? "in"
				 : "in or out");
	else if (n[HOOK_IN] > 0 || n[HOOK_OUT] > 0)
		tell_before(i.warning, sizeof(i.warning), i.name, n[HOOK_IN] ? HOOK_IN : HOOK_OUT,
			    before[n[HOOK_IN] ? HOOK_IN : HOOK_OUT]);
	see(&i, arg);
}

int engine_look(struct engine *e, void (*see)(const struct engine_iface *i, void *arg), void *arg)
{
	struct ifaces all = {};
	int rc = list_ifaces(&all);
	size_t i;

	for (i = 0; !rc && i < all.n; i++)
		if (!all.iface[i].carrier)
			look_at(e, &all.iface[i], see, arg);
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
