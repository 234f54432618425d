/* SPDX-License-Identifier: BSD-2-Clause */
/* The flags of ipchains(8), and the functions that parse their arguments. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chains_read.h"
#include "parse.h"

/* ---- words ---- */

bool reading_is_flag(const char *word)
{
	return word && *word == '-' && word[1];
}

const char *reading_argument(struct reading *r)
{
	const char *word = r->at < r->n ? r->word[r->at] : NULL;

	if (!word || reading_is_flag(word))
		return NULL;
	if (!strcmp(word, "!")) {
		if (r->at + 1 >= r->n || reading_is_flag(r->word[r->at + 1]))
			return NULL;
		return word;
	}
	r->at++;
	return word;
}

/* A second argument, as "80" or "! 80". NULL: none. */
static const char *second(struct reading *r, bool *inverse)
{
	const char *word = reading_argument(r);

	*inverse = false;
	if (word && !strcmp(word, "!")) {
		*inverse = true;
		word = r->word[r->at + 1];
		r->at += 2;
	}
	return word;
}

/* ---- commands ---- */

static int set_chain(struct reading *r, const char *name)
{
	if (strlen(name) > CHAIN_NAME_MAX)
		return rules_fail(r->err, EINVAL,
				  "%.32s: chain name too long, %d characters at most", name,
				  CHAIN_NAME_MAX);
	strcpy(r->c->chain, name);
	return 0;
}

static int read_number(struct reading *r, const char *word)
{
	uint32_t v;

	if (!word || !parse_number(word, 100000, &v) || !v)
		return rules_fail(r->err, EINVAL, "%s: not a rule's number in its chain",
				  word ? word : "(nothing)");
	r->c->number = v;
	r->c->has_number = true;
	return 0;
}

static int read_chain(struct reading *r, const char *word)
{
	const char *next;

	if (word && set_chain(r, word))
		return -1;
	if (r->c->op == 'P') {
		next = reading_argument(r);
		if (!next)
			return rules_fail(r->err, EINVAL, "-P: policy missing");
		if (strlen(next) > CHAIN_NAME_MAX)
			return rules_fail(r->err, EINVAL, "%.32s: not a policy", next);
		strcpy(r->c->policy, next);
	}
	if (r->c->op != 'D' && r->c->op != 'I' && r->c->op != 'R')
		return 0;
	next = r->at < r->n && !reading_is_flag(r->word[r->at]) && strcmp(r->word[r->at], "!")
		       ? r->word[r->at++]
		       : NULL;
	if (!next && r->c->op != 'R')
		return 0;
	return read_number(r, next);
}

static int read_help(struct reading *r, const char *word)
{
	if (word && strcmp(word, "icmp"))
		return rules_fail(r->err, EINVAL, "%s: expected icmp or nothing after -h", word);
	r->c->icmp_help = word != NULL;
	return 0;
}

/* ---- options ---- */

static int once(struct reading *r, bool *had, const char *what)
{
	if (*had)
		return rules_fail(r->err, EINVAL, "%s: given twice", what);
	*had = true;
	return 0;
}

static void note_inverse(struct reading *r, enum chain_inverse which)
{
	if (r->inverse)
		r->spec.inverse |= which;
}

static int read_protocol(struct reading *r, const char *word)
{
	if (once(r, &r->had_proto, "-p"))
		return -1;
	note_inverse(r, CHAIN_NOT_PROTO);
	return reading_protocol(r, word);
}

static int read_end(struct reading *r, struct reading_end *end, const char *word, const char *what)
{
	bool inverse;
	const char *port;

	if (once(r, &end->had, what))
		return -1;
	end->address = word;
	end->address_not = r->inverse;
	port = word ? second(r, &inverse) : NULL;
	if (!port)
		return 0;
	if (once(r, &end->had_port, "port"))
		return -1;
	end->port = port;
	end->port_not = inverse;
	return 0;
}

static int read_source(struct reading *r, const char *word)
{
	return read_end(r, &r->src, word, "-s");
}

static int read_destination(struct reading *r, const char *word)
{
	return read_end(r, &r->dst, word, "-d");
}

static int read_port(struct reading *r, struct reading_end *end, const char *word)
{
	if (once(r, &end->had_port, "port"))
		return -1;
	end->port = word;
	end->port_not = r->inverse;
	return 0;
}

static int read_sport(struct reading *r, const char *word)
{
	return read_port(r, &r->src, word);
}

static int read_dport(struct reading *r, const char *word)
{
	return read_port(r, &r->dst, word);
}

