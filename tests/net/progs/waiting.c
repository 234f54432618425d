/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A quick divert program: waiting HOW PORT N FILE. Once FILE exists, it writes N packets back as it
 * reads them. HOW:
 *   prctl, seccomp   in the middle it sets up a filter that ends the process at io_uring(7), and
 *                    goes on so slowly that packets would wait again
 *   execv, execve, execvp, execvpe, execl, execle, execlp, fexecve, syscall
 *                    after the last one it executes sleep(1)
 *   thinks           before each 50th it is busy for 5 ms
 */
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void set_filter(int by_prctl)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_enter, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog filter = {sizeof(code) / sizeof(*code), code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		err(1, "PR_SET_NO_NEW_PRIVS");
	if (by_prctl ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)
		     : syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter))
		err(1, "filter");
}

static void execute(const char *how, int sleeper)
{
	static char *words[] = {"sleep", "60", NULL}, path[] = "/bin/sleep";

	if (!strcmp(how, "execv"))
		execv(path, words);
	if (!strcmp(how, "execve"))
		execve(path, words, environ);
	if (!strcmp(how, "execvp"))
		execvp("sleep", words);
	if (!strcmp(how, "execvpe"))
		execvpe("sleep", words, environ);
	if (!strcmp(how, "execl"))
		execl(path, "sleep", "60", (char *)NULL);
	if (!strcmp(how, "execle"))
		execle(path, "sleep", "60", (char *)NULL, environ);
	if (!strcmp(how, "execlp"))
		execlp("sleep", "sleep", "60", (char *)NULL);
	if (!strcmp(how, "fexecve"))
		fexecve(sleeper, words, environ);
	if (!strcmp(how, "syscall"))
		syscall(SYS_execve, path, words, environ);
	err(1, "%s", how);
}

/* Be busy with something else. */
static void think(double seconds)
{
	const clock_t end = clock() + (clock_t)(seconds * CLOCKS_PER_SEC);
	volatile unsigned int n;

	do {
		for (n = 0; n < 100000; n++)
			;
	} while (clock() < end);
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_RAW, 258), sleeper = open("/bin/sleep", O_PATH), i, n;
	int filter = argc == 5 && (!strcmp(argv[1], "prctl") || !strcmp(argv[1], "seccomp"));
	const int thinks = argc == 5 && !strcmp(argv[1], "thinks");
	static char packet[65535];
	socklen_t len;
	ssize_t got;

	if (argc != 5)
		errx(2, "usage: waiting HOW PORT N FILE");
	n = atoi(argv[3]);
	at.sin_port = htons(atoi(argv[2]));
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)))
		err(1, "socket, bind");
	puts("ready");
	fflush(stdout);
	while (access(argv[4], F_OK)) /* packets wait to be read */
		usleep(10000);
	for (i = 0; i < n; i++) {
		len = sizeof(at);
		got = recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *)&at, &len);
		if (got < 0)
			err(1, "recvfrom");
		if (filter && i > n / 2)
			usleep(1000);
		if (filter && i == n / 2)
			set_filter(!strcmp(argv[1], "prctl"));
		if (thinks && i % 50 == 49)
			think(0.005);
		if (sendto(fd, packet, got, 0, (struct sockaddr *)&at, len) != got)
			err(1, "sendto");
	}
	if (!filter && !thinks)
		execute(argv[1], sleeper);
	pause();
	return 0;
}
