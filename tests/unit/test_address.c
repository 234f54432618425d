// sources: lib/socket/address.c lib/core/iface.c lib/core/pktcache.c lib/core/flow.c
// sources: engine/netlink.c engine/thread.c
// libs: -lmnl
/* SPDX-License-Identifier: BSD-2-Clause */
/* A packet's address, and what libdivert reads in one that comes back. The interface is lo. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* must come before cmocka, which makes a macro of fail() */
#include "lib/core/iface.h"
#include "lib/socket/address.h"

#include <cmocka.h>

static struct dsock v4 = {.domain = AF_INET}, v6 = {.domain = AF_INET6};

static struct divert_record record(const char *name, uint32_t ifindex, uint32_t addr, uint16_t tag)
{
	struct divert_record rec = {.ifindex = ifindex, .addr = htonl(addr), .tag = tag};

	strncpy(rec.name, name, sizeof(rec.name) - 1);
	return rec;
}

static struct sockaddr_in make(const struct divert_record *rec)
{
	struct sockaddr_in in;
	socklen_t len = sizeof(in);

	memset(&in, 0xa5, sizeof(in));
	address_make(&v4, rec, (struct sockaddr *)&in, &len);
	assert_int_equal(len, sizeof(in));
	assert_int_equal(in.sin_family, AF_INET);
	return in;
}

static int reads(const struct sockaddr_in *in, struct destination *to)
{
	return address_read(&v4, (const struct sockaddr *)in, sizeof(*in), NULL, 0, to);
}

/* ---- the address of a received packet ---- */

static void test_in(void **state)
{
	struct divert_record rec = record("eth0", 12, 0x0a010001, 1234);
	struct sockaddr_in in = make(&rec);

	assert_int_equal(in.sin_port, 1234); /* host order */
	assert_int_equal(in.sin_addr.s_addr, htonl(0x0a010001));
	assert_memory_equal(in.sin_zero, "eth0\0\0\0", 8);
}

static void test_names(void **state)
{
	static const struct {
		const char *name;
		uint32_t ifindex;
		char zero[9];
	} t[] = {
		{"a", 12, "a\0\0\0\0\0\0\0"},
		{"sevenis", 12, "sevenis\0"},
		{"eightis8", 12, ":12\0\0\0\0\0"},
		{"fifteen-letters", 12, ":12\0\0\0\0\0"},
		{"fifteen-letters", 999999, ":999999\0"},
		{"fifteen-letters", 1000000,
		 "\0\0\0\0\0\0\0\0"}, /* the name does not fit: the address must do */
	};
	unsigned int i;

	for (i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct divert_record rec = record(t[i].name, t[i].ifindex, 0x0a010001, 1);
		struct sockaddr_in in = make(&rec);

		assert_memory_equal(in.sin_zero, t[i].zero, 8);
	}
}

/* An address of 0 would be written back outbound. */
static void test_no_address(void **state)
{
	struct divert_record rec = record("tun0", 12, 0, 1);

	assert_int_equal(make(&rec).sin_addr.s_addr, INADDR_BROADCAST);
}

static void test_out(void **state)
{
	struct divert_record rec = record("", 0, 0, 65535);
	struct sockaddr_in in;

	rec.flags = DIVERT_REC_OUT;
	in = make(&rec);
	assert_int_equal(in.sin_addr.s_addr, INADDR_ANY);
	assert_int_equal(in.sin_port, 65535);
	assert_memory_equal(in.sin_zero, "\0\0\0\0\0\0\0\0", 8);

	/* forwarded: the address has the receiving interface's name, not its address */
	rec = record("eth0", 12, 0x0a010001, 1);
	rec.flags = DIVERT_REC_OUT | DIVERT_REC_FORWARDED;
	in = make(&rec);
	assert_int_equal(in.sin_addr.s_addr, INADDR_ANY);
	assert_memory_equal(in.sin_zero, "eth0\0\0\0", 8);
}

