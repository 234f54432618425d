/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program that knows nothing of divert sockets and runs plugins: plug OBJECT [ARGUMENT...]. It
 * calls the object's function plugin() as main() would be called, and exits with its result.
 */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	int (*plugin)(int argc, char **argv);
	void *object;
	int status;

	if (argc < 2) {
		fputs("usage: plug OBJECT [ARGUMENT...]\n", stderr);
		return 2;
	}
	object = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	*(void **)&plugin = object ? dlsym(object, "plugin") : NULL;
	if (!plugin) {
		fprintf(stderr, "plug: %s\n", dlerror());
		return 1;
	}
	status = plugin(argc - 1, argv + 1);
	dlclose(object);
	return status;
}
