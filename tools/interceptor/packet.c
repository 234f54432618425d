// SPDX-License-Identifier: BSD-2-Clause
/* Reads the headers of a packet. */
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#include "interceptor.h"

uint16_t get16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

/* Go past the extension headers of IPv6, as far as they are there. */
static void skip_extensions(struct seen *s, size_t *at)
{
	const uint8_t *p;
	size_t len;

	for (;;) {
		p = s->packet + *at;
		if (s->len < *at + 8)
			return;
		switch (s->proto) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
			len = (p[1] + 1) * 8;
			break;
		case IPPROTO_FRAGMENT:
			s->later = get16(p + 2) & 0xfff8;
			len = 8;
			break;
		default:
			return;
		}
		s->proto = p[0];
		*at += len;
		if (s->later)
			return;
	}
}

void seen_parse(struct seen *s)
{
	const uint8_t *p = s->packet;
	size_t at;

	s->version = 0;
	s->later = false;
	if (s->len >= 20 && p[0] >> 4 == 4) {
		s->version = 4;
		s->src = p + 12;
		s->dst = p + 16;
		s->proto = p[9];
		s->later = get16(p + 6) & 0x1fff;
		at = (p[0] & 15) * 4;
	} else if (s->len >= 40 && p[0] >> 4 == 6) {
		s->version = 6;
		s->src = p + 8;
		s->dst = p + 24;
		s->proto = p[6];
		at = 40;
		skip_extensions(s, &at);
	} else {
		return;
	}
	s->inner = p + at;
	s->rest = s->len > at ? s->len - at : 0;
	s->ports =
		!s->later && s->rest >= 4 && (s->proto == IPPROTO_TCP || s->proto == IPPROTO_UDP);
}

bool is_echo(const struct seen *s, bool *request)
{
	const bool v4 = s->proto == IPPROTO_ICMP;

	if (s->later || s->rest < 8 || (!v4 && s->proto != IPPROTO_ICMPV6))
		return false;
	*request = s->inner[0] == (v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST);
	return *request || s->inner[0] == (v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY);
}

bool tcp_flags(const struct seen *s, char text[TCP_FLAGS_TEXT])
{
	static const char flag[] = "FSRP.UEW";
	int i, n = 0;

	if (s->proto != IPPROTO_TCP || s->later || s->rest < 20)
		return false;
	for (i = 0; i < 8; i++)
		if (s->inner[13] & 1 << i)
			text[n++] = flag[i];
	text[n] = '\0';
	return true;
}
