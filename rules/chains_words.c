/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line of ipchains(8): flags, in any order, "!" before a flag or its argument. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chains.h"
#include "chains_read.h"
#include "parse.h"

/* What may follow a flag. */
enum follows {
	NOTHING,
	WORD,
	MAYBE, /* a word, unless a flag follows */
};

struct flag {
	char flag;
	const char *name; /* the long form */
	enum follows follows;
	bool command;
	bool inverts; /* may have "!" */
	int (*read)(struct reading *r, const char *word);
	const char *absent; /* what ipdivert has not, and what has it */
};

/* ---- what a word is ---- */

static bool is_flag(const char *word)
{
	return word && *word == '-' && word[1];
}

/* The next word, if it is neither a flag nor the "!" of one. NULL: it is. */
static const char *argument(struct reading *r)
{
	const char *word = r->at < r->n ? r->word[r->at] : NULL;

	if (!word || is_flag(word))
		return NULL;
	if (!strcmp(word, "!")) {
		if (r->at + 1 >= r->n || is_flag(r->word[r->at + 1]))
			return NULL;
		return word;
	}
	r->at++;
	return word;
}

/* The argument behind an argument: "80", "! 80". NULL: there is none. */
static const char *second(struct reading *r, bool *inverse)
{
	const char *word = argument(r);

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
		next = argument(r);
		if (!next)
			return rules_fail(r->err, EINVAL, "-P: policy missing");
		if (strlen(next) > CHAIN_NAME_MAX)
			return rules_fail(r->err, EINVAL, "%.32s: not a policy", next);
		strcpy(r->c->policy, next);
	}
	if (r->c->op != 'D' && r->c->op != 'I' && r->c->op != 'R')
		return 0;
	next = r->at < r->n && !is_flag(r->word[r->at]) && strcmp(r->word[r->at], "!")
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
	port = argument(r);
	if (!port && !strcmp(word, "REDIRECT"))
		return 0; /* which is refused later, by name */
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
	const char * xor = argument(r);
	char *end1, *end2;
	unsigned long a, x;

	if (!xor)
		return rules_fail(r->err, EINVAL, "-t: expected two hexadecimal bytes");
	a = strtoul(word, &end1, 16);
	x = strtoul(xor, &end2, 16);
	if (*end1 || *end2 || a > 0xff || x > 0xff)
		return rules_fail(r->err, EINVAL, "-t %s %s: expected two hexadecimal bytes", word,
				  xor);
	if (a == 0xff && !x)
		return 0; /* changes nothing */
	return rules_fail(r->err, EOPNOTSUPP,
			  "-t: ipdivert does not change a packet's TOS: use nftables' ip dscp set");
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

#define NO_MARK	   "ipdivert does not mark packets: use nftables' meta mark set"
#define NO_NETLINK "ipdivert copies packets to divert sockets only: use ipfw tee"
#define NO_MASQ	   "ipdivert does not masquerade: use nftables' masquerade"

