// SPDX-License-Identifier: BSD-2-Clause
/* Sends packets in bulk: loads the XDP program, and keeps it attached so that runs are fast. */
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

#include "bulk.skel.h" /* after layout.h */

#define PIN_STACK 262144 /* bytes */

/*
 * Inode number of the network namespace that a socket was made in; 0: not known. Does not need
 * /proc.
 */
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

/* ---- pinning ---- */

/* Carries a descriptor from one process to another. */
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

struct pin_child {
	int prog;
	int pair[2]; /* the child sends its namespace through these */
};

/*
 * Running an XDP program that is not attached makes the kernel update the XDP dispatcher twice for
 * each run of more than one packet, 12 ms each time. So keep it attached to the lo of an otherwise
 * empty network namespace, which goes away with this process.
 */
static int make_pin(void *arg)
{
	const struct pin_child *h = arg;
	int sock, fd = -1;

	if (unshare(CLONE_NEWNET))
		return 1;
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock >= 0 && !bpf_xdp_attach(LO_IFINDEX, h->prog, 0, NULL))
		fd = ioctl(sock, SIOCGSKNS);
	return fd < 0 || pass_fd(h->pair[1], fd);
}

/*
 * Pin in a child, for which we wait, so that this process never leaves its namespace, whatever
 * happens. A thread would work, too, but the C library and this library would treat the process as
 * threaded from then on. fork(3) would run the program's pthread_atfork(3) handlers.
 */
static int pin(int prog)
{
	struct pin_child h = {.prog = prog};
	char *stack = mmap(NULL, PIN_STACK, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	sigset_t all, was;
	pid_t pid = -1;
	int fd;

	if (stack == MAP_FAILED)
		return -ENOMEM;
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, h.pair)) {
		munmap(stack, PIN_STACK);
		return -errno;
	}
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &was);
	pid = clone(make_pin, stack + PIN_STACK, CLONE_VM | CLONE_VFORK, &h);
	while (pid > 0 && waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	sigprocmask(SIG_SETMASK, &was, NULL);
	fd = take_fd(h.pair[0]);
	close(h.pair[0]);
	close(h.pair[1]);
	munmap(stack, PIN_STACK);
	return fd;
}

/* ---- the program ---- */

static int reuse(struct bulk_bpf *skel, const struct engine *e)
{
	int rc = bpf_map__reuse_fd(skel->maps.port_stats, e->map[ENGINE_PORT_STATS]);

	if (!rc)
		rc = bpf_map__reuse_fd(skel->maps.settings, e->map[ENGINE_SETTINGS]);
	if (!rc)
		rc = bpf_map__reuse_fd(skel->maps.ifaces, e->map[ENGINE_IFACES]);
	return rc ? rc : bpf_map__reuse_fd(skel->maps.trains, e->map[ENGINE_BULK]);
}

static int load(struct bulk_bpf *skel, const struct engine *e, int sock, struct engine_bulk *t)
{
	int rc = reuse(skel, e);

	skel->rodata->netns = namespace_of(sock);
	if (!rc && !skel->rodata->netns)
		rc = -EPERM;
	if (!rc)
		rc = bulk_bpf__load(skel);
	if (rc)
		return rc;
	t->bulk = mmap(NULL, sizeof(*t->bulk), PROT_READ | PROT_WRITE, MAP_SHARED,
		       bpf_map__fd(skel->maps.bss), 0);
	t->prog = fcntl(bpf_program__fd(skel->progs.divert_bulk), F_DUPFD_CLOEXEC, 0);
	if (t->bulk == MAP_FAILED)
		t->bulk = NULL;
	return t->bulk && t->prog >= 0 ? 0 : -errno;
}

int engine_bulk_open(const struct engine *e, int sock, struct engine_bulk *t)
{
	libbpf_print_fn_t print = libbpf_set_print(engine_silent);
	struct bulk_bpf *skel = bulk_bpf__open();
	int rc;

	*t = (struct engine_bulk){.prog = -1, .pin = -1};
	rc = skel ? load(skel, e, sock, t) : -errno;
	if (!rc) {
		t->pin = pin(t->prog);
		rc = t->pin < 0 ? t->pin : 0;
	}
	bulk_bpf__destroy(skel);
	libbpf_set_print(print);
	if (rc)
		engine_bulk_close(t);
	return rc;
}

void engine_bulk_close(struct engine_bulk *t)
{
	if (t->bulk)
		munmap(t->bulk, sizeof(*t->bulk));
	if (t->prog >= 0)
		close(t->prog);
	if (t->pin >= 0)
		close(t->pin);
	*t = (struct engine_bulk){.prog = -1, .pin = -1};
}

/*
 * As libbpf's bpf_prog_test_run_opts(), but without C library functions, which may be the
 * interposer's.
 */
uint32_t engine_bulk_send(const struct engine_bulk *t, uint32_t ifindex)
{
	const struct divert_batched *first = (const void *)(t->bulk->byte + t->bulk->at[0]);
	uint8_t frame[sizeof(struct ethhdr) + DIVERT_BATCH_PACKET]; /* the program fills it */
	struct xdp_md ctx = {.ingress_ifindex = ifindex};
	union bpf_attr attr = {};

	t->bulk->next = t->bulk->gone = 0;
	ctx.data_end = sizeof(struct ethhdr) + first->len;
	attr.test.prog_fd = t->prog;
	attr.test.data_in = (uintptr_t)frame;
	attr.test.data_size_in = ctx.data_end;
	attr.test.ctx_in = (uintptr_t)&ctx;
	attr.test.ctx_size_in = sizeof(ctx);
	attr.test.repeat = t->bulk->n;
	/* the kernel receives each batch before it reuses the batch's pages for the next packets */
	attr.test.batch_size = t->bulk->n < DIVERT_BULK_LIST ? t->bulk->n : DIVERT_BULK_LIST;
	attr.test.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
	/* ignore the result: t->bulk has the count */
	syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof(attr));
	return t->bulk->gone < t->bulk->n ? t->bulk->gone : t->bulk->n;
}
