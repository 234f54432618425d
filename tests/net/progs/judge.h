/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets judged by the kernel half. BPF_PROG_TEST_RUN runs the programs of the engine in this
 * namespace on a packet, and returns their verdict. Sockets of libdivert get the packets that they
 * deliver. All of it must agree with tests/random/plain.c. tests/net/random.sh makes the
 * interfaces.
 *
 * Some things are not tried here, since a packet of a test run cannot have them, or since nobody
 * knows the right result:
 * - prob;
 * - another uid than root's, or nobody's for a packet written back, and any gid;
 * - a tag on a packet that was not written back (the engine's key stands for both);
 * - segmentation offload, but for the number of segments; partial checksums;
 * - sockets that put fragments together, or share a port;
 * - rule sets in which a packet never comes to an end.
 */
#ifndef JUDGE_H
#define JUDGE_H

#include <net/if.h>
#include <sys/ioctl.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include <divert.h>

#include "check.h"
#include "engine/engine.h"
#include "tests/random/plain.h"
#include "tests/random/ruleset.h"

#define PADDING		 18 /* bytes behind the packet, as Ethernet has them */
/* as in engine/entry.bpf.h and owner.bpf.h */
#define ENTRY_REINJECTED 0x10000u
#define ENTRY_NOBODY	 (4096u << 19)

static struct engine engine;
static struct rules set;
static uint64_t set_seed; /* makes this rule set and its packets again */

struct packet {
	struct random_sample s;
	struct random_bytes b;
	struct plain_met met;
	unsigned int number; /* in its rule set */
};

static struct divert_rule_counter expected[RANDOM_RULES_MAX + 1];

/* ---- a difference ---- */

/*
 * Each program defines these. The first prints the rules that met packets according to the kernel
 * half, the second how to repeat the set.
 */
static void show_met(void);
static void show_again(void);

static void show_packet(const struct packet *p)
{
	const struct random_sample *s = &p->s;
	unsigned int i;

	printf("packet %u: IPv%d %s recv %s xmit %s, proto %u, ports %u %u, tag %u%s, mark %u, "
	       "offset %u\n",
	       p->number, s->six ? 6 : 4, s->out ? "out" : "in", s->recv ? s->recv : "-",
	       s->xmit ? s->xmit : "-", s->proto, s->t.sport, s->t.dport, s->tag,
	       s->reinject ? ", written back" : "", s->mark, s->frag_offset);
	for (i = 0; i < p->b.n; i++)
		printf("%02x%s", p->b.byte[i], i % 32 == 31 ? "\n" : "");
	printf("\nplain: verdict %d, rule %u, port %u, %u met, %u copies; counters:",
	       p->met.verdict, p->met.rule, p->met.port, p->met.n, p->met.copies);
	for (i = 0; i < p->met.n; i++)
		printf(" %u", p->met.counter[i]);
	putchar('\n');
}

/* p: NULL if no single packet is meant. Ends the program. */
__attribute__((format(printf, 2, 3))) static void differs(const struct packet *p,
							  const char *format, ...)
{
	unsigned int i;
	va_list args;

	for (i = 0; i < set.n; i++)
		printf("counter %u: %05u set %u %s\n", set.rule[i]->counter, set.rule[i]->number,
		       set.rule[i]->set, set.rule[i]->text);
	printf("disabled sets: %#x\n", set.disabled);
	if (p)
		show_packet(p);
	show_met();
	printf("not ok ");
	show_again();
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	exit(1);
}

/* ---- interfaces ---- */

static struct iface {
	const char *name;
	uint32_t index;
	unsigned char mac[ETH_ALEN];
} ifaces[8]; /* in the order in which they are met */

static const struct iface *iface_of(const char *name)
{
	struct ifreq r = {};
	struct iface *i;
	int fd;

	for (i = ifaces; i->name; i++)
		if (!strcmp(i->name, name))
			return i;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	must(fd >= 0 && !ioctl(fd, SIOCGIFHWADDR, &r), name);
	close(fd);
	memcpy(i->mac, r.ifr_hwaddr.sa_data, ETH_ALEN);
	i->index = if_nametoindex(name);
	i->name = name;
	return i;
}

static uint32_t index_of(const char *name)
{
	return name ? iface_of(name)->index : 0;
}

/* ---- sockets ---- */

/* Port 5 takes everything, port 10 only IPv6. Other ports that rules name have no socket. */
static struct {
	unsigned int port;
	int domain, fd;
} sockets[] = {{5, AF_INET, -1}, {10, AF_INET6, -1}};

#define SOCKETS (sizeof(sockets) / sizeof(*sockets))

static void open_sockets(void)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	struct sockaddr_in four = {.sin_family = AF_INET};
	int on = 1, off = 0, fd, rc;
	unsigned int i;

	for (i = 0; i < SOCKETS; i++) {
		sockets[i].fd = fd = divert_socket(sockets[i].domain, SOCK_CLOEXEC);
		must(fd >= 0, "divert_socket");
		four.sin_port = six.sin6_port = htons(sockets[i].port);
		if (sockets[i].domain == AF_INET)
			rc = divert_bind(fd, (void *)&four, sizeof(four));
		else
			rc = divert_bind(fd, (void *)&six, sizeof(six));
		must(!rc, "divert_bind");
		must(!divert_setsockopt(fd, SOL_DIVERT, DIVERT_INFO, &on, sizeof(on)) &&
			     !divert_setsockopt(fd, SOL_DIVERT, DIVERT_REASSEMBLE, &off,
						sizeof(off)),
		     "divert_setsockopt");
	}
}

