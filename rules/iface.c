/* SPDX-License-Identifier: BSD-2-Clause */
/* Parses interfaces: "eth0", "eth*", "10.0.0.1", "table(1)", "any". */
#include <string.h>

#include "parse.h"

const char *rules_iface_name(const char *name)
{
	return strcmp(name, "lo0") ? name : "lo";
}

int parse_iface(struct parser *p, struct rule_match *m, const char *word)
{
	size_t len = strlen(word);
	const char *glob;

	if (!strcmp(word, "any"))
		return match_any(p, m);
	if (is_table(word)) {
		m->iface.kind = RULE_IFACE_TABLE;
		return parse_table(p, &m->iface.table, word);
	}
	if (!strchr(word, '/') && !parse_address(&m->iface.addr, word)) {
		m->iface.kind = RULE_IFACE_ADDR;
		return 0;
	}
	glob = strpbrk(word, "*?[");
	if (glob && (*glob != '*' || glob[1]))
		return rules_fail(p->err, EX_DATAERR,
				  "%s: ipdivert does not have it: of patterns, only a name's "
				  "beginning and *",
				  word);
	if (glob) {
		m->iface.kind = RULE_IFACE_PREFIX;
		len--;
	}
	if (len >= sizeof(m->iface.name) || strpbrk(word, "/:(){},") || !strcmp(word, ".") ||
	    !strcmp(word, ".."))
		return rules_fail(p->err, EX_DATAERR,
				  "%s: not an interface's name: up to 15 characters, no / and no :",
				  word);
	memcpy(m->iface.name, word, len);
	return 0;
}
