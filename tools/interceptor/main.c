// SPDX-License-Identifier: BSD-2-Clause
/* interceptor: shows the packets that rules divert to a port, and writes them back. */
#include <errno.h>
#include <getopt.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <unistd.h>

#include "divert.h"
#include "interceptor.h"

enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
};

static struct {
	bool hex, keep, quiet;
	unsigned long count; /* 0: no limit */
	const char *file;
	uint16_t port;
} option;

static struct {
	unsigned long received, written, failed;
	unsigned long long bytes;
} seen;

static void help(FILE *to)
{
	fputs("usage: interceptor [-nqx] [-c COUNT] [-w FILE] PORT\n"
	      "\n"
	      "Show each packet that a rule diverts to the port, and write it back.\n"
	      "\n"
	      "  -c COUNT  end after so many packets\n"
	      "  -n        do not write back: what is shown goes no further\n"
	      "  -q        no line for each packet, just the summary\n"
	      "  -w FILE   save the packets, too (pcap; \"-\" for standard output)\n"
	      "  -x        with the packet in hex\n"
	      "\n"
	      "Ctrl-C ends it. A rule sends packets here, for example:\n"
	      "  ipfw add 100 divert 2000 icmp from any to any in\n"
	      "It drops what matches while nobody listens, before and after this program runs;\n"
	      "'ipfw delete 100' removes it, and with 'bypass' at its end packets pass.\n"
	      "See interceptor(1).\n",
	      to);
}

static int complain(const char *what, const char *why)
{
	fprintf(stderr, "interceptor: %s: %s\n", what, why);
	return -1;
}

static bool read_number(const char *text, unsigned long max, unsigned long *n)
{
	char *end;

	errno = 0;
	*n = strtoul(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && !*end && !errno && *n && *n <= max;
}

/* 0: continue. Else the exit status plus one. */
static int read_words(int argc, char **argv)
{
	static const struct option longs[] = {
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{},
	};
	unsigned long port;
	int c;

	while ((c = getopt_long(argc, argv, "c:hnqw:x", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			if (!read_number(optarg, ~0ul >> 1, &option.count)) {
				complain(optarg, "-c takes a number above 0");
				return EXIT_USAGE + 1;
			}
			break;
		case 'h':
			help(stdout);
			return EXIT_OK + 1;
		case 'n':
			option.keep = true;
			break;
		case 'q':
			option.quiet = true;
			break;
		case 'V':
			puts("interceptor (ipdivert) " VERSION);
			return EXIT_OK + 1;
		case 'w':
			option.file = optarg;
			break;
		case 'x':
			option.hex = true;
			break;
		default:
			help(stderr);
			return EXIT_USAGE + 1;
		}
	}
	if (optind + 1 != argc) {
		help(stderr);
		return EXIT_USAGE + 1;
	}
	if (!read_number(argv[optind], 65535, &port)) {
		complain(argv[optind], "a divert port is a number from 1 to 65535");
		return EXIT_USAGE + 1;
	}
	option.port = port;
	return 0;
}

static int open_socket(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(option.port)};
	int fd = divert_socket(AF_INET, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return complain("a divert socket", divert_error());
	if (divert_bind(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		fprintf(stderr, "interceptor: %s\n",
			divert_error()); /* divert_error() names the port */
		return -1;
	}
	return fd;
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return complain("signals", strerror(errno));
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static void show(const struct sockaddr_in *from, const uint8_t *packet, size_t len,
		 pcap_dumper_t *file)
{
	struct pcap_pkthdr head = {.caplen = len, .len = len};
	/* with -w - the packets go to standard output */
	FILE *to = option.file && !strcmp(option.file, "-") ? stderr : stdout;

	if (!option.quiet)
		print_line(to, from, packet, len);
	if (option.hex)
		print_hex(to, packet, len);
	if (file) {
		gettimeofday(&head.ts, NULL);
		pcap_dump((u_char *)file, &head, packet);
	}
}

static void write_back(int fd, const struct sockaddr_in *from, const uint8_t *packet, size_t len)
{
	if (divert_sendto(fd, packet, len, 0, (const struct sockaddr *)from, sizeof(*from)) >= 0) {
		seen.written++;
		return;
	}
	/* an error with one packet shall not stop the others */
	seen.failed++;
	complain("writing a packet back", strerror(errno));
}

/* Handle all waiting packets. 1: the count is reached. */
static int drain(int fd, pcap_dumper_t *file)
{
	static uint8_t packet[65536];
	struct sockaddr_in from;
	socklen_t len;
	ssize_t n;

	for (;;) {
		len = sizeof(from);
		n = divert_recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *)&from, &len);
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0 && errno == ENETDOWN)
			return complain("receiving",
					"Network is down: the engine was removed ('divertctl "
					"unload'); start interceptor again");
		if (n < 0)
			return complain("receiving", strerror(errno));
		seen.received++;
		seen.bytes += n;
		show(&from, packet, n, file);
		if (!option.keep)
			write_back(fd, &from, packet, n);
		if (option.count && seen.received >= option.count)
			return 1;
	}
}

static int loop(int fd, int signals, pcap_dumper_t *file)
{
	struct pollfd p[] = {{.fd = fd, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
	int rc;

	for (;;) {
		if (poll(p, 2, -1) < 0)
			return complain("waiting", strerror(errno));
		if (p[1].revents)
			return 0;
		rc = drain(fd, file);
		fflush(stdout);
		if (file)
			pcap_dump_flush(file);
		if (rc)
			return rc < 0 ? rc : 0;
	}
}

static int run(pcap_dumper_t *file)
{
	int fd, signals = open_signals(), rc;

	if (signals < 0)
		return -1;
	fd = open_socket();
	if (fd < 0)
		return -1;
	fprintf(stderr, "interceptor: listening on divert port %u\n", option.port);
	rc = loop(fd, signals, file);
	divert_close(fd);
	if (!option.quiet)
		tell_end(option.port);
	fprintf(stderr, "%lu packets received (%llu bytes), %lu written back, %lu failed\n",
		seen.received, seen.bytes, seen.written, seen.failed);
	return rc;
}

int main(int argc, char **argv)
{
	pcap_dumper_t *file = NULL;
	pcap_t *pcap = NULL;
	int rc = read_words(argc, argv);

	if (rc)
		return rc - 1;
	if (option.file) {
		pcap = pcap_open_dead(DLT_RAW, 65535);
		file = pcap ? pcap_dump_open(pcap, option.file) : NULL;
		if (!file) {
			/* the message names the file */
			fprintf(stderr, "interceptor: %s\n",
				pcap ? pcap_geterr(pcap) : "no memory");
			return EXIT_FAILED;
		}
	}
	rc = run(file);
	if (file)
		pcap_dump_close(file);
	if (pcap)
		pcap_close(pcap);
	return rc || seen.failed ? EXIT_FAILED : EXIT_OK;
}