/* Checks that the socket was given the packet, and where it came from. */
static void check_delivery(const struct packet *p, int fd, const struct plain_copy *c, bool tee)
{
	union {
		struct cmsghdr align;
		char byte[CMSG_SPACE(sizeof(struct divert_info))];
	} control;
	unsigned char buf[2 * RANDOM_PACKET_MAX];
	union {
		struct sockaddr_in four;
		struct sockaddr_in6 six;
	} from;
	struct iovec iov = {buf, sizeof(buf)};
	struct msghdr msg = {.msg_name = &from,
			     .msg_namelen = sizeof(from),
			     .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	const struct random_sample *s = &p->s;
	struct cmsghdr *cmsg;
	struct divert_info i;
	ssize_t n = divert_recvmsg(fd, &msg, MSG_DONTWAIT);
	uint32_t flags;

	if (n < 0)
		differs(p, "rule %u, port %u: nothing delivered", c->rule, c->port);
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg || cmsg->cmsg_type != DIVERT_INFO)
		differs(p, "rule %u, port %u: no control message", c->rule, c->port);
	memcpy(&i, CMSG_DATA(cmsg), sizeof(i));
	if (i.rule != c->rule ||
	    (from.four.sin_family == AF_INET ? from.four.sin_port : from.six.sin6_port) != c->rule)
		differs(p, "port %u: by rule %u, tag %u, expected %u", c->port, i.rule,
			from.four.sin_port, c->rule);
	if (n != (ssize_t)s->len || i.length != s->len || memcmp(buf, p->b.byte, n))
		differs(p, "rule %u, port %u: other bytes, %zd of %u", c->rule, c->port, n, s->len);
	flags = (s->out ? DIVERT_INFO_OUT : 0) | (s->forwarded ? DIVERT_INFO_FORWARDED : 0) |
		(tee ? DIVERT_INFO_TEE : 0);
	if (i.flags != flags || i.mark != s->mark || i.ifindex != index_of(s->recv) ||
	    i.out_ifindex != index_of(s->xmit) || i.uid != (uint32_t)s->uid)
		differs(p, "rule %u, port %u: flags %#x, mark %u, ifindex %u, out %u, uid %d",
			c->rule, c->port, i.flags, i.mark, i.ifindex, i.out_ifindex, (int)i.uid);
	if (from.four.sin_family == AF_INET && !from.four.sin_addr.s_addr != s->out)
		differs(p, "rule %u, port %u: address %#x", c->rule, c->port,
			ntohl(from.four.sin_addr.s_addr));
}

static int socket_of(unsigned int port)
{
	unsigned int i;

	for (i = 0; i < SOCKETS; i++)
		if (sockets[i].port == port)
			return sockets[i].fd;
	return -1;
}

static void check_deliveries(const struct packet *p)
{
	const struct plain_copy last = {p->met.rule, p->met.port};
	unsigned char byte;
	unsigned int i;

	for (i = 0; i < p->met.copies; i++)
		check_delivery(p, socket_of(p->met.copy[i].port), &p->met.copy[i], true);
	if (p->met.verdict == PLAIN_DIVERTED)
		check_delivery(p, socket_of(last.port), &last, false);
	for (i = 0; i < SOCKETS; i++)
		if (divert_recv(sockets[i].fd, &byte, 1, MSG_DONTWAIT) >= 0)
			differs(p, "delivered to port %u, too", sockets[i].port);
}

/* ---- states of flows ---- */

