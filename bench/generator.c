/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A packet generator that needs no network card. IPv4 UDP packets arrive at an interface of this
 * network namespace as if its peer had sent them, and go through the whole IP stack from the
 * ingress hook on. It uses BPF_PROG_TEST_RUN with live frames. The kernel receives the frames in
 * lists, on the CPU that this program runs on. It receives packets larger than a frame one by one.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <getopt.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "generator.skel.h"

#define SIZE_MIN      (sizeof(struct iphdr) + sizeof(struct udphdr) + 2)
#define SIZE_MAX_LIVE 3000 /* a frame of a live run lies in one page */
#define SIZE_MOST     9000
#define BATCH_FULL    64 /* frames received as one list */
#define BATCH_PACED   8	 /* fewer, so that a packet does not wait for its list */
#define FIRST_PORT    20000
#define STOP_POLL_NS  5000000

struct config {
	const char *dev;
	struct in_addr from, to;
	unsigned int size;  /* of the IP packet, bytes */
	unsigned int flows; /* source ports */
	unsigned int port;  /* destination port */
	double seconds;	    /* at most */
	uint64_t pps;	    /* 0: as fast as it goes */
	uint64_t count;	    /* 0: no limit but the time */
	int batch;	    /* 0: by pps */
	int cpu;	    /* -1: any */
};

static const char usage_text[] =
	"usage: generator -i DEV -s SOURCE -d DESTINATION [options]\n"
	"  -i DEV      interface at which the packets arrive (a veth of this namespace)\n"
	"  -s, -d      IPv4 addresses\n"
	"  -l BYTES    length of the IP packet (64); above 3000, all are of one flow\n"
	"  -r PPS      packets a second (0: as fast as it goes)\n"
	"  -n COUNT    stop after that many packets\n"
	"  -t SECONDS  stop after that time (10)\n"
	"  -f FLOWS    source ports in turn (64)\n"
	"  -p PORT     destination port (9)\n"
	"  -b BATCH    frames received as one list, 1 to 256 (64; 8 with -r)\n"
	"  -c CPU      run on this processor\n"
	"It prints: sent COUNT packets in SECONDS s\n";

static volatile sig_atomic_t stop;
static struct generator_bpf *skel;
static double time_limit;
static double stopped; /* when the watcher saw that the run is to stop; 0: not yet */
static uint64_t count_limit;
static pthread_t runner;

static void fail(const char *what, int err)
{
	fprintf(stderr, "generator: %s: %s\n", what, strerror(err));
	exit(1);
}

static void on_signal(int sig)
{
	stop = 1;
}

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/*
 * Only a signal ends a run early. A signal that arrives just before the system call is lost. So
 * signals are sent until the runner has ended.
 */
static void *watch(void *arg)
{
	const struct timespec pause = {.tv_nsec = STOP_POLL_NS};
	const double end = now_s() + time_limit;
	const volatile uint64_t *sent = (uint64_t *)&skel->bss->sent;

	for (;;) {
		nanosleep(&pause, NULL);
		if (!stop && now_s() < end && !(count_limit && *sent >= count_limit))
			continue;
		stop = 1;
		if (!stopped)
			stopped = now_s();
		pthread_kill(runner, SIGUSR1);
	}
	return NULL;
}

