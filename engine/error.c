// SPDX-License-Identifier: BSD-2-Clause
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine.h"

static __thread char sentence[ENGINE_ERROR_MAX];

int engine_fail(int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	return error;
}

int engine_fail_errno(int error, const char *format, ...)
{
	va_list args;
	size_t len;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	len = strlen(sentence);
	len += snprintf(sentence + len, sizeof(sentence) - len, ": ");
	if (len < sizeof(sentence))
		engine_reason(error, sentence + len, sizeof(sentence) - len);
	return error;
}

const char *engine_error(void)
{
	return sentence;
}
