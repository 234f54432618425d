/* SPDX-License-Identifier: BSD-2-Clause */
/* Parses one line of ipfw(8): "[-flags] command arguments". */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "ipfw.h"

static const struct name {
	const char *name;
	enum command_op op;
	bool writes;
	const char *usage; /* NULL: a synonym */
} names[] = {
	{"add", CMD_ADD, true, "add [number] [set N] [prob P] action [log] body"},
	{"delete", CMD_DELETE, true, "[set N] delete number ... | delete set N"},
	{"list", CMD_LIST, false, "[set N] list [number ...]"},
	{"print", CMD_LIST, false, NULL},
	{"show", CMD_SHOW, false, "[set N] show [number ...]"},
	{"zero", CMD_ZERO, true, "[set N] zero [number ...]"},
	{"resetlog", CMD_RESETLOG, true, "[set N] resetlog [number ...]"},
	{"flush", CMD_FLUSH, true, "[set N] flush"},
	{"enable", CMD_ENABLE, true, "enable | disable firewall"},
	{"disable", CMD_DISABLE, true, NULL},
	{"set", CMD_SET, true, "set show | disable N ... enable N ... | swap N N |"},
	{"set", CMD_SET, true, "set move [rule] N to N"},
	{"table", CMD_TABLE, true,
	 "table NAME create [type addr|number|iface|flow] [limit N] ... | modify limit N |"},
	{"table", CMD_TABLE, true, "table NAME swap NAME | lock | unlock |"},
	{"table", CMD_TABLE, true,
	 "table NAME [atomic] add KEY [value] ... | delete KEY ... | lookup KEY |"},
	{"table", CMD_TABLE, true, "table NAME | all list | info | detail | flush | destroy"},
	{"log", CMD_LOG, false, "log [-f]"},
};

#define N_NAMES (sizeof(names) / sizeof(*names))

#define NFT_NAT	 "use nftables' nat, or divert to a natd"
#define TC_SHAPE "use tc(8) to shape traffic"
#define PIPES	 " flush delete list show print "

/*
 * Commands of FreeBSD's ipfw(8) that ipdivert does not have. nothing: the requests that succeed
 * without effect. ("nat flush" is not among them: in FreeBSD it deletes all rules.)
 */
static const struct absent {
	const char *name, *instead, *nothing;
} absent[] = {
	{"nat", NFT_NAT, " delete show "},
	{"nat64lsn", NFT_NAT, ""},
	{"nat64stl", NFT_NAT, ""},
	{"nat64clat", NFT_NAT, ""},
	{"nptv6", NFT_NAT, ""},
	{"pipe", TC_SHAPE, PIPES},
	{"queue", TC_SHAPE, PIPES},
	{"flowset", TC_SHAPE, PIPES},
	{"sched", TC_SHAPE, PIPES},
	{"internal", "'divertctl status' shows what is inside", ""},
	{"savestate", "there is no state", ""},
	/* switches that are in the requested state anyway: parse_switch() */
	{"enable", "", " verbose skipto_cache "},
	{"disable", "", " altq one_pass debug dyn_keepalive "},
};

#define N_ABSENT (sizeof(absent) / sizeof(*absent))

void print_commands(FILE *f)
{
	unsigned int i;

	for (i = 0; i < N_NAMES; i++)
		if (names[i].usage)
			fprintf(f, "       ipfw [-flags] %s\n", names[i].usage);
}

void script_init(struct script *s, const char *file)
{
	memset(s, 0, sizeof(*s));
	s->tail = &s->first;
	s->file = file;
}

static void command_free(struct command *c)
{
	rule_free(c->rule);
	free(c->span);
	free(c->copy);
	free(c->word);
	free(c);
}

void script_free(struct script *s)
{
	struct command *c, *next;

	for (c = s->first; c; c = next) {
		next = c->next;
		command_free(c);
	}
	refused_free(s);
	script_init(s, NULL);
}

static const struct name *find_name(const char *word, struct rules_error *err)
{
	const struct name *found = NULL;
	unsigned int i, n = 0;

	for (i = 0; i < N_NAMES; i++) {
		if (!strcmp(word, names[i].name))
			return &names[i];
		if (!strncmp(word, names[i].name, strlen(word)) &&
		    (!found || strcmp(found->name, names[i].name))) {
			found = &names[i];
			n++;
		}
	}
	if (n == 1)
		return found;
	for (i = 0; i < N_ABSENT; i++)
		if (!strcmp(word, absent[i].name)) {
			rules_fail(err, EX_DATAERR, "%s: ipdivert does not have it: %s", word,
				   absent[i].instead);
			return NULL;
		}
	rules_fail(err, EX_USAGE,
		   "%s: unknown command; expected add, delete, list, show, zero, resetlog, flush, "
		   "set, "
		   "table, enable, disable or log",
		   word);
	return NULL;
}

