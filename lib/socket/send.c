// SPDX-License-Identifier: BSD-2-Clause
/* Send: take a packet and its destination, and reinject it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "address.h"
#include "divert.h"
#include "engine/reinject.h"
#include "lib/core/biased_lock.h"
#include "lib/core/flow.h"
#include "lib/core/iface.h"
#include "lib/core/kernel.h"
#include "lib/core/route.h"
#include "lib/core/socket.h"
#include "lib/inject/batch.h"
#include "lib/inject/coalesce.h"
#include "lib/inject/txpacket.h"
#include "lib/packet/checksum.h"
#include "lib/packet/fragment.h"
#include "next_packet.h"
#include "request.h"

#define FLAGS	  (MSG_DONTWAIT | MSG_NOSIGNAL | MSG_DONTROUTE | MSG_EOR | MSG_CONFIRM | MSG_MORE)
#define COPY_MAX  2048 /* bytes; shorter frames are copied into one buffer */
#define AGAIN_MAX 16   /* attempts if other threads' frames come between a long packet's two */

#define RELEASES (DIVERT_INFO_RELEASE_PASS | DIVERT_INFO_RELEASE_DROP)
#define INFO_FLAGS                                                                                 \
	(DIVERT_INFO_OUT | DIVERT_INFO_FORWARDED | DIVERT_INFO_TEE | DIVERT_INFO_REASSEMBLED |     \
	 RELEASES)

static int nonblocking(int fd, int flags)
{
	return flags & MSG_DONTWAIT || fcntl(fd, F_GETFL) & O_NONBLOCK;
}

/*
 * Call the kernel directly: the C library's functions may be the interposer's, which need not see
 * these calls. Copy small packets into one buffer, because several iovecs cost the kernel more.
 */
static ssize_t send_frame(int reinject, const struct txpacket *o, int flags)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)o->iov, .msg_iovlen = o->iovs};
	uint8_t whole[COPY_MAX];
	size_t i, n = 0;

	if (o->len + sizeof(o->frame) > COPY_MAX || o->gso_size)
		return syscall(SYS_sendmsg, reinject, &msg, flags);
	for (i = 0; i < o->iovs; n += o->iov[i++].iov_len)
		memcpy(whole + n, o->iov[i].iov_base, o->iov[i].iov_len);
	return syscall(SYS_sendto, reinject, whole, n, flags, NULL, 0);
}

/*
 * If the reinject header does not fit into the frame with the packet, send it ahead in a frame of
 * its own. If another thread's comes in between, the engine lacks this packet's header, and the
 * packet is sent once more.
 */
static ssize_t send_long(int reinject, const struct txpacket *o, int flags)
{
	static uint32_t number;
	struct divert_ahead ahead = {.reinject = o->frame.reinject};
	struct {
		struct divert_long addresses;
		uint16_t protocol;
	} __attribute__((packed)) head = {{.local = DIVERT_LONG_LOCAL}, o->frame.protocol};
	struct divert_frame first;
	struct iovec iov[] = {{&first, sizeof(first)}, {&ahead, sizeof(ahead)}};
	struct iovec copy[IOV_MAX_HERE + 3];
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

	ahead.number = head.addresses.number = __atomic_add_fetch(&number, 1, __ATOMIC_RELAXED);
	memcpy(ahead.link, o->frame.link, sizeof(ahead.link));
	reinject_frame(&first, ETH_P_IP);
	first.reinject.flags |= DIVERT_REINJECT_SET;
	first.reinject.tag = DIVERT_SET_AHEAD;
	if (syscall(SYS_sendmsg, reinject, &msg, flags) < 0)
		return -1;
	msg.msg_iov = memcpy(copy, o->iov, o->iovs * sizeof(o->iov[0]));
	msg.msg_iov[0] = (struct iovec){&head, sizeof(head)};
	msg.msg_iovlen = o->iovs;
	return syscall(SYS_sendmsg, reinject, &msg, flags);
}

static ssize_t send_any(int reinject, const struct txpacket *o, int flags)
{
	ssize_t n = send_frame(reinject, o, flags);

	if (n < 0 && errno == EMSGSIZE && !o->gso_size)
		n = send_long(reinject, o, flags);
	return n;
}

