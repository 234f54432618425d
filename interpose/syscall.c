// SPDX-License-Identifier: BSD-2-Clause
/* syscall(2): the calls that concern us, made by number. */
#include "interpose/next.h"

#if OWN_SYSCALL
#include "interpose/child.h"

#include <stdarg.h>
#include <sys/prctl.h>

static void before(long number, long first)
{
	switch (number) {
	case SYS_seccomp:
		before_filter();
		break;
	case SYS_prctl:
		if ((int)first == PR_SET_SECCOMP)
			before_filter();
		break;
	case SYS_execve:
	case SYS_execveat:
	case SYS_exit_group:
		let_packets_go();
		break;
	}
}

PUBLIC long syscall(long number, ...)
{
	va_list args;
	long a[6];
	int i;

	va_start(args, number);
	for (i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	before(number, a[0]);
	return NEXT(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
#endif
