// SPDX-License-Identifier: BSD-2-Clause
/* A port and a rule of interceptor's own, which are gone when it ends. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "interceptor.h"
#include "ruleset/held.h"

#define PORT_FIRST 61000 /* the lowest of those that it takes, beginning with the highest */
#define PORT_LAST  65535

static int complain(const char *text)
{
	fprintf(stderr, "interceptor: %s\n", text);
	return -1;
}

/* The rule in ipfw's words. NULL: refused, and that is reported. */
static struct rule *make_rule(const struct own_rule *o, uint16_t port)
{
	struct rules_error err;
	struct rule *r = NULL;
	char number[32] = "", *words;

	if (o->number)
		snprintf(number, sizeof(number), "%lu ", o->number);
	if (asprintf(&words, "%sdivert %u %s", number, port, o->words) < 0) {
		complain("out of memory");
		return NULL;
	}
	if (held_rule_parse(words, &r, &err)) {
		fprintf(stderr, "interceptor: '%s': %s\n", o->words, err.text);
		r = NULL;
	}
	free(words);
	return r;
}

int own_rule_read(struct own_rule *o, char **words, int n)
{
	size_t len = 1;
	struct rule *r;
	char *end;
	int i;

	for (i = 0; i < n; i++)
		len += strlen(words[i]) + 1;
	o->words = calloc(1, len);
	if (!o->words)
		return complain("out of memory");
	for (i = 0; i < n; i++)
		sprintf(o->words + strlen(o->words), "%s%s", i ? " " : "", words[i]);
	if (isdigit((unsigned char)*o->words)) {
		o->number = strtoul(o->words, &end, 10);
		if (isspace((unsigned char)*end) && o->number && o->number < RULES_DEFAULT)
			memmove(o->words, end + 1, strlen(end));
		else
			o->number = 0; /* the parser says what is wrong */
	}
	r = make_rule(o, PORT_LAST);
	rule_free(r);
	return r ? 0 : -1;
}

/* Mark the ports that rules name or sockets have. Without an engine there are none. */
static void mark_ports(bool *taken)
{
	struct rules_error err;
	struct transaction *c = transaction_open(0, &err);
	uint32_t *named = c ? calloc(c->rules.n + 1, sizeof(*named)) : NULL;
	struct engine_port *port = NULL;
	unsigned int i, n = named ? rules_ports(&c->rules, named) : 0;
	int at, ports = c && c->open ? engine_ports(&c->engine, &port) : 0;

	for (i = 0; i < n; i++)
		taken[named[i] & 0xffff] = true;
	for (at = 0; at < ports; at++)
		if (port[at].alive)
			taken[port[at].key & 0xffff] = true;
	if (ports > 0)
		free(port);
	free(named);
	if (c)
		transaction_close(c);
}

int own_rule_bind(int fd, uint16_t *port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	bool taken[PORT_LAST + 1] = {};
	unsigned int p;

	mark_ports(taken);
	for (p = PORT_LAST; p >= PORT_FIRST; p--) {
		addr.sin_port = htons(p);
		if (!taken[p] && !divert_bind(fd, (struct sockaddr *)&addr, sizeof(addr))) {
			*port = p;
			return 0;
		}
		if (!taken[p] && errno != EADDRINUSE)
			return -1;
	}
	return -1;
}

static void tell(const char *name, const char *why, void *arg)
{
	complain(why);
}

int own_rule_add(struct own_rule *o, uint16_t port)
{
	struct rule *r = make_rule(o, port);
	struct rules_error err;
	uint16_t number;

	if (!r)
		return -1;
	o->fd = held_rules_add(&r, 1, &number, tell, &err);
	o->number = number;
	rule_free(r);
	return o->fd < 0 ? complain(err.text) : 0;
}

void own_rule_end(struct own_rule *o)
{
	if (o->fd >= 0)
		held_rules_end(o->fd);
	o->fd = -1;
	free(o->words);
	o->words = NULL;
}
