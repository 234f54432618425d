/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Divert sockets: see divert(4) for what they are and libdivert(3) for these calls.
 *
 * A divert socket is a descriptor on which select(2), poll(2), epoll(7) (with divert_ready()),
 * fcntl(2) O_NONBLOCK and FIONBIO work as on any socket. The other calls go
 * through the functions here, which have the arguments, the results (-1 and
 * errno) and the meaning of the system calls that they are named after. All of
 * them may be used by several threads at once, and after fork(2) by both
 * processes; of those on sockets none but divert_socket() and divert_bind() needs a privilege. They
 * are not async-signal-safe, except that a blocking call that a signal
 * handler interrupts fails with EINTR as in signal(7). On a descriptor that is
 * no divert socket each fails with ENOTSOCK. A NULL where there must be something is EFAULT; any other pointer to
 * nowhere is a crash, as with other functions of libraries.
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

/* Level of setsockopt(2), and the options at it: int, 0 or 1 (design of each: divert(4)). */
#define SOL_DIVERT	  258
#define DIVERT_REASSEMBLE 1 /* deliver whole packets */
#define DIVERT_BYPASS	  2 /* packets of this port pass while nobody listens */
#define DIVERT_GSO	  3 /* deliver large packets as the kernel has them */
#define DIVERT_INFO	  4 /* a struct divert_info with each packet */

/*
 * What a sockaddr has no room for. Level SOL_DIVERT, type DIVERT_INFO: a control message of recvmsg(2) on
 * sockets that have the option DIVERT_INFO; of sendmsg(2) on any, where it wins over the address. Host order.
 */
struct divert_info {
	uint32_t ifindex;     /* the receiving interface; 0: made on this host */
	uint32_t out_ifindex; /* the sending one; 0: the packet is on its way in */
	uint32_t rule; /* number of the rule that diverted it; sending: rules up to it are behind */
	uint32_t mark; /* fwmark */
	uint32_t uid;  /* of the sender, for packets made on this host; (uint32_t)-1: not known */
	uint32_t length;    /* bytes of the packet, however many were received */
	uint32_t flags;	    /* DIVERT_INFO_... */
	uint32_t gso_size;  /* payload bytes of each segment it stands for; 0: it is one packet */
	uint64_t timestamp; /* when it was diverted: ns of CLOCK_REALTIME */
};
#define DIVERT_INFO_OUT		0x1u /* on its way out; sending: to be routed */
#define DIVERT_INFO_FORWARDED	0x2u /* out, and received from another host */
#define DIVERT_INFO_TEE		0x4u /* a copy: the packet itself has gone on */
#define DIVERT_INFO_REASSEMBLED 0x8u /* came as fragments */

struct mmsghdr;
struct timespec;

#pragma GCC visibility push(default)

/*
 * A new divert socket, its descriptor close-on-exec if flags say so. domain: AF_INET (packets of
 * IPv4 and IPv6, addresses as sockaddr_in) or AF_INET6 (packets of IPv6 only, addresses as sockaddr_in6).
 * flags: SOCK_NONBLOCK, SOCK_CLOEXEC. Loads the engine on first use.
 * EPERM: needs CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_ADMIN. EAFNOSUPPORT: domain. EINVAL: flags.
 * EMFILE, ENFILE, ENOMEM, ENOBUFS. EPROTONOSUPPORT: the kernel cannot carry the engine. EPROTO: an engine of
 * another version is loaded. EROFS: /proc/sys cannot be written to. divert_error() says more. (divert(4): socket.)
 */
int divert_socket(int domain, int flags);

/*
 * Bind to the divert port sin_port (network order); the address does not matter. A bound socket moves.
 * EINVAL: length, or port 0. EAFNOSUPPORT: family. EADDRINUSE: another socket has the port, and not both have SO_REUSEPORT.
 * EPERM, EROFS. ENOSPC: too many ports, or 32 sockets share this one. (divert(4): bind.)
 */
int divert_bind(int fd, const struct sockaddr *addr, socklen_t len);

/*
 * A sentence about this thread's last divert_socket() or divert_bind() that failed: what was wrong, and the way out.
 * Never NULL.
 */
const char *divert_error(void);

/* The bound port; port 0 if there is none. */
int divert_getsockname(int fd, struct sockaddr *addr, socklen_t *len);

