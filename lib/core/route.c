// SPDX-License-Identifier: BSD-2-Clause
#include "route.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/rtnetlink.h>

#include "engine/netlink.h"

struct answer {
	uint8_t type;
	uint32_t ifindex;
	uint32_t mtu; /* of the route; 0: use the link's */
};

static uint32_t take_mtu(const struct nlattr *metrics)
{
	const struct nlattr *attr;
	uint32_t mtu = 0;

	mnl_attr_for_each_nested(attr, metrics)
	{
		if (mnl_attr_get_type(attr) == RTAX_MTU && !mnl_attr_validate(attr, MNL_TYPE_U32))
			mtu = mnl_attr_get_u32(attr);
	}
	return mtu;
}

static int take(const struct nlmsghdr *nlh, void *data)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;
	struct answer *a = data;

	if (nlh->nlmsg_type != RTM_NEWROUTE)
		return MNL_CB_OK;
	a->type = rtm->rtm_type;
	mnl_attr_for_each(attr, nlh, sizeof(*rtm))
	{
		if (mnl_attr_get_type(attr) == RTA_OIF)
			a->ifindex = mnl_attr_get_u32(attr);
		if (mnl_attr_get_type(attr) == RTA_METRICS)
			a->mtu = take_mtu(attr);
	}
	return MNL_CB_STOP;
}

static void put_question(struct nlmsghdr *nlh, const uint8_t *packet, uint32_t mark)
{
	int v6 = packet[0] >> 4 == 6;
	struct rtmsg *rtm;

	nlh->nlmsg_type = RTM_GETROUTE;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	rtm->rtm_family = v6 ? AF_INET6 : AF_INET;
	rtm->rtm_dst_len = v6 ? 128 : 32;
	mnl_attr_put(nlh, RTA_DST, v6 ? 16 : 4, packet + (v6 ? 24 : 16));
	if (mark)
		mnl_attr_put_u32(nlh, RTA_MARK, mark);
}

int route_ask(const uint8_t *packet, uint32_t mark, uint32_t *ifindex)
{
	char buf[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct answer a = {};
	int rc;

	put_question(nlh, packet, mark);
	rc = netlink_ask(nlh, take, &a);
	if (rc)
		return rc;
	*ifindex = a.ifindex;
	switch (a.type) {
	case RTN_LOCAL:
	case RTN_ANYCAST:
		return ROUTE_LOCAL;
	case RTN_BROADCAST:
	case RTN_MULTICAST:
		return ROUTE_LINK;
	case RTN_UNICAST:
		return ROUTE_HOST;
	case RTN_UNREACHABLE:
		return -EHOSTUNREACH;
	case RTN_PROHIBIT:
		return -EACCES;
	case RTN_BLACKHOLE:
		return -EINVAL;
	}
	return -ENETUNREACH;
}

/*
 * Use ioctl(2), not rtnetlink(7): a link query there waits for anyone who changes an interface on
 * the host, for seconds where namespaces come and go.
 */
static int link_mtu(uint32_t ifindex, uint32_t *mtu)
{
	struct ifreq link = {.ifr_ifindex = (int)ifindex};
	int sock = syscall(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = 0;

	if (sock < 0)
		return -errno;
	if (syscall(SYS_ioctl, sock, SIOCGIFNAME, &link) ||
	    syscall(SYS_ioctl, sock, SIOCGIFMTU, &link))
		rc = -errno;
	else
		*mtu = link.ifr_mtu;
	syscall(SYS_close, sock);
	return rc;
}

int route_mtu(const uint8_t *packet, uint32_t mark, uint32_t ifindex)
{
	char buf[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct answer a = {.ifindex = ifindex};
	uint32_t mtu = 0;
	int rc = 0;

	if (!ifindex) {
		put_question(nlh, packet, mark);
		rc = netlink_ask(nlh, take, &a);
	}
	if (!rc)
		rc = link_mtu(a.ifindex, &mtu);
	if (rc)
		return rc;
	if (a.mtu && a.mtu < mtu)
		mtu = a.mtu;
	return mtu < 65535 ? mtu : 65535;
}
