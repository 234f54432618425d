// SPDX-License-Identifier: BSD-2-Clause
/* Sending: from the program to the way back. */
#include <errno.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "address.h"
#include "checksum.h"
#include "divert.h"
#include "engine/back.h"
#include "iface.h"
#include "route.h"
#include "socket.h"
#include "whole.h"

#define FLAGS	     (MSG_DONTWAIT | MSG_NOSIGNAL | MSG_DONTROUTE | MSG_EOR | MSG_CONFIRM | MSG_MORE)
#define HEADER4	     20
#define HEADER6	     40
#define HEADER4_MAX  60
#define PACKET_MAX   65535
#define IOV_MAX_HERE 64	  /* pieces of a packet */
#define COPY_MAX     2048 /* bytes: a frame up to this is sent in one piece */

/* A frame on its way to the kernel, in pieces. */
struct outgoing {
	struct divert_frame frame;
	uint8_t header[HEADER4_MAX]; /* a copy, where it has to be changed */
	struct iovec iov[IOV_MAX_HERE + 2];
	size_t iovs;
	const uint8_t *packet; /* its IP header, whole */
	uint32_t len;
};

/* The first n bytes of the pieces, in one piece: there, or copied to room. NULL: there are fewer. */
static const uint8_t *pull(const struct iovec *iov, size_t iovs, uint8_t *room, size_t n)
{
	size_t have = 0, part;

	if (iovs && iov->iov_len >= n)
		return iov->iov_base;
	for (; iovs && have < n; iov++, iovs--) {
		part = iov->iov_len < n - have ? iov->iov_len : n - have;
		memcpy(room + have, iov->iov_base, part);
		have += part;
	}
	return have == n ? room : NULL;
}

static size_t total(const struct iovec *iov, size_t iovs)
{
	size_t n = 0;

	while (iovs--)
		n += iov[iovs].iov_len;
	return n;
}

/* What divert(4) and the stack ask of a header, before anything is looked at in it. */
static int check(const struct dsock *s, struct outgoing *o, const struct iovec *iov, size_t iovs)
{
	size_t len = total(iov, iovs), head, said;
	const uint8_t *p;

	if (iovs > IOV_MAX_HERE || len > s->shared->sndbuf || len > PACKET_MAX)
		return -EMSGSIZE;
	if (len < HEADER4)
		return -EINVAL;
	p = pull(iov, iovs, o->header, HEADER4);
	switch (p[0] >> 4) {
	case 4:
		head = (p[0] & 15) * 4;
		said = p[2] << 8 | p[3];
		if (head < HEADER4 || said < head)
			return -EINVAL;
		o->frame.protocol = htons(ETHERTYPE_IP);
		break;
	case 6:
		head = HEADER6;
		said = HEADER6 + (p[4] << 8 | p[5]);
		o->frame.protocol = htons(ETHERTYPE_IPV6);
		break;
	default:
		return -EINVAL;
	}
	if (len < head || said > len)
		return -EINVAL;
	o->packet = pull(iov, iovs, o->header, head);
	o->len = said; /* what is behind is no part of the packet: the stack cuts it off, too */
	return 0;
}

/* The frame's pieces: header, the IP header's copy if it is one, and the rest of the packet. */
static void gather(struct outgoing *o, const struct iovec *iov, size_t iovs)
{
	size_t skip = 0, left = o->len, part;

	o->iov[0] = (struct iovec){&o->frame, sizeof(o->frame)};
	o->iovs = 1;
	if (o->packet == o->header) {
		skip = o->packet[0] >> 4 == 4 ? (o->packet[0] & 15) * 4 : HEADER6;
		o->iov[o->iovs++] = (struct iovec){o->header, skip};
		left -= skip;
	}
	for (; iovs && left; iov++, iovs--) {
		if (skip >= iov->iov_len) {
			skip -= iov->iov_len;
			continue;
		}
		part = iov->iov_len - skip < left ? iov->iov_len - skip : left;
		o->iov[o->iovs++] = (struct iovec){(char *)iov->iov_base + skip, part};
		left -= part;
		skip = 0;
	}
}

