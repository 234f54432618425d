// SPDX-License-Identifier: BSD-2-Clause
/*
 * -P: the process whose socket a packet comes from, or goes to. /proc/net says which socket has the
 * packet's addresses, and /proc/PID/fd who holds it. What they said is kept for a second.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "interceptor.h"

#define KEPT   1024
#define RECENT 8 /* processes */

/* A socket's two ends as this host has them. */
struct ends {
	uint8_t local[16], remote[16]; /* IPv4: ::ffff:a.b.c.d */
	uint16_t local_port, remote_port;
	uint8_t proto;
};

struct found {
	struct ends ends;
	time_t until;
	unsigned long inode; /* 0: no socket */
	int fd;		     /* of the process */
	struct process process;
};

static const char *const tables[][3] = {
	{"\x06", "/proc/self/net/tcp", "/proc/self/net/tcp6"},
	{"\x11", "/proc/self/net/udp", "/proc/self/net/udp6"},
	{"\x01", "/proc/self/net/icmp", NULL},
	{"\x3a", "/proc/self/net/icmp6", NULL},
	{NULL, "/proc/self/net/raw", "/proc/self/net/raw6"},
};

/* ---- a packet's ends ---- */

static void address(uint8_t to[16], const uint8_t *from, int version)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (version == 6) {
		memcpy(to, from, 16);
		return;
	}
	memcpy(to, mapped, 12);
	memcpy(to + 12, from, 4);
}

static void ends_of(const struct seen *s, struct ends *e)
{
	const bool out = s->info.flags & DIVERT_INFO_OUT;
	bool request;

	memset(e, 0, sizeof(*e));
	address(e->local, out ? s->src : s->dst, s->version);
	address(e->remote, out ? s->dst : s->src, s->version);
	e->proto = s->proto;
	if (s->ports) {
		e->local_port = get16(s->inner + (out ? 0 : 2));
		e->remote_port = get16(s->inner + (out ? 2 : 0));
	} else if (is_echo(s, &request)) {
		e->local_port = get16(s->inner + 4); /* of a datagram socket for ICMP */
	}
}

/*
 * May a socket of this host be bound to the address? An inbound packet may be about to be
 * forwarded, and each socket without an address would seem to fit.
 */
static bool is_ours(const uint8_t a[16], uint32_t ifindex)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_scope_id = ifindex};
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	bool mapped, ours;
	int fd;

	memcpy(&v6.sin6_addr, a, 16);
	memcpy(&v4.sin_addr, a + 12, 4);
	mapped = IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr);
	fd = socket(mapped ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	ours = mapped ? !bind(fd, (struct sockaddr *)&v4, sizeof(v4))
		      : !bind(fd, (struct sockaddr *)&v6, sizeof(v6));
	close(fd);
	return ours;
}

/* ---- the socket ---- */

/* Words of 32 bits, each in this host's order. */
static bool read_address(const char *text, uint8_t to[16])
{
	const size_t words = strlen(text) / 8;
	uint32_t word[4] = {};
	size_t i;

	if (words != 1 && words != 4)
		return false;
	for (i = 0; i < words; i++)
		if (sscanf(text + 8 * i, "%8x", &word[i]) != 1)
			return false;
	if (words == 1 && *word) /* 0.0.0.0 is any, as :: is */
		address(to, (uint8_t *)word, 4);
	else
		memcpy(to, word, 16);
	return true;
}

static bool is_any(const uint8_t a[16])
{
	static const uint8_t any[16];

	return !memcmp(a, any, 16);
}

/* How well a socket fits; 0: not at all. port: the protocol of a raw socket, or the local port. */
static int fit(const struct ends *e, const struct ends *sock, uint16_t port)
{
	int points = 1;

	if (sock->local_port != port)
		return 0;
	if (!is_any(sock->local)) {
		if (memcmp(sock->local, e->local, 16))
			return 0;
		points++;
	}
	if (!is_any(sock->remote)) {
		if (memcmp(sock->remote, e->remote, 16) ||
		    (sock->remote_port && sock->remote_port != e->remote_port))
			return 0;
		points += 2;
	}
	return points;
}

/* Look into one table. Two that fit equally well: nobody knows which of them it is. */
static void search(const char *path, const struct ends *e, uint16_t port, struct found *f)
{
	char line[512], local[33], remote[33];
	unsigned int uid, lport, rport;
	unsigned long inode;
	struct ends sock;
	int points, best = 0;
	FILE *file = fopen(path, "re");

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line,
			   " %*d: %32[0-9A-F]:%x %32[0-9A-F]:%x %*x %*x:%*x %*x:%*x %*x %u %*d %lu",
			   local, &lport, remote, &rport, &uid, &inode) != 6 ||
		    !read_address(local, sock.local) || !read_address(remote, sock.remote))
			continue;
		sock.local_port = lport;
		sock.remote_port = rport;
		points = fit(e, &sock, port);
		if (!inode || !points || points < best)
			continue;
		f->inode = points == best ? 0 : inode;
		f->process.uid = points == best ? (uint32_t)-1 : uid;
		best = points;
	}
	if (file)
		fclose(file);
}

