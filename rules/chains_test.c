/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests a packet against a chain (ipchains -C), by running the kernel half's instructions here. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <string.h>

#include "chains.h"
#include "parse.h"

#include "engine/bytes.h"
#include "engine/field.h"
#include "engine/match.h"

static void put_name(__u64 wide[2], const char *name)
{
	char padded[DIVERT_NAME_LEN] = {0};
	uint32_t word[4];

	memcpy(padded, name, strnlen(name, sizeof(padded) - 1));
	memcpy(word, padded, sizeof(word));
	wide[0] = packet_wide(word[0], word[1]);
	wide[1] = packet_wide(word[2], word[3]);
}

static int read_packet(struct bytes *b, const char *iface, enum chain_kind kind,
		       struct divert_packet *p)
{
	struct packet_shape shape = {0};

	memset(p, 0, sizeof(*p));
	if (kind == CHAIN_FORWARD || kind == CHAIN_OUTPUT)
		p->field[DIVERT_F_FLAGS] = DIVERT_IS_OUT;
	if (kind == CHAIN_FORWARD)
		p->field[DIVERT_F_FLAGS] |= DIVERT_IS_FORWARDED;
	put_name(p->wide[DIVERT_W_RECV], iface);
	put_name(p->wide[DIVERT_W_XMIT], iface);
	return packet_read(b, 4, b->len, p, &shape);
}

static void walk(const struct rules_compiled *code, struct bytes *b, struct divert_packet *p,
		 struct chain_verdict *v)
{
	const struct divert_insn *in;
	uint32_t pc, next;

	v->is = CHAIN_PASSED;
	for (pc = 0; pc < code->insns; pc = next) {
		in = &code->insn[pc];
		next = in->yes;
		switch (in->op) {
		case DIVERT_OP_ALLOW:
			if (in->rule != RULES_DEFAULT)
				v->is = CHAIN_ACCEPTED;
			return;
		case DIVERT_OP_DENY:
			v->is = CHAIN_DENIED;
			return;
		case DIVERT_OP_REJECT:
			v->is = CHAIN_REJECTED;
			return;
		case DIVERT_OP_DIVERT:
			v->is = CHAIN_DIVERTED;
			v->port = in->action.port;
			return;
		case DIVERT_OP_GO:
		case DIVERT_OP_FRAGMENT:
		case DIVERT_OP_CHANGE: /* no rule of a chain asks for what it changes */
			break;
		case DIVERT_OP_LOAD:
			if (!packet_slow_match(b, in, p))
				next = in->no;
			break;
		default:
			if (!match_insn(in, p))
				next = in->no;
		}
		if (next <= pc)
			return;
	}
}

int chain_test(struct chains *c, struct chain *chain, const void *packet, uint32_t len,
	       const char *iface, struct chain_verdict *v, struct rules_error *err)
{
	struct bytes b = {packet, len};
	struct rules_compiled code;
	struct divert_packet p;
	struct rules s;
	int rc;

	memset(v, 0, sizeof(*v));
	if (read_packet(&b, iface, chain->kind, &p) <
	    0) /* a packet that is too short matches no rule */
		return rules_fail(err, EINVAL, "the packet is not one of IPv4");
	if (chain_alone(c, chain, &s, err))
		return -1;
	rc = rules_compile(&s, &code);
	if (!rc) {
		walk(&code, &b, &p, v);
		rules_compiled_free(&code);
	} else {
		rc = rules_fail(err, -rc, "%s: too large", chain->name);
	}
	rules_free(&s);
	return rc;
}