/* Outbound, the header checksum is ours to make right. */
static void fix_header(struct outgoing *o)
{
	if (o->packet[0] >> 4 != 4 || checksum_ip4_ok(o->packet))
		return;
	if (o->packet != o->header)
		memcpy(o->header, o->packet, (o->packet[0] & 15) * 4);
	checksum_ip4_set(o->header);
	o->packet = o->header;
}

static int nonblocking(int fd, int flags)
{
	return flags & MSG_DONTWAIT || fcntl(fd, F_GETFL) & O_NONBLOCK;
}

/* Why the kernel half refused the last frame; 0: it did not. */
static int refusal(const struct dsock *s)
{
	uint32_t error = 0;

	if (bpf_map_lookup_elem(s->errors, &s->back, &error))
		return 0;
	bpf_map_delete_elem(s->errors, &s->back);
	return error;
}

/*
 * Not by the C library's functions: they may be the interposer's, which need not
 * look at these. One piece is less work for the kernel than several: small packets are copied
 * to be one.
 */
static ssize_t send_frame(const struct dsock *s, const struct outgoing *o, int flags)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)o->iov, .msg_iovlen = o->iovs};
	uint8_t whole[COPY_MAX];
	size_t i, n = 0;

	if (o->len + sizeof(o->frame) > COPY_MAX)
		return syscall(SYS_sendmsg, s->back, &msg, flags);
	for (i = 0; i < o->iovs; n += o->iov[i++].iov_len)
		memcpy(whole + n, o->iov[i].iov_base, o->iov[i].iov_len);
	return syscall(SYS_sendto, s->back, whole, n, flags, NULL, 0);
}

static int push(const struct dsock *s, int fd, const struct outgoing *o, int flags)
{
	int error;

	/* whether it may wait is asked only when it would have to */
	if (send_frame(s, o, MSG_DONTWAIT) >= 0)
		return 0;
	if (errno == EAGAIN && !nonblocking(fd, flags) && send_frame(s, o, 0) >= 0)
		return 0;
	error = errno;
	if (error == ENOBUFS) {
		error = refusal(s);
		return error ? -error : -ENOBUFS;
	}
	return error == ENXIO ? -ENETDOWN : -error;
}

void socket_count_losses(const struct dsock *s, enum divert_cause cause, uint32_t n)
{
	struct divert_frame frame;

	back_frame(&frame, ETHERTYPE_IP);
	frame.back.flags |= DIVERT_BACK_COUNT;
	frame.back.ifindex = cause;
	frame.back.mark = n;
	syscall(SYS_sendto, s->back, &frame, sizeof(frame), MSG_DONTWAIT, NULL, 0);
}

void socket_count_loss(const struct dsock *s, enum divert_cause cause)
{
	socket_count_losses(s, cause, 1);
}

int socket_set(const struct dsock *s, enum divert_set what, uint32_t of, uint32_t value)
{
	struct divert_frame frame;

	back_frame(&frame, ETHERTYPE_IP);
	frame.back.flags |= DIVERT_BACK_SET;
	frame.back.tag = what;
	frame.back.ifindex = of;
	frame.back.mark = value;
	if (syscall(SYS_sendto, s->back, &frame, sizeof(frame), 0, NULL, 0) >= 0)
		return 0;
	return errno == ENOBUFS ? -refusal(s) : -errno;
}

/* Source or destination address of the packet, and its length. */
static const uint8_t *address_of(const struct outgoing *o, int destination, size_t *len)
{
	int v6 = o->packet[0] >> 4 == 6;

	*len = v6 ? 16 : 4;
	return o->packet + (v6 ? 8 : 12) + (destination ? *len : 0);
}

/* The kernel half knows no way: to this host, to many, or to nobody. */
static int push_again(struct dsock *s, int fd, struct outgoing *o, int flags)
{
	uint32_t ifindex = 0;
	const uint8_t *dst;
	size_t len;
	int rc = route_ask(o->packet, o->frame.back.mark, &ifindex);

	switch (rc) {
	case ROUTE_LOCAL:
		o->frame.back.flags |= DIVERT_BACK_LOCAL;
		dst = address_of(o, 1, &len);
		iface_learn_local(dst, len);
		break;
	case ROUTE_LINK:
		o->frame.back.flags |= DIVERT_BACK_LINK;
		o->frame.back.ifindex = ifindex;
		break;
	case ROUTE_HOST:
		break;
	default:
		socket_count_loss(s, DIVERT_N_NO_ROUTE);
		return rc;
	}
	rc = push(s, fd, o, flags);
	if (rc == -ENETUNREACH)
		socket_count_loss(s, DIVERT_N_NO_ROUTE);
	return rc;
}

