// SPDX-License-Identifier: BSD-2-Clause
#include "netlink.h"

#include <errno.h>
#include <sys/socket.h>

int netlink_ask(const struct nlmsghdr *question, mnl_cb_t cb, void *data)
{
	char buf[MNL_SOCKET_BUFFER_SIZE];
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int more = question->nlmsg_flags & NLM_F_DUMP, error = 0, rc;
	ssize_t n;

	if (!nl)
		return -errno;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) ||
	    mnl_socket_sendto(nl, question, question->nlmsg_len) < 0) {
		error = errno;
	} else {
		do {
			n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
			rc = n < 0 ? -1 : mnl_cb_run(buf, n, 0, 0, cb, data);
		} while (rc > 0 && more);
		if (rc < 0)
			error = errno;
	}
	mnl_socket_close(nl);
	return -error;
}
