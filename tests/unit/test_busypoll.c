// sources: lib/core/busypoll.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* When a reader polls an empty ring for longer (divert(4), SO_BUSY_POLL). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sys/sysinfo.h>

#include "lib/core/busypoll.h"
#include "tests/unit/range.h"

static void test_keen(void **state)
{
	struct busypoll s = {0};

	if (get_nprocs_conf() == 1)
		skip();
	busypoll_missed(&s);
	assert_false(s.polling);
	/* up to 50 us of the sleep are the wake-up */
	busypoll_slept(&s, 100000, 50000);
	assert_false(s.polling);
	busypoll_slept(&s, 99999, 50000);
	assert_true(s.polling);
	busypoll_slept(&s, 1000, 0); /* busy polling is off */
	assert_false(s.polling);
}

/* Packets come only when it sleeps. So it tries busy polling again, but seldom. */
static void test_rest(void **state)
{
	struct busypoll s = {0};
	unsigned int polling = 0, i;

	if (get_nprocs_conf() == 1)
		skip();
	for (i = 0; i < 1000; i++) {
		busypoll_missed(&s);
		polling += s.polling;
		busypoll_slept(&s, 1000, 50000);
	}
	assert_int_in_range(polling, 12, 16);
	busypoll_found(&s);
	for (i = 0; i < 300; i++)
		busypoll_slept(&s, 1000, 50000);
	assert_true(s.polling);
	for (i = 0; i < 1000; i++) {
		busypoll_missed(&s);
		busypoll_slept(&s, 1000, 50000);
		assert_true(s.polling);
		busypoll_found(&s);
	}
}

/* Another thread needs the CPU that it polled on. So it does not poll for a long time. */
static void test_stolen(void **state)
{
	struct busypoll s = {0};
	unsigned int i;

	if (get_nprocs_conf() == 1)
		skip();
	busypoll_slept(&s, 1000, 50000);
	assert_true(s.polling);
	busypoll_stolen(&s);
	assert_false(s.polling);
	for (i = 0; i < 4000; i++) {
		busypoll_slept(&s, 1000, 50000);
		assert_false(s.polling);
	}
	for (i = 0; i < 100; i++)
		busypoll_slept(&s, 1000, 50000);
	assert_true(s.polling);
}

/*
 * Simulates that many packets a second for ms, with a look every 100 us. Returns how many of these
 * looks should become timed sleeps.
 */
static unsigned int sleeps(struct busypoll *s, int64_t *now, unsigned int rate, unsigned int ms)
{
	unsigned int i, n = 0;

	for (i = 0; i < ms * 10; i++) {
		s->taken += rate / 10000;
		*now += 100000;
		n += busypoll_sleep(s, *now) > 0;
	}
	return n;
}

/* A timed sleep that finds few packets does not pay off; one that finds many does. */
static void test_naps(void **state)
{
	struct busypoll s = {0};
	int64_t now = 1000000000;

	assert_int_equal(sleeps(&s, &now, 80000, 1000), 0);
	assert_int_in_range(sleeps(&s, &now, 200000, 1000), 9900, 10000);
	/* fewer than before, but many: it tries again soon */
	assert_int_in_range(sleeps(&s, &now, 100000, 1000), 9800, 9950);
	assert_int_equal(sleeps(&s, &now, 200000, 1000), 10000);
	assert_int_in_range(sleeps(&s, &now, 80000, 1000), 0, 200);
	assert_int_equal(s.sleep_ns, 0);
	/* packets that came while nobody looked count */
	now += 1000000000;
	s.taken += 500000;
	assert_int_not_equal(busypoll_sleep(&s, now), 0);
	/* it ends when no packets come any more, and may begin again */
	now += 1000000000;
	assert_int_equal(busypoll_sleep(&s, now), 0);
	assert_int_in_range(sleeps(&s, &now, 200000, 1000), 9900, 10000);
	assert_int_in_range(sleeps(&s, &now, 10000, 100), 0, 40);
	assert_int_in_range(sleeps(&s, &now, 200000, 1000), 9900, 10000);
}

/*
 * A timed sleep is about as long as twenty packets take to come, less the 50 us by which it may be
 * longer.
 */
static void test_nap_length(void **state)
{
	struct busypoll s = {0};
	int64_t now = 1000000000;

	sleeps(&s, &now, 100000, 1000);
	assert_int_in_range(s.sleep_ns, 148000, 152000);
	sleeps(&s, &now, 200000, 100);
	assert_int_in_range(s.sleep_ns, 49000, 51000);
	sleeps(&s, &now, 1000000, 100);
	assert_int_equal(s.sleep_ns, 10000);
	/* Not judged bad at once: no longer than the maximum. */
	sleeps(&s, &now, 50000, 8);
	assert_int_in_range(s.sleep_ns, 178000, 179000);
}

/*
 * Senders that wait for answers send less during timed sleeps. So it tries them again, but seldom.
 */
static void test_naps_are_bad(void **state)
{
	struct busypoll s = {0};
	int64_t now = 1000000000;
	unsigned int n = 0, i;

	for (i = 0; i < 10000; i++) /* ms */
		n += sleeps(&s, &now, s.sleep_ns ? 150000 : 200000, 1) > 0;
	assert_int_in_range(n, 100, 400);
	/* if they become good again they stay, and the bad times are forgotten */
	assert_int_in_range(sleeps(&s, &now, 200000, 3000), 18000, 30000);
	assert_int_equal(s.pause, 0);
	/* a little less traffic is no sign, nor is much less once in a while */
	assert_int_equal(sleeps(&s, &now, 180000, 1000), 10000);
	for (i = 0; i < 100; i++) {
		assert_int_equal(sleeps(&s, &now, 20000, 8), 80);
		assert_int_equal(sleeps(&s, &now, 200000, 8), 80);
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