/* Parse a flag that a line of a file may have. false: another flag. */
static bool take_flag(char flag, struct options *o)
{
	switch (flag) {
	case 'q':
		o->quiet = o->force = true;
		break;
	case 'f':
		o->force = true;
		break;
	case 'a':
		o->counters = true;
		break;
	case 'b':
		o->print |= RULE_PRINT_BRIEF | RULE_PRINT_COMPACT;
		break;
	case 'c':
		o->print |= RULE_PRINT_COMPACT;
		break;
	case 'i':
		o->addrs = true;
		break;
	case 'N':
		o->print |= RULE_PRINT_NAMES;
		break;
	case 'S':
		o->sets = true;
		break;
	case 't':
		o->date = true;
		break;
	case 'T':
		o->seconds = true;
		break;
	case 'd':
		o->states = true;
		break;
	case 'D':
		o->states = o->states_only = true;
		break;
	case 'e':
		o->expired = true;
		break;
	case 'v':
		break;
	default:
		return false;
	}
	return true;
}

int read_flags(const char *word, struct options *o, struct rules_error *err)
{
	for (; *word; word++)
		if (!take_flag(*word, o))
			return rules_fail(err, EX_USAGE, "-%c: unknown flag; --help lists them",
					  *word);
	return 0;
}

static bool parse_rule_number(const char *s, char **end, uint32_t *v)
{
	unsigned long n;

	if (!isdigit((unsigned char)*s))
		return false;
	n = strtoul(s, end, 10);
	*v = n;
	return n > 0 && n <= RULES_DEFAULT;
}

/* "100", or "100-200" */
static int parse_span(struct command *c, const char *word, struct rules_error *err)
{
	struct span *span = reallocarray(c->span, c->n + 1, sizeof(*span));
	char *end;

	if (!span)
		return rules_fail(err, EX_OSERR, "out of memory");
	c->span = span;
	span += c->n;
	if (!parse_rule_number(word, &end, &span->first))
		goto bad;
	span->last = span->first;
	if (*end == '-' && !parse_rule_number(end + 1, &end, &span->last))
		goto bad;
	if (*end || span->last < span->first)
		goto bad;
	c->n++;
	return 0;
bad:
	return rules_fail(err, EX_DATAERR, "%s: not a rule number: expected 1 to 65535, or a range",
			  word);
}

static int parse_spans(struct command *c, char *line, struct rules_error *err)
{
	char *word = next_word(&line);
	uint32_t set;
	char *end;

	/* "delete set 5"; FreeBSD also accepts this for the other commands */
	if (word && !strcmp(word, "set")) {
		word = next_word(&line);
		set = word ? strtoul(word, &end, 10) : 0;
		if (!word || !isdigit((unsigned char)*word) || *end || set >= RULES_SETS)
			return rules_fail(err, EX_DATAERR, "%s: not a set: expected 0 to 31",
					  word ? word : "set");
		c->set = set;
		word = next_word(&line);
	}
	for (; word; word = next_word(&line)) {
		if (c->op == CMD_FLUSH)
			return rules_fail(err, EX_USAGE, "%s: flush takes no argument", word);
		if (parse_span(c, word, err))
			return -1;
	}
	if (c->op == CMD_DELETE && !c->n && c->set == NO_SET)
		return rules_fail(err, EX_USAGE, "missing rule number after delete");
	return 0;
}

/* Keep the words for commands that parse them later. */
static int keep_words(struct command *c, const char *line, struct rules_error *err)
{
	char *rest, *word;
	unsigned int n = 0;

	c->copy = rest = strdup(line);
	c->word = calloc(strlen(line) / 2 + 2, sizeof(*c->word));
	if (!c->copy || !c->word)
		return rules_fail(err, EX_OSERR, "out of memory");
	while ((word = next_word(&rest)))
		c->word[n++] = word;
	return 0;
}

static int parse_switch(struct command *c, char *line, struct rules_error *err)
{
	static const struct {
		const char *name, *why;
	} switches[] = {
		{"altq", "use tc(8) to shape traffic"},
		{"one_pass", "there are no pipes, and a packet that is written back goes on"},
		{"debug", "'divertctl status' and 'divertctl stat' tell what there is to tell"},
		{"verbose", "rules with log always log; see 'ipfw log'"},
		{"dyn_keepalive", "no keepalives are sent; see dyn_ack_lifetime in divertctl(8)"},
		{"skipto_cache", "skipto is never slow"},
	};
	char *word = next_word(&line);
	unsigned int i;

	for (i = 0; word && i < sizeof(switches) / sizeof(*switches); i++)
		if (!strcmp(word, switches[i].name))
			return rules_fail(err, EX_DATAERR, "%s: ipdivert does not have it: %s",
					  word, switches[i].why);
	if (!word || strcmp(word, "firewall"))
		return rules_fail(err, EX_USAGE, "%s: only firewall can be enabled and disabled",
				  word ? word : "missing word");
	word = next_word(&line);
	return word ? rules_fail(err, EX_USAGE, "%s: not expected here", word) : 0;
}

