// SPDX-License-Identifier: BSD-2-Clause
/* interceptor: shows the packets that rules divert to it, and writes them back. */
#include <errno.h>
#include <getopt.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "divert.h"
#include "interceptor.h"

enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
};

static struct {
	bool ascii, hex, hex_ascii, json, keep, process, quiet;
	unsigned long count; /* 0: no limit */
	const char *file;
	uint16_t port; /* 0: it has a rule of its own, and a port for it */
} option;

static struct own_rule own = {.fd = -1};

static struct {
	unsigned long received, written, failed;
	unsigned long long bytes;
} seen;

static void help(FILE *to)
{
	fputs("usage: interceptor [-AjnPqXx] [-c COUNT] [-w FILE] PORT | [NUMBER] RULE ...\n"
	      "\n"
	      "Show each packet that a rule diverts to the port, and write it back. Instead of a\n"
	      "port, the words of a rule behind its action: it is there while interceptor runs.\n"
	      "\n"
	      "  -A        with the packet as text\n"
	      "  -c COUNT  end after so many packets\n"
	      "  -j        a JSON object for each packet, on a line; with -x the packet, too\n"
	      "  -n        do not write back: what is shown goes no further\n"
	      "  -P        with process and user, of packets from or for this host\n"
	      "  -q        no line for each packet, just the summary\n"
	      "  -w FILE   save the packets, too (pcap; \"-\" for standard output)\n"
	      "  -X        with the packet in hex and as text\n"
	      "  -x        with the packet in hex\n"
	      "\n"
	      "Ctrl-C ends it. To see pings that arrive:\n"
	      "  interceptor icmp from any to any in\n"
	      "With a rule that stays, and drops what matches while nobody listens:\n"
	      "  ipfw add 100 divert 2000 icmp from any to any in\n"
	      "  interceptor 2000\n"
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

	while ((c = getopt_long(argc, argv, "Ac:hjnPqw:Xx", longs, NULL)) != -1) {
		switch (c) {
		case 'A':
			option.ascii = true;
			break;
		case 'c':
			if (!read_number(optarg, ~0ul >> 1, &option.count)) {
				complain(optarg, "-c takes a number above 0");
				return EXIT_USAGE + 1;
			}
			break;
		case 'h':
			help(stdout);
			return EXIT_OK + 1;
		case 'j':
			option.json = true;
			break;
		case 'n':
			option.keep = true;
			break;
		case 'P':
			option.process = true;
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
		case 'X':
			option.hex_ascii = true;
			break;
		case 'x':
			option.hex = true;
			break;
		default:
			help(stderr);
			return EXIT_USAGE + 1;
		}
	}
	if (optind == argc) {
		help(stderr);
		return EXIT_USAGE + 1;
	}
	if (option.json && (option.ascii || option.hex_ascii || option.quiet)) {
		complain("-j", "-A, -X and -q are not for JSON; -x adds the packet to it");
		return EXIT_USAGE + 1;
	}
	if (optind + 1 < argc || argv[optind][strspn(argv[optind], "0123456789")])
		return own_rule_read(&own, argv + optind, argc - optind) ? EXIT_USAGE + 1 : 0;
	if (!read_number(argv[optind], 65535, &port)) {
		complain(argv[optind], "a divert port is a number from 1 to 65535");
		return EXIT_USAGE + 1;
	}
	option.port = port;
	return 0;
}

static int bind_socket(int fd)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(option.port)};

	if (!option.port)
		return own_rule_bind(fd, &option.port);
	return divert_bind(fd, (struct sockaddr *)&addr, sizeof(addr));
}

