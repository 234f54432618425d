/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The plain NFQUEUE program: the loop that libnetfilter_queue's documentation shows (its example
 * nf-queue.c), without the output for each packet and without the connection mark. Each packet is
 * copied to this program, takes one receive and one verdict, and is accepted unchanged.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "passed.h"

static struct mnl_socket *nl;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void send_message(const struct nlmsghdr *nlh)
{
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		fail("mnl_socket_sendto");
}

static int on_packet(const struct nlmsghdr *nlh, void *data)
{
	const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(nlh);
	const struct nfqnl_msg_packet_hdr *ph;
	struct nlattr *attr[NFQA_MAX + 1] = {0};
	char buf[256];
	struct nlmsghdr *verdict;

	if (nfq_nlmsg_parse(nlh, attr) < 0 || !attr[NFQA_PACKET_HDR])
		return MNL_CB_ERROR;
	ph = mnl_attr_get_payload(attr[NFQA_PACKET_HDR]);

	verdict = nfq_nlmsg_put(buf, NFQNL_MSG_VERDICT, ntohs(nfg->res_id));
	nfq_nlmsg_verdict_put(verdict, (int)ntohl(ph->packet_id), NF_ACCEPT);
	send_message(verdict);
	passed[0].n++;
	return MNL_CB_OK;
}

static void configure(uint16_t queue, char *buf)
{
	struct nlmsghdr *nlh;

	nlh = nfq_nlmsg_put(buf, NFQNL_MSG_CONFIG, queue);
	nfq_nlmsg_cfg_put_cmd(nlh, AF_INET, NFQNL_CFG_CMD_BIND);
	send_message(nlh);

	nlh = nfq_nlmsg_put(buf, NFQNL_MSG_CONFIG, queue);
	nfq_nlmsg_cfg_put_params(nlh, NFQNL_COPY_PACKET, 0xffff);
	send_message(nlh);
}

int main(int argc, char **argv)
{
	const size_t size = 0xffff + (size_t)MNL_SOCKET_BUFFER_SIZE / 2;
	char *buf = malloc(size);
	unsigned int portid;
	ssize_t n;
	int on = 1;

	if (argc != 2) {
		fputs("usage: nfq_plain QUEUE\n", stderr);
		return 2;
	}
	if (!buf)
		fail("malloc");
	nl = mnl_socket_open(NETLINK_NETFILTER);
	if (!nl)
		fail("mnl_socket_open");
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		fail("mnl_socket_bind");
	portid = mnl_socket_get_portid(nl);
	configure((uint16_t)atoi(argv[1]), buf);
	mnl_socket_setsockopt(nl, NETLINK_NO_ENOBUFS, &on, sizeof(on));
	ready();

	for (;;) {
		n = mnl_socket_recvfrom(nl, buf, size);
		if (n < 0)
			fail("mnl_socket_recvfrom");
		if (mnl_cb_run(buf, (size_t)n, 0, portid, on_packet, NULL) < 0)
			fail("mnl_cb_run");
	}
}
