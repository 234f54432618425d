/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Include this after <cmocka.h>. It defines a name of cmocka 2, which has deprecated the only one
 * that cmocka 1 has.
 */
#ifndef TEST_UNIT_RANGE_H
#define TEST_UNIT_RANGE_H

#ifndef assert_int_in_range
#define assert_int_in_range(value, from, to) assert_in_range(value, from, to)
#endif

#endif