static int open_socket(void)
{
	const int on = 1;
	int fd = divert_socket(AF_INET, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return complain("a divert socket", divert_error());
	if (divert_setsockopt(fd, SOL_DIVERT, DIVERT_INFO, &on, sizeof(on)))
		return complain("the socket's option DIVERT_INFO", strerror(errno));
	if (bind_socket(fd)) {
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

static void show(struct seen *s, pcap_dumper_t *file)
{
	struct pcap_pkthdr head = {.caplen = s->len, .len = s->len};
	/* with -w - the packets go to standard output */
	FILE *to = option.file && !strcmp(option.file, "-") ? stderr : stdout;
	const struct process *who = NULL;
	struct process process;

	seen_parse(s);
	if (option.process && !option.quiet && find_process(s, &process))
		who = &process;
	if (option.json)
		print_json(to, s, who, option.hex);
	else if (!option.quiet)
		print_line(to, s, who);
	if (option.hex && !option.json)
		print_hex(to, s);
	if (option.ascii)
		print_ascii(to, s);
	if (option.hex_ascii)
		print_hex_ascii(to, s);
	if (file) {
		head.ts.tv_sec = s->info.timestamp / 1000000000;
		head.ts.tv_usec = s->info.timestamp % 1000000000 / 1000;
		pcap_dump((u_char *)file, &head, s->packet);
	}
}

static void write_back(int fd, const struct sockaddr_in *from, const struct seen *s)
{
	if (divert_sendto(fd, s->packet, s->len, 0, (const struct sockaddr *)from, sizeof(*from)) >=
	    0) {
		seen.written++;
		return;
	}
	/* an error with one packet shall not stop the others */
	seen.failed++;
	complain("writing a packet back", strerror(errno));
}

/* -1: there is none, or an error, which errno says. */
static int receive(int fd, struct sockaddr_in *from, struct seen *s)
{
	static uint8_t packet[65536];
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(struct divert_info))];
	} control;
	struct iovec vec = {packet, sizeof(packet)};
	struct msghdr msg = {
		.msg_name = from,
		.msg_namelen = sizeof(*from),
		.msg_iov = &vec,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	const ssize_t n = divert_recvmsg(fd, &msg, 0);
	const struct cmsghdr *c;

	if (n < 0)
		return -1;
	memset(s, 0, sizeof(*s));
	s->packet = packet;
	s->len = n;
	for (c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, (struct cmsghdr *)c))
		if (c->cmsg_level == SOL_DIVERT && c->cmsg_type == DIVERT_INFO)
			memcpy(&s->info, CMSG_DATA(c), sizeof(s->info));
	return 0;
}

/* Handle all waiting packets. 1: the count is reached. */
static int drain(int fd, pcap_dumper_t *file)
{
	struct sockaddr_in from;
	struct seen s;

	for (;;) {
		if (receive(fd, &from, &s)) {
			if (errno == EAGAIN)
				return 0;
			if (errno == ENETDOWN)
				return complain("receiving",
						"Network is down: the engine was removed "
						"('divertctl unload'); start interceptor again");
			return complain("receiving", strerror(errno));
		}
		seen.received++;
		seen.bytes += s.len;
		show(&s, file);
		if (!option.keep)
			write_back(fd, &from, &s);
		if (option.count && seen.received >= option.count)
			return 1;
	}
}

/* Its own rule ends, and what has come until then goes on. */
static void end_rule(int fd)
{
	struct sockaddr_in from;
	struct seen s;

	own_rule_end(&own);
	while (!receive(fd, &from, &s))
		divert_sendto(fd, s.packet, s.len, 0, (struct sockaddr *)&from, sizeof(from));
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
	bool has_rule;

	if (signals < 0)
		return -1;
	fd = open_socket();
	if (fd < 0)
		return -1;
	if (own.words && own_rule_add(&own, option.port))
		return -1;
	fprintf(stderr, "interceptor: listening on divert port %u", option.port);
	if (own.words)
		fprintf(stderr, ", rule %lu", own.number);
	fputc('\n', stderr);
	rc = loop(fd, signals, file);
	has_rule = own.words;
	if (has_rule)
		end_rule(fd);
	divert_close(fd);
	if (!option.quiet && !has_rule)
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
