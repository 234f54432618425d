// sources: lib/core/metacache.c lib/core/pktcache.c lib/core/flow.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* Metadata of packets, remembered by flow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/core/flow.h"
#include "lib/core/metacache.h"

#define LEN 28
#define WAYS_NEW                                                                                   \
	{                                                                                          \
		.reads = &(struct metacache_reads)                                                 \
		{                                                                                  \
		}                                                                                  \
	}
#define SAME (DIVERT_META_LINK | DIVERT_META_DIRECT | DIVERT_META_IFACE)

static uint16_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return divert_meta_clock(t.tv_sec * 1000000000ull + t.tv_nsec);
}

/* UDP from 10.1.0.FROM to 10.2.0.TO:53 */
static void make(uint8_t *p, unsigned int from, unsigned int to)
{
	memset(p, 0, LEN);
	p[0] = 0x45;
	p[3] = LEN;
	p[9] = 17;
	memcpy(p + 12, "\12\1\0\0\12\2\0\0", 8);
	p[15] = from;
	p[19] = to;
	p[23] = 53;
}

static struct divert_record record(bool out, uint16_t tag, uint32_t ifindex, uint8_t mac)
{
	struct divert_record rec = {
		.len = LEN,
		.tag = tag,
		.flags = out ? DIVERT_REC_OUT : 0,
		.meta = {.flags = DIVERT_META_LINK | DIVERT_META_OWNER,
			 .when = now(),
			 .routes = 7,
			 .priority = 3,
			 .uid = 1000 + mac,
			 .gid = 100},
	};

	rec.meta.link[0] = mac;
	if (out)
		rec.oif = ifindex;
	else
		rec.ifindex = ifindex;
	return rec;
}

static void put(struct metacache *w, const uint8_t *p, struct divert_record rec)
{
	metacache_put(w, &rec, p, LEN);
}

static struct divert_frame find(struct metacache *w, const uint8_t *p, uint16_t tag, bool out,
				uint32_t in)
{
	struct divert_frame frame = {};

	metacache_written(w, metacache_find(w, p, LEN, tag, out, in, NULL, &frame));
	return frame;
}

static void test_nothing(void **state)
{
	struct metacache none = WAYS_NEW;
	struct divert_frame f;
	uint8_t p[LEN];

	make(p, 1, 1);
	f = find(&none, p, 100, true, 0);
	assert_int_equal(f.reinject.meta, DIVERT_META_OWNER);
	assert_int_equal(f.reinject.uid, DIVERT_NO_USER);
	assert_int_equal(f.reinject.oif | f.reinject.priority, 0);
}

/* Each of many flows has its own metadata, whichever packet came last. */
static void test_out(void **state)
{
	struct metacache w = WAYS_NEW;
	struct divert_frame f;
	uint8_t p[LEN], q[LEN];

	make(p, 1, 1);
	make(q, 2, 1);
	put(&w, p, record(true, 100, 9, 0x10));
	put(&w, q, record(true, 100, 8, 0x20));
	f = find(&w, p, 100, true, 0);
	assert_int_equal(f.reinject.meta, DIVERT_META_LINK | DIVERT_META_OWNER | DIVERT_META_SOON);
	assert_int_equal(f.reinject.oif, 9);
	assert_int_equal(f.reinject.routes, 7);
	assert_int_equal(f.reinject.priority, 3);
	assert_int_equal(f.reinject.uid, 1016);
	assert_int_equal(f.reinject.gid, 100);
	assert_int_equal(f.link[0], 0x10);
	f = find(&w, q, 100, true, 0);
	assert_int_equal(f.reinject.oif, 8);
	assert_int_equal(f.link[0], 0x20);
	/* newer metadata of the flow */
	put(&w, p, record(true, 100, 7, 0x30));
	f = find(&w, p, 100, true, 0);
	assert_int_equal(f.reinject.oif, 7);
	assert_int_equal(f.link[0], 0x30);
	metacache_free(&w);
}

/*
 * A packet whose source was changed is taken for the last packet that came, to the same
 * destination, by the same rule.
 */
