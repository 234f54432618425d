// sources: lib/spin.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* When a reader looks longer at an empty ring (divert(4), SO_BUSY_POLL). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sys/sysinfo.h>

#include "lib/spin.h"

static void test_keen(void **state)
{
	struct spin s = {0};

	if (get_nprocs_conf() == 1)
		skip();
	spin_missed(&s);
	assert_false(s.keen);
	spin_slept(&s, 50000, 50000);
	assert_false(s.keen);
	spin_slept(&s, 49999, 50000);
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
	assert_in_range(keen, 12, 16);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keen),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_stolen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
