/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The functions that would be called without us: the C library's, or those of an interposer after
 * us. NEXT(read)(fd, buf, len) calls one.
 */
#ifndef INTERPOSE_NEXT_H
#define INTERPOSE_NEXT_H

/* With these macros the headers would make inline functions or aliases of names that we define. */
#undef _FORTIFY_SOURCE
#undef _FILE_OFFSET_BITS
#undef _TIME_BITS

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define PUBLIC __attribute__((visibility("default")))

/* <bits/unistd.h> and others call these in programs built with _FORTIFY_SOURCE. */
ssize_t __read_chk(int fd, void *buf, size_t len, size_t size);
ssize_t __recv_chk(int fd, void *buf, size_t len, size_t size, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t size, int flags, struct sockaddr *from,
		       socklen_t *fromlen);

int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t size);
int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask,
		size_t size);

/* Not every C library has these. */
int fcntl64(int fd, int cmd, ...);
int getprotobyname_r(const char *name, struct protoent *p, char *buf, size_t size,
		     struct protoent **result);
int getprotobynumber_r(int number, struct protoent *p, char *buf, size_t size,
		       struct protoent **result);

/* glibc's types differ here from POSIX's, which other C libraries use. */
#ifdef __GLIBC__
typedef int mmsg_flags;
typedef unsigned long ioctl_request;
#else
typedef unsigned int mmsg_flags;
typedef int ioctl_request;
#endif

/* Newer than some C libraries that we build with. */
int close_range(unsigned int first, unsigned int last, int flags);
int epoll_pwait2(int set, struct epoll_event *events, int max, const struct timespec *timeout,
		 const sigset_t *mask);
void closefrom(int low);

#ifdef SYS_dup2
#define RAW_DUP2 SYS_dup2, oldfd, newfd
#else
#define RAW_DUP2 SYS_dup3, oldfd, newfd, 0
#endif

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441 /* on all architectures */
#endif

/* X(result, name, parameters, equivalent system call) */
#define NEXT_PLAIN(X)                                                                              \
	X(int, socket, (int domain, int type, int protocol), (SYS_socket, domain, type, protocol)) \
	X(int, bind, (int fd, const struct sockaddr *addr, socklen_t len),                         \
	  (SYS_bind, fd, addr, len))                                                               \
	X(int, connect, (int fd, const struct sockaddr *addr, socklen_t len),                      \
	  (SYS_connect, fd, addr, len))                                                            \
	X(int, listen, (int fd, int backlog), (SYS_listen, fd, backlog))                           \
	X(int, accept, (int fd, struct sockaddr *addr, socklen_t *len),                            \
	  (SYS_accept4, fd, addr, len, 0))                                                         \
	X(int, accept4, (int fd, struct sockaddr *addr, socklen_t *len, int flags),                \
	  (SYS_accept4, fd, addr, len, flags))                                                     \
	X(int, getsockname, (int fd, struct sockaddr *addr, socklen_t *len),                       \
	  (SYS_getsockname, fd, addr, len))                                                        \
	X(int, getpeername, (int fd, struct sockaddr *addr, socklen_t *len),                       \
	  (SYS_getpeername, fd, addr, len))                                                        \
	X(int, getsockopt, (int fd, int level, int name, void *value, socklen_t *len),             \
	  (SYS_getsockopt, fd, level, name, value, len))                                           \
	X(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t len),        \
	  (SYS_setsockopt, fd, level, name, value, len))                                           \
	X(int, shutdown, (int fd, int how), (SYS_shutdown, fd, how))                               \
	X(ssize_t, recv, (int fd, void *buf, size_t len, int flags),                               \
	  (SYS_recvfrom, fd, buf, len, flags, NULL, NULL))                                         \
	X(ssize_t, recvfrom,                                                                       \
	  (int fd, void *buf, size_t len, int flags, struct sockaddr *from, socklen_t *fromlen),   \
	  (SYS_recvfrom, fd, buf, len, flags, from, fromlen))                                      \
	X(ssize_t, recvmsg, (int fd, struct msghdr *msg, int flags),                               \
	  (SYS_recvmsg, fd, msg, flags))                                                           \
	X(int, recvmmsg,                                                                           \
	  (int fd, struct mmsghdr *msgs, unsigned int n, mmsg_flags flags,                         \
	   struct timespec *timeout),                                                              \
	  (SYS_recvmmsg, fd, msgs, n, flags, timeout))                                             \
	X(ssize_t, read, (int fd, void *buf, size_t len), (SYS_read, fd, buf, len))                \
	X(ssize_t, readv, (int fd, const struct iovec *iov, int n), (SYS_readv, fd, iov, n))       \
	X(ssize_t, send, (int fd, const void *buf, size_t len, int flags),                         \
	  (SYS_sendto, fd, buf, len, flags, NULL, 0))                                              \
	X(ssize_t, sendto,                                                                         \
	  (int fd, const void *buf, size_t len, int flags, const struct sockaddr *to,              \
	   socklen_t tolen),                                                                       \
	  (SYS_sendto, fd, buf, len, flags, to, tolen))                                            \
	X(ssize_t, sendmsg, (int fd, const struct msghdr *msg, int flags),                         \
	  (SYS_sendmsg, fd, msg, flags))                                                           \
	X(int, sendmmsg, (int fd, struct mmsghdr *msgs, unsigned int n, mmsg_flags flags),         \
	  (SYS_sendmmsg, fd, msgs, n, flags))                                                      \
	X(ssize_t, write, (int fd, const void *buf, size_t len), (SYS_write, fd, buf, len))        \
	X(ssize_t, writev, (int fd, const struct iovec *iov, int n), (SYS_writev, fd, iov, n))     \
	X(ssize_t, __read_chk, (int fd, void *buf, size_t len, size_t size),                       \
	  (SYS_read, fd, buf, len < size ? len : size))                                            \
	X(ssize_t, __recv_chk, (int fd, void *buf, size_t len, size_t size, int flags),            \
	  (SYS_recvfrom, fd, buf, len < size ? len : size, flags, NULL, NULL))                     \
	X(ssize_t, __recvfrom_chk,                                                                 \
	  (int fd, void *buf, size_t len, size_t size, int flags, struct sockaddr *from,           \
	   socklen_t *fromlen),                                                                    \
	  (SYS_recvfrom, fd, buf, len < size ? len : size, flags, from, fromlen))                  \
	X(int, close, (int fd), (SYS_close, fd))                                                   \
	X(int, close_range, (unsigned int first, unsigned int last, int flags),                    \
	  (SYS_close_range, first, last, flags))                                                   \
	X(int, dup, (int fd), (SYS_dup, fd))                                                       \
	X(int, dup2, (int oldfd, int newfd), (RAW_DUP2))                                           \
	X(int, dup3, (int oldfd, int newfd, int flags), (SYS_dup3, oldfd, newfd, flags))           \
	X(int, epoll_ctl, (int set, int op, int fd, struct epoll_event *event),                    \
	  (SYS_epoll_ctl, set, op, fd, event))                                                     \
	X(int, epoll_wait, (int set, struct epoll_event *events, int max, int timeout),            \
	  (SYS_epoll_pwait, set, events, max, timeout, NULL, NSIG / 8))                            \
	X(int, epoll_pwait,                                                                        \
	  (int set, struct epoll_event *events, int max, int timeout, const sigset_t *mask),       \
	  (SYS_epoll_pwait, set, events, max, timeout, mask, NSIG / 8))                            \
	X(int, epoll_pwait2,                                                                       \
	  (int set, struct epoll_event *events, int max, const struct timespec *timeout,           \
	   const sigset_t *mask),                                                                  \
	  (SYS_epoll_pwait2, set, events, max, timeout, mask, NSIG / 8))                           \
	X(int, execve, (const char *path, char *const argv[], char *const envp[]),                 \
	  (SYS_execve, path, argv, envp))                                                          \
	X(int, fexecve, (int fd, char *const argv[], char *const envp[]),                          \
	  (SYS_execveat, fd, "", argv, envp, AT_EMPTY_PATH))