static const struct flag flags[] = {
	{'A', "append", WORD, true, false, read_chain, NULL},
	{'D', "delete", WORD, true, false, read_chain, NULL},
	{'R', "replace", WORD, true, false, read_chain, NULL},
	{'I', "insert", WORD, true, false, read_chain, NULL},
	{'C', "check", WORD, true, false, read_chain, NULL},
	{'L', "list", MAYBE, true, false, read_chain, NULL},
	{'F', "flush", MAYBE, true, false, read_chain, NULL},
	{'Z', "zero", MAYBE, true, false, read_chain, NULL},
	{'N', "new-chain", WORD, true, false, read_chain, NULL},
	{'N', "new", WORD, true, false, read_chain, NULL},
	{'X', "delete-chain", MAYBE, true, false, read_chain, NULL},
	{'P', "policy", WORD, true, false, read_chain, NULL},
	{'h', "help", MAYBE, true, false, read_help, NULL},
	{'V', "version", NOTHING, true, false, NULL, NULL},
	{'M', "masquerading", NOTHING, true, false, NULL, NO_MASQ},
	{'S', "set", NOTHING, true, false, NULL, NO_MASQ},
	{'p', "protocol", WORD, false, true, read_protocol, NULL},
	{'p', "proto", WORD, false, true, read_protocol, NULL},
	{'s', "source", MAYBE, false, true, read_source, NULL},
	{'s', "src", MAYBE, false, true, read_source, NULL},
	{'d', "destination", MAYBE, false, true, read_destination, NULL},
	{'d', "dst", MAYBE, false, true, read_destination, NULL},
	{0, "source-port", WORD, false, true, read_sport, NULL},
	{0, "sport", WORD, false, true, read_sport, NULL},
	{0, "destination-port", WORD, false, true, read_dport, NULL},
	{0, "dport", WORD, false, true, read_dport, NULL},
	{0, "icmp-type", WORD, false, true, read_sport, NULL},
	{'i', "interface", WORD, false, true, read_iface, NULL},
	{'j', "jump", WORD, false, false, read_target, NULL},
	{'j', "target", WORD, false, false, read_target, NULL},
	{'m', "mark", NOTHING, false, false, NULL, NO_MARK},
	{'o', "output", NOTHING, false, false, NULL, NO_NETLINK},
	{'t', "TOS", WORD, false, false, read_tos, NULL},
	{'f', "fragment", NOTHING, false, true, read_flag, NULL},
	{'y', "syn", NOTHING, false, true, read_flag, NULL},
	{'l', "log", NOTHING, false, false, read_flag, NULL},
	{'b', "bidirectional", NOTHING, false, false, read_flag, NULL},
	{'n', "numeric", NOTHING, false, false, read_flag, NULL},
	{'v', "verbose", NOTHING, false, false, read_flag, NULL},
	{'x', "exact", NOTHING, false, false, read_flag, NULL},
	{'1', "line-numbers", NOTHING, false, false, read_flag, NULL},
	{0, "no-warnings", NOTHING, false, false, NULL, NULL},
};

#define FLAGS (sizeof(flags) / sizeof(*flags))

static const struct flag *find_short(char c)
{
	unsigned int i;

	for (i = 0; c && c != '1' && i < FLAGS; i++)
		if (flags[i].flag == c)
			return &flags[i];
	return NULL;
}

