/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads packets, writes them back, and releases flows:
 *	lib_release [-p FILE] [-s] [-u UID] PORT [STEP...]
 *	-p  FILE gets the pid when the program is ready
 *	-s  SO_REUSEPORT
 *	-u  go on without privileges, as this user
 *
 * The first packet gets the first STEP, and so on; those after the last STEP are written back.
 *	back       write it back
 *	keep       do not
 *	pass drop  write it back, then divert_release()
 *	undo       write it back, and end the last release
 *	kept-drop  do not write it; divert_release()
 *	flag-pass flag-drop  write it back with the flag of struct divert_info
 *	batch-pass           the same by divert_sendmmsg(), between two others that wait
 *	loan-pass loan-drop  borrow it, and write it back with the flag
 *	loan-call            borrow it, divert_release() of its bytes, write it back
 *	natd       write it with the source port 7 instead, and release both
 * A step that fails prints the error. Then "step N", the number of the steps done.
 *
 * -a STEP: each packet gets this step. -e: checks the errors of the calls with one packet, instead.
 *
 * On SIGTERM it prints: received N.
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

#include "check.h"

static volatile sig_atomic_t stop;
static unsigned long received;
static unsigned int steps;
static int fd;

static struct {
	struct sockaddr_in from;
	unsigned char byte[65535];
	ssize_t len;
	struct divert_info info;
} packet;

static void on_signal(int sig)
{
	const struct itimerval again = {.it_interval.tv_usec = 20000, .it_value.tv_usec = 20000};

	if (sig == SIGALRM)
		return;
	stop = 1;
	setitimer(ITIMER_REAL, &again, NULL);
}

static void done(long rc)
{
	if (rc < 0)
		puts(strerrorname_np(errno));
}

static void take(void)
{
	char control[CMSG_SPACE(sizeof(struct divert_info))];
	struct iovec iov = {packet.byte, sizeof(packet.byte)};
	struct msghdr msg = {.msg_name = &packet.from,
			     .msg_namelen = sizeof(packet.from),
			     .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};

	packet.len = divert_recvmsg(fd, &msg, 0);
	if (packet.len < 0) {
		if (errno != EINTR)
			err(1, "receive");
		return;
	}
	memcpy(&packet.info, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(packet.info));
	received++;
}

static void write_back(void)
{
	done(divert_sendto(fd, packet.byte, packet.len, 0, (void *)&packet.from,
			   sizeof(packet.from)));
}

static void release(int how)
{
	static unsigned char last[65535];
	static ssize_t len;

	if (how == DIVERT_RELEASE_UNDO) {
		done(divert_release(fd, last, len, how));
		return;
	}
	done(divert_release(fd, packet.byte, packet.len, how));
	memcpy(last, packet.byte, packet.len);
	len = packet.len;
}

static ssize_t write_with(uint32_t flags)
{
	union {
		struct cmsghdr align;
		char byte[CMSG_SPACE(sizeof(struct divert_info))];
	} control = {};
	struct iovec iov = {packet.byte, packet.len};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_DIVERT;
	c->cmsg_type = DIVERT_INFO;
	c->cmsg_len = CMSG_LEN(sizeof(packet.info));
	packet.info.flags |= flags;
	memcpy(CMSG_DATA(c), &packet.info, sizeof(packet.info));
	return divert_sendmsg(fd, &msg, 0);
}

/* The packet three times in a batch, the second one with the flag. */
static void write_batch(uint32_t flags)
{
	union {
		struct cmsghdr align;
		char byte[CMSG_SPACE(sizeof(struct divert_info))];
	} control[3] = {};
	struct iovec iov = {packet.byte, packet.len};
	struct mmsghdr msgs[3] = {};
	struct cmsghdr *c;
	int i;

	for (i = 0; i < 3; i++) {
		struct divert_info info = packet.info;

		msgs[i].msg_hdr = (struct msghdr){.msg_iov = &iov,
						  .msg_iovlen = 1,
						  .msg_control = &control[i],
						  .msg_controllen = sizeof(control[i])};
		info.flags |= i == 1 ? flags : 0;
		c = CMSG_FIRSTHDR(&msgs[i].msg_hdr);
		c->cmsg_level = SOL_DIVERT;
		c->cmsg_type = DIVERT_INFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
	}
	done(divert_sendmmsg(fd, msgs, 3, 0) == 3 ? 0 : -1);
}

static void lend(uint32_t flags, int call)
{
	struct divert_loan loan;

	if (divert_borrow(fd, &loan, 1, 0) != 1)
		return;
	received++;
	if (call)
		done(divert_release(fd, loan.packet, loan.info.length, call));
	loan.info.flags |= flags;
	done(divert_send_loan(fd, &loan, 1, 0));
}

/* Another source port, as a translator takes it; of UDP over IPv4 or IPv6, without a checksum. */
static void translate(void)
{
	unsigned char *udp = packet.byte + (packet.byte[0] >> 4 == 6 ? 40 : 20);
	const int six = packet.byte[0] >> 4 == 6;
	uint32_t sum = (uint32_t)(udp[6] << 8 | udp[7]) + (uint32_t)(udp[0] << 8 | udp[1]);

	release(DIVERT_RELEASE_PASS);
	sum += 0xffff - 7;
	sum = (sum & 0xffff) + (sum >> 16);
	udp[0] = 0;
	udp[1] = 7;
	udp[6] = six ? sum >> 8 : 0;
	udp[7] = six ? sum : 0;
	write_back();
	release(DIVERT_RELEASE_PASS);
}

