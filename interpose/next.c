// SPDX-License-Identifier: BSD-2-Clause
/*
 * Until our constructor has run, and for names that the C library lacks, the next function is the
 * bare system call. So an early call (from another library's constructor, a memory allocator or
 * dlsym() itself) needs no symbol lookup, no lock and no memory.
 */
#include "interpose/next.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>

#define PLAIN(result, name, parameters, call)                                                      \
	static result raw_##name parameters                                                        \
	{                                                                                          \
		return (result)syscall call;                                                       \
	}
NEXT_PLAIN(PLAIN)
#undef PLAIN

#ifdef SYS_fcntl64
#define RAW_FCNTL SYS_fcntl64
#else
#define RAW_FCNTL SYS_fcntl
#endif

static int raw_fcntl(int fd, int cmd, ...)
{
	va_list args;
	void *arg;

	va_start(args, cmd);
	arg = va_arg(args, void *);
	va_end(args);
	return (int)syscall(RAW_FCNTL, fd, cmd, arg);
}

static int raw_ioctl(int fd, ioctl_request request, ...)
{
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	return (int)syscall(SYS_ioctl, fd, request, arg);
}

static int raw_prctl(int option, ...)
{
	unsigned long a[4];
	va_list args;
	int i;

	va_start(args, option);
	for (i = 0; i < 4; i++)
		a[i] = va_arg(args, unsigned long);
	va_end(args);
	return (int)syscall(SYS_prctl, option, a[0], a[1], a[2], a[3]);
}

/* Does not search PATH: nobody executes programs by name so early. */
static int raw_execvpe(const char *file, char *const argv[], char *const envp[])
{
	return raw_execve(file, argv, envp);
}

static void raw_closefrom(int low)
{
	syscall(SYS_close_range, low < 0 ? 0 : low, ~0U, 0);
}

/* The kernel stores the time left in the timeout; the POSIX function does not. */
static int raw_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
		     const sigset_t *mask)
{
	struct timespec left;

	if (timeout)
		left = *timeout;
	return (int)syscall(SYS_ppoll, fds, n, timeout ? &left : NULL, mask, NSIG / 8);
}

static int raw_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	const struct timespec t = {timeout / 1000, timeout % 1000 * 1000000L};

	return raw_ppoll(fds, n, timeout < 0 ? NULL : &t, NULL);
}

static int raw___poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t size)
{
	return raw_poll(fds, n, timeout);
}

static int raw___ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
			   const sigset_t *mask, size_t size)
{
	return raw_ppoll(fds, n, timeout, mask);
}

static int raw_pselect(int n, fd_set *in, fd_set *out, fd_set *except,
		       const struct timespec *timeout, const sigset_t *mask)
{
	const struct {
		const sigset_t *mask;
		size_t size;
	} arg = {mask, NSIG / 8};
	struct timespec left;

	if (timeout)
		left = *timeout;
	return (int)syscall(SYS_pselect6, n, in, out, except, timeout ? &left : NULL, &arg);
}

static int raw_select(int n, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout)
{
	struct timespec t;

	if (!timeout)
		return raw_pselect(n, in, out, except, NULL, NULL);
	t.tv_sec = timeout->tv_sec;
	t.tv_nsec = timeout->tv_usec * 1000;
	return raw_pselect(n, in, out, except, &t, NULL);
}

/* Name databases: nobody looks into them so early. */
static struct servent *raw_getservbyname(const char *name, const char *proto)
{
	return NULL;
}

static struct servent *raw_getservbyport(int port, const char *proto)
{
	return NULL;
}

static struct protoent *raw_getprotobyname(const char *name)
{
	return NULL;
}

static struct protoent *raw_getprotobynumber(int number)
{
	return NULL;
}

static int raw_getservbyname_r(const char *name, const char *proto, struct servent *s, char *buf,
			       size_t size, struct servent **result)
{
	*result = NULL;
	return ENOENT;
}

static int raw_getservbyport_r(int port, const char *proto, struct servent *s, char *buf,
			       size_t size, struct servent **result)
{
	*result = NULL;
	return ENOENT;
}

static int raw_getprotobyname_r(const char *name, struct protoent *p, char *buf, size_t size,
				struct protoent **result)
{
	*result = NULL;
	return ENOENT;
}

static int raw_getprotobynumber_r(int number, struct protoent *p, char *buf, size_t size,
				  struct protoent **result)
{
	*result = NULL;
	return ENOENT;
}

#define raw_fcntl64	       raw_fcntl
#define RAW(result, name, ...) .name = raw_##name,
struct next_functions next_functions = {NEXT_PLAIN(RAW) NEXT_OTHER(RAW)};
#undef RAW

__attribute__((constructor)) static void find_next(void)
{
	void *found;

	/* dlsym() returns an object pointer; POSIX allows its conversion to a function pointer. */
#define FIND(result, name, ...)                                                                    \
	found = dlsym(RTLD_NEXT, #name);                                                           \
	if (found)                                                                                 \
		__atomic_store_n(&next_functions.name, (__typeof__(next_functions.name))found,     \
				 __ATOMIC_RELAXED);
	NEXT_PLAIN(FIND)
	NEXT_OTHER(FIND)
#undef FIND
}
