// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "divertctl.h"
#include "engine/engine.h"

int usage_error(const char *format, ...)
{
	va_list args;

	fputs("divertctl: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputs("; see 'divertctl --help'\n", stderr);
	return EXIT_USAGE;
}

int no_port(uint32_t port)
{
	fprintf(stderr, "divertctl: port %u: no rule and no socket names it\n", port);
	return EXIT_FAILED;
}

int engine_failed(int rc)
{
	fprintf(stderr, "divertctl: %s\n", engine_error());
	return rc == -ENOENT ? EXIT_NO_ENGINE : EXIT_FAILED;
}
