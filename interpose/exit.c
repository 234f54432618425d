// SPDX-License-Identifier: BSD-2-Clause
/* Ends of a process that bypass exit(3): send the waiting packets first. */
#include "interpose/child.h"
#include "interpose/next.h"

#include <divert.h>
#include <stdlib.h>

void let_packets_go(void)
{
	if (has_sockets())
		divert_flush();
}

PUBLIC void _exit(int status)
{
	let_packets_go();
	syscall(SYS_exit_group, status);
	__builtin_unreachable();
}

PUBLIC void _Exit(int status)
{
	_exit(status);
}
