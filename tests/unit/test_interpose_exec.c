// sources: interpose/*.c tests/unit/fake_divert.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* The interposer sends waiting packets before a program is executed, or a filter is set up. */
#undef _FORTIFY_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/fake_divert.h"

/*
 * Waiting packets are sent before another program replaces this one. The arguments stay as they
 * were.
 */
static void execs(void **state)
{
	static char *argv[] = {"sh", "-c", "test $1$2$X = abc", "sh", "a", "b", NULL};
	static char *env[] = {"X=c", NULL}, none[] = "/no/such/file";
	char *const *v = argv;
	int status, i;

	new_socket();
	FAILS(ENOENT, execv(none, v));
	assert_int_equal(flushed, 1);
	FAILS(ENOENT, execve(none, v, env));
	assert_int_equal(flushed, 2);
	FAILS(ENOENT, execvp(none, v));
	assert_int_equal(flushed, 3);
	FAILS(ENOENT, execvpe(none, v, env));
	assert_int_equal(flushed, 4);
	FAILS(ENOENT, execl(none, "a", "b", NULL));
	assert_int_equal(flushed, 5);
	FAILS(ENOENT, execle(none, "a", "b", NULL, env));
	assert_int_equal(flushed, 6);
	FAILS(ENOENT, execlp(none, "a", "b", NULL));
	assert_int_equal(flushed, 7);
	FAILS(EINVAL, fexecve(-1, v, env));
	assert_int_equal(flushed, 8);
	FAILS(ENOENT, syscall(SYS_execve, none, v, env));
	assert_int_equal(flushed, 9);
	for (i = 0; i < 7; i++) {
		if (fork() == 0) {
			setenv("X", "c", 1);
			if (i == 0)
				execv("/bin/sh", v);
			else if (i == 1)
				execve("/bin/sh", v, env);
			else if (i == 2)
				execvp("sh", v);
			else if (i == 3)
				execl("/bin/sh", v[0], v[1], v[2], v[3], v[4], v[5], NULL);
			else if (i == 4)
				execle("/bin/sh", v[0], v[1], v[2], v[3], v[4], v[5], NULL, env);
			else if (i == 5)
				execlp("sh", v[0], v[1], v[2], v[3], v[4], v[5], NULL);
			else
				fexecve(open("/bin/sh", O_PATH), v, env);
			syscall(SYS_exit_group, 9);
		}
		assert_true(wait(&status) > 0 && WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

/* No packet waits where a filter of system calls might stop it. */
static void filters(void **state)
{
	int status;

	FAILS(EINVAL, prctl(PR_SET_SECCOMP, 99, NULL));
	assert_int_equal(at_once, 1);
	FAILS(EINVAL, syscall(SYS_prctl, PR_SET_SECCOMP, 99, NULL));
	assert_int_equal(at_once, 2);
	FAILS(EINVAL, syscall(SYS_seccomp, 99, 0, NULL));
	assert_int_equal(at_once, 3);
	assert_int_equal(prctl(PR_GET_SECCOMP), 0);
	assert_int_equal(at_once, 3);
	/* six arguments are passed on; a child of vfork(2) shares our memory */
	assert_true(syscall(SYS_mmap, NULL, 4096, 3, 0x22, -1, 0) > 0);
	new_socket();
	if (vfork() == 0) {
		prctl(PR_SET_SECCOMP, 99, NULL);
		_exit(0);
	}
	assert_true(wait(&status) > 0 && WIFEXITED(status));
	assert_int_equal(at_once, 3);
	assert_int_equal(flushed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(execs),
		TEST(filters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
