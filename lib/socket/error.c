// SPDX-License-Identifier: BSD-2-Clause
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "divert.h"
#include "engine/engine.h"
#include "engine/thread.h"
#include "lib/core/socket.h"

static struct thread_memory sentences = THREAD_MEMORY;

const char *divert_error(void)
{
	const char *sentence = thread_memory(&sentences, ENGINE_ERROR_MAX);

	return sentence ? sentence : "out of memory";
}

int refuse(int error, const char *format, ...)
{
	char *sentence = thread_memory(&sentences, ENGINE_ERROR_MAX);
	va_list args;

	if (!sentence)
		return fail(error);
	va_start(args, format);
	vsnprintf(sentence, ENGINE_ERROR_MAX, format, args);
	va_end(args);
	return fail(error);
}

int refuse_engine(int error)
{
	return refuse(error, "%s", engine_error());
}

int refuse_errno(int error, const char *what)
{
	char reason[ENGINE_ERROR_MAX];

	engine_reason(error, reason, sizeof(reason));
	return refuse(error, "%s: %s", what, reason);
}
