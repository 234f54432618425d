// SPDX-License-Identifier: BSD-2-Clause
#include "ring.h"

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>

#define HEADER 8 /* of each record: length and flags, then the kernel's own */

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

static void step(struct ring *r, unsigned long at, __u32 head)
{
	__u32 len = head & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

	__atomic_store_n(r->consumer, at + ((len + HEADER + 7) & ~7ul), __ATOMIC_RELEASE);
}

const struct divert_record *ring_peek(struct ring *r)
{
	unsigned long at = *r->consumer;
	const __u32 *head;
	__u32 len;

	while (at < __atomic_load_n(r->producer, __ATOMIC_ACQUIRE)) {
		head = (const void *)(r->data + (at & (r->size - 1)));
		len = __atomic_load_n(head, __ATOMIC_ACQUIRE);
		if (len & BPF_RINGBUF_BUSY_BIT)
			return NULL;
		if (!(len & BPF_RINGBUF_DISCARD_BIT))
			return (const void *)((const char *)head + HEADER);
		step(r, at, len);
		at = *r->consumer;
	}
	return NULL;
}

void ring_next(struct ring *r)
{
	unsigned long at = *r->consumer;

	step(r, at, *(const __u32 *)(r->data + (at & (r->size - 1))));
}
