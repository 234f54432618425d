/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Divert sockets: divert(4) describes them, libdivert(3) these calls.
 *
 * A divert socket is a descriptor for select(2), poll(2), epoll(7) (with divert_ready()), fcntl(2)
 * O_NONBLOCK and FIONBIO, as any socket. Its other system calls go through these functions.
 * Arguments, results (-1 and errno) and meaning are those of the call that each is named after.
 *
 * - Threads may call all of them at once; after fork(2) both processes may.
 * - Only divert_socket(), divert_bind() and the calls for rules need a privilege.
 * - None is async-signal-safe. A blocking call that a signal handler interrupts fails with EINTR,
 *   see signal(7).
 * - A descriptor that is no divert socket: ENOTSOCK. NULL where an object is needed: EFAULT. Any
 *   other invalid pointer crashes the process.
 */
#ifndef DIVERT_H
#define DIVERT_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef IPPROTO_DIVERT
#define IPPROTO_DIVERT 258 /* of FreeBSD and OpenBSD */
#endif
#define IPPROTO_DIVERT_OLD 254 /* of macOS and of Linux 2.2 */

/* Level of setsockopt(2), and its options: int, 0 or 1. divert(4) describes each. */
#define SOL_DIVERT	  258
#define DIVERT_REASSEMBLE 1 /* deliver whole packets */
#define DIVERT_BYPASS	  2 /* packets for this port pass while it has no listener */
#define DIVERT_GSO	  3 /* deliver GSO packets unsplit, as the kernel has them */
#define DIVERT_INFO	  4 /* a struct divert_info with each packet */

/*
 * Packet metadata that does not fit into a sockaddr: control message of level SOL_DIVERT, type
 * DIVERT_INFO. recvmsg(2) gives it on sockets with the option DIVERT_INFO. sendmsg(2) takes it on
 * every socket, and it overrides the address. All fields are in host byte order.
 */
struct divert_info {
	uint32_t ifindex;     /* the receiving interface; 0: made on this host */
	uint32_t out_ifindex; /* the sending one; 0: the packet is inbound */
	uint32_t rule;	      /* the rule that diverted it; sending: rules up to it are skipped */
	uint32_t mark;	      /* fwmark */
	uint32_t uid;	 /* of the sender, for packets made on this host; (uint32_t)-1: not known */
	uint32_t length; /* bytes of the whole packet, even if fewer were received */
	uint32_t flags;	 /* DIVERT_INFO_... */
	uint32_t gso_size;  /* payload bytes of each segment of a GSO packet; 0: it is one packet */
	uint64_t timestamp; /* when it was diverted: ns of CLOCK_REALTIME */
};
#define DIVERT_INFO_OUT		 0x1u /* outbound; sending: send it out */
#define DIVERT_INFO_FORWARDED	 0x2u /* outbound, and received from another host */
#define DIVERT_INFO_TEE		 0x4u /* a copy: the packet itself went on */
#define DIVERT_INFO_REASSEMBLED	 0x8u /* it came as fragments and was reassembled */
/* sending: as divert_release(), just before the packet is written */
#define DIVERT_INFO_RELEASE_PASS 0x10u
#define DIVERT_INFO_RELEASE_DROP 0x20u

struct mmsghdr;
struct timespec;

#pragma GCC visibility push(default)

/*
 * Create a divert socket and return its descriptor. The first one loads the engine.
 *
 * domain: AF_INET (IPv4 and IPv6 packets, addresses are sockaddr_in) or AF_INET6 (IPv6 packets
 * only, addresses are sockaddr_in6). flags: SOCK_NONBLOCK, SOCK_CLOEXEC.
 *
 * EPERM: needs CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_ADMIN. EAFNOSUPPORT: domain. EINVAL: flags.
 * EMFILE, ENFILE, ENOMEM, ENOBUFS. EPROTONOSUPPORT: the kernel cannot run the engine. EPROTO: an
 * engine of another version is loaded. EROFS: /proc/sys is read-only. divert_error() says more.
 * (divert(4): socket.)
 */
int divert_socket(int domain, int flags);

/*
 * Bind to the divert port in sin_port (network order); the address is ignored. A bound socket moves
 * to the new port. EINVAL: length, or port 0. EAFNOSUPPORT: family. EADDRINUSE: another socket has
 * the port, and not both have SO_REUSEPORT. EPERM, EROFS. ENOSPC: too many ports, or 32 sockets
 * share this one. (divert(4): bind.)
 */
int divert_bind(int fd, const struct sockaddr *addr, socklen_t len);

/*
 * One sentence about this thread's last divert_socket() or divert_bind() that failed: the cause and
 * how to fix it. Never NULL.
 */
const char *divert_error(void);

/* The bound port; port 0 if the socket is not bound. */
int divert_getsockname(int fd, struct sockaddr *addr, socklen_t *len);