static void find_socket(const struct ends *e, struct found *f)
{
	size_t i, k;
	bool raw;

	for (i = 0; i < sizeof(tables) / sizeof(*tables) && !f->inode; i++) {
		raw = !tables[i][0];
		if (!raw && *tables[i][0] != e->proto)
			continue;
		for (k = 1; k < 3 && tables[i][k] && !f->inode; k++)
			search(tables[i][k], e, raw ? e->proto : e->local_port, f);
	}
}

/* ---- the process ---- */

static bool holds(const char *path, const char *name, unsigned long inode)
{
	char at[640], to[64], wanted[64];
	ssize_t len;

	snprintf(at, sizeof(at), "%s/%s", path, name);
	snprintf(wanted, sizeof(wanted), "socket:[%lu]", inode);
	len = readlink(at, to, sizeof(to) - 1);
	if (len < 0)
		return false;
	to[len] = '\0';
	return !strcmp(to, wanted);
}

static void read_name(struct process *p)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/comm", p->pid);
	f = fopen(path, "re");
	if (!f || !fgets(p->name, sizeof(p->name), f))
		strcpy(p->name, "?");
	p->name[strcspn(p->name, "\n")] = '\0';
	if (f)
		fclose(f);
}

/* Does the process hold the socket? */
static bool search_process(const char *pid, struct found *f)
{
	struct dirent *entry;
	bool there = false;
	char path[300];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	while (!there && dir && (entry = readdir(dir))) {
		there = holds(path, entry->d_name, f->inode);
		f->fd = atoi(entry->d_name);
	}
	if (dir)
		closedir(dir);
	return there;
}

/* Most new sockets are of a process that had others a moment ago: look there first. */
static void search_recent(struct found *f, int recent[RECENT])
{
	char pid[16];
	int i;

	for (i = 0; i < RECENT && recent[i] && !f->process.pid; i++) {
		snprintf(pid, sizeof(pid), "%d", recent[i]);
		if (search_process(pid, f))
			f->process.pid = recent[i];
	}
}

static void make_recent(int pid, int recent[RECENT])
{
	int i = 0;

	while (i < RECENT - 1 && recent[i] && recent[i] != pid)
		i++;
	memmove(recent + 1, recent, i * sizeof(*recent));
	recent[0] = pid;
}

static void search_processes(struct found *f)
{
	static int recent[RECENT];
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	search_recent(f, recent);
	while (!f->process.pid && proc && (entry = readdir(proc)))
		if (isdigit((unsigned char)*entry->d_name) && search_process(entry->d_name, f))
			f->process.pid = atoi(entry->d_name);
	if (proc)
		closedir(proc);
	if (!f->process.pid)
		return;
	make_recent(f->process.pid, recent);
	read_name(&f->process);
}

static bool still_holds(const struct found *f)
{
	char path[32], name[16];

	snprintf(path, sizeof(path), "/proc/%d/fd", f->process.pid);
	snprintf(name, sizeof(name), "%d", f->fd);
	return f->process.pid && holds(path, name, f->inode);
}

static void name_user(struct process *p)
{
	const struct passwd *user = p->uid != (uint32_t)-1 ? getpwuid(p->uid) : NULL;

	p->user[0] = '\0';
	if (user)
		snprintf(p->user, sizeof(p->user), "%s", user->pw_name);
	else if (p->uid != (uint32_t)-1)
		snprintf(p->user, sizeof(p->user), "%u", p->uid);
}

/* ---- what is kept ---- */

static struct found *place(const struct ends *e)
{
	static struct found kept[KEPT];
	const uint8_t *p = (const uint8_t *)e;
	uint32_t hash = 2166136261u;
	size_t i;

	for (i = 0; i < sizeof(*e); i++)
		hash = (hash ^ p[i]) * 16777619u;
	return &kept[(hash ^ hash >> 16) % KEPT];
}

bool find_process(const struct seen *s, struct process *p)
{
	struct timespec now;
	struct found *f;
	struct ends e;

	if (!s->version || s->later || s->info.flags & DIVERT_INFO_FORWARDED)
		return false;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	ends_of(s, &e);
	f = place(&e);
	if (memcmp(&f->ends, &e, sizeof(e)) || (f->until <= now.tv_sec && !still_holds(f))) {
		memset(f, 0, sizeof(*f));
		f->ends = e;
		f->process.uid = (uint32_t)-1;
		if (s->info.flags & DIVERT_INFO_OUT || is_ours(e.local, s->info.ifindex))
			find_socket(&e, f);
		if (f->inode)
			search_processes(f);
		name_user(&f->process);
	}
	if (f->until <= now.tv_sec)
		f->until = now.tv_sec + 1;
	*p = f->process;
	if (p->uid == (uint32_t)-1 && s->info.uid != p->uid) {
		p->uid = s->info.uid;
		name_user(p);
	}
	return p->pid || *p->user;
}
