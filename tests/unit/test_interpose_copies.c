// sources: interpose/*.c tests/unit/fake_divert.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interposer keeps track of descriptors: copies, inner ones, ranges, and those of child
 * processes.
 */
#undef _FORTIFY_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <divert-interposer.h>
#include <divert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "include/compat/sys/socket.h"
#include "tests/unit/fake_divert.h"

static void copies(void **state)
{
	const int fd = new_socket();
	const int null = open("/dev/null", O_RDWR);
	int copy;

	copy = dup(fd);
	assert_true(divert_is(copy));
	assert_int_equal(close(copy), 0);
	assert_false(divert_is(copy) || is_open(copy));
	assert_true(divert_is(fd));

	copy = fcntl(fd, F_DUPFD, 700);
	assert_int_equal(copy, 700);
	assert_true(divert_is(700));
	copy = fcntl64(fd, F_DUPFD_CLOEXEC, 700);
	assert_int_equal(copy, 701);
	assert_true(divert_is(701));
	assert_int_equal(fcntl(701, F_GETFD), FD_CLOEXEC);

	/* onto an ordinary descriptor, onto a divert socket, and back */
	copy = dup(null);
	assert_false(divert_is(copy));
	assert_int_equal(dup2(fd, copy), copy);
	assert_true(divert_is(copy));
	assert_int_equal(dup3(fd, 701, O_CLOEXEC), 701);
	assert_true(divert_is(701));
	assert_int_equal(dup2(null, copy), copy);
	assert_false(divert_is(copy));
	assert_true(is_open(copy));
	assert_int_equal(close(copy), 0);

	/* a call that fails leaves everything as it was; dup2 onto itself does nothing */
	assert_int_equal(dup2(fd, fd), fd);
	FAILS(EINVAL, dup3(fd, fd, 0));
	FAILS(EINVAL, dup3(null, fd, 1));
	FAILS(EBADF, dup2(999, fd));
	assert_true(divert_is(fd) && is_open(fd));

	/* a copy that cannot be registered fails */
	refuse_dup = 1;
	FAILS(EMFILE, fcntl(fd, F_DUPFD, 710));
	assert_false(is_open(710));
	FAILS(EMFILE, dup2(fd, 710));
	assert_false(is_open(710));
	close(null);
}

static void inner_descriptors(void **state)
{
	const int fd = new_socket();
	const int inner = hold(is_inner);
	const int null = open("/dev/null", O_RDWR);

	FAILS(EBADF, close(inner));
	assert_true(is_open(inner));
	FAILS(EBADF, dup2(999, inner));
	assert_true(divert_is_inner(inner));

	assert_int_equal(dup2(null, inner), inner);
	assert_string_equal(asked, "move_inner");
	assert_false(divert_is_inner(inner));
	assert_int_equal(close(inner), 0);
	assert_int_equal(dup3(fd, inner, 0), inner);
	assert_true(divert_is(inner));
	close(null);
}

static int fork_and(void (*what)(int), int arg)
{
	int status = 0;
	const pid_t child = fork();

	if (child == 0) {
		what(arg);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

/*
 * This runs in a child, so that the test keeps its own descriptors. Sockets, inner ones and others
 * alternate.
 */
static void check_range(int how)
{
	int fd[8], i;

	for (i = 0; i < 8; i++) {
		fd[i] = fcntl(STDERR_FILENO, F_DUPFD, 100);
		is_socket[fd[i]] = i == 1 || i == 5;
		is_inner[fd[i]] = i == 0 || i == 3 || i == 4;
	}
	if (how == 0 && close_range(100, ~0U, 0))
		_exit(1);
	if (how == 1)
		closefrom(100);
	if (how == 2 && close_range(100, 104, 0))
		_exit(2);
	if (how == 3 && close_range(100, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */))
		_exit(3);
	for (i = 0; i < 8; i++) {
		const bool open = how == 3 || (how == 2 && i > 4) || is_inner[fd[i]];

		if (is_open(fd[i]) != open)
			_exit(10 + i);
		if (is_socket[fd[i]] != (open && (i == 1 || i == 5)))
			_exit(20 + i);
	}
	if (close_range(1, 0, 0) != -1 || errno != EINVAL)
		_exit(4);
	if (close_range(100, 101, 1 << 20) != -1 || errno != EINVAL)
		_exit(5);
}

static void ranges(void **state)
{
	int how;

	new_socket();
	for (how = 0; how < 4; how++)
		assert_int_equal(fork_and(check_range, how), 0);
}

/*
 * A child of vfork(2) shares this memory: what it does to its descriptors must not be noted here.
 */
static void vfork_child(int fd)
{
	int status = 0;
	const pid_t child = vfork();

	if (child == 0) {
		const int inner = is_inner[900] ? 900 : -1;

		if (close(inner) || is_open(inner))
			_exit(1);
		if (dup2(fd, 901) != 901 || divert_is(901) || dup(fd) < 0)
			_exit(2);
		if (close(fd) || is_open(fd))
			_exit(3);
		if (close_range(3, ~0U, 0))
			_exit(4);
		_exit(0);
	}
	if (waitpid(child, &status, 0) != child || status)
		_exit(WEXITSTATUS(status));
	if (!divert_is(fd) || !is_open(fd) || !is_inner[900] || !is_open(900))
		_exit(5);
	/* and our own calls are still passed on */
	asked = "";
	if (close(fd) || strcmp(asked, "close") || close(900) != -1)
		_exit(6);
}

static void vforks(void **state)
{
	const int fd = new_socket();

	is_inner[fcntl(STDERR_FILENO, F_DUPFD, 900)] = true;
	/* right after fork(2): a page that only fork(2) empties would not do there */
	assert_int_equal(fork_and(vfork_child, fd), 0);
	vfork_child(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(copies),
		TEST(inner_descriptors),
		TEST(ranges),
		TEST(vforks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
