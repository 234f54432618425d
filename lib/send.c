// SPDX-License-Identifier: BSD-2-Clause
/* Sending: from a packet and where it is to go to the way back. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "address.h"
#include "batch.h"
#include "bias.h"
#include "checksum.h"
#include "defer.h"
#include "divert.h"
#include "engine/back.h"
#include "fragment.h"
#include "iface.h"
#include "order.h"
#include "outgoing.h"
#include "route.h"
#include "socket.h"
#include "whole.h"

#define FLAGS	 (MSG_DONTWAIT | MSG_NOSIGNAL | MSG_DONTROUTE | MSG_EOR | MSG_CONFIRM | MSG_MORE)
#define COPY_MAX 2048 /* bytes: a frame up to this is sent in one piece */

#define INFO_FLAGS                                                                                 \
	(DIVERT_INFO_OUT | DIVERT_INFO_FORWARDED | DIVERT_INFO_TEE | DIVERT_INFO_REASSEMBLED)

static int nonblocking(int fd, int flags)
{
	return flags & MSG_DONTWAIT || fcntl(fd, F_GETFL) & O_NONBLOCK;
}

uint32_t socket_refusal(const struct dsock *s, int back)
{
	uint32_t error = 0;

	if (bpf_map_lookup_elem(s->errors, &back, &error))
		return 0;
	bpf_map_delete_elem(s->errors, &back);
	return error;
}

/*
 * Not by the C library's functions: they may be the interposer's, which need not
 * look at these. One piece is less work for the kernel than several: small packets are copied
 * to be one.
 */
static ssize_t send_frame(int back, const struct outgoing *o, int flags)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)o->iov, .msg_iovlen = o->iovs};
	uint8_t whole[COPY_MAX];
	size_t i, n = 0;

	if (o->len + sizeof(o->frame) > COPY_MAX || o->gso_size)
		return syscall(SYS_sendmsg, back, &msg, flags);
	for (i = 0; i < o->iovs; n += o->iov[i++].iov_len)
		memcpy(whole + n, o->iov[i].iov_base, o->iov[i].iov_len);
	return syscall(SYS_sendto, back, whole, n, flags, NULL, 0);
}

static int push(const struct dsock *s, int fd, struct outgoing *o, int flags)
{
	int back = o->gso_size ? s->back_gso : s->back, error;
	ssize_t n = send_frame(back, o, MSG_DONTWAIT);

	/* whether it may wait is asked only when it would have to */
	if (n < 0 && errno == EAGAIN && !nonblocking(fd, flags))
		n = send_frame(back, o, 0);
	if (n >= 0) {
		o->plain = !(o->frame.back.flags & DIVERT_BACK_OUT) ||
			   !(o->frame.back.flags & (DIVERT_BACK_LINK | DIVERT_BACK_LOCAL));
		return 0;
	}
	error = errno;
	if (error == ENOBUFS) {
		error = socket_refusal(s, back);
		if (error == EINPROGRESS) /* it waits for its neighbour */
			return 0;
		return error ? -error : -ENOBUFS;
	}
	return error == ENXIO ? -ENETDOWN : -error;
}

