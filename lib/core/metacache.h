/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Metadata cache: what the kernel knows about a packet beside its bytes and its sockaddr cannot
 * carry (interface, link header, priority, owner). Entries are made per flow when a packet is
 * received, and found when it, or another of its flow, is reinjected. Several threads may use the
 * cache at once; a lookup misses an entry that another thread is just changing.
 */
#ifndef LIB_METACACHE_H
#define LIB_METACACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/layout.h"
#include "engine/reinject.h"

#define METACACHE_FLOWS 4096u /* flows in the cache */
#define METACACHE_WAYS	4u    /* associativity; the least recently used entry of a set is evicted */
#define METACACHE_SETS	(METACACHE_FLOWS / METACACHE_WAYS)

struct metacache_flow {
	uint32_t seq;	  /* seqlock: odd while the entry is being changed */
	uint32_t key;	  /* of the flow; 0: the entry is free */
	uint32_t ifindex; /* out: outgoing interface; in: receiving interface */
	uint32_t read;	  /* out: when the program last read a packet of the flow, ms */
	uint16_t tag;
	bool out;
	/* its senders are bound to different interfaces: cache single packets, too */
	bool shared;
	uint8_t destination[16]; /* IPv4: the first 4 bytes, the rest 0 */
	struct divert_meta meta;
};

struct metacache_table {
	struct metacache_set {
		uint32_t key[METACACHE_WAYS];
		uint32_t used[METACACHE_WAYS]; /* metacache.puts at the last use */
		/* packets with an owner that the program has read and not yet reinjected */
		uint16_t there[METACACHE_WAYS];
		uint8_t pad[24];
	} set[METACACHE_SETS];
	struct metacache_flow meta[METACACHE_FLOWS];
};

/*
 * Packets from senders on this host that were read, by all processes that share the socket, and not
 * yet reinjected. If there is exactly one, a modified packet of unknown origin must be that one. A
 * packet that the program dropped stops counting after at most 17 seconds.
 */
struct metacache_reads {
	uint32_t n; /* packets read so far */
	/* packets not yet reinjected: read in this period, and in the previous one */
	uint32_t there[2];
	uint32_t period; /* in units of 8.6 s */
};

struct metacache {
	struct metacache_table *table; /* allocated on first use */
	struct metacache_reads *reads; /* in struct shared; the cache does not own it */
	uint32_t last;		       /* index of the entry of the last received packet */
	/* the last packet with an owner, if it was the only one that the program had */
	struct {
		uint32_t read; /* its number (reads->n then); 0: it was not the only one */
		uint32_t place, key;
		uint32_t uid, gid;
	} only;
	uint32_t puts;
};

/* The owner found for a packet. */
struct metacache_owner {
	uint32_t uid, gid;
	uint8_t flags; /* DIVERT_META_OWNER, or 0 */
};

/* The program has read this packet. The caller has checked that len bytes hold the IP header. */
void metacache_put(struct metacache *w, const struct divert_record *rec, const uint8_t *packet,
		   uint32_t len);

/*
 * Fill in the frame's metadata for a packet that is about to be reinjected with this tag and
 * direction. If its addresses were changed, it gets the metadata of the last received packet, as
 * far as they still apply. Its owner is that of the flow's outstanding packets. in: receiving
 * interface. again: NULL, or, for a packet whose batch was refused, the owner found then. Returns a
 * handle for metacache_written().
 */
uint32_t metacache_find(struct metacache *w, const uint8_t *packet, uint32_t len, uint16_t tag,
			bool out, uint32_t in, const struct metacache_owner *again,
			struct divert_frame *frame);
void metacache_written(struct metacache *w, uint32_t found);

/* The same for a record that is reinjected unchanged. */
void metacache_of(const struct divert_record *rec, struct divert_frame *frame);

/* Clear the link-layer metadata: the packet is to be routed, or arrives without a link header. */
void metacache_forget(struct divert_frame *frame);

/* Does the frame have metadata that leads to the packet's destination? */
bool metacache_is_known(const struct divert_frame *frame);

/* Send the frame out by this interface, along that interface's own routes. */
void metacache_by(struct divert_frame *frame, uint32_t oif);

/* After fork(), in the child: a flow that another thread was changing is forgotten. */
void metacache_in_child(struct metacache *w);

void metacache_free(struct metacache *w);

#endif
