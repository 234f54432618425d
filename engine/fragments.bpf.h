/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The table of fragmented packets: what became of a first fragment, for the later ones. */
#ifndef DIVERT_ENGINE_FRAGMENTS_BPF_H
#define DIVERT_ENGINE_FRAGMENTS_BPF_H

#include "context.bpf.h"

#define FRAGMENTS_MAX 32768		   /* packets being tracked */
#define FRAGMENTS_NS  (60 * 1000000000ull) /* RFC 8200: later, another packet may have the id */

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FRAGMENTS_MAX);
	__type(key, struct fragments_key);
	__type(value, struct fragments);
} fragmented SEC(".maps");

static __always_inline void fragments_key(const struct packet_context *d, struct fragments_key *k)
{
	const struct divert_packet *f = &d->packet;

	k->addr[0] = f->field[DIVERT_F_SRC4];
	k->addr[1] = 0;
	k->addr[2] = f->field[DIVERT_F_DST4];
	k->addr[3] = 0;
	k->proto = f->field[DIVERT_F_PROTO];
	if (f->field[DIVERT_F_FLAGS] & DIVERT_IS_V6) {
		k->addr[0] = f->wide[DIVERT_W_SRC6][0];
		k->addr[1] = f->wide[DIVERT_W_SRC6][1];
		k->addr[2] = f->wide[DIVERT_W_DST6][0];
		k->addr[3] = f->wide[DIVERT_W_DST6][1];
		k->proto = 0;
	}
	k->id = d->shape.id;
	k->tag = d->tag;
	k->out = f->field[DIVERT_F_FLAGS] & DIVERT_IS_OUT;
}

/* The entry of the packet. If there is none, or it is too old, a new one. */
static __always_inline struct fragments *fragments_find(struct packet_context *d)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	struct fragments *f;

	fragments_key(d, &d->key);
	f = bpf_map_lookup_elem(&fragmented, &d->key);
	if (f && now - f->when < FRAGMENTS_NS)
		return f;
	__builtin_memset(&d->fresh, 0, sizeof(d->fresh));
	d->fresh.when = now;
	bpf_map_update_elem(&fragmented, &d->key, &d->fresh, BPF_ANY);
	return bpf_map_lookup_elem(&fragmented, &d->key);
}

#endif
