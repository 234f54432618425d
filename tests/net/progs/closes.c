/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program that has a divert socket may close or replace descriptors that it does not know of:
 * closes PORT DPORT, with the rule that calls.c needs. It uses plain sockets; divert-run makes them
 * divert sockets.
 */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/wait.h>

static unsigned int port, dport;
static int divert;
static uint8_t buf[65536];

/* Checks that everything works: a packet goes through the divert socket and arrives. */
static void works(const char *after)
{
	struct sockaddr_in to = address4("127.0.0.1", dport), from;
	socklen_t len = sizeof(from);
	int one = socket(AF_INET, SOCK_DGRAM, 0), two = socket(AF_INET, SOCK_DGRAM, 0);
	struct timeval tv = {5, 0};
	ssize_t n;

	must(one >= 0 && two >= 0 && !bind(one, (void *)&to, sizeof(to)), "the UDP socket");
	setsockopt(one, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	must(sendto(two, "hello", 5, 0, (void *)&to, sizeof(to)) == 5, "sending a UDP packet");
	n = recvfrom(divert, buf, sizeof(buf), 0, (void *)&from, &len);
	is(after, n, 33);
	check(n == 33 && sendto(divert, buf, 33, 0, (void *)&from, len) == 33 &&
		      recv(one, buf, sizeof(buf), 0) == 5,
	      "%s: what is written back arrives", after);
	/* an errno from inside the kernel half needs the second one of the inner descriptors */
	memset(buf, 0, 40);
	memcpy(buf, "\x45\0\0\x28\0\0\0\0\x40\x11\0\0\x7f\0\0\x01\xc6\x33\x64\x07", 20);
	memset(&from, 0, sizeof(from));
	from.sin_family = AF_INET;
	fails_with(after, ENETUNREACH, sendto(divert, buf, 40, 0, (void *)&from, sizeof(from)));
	close(one);
	close(two);
}

static void opened(void)
{
	struct sockaddr_in in = address4("0.0.0.0", port);

	divert = socket(AF_INET, SOCK_RAW, 258);
	must(divert >= 0 && !bind(divert, (void *)&in, sizeof(in)), "a divert socket");
}

static void child_with(const char *what, int shell)
{
	char *const sh[] = {"sh", "-c", "exec 3>&- 4>&-; echo child >/dev/null; exit 5", NULL};
	pid_t pid;
	int status = 0;

	if (shell) {
		is(what, WEXITSTATUS(system("exit 5")), 5);
		return;
	}
	must(!posix_spawnp(&pid, "sh", NULL, NULL, sh, environ), "posix_spawnp");
	waitpid(pid, &status, 0);
	is(what, WEXITSTATUS(status), 5);
}

#define USED 60 /* a descriptor that nothing else uses */

static bool closing = true;

static void *uses(void *arg)
{
	char byte;

	(void)arg;
	while (__atomic_load_n(&closing, __ATOMIC_RELAXED))
		recv(USED, &byte, 1, MSG_DONTWAIT);
	return NULL;
}

/*
 * Threads use a descriptor's number while its socket is closed and another is made. None of them
 * may get a socket that no longer exists.
 */
static void closed_while_used(void)
{
	const time_t end = time(NULL) + 2;
	pthread_t thread[3];
	int fd, bad = 0;
	size_t i;

	for (i = 0; i < 3; i++)
		must(!pthread_create(&thread[i], NULL, uses, NULL), "pthread_create");
	do {
		fd = socket(AF_INET, SOCK_RAW, 258);
		bad += dup2(fd, USED) != USED || close(fd) || close(USED);
	} while (time(NULL) < end && !bad);
	__atomic_store_n(&closing, false, __ATOMIC_RELAXED);
	for (i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	is("closed while threads use it", bad, 0);
}

int main(int argc, char **argv)
{
	int fd, copy, rc, status;
	pid_t pid;

	if (argc != 3)
		return 2;
	port = (unsigned int)atoi(argv[1]);
	dport = (unsigned int)atoi(argv[2]);
	alarm(30);
	fd = open("/dev/null", O_RDONLY);
	close(fd);
	opened();
	is("the divert socket has the lowest free number", divert, fd);
	works("as it was opened");

	is("close_range", close_range((unsigned int)divert + 1, ~0U, 0), 0);
	works("after close_range of all above it");
	closefrom(divert + 1);
	works("after closefrom of all above it");
	for (rc = divert + 1; rc < 5000; rc++)
		close(rc);
	works("after close of each above it");
	is("close_range, CLOSE_RANGE_CLOEXEC",
	   close_range((unsigned int)divert + 1, ~0U, CLOSE_RANGE_CLOEXEC), 0);
	works("after CLOSE_RANGE_CLOEXEC");
	fd = open("/dev/null", O_RDONLY);
	for (rc = divert + 2; rc < 5000; rc++) /* over the inner ones, too */
		if (dup2(fd, rc) != rc)
			break;
	is("dup2 onto each above it", rc, 5000);
	works("after dup2 onto each above it");
	is("close_range takes what the program put there", close_range(4000, 4999, 0), 0);
	fails_with("close_range: gone", EBADF, fcntl(4500, F_GETFD));
	works("after that");
	closefrom(divert + 1);
	works("after closefrom");

	child_with("system", 1);
	works("after system");
	child_with("posix_spawn", 0);
	works("after posix_spawn");
	pid = vfork();
	if (!pid) {
		for (rc = 3; rc < 5000; rc++)
			close(rc);
		closefrom(3);
		_exit(4);
	}
	waitpid(pid, &status, 0);
	is("vfork", WEXITSTATUS(status), 4);
	works("after a child of vfork closed all");
	pid = fork();
	if (!pid) {
		closefrom(3);
		_exit(6);
	}
	waitpid(pid, &status, 0);
	is("fork", WEXITSTATUS(status), 6);
	works("after a child of fork closed all");

	copy = fcntl(divert, F_DUPFD, 50);
	is("closefrom that takes the socket: the copy", copy, 50);
	close_range((unsigned int)divert, 49, 0);
	fd = divert;
	divert = copy;
	works("close_range of the first, the copy goes on");
	close_range(3, ~0U, 0);
	fails_with("close_range of all: the socket is closed", EBADF, recv(divert, buf, 1, 0));
	opened();
	is("the port is free, and the number", divert, fd);
	works("a new socket");
	closed_while_used();
	works("after a socket that was closed while used");
	return check_failed;
}
