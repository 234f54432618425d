// SPDX-License-Identifier: BSD-2-Clause
#include "iface.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

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

/* This thread's. NULL: there is no memory, and all is asked for anew. */
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

/* The name learned last: what is written back soon after is most likely for it. */
#define FRESH_USES 256u
static __thread struct {
	uint64_t name;
	uint32_t ifindex;
	unsigned int uses; /* since it was learned: then the clock decides */
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

static bool same_addr(const struct sockaddr *sa, int family, const void *addr)
{
	if (!sa || sa->sa_family != family)
		return false;
	if (family == AF_INET)
		return !memcmp(&((const struct sockaddr_in *)sa)->sin_addr, addr, 4);
	return !memcmp(&((const struct sockaddr_in6 *)sa)->sin6_addr, addr, 16);
}

static uint32_t by_addr(int family, const void *addr, int *guessed)
{
	enum kind kind = family == AF_INET ? BY_ADDR4 : BY_ADDR6;
	size_t len = family == AF_INET ? 4 : 16;
	struct entry *e = find_fresh(kind, addr, len);
	struct ifaddrs *all, *i;
	uint32_t ifindex = 0;

	*guessed = e != NULL;
	if (e)
		return e->ifindex;
	if (getifaddrs(&all))
		return 0;
	for (i = all; i && !ifindex; i = i->ifa_next)
		if (same_addr(i->ifa_addr, family, addr))
			ifindex = if_nametoindex(i->ifa_name);
	freeifaddrs(all);
	if (ifindex)
		keep(kind, addr, len, ifindex);
	return ifindex;
}

uint32_t iface_by_addr4(in_addr_t addr, int *guessed)
{
	return by_addr(AF_INET, &addr, guessed);
}

uint32_t iface_by_addr6(const struct in6_addr *addr, int *guessed)
{
	return by_addr(AF_INET6, addr, guessed);
}

static void ask_addr6(uint32_t ifindex, struct in6_addr *addr)
{
	struct ifaddrs *all, *i;

	if (getifaddrs(&all))
		return;
	for (i = all; i; i = i->ifa_next) {
		if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET6 &&
		    if_nametoindex(i->ifa_name) == ifindex) {
			*addr = ((struct sockaddr_in6 *)i->ifa_addr)->sin6_addr;
			break;
		}
	}
	freeifaddrs(all);
}

void iface_addr6(uint32_t ifindex, struct in6_addr *addr)
{
	static const uint8_t none[16] = {[10] = 255, 255, 255, 255, 255, 255};
	struct entry *e = find_fresh(ADDR6_OF, &ifindex, sizeof(ifindex));

	if (e) {
		*addr = e->addr;
		return;
	}
	memcpy(addr, none, sizeof(none));
	ask_addr6(ifindex, addr);
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