/* The sum of 16-bit words in network order. A last odd byte counts as if a 0 followed. */
static uint32_t sum16(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static size_t build_frame(const struct config *cfg, uint8_t *frame)
{
	struct ethhdr *eth = (struct ethhdr *)frame;
	struct iphdr *ip = (struct iphdr *)(eth + 1);
	struct udphdr *udp = (struct udphdr *)(ip + 1);
	const uint16_t udp_len = (uint16_t)(cfg->size - sizeof(*ip));
	uint8_t *payload = (uint8_t *)(udp + 1);
	uint32_t sum;

	eth->h_proto = htons(ETH_P_IP);
	ip->version = 4;
	ip->ihl = 5;
	ip->tot_len = htons((uint16_t)cfg->size);
	ip->ttl = 64;
	ip->protocol = IPPROTO_UDP;
	ip->saddr = cfg->from.s_addr;
	ip->daddr = cfg->to.s_addr;

	udp->source = htons(FIRST_PORT);
	udp->dest = htons((uint16_t)cfg->port);
	udp->len = htons(udp_len);
	for (size_t i = 2; i < udp_len - sizeof(*udp); i++)
		payload[i] = i < SIZE_MAX_LIVE - SIZE_MIN ? (uint8_t)i : 0;
	payload[0] = (uint8_t) ~(FIRST_PORT >> 8);
	payload[1] = (uint8_t) ~(FIRST_PORT & 0xff);
	sum = sum16(&ip->saddr, 8) + IPPROTO_UDP + udp_len + sum16(udp, udp_len);
	udp->check = htons(fold(sum));
	if (!udp->check)
		udp->check = 0xffff;
	return sizeof(*eth) + cfg->size;
}

static void read_mac(const char *dev, uint8_t mac[ETH_ALEN])
{
	struct ifreq ifr = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fail("socket", errno);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", dev);
	if (ioctl(fd, SIOCGIFHWADDR, &ifr) < 0)
		fail(dev, errno);
	memcpy(mac, ifr.ifr_hwaddr.sa_data, ETH_ALEN);
	close(fd);
}

static void load(const struct config *cfg, const uint8_t *frame)
{
	static const uint8_t peer[ETH_ALEN] = {0x02, 0, 0, 0, 0, 0x01};
	uint8_t own[ETH_ALEN];
	int err;

	skel = generator_bpf__open();
	if (!skel)
		fail("open the BPF program", errno);
	read_mac(cfg->dev, own);
	memcpy((void *)skel->rodata->mac_to, own, ETH_ALEN);
	memcpy((void *)skel->rodata->mac_from, peer, ETH_ALEN);
	skel->rodata->header_sum = sum16(frame + sizeof(struct ethhdr), sizeof(struct iphdr));
	skel->rodata->flows = cfg->flows;
	skel->rodata->first_port = FIRST_PORT;
	skel->rodata->interval_ns = cfg->pps ? 1000000000ull / cfg->pps : 0;
	skel->rodata->limit = cfg->count;
	skel->rodata->frame_len = (uint32_t)sizeof(struct ethhdr) + cfg->size;
	skel->rodata->ifindex = if_nametoindex(cfg->dev);
	if (!skel->rodata->ifindex)
		fail(cfg->dev, errno);
	bpf_program__set_autoload(skel->progs.generate, cfg->size <= SIZE_MAX_LIVE);
	bpf_program__set_autoload(skel->progs.pass, cfg->size <= SIZE_MAX_LIVE);
	bpf_program__set_autoload(skel->progs.generate_clones, cfg->size > SIZE_MAX_LIVE);
	err = generator_bpf__load(skel);
	if (err)
		fail("load the BPF program", -err);
}

static void run(int fd, struct bpf_test_run_opts *opts)
{
	int err;

	while (!stop) {
		err = bpf_prog_test_run_opts(fd, opts);
		if (err < 0 && err != -EINTR)
			fail("BPF_PROG_TEST_RUN", -err);
	}
}

static void run_frames(const struct config *cfg, uint8_t *frame, size_t len)
{
	struct xdp_md ctx = {.data_end = (uint32_t)len, .ingress_ifindex = skel->rodata->ifindex};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (uint32_t)len,
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .flags = BPF_F_TEST_XDP_LIVE_FRAMES,
		    .repeat = 1 << 30);
	struct bpf_link *link;

	opts.batch_size = cfg->batch ? (uint32_t)cfg->batch : cfg->pps ? BATCH_PACED : BATCH_FULL;
	/* A live run needs a receive queue. A veth has one only while it has an XDP program. */
	link = bpf_program__attach_xdp(skel->progs.pass, (int)ctx.ingress_ifindex);
	if (!link)
		fail(cfg->dev, errno);
	run(bpf_program__fd(skel->progs.generate), &opts);
	bpf_link__destroy(link);
}

