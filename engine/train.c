// SPDX-License-Identifier: BSD-2-Clause
/* Sending trains: the program for it, and what makes that quick. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/sockios.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "error.h"
#include "load.h"
#include "train.skel.h"

#define HOLD_STACK 262144 /* bytes */

/* The network namespace that a socket was made in: its inode, 0 if it cannot be had. Not by /proc. */
static uint32_t namespace_of(int sock)
{
	int fd = ioctl(sock, SIOCGSKNS);
	struct stat st = {};

	if (fd < 0)
		return 0;
	if (fstat(fd, &st))
		st.st_ino = 0;
	close(fd);
	return st.st_ino;
}

/* ---- the hold ---- */

/* A descriptor from one process to another. */
union fd_message {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

static int pass_fd(int to, int fd)
{
	union fd_message m = {.header = {CMSG_LEN(sizeof(fd)), SOL_SOCKET, SCM_RIGHTS}};
	struct iovec one = {"", 1};
	const struct msghdr msg = {
		.msg_iov = &one,
		.msg_iovlen = 1,
		.msg_control = &m,
		.msg_controllen = sizeof(m),
	};

	memcpy(CMSG_DATA(&m.header), &fd, sizeof(fd));
	return sendmsg(to, &msg, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

static int take_fd(int from)
{
	union fd_message m = {};
	char byte;
	struct iovec one = {&byte, 1};
	struct msghdr msg = {
		.msg_iov = &one,
		.msg_iovlen = 1,
		.msg_control = &m,
		.msg_controllen = sizeof(m),
	};
	int fd = -1;

	if (recvmsg(from, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) != 1 ||
	    msg.msg_controllen < CMSG_LEN(sizeof(fd)) || m.header.cmsg_type != SCM_RIGHTS)
		return -EPERM;
	memcpy(&fd, CMSG_DATA(&m.header), sizeof(fd));
	return fd;
}

struct hold {
	int prog;
	int pair[2]; /* its namespace comes through these */
};

/*
 * The kernel enters an XDP program into a table of those that it calls directly, and takes it out
 * again, for each run of more than one packet, unless it is attached somewhere: each takes 12 ms.
 * It is attached to the lo of a network namespace in which nothing is, and which is gone with us.
 */
static int make_hold(void *arg)
{
	const struct hold *h = arg;
	int sock, fd = -1;

	if (unshare(CLONE_NEWNET))
		return 1;
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock >= 0 && !bpf_xdp_attach(LO_IFINDEX, h->prog, 0, NULL))
		fd = ioctl(sock, SIOCGSKNS);
	return fd < 0 || pass_fd(h->pair[1], fd);
}

/*
 * By somebody else, as this process is not to leave its namespace, whatever happens: a child for
 * which we wait. A thread would do, too, but then the C library takes the process for one with threads
 * from here on, and so do we; and fork(3) calls what the program has given pthread_atfork(3).
 */
static int hold(int prog)
{
	struct hold h = {.prog = prog};
	char *stack = mmap(NULL, HOLD_STACK, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	sigset_t all, was;
	pid_t pid = -1;
	int fd;

	if (stack == MAP_FAILED)
		return -ENOMEM;
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, h.pair)) {
		munmap(stack, HOLD_STACK);
		return -errno;
	}
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &was);
	pid = clone(make_hold, stack + HOLD_STACK, CLONE_VM | CLONE_VFORK, &h);
	while (pid > 0 && waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	sigprocmask(SIG_SETMASK, &was, NULL);
	fd = take_fd(h.pair[0]);
	close(h.pair[0]);
	close(h.pair[1]);
	munmap(stack, HOLD_STACK);
	return fd;
}

/* ---- the program ---- */

static int reuse(struct train_bpf *skel, const struct engine *e)
{
	int rc = bpf_map__reuse_fd(skel->maps.port_stats, e->map[ENGINE_PORT_STATS]);

	if (!rc)
		rc = bpf_map__reuse_fd(skel->maps.settings, e->map[ENGINE_SETTINGS]);
	return rc ? rc : bpf_map__reuse_fd(skel->maps.trains, e->map[ENGINE_TRAINS]);
}

static int load(struct train_bpf *skel, const struct engine *e, int sock, struct engine_train *t)
{
	int rc = reuse(skel, e);

	skel->rodata->netns = namespace_of(sock);
	if (!rc && !skel->rodata->netns)
		rc = -EPERM;
	if (!rc)
		rc = train_bpf__load(skel);
	if (rc)
		return rc;
	t->train = mmap(NULL, sizeof(*t->train), PROT_READ | PROT_WRITE, MAP_SHARED,
			bpf_map__fd(skel->maps.bss), 0);
	t->prog = fcntl(bpf_program__fd(skel->progs.divert_train), F_DUPFD_CLOEXEC, 0);
	if (t->train == MAP_FAILED)
		t->train = NULL;
	return t->train && t->prog >= 0 ? 0 : -errno;
}

int engine_train_open(const struct engine *e, int sock, struct engine_train *t)
{
	libbpf_print_fn_t print = libbpf_set_print(engine_silent);
	struct train_bpf *skel = train_bpf__open();
	int rc;

	*t = (struct engine_train){.prog = -1, .hold = -1};
	rc = skel ? load(skel, e, sock, t) : -errno;
	if (!rc) {
		t->hold = hold(t->prog);
		rc = t->hold < 0 ? t->hold : 0;
	}
	train_bpf__destroy(skel);
	libbpf_set_print(print);
	if (rc)
		engine_train_close(t);
	return rc;
}

void engine_train_close(struct engine_train *t)
{
	if (t->train)
		munmap(t->train, sizeof(*t->train));
	if (t->prog >= 0)
		close(t->prog);
	if (t->hold >= 0)
		close(t->hold);
	*t = (struct engine_train){.prog = -1, .hold = -1};
}

/* As libbpf's bpf_prog_test_run_opts(), but no C library's function: it may be the interposer's. */
uint32_t engine_train_send(const struct engine_train *t, uint32_t ifindex)
{
	const struct divert_batched *first = (const void *)(t->train->byte + t->train->at[0]);
	uint8_t frame[sizeof(struct ethhdr) + DIVERT_BATCH_PACKET]; /* the program fills it */
	struct xdp_md ctx = {.ingress_ifindex = ifindex};
	union bpf_attr attr = {};

	t->train->next = t->train->gone = 0;
	ctx.data_end = sizeof(struct ethhdr) + first->len;
	attr.test.prog_fd = t->prog;
	attr.test.data_in = (uintptr_t)frame;
	attr.test.data_size_in = ctx.data_end;
	attr.test.ctx_in = (uintptr_t)&ctx;
	attr.test.ctx_size_in = sizeof(ctx);
	attr.test.repeat = t->train->n;
	/* after so many the kernel receives them, and the pages of the next ones are those of the first */
	attr.test.batch_size = t->train->n < DIVERT_TRAIN_LIST ? t->train->n : DIVERT_TRAIN_LIST;
	attr.test.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
	/* whatever it answers, what went is in the train */
	syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof(attr));
	return t->train->gone < t->train->n ? t->train->gone : t->train->n;
}