/* s: so much time passes at once. A rule set is tried in less. */
#define TICK  100
/*
 * The longest lifetime, in ticks: an option first prolongs its count only when an eighth of the
 * lifetime has passed.
 */
#define TICKS 7

static struct plain_states states;

/* No flow has a state. Each kind of state lives for some ticks. */
static void begin_states(void)
{
	struct divert_settings s = {};
	__u32 zero = 0;
	unsigned int i;

	states.n = states.firsts = states.now = 0;
	for (i = 0; i < DIVERT_LIVES; i++)
		s.life[i] = states.life[i] = TICK * (1 + random_chance(TICKS));
	must(!bpf_map_update_elem(engine.map[ENGINE_SETTINGS], &zero, &s, BPF_ANY), "settings");
}

static uint64_t earlier(uint64_t ns)
{
	const uint64_t tick = TICK * 1000000000ull;

	return ns > tick ? ns - tick : 0;
}

/*
 * A tick passes, without a wait: all that the kernel half keeps of flows ends so much earlier, and
 * it may look for what is over again.
 */
static void pass_time(void)
{
	struct divert_flow_info info;
	struct engine_flow *flows;
	__u32 zero = 0, id;
	int i, map, n;

	states.now += TICK;
	if (!states.n && !states.firsts)
		return;
	n = engine_flows(&engine, &flows);
	must(n >= 0, engine_error());
	must(!bpf_map_lookup_elem(engine.map[ENGINE_FLOWS], &zero, &id), "no map of states");
	map = bpf_map_get_fd_by_id(id);
	must(map >= 0, "the map of states");
	for (i = 0; i < n; i++) {
		flows[i].flow.expires = earlier(flows[i].flow.expires);
		must(!bpf_map_update_elem(map, &flows[i].key, &flows[i].flow, BPF_EXIST),
		     "a state");
	}
	close(map);
	free(flows);
	must(!bpf_map_lookup_elem(engine.map[ENGINE_FLOW_INFO], &zero, &info), "flow_info");
	info.next_sweep = earlier(info.next_sweep);
	info.epoch++; /* ends what the verdict cache has, as that time does */
	must(!bpf_map_update_elem(engine.map[ENGINE_FLOW_INFO], &zero, &info, BPF_ANY),
	     "flow_info");
}

/* ---- packets ---- */

/*
 * The kernel half keeps its knowledge of fragments beyond a rule set, but it is wrong for another
 * set.
 */
static void forget_fragments(void)
{
	static int map = -1;
	__u32 ids[64], i, len;
	struct bpf_prog_info prog = {.nr_map_ids = 64, .map_ids = (uintptr_t)ids};
	struct bpf_map_info info;
	char key[256];

	len = sizeof(prog);
	must(map >= 0 || !bpf_obj_get_info_by_fd(engine.prog_in, &prog, &len), "maps");
	for (i = 0; map < 0 && i < prog.nr_map_ids; i++) {
		map = bpf_map_get_fd_by_id(ids[i]);
		memset(&info, 0, sizeof(info));
		len = sizeof(info);
		must(map >= 0 && !bpf_obj_get_info_by_fd(map, &info, &len), "a map");
		if (strcmp(info.name, "fragmented") || info.key_size > sizeof(key)) {
			close(map);
			map = -1;
		}
	}
	must(map >= 0, "no map of fragments");
	while (!bpf_map_get_next_key(map, NULL, key))
		must(!bpf_map_delete_elem(map, key), "a fragment");
}

/* Replaces what the generator made but a test run cannot have: see above. */
static void fit(struct packet *p)
{
	struct random_sample *s = &p->s;

	if (s->tag && !s->reinject)
		s->reinject = s->out ? DIVERT_IS_REINJECTED_OUT : DIVERT_IS_REINJECTED_IN;
	s->uid = s->out && !s->forwarded && !s->reinject ? 0 : -1;
	s->gid = -1;
	s->path = random_path(s);
	s->nobody = ~(1ull << 5 | (s->six ? 1ull << 10 : 0));
}

static unsigned int make_frame(const struct packet *p, unsigned char *frame)
{
	struct ethhdr eth = {.h_proto = htons(p->s.six ? ETH_P_IPV6 : ETH_P_IP)};

	memcpy(eth.h_dest, iface_of(p->s.out ? p->s.xmit : p->s.recv)->mac, ETH_ALEN);
	memcpy(frame, &eth, sizeof(eth));
	memcpy(frame + sizeof(eth), p->b.byte, p->b.n);
	memset(frame + sizeof(eth) + p->b.n, 0xff, PADDING);
	return sizeof(eth) + p->b.n + PADDING;
}

