// SPDX-License-Identifier: BSD-2-Clause
/* Checks from a program's file whether a library can be preloaded into it. */
#include "tools/divert-run/program.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static bool runnable(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK);
}

bool find_program(const char *name, char path[PATH_MAX])
{
	const char *dir = getenv("PATH"), *end;
	int len;

	if (strchr(name, '/')) {
		len = snprintf(path, PATH_MAX, "%s", name);
		return len < PATH_MAX && runnable(path);
	}
	if (!dir)
		dir = "/bin:/usr/bin";
	for (;; dir = end + 1) {
		end = strchrnul(dir, ':');
		/* An empty entry is the current directory. */
		len = snprintf(path, PATH_MAX, "%.*s%s%s", (int)(end - dir), dir,
			       end > dir ? "/" : "", name);
		if (len < PATH_MAX && runnable(path))
			return true;
		if (!*end)
			return false;
	}
}

static bool is_elf(int fd)
{
	char magic[SELFMAG];

	return pread(fd, magic, SELFMAG, 0) == SELFMAG && !memcmp(magic, ELFMAG, SELFMAG);
}

static bool read_all(int fd, void *to, size_t len, size_t at)
{
	return at <= INT_MAX && pread(fd, to, len, (off_t)at) == (ssize_t)len;
}

/* Go's linker leaves these sections in every program, even in a stripped one. */
static bool is_go_section(const char *name)
{
	return !strcmp(name, ".go.buildinfo") || !strcmp(name, ".note.go.buildid");
}

/* Go's runtime makes system calls itself, even in a program that also uses the C library. */
static bool is_go(int fd, const ElfW(Ehdr) * header)
{
	ElfW(Shdr) section, names;
	char name[sizeof(".note.go.buildid")];
	ElfW(Half) i;

	if (header->e_shentsize != sizeof(section) || header->e_shoff > INT_MAX ||
	    !read_all(fd, &names, sizeof(names),
		      header->e_shoff + header->e_shstrndx * sizeof(names)))
		return false;
	for (i = 0; i < header->e_shnum; i++) {
		if (!read_all(fd, &section, sizeof(section), header->e_shoff + i * sizeof(section)))
			return false;
		if (read_all(fd, name, sizeof(name), names.sh_offset + section.sh_name) &&
		    memchr(name, 0, sizeof(name)) && is_go_section(name))
			return true;
	}
	return false;
}

static const char *look_at_elf(int fd)
{
	const char *go = "it is a Go program, which makes system calls by itself";
	ElfW(Ehdr) header;
	ElfW(Phdr) segment;
	ElfW(Half) i;

	if (pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header))
		return NULL;
	if (header.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32))
		return sizeof(void *) == 8 ? "it is a 32-bit program" : "it is a 64-bit program";
	/* execve(2) will refuse an invalid header. */
	if (header.e_phentsize != sizeof(segment) || header.e_phoff > INT_MAX)
		return NULL;
	for (i = 0; i < header.e_phnum; i++) {
		const off_t at = (off_t)(header.e_phoff + i * sizeof(segment));

		if (pread(fd, &segment, sizeof(segment), at) != (ssize_t)sizeof(segment))
			return NULL;
		if (segment.p_type == PT_INTERP)
			return is_go(fd, &header) ? go : NULL;
	}
	/*
	 * PT_DYNAMIC would not tell: a static program has it, too, if it is position-independent.
	 */
	return "it is statically linked";
}

/* The loader ignores LD_PRELOAD if the program gains an identity or a privilege. */
static const char *look_at_mode(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return NULL;
	if ((st.st_mode & S_ISUID) && st.st_uid != getuid())
		return "it is a set-uid program";
	if ((st.st_mode & S_ISGID) && (st.st_mode & S_IXGRP) && st.st_gid != getgid())
		return "it is a set-gid program";
	if (getuid() != 0 && getxattr(path, "security.capability", NULL, 0) > 0)
		return "its file has capabilities";
	return NULL;
}

const char *why_not_preloadable(const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	const char *why = NULL;

	/* An executable file need not be readable. */
	if (fd < 0)
		return look_at_mode(path);
	/*
	 * For a script only its interpreter matters; the kernel ignores the script's set-uid bit.
	 */
	if (is_elf(fd)) {
		why = look_at_mode(path);
		if (!why)
			why = look_at_elf(fd);
	}
	close(fd);
	return why;
}