static void test_changed(void **state)
{
	struct metacache w = WAYS_NEW;
	struct divert_frame f;
	uint8_t p[LEN], natted[LEN], elsewhere[LEN];

	make(p, 1, 1);
	make(natted, 99, 1);
	make(elsewhere, 1, 2);
	put(&w, p, record(true, 100, 9, 0x10));
	f = find(&w, natted, 100, true, 0);
	assert_true(f.reinject.meta & DIVERT_META_LINK);
	assert_int_equal(f.reinject.oif, 9);
	assert_int_equal(f.reinject.uid, 1016);
	/*
	 * a packet to another destination is routed; its owner, and that it was on 9, are known all
	 * the same
	 */
	put(&w, p, record(true, 100, 9, 0x10));
	f = find(&w, elsewhere, 100, true, 0);
	assert_int_equal(f.reinject.meta & SAME, 0);
	assert_int_equal(f.link[0], 0);
	assert_int_equal(f.reinject.oif, 9);
	assert_int_equal(f.reinject.uid, 1016);
	/* a packet of another rule or direction is another packet */
	f = find(&w, natted, 200, true, 0);
	assert_int_equal(f.reinject.meta & SAME, 0);
	assert_int_equal(f.reinject.oif, 0);
	f = find(&w, natted, 100, false, 9);
	assert_int_equal(f.reinject.meta | f.reinject.oif, 0);
	metacache_free(&w);
}

/* Checks the owner. Unknown owner: uid is DIVERT_NO_USER, and gid says what is known. */
static void whose(struct metacache *w, const uint8_t *p, uint32_t uid, uint32_t gid)
{
	const struct divert_frame f = find(w, p, 100, true, 0);

	assert_true(f.reinject.meta & DIVERT_META_OWNER);
	assert_int_equal(f.reinject.uid, uid);
	assert_int_equal(f.reinject.gid, gid);
}

static struct divert_record owned(uint8_t mac)
{
	return record(true, 100, 9, mac);
}

