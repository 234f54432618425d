/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does what libdaq's divert module and daqtest do, with the same calls. With -DBUILDING_SO this is
 * the module, else the program, which knows nothing of divert sockets:
 *
 *	bsd_daq MODULE PORT LENGTH
 *
 * The program blocks packets of LENGTH bytes. The module waits in select(2) for a second at a time,
 * and then looks whether it was interrupted. Signals go to the program's other thread. The module
 * makes its socket in one call and binds it in another.
 */
#include <stdbool.h>
#include <sys/types.h>

enum verdict { PASS, BLOCK };

struct message {
	unsigned char *data;
	size_t len;
	void *of_module;
};

struct module {
	void *(*instantiate)(int port);
	int (*start)(void *instance);
	int (*receive)(void *instance, struct message *messages, int most);
	int (*finalize)(void *instance, const struct message *message, enum verdict verdict);
	void (*interrupt)(void *instance);
	void (*stop)(void *instance);
};

#ifdef BUILDING_SO
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#define POOL	64
#define SNAPLEN 65535

struct instance {
	int port, sock;
	volatile bool interrupted;
	struct sockaddr_in from[POOL];
	unsigned char data[POOL][SNAPLEN];
};

static void *instantiate(int port)
{
	struct instance *in = calloc(1, sizeof(*in));

	in->port = port;
#ifdef PF_DIVERT
	in->sock = socket(PF_DIVERT, SOCK_RAW, 0);
#else
	in->sock = socket(PF_INET, SOCK_RAW, IPPROTO_DIVERT);
#endif
	return in->sock == -1 ? NULL : in;
}

static int start(void *instance)
{
	struct instance *in = instance;
	struct sockaddr_in sin = {.sin_family = PF_INET, .sin_port = htons((in_port_t)in->port)};

	return bind(in->sock, (struct sockaddr *)&sin, sizeof(sin));
}

static int wait_for_packet(struct instance *in, long seconds)
{
	struct timeval timeout = {.tv_sec = seconds};
	fd_set set;

	FD_ZERO(&set);
	FD_SET(in->sock, &set);
	return select(in->sock + 1, &set, NULL, NULL, &timeout);
}

static int receive(void *instance, struct message *messages, int most)
{
	struct instance *in = instance;
	int i, ready = 0;

	while (!ready && !in->interrupted)
		ready = wait_for_packet(in, 1);
	for (i = 0; i < most && i < POOL && ready > 0; i++) {
		socklen_t len = sizeof(in->from[i]);
		ssize_t n = recvfrom(in->sock, in->data[i], SNAPLEN, 0,
				     (struct sockaddr *)&in->from[i], &len);

		if (n == -1)
			return -1;
		messages[i] = (struct message){in->data[i], (size_t)n, &in->from[i]};
		ready = wait_for_packet(in, 0);
	}
	return ready < 0 ? -1 : i;
}

static int finalize(void *instance, const struct message *m, enum verdict verdict)
{
	struct instance *in = instance;

	if (verdict == BLOCK)
		return 0;
	return sendto(in->sock, m->data, m->len, 0, m->of_module, sizeof(struct sockaddr_in)) ==
			       (ssize_t)m->len
		       ? 0
		       : -1;
}

static void interrupt(void *instance)
{
	((struct instance *)instance)->interrupted = true;
}

static void stop(void *instance)
{
	close(((struct instance *)instance)->sock);
	free(instance);
}

const struct module module = {instantiate, start, receive, finalize, interrupt, stop};

#else /* the program */

#include <dlfcn.h>
#include <err.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define MOST 16

static const struct module *module;
static void *instance;
static size_t blocked_length;

static void on_interrupt(int sig)
{
	(void)sig;
}

static void *inspect(void *unused)
{
	struct message messages[MOST];
	unsigned long passed = 0, blocked = 0;
	int i, n;

	(void)unused;
	while ((n = module->receive(instance, messages, MOST)) > 0)
		for (i = 0; i < n; i++) {
			const enum verdict verdict =
				messages[i].len == blocked_length ? BLOCK : PASS;

			*(verdict == BLOCK ? &blocked : &passed) += 1;
			if (module->finalize(instance, &messages[i], verdict))
				warn("finalize");
		}
	if (n < 0)
		err(1, "receive");
	printf("passed %lu blocked %lu\n", passed, blocked);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	sigset_t signals;
	void *object;
	int sig;

	if (argc != 4)
		errx(1, "usage: bsd_daq MODULE PORT LENGTH");
	object = dlopen(argv[1], RTLD_NOW);
	module = object ? dlsym(object, "module") : NULL;
	if (!module)
		errx(1, "%s", dlerror());
	instance = module->instantiate(atoi(argv[2]));
	if (!instance)
		err(1, "instantiate");
	blocked_length = (size_t)atoi(argv[3]);
	if (module->start(instance))
		err(1, "start");
	puts("started");
	fflush(stdout);
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	signal(SIGINT, on_interrupt);		    /* a shell's background ignores it */
	pthread_sigmask(SIG_BLOCK, &signals, NULL); /* in the thread, too */
	if (pthread_create(&thread, NULL, inspect, NULL))
		errx(1, "no thread");
	sigwait(&signals, &sig);
	module->interrupt(instance);
	pthread_join(thread, NULL);
	module->stop(instance);
	dlclose(object);
	return 0;
}
#endif
