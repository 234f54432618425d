// SPDX-License-Identifier: BSD-2-Clause
/*
 * Firewall rules as on Linux 2.2: setsockopt(2) on a raw socket, at level IPPROTO_IP. The Divert
 * Sockets mini-HOWTO's example adds its own this way if built with -DFIREWALL.
 */
#include "interpose/firewall.h"
#include "interpose/next.h"

#include "include/compat/linux/ip_fw.h"

#include <fcntl.h>
#include <stddef.h>

/* NULL in a libdivert without rules; then the option goes to the kernel. */
__attribute__((weak)) int divert_firewall(int name, const void *value, socklen_t len);

/* The length distinguishes these from iptables' options, whose numbers begin at 64, too. */
static const socklen_t lengths[] = {
	[IP_FW_APPEND - IP_FW_BASE_CTL] = sizeof(struct ip_fwchange),
	[IP_FW_REPLACE - IP_FW_BASE_CTL] = sizeof(struct ip_fwnew),
	[IP_FW_DELETE_NUM - IP_FW_BASE_CTL] = sizeof(struct ip_fwdelnum),
	[IP_FW_DELETE - IP_FW_BASE_CTL] = sizeof(struct ip_fwchange),
	[IP_FW_INSERT - IP_FW_BASE_CTL] = sizeof(struct ip_fwnew),
	[IP_FW_FLUSH - IP_FW_BASE_CTL] = sizeof(ip_chainlabel),
	[IP_FW_ZERO - IP_FW_BASE_CTL] = sizeof(ip_chainlabel),
	[IP_FW_CHECK - IP_FW_BASE_CTL] = sizeof(struct ip_fwtest),
	[IP_FW_MASQ_TIMEOUTS - IP_FW_BASE_CTL] = 3 * sizeof(int),
	[IP_FW_CREATECHAIN - IP_FW_BASE_CTL] = sizeof(ip_chainlabel),
	[IP_FW_DELETECHAIN - IP_FW_BASE_CTL] = sizeof(ip_chainlabel),
	[IP_FW_POLICY - IP_FW_BASE_CTL] = sizeof(struct ip_fwpolicy),
};

bool is_firewall_option(int level, int name, socklen_t len)
{
	const unsigned int index = (unsigned int)name - IP_FW_BASE_CTL;

	return level == IPPROTO_IP && index < sizeof(lengths) / sizeof(lengths[0]) &&
	       len == lengths[index] && divert_firewall;
}

int set_firewall_option(int fd, int name, const void *value, socklen_t len)
{
	/* EBADF takes precedence */
	if (NEXT(fcntl)(fd, F_GETFD) < 0)
		return -1;
	return divert_firewall(name, value, len);
}