static int read_iface(struct reading *r, const char *word)
{
	struct chain_spec *s = &r->spec;
	size_t len = strlen(word);
	bool wild = len && word[len - 1] == '+';

	if (once(r, &r->had_iface, "-i"))
		return -1;
	len -= wild;
	if (len >= sizeof(s->iface))
		return rules_fail(r->err, EINVAL,
				  "%.32s: interface name too long, %zu characters "
				  "at most",
				  word, sizeof(s->iface) - 1);
	if (!len && !wild)
		return rules_fail(r->err, EINVAL, "-i: interface name missing");
	memcpy(s->iface, word, len);
	s->iface[len] = 0;
	if (wild)
		s->flags |= CHAIN_WILD;
	note_inverse(r, CHAIN_NOT_IFACE);
	return 0;
}

static int read_target(struct reading *r, const char *word)
{
	const char *port;
	uint32_t v;

	if (once(r, &r->had_target, "-j"))
		return -1;
	if (strlen(word) > CHAIN_NAME_MAX)
		return rules_fail(r->err, EINVAL,
				  "%.32s: target name too long, %d characters at "
				  "most",
				  word, CHAIN_NAME_MAX);
	strcpy(r->spec.target, word);
	if (strcmp(word, "DIVERT") && strcmp(word, "REDIRECT"))
		return 0;
	port = reading_argument(r);
	if (!port && !strcmp(word, "REDIRECT"))
		return 0; /* refused later, by name */
	if (!port)
		return rules_fail(r->err, EINVAL, "%s: port missing", word);
	if (!parse_number(port, 65535, &v) || !v)
		return rules_fail(r->err, EINVAL, "%s: not a divert port: expected 1 to 65535",
				  port);
	r->spec.port = v;
	return 0;
}

static int read_tos(struct reading *r, const char *word)
{
	const char * xor = reading_argument(r);
	char *end1, *end2;
	unsigned long a, x;

	if (once(r, &r->had_tos, "-t"))
		return -1;
	if (!xor)
		return rules_fail(r->err, EINVAL, "-t: expected two hexadecimal bytes");
	a = strtoul(word, &end1, 16);
	x = strtoul(xor, &end2, 16);
	if (*end1 || *end2 || a > 0xff || x > 0xff)
		return rules_fail(r->err, EINVAL, "-t %s %s: expected two hexadecimal bytes", word,
				  xor);
	r->spec.tos_clear = ~a;
	r->spec.tos_flip = x;
	return 0;
}

/* "5", "0x5": the mark. "+5", "-5": what is added to the one that the packet has. */
static int read_mark(struct reading *r, const char *word)
{
	bool relative = *word == '+' || *word == '-';
	const char *digits = word + relative;
	unsigned long v;
	char *end;

	if (once(r, &r->had_mark, "-m"))
		return -1;
	errno = 0;
	v = strtoul(digits, &end, 0);
	if (*digits < '0' || *digits > '9' || *end || errno || v > ~0u)
		return rules_fail(r->err, EINVAL,
				  "%.64s: not a mark: expected 0 to 4294967295, + or - before it "
				  "to add it",
				  word);
	r->spec.mark = *word == '-' ? -v : v;
	if (!relative)
		r->spec.flags |= CHAIN_MARK;
	return 0;
}

static int read_flag(struct reading *r, const char *word)
{
	switch (r->flag) {
	case 'f':
		r->spec.flags |= CHAIN_FRAG;
		note_inverse(r, CHAIN_NOT_FRAG);
		break;
	case 'y':
		r->spec.flags |= CHAIN_SYN;
		note_inverse(r, CHAIN_NOT_SYN);
		break;
	case 'l':
		r->spec.flags |= CHAIN_LOG;
		break;
	case 'b':
		r->both = true;
		break;
	case 'n':
		r->c->numeric = true;
		break;
	case 'v':
		r->c->verbose = true;
		break;
	case 'x':
		r->c->exact = true;
		break;
	case '1':
		r->c->lines = true;
		break;
	}
	return 0;
}

#define NO_NETLINK "ipdivert copies packets to divert sockets only: use ipfw tee"
#define NO_MASQ	   "ipdivert does not masquerade: use nftables' masquerade"

