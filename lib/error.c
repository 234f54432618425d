// SPDX-License-Identifier: BSD-2-Clause
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "divert.h"
#include "engine/engine.h"
#include "socket.h"

static __thread char sentence[ENGINE_ERROR_MAX];

const char *divert_error(void)
{
	return sentence;
}

int refuse(int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
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
