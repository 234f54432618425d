// SPDX-License-Identifier: BSD-2-Clause
#include "iface.h"

#include <net/if.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include <linux/rtnetlink.h>

#include "engine/netlink.h"
#include "engine/thread.h"

#define ENTRIES	 16
#define LIFETIME 1000000000 /* ns */

enum kind {
	BY_NAME = 1,
	BY_ADDR4,
	BY_ADDR6,
	ADDR6_OF,
	LOCAL,
};

struct entry {
	enum kind kind;
	uint32_t ifindex;
	int64_t until; /* ns, CLOCK_MONOTONIC_COARSE */
	uint8_t key[16];
	struct in6_addr addr; /* ADDR6_OF */
};

struct cache {
	struct entry entry[ENTRIES];
	unsigned int last, victim;
};

static struct thread_memory caches = THREAD_MEMORY;

/* This thread's cache. NULL: out of memory, then nothing is cached. */
static struct cache *cache(void)
{
	return thread_memory(&caches, sizeof(struct cache));
}

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static struct entry *find(enum kind kind, const void *key, size_t len)
{
	struct cache *c = cache();
	unsigned int i;

	for (i = 0; c && i < ENTRIES; i++) {
		struct entry *e = &c->entry[(c->last + i) % ENTRIES];

		if (e->kind == kind && !memcmp(e->key, key, len)) {
			c->last = (c->last + i) % ENTRIES;
			return e;
		}
	}
	return NULL;
}

static struct entry *find_fresh(enum kind kind, const void *key, size_t len)
{
	struct entry *e = find(kind, key, len);

	return e && e->until > now() ? e : NULL;
}

static struct entry *keep(enum kind kind, const void *key, size_t len, uint32_t ifindex)
{
	struct entry *e = find(kind, key, len);
	struct cache *c = cache();

	if (!c)
		return NULL;
	if (!e) {
		c->last = c->victim++ % ENTRIES;
		e = &c->entry[c->last];
		memset(e, 0, sizeof(*e));
		e->kind = kind;
		memcpy(e->key, key, len);
	}
	e->ifindex = ifindex;
	e->until = now() + LIFETIME;
	return e;
}

/* The name learned last: the next packets reinjected are most likely for it. */
#define FRESH_USES 256u
static __thread struct {
	uint64_t name;
	uint32_t ifindex;
	unsigned int uses; /* since it was learned; after FRESH_USES the clock decides */
	bool any_local;	   /* most threads never send to the host itself */
} newest;

void iface_learn(const char name[8], uint32_t ifindex)
{
	uint64_t word;

	memcpy(&word, name, sizeof(word));
	if (newest.name != word || newest.ifindex != ifindex) {
		keep(BY_NAME, name, 8, ifindex);
		newest.name = word;
		newest.ifindex = ifindex;
	}
	newest.uses = 0;
}

uint32_t iface_by_name(const char name[8], int *guessed)
{
	uint32_t ifindex;
	struct entry *e;
	uint64_t word;

	memcpy(&word, name, sizeof(word));
	*guessed = 1;
	if (word == newest.name && newest.uses < FRESH_USES) {
		newest.uses++;
		return newest.ifindex;
	}
	e = find_fresh(BY_NAME, name, 8);
	if (e)
		return e->ifindex;
	*guessed = 0;
	ifindex = if_nametoindex(name);
	if (ifindex)
		keep(BY_NAME, name, 8, ifindex);
	return ifindex;
}

/*
 * Find the interface that has a local address, or an interface's first address, whichever is not
 * given. We use rtnetlink rather than getifaddrs(3), which also dumps all links and so waits for
 * every change of a link, a namespace or an XDP program on the host.
 */
struct wanted {
	size_t len; /* length of the address, which implies its family */
	const void *addr;
	uint32_t ifindex;
	struct in6_addr found; /* the interface's first address */
};

static int take_addr(const struct nlmsghdr *nlh, void *data)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	const uint8_t *local = NULL;
	const struct nlattr *attr;
	struct wanted *w = data;

	mnl_attr_for_each(attr, nlh, sizeof(*ifa))
	{
		if (mnl_attr_get_payload_len(attr) != w->len)
			continue;
		/* on a point-to-point link, IFA_ADDRESS is the peer and IFA_LOCAL is ours */
		if (mnl_attr_get_type(attr) == IFA_LOCAL ||
		    (mnl_attr_get_type(attr) == IFA_ADDRESS && !local))
			local = mnl_attr_get_payload(attr);
	}
	if (!local ||
	    (w->addr ? memcmp(local, w->addr, w->len) != 0 : ifa->ifa_index != w->ifindex))
		return MNL_CB_OK;
	w->ifindex = ifa->ifa_index;
	memcpy(&w->found, local, w->len);
	return MNL_CB_STOP;
}

/* Did the kernel find a match? */
static bool ask(struct wanted *w)
{
	char buf[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifaddrmsg *ifa;

	nlh->nlmsg_type = RTM_GETADDR;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	ifa->ifa_family = w->len == 4 ? AF_INET : AF_INET6;
	w->found = in6addr_any;
	return !netlink_ask(nlh, take_addr, w) && !IN6_IS_ADDR_UNSPECIFIED(&w->found);
}

static uint32_t by_addr(int family, const void *addr, int *guessed)
{
	enum kind kind = family == AF_INET ? BY_ADDR4 : BY_ADDR6;
	size_t len = family == AF_INET ? 4 : 16;
	struct entry *e = find_fresh(kind, addr, len);
	struct wanted w = {.len = len, .addr = addr};

	*guessed = e != NULL;
	if (e)
		return e->ifindex;
	if (!ask(&w))
		return 0;
	keep(kind, addr, len, w.ifindex);
	return w.ifindex;
}

uint32_t iface_by_addr4(in_addr_t addr, int *guessed)
{
	return by_addr(AF_INET, &addr, guessed);
}

uint32_t iface_by_addr6(const struct in6_addr *addr, int *guessed)
{
	return by_addr(AF_INET6, addr, guessed);
}

void iface_addr6(uint32_t ifindex, struct in6_addr *addr)
{
	static const uint8_t none[16] = {[10] = 255, 255, 255, 255, 255, 255};
	struct entry *e = find_fresh(ADDR6_OF, &ifindex, sizeof(ifindex));
	struct wanted w = {.len = sizeof(*addr), .ifindex = ifindex};

	if (e) {
		*addr = e->addr;
		return;
	}
	memcpy(addr, ask(&w) ? (const void *)&w.found : none, sizeof(*addr));
	e = keep(ADDR6_OF, &ifindex, sizeof(ifindex), ifindex);
	if (e)
		e->addr = *addr;
}

void iface_learn_local(const void *addr, size_t len)
{
	newest.any_local = true;
	keep(LOCAL, addr, len, 0);
}

int iface_is_local(const void *addr, size_t len)
{
	return newest.any_local && find_fresh(LOCAL, addr, len);
}

void iface_forget(void)
{
	struct cache *c = cache();

	if (c)
		memset(c, 0, sizeof(*c));
	memset(&newest, 0, sizeof(newest));
}
