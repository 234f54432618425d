// SPDX-License-Identifier: BSD-2-Clause
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine.h"
#include "thread.h"

static struct thread_memory sentences = THREAD_MEMORY;

int engine_fail(int error, const char *format, ...)
{
	char *sentence = thread_memory(&sentences, ENGINE_ERROR_MAX);
	va_list args;

	if (!sentence)
		return error;
	va_start(args, format);
	vsnprintf(sentence, ENGINE_ERROR_MAX, format, args);
	va_end(args);
	return error;
}

int engine_fail_errno(int error, const char *format, ...)
{
	char *sentence = thread_memory(&sentences, ENGINE_ERROR_MAX);
	va_list args;
	size_t len;

	if (!sentence)
		return error;
	va_start(args, format);
	vsnprintf(sentence, ENGINE_ERROR_MAX, format, args);
	va_end(args);
	len = strlen(sentence);
	len += snprintf(sentence + len, ENGINE_ERROR_MAX - len, ": ");
	if (len < ENGINE_ERROR_MAX)
		engine_reason(error, sentence + len, ENGINE_ERROR_MAX - len);
	return error;
}

int engine_fail_privilege(void)
{
	char text[ENGINE_ERROR_MAX];

	engine_reason(EPERM, text, sizeof(text));
	return engine_fail(-EPERM, "%s", text);
}

const char *engine_error(void)
{
	const char *sentence = thread_memory(&sentences, ENGINE_ERROR_MAX);

	return sentence ? sentence : "out of memory";
}
