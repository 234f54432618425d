// SPDX-License-Identifier: BSD-2-Clause
#include "ring.h"

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>

#define HEADER	   8	  /* of each record: length and flags, then a word of the kernel's */
#define TELL_AFTER 16384u /* publish after this many bytes read */
#define AHEAD	   1600	  /* bytes of the next record to prefetch: a full frame */
#define LINE	   64

int ring_create(size_t size)
{
	size_t page = sysconf(_SC_PAGESIZE), room = page;
	int fd;

	while (room < size && room < 1ul << 30)
		room *= 2;
	fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "divert_ring", 0, 0, room, NULL);
	return fd < 0 ? -errno : fd;
}

int ring_map(struct ring *r, int fd)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);
	size_t page = sysconf(_SC_PAGESIZE);
	void *at;

	memset(r, 0, sizeof(*r));
	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return -errno;
	r->size = info.max_entries;
	at = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	r->consumer = at;
	at = mmap(NULL, page + 2 * r->size, PROT_READ, MAP_SHARED, fd, page);
	if (at == MAP_FAILED) {
		int error = errno;

		ring_unmap(r);
		return -error;
	}
	r->producer = at;
	r->data = (const char *)at + page;
	r->at = r->seen = *r->consumer;
	return 0;
}

void ring_unmap(struct ring *r)
{
	size_t page = sysconf(_SC_PAGESIZE);

	if (r->consumer)
		munmap(r->consumer, page);
	if (r->producer)
		munmap(r->producer, page + 2 * r->size);
	memset(r, 0, sizeof(*r));
}

/* The kernel may overwrite the ring up to this position. */
static unsigned long free_to(const struct ring *r)
{
	return r->holding ? r->hold : r->at;
}

static unsigned long told(const struct ring *r)
{
	return free_to(r) - (r->looking || r->ended ? HEADER : 0);
}

/* Publish our position. The kernel wakes readers when it commits a record at this position. */
static void tell(struct ring *r)
{
	__atomic_store_n(r->consumer, told(r), __ATOMIC_RELEASE);
}

void ring_hold(struct ring *r, const unsigned long *at)
{
	if (r->eager)
		return;
	r->holding = at != NULL;
	if (at)
		r->hold = *at;
	if ((!at && r->at == r->seen) || free_to(r) - *r->consumer >= TELL_AFTER)
		tell(r);
}

void ring_share(struct ring *r)
{
	const int ended = r->ended;

	r->holding = r->looking = r->ended = 0;
	tell(r);
	r->eager = 1;
	if (ended)
		ring_end(r);
}

void ring_unshare(struct ring *r)
{
	r->at = r->seen = *r->consumer;
	r->eager = 0;
}

static const __u32 *head_at(const struct ring *r)
{
	return (const void *)(r->data + (r->at & (r->size - 1)));
}

/*
 * Publish at the latest when the ring is empty, so that poll(2) is correct and the next record
 * wakes a sleeper.
 */
static void step(struct ring *r, __u32 head)
{
	__u32 len = head & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

	r->at += (len + HEADER + 7) & ~7ul;
	*read_place(r->consumer) = r->at;
	if (r->at == r->seen)
		r->seen = __atomic_load_n(r->producer, __ATOMIC_ACQUIRE);
	if (r->eager || r->at == r->seen || free_to(r) - *r->consumer >= TELL_AFTER)
		tell(r);
}

const struct divert_record *ring_peek(struct ring *r)
{
	const __u32 *head;
	__u32 len;

	if (r->eager)
		r->at = *r->consumer;
	if (r->eager || r->at == r->seen)
		r->seen = __atomic_load_n(r->producer, __ATOMIC_ACQUIRE);
	while (r->at != r->seen) {
		head = head_at(r);
		len = __atomic_load_n(head, __ATOMIC_ACQUIRE);
		if (len & BPF_RINGBUF_BUSY_BIT) {
			/*
			 * publish: the record is then the first in the ring, and its completion
			 * wakes a sleeper
			 */
			if (*r->consumer != told(r))
				tell(r);
			return NULL;
		}
		if (!(len & BPF_RINGBUF_DISCARD_BIT))
			return (const void *)((const char *)head + HEADER);
		step(r, len);
	}
	return NULL;
}

void ring_next(struct ring *r)
{
	const __u32 *head = head_at(r);
	const struct divert_record *record = (const void *)((const char *)head + HEADER);
	size_t len = HEADER + sizeof(*record) + record->len, i;

	step(r, *head);
	/* The next record is in another CPU's cache: prefetch it, assuming the same length. */
	head = head_at(r);
	for (i = 0; i < len && i < AHEAD; i += LINE)
		__builtin_prefetch((const char *)head + i);
}

void ring_wakeups_off(struct ring *r)
{
	if (r->eager || r->looking)
		return;
	r->looking = 1;
	if (*r->consumer == r->at)
		tell(r);
}

void ring_wakeups_on(struct ring *r)
{
	if (!r->looking)
		return;
	r->looking = 0;
	if (r->at == r->seen)
		tell(r);
}

/* Make the ring look non-empty without a record, so that poll(2) reports it readable. */
void ring_end(struct ring *r)
{
	if (!r->eager) {
		r->ended = 1;
		tell(r);
	} else if (__atomic_load_n(r->producer, __ATOMIC_ACQUIRE) == *r->consumer) {
		__atomic_store_n(r->consumer, *r->consumer - HEADER, __ATOMIC_RELEASE);
	}
}

void ring_restart(struct ring *r)
{
	r->ended = r->looking = 0;
	r->at = r->seen = __atomic_load_n(r->producer, __ATOMIC_ACQUIRE);
	*read_place(r->consumer) = r->at;
	tell(r);
}
