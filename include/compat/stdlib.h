/* SPDX-License-Identifier: BSD-2-Clause */
/* The system's <stdlib.h>, and strtonum(3) of the BSDs. */
#ifndef DIVERT_COMPAT_STDLIB_H
#define DIVERT_COMPAT_STDLIB_H

#pragma GCC system_header

#include_next <stdlib.h>

#include "divert-bsd.h"

#if defined __GLIBC__ && defined __USE_MISC
#include <errno.h>

#ifdef __cplusplus
extern "C" {
#endif

extern long long strtonum(const char *, long long, long long, const char **);

/*
 * The number in text, from min to max; otherwise 0, errno, and *error says in one word what is
 * wrong.
 */
DIVERT_COMPAT_INLINE long long strtonum(const char *text, long long min, long long max,
					const char **error)
{
	const int saved = errno;
	const char *wrong = NULL;
	long long n = 0;
	char *end;
	int code = 0;

	if (min > max) {
		wrong = "invalid";
		code = EINVAL;
	} else {
		errno = 0;
		n = strtoll(text, &end, 10);
		if (text == end || *end) {
			wrong = "invalid";
			code = EINVAL;
		} else if (n < min || (n == min && errno == ERANGE && n < 0)) {
			wrong = "too small";
			code = ERANGE;
		} else if (n > max || errno == ERANGE) {
			wrong = "too large";
			code = ERANGE;
		}
	}
	if (error)
		*error = wrong;
	errno = wrong ? code : saved;
	return wrong ? 0 : n;
}

#ifdef __cplusplus
}
#endif
#endif

#endif
