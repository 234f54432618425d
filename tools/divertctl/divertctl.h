/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DIVERTCTL_H
#define DIVERTCTL_H

#include <stdint.h>

enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NO_ENGINE = 3,
};

/* argv: the words after the command's name. Return the exit status. */
int command_status(int argc, char **argv);
int command_stat(int argc, char **argv);
int command_top(int argc, char **argv);
int command_flows(int argc, char **argv);
int command_attach(int argc, char **argv);
int command_set(int argc, char **argv);
int command_get(int argc, char **argv);
int command_upgrade(int argc, char **argv);
int command_unload(int argc, char **argv);

/*
 * tools/divertctl/fail.c: report an error of the engine, or in the words. Return the exit status.
 */
int engine_failed(int rc);
int no_port(uint32_t port); /* no rule and no socket names it */
int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* tools/divertctl/metrics.c: print all counters for Prometheus; only: those of a port, if not 0 */
int metrics_print(uint32_t only);

/* tools/divertctl/stat.c: the port that a word says; 0: none, and that is reported. */
uint32_t port_of(const char *word);

#endif
