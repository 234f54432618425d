// SPDX-License-Identifier: BSD-2-Clause
/*
 * divert_error() has a sentence for each failure of divert_socket() and divert_bind(), in the
 * thread where it happened.
 */
#include <arpa/inet.h>
#include <divert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static int failed;

static void must(int rc, int error, const char *words)
{
	const int got = errno;

	if (rc != -1 || got != error || !strstr(divert_error(), words)) {
		printf("not ok lib_error: %d, %s, '%s'; expected '%s'\n", rc, strerror(got),
		       divert_error(), words);
		failed = 1;
	}
}

static void must_say(const char *words)
{
	if (strcmp(divert_error(), words)) {
		printf("not ok lib_error: '%s', expected '%s'\n", divert_error(), words);
		failed = 1;
	}
}

static void *other_thread(void *arg)
{
	must_say(arg);
	return NULL;
}

int main(void)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(2001)};
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct rlimit none;
	struct sockaddr *at = (struct sockaddr *)&in;
	char said[512];
	pthread_t t;
	int fd, fd2;

	must_say("");
	must(divert_socket(AF_UNIX, 0), EAFNOSUPPORT, "address family 1: ");
	must(divert_socket(AF_INET, 1), EINVAL, "flags 0x1: ");
	fd = divert_socket(AF_INET, 0);
	must(divert_bind(0, at, sizeof(in)), ENOTSOCK, "descriptor 0 is no divert socket");
	must(divert_bind(fd, NULL, 0), EINVAL, "no address");
	must(divert_bind(fd, at, 8), EINVAL, "an address of 8 bytes");
	must(divert_bind(fd, at, sizeof(in)), EINVAL, "port 0: ");
	must(divert_bind(fd, (struct sockaddr *)&in6, sizeof(in6)), EAFNOSUPPORT,
	     "address family 10, the socket's is 2");
	in.sin_port = htons(2001);
	if (divert_bind(fd, at, sizeof(in)))
		must_say("bound");
	fd2 = divert_socket(AF_INET, 0);
	must(divert_bind(fd2, at, sizeof(in)), EADDRINUSE, "port 2001: lib_error (");
	snprintf(said, sizeof(said), "%s", divert_error());
	/* a call that succeeds changes nothing, nor does another thread's call */
	divert_close(divert_socket(AF_INET, 0));
	must_say(said);
	pthread_create(&t, NULL, other_thread, "");
	pthread_join(t, NULL);
	/* NULL is no rule */
	if (divert_rule_add(NULL, 0) != -1 || errno != EFAULT ||
	    !strstr(divert_rule_error(), "words are NULL"))
		must_say(divert_rule_error());
	/* no descriptors are left for those that the calls need inside */
	none.rlim_cur = none.rlim_max = fd2 + 1;
	setrlimit(RLIMIT_NOFILE, &none);
	snprintf(said, sizeof(said), "this process may have %d (RLIMIT_NOFILE)", fd2 + 1);
	in.sin_port = htons(2002);
	must(divert_bind(fd2, at, sizeof(in)), EMFILE, said);
	must(divert_socket(AF_INET, 0), EMFILE, said);
	if (divert_rule_add("count ip from any to any", 0) != -1 || errno != EMFILE ||
	    !strstr(divert_rule_error(), said))
		must_say(divert_rule_error());
	return failed;
}
