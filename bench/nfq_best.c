/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NFQUEUE at its best: one recvmmsg receives up to 64 packets, and one send carries their verdicts.
 *
 * With the option -p each verdict carries the packet's bytes, as a program does that changes
 * packets. The bytes go from the receive buffer to the kernel without a copy in between. Without -p
 * one verdict accepts all of the packets unchanged.
 *
 * The packets come as the kernel has them (GSO). The socket buffer and the queue are large. Packets
 * that do not fit are dropped; they do not bypass the queue.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/ip.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "passed.h"

#define MANY	     64
/* the odd line keeps them from sharing one set of the cache */
#define ROOM	     (17 * 4096 + 64)
#define QUEUE_LEN    8192
#define SOCKET_BYTES (32 << 20)
#define SEND_BYTES   (256 << 10) /* bytes of one send: the kernel copies them once more */

/* All of a verdict except the packet. */
struct head {
	struct nlmsghdr nlh;
	struct nfgenmsg nfg;
	struct nlattr verdict_attr;
	struct nfqnl_msg_verdict_hdr verdict;
	struct nlattr payload_attr;
};

static struct mnl_socket *nl;
static uint16_t queue;

static void send_message(const struct nlmsghdr *nlh)
{
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		err(1, "mnl_socket_sendto");
}

static void send_all(struct iovec *iov, size_t n)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct msghdr msg = {.msg_name = &kernel,
			     .msg_namelen = sizeof(kernel),
			     .msg_iov = iov,
			     .msg_iovlen = n};

	if (n && sendmsg(mnl_socket_get_fd(nl), &msg, 0) < 0)
		err(1, "sendmsg");
}

static void fill(struct head *h, uint16_t type, uint32_t id, size_t payload)
{
	*h = (struct head){
		.nlh = {.nlmsg_len = (uint32_t)(sizeof(*h) + payload),
			.nlmsg_type = (NFNL_SUBSYS_QUEUE << 8) | type,
			.nlmsg_flags = NLM_F_REQUEST},
		.nfg = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(queue)},
		.verdict_attr = {.nla_len = sizeof(h->verdict_attr) + sizeof(h->verdict),
				 .nla_type = NFQA_VERDICT_HDR},
		.verdict = {.verdict = htonl(NF_ACCEPT), .id = id},
		.payload_attr = {.nla_len = (uint16_t)(sizeof(h->payload_attr) + payload),
				 .nla_type = NFQA_PAYLOAD},
	};
}

/* id: network order */
static void accept_up_to(uint32_t id)
{
	struct iovec iov;
	struct head h;

	fill(&h, NFQNL_MSG_VERDICT_BATCH, id, 0);
	h.nlh.nlmsg_len = offsetof(struct head, payload_attr);
	iov = (struct iovec){.iov_base = &h, .iov_len = h.nlh.nlmsg_len};
	send_all(&iov, 1);
}

/* The sum of 16-bit words as they lie in memory, added to another sum. */
static uint64_t add(uint64_t sum, const uint8_t *p, size_t len)
{
	uint32_t word = 0;

	for (; len >= sizeof(word); p += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		sum += word;
	}
	word = 0;
	memcpy(&word, p, len);
	return sum + word;
}

/*
 * Complete a checksum that the kernel has left to the network card. When a packet comes back with
 * new bytes, the kernel assumes that the program has done so.
 */
static void complete(uint8_t *packet, size_t len)
{
	const struct iphdr *ip = (struct iphdr *)packet;
	const uint16_t protocol = htons(ip->protocol);
	size_t field, start;
	uint16_t sum, transport_len;
	uint64_t wide;

	if (len < sizeof(*ip) || ip->version != 4)
		return;
	start = ip->ihl * 4;
	field = start + (ip->protocol == IPPROTO_TCP ? 16 : 6);
	if ((ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP) || len < field + 2)
		return;
	memset(packet + field, 0, sizeof(sum));
	transport_len = htons((uint16_t)(len - start));
	wide = add(0, (const uint8_t *)&ip->saddr, 8) + protocol + transport_len;
	wide = add(wide, packet + start, len - start);
	while (wide >> 16)
		wide = (wide & 0xffff) + (wide >> 16);
	sum = (uint16_t)~wide;
	if (!sum)
		sum = 0xffff;
	memcpy(packet + field, &sum, sizeof(sum));
}