static int parse_arguments(struct command *c, char *line, struct rules_error *err)
{
	switch (c->op) {
	case CMD_ADD:
		return rule_parse(line, &c->rule, err);
	case CMD_SET:
		return parse_set(c, line, err);
	case CMD_ENABLE:
	case CMD_DISABLE:
		return parse_switch(c, line, err);
	case CMD_LOG:
		return keep_words(c, line, err);
	case CMD_TABLE:
		return keep_words(c, line, err) || read_table(c, err) ? -1 : 0;
	default:
		return parse_spans(c, line, err);
	}
}

/* "set 5 list": the command applies to this set only. */
static char *take_set(char *word, char **line, int *set)
{
	char *was = *line, *number;
	unsigned long v;
	char *end;

	if (strcmp(word, "set"))
		return word;
	while (isspace((unsigned char)*was))
		was++;
	if (!isdigit((unsigned char)*was))
		return word;
	v = strtoul(was, &end, 10);
	if ((*end && !isspace((unsigned char)*end)) || v >= RULES_SETS)
		return word;
	number = next_word(line);
	*set = number ? (int)v : NO_SET;
	return next_word(line);
}

static bool is_number(const char *word)
{
	return *word && strspn(word, "0123456789") == strlen(word);
}

/* Has the command no effect: "pipe flush", "queue 5 delete", "disable one_pass"? */
static bool is_nothing(const char *word, const char *line)
{
	char verb[16] = " ";
	unsigned int i;
	size_t len;

	for (i = 0; i < N_ABSENT && strcmp(word, absent[i].name); i++)
		;
	if (i == N_ABSENT)
		return false;
	line += strspn(line, " \t0123456789");
	len = strcspn(line, " \t\r\n#");
	if (!len || len + 3 > sizeof(verb))
		return false;
	memcpy(verb + 1, line, len);
	strcpy(verb + 1 + len, " ");
	return strstr(absent[i].nothing, verb);
}

/* Does the command load the engine if there is none? */
static bool needs_engine(const struct command *c)
{
	return c->op == CMD_ADD || c->op == CMD_ENABLE || c->op == CMD_DISABLE ||
	       (c->op == CMD_SET && c->sets.op == SET_SWITCH) ||
	       (c->op == CMD_TABLE && c->word && c->word[0] && c->word[1] &&
		(!strcmp(c->word[1], "create") || !strcmp(c->word[1], "add") ||
		 !strcmp(c->word[1], "atomic")));
}

/* Add one command, for this set or for all. */
static int add_command(struct script *s, const char *word, char *line, int set,
		       const struct command *as, struct rules_error *err)
{
	const struct name *name = find_name(word, err);
	struct command *c;

	if (!name)
		return -1;
	if (set != NO_SET && name->op >= CMD_ENABLE)
		return rules_fail(err, EX_USAGE, "%s: not for one set", name->name);
	if (set != NO_SET && name->op == CMD_ADD)
		return rules_fail(err, EX_USAGE, "set: it stands behind add and the number");
	c = malloc(sizeof(*c));
	if (!c)
		return rules_fail(err, EX_OSERR, "out of memory");
	*c = *as;
	c->op = name->op;
	c->set = set;
	if (parse_arguments(c, line, err)) {
		command_free(c);
		return -1;
	}
	*s->tail = c;
	s->tail = &c->next;
	s->adds |= needs_engine(c);
	s->writes |= name->writes;
	return 0;
}

/* "02 add ...": as in FreeBSD, the number may come first; swap it with the word. */
static char *swap_number(char **word, char *line)
{
	char *second = is_number(*word) ? next_word(&line) : NULL, *swapped;

	if (!second)
		return NULL;
	if (asprintf(&swapped, "%s%c%s %s", second, 0, *word, line) < 0)
		return NULL;
	*word = swapped;
	return swapped;
}

/* An empty line is allowed, and adds no command. */
int script_add(struct script *s, const char *line, unsigned int number, struct options options,
	       struct rules_error *err)
{
	char *copy = strdup(line), *rest = copy, *word, *swapped;
	struct command as = {.line = number};
	int rc = -1, set = NO_SET;

	if (!copy)
		return rules_fail(err, EX_OSERR, "out of memory");
	word = next_word(&rest);
	while (word && *word == '-' && !(rc = read_flags(word + 1, &options, err)))
		word = next_word(&rest);
	as.options = options;
	if (!word)
		rc = 0;
	if (!word || *word == '-')
		goto out;
	swapped = swap_number(&word, rest);
	if (swapped)
		rest = swapped + strlen(swapped) + 1;
	word = take_set(word, &rest, &set);
	if (!word)
		rc = rules_fail(err, EX_USAGE, "missing command after set");
	else if (is_nothing(word, rest))
		rc = 0;
	else
		rc = add_command(s, word, rest, set, &as, err);
	free(swapped);
out:
	free(copy);
	return rc;
}
