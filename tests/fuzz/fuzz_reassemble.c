// sources: lib/packet/reassemble.c lib/packet/fraghdr.c lib/packet/fragment.c lib/packet/checksum.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fragments, made from the input. Each ends in a packet, is counted under a cause, or is released.
 * A packet that was put together has a correct header, and is the same when it is cut and put
 * together again.
 *
 * Input, repeated: flags of the record, seconds that pass, its length (2), the packet.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/packet/checksum.h"
#include "lib/packet/fragment.h"
#include "lib/packet/reassemble.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD	   4
#define PACKET_MAX 65535

static struct reassembly r;
static uint32_t fed, lost, wholes, released;

static void must(int truth)
{
	if (!truth)
		abort();
}

static void count(void)
{
	int i;

	for (i = 0; i < REASSEMBLY_CAUSES; i++)
		lost += r.lost[i];
	memset(r.lost, 0, sizeof(r.lost));
	must(r.packets <= REASSEMBLY_PACKETS && r.bytes <= REASSEMBLY_BYTES);
	must(!r.packets == !r.bytes && !r.packets == !reassembly_due(&r));
}

/* A record of its exact size. */
static struct divert_record *record(const uint8_t *packet, uint32_t len)
{
	struct divert_record *rec = calloc(1, sizeof(*rec) + len);

	must(rec != NULL);
	rec->len = len;
	memcpy(rec + 1, packet, len);
	return rec;
}

/* Cut the packet, and put it together again. */
static void check_there_and_back(const uint8_t *packet, uint32_t len, uint32_t size)
{
	struct reassembly other;
	struct reassembled again;
	struct fragments f;
	struct fraghdr piece;
	uint8_t *room = malloc(size);
	uint32_t n, pieces = 0;
	int whole = 0;

	must(room != NULL);
	reassembly_init(&other, 1);
	if (!fragments_begin(&f, packet, len, size, 0x1234)) {
		while ((n = fragments_next(&f, room))) {
			struct divert_record *rec = record(room, n);

			must(n <= size && ++pieces <= len);
			if (fraghdr_read(room, n, &piece)) {
				must(!whole);
				whole = reassembly_add(&other, rec, &piece, 1, &again);
			}
			free(rec);
		}
		/* the first fragment may lack some headers that were cut off: RFC 7112 */
		must(whole || other.any_lost || pieces == 1);
		if (whole) {
			must(again.rec->len == len);
			must(packet[0] >> 4 == 4 || !memcmp(again.rec + 1, packet, len));
			must(packet[0] >> 4 == 6 ||
			     !memcmp((uint8_t *)(again.rec + 1) + 12, packet + 12, len - 12));
			free(again.rec);
		}
	}
	reassembly_free(&other);
	free(room);
}

static void check_whole(struct reassembled *done)
{
	uint8_t *packet = (uint8_t *)(done->rec + 1);
	uint32_t len = done->rec->len;
	struct fraghdr piece;

	wholes++;
	must(len <= PACKET_MAX && done->rec->flags & REASSEMBLED);
	if (packet[0] >> 4 == 4) {
		must((uint32_t)(packet[2] << 8 | packet[3]) == len && checksum_ip4_ok(packet));
		must(!fraghdr_read(packet, len, &piece));
	} else {
		must((uint32_t)(packet[4] << 8 | packet[5]) + 40 == len);
		if (fraghdr_read(packet, len, &piece)) { /* another fragment header followed */
			free(done->rec);
			return;
		}
	}
	check_there_and_back(packet, len, 60 + len % 1500);
	free(done->rec);
}

static void see(void *data, const struct divert_record *rec)
{
	must(data == &r && rec->len <= PACKET_MAX);
	released++;
}

static void take(const uint8_t *data, uint32_t len, uint8_t flags, int64_t now)
{
	struct divert_record *rec = record(data, len);
	const uint8_t *packet = (uint8_t *)(rec + 1);
	struct reassembled done;
	struct fraghdr piece;

	rec->flags = flags;
	if (fraghdr_read(packet, len, &piece)) {
		must(len < 7 || fraghdr_likely(packet));
		if (flags & DIVERT_REC_GIVE_BACK) {
			reassembly_release(&r, rec, &piece, see, &r);
			must(!reassembly_has(&r, rec, &piece) || lost);
		} else {
			fed++;
			if (reassembly_add(&r, rec, &piece, now, &done))
				check_whole(&done);
		}
		count();
	}
	free(rec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int64_t now = 1;
	uint32_t len;

	fed = lost = wholes = released = 0;
	reassembly_init(&r, 1);
	while (size > HEAD) {
		len = data[2] << 8 | data[3];
		if (len > size - HEAD)
			len = size - HEAD;
		now += data[1] * 1000000000ll;
		take(data + HEAD, len, data[0], now);
		data += HEAD + len;
		size -= HEAD + len;
	}
	reassembly_expire(&r, INT64_MAX);
	count();
	must(!r.packets && !r.bytes);
	must(lost + released + wholes <= fed);
	must(wholes || lost + released == fed);
	return 0;
}