/* Nothing writes to a clone, so its headers must be complete. */
static void run_clones(uint8_t *frame, size_t len)
{
	struct ethhdr *eth = (struct ethhdr *)frame;
	struct iphdr *ip = (struct iphdr *)(eth + 1);
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (uint32_t)len,
		    .repeat = 1 << 30);

	memcpy(eth->h_dest, (const void *)skel->rodata->mac_to, ETH_ALEN);
	memcpy(eth->h_source, (const void *)skel->rodata->mac_from, ETH_ALEN);
	ip->check = htons(fold(skel->rodata->header_sum));
	run(bpf_program__fd(skel->progs.generate_clones), &opts);
}

static uint64_t number(const char *option, const char *s, uint64_t min, uint64_t max)
{
	char *end;
	unsigned long long n;

	errno = 0;
	n = strtoull(s, &end, 10);
	if (errno || *end || end == s || *s == '-' || n < min || n > max) {
		fprintf(stderr, "generator: %s %s: not a number from %llu to %llu\n", option, s,
			(unsigned long long)min, (unsigned long long)max);
		exit(2);
	}
	return n;
}

static struct in_addr address(const char *s)
{
	struct in_addr a;

	if (inet_pton(AF_INET, s, &a) != 1) {
		fprintf(stderr, "generator: %s: not an IPv4 address\n", s);
		exit(2);
	}
	return a;
}

static void parse(struct config *cfg, int argc, char **argv)
{
	bool from = false, to = false;
	int c;

	while ((c = getopt(argc, argv, "i:s:d:l:r:n:t:f:p:b:c:h")) != -1) {
		switch (c) {
		case 'i':
			cfg->dev = optarg;
			break;
		case 's':
			cfg->from = address(optarg);
			from = true;
			break;
		case 'd':
			cfg->to = address(optarg);
			to = true;
			break;
		case 'l':
			cfg->size = (unsigned int)number("-l", optarg, SIZE_MIN, SIZE_MOST);
			break;
		case 'r':
			cfg->pps = number("-r", optarg, 0, 1000000000);
			break;
		case 'n':
			cfg->count = number("-n", optarg, 0, UINT64_MAX);
			break;
		case 't':
			cfg->seconds = (double)number("-t", optarg, 1, 86400);
			break;
		case 'f':
			cfg->flows = (unsigned int)number("-f", optarg, 1, 40000);
			break;
		case 'p':
			cfg->port = (unsigned int)number("-p", optarg, 1, 65535);
			break;
		case 'b':
			cfg->batch = (int)number("-b", optarg, 1, 256);
			break;
		case 'c':
			cfg->cpu = (int)number("-c", optarg, 0, CPU_SETSIZE - 1);
			break;
		case 'h':
			fputs(usage_text, stdout);
			exit(0);
		default:
			fputs(usage_text, stderr);
			exit(2);
		}
	}
	if (optind != argc || !cfg->dev || !from || !to) {
		fputs(usage_text, stderr);
		exit(2);
	}
}

/* For the runner's thread only: the watcher may sleep anywhere. */
static void pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		fail("sched_setaffinity", errno);
}

int main(int argc, char **argv)
{
	struct config cfg = {.size = 64, .flows = 64, .port = 9, .seconds = 10, .cpu = -1};
	struct sigaction sa = {.sa_handler = on_signal}; /* no SA_RESTART: a run ends with EINTR */
	uint8_t frame[sizeof(struct ethhdr) + SIZE_MOST] = {0};
	pthread_t watcher;
	sigset_t set;
	size_t len;
	double seconds;
	int err;

	parse(&cfg, argc, argv);
	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	len = build_frame(&cfg, frame);
	load(&cfg, frame);

	time_limit = cfg.seconds;
	count_limit = cfg.count;
	runner = pthread_self();
	err = pthread_create(&watcher, NULL, watch, NULL);
	if (err)
		fail("pthread_create", err);
	/* Signals from outside go to the watcher, which takes the time. */
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	pin(cfg.cpu);
	if (cfg.size <= SIZE_MAX_LIVE)
		run_frames(&cfg, frame, len);
	else
		run_clones(frame, SIZE_MAX_LIVE);
	seconds = skel->bss->sent ? stopped - (double)skel->bss->started / 1e9 : 0;
	printf("sent %llu packets in %.3f s\n", (unsigned long long)skel->bss->sent, seconds);
	return fflush(stdout) ? 1 : 0;
}