static void step(const char *what)
{
	if (!strncmp(what, "loan-", 5)) {
		lend(!strcmp(what, "loan-pass")	  ? DIVERT_INFO_RELEASE_PASS
		     : !strcmp(what, "loan-drop") ? DIVERT_INFO_RELEASE_DROP
						  : 0,
		     !strcmp(what, "loan-call") ? DIVERT_RELEASE_PASS : 0);
		return;
	}
	take();
	if (packet.len < 0)
		return;
	if (!strcmp(what, "back") || !strcmp(what, "pass") || !strcmp(what, "drop") ||
	    !strcmp(what, "undo"))
		write_back();
	if (!strcmp(what, "pass"))
		release(DIVERT_RELEASE_PASS);
	else if (!strcmp(what, "drop") || !strcmp(what, "kept-drop"))
		release(DIVERT_RELEASE_DROP);
	else if (!strcmp(what, "undo"))
		release(DIVERT_RELEASE_UNDO);
	else if (!strcmp(what, "flag-pass"))
		done(write_with(DIVERT_INFO_RELEASE_PASS));
	else if (!strcmp(what, "flag-drop"))
		done(write_with(DIVERT_INFO_RELEASE_DROP));
	else if (!strcmp(what, "batch-pass"))
		write_batch(DIVERT_INFO_RELEASE_PASS);
	else if (!strcmp(what, "natd"))
		translate();
}

static void check_errors(void)
{
	const int unbound = divert_socket(AF_INET, SOCK_CLOEXEC);
	unsigned char later[28] = {0x45, 0, 0, 28, 0, 1, 0, 8, 64, 17};

	take();
	fails_with("another way than three", EINVAL,
		   divert_release(fd, packet.byte, packet.len, 3));
	fails_with("a way below 0", EINVAL, divert_release(fd, packet.byte, packet.len, -1));
	fails_with("no packet", EFAULT, divert_release(fd, NULL, 20, DIVERT_RELEASE_PASS));
	fails_with("no bytes", EINVAL, divert_release(fd, packet.byte, 0, DIVERT_RELEASE_PASS));
	fails_with("half a header", EINVAL,
		   divert_release(fd, packet.byte, 19, DIVERT_RELEASE_PASS));
	fails_with("half the ports", EINVAL,
		   divert_release(fd, packet.byte, 21, DIVERT_RELEASE_PASS));
	fails_with("a later fragment", EINVAL,
		   divert_release(fd, later, sizeof(later), DIVERT_RELEASE_PASS));
	fails_with("a socket that is not bound", ENOTCONN,
		   divert_release(unbound, packet.byte, packet.len, DIVERT_RELEASE_PASS));
	fails_with("no divert socket", ENOTSOCK,
		   divert_release(0, packet.byte, packet.len, DIVERT_RELEASE_PASS));
	fails_with("both flags", EINVAL,
		   write_with(DIVERT_INFO_RELEASE_PASS | DIVERT_INFO_RELEASE_DROP));
	check(!divert_release(fd, packet.byte, packet.byte[0] >> 4 == 6 ? 48 : 28,
			      DIVERT_RELEASE_PASS),
	      "its headers are enough");
	check(!divert_release(fd, packet.byte, packet.len, DIVERT_RELEASE_UNDO), "undone");
	check(!divert_release(fd, packet.byte, packet.len, DIVERT_RELEASE_UNDO), "undone twice");
	divert_close(unbound);
}

int main(int argc, char **argv)
{
	struct sigaction sa = {.sa_handler = on_signal};
	struct sockaddr_in at = {.sin_family = AF_INET};
	const char *pidfile = NULL, *all = "back";
	int c, on = 1, shared = 0, errors = 0, uid = 0;
	FILE *f;

	while ((c = getopt(argc, argv, "a:ep:su:")) != -1) {
		switch (c) {
		case 'a':
			all = optarg;
			break;
		case 'e':
			errors = 1;
			break;
		case 'p':
			pidfile = optarg;
			break;
		case 's':
			shared = 1;
			break;
		case 'u':
			uid = atoi(optarg);
			break;
		default:
			return 2;
		}
	}
	if (optind >= argc)
		return 2;
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGALRM, &sa, NULL);
	at.sin_port = htons(atoi(argv[optind++]));
	fd = divert_socket(AF_INET, SOCK_CLOEXEC);
	if (fd < 0 || divert_setsockopt(fd, SOL_DIVERT, DIVERT_INFO, &on, sizeof(on)))
		err(1, "divert");
	if (shared && divert_setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)))
		err(1, "SO_REUSEPORT");
	if (divert_bind(fd, (void *)&at, sizeof(at)))
		err(1, "bind");
	if (pidfile) {
		f = fopen(pidfile, "w");
		if (!f || fprintf(f, "%d\n", getpid()) < 0 || fclose(f))
			err(1, "%s", pidfile);
	}
	if (uid && (setgid(uid) || setuid(uid)))
		err(1, "user %d", uid);
	setlinebuf(stdout);
	if (errors)
		check_errors();
	for (; optind < argc && !stop; optind++) {
		step(argv[optind]);
		printf("step %u\n", ++steps);
	}
	while (!stop)
		step(all);
	printf("received %lu\n", received);
	divert_close(fd);
	return errors ? check_failed : 0;
}