/*
 * The next packet, from its IP header on, all fields in network order; what does not fit is cut off. from: port:
 * the rule's number, in host order; address: of the receiving interface, INADDR_ANY if the packet is on its way
 * out; sin_zero: the receiving interface's name (divert(4)). flags: MSG_PEEK, MSG_TRUNC, MSG_DONTWAIT,
 * MSG_WAITALL (no effect), MSG_NOSIGNAL, MSG_CMSG_CLOEXEC; recvmmsg also MSG_WAITFORONE. EAGAIN: none there. EINTR. EINVAL.
 * EOPNOTSUPP: other flags.
 */
ssize_t divert_recv(int fd, void *buf, size_t len, int flags);
ssize_t divert_recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *from,
			socklen_t *fromlen);
ssize_t divert_recvmsg(int fd, struct msghdr *msg, int flags);
int divert_recvmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags,
		    struct timespec *timeout);

/*
 * Write a packet: to == NULL or an address of 0: outbound; otherwise inbound on the interface that sin_zero
 * names, or else that has the address. sin_port (host order): rules up to this number are behind it. The whole of the
 * packet or nothing: the result is len or -1.
 * EINVAL: shorter than its headers say, or the address is; neither IPv4 nor IPv6; sin_len. EAFNOSUPPORT: family.
 * EMSGSIZE: above 65535, or outbound above the MTU. EADDRNOTAVAIL: no such interface. ENETDOWN: it is down.
 * EHOSTUNREACH, ENETUNREACH, EACCES: no route. ELOOP: written too often. ENOBUFS: faster than the host takes packets. EAGAIN: and nonblocking.
 * sendmsg takes the control messages DIVERT_INFO, which wins over the address (EINVAL: its length, rule, flags or
 * gso_size), and SO_MARK of SOL_SOCKET; it ignores others.
 * A wrong IPv4 header checksum inbound is counted and the packet dropped, which is no error. (divert(4): writing.)
 */
ssize_t divert_send(int fd, const void *buf, size_t len, int flags);
ssize_t divert_sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *to,
		      socklen_t tolen);
ssize_t divert_sendmsg(int fd, const struct msghdr *msg, int flags);
int divert_sendmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags);

/*
 * A packet that is lent: it stays where it is, in the socket's buffer, until it is returned.
 */
struct divert_loan {
	const void *packet; /* from its IP header on, info.length bytes; not to be written to */
	uint64_t number;    /* the library's own: not to be changed */
	struct divert_info info; /* timestamp and uid: with the option DIVERT_INFO, else 0 and -1 */
};
#define DIVERT_BORROW_MAX 4096 /* packets of a socket that may be lent at a time */

/*
 * The next packets, n at most, without copying them: how many there are, at least 1, for which it waits as
 * divert_recv() does; 0 after SHUT_RD. A packet is whoever's who borrowed it, any thread may return it, in any
 * order, and has to: its room is free for others when all that were lent before are back, too. While some are out
 * the descriptor is ready for reading, whether there is another or not. What is out when the last descriptor is
 * closed is gone. Over fork(2) nothing stays lent: what is out then may change at any time.
 * flags: MSG_DONTWAIT, MSG_NOSIGNAL. EINVAL: n is 0. ENOBUFS: DIVERT_BORROW_MAX are out. ENOMEM. EAGAIN, EINTR, EBADF,
 * EOPNOTSUPP: as divert_recv().
 */
int divert_borrow(int fd, struct divert_loan *loans, unsigned int n, int flags);
/* Give them back. EINVAL: one of them is not lent (any more); the others are back. */
int divert_return(int fd, const struct divert_loan *loans, unsigned int n);
/*
 * Write them, each as divert_sendmsg() with its info does, and give back those that were written: how many; -1 if
 * the first one was not, with the errors of divert_sendmsg(). The caller may have changed the info, and packet
 * to that of another packet, of info.length bytes. EINVAL also: one was written but not lent.
 */
int divert_send_loan(int fd, const struct divert_loan *loans, unsigned int n, int flags);

/* ENOPROTOOPT: an option that divert sockets have not. EINVAL: length or value. */
int divert_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int divert_getsockopt(int fd, int level, int name, void *value, socklen_t *len);

/* SHUT_RD: receive no more (0 from then on). SHUT_WR: send no more (EPIPE). */
int divert_shutdown(int fd, int how);

/* Bytes of the next packet, 0 if there is none: what ioctl FIONREAD answers. */
int divert_nread(int fd);

/*
 * 1: a receiving call does not sleep: there is a packet, or the end after divert_shutdown(), or an error, ENETDOWN.
 * 0: it would, and poll(2) knows that, until something comes. To be asked before a sleep in poll(2), select(2) or epoll(7), and after it,
 * whatever they say: a fragment of a packet that is not complete yet makes the descriptor readable, too. Not a
 * system call for each packet, as poll(2) is. With wait it looks for a while first, as a receiving call does before it
 * sleeps (SO_BUSY_POLL). While packets are lent (divert_borrow()) it is 1 in any case. -1: ENOTSOCK.
 */
