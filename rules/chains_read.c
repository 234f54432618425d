/* SPDX-License-Identifier: BSD-2-Clause */
/* Parses protocols, addresses and ports on a command line of ipchains(8), and builds the rules. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "chains_read.h"
#include "parse.h"

int reading_protocol(struct reading *r, const char *word)
{
	static const struct {
		const char *name;
		uint16_t proto;
	} names[] = {
		{"tcp", IPPROTO_TCP},
		{"udp", IPPROTO_UDP},
		{"icmp", IPPROTO_ICMP},
		{"all", 0},
	};
	unsigned int i;
	uint32_t v;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcasecmp(word, names[i].name)) {
			r->spec.proto = names[i].proto;
			return 0;
		}
	if (!parse_number(word, 255, &v))
		return rules_fail(r->err, EINVAL,
				  "%.64s: not a protocol: expected tcp, udp, icmp, all or 0 to 255",
				  word);
	r->spec.proto = v;
	return 0;
}

/* ---- addresses ---- */

/* "10.1.2.3"; with `missing`, fewer numbers are enough: "10" is 10.0.0.0. */
static bool read_dotted(const char *s, bool missing, struct in_addr *ip)
{
	uint32_t v = 0, byte;
	int n;

	for (n = 0; n < 4; n++) {
		if (!isdigit((unsigned char)*s))
			return false;
		for (byte = 0; isdigit((unsigned char)*s) && byte <= 255; s++)
			byte = byte * 10 + (*s - '0');
		if (byte > 255)
			return false;
		v |= byte << (24 - 8 * n);
		if (*s != '.')
			break;
		s++;
	}
	if (*s || (n < 3 && !missing))
		return false;
	ip->s_addr = htonl(v);
	return true;
}

static bool read_mask(const char *s, struct in_addr *mask)
{
	uint32_t bits;

	if (parse_number(s, 32, &bits)) {
		mask->s_addr = bits ? htonl(~0u << (32 - bits)) : 0;
		return true;
	}
	return read_dotted(s, false, mask);
}

struct ends {
	struct in_addr ip[CHAIN_ADDRS_MAX], mask;
	int n;
};

static int read_address(struct reading *r, const struct reading_end *from, struct ends *e)
{
	const char *word = from->address, *slash = word ? strchr(word, '/') : NULL;
	char host[256];

	e->n = 1;
	e->ip[0].s_addr = e->mask.s_addr = 0;
	if (!word)
		return 0;
	e->mask.s_addr = ~0u;
	if (slash && !read_mask(slash + 1, &e->mask))
		return rules_fail(r->err, EINVAL,
				  "%.64s: not a mask: expected 0 to 32 or "
				  "255.255.255.0",
				  slash + 1);
	if (!e->mask.s_addr) /* the host does not matter, as in any/0 */
		return 0;
	if ((slash ? (size_t)(slash - word) : strlen(word)) >= sizeof(host))
		return rules_fail(r->err, EINVAL, "%.32s...: host name too long", word);
	snprintf(host, sizeof(host), "%.*s", slash ? (int)(slash - word) : 255, word);
	if (read_dotted(host, slash != NULL, &e->ip[0]))
		return 0;
	e->n = *host && r->names ? r->names->host(host, e->ip, CHAIN_ADDRS_MAX) : 0;
	if (e->n <= 0)
		return rules_fail(r->err, EINVAL, "%.64s: host or network not found", host);
	return 0;
}

/* ---- ports ---- */

static bool read_service(const char *word, size_t len, uint16_t proto, uint16_t *port)
{
	struct servent *entry;
	char name[64];
	uint32_t v;

	if (len >= sizeof(name))
		return false;
	memcpy(name, word, len);
	name[len] = 0;
	if (parse_number(name, CHAIN_PORTS_LAST, &v)) {
		*port = v;
		return true;
	}
	if (isdigit((unsigned char)*name) || (proto != IPPROTO_TCP && proto != IPPROTO_UDP))
		return false;
	entry = getservbyname(name, proto == IPPROTO_TCP ? "tcp" : "udp");
	if (entry)
		*port = ntohs((uint16_t)entry->s_port);
	return entry != NULL;
}

/* The name of a type; it may include a code. */
static bool read_icmp(struct reading *r, const char *word)
{
	unsigned int i;

	for (i = 0; i < chain_icmps; i++) {
		if (strcasecmp(word, chain_icmp[i].name))
			continue;
		r->spec.sport[0] = r->spec.sport[1] = chain_icmp[i].type;
		if (chain_icmp[i].code >= 0)
			r->spec.dport[0] = r->spec.dport[1] = chain_icmp[i].code;
		return true;
	}
	return false;
}

static int read_range(struct reading *r, const struct reading_end *from, bool source)
{
	uint16_t *range = source ? r->spec.sport : r->spec.dport;
	enum chain_inverse not = source ? CHAIN_NOT_SPORT : CHAIN_NOT_DPORT;
	const char *word = from->port, *colon;
	uint16_t proto = r->spec.proto;

	if (!word)
		return 0;
	if (from->port_not)
		r->spec.inverse |= not ;
	if (proto == IPPROTO_ICMP && source && read_icmp(r, word)) {
		/* no rule can express "not this type and code" */
		if (from->port_not && r->spec.dport[1] != CHAIN_PORTS_LAST)
			return rules_fail(r->err, EINVAL, "%s: with a code in it, and !", word);
		if (r->dst.port && r->spec.dport[1] != CHAIN_PORTS_LAST)
			return rules_fail(r->err, EINVAL, "%s: has a code in it", word);
		return 0;
	}
	colon = strchr(word, ':');
	if (!*word)
		goto bad;
	if (!colon) {
		if (!read_service(word, strlen(word), proto, &range[0]))
			goto bad;
		range[1] = range[0];
		return 0;
	}
	range[0] = 0;
	range[1] = CHAIN_PORTS_LAST;
	if ((colon != word && !read_service(word, colon - word, proto, &range[0])) ||
	    (colon[1] && !read_service(colon + 1, strlen(colon + 1), proto, &range[1])))
		goto bad;
	if (range[0] > range[1])
		return rules_fail(r->err, EINVAL, "%s: the first is above the last", word);
	return 0;
bad:
	return rules_fail(r->err, EINVAL, "%.64s: not %s", word,
			  proto != IPPROTO_ICMP ? "a port"
			  : source		? "a type of ICMP; -h icmp lists them"
						: "a code of ICMP");
}

