// SPDX-License-Identifier: BSD-2-Clause
#include <ctype.h>

#include "ipfw.h"

char *next_word(char **line)
{
	char *word;

	while (isspace((unsigned char)**line))
		++*line;
	if (!**line || **line == '#')
		return NULL;
	word = *line;
	while (**line && !isspace((unsigned char)**line))
		++*line;
	if (**line)
		*(*line)++ = 0;
	return word;
}
