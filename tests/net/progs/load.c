/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loads libdivert at run time, in threads, again and again, and diverts with it: load LIBRARY PORT.
 * In between it sends packets to 127.0.0.1 port 9, which a rule diverts to PORT. Prints cases.
 */
#include "check.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>

#define THREADS 8
#define ROUNDS	50
#define PACKETS 20

static const char *library;
static uint16_t port;
static pthread_barrier_t closed;

/* The functions that a plugin would use. */
struct calls {
	void *object;
	int (*socket)(int domain, int flags);
	int (*bind)(int fd, const struct sockaddr *addr, socklen_t len);
	ssize_t (*recvfrom)(int fd, void *buf, size_t len, int flags, struct sockaddr *from,
			    socklen_t *fromlen);
	ssize_t (*sendto)(int fd, const void *buf, size_t len, int flags, const struct sockaddr *to,
			  socklen_t tolen);
	int (*close)(int fd);
	int (*test)(int fd);
	int (*rule_add)(const char *words, int flags);
	const char *(*rule_error)(void);
};

static int load(struct calls *c)
{
	c->object = dlopen(library, RTLD_NOW | RTLD_LOCAL);
	if (!c->object) {
		printf("# %s\n", dlerror());
		return 0;
	}
	*(void **)&c->socket = dlsym(c->object, "divert_socket");
	*(void **)&c->bind = dlsym(c->object, "divert_bind");
	*(void **)&c->recvfrom = dlsym(c->object, "divert_recvfrom");
	*(void **)&c->sendto = dlsym(c->object, "divert_sendto");
	*(void **)&c->close = dlsym(c->object, "divert_close");
	*(void **)&c->test = dlsym(c->object, "divert_is");
	*(void **)&c->rule_add = dlsym(c->object, "divert_rule_add");
	*(void **)&c->rule_error = dlsym(c->object, "divert_rule_error");
	return c->socket && c->bind && c->recvfrom && c->sendto && c->close && c->test &&
	       c->rule_add && c->rule_error;
}

/* Load it, use what is per thread, unload it. Returns how often that went wrong. */
static void *load_often(void *arg)
{
	long wrong = 0;
	struct calls c;
	int i;

	(void)arg;
	for (i = 0; i < ROUNDS; i++) {
		if (!load(&c)) {
			wrong++;
			continue;
		}
		wrong += c.test(0) != 0;
		wrong += c.rule_add("nonsense", 0) != -1 || !strstr(c.rule_error(), "nonsense");
		wrong += dlclose(c.object) != 0;
	}
	return (void *)wrong;
}

static long in_threads(int threads)
{
	pthread_t id[THREADS];
	long wrong = 0;
	void *more;
	int i;

	for (i = 0; i < threads; i++)
		must(!pthread_create(&id[i], NULL, load_often, NULL), "pthread_create");
	for (i = 0; i < threads; i++) {
		must(!pthread_join(id[i], &more), "pthread_join");
		wrong += (long)more;
	}
	return wrong;
}

/*
 * Counts the lines of /proc/self/maps. A loop that leaks has more of them each time, and more
 * descriptors.
 */
static int mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	int c, lines = 0;

	must(f != NULL, "/proc/self/maps");
	while ((c = getc(f)) != EOF)
		lines += c == '\n';
	fclose(f);
	return lines;
}

static int descriptors(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void send_some(void)
{
	const struct sockaddr_in to = address4("127.0.0.1", 9);
	int i, fd = socket(AF_INET, SOCK_DGRAM, 0);

	for (i = 0; i < PACKETS; i++)
		must(sendto(fd, "hello", 5, 0, (const void *)&to, sizeof(to)) == 5, "sendto");
	close(fd);
}

/* A thread that loads it, diverts, and unloads it, and ends only long after that. */
static void *divert(void *arg)
{
	struct sockaddr_in addr = address4("0.0.0.0", port);
	socklen_t len = sizeof(addr);
	static char packet[65535];
	struct calls c;
	long good = 0;
	ssize_t n;
	int fd, i;

	(void)arg;
	must(load(&c), "load");
	fd = c.socket(AF_INET, 0);
	must(fd >= 0, "divert_socket");
	must(!c.bind(fd, (const void *)&addr, len), "divert_bind");
	send_some();
	for (i = 0; i < PACKETS; i++) {
		len = sizeof(addr);
		n = c.recvfrom(fd, packet, sizeof(packet), 0, (void *)&addr, &len);
		good += n == 33 && c.sendto(fd, packet, 33, 0, (void *)&addr, len) == n;
	}
	c.close(fd);
	dlclose(c.object);
	pthread_barrier_wait(&closed);
	return (void *)good;
}

static long divert_once(void)
{
	pthread_t id;
	void *good;

	must(!pthread_create(&id, NULL, divert, NULL), "pthread_create");
	pthread_barrier_wait(&closed);
	must(!pthread_join(id, &good), "pthread_join");
	return (long)good;
}

int main(int argc, char **argv)
{
	int maps, fds, status;
	pid_t child;

	if (argc != 3)
		return 2;
	library = argv[1];
	port = (uint16_t)atoi(argv[2]);
	pthread_barrier_init(&closed, NULL, 2);

	is("loaded in threads at once, used and unloaded", in_threads(THREADS), 0);
	is("diverts, and its thread ends after dlclose(3)", divert_once(), PACKETS);
	is("loaded again: diverts again", divert_once(), PACKETS);
	fds = descriptors();
	maps = mappings();
	is("one thread, again and again", in_threads(1), 0);
	is("and diverts again", divert_once(), PACKETS);
	is("no more descriptors than before", descriptors(), fds);
	is("no more mappings than before", mappings() - maps > 0, 0);
	child = fork();
	if (!child)
		_exit(divert_once() == PACKETS ? 0 : 1);
	is("fork(2) after dlclose(3): the child",
	   waitpid(child, &status, 0) == child && status == 0, 1);
	return check_failed;
}