/* As getopt_long(3): the beginning of a name does if it is nobody else's. */
static const struct flag *find_long(const char *name, size_t len, struct rules_error *err)
{
	const struct flag *found = NULL;
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

static int take_command(struct reading *r, char flag)
{
	char *op = &r->c->op;

	if ((*op == 'L' && flag == 'Z') || (*op == 'Z' && flag == 'L')) {
		*op = 'L';
		r->c->zero = true;
		return 0;
	}
	if (*op)
		return rules_fail(r->err, EINVAL, "-%c and -%c: only one command at a time", *op,
				  flag);
	*op = flag;
	return 0;
}

/* rest: what stands in the same word behind the flag, its argument if it takes one; or NULL. */
static int take_flag(struct reading *r, const struct flag *f, const char *rest)
{
	const char *word = rest;

	if (f->absent)
		return rules_fail(r->err, EOPNOTSUPP, "-%c: %s", f->flag, f->absent);
	if (f->command && take_command(r, f->flag))
		return -1;
	if (f->follows != NOTHING && !word) {
		word = argument(r);
		if (word && !strcmp(word, "!")) {
			if (r->inverse)
				return rules_fail(r->err, EINVAL, "!: given twice");
			if (f->inverts) {
				r->inverse = true;
				word = r->word[r->at + 1];
				r->at += 2;
			} else {
				word = NULL;
			}
		}
	}
	if (r->inverse && !f->inverts)
		return rules_fail(r->err, EINVAL, "!: not with --%s", f->name);
	if (f->follows == WORD && !word)
		return rules_fail(r->err, EINVAL, "--%s: argument missing", f->name);
	r->flag = f->flag;
	return f->read ? f->read(r, word) : 0;
}

static int take_long(struct reading *r, const char *word)
{
	const char *equals = strchr(word, '=');
	size_t len = equals ? (size_t)(equals - word) : strlen(word);
	const struct flag *f = find_long(word, len, r->err);

	if (!f)
		return -1;
	if (equals && f->follows == NOTHING)
		return rules_fail(r->err, EINVAL, "--%s: takes no argument", f->name);
	return take_flag(r, f, equals ? equals + 1 : NULL);
}

static int take_short(struct reading *r, const char *word)
{
	const struct flag *f;

	for (; *word; word++) {
		f = find_short(*word);
		if (!f)
			return rules_fail(r->err, EINVAL, "-%c: unknown flag", *word);
		if (f->follows != NOTHING && word[1])
			return take_flag(r, f, word + 1);
		if (take_flag(r, f, NULL))
			return -1;
		r->inverse = false;
	}
	return 0;
}

static int take_words(struct reading *r)
{
	const char *word;

	while (r->at < r->n) {
		word = r->word[r->at++];
		if (!strcmp(word, "!")) {
			if (r->inverse)
				return rules_fail(r->err, EINVAL, "!: given twice");
			r->inverse = true;
			continue;
		}
		if (!is_flag(word))
			return rules_fail(r->err, EINVAL, "%.64s: unknown argument", word);
		if (!strncmp(word, "--", 2) ? take_long(r, word + 2) : take_short(r, word + 1))
			return -1;
		r->inverse = false;
	}
	if (r->inverse)
		return rules_fail(r->err, EINVAL, "!: nothing follows it");
	return 0;
}

/* ---- the whole ---- */

static bool takes_rule(char op)
{
	return op == 'A' || op == 'R' || op == 'I' || op == 'C' || op == 'D';
}

static int check(struct reading *r)
{
	struct chain_command *c = r->c;

	if (!c->op)
		return rules_fail(r->err, EINVAL,
				  "a command is missing: one of "
				  "-A -D -R -I -L -F -Z -N -X -P -C");
	c->has_spec = r->had_proto || r->src.had || r->dst.had || r->src.had_port ||
		      r->dst.had_port || r->had_iface || r->had_target || r->spec.flags || r->both;
	if (c->has_spec && !takes_rule(c->op))
		return rules_fail(r->err, EINVAL, "-%c: takes no rule", c->op);
	if (c->op == 'D' && c->has_number && c->has_spec)
		return rules_fail(r->err, EINVAL, "-D: a number or a rule, not both");
	if (c->op == 'C' && (!r->had_proto || !r->src.address || !r->dst.address || !r->had_iface))
		return rules_fail(r->err, EINVAL, "-C: needs -p, -s, -d and -i");
	if (c->op == 'C' && (r->spec.inverse || r->src.address_not || r->dst.address_not ||
			     r->src.port_not || r->dst.port_not || r->spec.flags & CHAIN_WILD))
		return rules_fail(r->err, EINVAL, "-C: no ! and no +: it is about one packet");
	if (r->both && c->op != 'A' && c->op != 'D' && c->op != 'I' && c->op != 'C')
		return rules_fail(r->err, EINVAL, "-b: only with -A, -I, -D and -C");
	return 0;
}

int chain_command_read(struct chain_command *c, unsigned int n, const char *const *word,
		       const struct chain_names *names, struct rules_error *err)
{
	struct reading r = {.c = c, .word = word, .n = n, .names = names, .err = err};
	int rc;

	memset(c, 0, sizeof(*c));
	r.spec.sport[1] = r.spec.dport[1] = CHAIN_PORTS_LAST;
	if (take_words(&r) || check(&r))
		rc = -1;
	else
		rc = takes_rule(c->op) && !(c->op == 'D' && c->has_number) ? reading_finish(&r) : 0;
	if (rc)
		chain_command_free(c);
	return rc;
}

void chain_command_free(struct chain_command *c)
{
	free(c->spec);
	c->spec = NULL;
	c->n = 0;
}