/*
 * The link that a packet leaves on which no route tells: what IP_MULTICAST_IF says, where one like
 * it came from, or the one that its source address is on. 0: the routes are asked after all.
 */
static uint32_t link_of(const struct dsock *s, const struct outgoing *o)
{
	uint32_t link = socket_multicast(s, o->packet);
	const uint8_t *src;
	struct in6_addr six;
	in_addr_t four;
	int guessed;
	size_t len;

	if (!link)
		link = recall_link(&s->recall, o->packet, o->len);
	if (link)
		return link;
	src = address_of(o, 0, &len);
	if (len == sizeof(four)) {
		memcpy(&four, src, len);
		return four ? iface_by_addr4(four, &guessed) : 0;
	}
	memcpy(&six, src, len);
	return IN6_IS_ADDR_UNSPECIFIED(&six) ? 0 : iface_by_addr6(&six, &guessed);
}

static int push_out(struct dsock *s, int fd, struct outgoing *o, const struct destination *to,
		    int flags)
{
	uint32_t link = recall_needs_link(o->packet) ? link_of(s, o) : 0;
	const uint8_t *dst;
	size_t len;
	int rc;

	o->frame.back.flags |= DIVERT_BACK_OUT;
	if (link) {
		o->frame.back.flags |= DIVERT_BACK_LINK;
		o->frame.back.ifindex = link;
		rc = push(s, fd, o, flags);
		if (rc != -ENXIO)
			return rc;
		/* that link is gone: is there another? */
		o->frame.back.flags &= ~DIVERT_BACK_LINK;
		o->frame.back.ifindex = to->ifindex;
	}
	dst = address_of(o, 1, &len);
	if (iface_is_local(dst, len))
		o->frame.back.flags |= DIVERT_BACK_LOCAL;
	rc = push(s, fd, o, flags);
	if (rc == -ENETUNREACH)
		rc = push_again(s, fd, o, flags);
	return rc == -ENXIO ? -ENETUNREACH : rc;
}

/* DIVERT_BACK_ETHERTYPE, where the interface lets it pass; each thread knows some that do not. */
static int push_typeless(const struct dsock *s, int fd, struct outgoing *o, int flags)
{
	static __thread uint32_t need_type[16];
	uint32_t ifindex = o->frame.back.ifindex, slot = ifindex % 16;
	const uint16_t type = o->frame.protocol;
	int rc;

	if (need_type[slot] != ifindex) {
		o->frame.protocol = htons(DIVERT_BACK_ETHERTYPE);
		rc = push(s, fd, o, flags);
		o->frame.protocol = type;
		if (rc != -EPROTOTYPE)
			return rc;
		need_type[slot] = ifindex;
	}
	return push(s, fd, o, flags);
}

/* Without waiting: it is a receive that does this, and the loss is counted as one of fragments. */
void socket_write_back(struct dsock *s, const struct divert_record *rec, uint16_t tag)
{
	struct iovec iov = {(void *)(rec + 1), rec->len};
	struct destination to = {.ifindex = rec->ifindex};
	struct outgoing o;
	int rc;

	back_frame(&o.frame, rec->flags & DIVERT_REC_V6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP);
	o.packet = iov.iov_base;
	o.len = rec->len;
	o.frame.back.tag = tag;
	o.frame.back.hops = rec->hops;
	o.frame.back.mark = rec->mark;
	o.frame.back.ifindex = rec->ifindex;
	gather(&o, &iov, 1);
	if (!(rec->flags & DIVERT_REC_OUT)) {
		rc = push_typeless(s, -1, &o, MSG_DONTWAIT);
	} else if (recall_needs_link(o.packet)) {
		o.frame.back.flags |= DIVERT_BACK_OUT | DIVERT_BACK_LINK;
		o.frame.back.ifindex = rec->oif;
		rc = push(s, -1, &o, MSG_DONTWAIT);
	} else {
		rc = push_out(s, -1, &o, &to, MSG_DONTWAIT);
	}
	if (rc == -EAGAIN || rc == -ENOBUFS)
		socket_count_loss(s, DIVERT_N_FRAG_FULL);
}