/*
 * Receive the next packet, from its IP header on, all fields in network order. A packet longer than
 * the buffer is truncated. from: sin_port is the rule's number in host order; sin_addr is that of
 * the receiving interface, INADDR_ANY if the packet is outbound; sin_zero is the name of the
 * receiving interface (divert(4)).
 *
 * flags: MSG_PEEK, MSG_TRUNC, MSG_DONTWAIT, MSG_WAITALL (no effect), MSG_NOSIGNAL,
 * MSG_CMSG_CLOEXEC; recvmmsg also MSG_WAITFORONE. EAGAIN: no packet. EINTR. EINVAL. EOPNOTSUPP:
 * other flags.
 */
ssize_t divert_recv(int fd, void *buf, size_t len, int flags);
ssize_t divert_recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *from,
			socklen_t *fromlen);
ssize_t divert_recvmsg(int fd, struct msghdr *msg, int flags);
int divert_recvmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags,
		    struct timespec *timeout);

/*
 * Write a packet. It goes out if `to` is NULL or has address 0. Otherwise it comes in on the
 * interface that sin_zero names or, without a name, that has the address. sin_port (host order):
 * rules up to this number are skipped. Sends the whole packet or nothing: the result is len or -1.
 *
 * EINVAL: the packet is shorter than its headers say, or is neither IPv4 nor IPv6; or the address
 * is too short; sin_len. EAFNOSUPPORT: family. EMSGSIZE: above 65535 bytes, or outbound above the
 * MTU. EADDRNOTAVAIL: no such interface. ENETDOWN: it is down. EHOSTUNREACH, ENETUNREACH, EACCES:
 * no route. ELOOP: written too often. ENOBUFS: faster than the host takes packets. EAGAIN: the same
 * on a nonblocking socket.
 *
 * sendmsg takes the control messages DIVERT_INFO, which overrides the address (EINVAL: its length,
 * rule, flags or gso_size), and SO_MARK of SOL_SOCKET; it ignores others. An inbound packet with a
 * wrong IPv4 header checksum is counted and dropped, without an error. (divert(4): writing.)
 */
ssize_t divert_send(int fd, const void *buf, size_t len, int flags);
ssize_t divert_sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *to,
		      socklen_t tolen);
ssize_t divert_sendmsg(int fd, const struct msghdr *msg, int flags);
int divert_sendmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags);

/* A borrowed packet. It stays in the socket's buffer until it is returned. */
struct divert_loan {
	const void *packet; /* from its IP header on, info.length bytes; read only */
	uint64_t number;    /* for the library; do not change */
	struct divert_info
		info; /* timestamp and uid need the option DIVERT_INFO, else they are 0 and -1 */
};
#define DIVERT_BORROW_MAX 4096 /* loans that a socket can have at a time */

/*
 * Borrow up to n of the next packets without copying them. Returns how many, at least 1; waits like
 * divert_recv(); 0 after SHUT_RD.
 *
 * Every loan must be returned, by any thread, in any order. Buffer space is freed in the order of
 * the packets, so one unreturned loan holds all later ones. With loans out the descriptor always
 * polls readable. Closing the last descriptor ends all loans. fork(2) ends them too: their bytes
 * may change at any time after it.
 *
 * flags: MSG_DONTWAIT, MSG_NOSIGNAL. EINVAL: n is 0. ENOBUFS: DIVERT_BORROW_MAX loans are out.
 * ENOMEM. EAGAIN, EINTR, EBADF, EOPNOTSUPP: as divert_recv().
 */
int divert_borrow(int fd, struct divert_loan *loans, unsigned int n, int flags);
/* Return loans. EINVAL: one was not out (any more); the others are returned. */
int divert_return(int fd, const struct divert_loan *loans, unsigned int n);
/*
 * Write borrowed packets, each as divert_sendmsg() with its info does, and return those that were
 * written. Returns how many; -1 if the first one failed, with the errors of divert_sendmsg(). The
 * caller may change info, and may point `packet` at another packet of info.length bytes. EINVAL
 * also: a packet was written whose loan was not out.
 */
int divert_send_loan(int fd, const struct divert_loan *loans, unsigned int n, int flags);

/*
 * Release the flow of a packet: no more of its packets, in either direction, come to the socket's
 * port, until 300 s (divertctl(8), released_lifetime) pass without one, or the port's last socket
 * is closed. They pass, as if this socket had written them back, or they are dropped. The flow is
 * that of the packet's protocol, addresses and ports. If the program translates addresses, it
 * releases the packet that it read, and the one that it writes. For later fragments the first one
 * is asked; a SYN begins another flow, unless this one is dropped. Packets that were diverted
 * before still come. Needs no privilege.
 *
 * packet: len bytes from the IP header on, at least all headers; that of a loan, too. EINVAL: they
 * are not, or it is a later fragment; how. ENOTCONN: the socket is not bound. ENOSPC: too many
 * flows are released (divertctl(8), dyn_max). ENETDOWN: the engine is gone.
 * (divert(4): Released flows.)
 */
int divert_release(int fd, const void *packet, size_t len, int how);
#define DIVERT_RELEASE_UNDO 0 /* its packets come again */
#define DIVERT_RELEASE_PASS 1
#define DIVERT_RELEASE_DROP 2

