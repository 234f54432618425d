/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rules by libdivert's own functions: lib_rule COMMAND... with
 *	add WORDS | own WORDS	divert_rule_add, with DIVERT_RULE_OWNED; prints the number
 *	delete N | disown N	divert_rule_delete, with DIVERT_RULE_OWNED
 *	fork			go on in a child; this process waits for a signal
 *	exec			become sleep(1)
 *	wait			wait for a signal
 *	exit | abort		end
 *
 * For a command that fails it prints the errno and the sentence, and goes on.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <divert.h>

static int say(int rc)
{
	if (rc < 0)
		printf("%s: %s\n", strerrorname_np(errno), divert_rule_error());
	else
		printf("%d\n", rc);
	fflush(stdout);
	return 1;
}

/* Returns how many words it has used. */
static int run(char **word)
{
	const char *arg = word[1] ? word[1] : "";
	pid_t child;

	if (!strcmp(word[0], "add"))
		return 1 + say(divert_rule_add(arg, 0));
	if (!strcmp(word[0], "own"))
		return 1 + say(divert_rule_add(arg, DIVERT_RULE_OWNED));
	if (!strcmp(word[0], "delete"))
		return 1 + say(divert_rule_delete(atoi(arg), 0));
	if (!strcmp(word[0], "disown"))
		return 1 + say(divert_rule_delete(atoi(arg), DIVERT_RULE_OWNED));
	if (!strcmp(word[0], "fork")) {
		child = fork();
		if (child < 0)
			exit(2);
		if (child) {
			printf("child %d\n", (int)child);
			fflush(stdout);
			pause();
		}
		return 1;
	}
	if (!strcmp(word[0], "exec")) {
		execlp("sleep", "sleep", "1000", NULL);
		exit(2);
	}
	if (!strcmp(word[0], "wait"))
		pause();
	if (!strcmp(word[0], "exit"))
		exit(0);
	if (!strcmp(word[0], "abort"))
		abort();
	fprintf(stderr, "lib_rule: %s?\n", word[0]);
	exit(2);
}

int main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i += run(argv + i))
		;
	return 0;
}