static void test_room(void **state)
{
	struct divert_record rec = record("eth0", 12, 0x0a010001, 1234);
	struct sockaddr_in whole = make(&rec);
	uint8_t room[sizeof(whole) + 8];
	socklen_t len, i;

	for (i = 0; i <= sizeof(room); i++) {
		len = i;
		memset(room, 0xa5, sizeof(room));
		address_make(&v4, &rec, (struct sockaddr *)room, &len);
		assert_int_equal(len, sizeof(whole));
		len = i < sizeof(whole) ? i : sizeof(whole);
		assert_memory_equal(room, &whole, len);
		for (; len < sizeof(room); len++)
			assert_int_equal(room[len], 0xa5);
	}
}

static void test_in6(void **state)
{
	struct divert_record rec = record("lo", 1, 0, 77);
	struct sockaddr_in6 in6;
	socklen_t len = sizeof(in6);
	struct destination to;

	address_make(&v6, &rec, (struct sockaddr *)&in6, &len);
	assert_int_equal(len, sizeof(in6));
	assert_int_equal(in6.sin6_family, AF_INET6);
	assert_int_equal(in6.sin6_port, 77);
	assert_int_equal(in6.sin6_scope_id, 1);
	/* ::1, or, if lo has none, still not :: */
	assert_false(IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr));
	assert_int_equal(address_read(&v6, (void *)&in6, len, NULL, 0, &to), 0);
	assert_false(to.out);
	assert_int_equal(to.ifindex, 1);
	assert_int_equal(to.tag, 77);

	rec.flags = DIVERT_REC_OUT;
	len = sizeof(in6);
	address_make(&v6, &rec, (struct sockaddr *)&in6, &len);
	assert_true(IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr));
	assert_int_equal(address_read(&v6, (void *)&in6, len, NULL, 0, &to), 0);
	assert_true(to.out);
}

/* ---- the address of a packet that is written ---- */

/* Unchanged, each address finds the interface that it came from. */
static void test_back(void **state)
{
	static const char *const name[] = {"lo", "sevenis", "eightis8", "fifteen-letters"};
	struct destination to;
	unsigned int i;

	for (i = 0; i < sizeof(name) / sizeof(*name); i++) {
		struct divert_record rec = record(name[i], i + 1, 0, 100 + i);
		struct sockaddr_in in = make(&rec);

		assert_int_equal(reads(&in, &to), 0);
		assert_false(to.out);
		assert_int_equal(to.ifindex, i + 1);
		assert_int_equal(to.tag, 100 + i);

		rec.flags = DIVERT_REC_OUT;
		in = make(&rec);
		assert_int_equal(reads(&in, &to), 0);
		assert_true(to.out);
		assert_int_equal(to.ifindex, i + 1);
		assert_int_equal(to.tag, 100 + i);
	}
	iface_forget();
}

static void test_by_name(void **state)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x01020304)};
	struct destination to;

	iface_forget();
	memcpy(in.sin_zero, "lo\0garb", 8); /* bytes after the NUL do not count */
	assert_int_equal(reads(&in, &to), 0);
	assert_int_equal(to.ifindex, if_nametoindex("lo"));
	assert_false(to.guessed);
	memcpy(in.sin_zero, "lo\0\0\0\0\0", 8);
	assert_int_equal(reads(&in, &to), 0);
	assert_int_equal(to.ifindex, if_nametoindex("lo"));
	assert_true(to.guessed); /* it is known by now */
	iface_forget();
	assert_int_equal(reads(&in, &to), 0);
	assert_false(to.guessed);
}

static void test_by_address(void **state)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	static const char zero[][9] = {
		"\0\0\0\0\0\0\0\0", "nothere\0",     "\xa5\xa5\xa5\xa5\xa5\xa5\xa5\xa5",
		":0\0\0\0\0\0\0",   ":1x\0\0\0\0\0", ":\0\0\0\0\0\0\0",
		":-1\0\0\0\0\0",    "eightis8",
	};
	struct destination to;
	unsigned int i;

	/* sin_zero has no name, or an unknown one: the address finds the interface */
	for (i = 0; i < sizeof(zero) / sizeof(*zero); i++) {
		iface_forget();
		memcpy(in.sin_zero, zero[i], 8);
		assert_int_equal(reads(&in, &to), 0);
		assert_int_equal(to.ifindex, if_nametoindex("lo"));
	}
	in.sin_addr.s_addr = htonl(0xf0000001); /* no host has it */
	for (i = 0; i < sizeof(zero) / sizeof(*zero); i++) {
		memcpy(in.sin_zero, zero[i], 8);
		assert_int_equal(reads(&in, &to), -EADDRNOTAVAIL);
	}
	/* outbound, no name is needed */
	in.sin_addr.s_addr = 0;
	for (i = 0; i < sizeof(zero) / sizeof(*zero); i++) {
		memcpy(in.sin_zero, zero[i], 8);
		assert_int_equal(reads(&in, &to), 0);
		assert_true(to.out);
		assert_int_equal(to.ifindex, 0);
	}
}

