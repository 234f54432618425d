/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads a file of commands, one per line. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipfw.h"

/* Run the preprocessor on the file. NULL: errno. */
static FILE *preprocess(const char *file, char **words, pid_t *pid)
{
	int in = strcmp(file, "-") ? open(file, O_RDONLY | O_CLOEXEC) : STDIN_FILENO, out[2];
	FILE *f;

	if (in < 0 || pipe2(out, O_CLOEXEC))
		return NULL;
	*pid = fork();
	if (!*pid) {
		if (dup2(in, STDIN_FILENO) >= 0 && dup2(out[1], STDOUT_FILENO) >= 0)
			execvp(words[0], words);
		fprintf(stderr, "ipfw: %s: %s\n", words[0], strerror(errno));
		_exit(127);
	}
	close(out[1]);
	if (in != STDIN_FILENO)
		close(in);
	f = *pid < 0 ? NULL : fdopen(out[0], "re");
	if (!f)
		close(out[0]);
	return f;
}

static int preprocessed(pid_t pid, const char *name, struct rules_error *err)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return rules_fail(err, EX_OSERR, "%s: %s", name, strerror(errno));
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return rules_fail(err, EX_UNAVAILABLE, "%s: the preprocessor failed", name);
	return 0;
}

int script_read(struct script *s, struct options options, unsigned int *line,
		struct rules_error *err)
{
	FILE *f;
	pid_t pid = 0;
	unsigned int number = 0;
	char *text = NULL;
	size_t room = 0;
	ssize_t len;
	int rc = 0;

	*line = 0;
	if (options.preprocessor)
		f = preprocess(s->file, options.preprocessor, &pid);
	else
		f = strcmp(s->file, "-") ? fopen(s->file, "re") : stdin;
	if (!f)
		return rules_fail(err, EX_UNAVAILABLE, "%s", strerror(errno));
	options.force = true; /* nobody can be asked */
	while (!rc && (len = getline(&text, &room, f)) >= 0) {
		number++;
		if (strlen(text) != (size_t)len)
			rc = rules_fail(err, EX_DATAERR, "a NUL character in the line");
		else
			rc = script_add(s, text, number, options, err);
		if (rc && options.check)
			rc = script_refuse(s, number, err);
	}
	if (rc)
		*line = number;
	else if (ferror(f))
		rc = rules_fail(err, EX_UNAVAILABLE, "%s", strerror(errno));
	free(text);
	if (f != stdin)
		fclose(f);
	/* all or nothing: also if the preprocessor failed midway, but a line's own error is kept */
	if (pid > 0 && preprocessed(pid, options.preprocessor[0], rc ? NULL : err))
		rc = -1;
	return rc;
}