/* Find the packet in a message, and its id in network order. With whole, complete its checksum. */
static const struct nlattr *parse(const struct mmsghdr *m, uint32_t *id, bool whole)
{
	const struct nlmsghdr *nlh = m->msg_hdr.msg_iov->iov_base;
	const struct nfqnl_msg_packet_hdr *ph;
	struct nlattr *attr[NFQA_MAX + 1] = {0};

	if (!mnl_nlmsg_ok(nlh, (int)m->msg_len))
		errx(1, "a message of %u bytes is none", m->msg_len);
	if (nlh->nlmsg_type == NLMSG_ERROR)
		errx(1, "the kernel refused a message");
	if (nfq_nlmsg_parse(nlh, attr) < 0 || !attr[NFQA_PACKET_HDR] || !attr[NFQA_PAYLOAD])
		errx(1, "a message without a packet");
	ph = mnl_attr_get_payload(attr[NFQA_PACKET_HDR]);
	*id = ph->packet_id;
	if (whole && attr[NFQA_SKB_INFO] &&
	    (ntohl(mnl_attr_get_u32(attr[NFQA_SKB_INFO])) & NFQA_SKB_CSUMNOTREADY))
		complete(mnl_attr_get_payload(attr[NFQA_PAYLOAD]),
			 mnl_attr_get_payload_len(attr[NFQA_PAYLOAD]));
	return attr[NFQA_PAYLOAD];
}

static void accept_as_they_are(const struct mmsghdr *msgs, int n)
{
	uint32_t id;

	parse(&msgs[n - 1], &id, false);
	accept_up_to(id);
}

static void accept_replaced(const struct mmsghdr *msgs, int n)
{
	static struct head heads[MANY];
	struct iovec iov[2 * MANY];
	const struct nlattr *packet;
	size_t len, bytes = 0, used = 0;
	uint32_t id;

	for (int i = 0; i < n; i++) {
		packet = parse(&msgs[i], &id, true);
		len = mnl_attr_get_payload_len(packet);
		if (bytes + len > SEND_BYTES) {
			send_all(iov, used);
			bytes = used = 0;
		}
		fill(&heads[i], NFQNL_MSG_VERDICT, id, len);
		iov[used++] = (struct iovec){.iov_base = &heads[i], .iov_len = sizeof(heads[i])};
		/* including the bytes behind it, up to the next message's place; they exist */
		iov[used++] = (struct iovec){.iov_base = mnl_attr_get_payload(packet),
					     .iov_len = MNL_ALIGN(len)};
		bytes += sizeof(heads[i]) + MNL_ALIGN(len);
	}
	send_all(iov, used);
}

static void configure(void)
{
	const uint32_t flags = NFQA_CFG_F_GSO | NFQA_CFG_F_FAIL_OPEN;
	const int size = SOCKET_BYTES, on = 1;
	char buf[256];
	struct nlmsghdr *nlh;
	int fd = mnl_socket_get_fd(nl);

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		err(1, "a large socket buffer");
	mnl_socket_setsockopt(nl, NETLINK_NO_ENOBUFS, (void *)&on, sizeof(on));

	nlh = nfq_nlmsg_put(buf, NFQNL_MSG_CONFIG, queue);
	nfq_nlmsg_cfg_put_cmd(nlh, AF_INET, NFQNL_CFG_CMD_BIND);
	send_message(nlh);
	nlh = nfq_nlmsg_put(buf, NFQNL_MSG_CONFIG, queue);
	nfq_nlmsg_cfg_put_params(nlh, NFQNL_COPY_PACKET, 0xffff);
	mnl_attr_put_u32(nlh, NFQA_CFG_FLAGS, htonl(NFQA_CFG_F_GSO));
	mnl_attr_put_u32(nlh, NFQA_CFG_MASK, htonl(flags));
	nfq_nlmsg_cfg_put_qmaxlen(nlh, QUEUE_LEN);
	send_message(nlh);
}

static void loop(bool replace)
{
	char *buf = malloc((size_t)MANY * ROOM);
	struct mmsghdr msgs[MANY];
	struct iovec iov[MANY];
	int i, n;

	if (!buf)
		err(1, "malloc");
	for (i = 0; i < MANY; i++) {
		iov[i] = (struct iovec){.iov_base = buf + (size_t)i * ROOM, .iov_len = ROOM};
		msgs[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
	}
	for (;;) {
		n = recvmmsg(mnl_socket_get_fd(nl), msgs, MANY, MSG_WAITFORONE, NULL);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			err(1, "recvmmsg");
		}
		if (replace)
			accept_replaced(msgs, n);
		else
			accept_as_they_are(msgs, n);
		passed[0].n += (unsigned int)n;
	}
}

int main(int argc, char **argv)
{
	const bool replace = argc == 3 && !strcmp(argv[1], "-p");

	if (argc != 2 && !replace)
		errx(2, "usage: nfq_best [-p] QUEUE");
	queue = (uint16_t)atoi(argv[argc - 1]);
	nl = mnl_socket_open(NETLINK_NETFILTER);
	if (!nl)
		err(1, "mnl_socket_open");
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		err(1, "mnl_socket_bind");
	configure();
	ready();
	loop(replace);
}
