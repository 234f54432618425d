// SPDX-License-Identifier: BSD-2-Clause
/* exec(3): send the waiting packets before another program takes over the process. */
#include "interpose/child.h"
#include "interpose/next.h"

#include <stdarg.h>
#include <stdbool.h>

PUBLIC int execve(const char *path, char *const argv[], char *const envp[])
{
	let_packets_go();
	return NEXT(execve)(path, argv, envp);
}

PUBLIC int execv(const char *path, char *const argv[])
{
	return execve(path, argv, environ);
}

PUBLIC int execvpe(const char *file, char *const argv[], char *const envp[])
{
	let_packets_go();
	return NEXT(execvpe)(file, argv, envp);
}

PUBLIC int execvp(const char *file, char *const argv[])
{
	return execvpe(file, argv, environ);
}

PUBLIC int fexecve(int fd, char *const argv[], char *const envp[])
{
	let_packets_go();
	return NEXT(fexecve)(fd, argv, envp);
}

/* ---- arguments as a list ---- */

/* argv is on the stack, because this may be called in a signal handler. */
static int run(int (*exec)(const char *file, char *const argv[], char *const envp[]),
	       const char *file, const char *first, va_list args, bool has_env)
{
	size_t i, n = 0;
	va_list copy;

	va_copy(copy, args);
	if (first) {
		do
			n++;
		while (va_arg(copy, char *));
	}
	va_end(copy);
	{
		char *argv[n + 1];

		argv[0] = (char *)first;
		for (i = 1; i <= n; i++)
			argv[i] = va_arg(args, char *);
		return exec(file, argv, has_env ? va_arg(args, char **) : environ);
	}
}

PUBLIC int execl(const char *path, const char *arg, ...)
{
	va_list args;
	int rc;

	va_start(args, arg);
	rc = run(execve, path, arg, args, false);
	va_end(args);
	return rc;
}

PUBLIC int execle(const char *path, const char *arg, ...)
{
	va_list args;
	int rc;

	va_start(args, arg);
	rc = run(execve, path, arg, args, true);
	va_end(args);
	return rc;
}

PUBLIC int execlp(const char *file, const char *arg, ...)
{
	va_list args;
	int rc;

	va_start(args, arg);
	rc = run(execvpe, file, arg, args, false);
	va_end(args);
	return rc;
}