static void test_lengths(void **state)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = 5};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	struct destination to;
	socklen_t len;

	assert_int_equal(address_read(&v4, NULL, 0, NULL, 0, &to), 0);
	assert_true(to.out);
	assert_int_equal(to.tag, 0);
	assert_int_equal(address_read(&v4, NULL, sizeof(in), NULL, 0, &to), 0);
	assert_true(to.out);
	for (len = 1; len < sizeof(in); len++)
		assert_int_equal(address_read(&v4, (void *)&in, len, NULL, 0, &to), -EINVAL);
	assert_int_equal(address_read(&v4, (void *)&in, sizeof(in) + 8, NULL, 0, &to), 0);
	assert_int_equal(to.tag, 5);
	assert_int_equal(address_read(&v6, (void *)&in, sizeof(in), NULL, 0, &to), 0);
	for (len = sizeof(in6.sin6_family); len < sizeof(in6); len++)
		assert_int_equal(address_read(&v6, (void *)&in6, len, NULL, 0, &to), -EINVAL);
	assert_int_equal(address_read(&v4, (void *)&in6, sizeof(in6), NULL, 0, &to), -EAFNOSUPPORT);
	in.sin_family = AF_UNSPEC;
	assert_int_equal(reads(&in, &to), -EAFNOSUPPORT);
	in.sin_family = 258; /* libdivert does not guess what old programs put here */
	assert_int_equal(reads(&in, &to), -EAFNOSUPPORT);
}

/*
 * An address that has lost sin_zero finds the interface that its packet, or the last packet with
 * that address, came from.
 */
static void test_recalled(void **state)
{
	uint8_t first[40] = {0x45, [3] = 40, [5] = 1, [9] = 17}, second[40], other[40];
	struct divert_record rec = record("eth7", 7, 0, 100), same = record("eth8", 8, 0, 100);
	struct sockaddr_in in = make(&rec);
	struct destination to;
	const struct sockaddr *sa = (const struct sockaddr *)&in;

	memcpy(second, first, sizeof(first));
	memcpy(other, first, sizeof(first));
	second[5] = 2;
	other[5] = 3;
	memset(in.sin_zero, 0, sizeof(in.sin_zero));
	assert_int_equal(in.sin_addr.s_addr, INADDR_BROADCAST);
	assert_int_equal(address_read(&v4, sa, sizeof(in), first, 40, &to), -EADDRNOTAVAIL);
	pktcache_put_origin(&v4.pktcache, &rec, first, 40);
	pktcache_put_origin(&v4.pktcache, &same, second, 40);
	assert_int_equal(address_read(&v4, sa, sizeof(in), first, 40, &to), 0);
	assert_int_equal(to.ifindex, 7);
	assert_true(to.guessed && !to.out && to.tag == 100);
	assert_int_equal(address_read(&v4, sa, sizeof(in), second, 40, &to), 0);
	assert_int_equal(to.ifindex, 8);
	/* the packet was changed: it counts as the last one with this address */
	assert_int_equal(address_read(&v4, sa, sizeof(in), other, 40, &to), 0);
	assert_int_equal(to.ifindex, 8);
	/* with another address it is not that packet */
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(address_read(&v4, sa, sizeof(in), first, 40, &to), 0);
	assert_int_equal(to.ifindex, if_nametoindex("lo"));
	pktcache_free(&v4.pktcache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recalled), cmocka_unit_test(test_in),
		cmocka_unit_test(test_names),	 cmocka_unit_test(test_no_address),
		cmocka_unit_test(test_out),	 cmocka_unit_test(test_room),
		cmocka_unit_test(test_in6),	 cmocka_unit_test(test_back),
		cmocka_unit_test(test_by_name),	 cmocka_unit_test(test_by_address),
		cmocka_unit_test(test_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
