// sources: lib/spin.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* When a reader looks longer at an empty ring (divert(4), SO_BUSY_POLL). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sys/sysinfo.h>

#include "lib/spin.h"
#include "tests/unit/range.h"

static void test_keen(void **state)
{
	struct spin s = {0};

	if (get_nprocs_conf() == 1)
		skip();
	spin_missed(&s);
	assert_false(s.keen);
	/* up to 50 us of it are the wake-up */
	spin_slept(&s, 100000, 50000);
	assert_false(s.keen);
	spin_slept(&s, 99999, 50000);
	assert_true(s.keen);
	spin_slept(&s, 1000, 0); /* not for at all */
	assert_false(s.keen);
}

/* Packets that come only when it sleeps: it is tried again, seldom. */
static void test_rest(void **state)
{
	struct spin s = {0};
	unsigned int keen = 0, i;

	if (get_nprocs_conf() == 1)
		skip();
	for (i = 0; i < 1000; i++) {
		spin_missed(&s);
		keen += s.keen;
		spin_slept(&s, 1000, 50000);
	}
	assert_int_in_range(keen, 12, 16);
	spin_found(&s);
	for (i = 0; i < 300; i++)
		spin_slept(&s, 1000, 50000);
	assert_true(s.keen);
	for (i = 0; i < 1000; i++) {
		spin_missed(&s);
		spin_slept(&s, 1000, 50000);
		assert_true(s.keen);
		spin_found(&s);
	}
}

/* Who has it needs it: it is left alone for long. */
static void test_stolen(void **state)
{
	struct spin s = {0};
	unsigned int i;

	if (get_nprocs_conf() == 1)
		skip();
	spin_slept(&s, 1000, 50000);
	assert_true(s.keen);
	spin_stolen(&s);
	assert_false(s.keen);
	for (i = 0; i < 4000; i++) {
		spin_slept(&s, 1000, 50000);
		assert_false(s.keen);
	}
	for (i = 0; i < 100; i++)
		spin_slept(&s, 1000, 50000);
	assert_true(s.keen);
}

/* So many packets a second for ms, a look every 100 us; after how many of these it is to nap. */
static unsigned int naps(struct spin *s, int64_t *now, unsigned int rate, unsigned int ms)
{
	unsigned int i, n = 0;

	for (i = 0; i < ms * 10; i++) {
		s->taken += rate / 10000;
		*now += 100000;
		n += spin_naps(s, *now) > 0;
	}
	return n;
}

/* Where a nap finds few packets it is not worth while, where it finds many it is. */
static void test_naps(void **state)
{
	struct spin s = {0};
	int64_t now = 1000000000;

	assert_int_equal(naps(&s, &now, 80000, 1000), 0);
	assert_int_in_range(naps(&s, &now, 200000, 1000), 9900, 10000);
	/* fewer than before, but many: soon again */
	assert_int_in_range(naps(&s, &now, 100000, 1000), 9800, 9950);
	assert_int_equal(naps(&s, &now, 200000, 1000), 10000);
	assert_int_in_range(naps(&s, &now, 80000, 1000), 0, 200);
	assert_int_equal(s.nap, 0);
	/* what came while nobody looked counts */
	now += 1000000000;
	s.taken += 500000;
	assert_int_not_equal(spin_naps(&s, now), 0);
	/* when none come any more it ends, and may begin again */
	now += 1000000000;
	assert_int_equal(spin_naps(&s, now), 0);
	assert_int_in_range(naps(&s, &now, 200000, 1000), 9900, 10000);
	assert_int_in_range(naps(&s, &now, 10000, 100), 0, 40);
	assert_int_in_range(naps(&s, &now, 200000, 1000), 9900, 10000);
}

/* It naps about as long as twenty packets take to come, with the 50 us that a sleep may be longer. */
static void test_nap_length(void **state)
{
	struct spin s = {0};
	int64_t now = 1000000000;

	naps(&s, &now, 100000, 1000);
	assert_int_in_range(s.nap, 148000, 152000);
	naps(&s, &now, 200000, 100);
	assert_int_in_range(s.nap, 49000, 51000);
	naps(&s, &now, 1000000, 100);
	assert_int_equal(s.nap, 10000);
	naps(&s, &now, 50000, 8); /* not taken for bad at once: no longer than it may ever be */
	assert_int_in_range(s.nap, 178000, 179000);
}

/* Senders that wait for answers send less while it naps: that is tried again, seldom. */
static void test_naps_are_bad(void **state)
{
	struct spin s = {0};
	int64_t now = 1000000000;
	unsigned int n = 0, i;

	for (i = 0; i < 10000; i++) /* ms */
		n += naps(&s, &now, s.nap ? 150000 : 200000, 1) > 0;
	assert_int_in_range(n, 100, 400);
	/* what got better stays, and what was is forgotten */
	assert_int_in_range(naps(&s, &now, 200000, 3000), 18000, 30000);
	assert_int_equal(s.pause, 0);
	/* a little less is no sign, nor is it once in a while */
	assert_int_equal(naps(&s, &now, 180000, 1000), 10000);
	for (i = 0; i < 100; i++) {
		assert_int_equal(naps(&s, &now, 20000, 8), 80);
		assert_int_equal(naps(&s, &now, 200000, 8), 80);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keen),	   cmocka_unit_test(test_rest),
		cmocka_unit_test(test_stolen),	   cmocka_unit_test(test_naps),
		cmocka_unit_test(test_nap_length), cmocka_unit_test(test_naps_are_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
