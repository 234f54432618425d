// SPDX-License-Identifier: BSD-2-Clause
/*
 * Until our constructor has run, and for names that the C library has not, the next function is
 * the bare system call. So a call that comes early (from another library's constructor, from a
 * memory allocator, from dlsym() itself) needs no look-up, no lock and no memory.
 */
#include "interpose/next.h"

#include <dlfcn.h>
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

static int raw_ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	return (int)syscall(SYS_ioctl, fd, request, arg);
}

static void raw_closefrom(int low)
{
	syscall(SYS_close_range, low < 0 ? 0 : low, ~0U, 0);
}

#define raw_fcntl64	       raw_fcntl
#define RAW(result, name, ...) .name = raw_##name,
struct next_functions next_functions = {NEXT_PLAIN(RAW) NEXT_OTHER(RAW)};
#undef RAW

__attribute__((constructor)) static void find_next(void)
{
	void *found;

	/* dlsym() answers with an object pointer, which POSIX lets one turn into a function's. */
#define FIND(result, name, ...)                                                                    \
	found = dlsym(RTLD_NEXT, #name);                                                           \
	if (found)                                                                                 \
		__atomic_store_n(&next_functions.name, (__typeof__(next_functions.name))found,     \
				 __ATOMIC_RELAXED);
	NEXT_PLAIN(FIND)
	NEXT_OTHER(FIND)
#undef FIND
}
