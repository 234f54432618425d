/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A libdivert that only notes what it was asked, for the interposer's tests: its functions are those
 * of <divert.h>, its sockets eventfds.
 */
#ifndef TEST_UNIT_FAKE_DIVERT_H
#define TEST_UNIT_FAKE_DIVERT_H

#include <stdbool.h>

#define TOP 1024
/* volatile: the C library declares that its functions call nothing back in a file */
extern volatile bool is_socket[TOP], is_inner[TOP];
extern const char *volatile asked; /* the last function called */
extern volatile int asked_flags, refuse_dup;
extern volatile int flushed, at_once; /* how often */
extern volatile int writer;	      /* what divert_writer() answers */
extern volatile int at_hand;  /* the socket of which divert_ready() says that there is something */
extern volatile int looked;   /* how often it was asked */
extern volatile bool endless; /* fragments come as fast as it keeps them */
extern volatile int due;      /* what divert_timeout() answers */

int setup(void **state);
int teardown(void **state);

/* A descriptor that is in one of the tables above. */
int hold(volatile bool table[TOP]);
bool is_open(int fd);
/* A divert socket, by way of the interposer. */
int new_socket(void);

/* The call went to this function of libdivert, and its result and errno came back. */
#define ASKS(name, call)                                                                           \
	do {                                                                                       \
		asked = "";                                                                        \
		assert_int_equal(call, -1);                                                        \
		assert_int_equal(errno, ENOLINK);                                                  \
		assert_string_equal(asked, name);                                                  \
	} while (0)

#define FAILS(error, call)                                                                         \
	do {                                                                                       \
		assert_int_equal(call, -1);                                                        \
		assert_int_equal(errno, error);                                                    \
	} while (0)

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