/*
 * We interpose syscall(2) only where raw_syscall() can replace it until the C library's is looked
 * up.
 */
#if defined(__x86_64__) || defined(__aarch64__)
#define OWN_SYSCALL 1
long raw_syscall(long number, ...);
#define NEXT_SYSCALL(X) X(long, syscall, (long number, ...))
#else
#define OWN_SYSCALL 0
#define NEXT_SYSCALL(X)
#endif

/*
 * X(result, name, parameters): functions that are no plain system call; next.c has their raw forms
 */
#define NEXT_OTHER(X)                                                                              \
	NEXT_SYSCALL(X)                                                                            \
	X(int, prctl, (int option, ...))                                                           \
	X(int, execvpe, (const char *file, char *const argv[], char *const envp[]))                \
	X(int, fcntl, (int fd, int cmd, ...))                                                      \
	X(int, fcntl64, (int fd, int cmd, ...))                                                    \
	X(int, ioctl, (int fd, ioctl_request request, ...))                                        \
	X(void, closefrom, (int low))                                                              \
	X(int, poll, (struct pollfd * fds, nfds_t n, int timeout))                                 \
	X(int, __poll_chk, (struct pollfd * fds, nfds_t n, int timeout, size_t size))              \
	X(int, ppoll,                                                                              \
	  (struct pollfd * fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask))   \
	X(int, __ppoll_chk,                                                                        \
	  (struct pollfd * fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask,    \
	   size_t size))                                                                           \
	X(int, select, (int n, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout))  \
	X(int, pselect,                                                                            \
	  (int n, fd_set *in, fd_set *out, fd_set *except, const struct timespec *timeout,         \
	   const sigset_t *mask))                                                                  \
	X(struct servent *, getservbyname, (const char *name, const char *proto))                  \
	X(struct servent *, getservbyport, (int port, const char *proto))                          \
	X(struct protoent *, getprotobyname, (const char *name))                                   \
	X(struct protoent *, getprotobynumber, (int number))                                       \
	X(int, getservbyname_r,                                                                    \
	  (const char *name, const char *proto, struct servent *s, char *buf, size_t size,         \
	   struct servent **result))                                                               \
	X(int, getservbyport_r,                                                                    \
	  (int port, const char *proto, struct servent *s, char *buf, size_t size,                 \
	   struct servent **result))                                                               \
	X(int, getprotobyname_r,                                                                   \
	  (const char *name, struct protoent *p, char *buf, size_t size,                           \
	   struct protoent **result))                                                              \
	X(int, getprotobynumber_r,                                                                 \
	  (int number, struct protoent *p, char *buf, size_t size, struct protoent **result))

#define NEXT_MEMBER(result, name, parameters, ...) result(*name) parameters;
struct next_functions {
	NEXT_PLAIN(NEXT_MEMBER)
	NEXT_OTHER(NEXT_MEMBER)
};
#undef NEXT_MEMBER

extern struct next_functions next_functions;

/* A thread that an earlier constructor started may read this while our constructor writes it. */
#define NEXT(name) __atomic_load_n(&next_functions.name, __ATOMIC_RELAXED)

#endif