static int push_once(const struct dsock *s, int fd, struct txpacket *o, int flags)
{
	int reinject = o->gso_size ? s->reinject_gso : s->reinject, error;
	ssize_t n = send_any(reinject, o, MSG_DONTWAIT);

	/* look up O_NONBLOCK only if the send would block */
	if (n < 0 && errno == EAGAIN && !nonblocking(fd, flags))
		n = send_any(reinject, o, 0);
	if (n >= 0) {
		o->plain =
			!(o->frame.reinject.flags & DIVERT_REINJECT_OUT) ||
			!(o->frame.reinject.flags & (DIVERT_REINJECT_LINK | DIVERT_REINJECT_LOCAL));
		return 0;
	}
	error = errno;
	if (error == EINVAL && o->gso_size)
		txpacket_refused(o);
	if (error == ENOBUFS) {
		error = socket_refusal(s, reinject);
		if (error == EAGAIN) /* another long packet's header came in between */
			return -ERESTART;
		if (error == EINPROGRESS) /* the packet waits for neighbour resolution */
			return 0;
		return error ? -error : -ENOBUFS;
	}
	return error == ENXIO ? -ENETDOWN : -error;
}

static int push(const struct dsock *s, int fd, struct txpacket *o, int flags)
{
	int i, rc = -ERESTART;

	for (i = 0; i < AGAIN_MAX && rc == -ERESTART; i++)
		rc = push_once(s, fd, o, flags);
	return rc == -ERESTART ? -ENOBUFS : rc;
}

/* Source or destination address of the packet, and its length. */
static const uint8_t *address_of(const struct txpacket *o, int destination, size_t *len)
{
	int v6 = o->packet[0] >> 4 == 6;

	*len = v6 ? 16 : 4;
	return o->packet + (v6 ? 8 : 12) + (destination ? *len : 0);
}

/*
 * The kernel half knows no route to another host. The destination may be this host, multicast, or
 * unreachable.
 */