/* ---- rules ---- */

static void turn_around(struct chain_spec *s)
{
	struct chain_spec was = *s;
	uint16_t ends = CHAIN_NOT_SRC | CHAIN_NOT_DST | CHAIN_NOT_SPORT | CHAIN_NOT_DPORT;

	s->src = was.dst;
	s->src_mask = was.dst_mask;
	s->dst = was.src;
	s->dst_mask = was.src_mask;
	memcpy(s->sport, was.dport, sizeof(s->sport));
	memcpy(s->dport, was.sport, sizeof(s->dport));
	s->inverse &= ~ends;
	if (was.inverse & CHAIN_NOT_SRC)
		s->inverse |= CHAIN_NOT_DST;
	if (was.inverse & CHAIN_NOT_DST)
		s->inverse |= CHAIN_NOT_SRC;
	if (was.inverse & CHAIN_NOT_SPORT)
		s->inverse |= CHAIN_NOT_DPORT;
	if (was.inverse & CHAIN_NOT_DPORT)
		s->inverse |= CHAIN_NOT_SPORT;
}

static int check_names(struct reading *r, const struct ends *src, const struct ends *dst)
{
	if (src->n == 1 && dst->n == 1)
		return 0;
	if (r->src.address_not || r->dst.address_not)
		return rules_fail(r->err, EINVAL,
				  "!: not with a name that has several addresses, %s",
				  src->n > 1 ? r->src.address : r->dst.address);
	if (r->both)
		return rules_fail(r->err, EINVAL,
				  "-b: not with a name that has several addresses, %s",
				  src->n > 1 ? r->src.address : r->dst.address);
	if (r->c->op == 'R' || r->c->op == 'C')
		return rules_fail(r->err, EINVAL,
				  "-%c: not with a name that has several addresses, %s", r->c->op,
				  src->n > 1 ? r->src.address : r->dst.address);
	return 0;
}

/* The HOWTO's text lost the address in "-s -j DIVERT 4321": accept that. */
static int check_missing(struct reading *r)
{
	if ((!r->src.had || r->src.address) && (!r->dst.had || r->dst.address))
		return 0;
	if (strcmp(r->spec.target, "DIVERT") || r->src.address_not || r->dst.address_not)
		return rules_fail(r->err, EINVAL, "%s: address missing",
				  r->src.had && !r->src.address ? "-s" : "-d");
	r->c->no_address = true;
	return 0;
}

static int check_one(struct reading *r)
{
	const struct chain_spec *s = &r->spec;

	if (r->c->op != 'C')
		return 0;
	if (!s->proto)
		return rules_fail(r->err, EINVAL, "-C: a packet has one protocol, not all");
	if (s->src_mask.s_addr != ~0u || s->dst_mask.s_addr != ~0u)
		return rules_fail(r->err, EINVAL, "-C: a packet has one address at each end");
	if ((s->proto == IPPROTO_TCP || s->proto == IPPROTO_UDP || s->proto == IPPROTO_ICMP) &&
	    !(s->flags & CHAIN_FRAG) && (s->sport[0] != s->sport[1] || s->dport[0] != s->dport[1]))
		return rules_fail(r->err, EINVAL, "-C: a packet has one port at each end");
	return 0;
}

static int make_specs(struct reading *r, const struct ends *src, const struct ends *dst)
{
	struct chain_command *c = r->c;
	int i, k;

	c->spec = calloc((size_t)src->n * dst->n * (1 + r->both), sizeof(*c->spec));
	if (!c->spec)
		return rules_fail(r->err, ENOMEM, "out of memory");
	r->spec.src_mask = src->mask;
	r->spec.dst_mask = dst->mask;
	for (i = 0; i < src->n; i++)
		for (k = 0; k < dst->n; k++) {
			r->spec.src.s_addr = src->ip[i].s_addr & src->mask.s_addr;
			r->spec.dst.s_addr = dst->ip[k].s_addr & dst->mask.s_addr;
			c->spec[c->n++] = r->spec;
		}
	if (r->both) {
		c->spec[c->n] = r->spec;
		turn_around(&c->spec[c->n++]);
	}
	return check_one(r);
}

int reading_finish(struct reading *r)
{
	struct ends src, dst;

	if (r->src.address_not)
		r->spec.inverse |= CHAIN_NOT_SRC;
	if (r->dst.address_not)
		r->spec.inverse |= CHAIN_NOT_DST;
	if (check_missing(r) || read_range(r, &r->src, true) || read_range(r, &r->dst, false) ||
	    read_address(r, &r->src, &src) || read_address(r, &r->dst, &dst) ||
	    check_names(r, &src, &dst))
		return -1;
	return make_specs(r, &src, &dst);
}