void socket_count_losses(const struct dsock *s, enum divert_cause cause, uint32_t n)
{
	struct divert_frame frame;

	back_frame(&frame, ETH_P_IP);
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

	back_frame(&frame, ETH_P_IP);
	frame.back.flags |= DIVERT_BACK_SET;
	frame.back.tag = what;
	frame.back.ifindex = of;
	frame.back.mark = value;
	if (syscall(SYS_sendto, s->back, &frame, sizeof(frame), 0, NULL, 0) >= 0)
		return 0;
	return errno == ENOBUFS ? -(int)socket_refusal(s, s->back) : -errno;
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
static uint32_t link_of(const struct dsock *s, const struct outgoing *o, const struct order *order)
{
	uint32_t link = order->info && order->info->out_ifindex ? order->info->out_ifindex
								: socket_multicast(s, o->packet);
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
		    const struct order *order, int flags)
{
	uint32_t link = recall_needs_link(o->packet) ? link_of(s, o, order) : 0;
	const uint8_t *dst;
	size_t len;
	int rc;

	o->frame.back.flags |= DIVERT_BACK_OUT;
	if (link) {
		o->frame.back.flags |= DIVERT_BACK_LINK | DIVERT_BACK_GUESS;
		o->frame.back.ifindex = link;
		rc = push(s, fd, o, flags);
		if (rc != -ENXIO)
			return rc;
		/* that link is gone: is there another? */
		o->frame.back.flags &= ~(DIVERT_BACK_LINK | DIVERT_BACK_GUESS);
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

/*
 * Interfaces without a link header, as far as the process has met them: a packet has to tell its type there.
 * One that is forgotten for another, or is of another network namespace, costs a packet a second try.
 */
static uint32_t need_type[16];
#define NEED_TYPE(ifindex) (&need_type[(ifindex) % 16])

static bool needs_type(uint32_t ifindex)
{
	return __atomic_load_n(NEED_TYPE(ifindex), __ATOMIC_RELAXED) == ifindex;
}

/* DIVERT_BACK_ETHERTYPE, where the interface lets it pass. */
static int push_typeless(const struct dsock *s, int fd, struct outgoing *o, int flags)
{
	uint32_t ifindex = o->frame.back.ifindex;
	const uint16_t type = o->frame.protocol;
	int rc;

	/* a large one is taken apart in any case, by its type */
	if (!needs_type(ifindex) && !o->gso_size) {
		o->frame.protocol = htons(DIVERT_BACK_ETHERTYPE);
		rc = push(s, fd, o, flags);
		o->frame.protocol = type;
		if (rc != -EPROTOTYPE)
			return rc;
		__atomic_store_n(NEED_TYPE(ifindex), ifindex, __ATOMIC_RELAXED);
	}
	return push(s, fd, o, flags);
}

/* Without waiting: it is a receive that does this, and the loss is counted as one of fragments. */
void socket_write_back(struct dsock *s, const struct divert_record *rec, uint16_t tag)
{
	struct iovec iov = {(void *)(rec + 1), rec->len};
	struct destination to = {.ifindex = rec->ifindex};
	struct order order = {};
	struct outgoing o;
	int rc;

	back_frame(&o.frame, rec->flags & DIVERT_REC_V6 ? ETH_P_IPV6 : ETH_P_IP);
	o.packet = iov.iov_base;
	o.len = rec->len;
	o.copied = 0;
	o.gso_size = 0;
	o.frame.back.tag = tag;
	o.frame.back.hops = rec->hops;
	o.frame.back.mark = rec->mark;
	o.frame.back.ifindex = rec->ifindex;
	outgoing_gather(&o, &iov, 1);
	if (!(rec->flags & DIVERT_REC_OUT)) {
		rc = push_typeless(s, -1, &o, MSG_DONTWAIT);
	} else if (recall_needs_link(o.packet)) {
		o.frame.back.flags |= DIVERT_BACK_OUT | DIVERT_BACK_LINK;
		o.frame.back.ifindex = rec->oif;
		rc = push(s, -1, &o, MSG_DONTWAIT);
	} else {
		rc = push_out(s, -1, &o, &to, &order, MSG_DONTWAIT);
	}
	if (rc == -EAGAIN || rc == -ENOBUFS)
		socket_count_loss(s, DIVERT_N_FRAG_FULL);
}

static int read_info(const struct divert_info *info, struct destination *to)
{
	memset(to, 0, sizeof(*to));
	if (info->rule > UINT16_MAX || info->gso_size > UINT16_MAX || info->flags & ~INFO_FLAGS)
		return -EINVAL;
	to->tag = info->rule;
	to->out = !!(info->flags & DIVERT_INFO_OUT);
	to->ifindex = info->ifindex;
	return to->out || to->ifindex ? 0 : -EADDRNOTAVAIL;
}

/* o: the packet that it is about; NULL: what is known of it is of no use. */
static int read_order(struct dsock *s, const struct outgoing *o, const struct order *order,
		      struct destination *to)
{
	int rc = order->info ? read_info(order->info, to)
			     : address_read(s, order->addr, order->addrlen, o ? o->packet : NULL,
					    o ? o->len : 0, to);

	if (rc == -EADDRNOTAVAIL)
		socket_count_loss(s, DIVERT_N_NO_INTERFACE);
	return rc;
}

static int push_in(struct dsock *s, int fd, struct outgoing *o, struct destination *to,
		   const struct order *order, int flags)
{
	int rc;

	if (o->packet[0] >> 4 == 4 && !checksum_ip4_ok(o->packet)) {
		socket_count_loss(s, DIVERT_N_BAD_CHECKSUM);
		return 0; /* divert(4): dropped, which is no error */
	}
	if (to->guessed)
		o->frame.back.flags |= DIVERT_BACK_GUESS;
	rc = push_typeless(s, fd, o, flags);
	if (rc != -ENXIO || !to->guessed)
		return rc == -ENXIO ? -EADDRNOTAVAIL : rc;
	/* the interface has gone, and perhaps come back as another */
	iface_forget();
	rc = read_order(s, NULL, order, to);
	if (rc)
		return rc;
	o->frame.back.ifindex = to->ifindex;
	o->frame.back.flags &= ~DIVERT_BACK_GUESS;
	rc = push_typeless(s, fd, o, flags);
	return rc == -ENXIO ? -EADDRNOTAVAIL : rc;
}

/* What only the kernel knew of the packet, unless the program says it. */
static void fill_in(struct dsock *s, struct outgoing *o, const struct destination *to,
		    const struct order *order)
{
	struct divert_back *back = &o->frame.back;
	uint32_t hops = recall_hops(&s->recall, o->packet, o->len, to->tag, to->out);

	back->hops = hops < UINT8_MAX ? hops + 1 : hops;
	back->tag = to->tag;
	back->ifindex = to->ifindex;
	if (order->info)
		back->mark = order->info->mark;
	else if (order->mark)
		back->mark = *order->mark;
	else if (s->shared->on & SOCKET_MARK)
		back->mark = s->shared->fwmark;
	else
		back->mark = recall_mark(&s->recall, o->packet, o->len, to->tag, to->out);
	if (order->info)
		outgoing_make_large(o, order->info->gso_size);
	else if (s->shared->gso_types)
		outgoing_make_large(o, recall_gso(&s->recall, o->packet, o->len, to->tag, to->out));
}

static int push_whole(struct dsock *s, int fd, struct outgoing *o, struct destination *to,
		      const struct order *order, int flags)
{
	return to->out ? push_out(s, fd, o, to, order, flags) : push_in(s, fd, o, to, order, flags);
}

/*
 * In fragments of at most size bytes; the first that fails is the result. id: of IPv6's; 0: a new
 * one, hard to guess (RFC 7739). The copies are memory of their own: this is not what happens to
 * many packets.
 */
static int push_pieces(struct dsock *s, int fd, const struct outgoing *o, struct destination *to,
		       const struct order *order, uint32_t size, uint32_t id, int flags)
{
	uint8_t *packet = malloc(o->len + size), *room = packet + o->len, *end = packet;
	struct outgoing piece = {};
	struct fragments f;
	struct iovec iov;
	size_t i;
	int rc;

	if (!packet)
		return -ENOBUFS;
	/* where it fails the whole host has no chance to offer, and 0 has to do */
	while (!id && getrandom(&id, sizeof(id), 0) == sizeof(id))
		;
	for (i = 1; i < o->iovs; i++) /* behind the frame's header */
		end = mempcpy(end, o->iov[i].iov_base, o->iov[i].iov_len);
	rc = fragments_begin(&f, packet, o->len, size, id);
	while (!rc && (piece.len = fragments_next(&f, room))) {
		piece.frame = o->frame;
		piece.packet = room;
		iov = (struct iovec){room, piece.len};
		outgoing_gather(&piece, &iov, 1);
		rc = push_whole(s, fd, &piece, to, order, flags);
	}
	free(packet);
	return rc;
}

/*
 * An IPv6 packet that came in pieces: how long they were, and their id. Routers may not cut such
 * packets: inbound, where it may be forwarded, it goes as it came.
 */
static bool came_in_pieces(struct dsock *s, const struct outgoing *o, uint32_t *size, uint32_t *id)
{
	bool locked, known;

	*id = 0;
	if (o->packet[0] >> 4 != 6 || !s->whole || o->gso_size)
		return false;
	locked = socket_lock(s);
	known = origin_take(&s->whole->origins, o->packet, o->len, id, size);
	socket_unlock(s, locked);
	return known && *size < o->len;
}

/* As it is if it can go so, otherwise in fragments. */
static int push_any(struct dsock *s, int fd, struct outgoing *o, struct destination *to,
		    const struct order *order, int flags)
{
	const struct divert_frame frame = o->frame;
	uint32_t size, id, link;
	int rc, mtu;

	if (!to->out && came_in_pieces(s, o, &size, &id))
		return push_pieces(s, fd, o, to, order, size, id, flags);
	rc = push_whole(s, fd, o, to, order, flags);
	if (rc != -EMSGSIZE || !to->out)
		return rc;
	if (s->shared->on & SOCKET_REASSEMBLE && !o->gso_size) {
		link = o->frame.back.flags & DIVERT_BACK_LINK ? o->frame.back.ifindex : 0;
		mtu = route_mtu(o->packet, o->frame.back.mark, link);
		o->frame = frame;
		came_in_pieces(s, o, &size, &id);
		if (mtu > 0 && (uint32_t)mtu < o->len)
			rc = push_pieces(s, fd, o, to, order, mtu, id, flags);
	}
	if (rc == -EMSGSIZE)
		socket_count_loss(s, DIVERT_N_TOO_BIG);
	return rc;
}

/* May it go together with others? What is seldom goes on its own. */
static bool can_wait(const struct dsock *s, struct outgoing *o, const struct destination *to)
{
	const uint8_t *dst;
	size_t len;

	if (o->gso_size)
		return false;
	if (to->out) {
		dst = address_of(o, 1, &len);
		if (recall_needs_link(o->packet) || iface_is_local(dst, len))
			return false;
		o->frame.back.flags |= DIVERT_BACK_OUT;
		return true;
	}
	if (needs_type(to->ifindex))
		return false;
	if (to->guessed)
		o->frame.back.flags |= DIVERT_BACK_GUESS;
	return o->packet[0] >> 4 == 4 ? checksum_ip4_ok(o->packet) : !s->whole;
}

/*
 * Is the engine gone that it was made in? lo would take the frame, and drop it. Another process that has the socket,
 * too, may have bound it in the next one.
 */
static bool is_cut_off(const struct dsock *s)
{
	return ring_is_down(&s->ring) || (s->shared->bound && s->shared->mark != s->mark);
}

static ssize_t send_order(struct dsock *s, int fd, const struct iovec *iov, size_t iovs, int flags,
			  const struct order *order)
{
	struct destination to;
	struct outgoing o;
	int rc;

	if (s->shared->shut_write)
		return -EPIPE;
	if (is_cut_off(s))
		return -ENETDOWN;
	if (flags & ~FLAGS)
		return -EOPNOTSUPP;
	rc = outgoing_check(&o, iov, iovs, s->shared->sndbuf);
	if (!rc)
		rc = read_order(s, &o, order, &to);
	if (rc)
		return rc;
	fill_in(s, &o, &to, order);
	if (to.out)
		outgoing_fix_header(&o);
	outgoing_gather(&o, iov, iovs);
	if (!order->batch && defer_may(s, &o, &to) && can_wait(s, &o, &to)) {
		o.frame.back.flags &= ~DIVERT_BACK_GUESS; /* it is not tried again */
		if (defer_add(s, &o))
			return o.given;
	}
	defer_flush(s);
	if (order->batch) {
		bool may = can_wait(s, &o, &to);

		if (may && batch_add(order->batch, &o))
			return o.given;
		if (batch_send(s, order->batch))
			return -EINPROGRESS;
		if (may &&
		    batch_add(order->batch, &o)) /* there was no room, or it is another's batch */
			return o.given;
		o.frame.back.flags &= ~(DIVERT_BACK_OUT | DIVERT_BACK_GUESS);
	}
	rc = push_any(s, fd, &o, &to, order, flags);
	if (rc)
		defer_failed(s);
	else if (o.plain)
		defer_passed(s, &o, &to);
	return rc ? rc : (ssize_t)o.given;
}

ssize_t order_send(struct dsock *s, int fd, const struct iovec *iov, size_t iovs, int flags,
		   const struct order *order)
{
	const bool mine = bias_begin(s);
	const ssize_t n = send_order(s, fd, iov, iovs, flags, order);

	bias_end(mine);
	return n;
}
