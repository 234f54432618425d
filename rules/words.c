/* SPDX-License-Identifier: BSD-2-Clause */
/* Splits a line into words, and reports errors about them. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

int rules_fail(struct rules_error *err, int status, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return -1;
	err->status = status;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return -1;
}

/* Separate the words of a comment by one space, as ipfw(8) does. */
static int comment_add(struct parser *p, const char *word)
{
	size_t have = strlen(p->comment), more = strlen(word);

	if (!more)
		return 0;
	if (have + (have > 0) + more > RULES_COMMENT_MAX)
		return rules_fail(p->err, EX_DATAERR, "%s: comment too long, %d characters at most",
				  word, RULES_COMMENT_MAX);
	if (have)
		p->comment[have++] = ' ';
	memcpy(p->comment + have, word, more + 1);
	return 0;
}

/* Remove white space around commas: "1, 2" is the word "1,2". */
static void join_lists(char *line)
{
	char *from = line, *to = line;
	bool space;

	while (*from) {
		space = false;
		while (isspace((unsigned char)*from)) {
			space = true;
			from++;
		}
		if (from[0] == '/' && from[1] == '/' && (space || to == line)) {
			if (space)
				*to++ = ' ';
			memmove(to, from, strlen(from) + 1);
			return; /* comments stay as they are */
		}
		if (space && *from && *from != ',' && to > line && to[-1] != ',')
			*to++ = ' ';
		while (*from && !isspace((unsigned char)*from) && *from != ',')
			*to++ = *from++;
		if (*from == ',')
			*to++ = *from++;
	}
	*to = 0;
}

static bool is_open(char c)
{
	return c == '{' || c == '(';
}

static bool is_close(char c)
{
	return c == '}' || c == ')';
}

/*
 * Split off the braces of a block, which need no space around them. Those of "table(1)" are part of
 * the word.
 */
static void add_word(struct parser *p, char *w)
{
	size_t len = strlen(w);

	if (!strcmp(w, "!") || !strcmp(w, "|")) { /* synonyms */
		p->word[p->n++] = *w == '!' ? "not" : "or";
		return;
	}
	if (is_open(*w) && len > 1) {
		p->word[p->n++] = *w == '{' ? "{" : "(";
		w++;
		len--;
	}
	if (len > 1 && is_close(w[len - 1]) && !strpbrk(w, "{(")) {
		const char *brace = w[len - 1] == '}' ? "}" : ")";

		w[len - 1] = 0;
		p->word[p->n++] = w;
		p->word[p->n++] = brace;
		return;
	}
	p->word[p->n++] = w;
}

static int split(struct parser *p)
{
	char *save = NULL, *w;

	for (w = strtok_r(p->line, " \t\r\n\v\f", &save); w;
	     w = strtok_r(NULL, " \t\r\n\v\f", &save)) {
		if (p->has_comment) {
			if (comment_add(p, w))
				return -1;
		} else if (!strncmp(w, "//", 2)) {
			p->has_comment = true;
			if (comment_add(p, w + 2))
				return -1;
		} else if (*w == '#') {
			break;
		} else {
			add_word(p, w);
		}
	}
	return 0;
}

int parser_open(struct parser *p, const char *line, struct rules_error *err)
{
	size_t len = strlen(line), i;

	memset(p, 0, sizeof(*p));
	p->err = err;
	if (len > RULES_TEXT_MAX + sizeof("65535 "))
		return rules_fail(err, EX_DATAERR, "%.32s...: rule too long, %d characters at most",
				  line, RULES_TEXT_MAX);
	for (i = 0; i < len; i++)
		if (iscntrl((unsigned char)line[i]) && !isspace((unsigned char)line[i]))
			return rules_fail(err, EX_DATAERR, "control character 0x%02x in a rule",
					  (unsigned char)line[i]);
	p->line = strdup(line);
	p->word = calloc(len + 2, sizeof(*p->word));
	if (!p->line || !p->word) {
		parser_close(p);
		return rules_fail(err, EX_OSERR, "out of memory");
	}
	join_lists(p->line);
	if (split(p)) {
		parser_close(p);
		return -1;
	}
	return 0;
}

void parser_close(struct parser *p)
{
	free(p->line);
	free(p->word);
	p->line = NULL;
	p->word = NULL;
}

const char *parser_peek(const struct parser *p)
{
	return p->word[p->at];
}

const char *parser_next(struct parser *p, const char *missing)
{
	if (p->at < p->n)
		return p->word[p->at++];
	if (p->n)
		rules_fail(p->err, EX_USAGE, "missing %s after %s", missing, p->word[p->n - 1]);
	else
		rules_fail(p->err, EX_USAGE, "missing %s", missing);
	return NULL;
}

bool parser_take(struct parser *p, const char *word)
{
	if (p->at == p->n || strcmp(p->word[p->at], word))
		return false;
	p->at++;
	return true;
}

bool parse_number(const char *s, uint32_t max, uint32_t *v)
{
	uint64_t sum = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		if (!isdigit((unsigned char)*s))
			return false;
		sum = sum * 10 + (*s - '0');
		if (sum > max)
			return false;
	}
	*v = sum;
	return true;
}

static bool is_block_end(const char *word)
{
	return !strcmp(word, "}") || !strcmp(word, ")");
}

/* Ignore the braces around a single item, "{ a }". */
bool parser_open_block(struct parser *p)
{
	unsigned int i;

	if (!parser_take(p, "{") && !parser_take(p, "("))
		return false;
	for (i = p->at; i < p->n && !is_block_end(p->word[i]); i++)
		if (!strcmp(p->word[i], "or"))
			p->in_block = true;
	return true;
}

int parser_close_block(struct parser *p)
{
	const char *word = parser_next(p, "}");

	if (!word)
		return -1;
	if (!is_block_end(word))
		return rules_fail(p->err, EX_USAGE, "%s: expected or, or }", word);
	p->in_block = false;
	return 0;
}

/* Commas inside a set of addresses, "1.2.3.0/24{4,5}", or a table do not separate items. */
char *list_item(char **list)
{
	char *item = *list, *c = item;
	int depth = 0;

	if (!item)
		return NULL;
	for (; *c && (*c != ',' || depth > 0); c++)
		depth += is_open(*c) - is_close(*c);
	*list = *c ? c + 1 : NULL;
	*c = 0;
	return item;
}

unsigned int list_count(const char *list)
{
	unsigned int n = 1;

	for (; *list; list++)
		n += *list == ',';
	return n;
}
