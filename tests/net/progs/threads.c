/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A divert program with threads: threads HOW PORT N FILE
 *
 * Once FILE exists, it writes N packets back as it reads them, and then waits for a signal. More
 * packets should come, so that the last ones wait to be sent. HOW:
 *   idle    one thread does it and then sleeps, and another one sleeps, too
 *   asks    one does it, and another asks for options and for the next packet's length all the time
 *   turns   two do it in turn, a packet each
 *   ends    one does up to 50, ends, its memory is freed, and another goes on
 *   hands   one does it, then another does the rest, and sleeps when there are no more
 *   writer  one reads, and another writes what it has read
 *   many    four do it, as the packets come
 *   exits   one does it, and then another ends the process
 *   forks   one does it, and another makes processes, which end
 */
#include <err.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define EACH  50
/* In bytes: more than the C library keeps for another thread. */
#define STACK (64 << 20)

struct packet {
	struct sockaddr_in from;
	size_t len;
	char byte[256];
};

static int divert, left;
static const char *how;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static int turn;
static struct packet *queue;
static sem_t queued, written;

static void read_one(struct packet *p)
{
	socklen_t len = sizeof(p->from);
	const ssize_t n =
		recvfrom(divert, p->byte, sizeof(p->byte), 0, (struct sockaddr *)&p->from, &len);

	if (n < 0)
		err(1, "recvfrom");
	p->len = (size_t)n;
}

static void write_one(const struct packet *p)
{
	if (sendto(divert, p->byte, p->len, 0, (const struct sockaddr *)&p->from,
		   sizeof(p->from)) != (ssize_t)p->len)
		err(1, "sendto");
}

static bool is(const char *name)
{
	return !strcmp(how, name);
}

static void one(void)
{
	struct packet p;

	read_one(&p);
	write_one(&p);
}

/* Do that many; left is what the others have to do. */
static void *some(void *n)
{
	intptr_t i;

	for (i = 0; i < (intptr_t)n; i++)
		one();
	return NULL;
}

/* Do packets while there are any; each packet belongs to one thread. */
static void *as_they_come(void *arg)
{
	while (__atomic_fetch_sub(&left, 1, __ATOMIC_RELAXED) > 0)
		one();
	return arg;
}

static void *in_turn(void *me)
{
	pthread_mutex_lock(&lock);
	while (left > 0) {
		if (turn == (int)(intptr_t)me) {
			one();
			left--;
			turn = !turn;
			pthread_cond_signal(&turned);
		} else {
			pthread_cond_wait(&turned, &lock);
		}
	}
	pthread_cond_signal(&turned);
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void *reads(void *arg)
{
	int i;

	for (i = 0; i < left; i++) {
		read_one(&queue[i]);
		sem_post(&queued);
	}
	return arg;
}

static void *writes(void *arg)
{
	int i;

	for (i = 0; i < left; i++) {
		sem_wait(&queued);
		write_one(&queue[i]);
	}
	return arg;
}

static void *all(void *arg)
{
	some((void *)(intptr_t)left);
	sem_post(&written);
	pause();
	return arg;
}

static void ask(void)
{
	socklen_t len = sizeof(int);
	int n;

	if (getsockopt(divert, SOL_SOCKET, SO_SNDBUF, &n, &len) || ioctl(divert, FIONREAD, &n))
		err(1, "what is asked");
}

static void *asks(void *arg)
{
	for (;;)
		ask();
	return arg;
}

static void *forks(void *arg)
{
	pid_t pid;

	for (;;) {
		pid = fork();
		if (!pid)
			_exit(0);
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			err(1, "fork");
	}
	return arg;
}

static void *sleeps(void *arg)
{
	pause();
	return arg;
}

static pthread_t start(void *(*routine)(void *), intptr_t arg)
{
	pthread_attr_t attr;
	pthread_t thread;

	if (pthread_attr_init(&attr) || pthread_attr_setstacksize(&attr, STACK) ||
	    pthread_create(&thread, &attr, routine, (void *)arg))
		errx(1, "a thread");
	pthread_attr_destroy(&attr);
	return thread;
}

static void by_threads(void)
{
	int n;

	if (is("idle") || is("asks") || is("forks")) {
		start(is("asks") ? asks : is("forks") ? forks : sleeps, 0);
		start(all, 0);
	} else if (is("turns")) {
		start(in_turn, 0);
		start(in_turn, 1);
	} else if (is("ends")) {
		for (; left > 0; left -= n) {
			n = left < EACH ? left : EACH;
			pthread_join(start(some, n), NULL);
		}
		ask();
	} else if (is("hands")) {
		start(all, 0);
		sem_wait(&written);
		for (;;)
			one();
	} else if (is("writer")) {
		start(reads, 0);
		start(writes, 0);
	} else if (is("many")) {
		for (n = 0; n < 4; n++)
			start(as_they_come, 0);
	} else if (is("exits")) {
		start(all, 0);
		sem_wait(&written);
		exit(0);
	} else {
		errx(2, "%s: not one of those", how);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET};

	if (argc != 5)
		errx(2, "usage: threads HOW PORT N FILE");
	how = argv[1];
	left = atoi(argv[3]);
	queue = calloc((size_t)left, sizeof(*queue));
	if (!queue || sem_init(&queued, 0, 0) || sem_init(&written, 0, 0))
		err(1, "a queue");
	divert = socket(AF_INET, SOCK_RAW, 258);
	at.sin_port = htons((uint16_t)atoi(argv[2]));
	if (divert < 0 || bind(divert, (struct sockaddr *)&at, sizeof(at)))
		err(1, "socket, bind");
	puts("ready");
	fflush(stdout);
	while (access(argv[4], F_OK)) /* packets wait to be read */
		usleep(10000);
	by_threads();
	pause();
	return 0;
}