static int read_address(const struct dsock *s, const struct sockaddr *addr, socklen_t len,
			struct destination *to)
{
	int rc = address_read(s, addr, len, to);

	if (rc == -EADDRNOTAVAIL)
		socket_count_loss(s, DIVERT_N_NO_INTERFACE);
	return rc;
}

static int push_in(struct dsock *s, int fd, struct outgoing *o, struct destination *to,
		   const struct sockaddr *addr, socklen_t addrlen, int flags)
{
	int rc;

	if (o->packet[0] >> 4 == 4 && !checksum_ip4_ok(o->packet)) {
		socket_count_loss(s, DIVERT_N_BAD_CHECKSUM);
		return 0; /* divert(4): dropped, which is no error */
	}
	rc = push_typeless(s, fd, o, flags);
	if (rc != -ENXIO || !to->guessed)
		return rc == -ENXIO ? -EADDRNOTAVAIL : rc;
	/* the interface has gone, and perhaps come back as another */
	iface_forget();
	rc = read_address(s, addr, addrlen, to);
	if (rc)
		return rc;
	o->frame.back.ifindex = to->ifindex;
	rc = push_typeless(s, fd, o, flags);
	return rc == -ENXIO ? -EADDRNOTAVAIL : rc;
}

static ssize_t send_iov(struct dsock *s, int fd, const struct iovec *iov, size_t iovs, int flags,
			const struct sockaddr *addr, socklen_t addrlen)
{
	struct destination to;
	struct outgoing o;
	int rc;

	if (s->shared->shut_write)
		return -EPIPE;
	if (flags & ~FLAGS)
		return -EOPNOTSUPP;
	back_frame(&o.frame, 0);
	rc = check(s, &o, iov, iovs);
	if (!rc)
		rc = read_address(s, addr, addrlen, &to);
	if (rc)
		return rc;
	o.frame.back.tag = to.tag;
	o.frame.back.ifindex = to.ifindex;
	o.frame.back.mark = s->shared->on & SOCKET_MARK
				    ? s->shared->fwmark
				    : recall_mark(&s->recall, o.packet, o.len, to.tag, to.out);
	if (to.out)
		fix_header(&o);
	gather(&o, iov, iovs);
	rc = to.out ? push_out(s, fd, &o, &to, flags)
		    : push_in(s, fd, &o, &to, addr, addrlen, flags);
	return rc ? rc : (ssize_t)total(iov, iovs);
}

ssize_t divert_sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *to,
		      socklen_t tolen)
{
	struct iovec iov = {(void *)buf, len};
	struct dsock *s = socket_get(fd);
	ssize_t n;

	if (!s)
		return -1;
	n = send_iov(s, fd, &iov, 1, flags, to, tolen);
	socket_put(s);
	return n < 0 ? fail(-n) : n;
}

ssize_t divert_send(int fd, const void *buf, size_t len, int flags)
{
	return divert_sendto(fd, buf, len, flags, NULL, 0);
}

ssize_t divert_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct dsock *s = socket_get(fd);
	ssize_t n;

	if (!s)
		return -1;
	n = send_iov(s, fd, msg->msg_iov, msg->msg_iovlen, flags, msg->msg_name, msg->msg_namelen);
	socket_put(s);
	return n < 0 ? fail(-n) : n;
}

int divert_sendmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags)
{
	struct dsock *s = socket_get(fd);
	const struct msghdr *m;
	unsigned int i;
	ssize_t rc = 0;

	if (!s)
		return -1;
	for (i = 0; i < n; i++) {
		m = &msgs[i].msg_hdr;
		rc = send_iov(s, fd, m->msg_iov, m->msg_iovlen, flags, m->msg_name, m->msg_namelen);
		if (rc < 0)
			break;
		msgs[i].msg_len = rc;
	}
	socket_put(s);
	return i ? (int)i : rc < 0 ? fail(-rc) : 0;
}
