// SPDX-License-Identifier: BSD-2-Clause
/*
 * A seccomp(2) filter that does not know io_uring(7) may kill the process at a system call that
 * libdivert makes on its own. So once a filter is installed, libdivert makes only the calls that
 * the program asks for. Filters are installed by prctl(2), or by syscall(2), since seccomp(2) has
 * no function: interpose/syscall.c.
 */
#include "interpose/child.h"
#include "interpose/next.h"

#include <divert.h>
#include <stdarg.h>
#include <sys/prctl.h>

void before_filter(void)
{
	/*
	 * a child of vfork(2) has its parent's memory, but the filter does not apply to the parent
	 */
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
