/* SPDX-License-Identifier: BSD-2-Clause */
/* How libdivert tracks descriptors if nobody tells it of close(2) and dup2(2). */
#include "check.h"

#include "../../../include/divert-interposer.h"
#include <divert.h>
#include <fcntl.h>

/* Inner descriptors are below 4096. */
static int open_descriptors(void)
{
	int n = 0, fd;

	for (fd = 0; fd < 4200; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static int inner_descriptors(void)
{
	int n = 0, fd;

	for (fd = divert_next(0); fd >= 0; fd = divert_next(fd + 1))
		n += divert_is_inner(fd);
	return n;
}

int main(void)
{
	int before = open_descriptors(), fd, other, i, per_socket;

	is("no socket: no next one", divert_next(0), -1);
	fd = divert_socket(AF_INET, 0);
	must(fd >= 0, "divert_socket");
	per_socket = inner_descriptors();
	is("the next one is the first", divert_next(0), fd);
	check(per_socket > 0 && divert_next(fd + 1) > fd, "the next ones are inner ones");
	is("divert_close", divert_close(fd), 0);
	is("closed: no next one", divert_next(0), -1);
	is("closed: nothing is left", open_descriptors(), before);

	for (i = 0; i < 20; i++)
		close(divert_socket(AF_INET, 0));
	fd = divert_socket(AF_INET, 0);
	is("closed without a word, the number used again: nothing is left", inner_descriptors(),
	   per_socket);
	other = divert_socket(AF_INET6, 0);
	must(dup2(fd, other) == other, "dup2");
	is("divert_dup over a socket", divert_dup(fd, other), 0);
	is("divert_dup over a socket: that one has ended", inner_descriptors(), per_socket);
	divert_close(other);
	is("the original is still there", divert_is(fd), 1);
	divert_close(fd);
	is("all closed: nothing is left", open_descriptors(), before);
	fails_with("divert_close of no divert socket", ENOTSOCK, divert_close(fd));
	return check_failed;
}