/* The owner of a packet is known if its flow is known, or if there is only one packet. */
static void test_owner(void **state)
{
	const struct metacache_owner kept = {.uid = 5, .gid = 6, .flags = DIVERT_META_OWNER};
	uint8_t p[LEN], q[LEN], natted[LEN];
	struct metacache w = WAYS_NEW, other = {.reads = w.reads};
	struct divert_frame f = {};
	struct divert_record rec;
	int i;

	make(p, 1, 1);
	make(q, 2, 1);
	make(natted, 99, 1);
	put(&w, p, owned(0x10));
	whose(&w, natted, 1016, 100);
	/* it has been written: this is another packet, or the same one a second time */
	whose(&w, natted, DIVERT_NO_USER, DIVERT_NOT_KNOWN);
	whose(&w, p, DIVERT_NO_USER, DIVERT_NOT_KNOWN);
	/* one of two packets; and the one that is left is not the one that was read last */
	put(&w, p, owned(0x10));
	put(&w, q, owned(0x20));
	whose(&w, natted, DIVERT_NO_USER, DIVERT_NOT_KNOWN);
	whose(&w, natted, DIVERT_NO_USER, DIVERT_NOT_KNOWN);
	memset(w.reads->there, 0, sizeof(w.reads->there));
	memset(w.table->set, 0, sizeof(w.table->set));
	put(&w, p, owned(0x10));
	put(&w, q, owned(0x20));
	whose(&w, q, 1032, 100);
	whose(&w, natted, DIVERT_NO_USER, DIVERT_NOT_KNOWN);
	/* it matches a flow that was another packet's; no packet of that flow is there */
	put(&w, natted, owned(0x40));
	whose(&w, natted, 1064, 100);
	put(&w, p, owned(0x10));
	put(&w, q, owned(0x20));
	whose(&w, natted, DIVERT_NO_USER, DIVERT_NOT_KNOWN);
	whose(&w, p, 1016, 100);
	/* one flow has packets of two owners at once */
	put(&w, q, owned(0x30));
	whose(&w, q, DIVERT_NO_USER, DIVERT_NOT_KNOWN);
	whose(&w, q, DIVERT_NO_USER, DIVERT_NOT_KNOWN);
	put(&w, q, owned(0x30));
	whose(&w, q, 1048, 100);
	/* one owner after the other */
	put(&w, q, owned(0x20));
	whose(&w, q, 1032, 100);
	/* another process has read the packet */
	put(&w, p, owned(0x10));
	whose(&other, natted, DIVERT_NO_USER, DIVERT_NOT_KNOWN);
	put(&w, p, owned(0x10));
	put(&other, q, owned(0x20));
	find(&other, q, 100, true, 0);
	whose(&w, natted, DIVERT_NO_USER, DIVERT_NOT_KNOWN);
	/* a packet was dropped two periods ago, and one period ago */
	for (i = 2; i; i--) {
		memset(w.reads->there, 0, sizeof(w.reads->there));
		put(&w, p, owned(0x10));
		w.reads->period -= i;
		put(&w, q, owned(0x20));
		if (i == 2)
			whose(&w, natted, 1032, 100);
		else
			whose(&w, natted, DIVERT_NO_USER, DIVERT_NOT_KNOWN);
	}
	/* if the clock is behind another CPU's, nothing changes */
	i = w.reads->there[0];
	w.reads->period += 1;
	whose(&w, natted, DIVERT_NO_USER, DIVERT_NOT_KNOWN);
	assert_true(w.reads->there[0] + 1 == (uint32_t)i || !i);
	w.reads->period -= 1;
	/* forwarded packets and copies do not count */
	memset(w.reads->there, 0, sizeof(w.reads->there));
	put(&w, p, owned(0x10));
	rec = owned(0x20);
	rec.flags |= DIVERT_REC_FORWARDED;
	put(&w, q, rec);
	rec.flags = DIVERT_REC_OUT | DIVERT_REC_TEE;
	put(&w, q, rec);
	metacache_written(&w, metacache_find(&w, q, LEN, 100, true, 7, NULL, &f));
	whose(&w, natted, 1016, 100);
	/* nor do they take the place of others */
	put(&w, p, owned(0x10));
	rec = owned(0x20);
	rec.flags |= DIVERT_REC_FORWARDED;
	rec.meta.uid = DIVERT_NO_USER;
	for (i = 0; i < 4 * (int)METACACHE_FLOWS; i++) {
		make(q, i, 3);
		q[14] = i >> 8;
		put(&w, q, rec);
	}
	whose(&w, natted, 1016, 100);
	make(q, 2, 1);
	/* a second attempt gets what the first one found, and counts nothing */
	put(&w, p, owned(0x10));
	i = w.reads->there[0];
	metacache_written(&w, metacache_find(&w, natted, LEN, 100, true, 0, &kept, &f));
	assert_int_equal(w.reads->there[0], i);
	assert_int_equal(f.reinject.uid, 5);
	/* a packet that could not be sent is found again */
	metacache_find(&w, natted, LEN, 100, true, 0, NULL, &f);
	assert_int_equal(f.reinject.uid, 1016);
	whose(&w, natted, 1016, 100);
	/* if there are more flows than room, no flow gets another's owner */
	for (i = 0; i < 3 * (int)METACACHE_FLOWS; i++) {
		make(p, i, 1);
		p[14] = i >> 8;
		put(&w, p, owned(i % 200));
	}
	for (i = 0; i < 3 * (int)METACACHE_FLOWS; i++) {
		make(p, i, 1);
		p[14] = i >> 8;
		f = find(&w, p, 100, true, 0);
		assert_true(f.reinject.uid == 1000u + i % 200 || f.reinject.uid == DIVERT_NO_USER);
		assert_true(f.reinject.uid != DIVERT_NO_USER || f.reinject.gid == DIVERT_NOT_KNOWN);
	}
	metacache_free(&w);
	metacache_free(&other);
}

/* A flow stays while a hundred others are read. */
static void test_ahead(void **state)
{
	struct metacache w = WAYS_NEW;
	uint8_t p[LEN], q[LEN];
	int i, k, lost = 0;

	flow_begin();
	for (i = 0; i < 1000; i++) {
		make(p, i, 1);
		p[14] = i >> 8;
		put(&w, p, record(true, 100, 9, 0x10));
		for (k = 0; k < 127; k++) {
			make(q, i, 2);
			q[14] = i >> 8;
			q[23] = k;
			put(&w, q, record(true, 100, 9, 0x20));
		}
		lost += find(&w, p, 100, true, 0).reinject.uid != 1016;
	}
	assert_true(lost < 3);
	metacache_free(&w);
}

