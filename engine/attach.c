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

#include "engine.h"
#include "error.h"
#include "hook.h"
#include "netlink.h"

#define LO_IFINDEX 1

struct iface {
	uint32_t ifindex;
	char name[IF_NAMESIZE];
	uint32_t master;
	bool port; /* of its master, a bridge or the like, which carries IP in its stead */
	bool up;
};

struct ifaces {
	struct iface *iface;
	size_t n, room;
	uint32_t only; /* ifindex, or 0 */
};

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

/* Sets the side's bit in flags if the hook is there, or else says why not. */
static int hook_up(struct engine *e, const struct iface *iface, enum hook_side side,
		   uint32_t *flags, char *why, size_t size)
{
	int prog = side == HOOK_IN ? e->prog_in : e->prog_out;
	uint32_t bit = side == HOOK_IN ? DIVERT_IFACE_INGRESS : DIVERT_IFACE_EGRESS;
	uint32_t id = 0, ours = 0, len = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = {};
	int rc;

	if (!bpf_obj_get_info_by_fd(prog, &info, &len))
		ours = info.id;
	rc = hook_query(iface->ifindex, side, &id);
	if (!rc && (!id || id != ours))
		rc = hook_attach(iface->ifindex, side, prog);
	if (!rc)
		*flags |= bit;
	else
		tell_refused(why, size, iface->name,
			     side == HOOK_IN ? "ingress hook" : "egress hook", "CLS_BPF", rc);
	return rc;
}

static int hook_iface(struct engine *e, const struct iface *iface, char *why, size_t size)
{
	uint32_t flags = 0;
	int rc, rc_out, ours = 0;

	/* what is known may be of an earlier interface of the same index: only the qdisc's owner counts */
	bpf_map_lookup_elem(e->map[ENGINE_IFACES], &iface->ifindex, &flags);
	rc_out = hook_qdisc_add(iface->ifindex, &ours);
	if (rc_out == -ENODEV)
		return 0; /* gone meanwhile */
	flags &= DIVERT_IFACE_QDISC;
	if (ours)
		flags |= DIVERT_IFACE_QDISC;
	rc = rc_out && rc_out != -EEXIST ? rc_out : hook_up(e, iface, HOOK_IN, &flags, why, size);
	if (rc_out == -EEXIST)
		snprintf(why, size,
			 "%s: no egress hook: its qdisc is the older ingress, not clsact",
			 iface->name);
	else if (rc_out)
		tell_refused(why, size, iface->name, "clsact qdisc", "SCH_INGRESS", rc_out);
	else
		rc_out = hook_up(e, iface, HOOK_OUT, &flags, why, size);
	if (bpf_map_update_elem(e->map[ENGINE_IFACES], &iface->ifindex, &flags, BPF_ANY))
		return -errno;
	return rc ? rc : rc_out;
}

static void unhook_port(struct engine *e, const struct iface *iface)
{
	uint32_t flags;

	if (bpf_map_lookup_elem(e->map[ENGINE_IFACES], &iface->ifindex, &flags))
		return;
	hook_detach(iface->ifindex, HOOK_IN);
	hook_detach(iface->ifindex, HOOK_OUT);
	if (flags & DIVERT_IFACE_QDISC)
		hook_qdisc_remove(iface->ifindex);
	bpf_map_delete_elem(e->map[ENGINE_IFACES], &iface->ifindex);
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

		if (iface->port) {
			unhook_port(e, iface);
			continue;
		}
		why[0] = '\0';
		rc = hook_iface(e, iface, why, sizeof(why));
		if (!rc && iface->ifindex == LO_IFINDEX && !iface->up) {
			rc = set_up(iface);
			snprintf(why, sizeof(why), "lo: setting it up: ");
			engine_reason(rc, why + strlen(why), sizeof(why) - strlen(why));
		}
		if (rc && tell)
			tell(iface->name, why, arg);
		if (rc && !first)
			first = engine_fail(rc, "%s", why);
	}
	free(all.iface);
	return first;
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
