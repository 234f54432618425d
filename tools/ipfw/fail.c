/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>

#include "ipfw.h"

int fail(struct rules_error *err, int status, const char *fmt, ...)
{
	va_list ap;

	err->status = status;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return -1;
}
