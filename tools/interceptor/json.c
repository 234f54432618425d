// SPDX-License-Identifier: BSD-2-Clause
/* Prints packets for programs: interceptor(1) names the fields, which stay as they are. */
#include <arpa/inet.h>
#include <string.h>

#include "interceptor.h"

/* Bytes of the character of UTF-8 that begins here; 0: it is none. */
static int character(const unsigned char *p)
{
	const int n = *p < 0x80			? 1
		      : *p >= 0xc2 && *p < 0xe0 ? 2
		      : (*p & 0xf0) == 0xe0	? 3
		      : *p >= 0xf0 && *p < 0xf5 ? 4
						: 0;
	int i;

	for (i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	/* encoded too long, half of a pair, or too large */
	if (n == 3 && ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] >= 0xa0)))
		return 0;
	if (n == 4 && ((*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] >= 0x90)))
		return 0;
	return n;
}

static void text(FILE *to, const char *name, const char *value)
{
	const unsigned char *p = (const unsigned char *)value;
	int n;

	fprintf(to, ",\"%s\":\"", name);
	for (; *p; p += n ? n : 1) {
		n = character(p);
		if (!n)
			fputs("\\ufffd", to);
		else if (*p < ' ' || *p == 0x7f)
			fprintf(to, "\\u%04x", *p);
		else
			fprintf(to, "%s%.*s", *p == '"' || *p == '\\' ? "\\" : "", n, p);
	}
	fputc('"', to);
}

static void number(FILE *to, const char *name, unsigned int value)
{
	fprintf(to, ",\"%s\":%u", name, value);
}

static void flag(FILE *to, const char *name, bool set)
{
	fprintf(to, ",\"%s\":%s", name, set ? "true" : "false");
}

static void headers(FILE *to, const struct seen *s)
{
	const int family = s->version == 6 ? AF_INET6 : AF_INET;
	char addr[INET6_ADDRSTRLEN], flags[TCP_FLAGS_TEXT];
	bool request;

	number(to, "version", s->version);
	text(to, "src", inet_ntop(family, s->src, addr, sizeof(addr)));
	text(to, "dst", inet_ntop(family, s->dst, addr, sizeof(addr)));
	number(to, "protocol", s->proto);
	if (s->later)
		flag(to, "fragment", true);
	if (s->ports) {
		number(to, "sport", get16(s->inner));
		number(to, "dport", get16(s->inner + 2));
	}
	if (tcp_flags(s, flags))
		text(to, "tcp_flags", flags);
	if (!s->later && s->rest >= 2 && (s->proto == IPPROTO_ICMP || s->proto == IPPROTO_ICMPV6)) {
		number(to, "icmp_type", s->inner[0]);
		number(to, "icmp_code", s->inner[1]);
	}
	if (is_echo(s, &request)) {
		number(to, "icmp_id", get16(s->inner + 4));
		number(to, "icmp_seq", get16(s->inner + 6));
	}
}

static void process(FILE *to, const struct process *p)
{
	if (*p->user)
		text(to, "user", p->user);
	if (p->pid) {
		number(to, "pid", p->pid);
		text(to, "process", p->name);
	}
}

static void packet(FILE *to, const struct seen *s)
{
	size_t i;

	fputs(",\"packet\":\"", to);
	for (i = 0; i < s->len; i++)
		fprintf(to, "%02x", s->packet[i]);
	fputc('"', to);
}

void print_json(FILE *to, const struct seen *s, const struct process *who, bool hex)
{
	const struct divert_info *i = &s->info;
	const uint32_t uid = i->uid != (uint32_t)-1 || !who ? i->uid : who->uid;

	fprintf(to, "{\"time\":%llu.%09llu", (unsigned long long)i->timestamp / 1000000000,
		(unsigned long long)i->timestamp % 1000000000);
	text(to, "direction", i->flags & DIVERT_INFO_OUT ? "out" : "in");
	if (i->ifindex)
		text(to, "in", iface_name(i->ifindex));
	if (i->out_ifindex)
		text(to, "out", iface_name(i->out_ifindex));
	number(to, "rule", i->rule);
	number(to, "length", s->len);
	number(to, "mark", i->mark);
	flag(to, "forwarded", i->flags & DIVERT_INFO_FORWARDED);
	flag(to, "tee", i->flags & DIVERT_INFO_TEE);
	flag(to, "reassembled", i->flags & DIVERT_INFO_REASSEMBLED);
	if (s->version)
		headers(to, s);
	if (uid != (uint32_t)-1)
		number(to, "uid", uid);
	if (who)
		process(to, who);
	if (hex)
		packet(to, s);
	fputs("}\n", to);
}