int divert_ready(int fd, int wait);

/*
 * For poll(2)'s timeout: how long to sleep at most, ms, until divert_ready() is to be asked again: then fragments
 * whose packet was not complete in time are dropped, and counted. -1: as long as you like, or ENOTSOCK.
 */
int divert_timeout(int fd);

/*
 * Packets that are written one by one while others wait to be received may go to the kernel together, a moment
 * later (divert(4)): those of all sockets go now. exit(3) does it; what ends a process at once should.
 */
void divert_flush(void);

/*
 * The kernel sends what waits in a quarter of a millisecond. Where that falls into a sleep of the
 * thread that wrote it, it ends the sleep with EINTR, if the call is one that is never restarted
 * (signal(7)): epoll_wait(2), or recv(2) of another socket with SO_RCVTIMEO. After this call it does
 * not, until the thread writes again: what the kernel was to send for the calling thread goes now.
 * An interposed epoll_wait(2) calls it. Keeps errno.
 */
void divert_rest(void);

/*
 * They go now, and none waits any more: for before a filter of system calls, seccomp(2), that might end the
 * process at one that libdivert makes to have the kernel send those that wait, by io_uring(7).
 */
void divert_at_once(void);

/* Close a descriptor; with the last one, in all processes, the socket ends and its port is free. */
int divert_close(int fd);

/*
 * Add a firewall rule by its ipfw(8) words, "100 divert 8668 ip from any to any via eth0"; without a number
 * it gets one, the highest and 100 more. The answer is the rule's number. With DIVERT_RULE_OWNED the rule goes
 * with this process: it is without effect from the moment that the process ends or execs another program, however
 * it ends, and gone with the next change to the rules. A child of fork(2) is another process.
 * EINVAL: words, or flags. EFAULT: NULL for words. EPERM, EPROTONOSUPPORT, EPROTO as of divert_socket(). ENOSPC:
 * too many rules, ports or owners. E2BIG, ENOMEM, EMFILE. The rules of the network namespace change as a whole, or
 * not at all.
 */
int divert_rule_add(const char *words, int flags);
#define DIVERT_RULE_OWNED 1

/*
 * Delete all rules with the number; with DIVERT_RULE_OWNED only those that are this process's own.
 * ENOENT: there are none. EINVAL: number, flags. EBUSY: it is part of an ipchains(8) chain. EPERM.
 */
int divert_rule_delete(int number, int flags);

/* What was wrong in this thread's last divert_rule_...() that failed, as a sentence; never NULL. */
const char *divert_rule_error(void);

/*
 * Firewall rules as setsockopt(2) of Linux 2.2 had them: an IP_FW_... option at level IPPROTO_IP of a raw socket,
 * with the structures of <linux/ip_fw.h> (a header that comes with libdivert-socket). Errors are those of
 * ipchains' own: ENOENT: no such chain or target; EINVAL: a bad argument; DELETE: no such rule; E2BIG: no rule has
 * that number; ENOTEMPTY, EBUSY, EEXIST, ELOOP: chains; EOPNOTSUPP: what ipdivert has not; EPERM. IP_FW_CHECK
 * answers by errno: ETIMEDOUT: denied; ECONNREFUSED: rejected; ECONNABORTED: diverted; ENFILE: passed.
 */
int divert_firewall(int name, const void *value, socklen_t len);

/*
 * For those who copy descriptors (dup(2) and its kin, which work on divert sockets): tell that newfd is a
 * copy of oldfd, made just now by the caller. EMFILE: no room to remember it.
 */
int divert_dup(int oldfd, int newfd);

/* 1: fd is a divert socket of this process. 0: it is not. Keeps errno. */
int divert_is(int fd);
/* 1: fd is a descriptor that a divert socket of this process uses inside, which nobody else should touch. */
int divert_is_inner(int fd);
/* The first descriptor from fd on that is one or the other; -1: there is none. */
int divert_next(int fd);
/*
 * The inner descriptor by which the socket writes: ready for writing when the socket is, which the
 * socket's own cannot tell epoll(7). For nothing else. Whoever adds the socket's own to a set asks for this one, also
 * where he only reads: a receiving call may look for packets, and leave what the kernel knows behind, but does not
 * from then on. poll(2) is asked after divert_ready() and needs none of this.
 */
int divert_writer(int fd);
/* Such a descriptor moves away from this number, which somebody is about to put another file on. */
int divert_move_inner(int fd);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
