// sources: none
/* SPDX-License-Identifier: BSD-2-Clause */
/* Match instructions: prefixes of every length, ranges, masks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int packet_load(void *from, unsigned int offset, void *to, unsigned int len)
{
	return -1; /* packets in this test are made, not read */
}

#include "engine/match.h"

/* ---- prefixes ---- */

static const uint64_t addr[2] = {0x20010db812345678, 0x9abcdef011223344};

static void flip(__u64 *wide, unsigned int bit)
{
	wide[bit / 64] ^= 1ull << (63 - bit % 64);
}

/* A packet that differs from the prefix in one bit matches if the bit is behind the prefix. */
static void test_prefix(void **state)
{
	struct divert_insn in = {.op = DIVERT_OP_PREFIX, .field = DIVERT_W_DST6};
	struct divert_packet p = {};
	unsigned int bits, bit;

	in.prefix.word[0] = addr[0] >> 32;
	in.prefix.word[1] = addr[0];
	in.prefix.word[2] = addr[1] >> 32;
	in.prefix.word[3] = addr[1];
	memcpy(p.wide[DIVERT_W_DST6], addr, sizeof(addr));
	for (bits = 0; bits <= 128; bits++) {
		in.prefix.bits = bits;
		assert_true(match_insn(&in, &p));
		for (bit = 0; bit < 128; bit++) {
			flip(p.wide[DIVERT_W_DST6], bit);
			assert_int_equal(match_insn(&in, &p), bit >= bits);
			flip(p.wide[DIVERT_W_DST6], bit);
		}
	}
}

static void test_prefix_other(void **state)
{
	struct divert_insn in = {.op = DIVERT_OP_PREFIX, .prefix.bits = 128};
	struct divert_packet p = {};
	unsigned int field;

	/* each looks at its own field, and an absent name is all zeros */
	for (field = 0; field < DIVERT_W_ROOM; field++) {
		in.field = field;
		assert_true(match_insn(&in, &p));
		p.wide[field][1] = 1;
		assert_false(match_insn(&in, &p));
		p.wide[field][1] = 0;
	}
	memset(p.wide, 0xff, sizeof(p.wide));
	in.prefix.bits = 0;
	assert_true(match_insn(&in, &p));
	in.prefix.bits = 1;
	assert_false(match_insn(&in, &p));
}

/* ---- ranges ---- */

#define UNUSED                                                                                     \
	{                                                                                          \
		1, 0                                                                               \
	}

static int in_range(const struct divert_insn *in, uint32_t value)
{
	struct divert_packet p = {.field = {[DIVERT_F_DPORT] = value}};

	return match_insn(in, &p);
}

static void test_range(void **state)
{
	struct divert_insn in = {
		.op = DIVERT_OP_RANGE,
		.field = DIVERT_F_DPORT,
		.range = {{10, 20}, {22, 22}, {0, 0}, {65535, 65535}, {300, 400}},
	};
	uint32_t v;

	for (v = 0; v < 70000; v++)
		assert_int_equal(in_range(&in, v), (v >= 10 && v <= 20) || v == 22 || !v ||
							   v == 65535 || (v >= 300 && v <= 400));
	assert_false(in_range(&in, DIVERT_ABSENT));
}

static void test_range_unused(void **state)
{
	struct divert_insn in = {
		.op = DIVERT_OP_RANGE,
		.field = DIVERT_F_DPORT,
		.range = {UNUSED, UNUSED, UNUSED, UNUSED, UNUSED},
	};
	unsigned int i;
	uint32_t v;

	for (v = 0; v < 70000; v++)
		assert_false(in_range(&in, v));
	/* the full range has every port, but not the absence of ports */
	for (i = 0; i < 5; i++) {
		in.range[i].lo = 0;
		in.range[i].hi = 65535;
		assert_true(in_range(&in, 0));
		assert_true(in_range(&in, 1000));
		assert_true(in_range(&in, 65535));
		assert_false(in_range(&in, DIVERT_ABSENT));
		in.range[i].lo = 1;
		in.range[i].hi = 0;
	}
}

/* ---- masks ---- */

static void test_mask(void **state)
{
	struct divert_insn in = {.op = DIVERT_OP_MASK, .field = DIVERT_F_SRC4};
	struct divert_packet p = {.field = {[DIVERT_F_SRC4] = 0xc0a80164}};
	unsigned int bit;

	assert_true(match_insn(&in, &p)); /* the mask asks for nothing */
	in.mask.mask = ~0u;
	in.mask.value = 0xc0a80164;
	assert_true(match_insn(&in, &p));
	for (bit = 0; bit < 32; bit++) {
		in.mask.mask = 1u << bit;
		in.mask.value = p.field[DIVERT_F_SRC4] & in.mask.mask;
		assert_true(match_insn(&in, &p));
		in.mask.value ^= in.mask.mask;
		assert_false(match_insn(&in, &p));
	}
	/* a value with bits outside its mask never matches */
	in.mask.mask = 0xffff0000;
	in.mask.value = 0xc0a80164;
	assert_false(match_insn(&in, &p));
}

/* A field number of a damaged program stays inside the packet; an action matches nothing. */
static void test_damaged(void **state)
{
	struct divert_insn in = {.op = DIVERT_OP_MASK, .field = 255};
	struct divert_packet p = {};
	unsigned int field, op;

	for (field = 0; field < 256; field++) {
		in.field = field;
		for (op = 0; op < 256; op++) {
			in.op = op;
			if (op > DIVERT_OP_PREFIX)
				assert_false(match_insn(&in, &p));
			else
				assert_true(match_insn(&in, &p));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prefix), cmocka_unit_test(test_prefix_other),
		cmocka_unit_test(test_range),  cmocka_unit_test(test_range_unused),
		cmocka_unit_test(test_mask),   cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
