/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A libdivert that only notes its calls, for the interposer's tests. Its functions are those of
 * <divert.h>, and its sockets are eventfds.
 */
#ifndef TEST_UNIT_FAKE_DIVERT_H
#define TEST_UNIT_FAKE_DIVERT_H

#include <stdbool.h>

#define TOP 1024
/* volatile: the C library declares that its functions do not call back into a file */
extern volatile bool is_socket[TOP], is_inner[TOP];
extern const char *volatile asked; /* the last function called */
extern volatile int asked_flags, refuse_dup;
extern volatile int flushed, at_once; /* how often each was called */
extern volatile int writer;	      /* the result of divert_writer() */
extern volatile int at_hand;	      /* divert_ready() says that this socket has packets */
extern volatile int looked;	      /* how often divert_ready() was called */
extern volatile bool endless;	      /* fragments come as fast as it keeps them */
extern volatile int due;	      /* the result of divert_timeout() */

int setup(void **state);
int teardown(void **state);

/* Makes a descriptor that is in one of the tables above. */
int hold(volatile bool table[TOP]);
bool is_open(int fd);
/* Makes a divert socket, through the interposer. */
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
