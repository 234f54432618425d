// sources: lib/packet/reassemble.c lib/packet/fraghdr.c lib/packet/checksum.c
// sources: tests/unit/fragments.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* Random fragments: many in any order, and against a plain model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fragments.h"

/* ---- many, in any order ---- */

static uint32_t rnd(uint32_t below)
{
	static uint64_t x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x % below;
}

#define MANY 400

static void test_shuffled(void **state)
{
	static struct next_packet *w[MANY];
	static int missing[MANY], whole_seen[MANY];
	struct divert_record **all = calloc(MANY * 200, sizeof(*all)), *swap;
	uint32_t fragments = 0, i, j, at, n, dups = 0, left = 0, len, waiting[MANY] = {0};

	assert_non_null(all);
	for (i = 0; i < MANY; i++) {
		int v = i % 2 ? 4 : 6;

		len = 16 + rnd(8000);
		w[i] = packet(v, i, v == 4 ? 20 : 40, len);
		missing[i] = 0;
		for (at = 0; at < len; at += n) {
			n = 8 + rnd(180) * 8;
			if (!at && n >= len)
				n = 8;
			if (at + n > len)
				n = len - at;
			/*
			 * one in 50 is missing; one in 50 comes twice, unless all would: the code
			 * below does that
			 */
			if (!rnd(50)) {
				missing[i]++;
				continue;
			}
			waiting[i]++;
			all[fragments] = cut(w[i], at, n, at + n < len);
			all[fragments++]->oif = i; /* used by this test */
		}
	}
	for (i = 0; i < MANY;
	     /* So duplicates for incomplete packets never come too late. */
	     i++)
		if (missing[i] && waiting[i])
			for (j = 0; j < fragments && dups < 1000; j++)
				if (all[j]->oif == i) {
					all[fragments] = malloc(sizeof(**all) + all[j]->len);
					memcpy(all[fragments++], all[j],
					       sizeof(**all) + all[j]->len);
					dups++;
					break;
				}
	for (i = fragments - 1; i; i--) {
		j = rnd(i + 1);
		swap = all[i];
		all[i] = all[j];
		all[j] = swap;
	}
	for (i = 0; i < fragments; i++) {
		uint32_t which = all[i]->oif;

		if (add(all[i])) {
			assert_int_equal(missing[which], 0);
			assert_int_equal(whole_seen[which]++, 0);
			assert_int_equal(done.rec->len, w[which]->len);
			assert_memory_equal(done.rec + 1, w[which]->bytes, w[which]->len);
			free(done.rec);
		}
	}
	for (i = 0; i < MANY; i++) {
		assert_int_equal(whole_seen[i], !missing[i]);
		left += missing[i] ? waiting[i] : 0;
		free(w[i]);
	}
	free(all);
	assert_true(left > 100 && dups > 10);
	assert_int_equal(lost(DIVERT_N_FRAG_DUP), dups);
	nothing_lost();
	reassembly_expire(&r, 100 * S);
	assert_int_equal(lost(DIVERT_N_FRAG_TIMEOUT), left);
	assert_int_equal(r.packets, 0);
	assert_int_equal(r.bytes, 0);
}

/* ---- against a plain model: random pieces of one packet, some of them wrong ---- */

#define BLOCKS 6 /* of 8 bytes */

struct model {
	int n, dead;
	struct {
		uint32_t at, end, more;
	} f[64];
};

/* The fate of a fragment, as simply as possible: 0 kept, 1 whole, or its cause. */
static int expect(struct model *m, uint32_t at, uint32_t end, uint32_t more)
{
	uint32_t covered = 0, last = 0;
	int i, bad = 0, overlap = 0;

	if (m->dead)
		return m->dead;
	for (i = 0; i < m->n; i++) {
		if (m->f[i].at == at && m->f[i].end == end && m->f[i].more == more)
			return DIVERT_N_FRAG_DUP;
		if (!more && m->f[i].end > end)
			bad = 1;
		if (!m->f[i].more && (end > m->f[i].end || (!more && end != m->f[i].end)))
			bad = 1;
		if (at < m->f[i].end && m->f[i].at < end)
			overlap = 1;
	}
	if (bad || overlap)
		return m->dead = bad ? DIVERT_N_FRAG_BAD : DIVERT_N_FRAG_OVERLAP;
	m->f[m->n].at = at;
	m->f[m->n].end = end;
	m->f[m->n++].more = more;
	for (i = 0; i < m->n; i++) {
		covered += m->f[i].end - m->f[i].at;
		if (!m->f[i].more)
			last = m->f[i].end;
	}
	return last && covered == last;
}

static void test_model(void **state)
{
	uint32_t wholes = 0, round, i;

	for (round = 0; round < 20000; round++) {
		int v = round % 2 ? 4 : 6;
		struct next_packet *w = packet(v, round, v == 4 ? 20 : 40, BLOCKS * 8);
		struct model m = {};

		for (i = 0; i < 20; i++) {
			uint32_t at = rnd(BLOCKS), n = 1 + rnd(BLOCKS - at < 4 ? BLOCKS - at : 4);
			uint32_t more = at + n == BLOCKS ? !rnd(8) : rnd(16) > 0, held = m.n;
			int cause = expect(&m, at, at + n, more);
			bool first_dead = m.dead && held;

			if (!at && !more) { /* this is no fragment */
				m.n = held;
				m.dead = 0;
				break;
			}
			assert_int_equal(add(cut(w, at * 8, n * 8, more)), cause == 1);
			if (cause == 1) {
				wholes++;
				free(done.rec);
				break;
			}
			if (cause && cause != DIVERT_N_FRAG_DUP && first_dead) {
				assert_int_equal(lost(cause), held + 1);
				m.n = 0;
			} else if (cause) {
				assert_int_equal(lost(cause), 1);
			}
			nothing_lost();
		}
		reassembly_free(&r);
		free(w);
	}
	assert_true(wholes > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_shuffled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_model, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
