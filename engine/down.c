// SPDX-License-Identifier: BSD-2-Clause
#include "down.h"

#include <linux/if_ether.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "port.h"
#include "reinject.h"

static void set_flag(uint32_t ring_id)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	int fd = bpf_map_get_fd_by_id(ring_id);
	void *at;

	if (fd < 0)
		return;
	at = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at != MAP_FAILED) {
		__atomic_store_n(down_flag(at), 1, __ATOMIC_RELEASE);
		munmap(at, page);
	}
	close(fd);
}

/*
 * Wake the readers, which only the kernel half can do. A full ring takes no record, but then nobody
 * sleeps.
 */
static void wake(const struct engine *e, uint32_t slot)
{
	struct divert_frame frame;

	reinject_frame(&frame, ETH_P_IP);
	frame.reinject.flags |= DIVERT_REINJECT_SET;
	frame.reinject.tag = DIVERT_SET_WAKE;
	frame.reinject.ifindex = slot;
	(void)send(e->asker, &frame, sizeof(frame), 0);
}

void engine_down(struct engine *e)
{
	uint32_t slot[DIVERT_SOCKETS_MAX], id, i, n = port_slots(e, false, slot);

	for (i = 0; i < n; i++) {
		if (bpf_map_lookup_elem(e->map[ENGINE_SOCKETS], &slot[i], &id))
			continue;
		/* treat an error as alive, too; this call opens e->asker */
		if (engine_slot_alive(e, slot[i])) {
			set_flag(id);
			wake(e, slot[i]);
		}
	}
}