static void test_in(void **state)
{
	struct metacache w = WAYS_NEW;
	struct divert_frame f;
	struct divert_record hashed;
	uint8_t p[LEN], changed[LEN];

	make(p, 1, 1);
	make(changed, 1, 77);
	put(&w, p, record(false, 100, 4, 0x10));
	f = find(&w, p, 100, false, 4);
	assert_true(f.reinject.meta & DIVERT_META_LINK);
	assert_int_equal(f.reinject.oif, 0);
	/* on another interface it does not have this interface's link header */
	f = find(&w, p, 100, false, 5);
	assert_int_equal(f.reinject.meta & SAME, 0);
	f = find(&w, changed, 100, false, 4);
	assert_true(f.reinject.meta & DIVERT_META_LINK);
	/* its hash, if it has one, comes with it */
	hashed = record(false, 100, 4, 0x10);
	hashed.meta.flags = DIVERT_META_LINK | DIVERT_META_HASH;
	hashed.meta.hash = 0x12345678;
	put(&w, p, hashed);
	f = find(&w, p, 100, false, 4);
	assert_true(f.reinject.meta & DIVERT_META_HASH);
	assert_int_equal(f.reinject.hash, 0x12345678);
	/* a packet of another flow has no hash: nobody knows which of the waiting packets it was */
	f = find(&w, changed, 100, false, 4);
	assert_int_equal(f.reinject.meta & (SAME | DIVERT_META_HASH), DIVERT_META_LINK);
	/* nor does a packet to many hosts give its header to another packet */
	put(&w, p, record(false, 100, 4, 0xff));
	f = find(&w, p, 100, false, 4);
	assert_int_equal(f.link[0], 0xff);
	f = find(&w, changed, 100, false, 4);
	assert_int_equal(f.reinject.meta & SAME, 0);
	metacache_free(&w);
}

/*
 * Packets to many hosts: the addresses are the same on each link, and the packet's id tells them
 * apart.
 */
static void test_many(void **state)
{
	struct metacache w = WAYS_NEW;
	struct divert_record rec;
	struct divert_frame f;
	uint8_t p[LEN], q[LEN];
	int i;

	make(p, 1, 1);
	p[16] = 224;
	memcpy(q, p, LEN);
	q[5] = 1;
	put(&w, p, record(true, 100, 9, 0x01));
	put(&w, q, record(true, 100, 8, 0x03));
	f = find(&w, p, 100, true, 0);
	assert_int_equal(f.reinject.oif, 9);
	f = find(&w, q, 100, true, 0);
	assert_int_equal(f.reinject.oif, 8);
	/* neighbours and routes do not change such a link header, nor the lack of one */
	rec = record(true, 100, 9, 0x01);
	for (i = 0; i < 2; i++) {
		rec.meta.when -= 100;
		put(&w, p, rec);
		f = find(&w, p, 100, true, 0);
		assert_int_equal(f.reinject.meta & (SAME | DIVERT_META_SOON),
				 (rec.meta.flags & SAME) | DIVERT_META_SOON);
		rec.meta = (struct divert_meta){.flags = DIVERT_META_DIRECT, .when = now()};
	}
	metacache_free(&w);
}

/* Senders that are each bound to an interface share a flow. Each packet has metadata of its own. */
static void test_bound(void **state)
{
	struct divert_record rec;
	uint8_t p[3][LEN];
	struct metacache w = WAYS_NEW;
	int i;

	for (i = 0; i < 3; i++) {
		make(p[i], 1, 1);
		p[i][5] = i;
		rec = record(true, 100, 7 + i, i);
		rec.meta.flags |= DIVERT_META_IFACE;
		put(&w, p[i], rec);
	}
	for (i = 0; i < 3; i++)
		assert_int_equal(find(&w, p[i], 100, true, 0).reinject.oif, 7 + i);
	/* a changed packet has that of the flow's last packet */
	p[0][5] = 9;
	assert_int_equal(find(&w, p[0], 100, true, 0).reinject.oif, 9);
	/* and another sender of the same flow */
	put(&w, p[0], record(true, 100, 5, 5));
	assert_int_equal(find(&w, p[0], 100, true, 0).reinject.oif, 5);
	assert_int_equal(find(&w, p[1], 100, true, 0).reinject.oif, 8);
	metacache_free(&w);
}

