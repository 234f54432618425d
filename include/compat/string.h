/* SPDX-License-Identifier: BSD-2-Clause */
/* The system's <string.h>, and strlcpy(3) and strlcat(3), which glibc has since 2.38. */
#ifndef DIVERT_COMPAT_STRING_H
#define DIVERT_COMPAT_STRING_H

#pragma GCC system_header

#include_next <string.h>

#include "divert-bsd.h"

#if defined __GLIBC__ && defined __USE_MISC && !__GLIBC_PREREQ(2, 38)
#ifdef __cplusplus
extern "C" {
#endif

extern size_t strlcpy(char *, const char *, size_t) __THROW;
extern size_t strlcat(char *, const char *, size_t) __THROW;

DIVERT_COMPAT_INLINE size_t __NTH(strlcpy(char *to, const char *from, size_t size))
{
	size_t len = strlen(from);

	if (size) {
		size_t n = len < size ? len : size - 1;

		memcpy(to, from, n);
		to[n] = '\0';
	}
	return len;
}

DIVERT_COMPAT_INLINE size_t __NTH(strlcat(char *to, const char *from, size_t size))
{
	size_t has = strnlen(to, size);

	if (has == size)
		return size + strlen(from);
	return has + strlcpy(to + has, from, size - has);
}

#ifdef __cplusplus
}
#endif
#endif

#endif
