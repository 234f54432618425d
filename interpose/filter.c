// SPDX-License-Identifier: BSD-2-Clause
/*
 * A filter of system calls, seccomp(2), that does not know io_uring(7) may end the process at one
 * that libdivert makes of its own accord. So from then on it makes only those that the program
 * asks for. What asks for a filter is prctl(2), or syscall(2), as seccomp(2) has no function: interpose/syscall.c.
 */
#include "interpose/child.h"
#include "interpose/next.h"

#include <divert.h>
#include <stdarg.h>
#include <sys/prctl.h>

void before_filter(void)
{
	/* a child of vfork(2) has the memory of its parent, which the filter does not concern */
	if (!in_vfork_child())
		divert_at_once();
}

PUBLIC int prctl(int option, ...)
{
	unsigned long a[4];
	va_list args;
	int i;

	va_start(args, option);
	for (i = 0; i < 4; i++)
		a[i] = va_arg(args, unsigned long);
	va_end(args);
	if (option == PR_SET_SECCOMP)
		before_filter();
	return NEXT(prctl)(option, a[0], a[1], a[2], a[3]);
}