/* The engine takes the packet: in the chain, by a redirect that leads nowhere. */
static int taken(void)
{
	return engine.identity.chain ? TC_ACT_REDIRECT : TC_ACT_STOLEN;
}

/* The programs' return value for the kernel. */
static int verdict_of(const struct packet *p)
{
	switch (p->met.verdict) {
	case PLAIN_ALLOWED:
		return TC_ACT_UNSPEC;
	case PLAIN_ANSWERED:
		if (p->met.told)
			return TC_ACT_REDIRECT;
		/* fall through */
	case PLAIN_DENIED:
		return p->s.out ? taken() : TC_ACT_SHOT;
	default:
		return taken();
	}
}

/* The code in ICMPv6 for a rule with an IPv4 code: RFC 7915, 4.2. */
static uint8_t code_of(const struct packet *p)
{
	uint8_t code = p->met.port & 255;

	if (!p->s.six || p->met.port & DIVERT_REJECT_V6)
		return code;
	return code == 3 ? 4 : code <= 1 ? 0 : 1; /* needfrag aside, no others come */
}

/* The answer must be of the right kind, to the packet's sender. */
static void check_answer(const struct packet *p, const unsigned char *ip)
{
	unsigned int head = p->s.six ? 40 : 20, addr = p->s.six ? 16 : 4;
	bool reset = p->met.port & DIVERT_REJECT_RESET;
	uint8_t proto = reset ? 6 : p->s.six ? 58 : 1;
	uint16_t mtu = p->s.six ? 0 : p->met.mtu;

	if (ip[p->s.six ? 6 : 9] != proto || memcmp(ip + head - addr, p->s.src, addr))
		differs(p, "an answer of protocol %u", ip[p->s.six ? 6 : 9]);
	if (reset ? !(ip[head + 13] & 4)
		  : ip[head] != (p->s.six ? 1 : 3) || ip[head + 1] != code_of(p) ||
			    (ip[head + 6] << 8 | ip[head + 7]) != mtu)
		differs(p, "an answer of type %u, code %u", ip[head], ip[head + 1]);
}

static void judge(const struct packet *p)
{
	unsigned char in[RANDOM_PACKET_MAX + 64], out[2 * sizeof(in)];
	struct __sk_buff ctx = {
		.mark = p->s.mark,
		.ifindex = index_of(p->s.out ? p->s.xmit : p->s.recv),
		.gso_segs = p->s.segments,
		.ingress_ifindex = p->s.out && !p->s.reinject ? index_of(p->s.recv) : 0,
	};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = make_frame(p, in),
		    .data_out = out, .data_size_out = sizeof(out), .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), );

	if (p->s.reinject || p->s.out) { /* the key alone means that it was routed */
		ctx.cb[0] = engine.identity.entry_key[0];
		ctx.cb[1] = engine.identity.entry_key[1];
	}
	if (p->s.reinject) {
		ctx.cb[2] = ENTRY_REINJECTED | p->s.tag | (p->s.out ? ENTRY_NOBODY : 0);
		ctx.cb[3] = index_of(p->s.recv);
	}
	must(!bpf_prog_test_run_opts(p->s.out ? engine.prog_out : engine.prog_in, &opts),
	     "BPF_PROG_TEST_RUN");
	if ((int)opts.retval != verdict_of(p))
		differs(p, "verdict %d, expected %d", (int)opts.retval, verdict_of(p));
	if (p->met.verdict == PLAIN_ANSWERED && p->met.told)
		check_answer(p, out + ETH_HLEN);
	else if (opts.data_size_out != opts.data_size_in || memcmp(in, out, opts.data_size_in))
		differs(p, "its bytes are others now");
	check_deliveries(p);
}

/*
 * Makes a random packet and what the plain evaluator says of it; number is set. It may be a later
 * fragment of the packet before.
 */
static void next_packet(struct packet *p, struct plain_fragments *known)
{
	if (!p->number)
		random_flows();
	if (!p->number || random_chance(2) || !random_later(&p->s))
		random_sample(&p->s);
	fit(p);
	random_packet(&p->b, &p->s);
	plain_run(&set, &p->s, &p->met, known, &states);
}

static void count(const struct packet *p)
{
	unsigned int i;

	for (i = 0; i < p->met.n; i++) {
		expected[p->met.counter[i]].packets++;
		expected[p->met.counter[i]].bytes += p->s.len;
	}
}

#endif
