// SPDX-License-Identifier: BSD-2-Clause
/*
 * Between vfork(2) and exec(3), programs such as Python's subprocess or a shell close and copy
 * descriptors. That changes the child's descriptors only, but what libdivert knows about them is in
 * memory shared with the parent. So we must detect such a child. We keep the process id in a page
 * that fork(2) clears and vfork(2) shares.
 */
#include "interpose/child.h"
#include "interpose/next.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

static pid_t *owner;

/* The page does not suffice: a child of fork(2) may call vfork(2) before it closes anything. */
static void forked(void)
{
	__atomic_store_n(owner, getpid(), __ATOMIC_RELAXED);
}

static void make_page(void)
{
	const size_t size = (size_t)sysconf(_SC_PAGESIZE);
	void *page;

	page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return;
	/*
	 * For clone(2) and _Fork(3), which run no fork handlers. Without this, they look like
	 * vfork(2).
	 */
	(void)madvise(page, size, MADV_WIPEONFORK);
	*(pid_t *)page = getpid();
	__atomic_store_n(&owner, page, __ATOMIC_RELEASE);
	(void)pthread_atfork(NULL, NULL, forked);
}

void watch_children(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const int saved = errno;

	(void)pthread_once(&once, make_page);
	errno = saved;
}

bool children_watched(void)
{
	return __atomic_load_n(&owner, __ATOMIC_ACQUIRE) != NULL;
}

bool in_vfork_child(void)
{
	pid_t *page = __atomic_load_n(&owner, __ATOMIC_ACQUIRE);
	pid_t maker;

	if (!page)
		return false;
	maker = __atomic_load_n(page, __ATOMIC_RELAXED);
	if (maker == 0) {
		forked();
		return false;
	}
	return maker != getpid();
}

bool has_sockets(void)
{
	return children_watched() && !in_vfork_child();
}