static int push_again(struct dsock *s, int fd, struct txpacket *o, int flags)
{
	uint32_t ifindex = 0;
	const uint8_t *dst;
	size_t len;
	int rc = route_ask(o->packet, o->frame.reinject.mark, &ifindex);

	switch (rc) {
	case ROUTE_LOCAL:
		o->frame.reinject.flags |= DIVERT_REINJECT_LOCAL;
		dst = address_of(o, 1, &len);
		iface_learn_local(dst, len);
		break;
	case ROUTE_LINK:
		o->frame.reinject.flags |= DIVERT_REINJECT_LINK;
		o->frame.reinject.oif = ifindex;
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

/* The interface set by IP_MULTICAST_IF, if it applies to the packet; 0: none. */
static uint32_t multicast_link(const struct dsock *s, const uint8_t *packet)
{
	if (packet[0] >> 4 == 4)
		return packet[16] >> 4 == 14 ? s->shared->multicast[0] : 0;
	return packet[24] == 0xff ? s->shared->multicast[1] : 0;
}

/*
 * The outgoing link of a packet that is not routed: the one set by IP_MULTICAST_IF, or the one that
 * a similar packet was leaving by, or the one with its source address. 0: try the routes after all.
 */
static uint32_t link_of(const struct dsock *s, const struct txpacket *o,
			const struct send_request *request)
{
	uint32_t link = request->info && request->info->out_ifindex ? request->info->out_ifindex
								    : multicast_link(s, o->packet);
	const uint8_t *src;
	struct in6_addr six;
	in_addr_t four;
	int guessed;
	size_t len;

	if (!link)
		link = pktcache_link(&s->pktcache, o->packet, o->len);
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

static int push_out(struct dsock *s, int fd, struct txpacket *o, const struct send_request *request,
		    int flags)
{
	uint32_t link = flow_needs_link(o->packet) ? link_of(s, o, request) : 0;
	const uint8_t *dst;
	size_t len;
	int rc;

	o->frame.reinject.flags |= DIVERT_REINJECT_OUT;
	if (link) {
		o->frame.reinject.flags |= DIVERT_REINJECT_LINK | DIVERT_REINJECT_GUESS;
		if (link != o->frame.reinject.oif)
			metacache_forget(&o->frame);
		o->frame.reinject.oif = link;
		rc = push(s, fd, o, flags);
		if (rc != -ENXIO)
			return rc;
		/* that link is gone: look for another */
		o->frame.reinject.flags &= ~(DIVERT_REINJECT_LINK | DIVERT_REINJECT_GUESS);
		o->frame.reinject.oif = 0;
	}
	dst = address_of(o, 1, &len);
	if (iface_is_local(dst, len))
		o->frame.reinject.flags |= DIVERT_REINJECT_LOCAL;
	rc = push(s, fd, o, flags);
	if (rc == -ENETUNREACH)
		rc = push_again(s, fd, o, flags);
	return rc == -ENXIO ? -ENETUNREACH : rc;
}

/* Does not block, since it runs inside a receive. A loss counts as a lost fragment. */
void socket_write_back(struct dsock *s, const struct divert_record *rec, uint16_t tag)
{
	struct iovec iov = {(void *)(rec + 1), rec->len};
	struct send_request request = {};
	struct txpacket o;
	int rc;

	reinject_frame(&o.frame, rec->flags & DIVERT_REC_V6 ? ETH_P_IPV6 : ETH_P_IP);
	o.packet = iov.iov_base;
	o.len = rec->len;
	o.copied = 0;
	o.gso_size = 0;
	o.frame.reinject.tag = tag;
	o.frame.reinject.hops = rec->hops;
	o.frame.reinject.mark = rec->mark;
	o.frame.reinject.ifindex = rec->ifindex;
	metacache_of(rec, &o.frame);
	txpacket_gather(&o, &iov, 1);
	if (!(rec->flags & DIVERT_REC_OUT)) {
		rc = push(s, -1, &o, MSG_DONTWAIT);
	} else if (flow_needs_link(o.packet)) {
		o.frame.reinject.flags |= DIVERT_REINJECT_OUT | DIVERT_REINJECT_LINK;
		rc = push(s, -1, &o, MSG_DONTWAIT);
	} else {
		rc = push_out(s, -1, &o, &request, MSG_DONTWAIT);
	}
	if (rc == -EAGAIN || rc == -ENOBUFS)
		socket_count_loss(s, DIVERT_N_FRAG_FULL);
}

static int read_info(const struct divert_info *info, struct destination *to)
{
	memset(to, 0, sizeof(*to));
	if (info->rule > UINT16_MAX || info->gso_size > UINT16_MAX || info->flags & ~INFO_FLAGS ||
	    (info->flags & RELEASES) == RELEASES)
		return -EINVAL;
	to->tag = info->rule;
	to->out = !!(info->flags & DIVERT_INFO_OUT);
	to->ifindex = info->ifindex;
	return to->out || to->ifindex ? 0 : -EADDRNOTAVAIL;
}

/* o: the packet; NULL: do not use the packet cache. */
static int read_request(struct dsock *s, const struct txpacket *o,
			const struct send_request *request, struct destination *to)
{
	int rc = request->info ? read_info(request->info, to)
			       : address_read(s, request->addr, request->addrlen,
					      o ? o->packet : NULL, o ? o->len : 0, to);

	if (rc == -EADDRNOTAVAIL)
		socket_count_loss(s, DIVERT_N_NO_INTERFACE);
	return rc;
}

static int push_in(struct dsock *s, int fd, struct txpacket *o, struct destination *to,
		   const struct send_request *request, int flags)
{
	int rc;

	if (o->packet[0] >> 4 == 4 && !checksum_ip4_ok(o->packet)) {
		socket_count_loss(s, DIVERT_N_BAD_CHECKSUM);
		return 0; /* divert(4): such packets are dropped without an error */
	}
	if (to->guessed)
		o->frame.reinject.flags |= DIVERT_REINJECT_GUESS;
	rc = push(s, fd, o, flags);
	if (rc != -ENXIO || !to->guessed)
		return rc == -ENXIO ? -EADDRNOTAVAIL : rc;
	/* the interface has gone, and may have come back with another index */
	iface_forget();
	rc = read_request(s, NULL, request, to);
	if (rc)
		return rc;
	o->frame.reinject.ifindex = to->ifindex;
	o->frame.reinject.flags &= ~DIVERT_REINJECT_GUESS;
	rc = push(s, fd, o, flags);
	return rc == -ENXIO ? -EADDRNOTAVAIL : rc;
}

/*
 * The program names the outgoing interface. If the packet was leaving by another, use a route of
 * the named one.
 */
static void leave_by(struct txpacket *o, uint32_t oif)
{
	if (!oif || oif == o->frame.reinject.oif || oif == LO_IFINDEX || flow_needs_link(o->packet))
		return;
	metacache_forget(&o->frame);
	metacache_by(&o->frame, oif);
}

/* Fill in the metadata that only the kernel had, as far as the program does not give it. */
static void fill_in(struct dsock *s, struct txpacket *o, const struct destination *to,
		    const struct send_request *request)
{
	struct divert_reinject *reinject = &o->frame.reinject;
	uint32_t hops = pktcache_hops(&s->pktcache, o->packet, o->len, to->tag, to->out);

	reinject->hops = hops < UINT8_MAX ? hops + 1 : hops;
	reinject->tag = to->tag;
	reinject->ifindex = to->ifindex;
	if (request->info)
		reinject->mark = request->info->mark;
	else if (request->mark)
		reinject->mark = *request->mark;
	else if (s->shared->on & SOCKET_MARK)
		reinject->mark = s->shared->fwmark;
	else
		reinject->mark = pktcache_mark(&s->pktcache, o->packet, o->len, to->tag, to->out);
	o->meta = metacache_find(&s->metacache, o->packet, o->len, to->tag, to->out, to->ifindex,
				 request->batch ? request->batch->again : NULL, &o->frame);
	if (to->out && request->info)
		leave_by(o, request->info->out_ifindex);
	if (request->info)
		txpacket_make_large(o, request->info->gso_size);
	else if (s->shared->gso_types)
		txpacket_make_large(o, pktcache_gso(&s->pktcache, o->packet, o->len, to->tag,
						    to->out));
}

static int push_whole(struct dsock *s, int fd, struct txpacket *o, struct destination *to,
		      const struct send_request *request, int flags)
{
	return to->out ? push_out(s, fd, o, request, flags) : push_in(s, fd, o, to, request, flags);
}

/*
 * Send the packet in fragments of at most size bytes. Returns the first error. id: for IPv6; 0: a
 * new one, hard to guess (RFC 7739). Copies the packet to allocated memory, because this is rare.
 */
static int push_pieces(struct dsock *s, int fd, const struct txpacket *o, struct destination *to,
		       const struct send_request *request, uint32_t size, uint32_t id, int flags)
{
	uint8_t *packet = malloc(o->len + size), *room = packet + o->len, *end = packet;
	struct txpacket fragment = {};
	struct fragments f;
	struct iovec iov;
	size_t i;
	int rc;

	if (!packet)
		return -ENOBUFS;
	/* if this fails, the host has no random numbers at all, and 0 has to do */
	while (!id && getrandom(&id, sizeof(id), 0) == sizeof(id))
		;
	for (i = 1; i < o->iovs; i++) /* iov[0] is the frame header */
		end = mempcpy(end, o->iov[i].iov_base, o->iov[i].iov_len);
	rc = fragments_begin(&f, packet, o->len, size, id);
	while (!rc && (fragment.len = fragments_next(&f, room))) {
		fragment.frame = o->frame;
		fragment.packet = room;
		iov = (struct iovec){room, fragment.len};
		txpacket_gather(&fragment, &iov, 1);
		rc = push_whole(s, fd, &fragment, to, request, flags);
	}
	free(packet);
	return rc;
}

/*
 * Split a GSO packet that the kernel does not split. If the first segments were sent and a later
 * one fails, that is not an error yet: o->given says how far we got.
 */
static int push_segments(struct dsock *s, int fd, struct txpacket *o, struct destination *to,
			 const struct send_request *request, int flags)
{
	struct txpacket segment;
	struct txpacket_split c;
	int rc = txpacket_split_begin(&c, o);

	if (rc)
		return rc;
	while (!rc && txpacket_split_next(&c, &segment))
		rc = push_whole(s, fd, &segment, to, request, flags);
	if (rc && txpacket_split_done(&c)) {
		o->given = txpacket_split_done(&c);
		rc = 0;
	}
	txpacket_split_end(&c);
	return rc;
}

/*
 * Did this IPv6 packet come in fragments? Gives their size and id. Routers may not fragment such a
 * packet, so inbound, where it may be forwarded, it is sent as it came.
 */
static bool came_in_pieces(struct dsock *s, const struct txpacket *o, uint32_t *size, uint32_t *id)
{
	bool locked, known;

	*id = 0;
	if (o->packet[0] >> 4 != 6 || !s->whole || o->gso_size)
		return false;
	locked = socket_lock(s);
	known = fragcache_take(&s->whole->fragcache, o->packet, o->len, id, size);
	socket_unlock(s, locked);
	return known && *size < o->len;
}

/* Send the packet whole if possible, else in fragments. */
static int push_any(struct dsock *s, int fd, struct txpacket *o, struct destination *to,
		    const struct send_request *request, int flags)
{
	const struct divert_frame frame = o->frame;
	uint32_t size, id, link;
	int rc, mtu;

	if (!to->out && came_in_pieces(s, o, &size, &id))
		return push_pieces(s, fd, o, to, request, size, id, flags);
	rc = txpacket_is_ours(o) ? 0 : push_whole(s, fd, o, to, request, flags);
	if (txpacket_is_ours(o)) {
		o->frame = frame;
		rc = push_segments(s, fd, o, to, request, flags);
	}
	if (rc != -EMSGSIZE || !to->out)
		return rc;
	if (s->shared->on & SOCKET_REASSEMBLE && !o->gso_size) {
		link = o->frame.reinject.flags & DIVERT_REINJECT_LINK ||
				       metacache_is_known(&o->frame)
			       ? o->frame.reinject.oif
			       : 0;
		mtu = route_mtu(o->packet, o->frame.reinject.mark, link);
		o->frame = frame;
		came_in_pieces(s, o, &size, &id);
		if (mtu > 0 && (uint32_t)mtu < o->len)
			rc = push_pieces(s, fd, o, to, request, mtu, id, flags);
	}
	if (rc == -EMSGSIZE)
		socket_count_loss(s, DIVERT_N_TOO_BIG);
	return rc;
}

/* May the packet go into a batch? Rare kinds are sent on their own. */
static bool can_wait(const struct dsock *s, struct txpacket *o, const struct destination *to)
{
	const uint8_t *dst;
	size_t len;

	if (o->gso_size)
		return false;
	if (to->out) {
		dst = address_of(o, 1, &len);
		if (flow_needs_link(o->packet) || iface_is_local(dst, len) ||
		    o->frame.reinject.oif == LO_IFINDEX ||
		    o->frame.reinject.meta & DIVERT_META_IFACE)
			return false;
		o->frame.reinject.flags |= DIVERT_REINJECT_OUT;
		return true;
	}
	if (to->guessed)
		o->frame.reinject.flags |= DIVERT_REINJECT_GUESS;
	return o->packet[0] >> 4 == 4 ? checksum_ip4_ok(o->packet) : !s->whole;
}

/*
 * Release the flow of a packet that is to be written now: an answer to it passes already. The
 * packet does not wait for others, so that the flow's next ones hardly overtake it.
 */
static void release(const struct dsock *s, const struct txpacket *o, const struct iovec *iov,
		    uint32_t flags)
{
	const size_t whole = iov->iov_len < o->len ? iov->iov_len : o->len;

	/* if it fails that is counted, and the program sees the next packets, too */
	request_release(s, o->packet, o->copied ? o->copied : whole,
			flags & DIVERT_INFO_RELEASE_DROP ? DIVERT_RELEASE_DROP
							 : DIVERT_RELEASE_PASS);
}

static ssize_t send_request(struct dsock *s, int fd, const struct iovec *iov, size_t iovs,
			    int flags, const struct send_request *request)
{
	struct batch *batch = request->batch && !request->batch->alone ? request->batch : NULL;
	const uint32_t releases = request->info ? request->info->flags & RELEASES : 0;
	struct destination to;
	struct txpacket o;
	int rc;

	if (s->shared->shut_write)
		return -EPIPE;
	if (socket_is_cut_off(s))
		return -ENETDOWN;
	if (flags & ~FLAGS)
		return -EOPNOTSUPP;
	rc = txpacket_check(&o, iov, iovs, s->shared->sndbuf);
	if (!rc)
		rc = read_request(s, &o, request, &to);
	if (rc)
		return rc;
	fill_in(s, &o, &to, request);
	if (to.out)
		txpacket_fix_checksum(&o);
	txpacket_gather(&o, iov, iovs);
	if (!batch && !releases && coalesce_may(s, &o, &to) && can_wait(s, &o, &to)) {
		/* a coalesced packet is not tried again */
		o.frame.reinject.flags &= ~DIVERT_REINJECT_GUESS;
		if (coalesce_add(s, &o)) {
			metacache_written(&s->metacache, o.meta);
			return o.given;
		}
	}
	coalesce_flush(s);
	if (batch) {
		bool may = !releases && can_wait(s, &o, &to);

		if (may && batch_add(batch, &o)) {
			metacache_written(&s->metacache, o.meta);
			return o.given;
		}
		if (batch_send(s, batch))
			return -EINPROGRESS;
		/* there was no room, or it does not match the batch's other packets */
		if (may && batch_add(batch, &o)) {
			metacache_written(&s->metacache, o.meta);
			return o.given;
		}
		o.frame.reinject.flags &= ~(DIVERT_REINJECT_OUT | DIVERT_REINJECT_GUESS);
	}
	if (releases)
		release(s, &o, iov, releases);
	rc = push_any(s, fd, &o, &to, request, flags);
	if (!rc)
		metacache_written(&s->metacache, o.meta);
	if (rc)
		coalesce_failed(s);
	else if (o.plain)
		coalesce_passed(s, &o, &to);
	return rc ? rc : (ssize_t)o.given;
}

ssize_t request_send(struct dsock *s, int fd, const struct iovec *iov, size_t iovs, int flags,
		     const struct send_request *request)
{
	const bool mine = biased_lock_begin(s);
	const ssize_t n = send_request(s, fd, iov, iovs, flags, request);

	biased_lock_end(mine);
	return n;
}