/* ENOPROTOOPT: divert sockets have no such option. EINVAL: length or value. */
int divert_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int divert_getsockopt(int fd, int level, int name, void *value, socklen_t *len);

/* SHUT_RD: receiving calls return 0 from now on. SHUT_WR: sending fails with EPIPE. */
int divert_shutdown(int fd, int how);

/* Bytes of the next packet, 0 if there is none; as ioctl FIONREAD. */
int divert_nread(int fd);

/*
 * 1: a receiving call would not sleep: it has a packet, the end after divert_shutdown(), or the
 * error ENETDOWN. 0: it would sleep, and poll(2) reports the next packet. Call it before a sleep in
 * poll(2), select(2) or epoll(7), and after it, whatever they return: a fragment of an incomplete
 * packet makes the descriptor readable, too.
 *
 * Unlike poll(2) it does not make a system call for each packet. With `wait` it polls the buffer
 * for a while first, as a receiving call does before it sleeps (SO_BUSY_POLL). While packets are
 * borrowed (divert_borrow()) it always returns 1. -1: ENOTSOCK.
 */
int divert_ready(int fd, int wait);

/*
 * Timeout for poll(2), ms: call divert_ready() again after it at the latest, which drops and counts
 * packets whose fragments did not all come in time. -1: no limit, or ENOTSOCK.
 */
int divert_timeout(int fd);

/*
 * Send all coalesced packets of all sockets now. Packets that are written one by one, while others
 * wait to be received, may go to the kernel together a moment later (divert(4)). exit(3) flushes
 * them; call this before ending the process another way.
 */
void divert_flush(void);

/*
 * Flush, and stop the kernel from sending for the calling thread until it writes again. The kernel
 * sends coalesced packets after 250 us. If that falls into a sleep of the thread that wrote them, a
 * call that is never restarted (signal(7)) ends with EINTR: epoll_wait(2), or recv(2) of another
 * socket with SO_RCVTIMEO. An interposed epoll_wait(2) calls this itself. Keeps errno.
 */
void divert_rest(void);

/*
 * Flush and disable coalescing. Call it before installing a seccomp(2) filter: libdivert has the
 * kernel send coalesced packets by io_uring(7), and the filter might end the process for that.
 */
void divert_at_once(void);

/*
 * Close a descriptor. Closing the last one, in all processes, destroys the socket and frees its
 * port.
 */
int divert_close(int fd);

/*
 * Add a firewall rule in the words of ipfw(8), "100 divert 8668 ip from any to any via eth0", and
 * return its number. Without a number in the words the rule gets the highest one plus 100. The
 * rules of the network namespace change as a whole, or not at all.
 *
 * DIVERT_RULE_OWNED ties the rule to this process. It stops matching as soon as the process ends,
 * however it ends, or execs another program; the next change to the rules removes it. A child of
 * fork(2) is another process.
 *
 * EINVAL: words, or flags. EFAULT: words is NULL. EPERM, EPROTONOSUPPORT, EPROTO: as
 * divert_socket(). ENOSPC: too many rules, ports or owners. E2BIG, ENOMEM, EMFILE.
 */
int divert_rule_add(const char *words, int flags);
#define DIVERT_RULE_OWNED 1

/*
 * Delete all rules with this number; with DIVERT_RULE_OWNED only those of this process. ENOENT:
 * there are none. EINVAL: number, flags. EBUSY: it is part of an ipchains(8) chain. EPERM.
 */
int divert_rule_delete(int number, int flags);

/* One sentence about this thread's last divert_rule_...() that failed; never NULL. */
const char *divert_rule_error(void);

/*
 * Firewall options as setsockopt(2) of Linux 2.2 had them: an IP_FW_... option at level IPPROTO_IP
 * of a raw socket, with the structures of <linux/ip_fw.h> (a header that comes with
 * libdivert-socket). Errors are those of ipchains. ENOENT: no such chain or target. EINVAL: a bad
 * argument; DELETE: no such rule. E2BIG: no rule has that number. ENOTEMPTY, EBUSY, EEXIST, ELOOP:
 * chains. EOPNOTSUPP: ipdivert does not support it. EPERM. IP_FW_CHECK answers by errno: ETIMEDOUT:
 * denied; ECONNREFUSED: rejected; ECONNABORTED: diverted; ENFILE: passed.
 */
int divert_firewall(int name, const void *value, socklen_t len);

/*
 * Tell the library that the caller has just copied oldfd to newfd, by dup(2) or a similar call.
 * Copies work on divert sockets. EMFILE: no room to remember it.
 */
int divert_dup(int oldfd, int newfd);

/* 1: fd is a divert socket of this process. 0: it is not. Keeps errno. */
int divert_is(int fd);
/*
 * The inner descriptor that the socket writes through. Add it to an epoll(7) set to learn when the
 * socket is writable; its own descriptor cannot tell. Use it for nothing else. Call this also for a
 * set that only waits for packets: a receiving call may otherwise poll the buffer without telling
 * the kernel how far it has read. poll(2) after divert_ready() does not need it.
 */
int divert_writer(int fd);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
