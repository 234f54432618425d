// SPDX-License-Identifier: BSD-2-Clause
/* Prints packets for people. */
#include <arpa/inet.h>
#include <ctype.h>
#include <netdb.h>
#include <time.h>

#include "interceptor.h"

static void print_proto(FILE *to, uint8_t proto)
{
	/* names as in tcpdump; the protocol database may be missing */
	switch (proto) {
	case IPPROTO_TCP:
		fputs("TCP", to);
		break;
	case IPPROTO_UDP:
		fputs("UDP", to);
		break;
	case IPPROTO_ICMP:
		fputs("ICMP", to);
		break;
	case IPPROTO_ICMPV6:
		fputs("ICMP6", to);
		break;
	default:
		fprintf(to, "proto %u", proto);
	}
}

static void print_icmp(FILE *to, const struct seen *s)
{
	bool request;

	if (is_echo(s, &request))
		fprintf(to, " echo %s, id %u, seq %u", request ? "request" : "reply",
			get16(s->inner + 4), get16(s->inner + 6));
	else if (s->rest >= 2)
		fprintf(to, " type %u, code %u", s->inner[0], s->inner[1]);
}

static void print_ends(FILE *to, const struct seen *s)
{
	const int family = s->version == 6 ? AF_INET6 : AF_INET;
	char text[INET6_ADDRSTRLEN];

	fputs(inet_ntop(family, s->src, text, sizeof(text)), to);
	if (s->ports)
		fprintf(to, ".%u", get16(s->inner));
	fprintf(to, " > %s", inet_ntop(family, s->dst, text, sizeof(text)));
	if (s->ports)
		fprintf(to, ".%u", get16(s->inner + 2));
	fputs(": ", to);
}

static void print_packet(FILE *to, const struct seen *s)
{
	char flags[TCP_FLAGS_TEXT];

	fputs(s->version == 6 ? "IP6 " : "IP ", to);
	print_ends(to, s);
	print_proto(to, s->proto);
	if (s->later)
		fputs(" fragment", to);
	else if (tcp_flags(s, flags))
		fprintf(to, " [%s]", flags);
	else if (s->proto == IPPROTO_ICMP || s->proto == IPPROTO_ICMPV6)
		print_icmp(to, s);
}

/* "eth0" that received it, "eth1" that it leaves by, "eth0>eth1" if it is forwarded. */
static void print_interfaces(FILE *to, const struct divert_info *i)
{
	if (i->ifindex)
		fputs(iface_name(i->ifindex), to);
	if (i->ifindex && i->out_ifindex)
		fputc('>', to);
	if (i->out_ifindex)
		fputs(iface_name(i->out_ifindex), to);
}

static void print_process(FILE *to, const struct process *p)
{
	fputs(", ", to);
	if (p->pid)
		fprintf(to, "%s (%d)%s", p->name, p->pid, *p->user ? " of " : "");
	else
		fputs("of ", to);
	fputs(p->user, to);
}

void print_line(FILE *to, const struct seen *s, const struct process *who)
{
	const time_t when = s->info.timestamp / 1000000000;
	struct tm tm;

	localtime_r(&when, &tm);
	fprintf(to, "%02d:%02d:%02d.%06u %-3s ", tm.tm_hour, tm.tm_min, tm.tm_sec,
		(unsigned int)(s->info.timestamp % 1000000000 / 1000),
		s->info.flags & DIVERT_INFO_OUT ? "out" : "in");
	print_interfaces(to, &s->info);
	fprintf(to, " rule %u ", s->info.rule);
	if (s->version)
		print_packet(to, s);
	else
		fputs("no IP packet", to);
	fprintf(to, ", length %zu", s->len);
	if (who)
		print_process(to, who);
	fputc('\n', to);
}

void print_hex(FILE *to, const struct seen *s)
{
	size_t i;

	for (i = 0; i < s->len; i++)
		fprintf(to, "%02x%c", s->packet[i], (i + 1) % 16 && i + 1 < s->len ? ' ' : '\n');
}

/* A carriage return ahead of a line's end is left out; what cannot be printed is a dot. */
void print_ascii(FILE *to, const struct seen *s)
{
	size_t i;
	uint8_t c;

	for (i = 0; i < s->len; i++) {
		c = s->packet[i];
		if (c == '\r' && i + 1 < s->len && s->packet[i + 1] == '\n')
			continue;
		fputc((c > ' ' && c < 0x7f) || c == '\t' || c == ' ' || c == '\n' ? c : '.', to);
	}
	fputc('\n', to);
}

void print_hex_ascii(FILE *to, const struct seen *s)
{
	size_t at, i, n;

	for (at = 0; at < s->len; at += 16) {
		n = s->len - at < 16 ? s->len - at : 16;
		fprintf(to, "\t0x%04zx:  ", at);
		for (i = 0; i < 16; i++)
			if (i < n)
				fprintf(to, "%02x%s", s->packet[at + i], i % 2 ? " " : "");
			else
				fputs(i % 2 ? "   " : "  ", to);
		fputc(' ', to);
		for (i = 0; i < n; i++)
			fputc(s->packet[at + i] > ' ' && s->packet[at + i] < 0x7f
				      ? s->packet[at + i]
				      : '.',
			      to);
		fputc('\n', to);
	}
}
