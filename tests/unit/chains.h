/* SPDX-License-Identifier: BSD-2-Clause */
/* Command lines of ipchains, for the tests of chains. */
#ifndef DIVERT_UNIT_CHAINS_H
#define DIVERT_UNIT_CHAINS_H

#include "rules/chains.h"

/*
 * Read a line, which the caller frees, and run it unless c is NULL. The host "one" has one address,
 * "two" has two.
 */
int command(struct chains *c, const char *line, struct chain_command *cmd, struct rules_error *err);
/* Run commands, one on each line; the test fails if one of them does. */
void script(struct chains *c, const char *lines);

#endif
