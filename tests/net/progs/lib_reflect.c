/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes packets back by libdivert's own functions:
 *	lib_reflect [-g] [-n BATCH] [-t TAG] [-R] [-B] -p FILE PORT
 *	-g  DIVERT_GSO
 *	-n  read that many packets before they are written
 *	-t  write them with this tag
 *	-B  borrow packets and send them on
 *	-R  rewrite them, so that no packet is what it was
 *	-p  FILE gets the pid when the program is ready
 *
 * On SIGTERM and SIGINT it prints: received N sent N failed N longest N, and how often each error
 * came.
 */
#include <arpa/inet.h>
#include <divert.h>
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define BATCH_MAX 64

static volatile sig_atomic_t stop;
static unsigned long received, sent, failed, errors[256];
static unsigned int longest;

static struct {
	struct sockaddr_in from;
	socklen_t fromlen;
	ssize_t len;
	unsigned char bytes[65535];
} packet[BATCH_MAX];

static void on_signal(int sig)
{
	const struct itimerval again = {.it_interval.tv_usec = 20000, .it_value.tv_usec = 20000};

	if (sig == SIGALRM)
		return;
	stop = 1;
	setitimer(ITIMER_REAL, &again, NULL);
}

/* Changes the identification, or the flow label. Only IPv4's checksum depends on it. */
static void rewrite(unsigned char *p)
{
	static unsigned int n;
	unsigned int sum = 0, i;

	n++;
	if (p[0] >> 4 == 6) {
		p[40 + 6] = n >> 8; /* an echo's number; its checksum is wrong then */
		p[40 + 7] = n;
		return;
	}
	p[4] = n >> 8;
	p[5] = n;
	p[10] = p[11] = 0;
	for (i = 0; i < (p[0] & 15u) * 4; i += 2)
		sum += p[i] << 8 | p[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	p[10] = sum >> 8;
	p[11] = sum;
}

static void write_back(int fd, int i, long tag, int changed)
{
	if (tag >= 0)
		packet[i].from.sin_port = tag;
	if (changed)
		rewrite(packet[i].bytes);
	if (divert_sendto(fd, packet[i].bytes, packet[i].len, 0, (void *)&packet[i].from,
			  packet[i].fromlen) == packet[i].len) {
		sent++;
		return;
	}
	failed++;
	errors[errno & 255]++;
}

static int read_batch(int fd, int batch)
{
	int i;

	for (i = 0; i < batch; i++) {
		packet[i].fromlen = sizeof(packet[i].from);
		packet[i].len = divert_recvfrom(fd, packet[i].bytes, sizeof(packet[i].bytes),
						i ? MSG_DONTWAIT : 0, (void *)&packet[i].from,
						&packet[i].fromlen);
		if (packet[i].len < 0) {
			if (errno != EINTR && errno != EAGAIN)
				err(1, "receive");
			break;
		}
		received++;
		if (packet[i].len > (ssize_t)longest)
			longest = packet[i].len;
	}
	return i;
}

static void borrow(int fd, int batch)
{
	static struct divert_loan loan[BATCH_MAX];
	int n = divert_borrow(fd, loan, batch, 0), i, done;

	if (n < 0 && errno != EINTR)
		err(1, "borrow");
	for (i = 0; i < n; i++)
		if (loan[i].info.length > longest)
			longest = loan[i].info.length;
	for (i = 0; i < n; i += done) {
		received += i ? 0 : n;
		done = divert_send_loan(fd, loan + i, n - i, 0);
		if (done > 0) {
			sent += done;
			continue;
		}
		failed++;
		errors[errno & 255]++;
		done = 1;
		if (divert_return(fd, loan + i, 1))
			err(1, "return");
	}
}

int main(int argc, char **argv)
{
	struct sigaction sa = {.sa_handler = on_signal};
	struct sockaddr_in at = {.sin_family = AF_INET};
	int fd, c, i, n, on = 1, gso = 0, batch = 1, changed = 0, borrows = 0;
	const char *pidfile = NULL;
	long tag = -1;
	FILE *f;

	while ((c = getopt(argc, argv, "gn:t:RBp:")) != -1) {
		switch (c) {
		case 'g':
			gso = 1;
			break;
		case 'n':
			batch = atoi(optarg);
			break;
		case 't':
			tag = atol(optarg);
			break;
		case 'B':
			borrows = 1;
			break;
		case 'R':
			changed = 1;
			break;
		case 'p':
			pidfile = optarg;
			break;
		default:
			return 2;
		}
	}
	if (optind + 1 != argc || batch < 1 || batch > BATCH_MAX)
		return 2;
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGALRM, &sa, NULL);
	at.sin_port = htons(atoi(argv[optind]));
	fd = divert_socket(AF_INET, SOCK_CLOEXEC);
	if (fd < 0 || divert_bind(fd, (void *)&at, sizeof(at)))
		err(1, "divert");
	if (gso && divert_setsockopt(fd, SOL_DIVERT, DIVERT_GSO, &on, sizeof(on)))
		err(1, "DIVERT_GSO");
	if (pidfile) {
		f = fopen(pidfile, "w");
		if (!f || fprintf(f, "%d\n", getpid()) < 0 || fclose(f))
			err(1, "%s", pidfile);
	}
	while (!stop) {
		if (borrows) {
			borrow(fd, batch);
			continue;
		}
		n = read_batch(fd, batch);
		for (i = 0; i < n; i++)
			write_back(fd, i, tag, changed);
	}
	printf("received %lu sent %lu failed %lu longest %u\n", received, sent, failed, longest);
	for (c = 0; c < 256; c++)
		if (errors[c])
			printf("%s %lu\n", strerrorname_np(c), errors[c]);
	divert_close(fd);
	return 0;
}
