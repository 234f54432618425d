/* SPDX-License-Identifier: BSD-2-Clause */
/* Chains in the format of ipchains-save(8): ":input ACCEPT", and the command line of each rule. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chains.h"
#include "parse.h"

#define WORDS_MAX 64 /* in a line; a rule has no more than 30 */

char *chain_head_text(const struct chain *chain)
{
	char *text;

	if (asprintf(&text, ":%s %s", chain->name, *chain->policy ? chain->policy : "-") < 0)
		return NULL;
	return text;
}

static const char *no(const struct chain_spec *s, enum chain_inverse inverse)
{
	return s->inverse & inverse ? "! " : "";
}

static void put_end(FILE *f, const char *flag, const char *not_address, struct in_addr ip,
		    struct in_addr mask, const char *not_port, const uint16_t range[2])
{
	char text[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &ip, text, sizeof(text));
	fprintf(f, " %s %s%s", flag, not_address, text);
	inet_ntop(AF_INET, &mask, text, sizeof(text));
	fprintf(f, "/%s", text);
	if (range[0] || range[1] != CHAIN_PORTS_LAST)
		fprintf(f, " %s%u:%u", not_port, range[0], range[1]);
}

char *chain_rule_text(const struct chain *chain, const struct chain_spec *s)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	fprintf(f, "-A %s", chain->name);
	put_end(f, "-s", no(s, CHAIN_NOT_SRC), s->src, s->src_mask, no(s, CHAIN_NOT_SPORT),
		s->sport);
	put_end(f, "-d", no(s, CHAIN_NOT_DST), s->dst, s->dst_mask, no(s, CHAIN_NOT_DPORT),
		s->dport);
	if (*s->iface)
		fprintf(f, " -i %s%s%s", no(s, CHAIN_NOT_IFACE), s->iface,
			s->flags & CHAIN_WILD ? "+" : "");
	if (s->proto)
		fprintf(f, " -p %s%u", no(s, CHAIN_NOT_PROTO), s->proto);
	if (*s->target)
		fprintf(f, " -j %s", s->target);
	if (s->port)
		fprintf(f, " %u", s->port);
	if (s->flags & CHAIN_LOG)
		fputs(" -l", f);
	if (s->flags & CHAIN_MARK)
		fprintf(f, " -m %u", s->mark);
	else if (s->mark)
		fprintf(f, " -m %+d", (int)s->mark);
	if (s->tos_clear || s->tos_flip)
		fprintf(f, " -t %02x %02x", (uint8_t)~s->tos_clear, s->tos_flip);
	if (s->flags & CHAIN_SYN)
		fprintf(f, " %s-y", no(s, CHAIN_NOT_SYN));
	if (s->flags & CHAIN_FRAG)
		fprintf(f, " %s-f", no(s, CHAIN_NOT_FRAG));
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}

static int put(FILE *f, char *line)
{
	if (!line)
		return -1;
	fprintf(f, "%s\n", line);
	free(line);
	return 0;
}

static int put_rules(FILE *f, const struct chain *chain)
{
	unsigned int i;

	for (i = 0; i < chain->n; i++)
		if (put(f, chain_rule_text(chain, &chain->rule[i]->spec)))
			return -1;
	return 0;
}

static bool as_at_first(const struct chains *c)
{
	const struct chain *chain;

	for (chain = c->first; chain; chain = chain->next)
		if (chain->kind == CHAIN_USER || chain->n || strcmp(chain->policy, "ACCEPT"))
			return false;
	return true;
}

int chains_text(const struct chains *c, char **text)
{
	const struct chain *chain;
	size_t len;
	int rc = 0;
	FILE *f;

	*text = NULL;
	if (as_at_first(c))
		return 0;
	f = open_memstream(text, &len);
	if (!f)
		return -1;
	for (chain = c->first; chain && !rc; chain = chain->next)
		rc = put(f, chain_head_text(chain));
	for (chain = c->first; chain && !rc; chain = chain->next)
		rc = put_rules(f, chain);
	if (fclose(f))
		rc = -1;
	if (rc) {
		free(*text);
		*text = NULL;
	}
	return rc;
}

/* ":input ACCEPT" */
static int read_head(struct chains *c, const char *const *word, unsigned int n,
		     struct rules_error *err)
{
	const char *name = word[0] + 1;
	struct chain *chain = chains_find(c, name, NULL);

	if (n < 2)
		return rules_fail(err, EINVAL, "%.32s: policy missing, or -", word[0]);
	if (n > 2)
		return rules_fail(err, EINVAL, "%.32s: expected a chain and its policy", word[2]);
	if (!chain) {
		if (chains_new(c, name, err))
			return -1;
		chain = chains_find(c, name, err);
	}
	if (!strcmp(word[1], "-"))
		return 0;
	return chain_policy(chain, word[1], err);
}

static int read_rule(struct chains *c, const char *const *word, unsigned int n,
		     struct rules_error *err)
{
	struct chain_command command;
	int rc = chain_command_read(&command, n, word, NULL, err);

	if (!rc && command.op != 'A')
		rc = rules_fail(err, EINVAL, "%.32s: expected -A", word[0]);
	if (!rc)
		rc = chain_command_run(c, &command, err);
	chain_command_free(&command);
	return rc;
}

int chains_read_line(struct chains *c, const char *line, struct rules_error *err)
{
	char *copy = strdup(line), *save = NULL, *w;
	const char *word[WORDS_MAX];
	unsigned int n = 0;
	int rc = 0;

	if (!copy)
		return rules_fail(err, ENOMEM, "out of memory");
	for (w = strtok_r(copy, " \t\r\n", &save); w && n < WORDS_MAX;
	     w = strtok_r(NULL, " \t\r\n", &save))
		word[n++] = w;
	if (w)
		rc = rules_fail(err, EINVAL, "%.32s: more than %d words", w, WORDS_MAX);
	else if (n && *word[0] == ':')
		rc = read_head(c, word, n, err);
	else if (n && *word[0] != '#')
		rc = read_rule(c, word, n, err);
	free(copy);
	return rc;
}
