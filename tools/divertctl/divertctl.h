/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DIVERTCTL_H
#define DIVERTCTL_H

enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NO_ENGINE = 3,
};

/* Each gets its words after the command's name; the exit status. */
int command_status(int argc, char **argv);
int command_stat(int argc, char **argv);
int command_attach(int argc, char **argv);
int command_set(int argc, char **argv);
int command_get(int argc, char **argv);
int command_upgrade(int argc, char **argv);
int command_unload(int argc, char **argv);

/* Say what went wrong with the engine; the exit status for it. */
int engine_failed(int rc);
int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