static const struct reading_flag flags[] = {
	{'A', "append", FOLLOWS_WORD, true, false, read_chain, NULL},
	{'D', "delete", FOLLOWS_WORD, true, false, read_chain, NULL},
	{'R', "replace", FOLLOWS_WORD, true, false, read_chain, NULL},
	{'I', "insert", FOLLOWS_WORD, true, false, read_chain, NULL},
	{'C', "check", FOLLOWS_WORD, true, false, read_chain, NULL},
	{'L', "list", FOLLOWS_MAYBE, true, false, read_chain, NULL},
	{'F', "flush", FOLLOWS_MAYBE, true, false, read_chain, NULL},
	{'Z', "zero", FOLLOWS_MAYBE, true, false, read_chain, NULL},
	{'N', "new-chain", FOLLOWS_WORD, true, false, read_chain, NULL},
	{'N', "new", FOLLOWS_WORD, true, false, read_chain, NULL},
	{'X', "delete-chain", FOLLOWS_MAYBE, true, false, read_chain, NULL},
	{'P', "policy", FOLLOWS_WORD, true, false, read_chain, NULL},
	{'h', "help", FOLLOWS_MAYBE, true, false, read_help, NULL},
	{'V', "version", FOLLOWS_NOTHING, true, false, NULL, NULL},
	{'M', "masquerading", FOLLOWS_NOTHING, true, false, NULL, NO_MASQ},
	{'S', "set", FOLLOWS_NOTHING, true, false, NULL, NO_MASQ},
	{'p', "protocol", FOLLOWS_WORD, false, true, read_protocol, NULL},
	{'p', "proto", FOLLOWS_WORD, false, true, read_protocol, NULL},
	{'s', "source", FOLLOWS_MAYBE, false, true, read_source, NULL},
	{'s', "src", FOLLOWS_MAYBE, false, true, read_source, NULL},
	{'d', "destination", FOLLOWS_MAYBE, false, true, read_destination, NULL},
	{'d', "dst", FOLLOWS_MAYBE, false, true, read_destination, NULL},
	{0, "source-port", FOLLOWS_WORD, false, true, read_sport, NULL},
	{0, "sport", FOLLOWS_WORD, false, true, read_sport, NULL},
	{0, "destination-port", FOLLOWS_WORD, false, true, read_dport, NULL},
	{0, "dport", FOLLOWS_WORD, false, true, read_dport, NULL},
	{0, "icmp-type", FOLLOWS_WORD, false, true, read_sport, NULL},
	{'i', "interface", FOLLOWS_WORD, false, true, read_iface, NULL},
	{'j', "jump", FOLLOWS_WORD, false, false, read_target, NULL},
	{'j', "target", FOLLOWS_WORD, false, false, read_target, NULL},
	{'m', "mark", FOLLOWS_SIGNED, false, false, read_mark, NULL},
	{'o', "output", FOLLOWS_NOTHING, false, false, NULL, NO_NETLINK},
	{'t', "TOS", FOLLOWS_WORD, false, false, read_tos, NULL},
	{'f', "fragment", FOLLOWS_NOTHING, false, true, read_flag, NULL},
	{'y', "syn", FOLLOWS_NOTHING, false, true, read_flag, NULL},
	{'l', "log", FOLLOWS_NOTHING, false, false, read_flag, NULL},
	{'b', "bidirectional", FOLLOWS_NOTHING, false, false, read_flag, NULL},
	{'n', "numeric", FOLLOWS_NOTHING, false, false, read_flag, NULL},
	{'v', "verbose", FOLLOWS_NOTHING, false, false, read_flag, NULL},
	{'x', "exact", FOLLOWS_NOTHING, false, false, read_flag, NULL},
	{'1', "line-numbers", FOLLOWS_NOTHING, false, false, read_flag, NULL},
	{0, "no-warnings", FOLLOWS_NOTHING, false, false, NULL, NULL},
};

#define FLAGS (sizeof(flags) / sizeof(*flags))

const struct reading_flag *reading_flag_short(char c)
{
	unsigned int i;

	for (i = 0; c && c != '1' && i < FLAGS; i++)
		if (flags[i].flag == c)
			return &flags[i];
	return NULL;
}

/* As getopt_long(3): an unambiguous prefix of a name is accepted. */
const struct reading_flag *reading_flag_long(const char *name, size_t len, struct rules_error *err)
{
	const struct reading_flag *found = NULL;
	unsigned int i;

	for (i = 0; i < FLAGS; i++) {
		if (strncmp(flags[i].name, name, len))
			continue;
		if (!flags[i].name[len])
			return &flags[i];
		if (found && (found->flag != flags[i].flag || found->read != flags[i].read)) {
			rules_fail(err, EINVAL, "--%.*s: could be --%s and --%s", (int)len, name,
				   found->name, flags[i].name);
			return NULL;
		}
		found = &flags[i];
	}
	if (!found)
		rules_fail(err, EINVAL, "--%.*s: unknown flag", (int)len, name);
	return found;
}
