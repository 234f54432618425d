/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One match instruction against one packet; compiled into both halves. */
#ifndef DIVERT_ENGINE_MATCH_H
#define DIVERT_ENGINE_MATCH_H

#include "packet.h"

static __always_inline int match_prefix(const __u64 *wide, const struct divert_insn *in)
{
	__u64 hi = wide[0] ^ ((__u64)in->prefix.word[0] << 32 | in->prefix.word[1]);
	__u64 lo = wide[1] ^ ((__u64)in->prefix.word[2] << 32 | in->prefix.word[3]);
	__u32 bits = in->prefix.bits;

	if (!bits)
		return 1;
	if (bits <= 64)
		return !(hi >> ((64 - bits) & 63));
	return !hi && !(lo >> ((128 - bits) & 63));
}

/* 1: continue at `yes`, 0: at `no`. */
static __always_inline int match_insn(const struct divert_insn *in, const struct divert_packet *p)
{
	__u32 v = p->field[in->field & (DIVERT_F_ROOM - 1)];

	switch (in->op) {
	case DIVERT_OP_MASK:
		return (v & in->mask.mask) == in->mask.value;
	case DIVERT_OP_RANGE:
		return (v >= in->range[0].lo && v <= in->range[0].hi) ||
		       (v >= in->range[1].lo && v <= in->range[1].hi) ||
		       (v >= in->range[2].lo && v <= in->range[2].hi) ||
		       (v >= in->range[3].lo && v <= in->range[3].hi) ||
		       (v >= in->range[4].lo && v <= in->range[4].hi);
	case DIVERT_OP_BELOW:
		return v < in->mask.value;
	case DIVERT_OP_PREFIX:
		return match_prefix(p->wide[in->field & (DIVERT_W_ROOM - 1)], in);
	}
	return 0;
}

#endif