/*
 * On the way out, a link header is valid for some seconds. Half a day later it is an old one, too.
 */
static void test_old(void **state)
{
	static const uint16_t ages[] = {DIVERT_META_AGE + 1, 256, 40000};
	struct metacache w = WAYS_NEW;
	struct divert_record rec;
	struct divert_frame f;
	uint8_t p[LEN];
	size_t i;

	make(p, 1, 1);
	for (i = 0; i < sizeof(ages) / sizeof(*ages); i++) {
		rec = record(true, 100, 9, 0x10);
		rec.meta.when -= ages[i];
		put(&w, p, rec);
		f = find(&w, p, 100, true, 0);
		assert_int_equal(f.reinject.meta, DIVERT_META_OWNER);
		assert_int_equal(f.reinject.oif, 9);
		/*
		 * for a packet whose sender is bound to an interface, the interface is still used
		 */
		rec.meta.flags |= DIVERT_META_IFACE;
		put(&w, p, rec);
		f = find(&w, p, 100, true, 0);
		assert_int_equal(f.reinject.meta, DIVERT_META_OWNER | DIVERT_META_IFACE);
	}
	/* written some time after it was read: the routes of that time count */
	put(&w, p, record(true, 100, 9, 0x10));
	for (i = 0; i < METACACHE_FLOWS; i++)
		w.table->meta[i].read -= 30;
	f = find(&w, p, 100, true, 0);
	assert_int_equal(f.reinject.meta, DIVERT_META_LINK | DIVERT_META_OWNER);
	/* on the way in, the link header is the packet's own for good */
	rec = record(false, 100, 9, 0x10);
	rec.meta.when -= 100;
	put(&w, p, rec);
	f = find(&w, p, 100, false, 9);
	assert_true(f.reinject.meta & DIVERT_META_LINK);
	metacache_free(&w);
}

static void test_forget(void **state)
{
	const struct divert_record rec = record(true, 100, 9, 0x10);
	struct divert_frame f = {};

	metacache_of(&rec, &f);
	assert_true(metacache_is_known(&f));
	assert_int_equal(f.reinject.oif, 9);
	metacache_forget(&f);
	assert_false(metacache_is_known(&f));
	assert_int_equal(f.link[0], 0);
	assert_int_equal(f.reinject.uid, 1016);
	metacache_by(&f, 5);
	assert_true(metacache_is_known(&f));
	assert_int_equal(f.reinject.oif, 5);
	assert_int_equal(f.reinject.meta & SAME, DIVERT_META_IFACE);
}

/*
 * Another thread was changing the flow when the process forked. In the child, the flow can be put
 * again.
 */
static void test_fork(void **state)
{
	struct metacache w = WAYS_NEW;
	struct metacache_flow *meta;
	uint8_t p[LEN];
	uint32_t i;

	make(p, 1, 1);
	put(&w, p, record(true, 1, 3, 1));
	for (i = 0; i < METACACHE_FLOWS; i++) {
		meta = &w.table->meta[i];
		meta->seq += meta->key != 0;
	}
	put(&w, p, record(true, 1, 3, 2));
	assert_int_equal(find(&w, p, 1, true, 0).reinject.meta & DIVERT_META_LINK, 0);
	metacache_in_child(&w);
	put(&w, p, record(true, 1, 3, 2));
	assert_int_equal(find(&w, p, 1, true, 0).link[0], 2);
	metacache_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fork),   cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_out),    cmocka_unit_test(test_changed),
		cmocka_unit_test(test_in),     cmocka_unit_test(test_many),
		cmocka_unit_test(test_bound),  cmocka_unit_test(test_old),
		cmocka_unit_test(test_forget), cmocka_unit_test(test_owner),
		cmocka_unit_test(test_ahead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
