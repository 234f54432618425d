// sources: none
/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading headers, as both halves do, from packets in memory. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/bytes.h"
#include "engine/packet.h"

#define NONE DIVERT_ABSENT

/* ---- packets, written as hex with blanks, and what should be read in them ---- */

#define SRC4			     "0a010001"
#define DST4			     "0a020001"
/* version to tos, length, id and fragment, ttl, protocol, checksum */
#define IP4(first, len, frag, proto) first len "1234" frag "40" proto "0000" SRC4 DST4
#define SRC6			     "fd010000000000000000000000000001"
#define DST6			     "fd020000000000000000000000000002"
#define IP6(len, next)		     "61212345" len next "40" SRC6 DST6
#define TCP_HEAD		     "04d20050 00000001 00000002 50 02 ffff 0000 0000"
#define UDP_HEAD		     "0035 1388 0008 0000"

static const struct sample {
	const char *what, *hex;
	int version;
	int rc;
	uint32_t len, payload, flags, proto, sport, dport, icmp, icmp6;
	uint8_t tos, fragment;
} samples[] = {
	{"TCP", IP4("4512", "0028", "0000", "06") TCP_HEAD, 4, 0, 40, 20, DIVERT_IS_V4, 6, 1234, 80,
	 NONE, NONE, 0x12, 0},
	{"TCP, do not fragment", IP4("4500", "0028", "4000", "06") TCP_HEAD, 4, 0, 40, 20,
	 DIVERT_IS_V4, 6, 1234, 80, NONE, NONE, 0, 0},
	{"UDP, options", IP4("4700", "0024", "0000", "11") "0101010101010101" UDP_HEAD, 4, 0, 36,
	 28, DIVERT_IS_V4, 17, 53, 5000, NONE, NONE, 0, 0},
	{"ICMP, all options",
	 IP4("4f00", "0044", "0000", "01") "0101010101010101010101010101010101010101010101010101010"
					   "101010101010101010101010 1"
					   "0800000000000000",
	 4, 0, 68, 60, DIVERT_IS_V4, 1, NONE, NONE, 8, NONE, 0, 0},
	{"first fragment", IP4("4500", "0028", "2000", "06") TCP_HEAD, 4, 0, 40, 20, DIVERT_IS_V4,
	 6, 1234, 80, NONE, NONE, 0, 1},
	{"next fragment", IP4("4500", "0028", "2002", "06") TCP_HEAD, 4, 0, 40, 20,
	 DIVERT_IS_V4 | DIVERT_IS_FRAG, 6, NONE, NONE, NONE, NONE, 0, 1},
	{"last fragment", IP4("4500", "0028", "1fff", "11") TCP_HEAD, 4, 0, 40, 20,
	 DIVERT_IS_V4 | DIVERT_IS_FRAG, 17, NONE, NONE, NONE, NONE, 0, 1},
	{"a fragment within TCP's header", IP4("4500", "0028", "2001", "06") TCP_HEAD, .version = 4,
	 .rc = PACKET_SHORT},
	{"within UDP's, none is", IP4("4500", "0028", "2001", "11") TCP_HEAD, 4, 0, 40, 20,
	 DIVERT_IS_V4 | DIVERT_IS_FRAG, 17, NONE, NONE, NONE, NONE, 0, 1},
	{"header only, of no protocol known", IP4("4500", "0014", "0000", "2f"), 4, 0, 20, 20,
	 DIVERT_IS_V4, 47, NONE, NONE, NONE, NONE, 0, 0},
	{"padding is no header", IP4("4500", "0014", "0000", "11") UDP_HEAD, .version = 4,
	 .rc = PACKET_SHORT},
	{"nor an ICMP type", IP4("4500", "0014", "0000", "01") "08000000", .version = 4,
	 .rc = PACKET_SHORT},
	{"padding does no harm", IP4("4500", "001c", "0000", "11") UDP_HEAD "0000000000", 4, 0, 28,
	 20, DIVERT_IS_V4, 17, 53, 5000, NONE, NONE, 0, 0},
	{"SCTP", IP4("4500", "0020", "0000", "84") "00010002 0000000000000000", 4, 0, 32, 20,
	 DIVERT_IS_V4, 132, 1, 2, NONE, NONE, 0, 0},
	{"UDP-Lite", IP4("4500", "001c", "0000", "88") "0001000200000000", 4, 0, 28, 20,
	 DIVERT_IS_V4, 136, 1, 2, NONE, NONE, 0, 0},
	{"DCCP", IP4("4500", "0020", "0000", "21") "00010002 0000000000000000", 4, 0, 32, 20,
	 DIVERT_IS_V4, 33, 1, 2, NONE, NONE, 0, 0},
	{"GRE has no ports", IP4("4500", "0018", "0000", "2f") "00010002", 4, 0, 24, 20,
	 DIVERT_IS_V4, 47, NONE, NONE, NONE, NONE, 0, 0},
	{"ICMPv6 in IPv4", IP4("4500", "001c", "0000", "3a") "8000000000000000", 4, 0, 28, 20,
	 DIVERT_IS_V4, 58, NONE, NONE, NONE, 128, 0, 0},

	{"no length, as a large one", IP4("4500", "0000", "0000", "06") TCP_HEAD, 4, 0, 40, 20,
	 DIVERT_IS_V4, 6, 1234, 80, NONE, NONE, 0, 0},
	{"longer than it is", IP4("4500", "0029", "0000", "06") TCP_HEAD, .version = 4, .rc = -1},
	{"shorter than its header", IP4("4600", "0017", "0000", "06") TCP_HEAD, .version = 4,
	 .rc = -1},
	{"header of 16", IP4("4400", "0028", "0000", "06") TCP_HEAD, .version = 4, .rc = -1},
	{"header of 0", IP4("4000", "0028", "0000", "06") TCP_HEAD, .version = 4, .rc = -1},
	{"header beyond the end", IP4("4f00", "0028", "0000", "06") TCP_HEAD, .version = 4,
	 .rc = -1},
	{"version 5", IP4("5500", "0028", "0000", "06") TCP_HEAD, .version = 4, .rc = -1},
	{"IPv4 where IPv6 should be", IP4("4500", "0028", "0000", "06") TCP_HEAD, .version = 6,
	 .rc = -1},
	{"IPv6 where IPv4 should be", IP6("0008", "11") UDP_HEAD, .version = 4, .rc = -1},

	{"UDP", IP6("0008", "11") UDP_HEAD, 6, 0, 48, 40, DIVERT_IS_V6, 17, 53, 5000, NONE, NONE,
	 0x12, 0},
	{"ICMPv6", IP6("0008", "3a") "8700000000000000", 6, 0, 48, 40, DIVERT_IS_V6, 58, NONE, NONE,
	 NONE, 135, 0x12, 0},
	{"no next header", IP6("0000", "3b"), 6, 0, 40, 40, DIVERT_IS_V6, 59, NONE, NONE, NONE,
	 NONE, 0x12, 0},
	{"length 0, hop-by-hop, and small", IP6("0000", "00") "1100000000000000" UDP_HEAD, 6, 0, 56,
	 48, DIVERT_IS_V6, 17, 53, 5000, NONE, NONE, 0x12, 0},
	{"hop-by-hop", IP6("0010", "00") "1100000000000000" UDP_HEAD, 6, 0, 56, 48, DIVERT_IS_V6,
	 17, 53, 5000, NONE, NONE, 0x12, 0},
	{"hop-by-hop, routing, options",
	 IP6("0028", "00") "2b00000000000000"
			   "3c01000000000000 0000000000000000"
			   "1100000000000000" UDP_HEAD,
	 6, 0, 80, 72, DIVERT_IS_V6, 17, 53, 5000, NONE, NONE, 0x12, 0},
	{"authentication",
	 IP6("0020", "33") "1104000000000000 0000000000000000 0000000000000000" UDP_HEAD, 6, 0, 72,
	 64, DIVERT_IS_V6, 17, 53, 5000, NONE, NONE, 0x12, 0},
	{"whole packet with a fragment header", IP6("0010", "2c") "1100000012345678" UDP_HEAD, 6, 0,
	 56, 48, DIVERT_IS_V6, 17, 53, 5000, NONE, NONE, 0x12, 1},
	{"first fragment", IP6("0010", "2c") "1100000112345678" UDP_HEAD, 6, 0, 56, 48,
	 DIVERT_IS_V6, 17, 53, 5000, NONE, NONE, 0x12, 1},
	{"next fragment", IP6("0010", "2c") "1100000812345678" UDP_HEAD, 6, 0, 56, 48,
	 DIVERT_IS_V6 | DIVERT_IS_FRAG, 17, NONE, NONE, NONE, NONE, 0x12, 1},
	{"what follows it is no header",
	 IP6("0018", "2c") "3c00010012345678"
			   "1100000000000000" UDP_HEAD,
	 6, 0, 64, 48, DIVERT_IS_V6 | DIVERT_IS_FRAG, 60, NONE, NONE, NONE, NONE, 0x12, 1},
	{"seven headers",
	 IP6("0040",
	     "3c") "3c00000000000000 3c00000000000000 3c00000000000000"
		   "3c00000000000000 3c00000000000000 3c00000000000000 1100000000000000" UDP_HEAD,
	 6, 0, 104, 96, DIVERT_IS_V6, 17, 53, 5000, NONE, NONE, 0x12, 0},
	{"nine headers",
	 IP6("0050", "3c") "3c00000000000000 3c00000000000000 3c00000000000000"
			   "3c00000000000000 3c00000000000000 3c00000000000000 3c00000000000000 "
			   "3c00000000000000"
			   "1100000000000000" UDP_HEAD,
	 6, 0, 120, 112, DIVERT_IS_V6, 17, 53, 5000, NONE, NONE, 0x12, 0},
	{"mobility is a protocol, and followed by none", IP6("0008", "87") "3b00050000000000", 6, 0,
	 48, 40, DIVERT_IS_V6, 135, NONE, NONE, NONE, NONE, 0x12, 0},
	{"a header that leads out", IP6("0010", "00") "11ff000000000000" UDP_HEAD, .version = 6,
	 .rc = PACKET_SHORT},
	{"to nothing that is known, too", IP6("0010", "00") "2fff000000000000" UDP_HEAD,
	 .version = 6, .rc = PACKET_SHORT},
	{"half a header", IP6("0004", "00") "11000000", .version = 6, .rc = PACKET_SHORT},
	{"a header in the padding", IP6("0004", "3c") "1100000000000000" UDP_HEAD, .version = 6,
	 .rc = PACKET_SHORT},
	{"headers in the next fragment", IP6("0010", "2c") "3c00000112345678 3c00000000000000",
	 .version = 6, .rc = PACKET_SHORT},
	{"longer than it is", IP6("0009", "11") UDP_HEAD, .version = 6, .rc = -1},
	{"version 4", "41212345 0008 1140" SRC6 DST6 UDP_HEAD, .version = 6, .rc = -1},
};

#define SAMPLES (sizeof(samples) / sizeof(*samples))

static uint8_t digit(char c)
{
	return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* Ignores blanks, which are there for the reader. */
static uint32_t read_hex(const char *hex, uint8_t *to)
{
	uint32_t n = 0;

	for (; *hex; hex++) {
		if (*hex == ' ')
			continue;
		if (n % 2)
			to[n / 2] |= digit(*hex);
		else
			to[n / 2] = digit(*hex) << 4;
		n++;
	}
	assert_int_equal(n % 2, 0);
	return n / 2;
}

/* Reads a copy that has just these bytes. */
static int read_it(const uint8_t *packet, uint32_t len, int version, struct divert_packet *p,
		   struct packet_shape *s)
{
	uint8_t *exact = malloc(len ? len : 1);
	struct bytes b = {exact, len};
	int rc;

	assert_non_null(exact);
	memcpy(exact, packet, len);
	memset(p, 0, sizeof(*p));
	memset(s, 0xa5, sizeof(*s));
	rc = packet_read(&b, version, len, p, s);
	free(exact);
	return rc;
}

static void check(const struct sample *t, int rc, const struct divert_packet *p,
		  const struct packet_shape *s)
{
	if (rc != t->rc)
		fail_msg("%s: %d", t->what, rc);
	if (rc)
		return;
	if (s->len != t->len || s->payload != t->payload || s->tos != t->tos ||
	    s->fragment != t->fragment)
		fail_msg("%s: length %u, payload %u, tos %u, fragment %u", t->what, s->len,
			 s->payload, s->tos, s->fragment);
	if (p->field[DIVERT_F_FLAGS] != t->flags || p->field[DIVERT_F_PROTO] != t->proto ||
	    p->field[DIVERT_F_LEN] != t->len)
		fail_msg("%s: flags %u, protocol %u, length %u", t->what, p->field[DIVERT_F_FLAGS],
			 p->field[DIVERT_F_PROTO], p->field[DIVERT_F_LEN]);
	if (p->field[DIVERT_F_SPORT] != t->sport || p->field[DIVERT_F_DPORT] != t->dport ||
	    p->field[DIVERT_F_ICMP] != t->icmp || p->field[DIVERT_F_ICMP6] != t->icmp6)
		fail_msg("%s: ports %u %u, types %u %u", t->what, p->field[DIVERT_F_SPORT],
			 p->field[DIVERT_F_DPORT], p->field[DIVERT_F_ICMP],
			 p->field[DIVERT_F_ICMP6]);
}

static void test_fields(void **state)
{
	struct divert_packet p;
	struct packet_shape s;
	uint8_t packet[256];
	unsigned int i;
	uint32_t len;

	for (i = 0; i < SAMPLES; i++) {
		len = read_hex(samples[i].hex, packet);
		check(&samples[i], read_it(packet, len, samples[i].version, &p, &s), &p, &s);
	}
}

static void test_addresses(void **state)
{
	struct divert_packet p;
	struct packet_shape s;
	uint8_t packet[256];
	uint32_t len;

	len = read_hex(IP4("4500", "0014", "0000", "2f"), packet);
	assert_int_equal(read_it(packet, len, 4, &p, &s), 0);
	assert_int_equal(p.field[DIVERT_F_SRC4], htonl(0x0a010001));
	assert_int_equal(p.field[DIVERT_F_DST4], htonl(0x0a020001));

	len = read_hex(IP6("0000", "3b"), packet);
	assert_int_equal(read_it(packet, len, 6, &p, &s), 0);
	assert_int_equal(p.field[DIVERT_F_SRC4], NONE);
	assert_int_equal(p.field[DIVERT_F_DST4], NONE);
	assert_int_equal(p.wide[DIVERT_W_SRC6][0], 0xfd01000000000000);
	assert_int_equal(p.wide[DIVERT_W_SRC6][1], 1);
	assert_int_equal(p.wide[DIVERT_W_DST6][0], 0xfd02000000000000);
	assert_int_equal(p.wide[DIVERT_W_DST6][1], 2);
}

/* Fields that the caller has set stay. */
static void test_kept(void **state)
{
	struct divert_packet p = {.field = {[DIVERT_F_FLAGS] = DIVERT_IS_OUT, [DIVERT_F_MARK] = 7}};
	struct packet_shape s;
	uint8_t packet[256];
	struct bytes b = {packet, read_hex(IP4("4500", "0014", "0000", "2f"), packet)};

	assert_int_equal(packet_read(&b, 4, b.len, &p, &s), 0);
	assert_int_equal(p.field[DIVERT_F_FLAGS], DIVERT_IS_OUT | DIVERT_IS_V4);
	assert_int_equal(p.field[DIVERT_F_MARK], 7);
}

/*
 * A packet that is cut off anywhere is refused if its header says that there is more. Otherwise it
 * is a short packet.
 */
static void test_cut_off(void **state)
{
	struct divert_packet p;
	struct packet_shape s;
	uint8_t packet[256];
	unsigned int i;
	uint32_t len;
	int rc;

	for (i = 0; i < SAMPLES; i++) {
		if (samples[i].rc)
			continue;
		read_hex(samples[i].hex, packet);
		for (len = 0; len < samples[i].len; len++) {
			rc = read_it(packet, len, samples[i].version, &p, &s);
			if (strstr(samples[i].what, "length"))
				assert_int_not_equal(rc, 0);
			else
				assert_int_equal(rc, -1);
		}
	}
}

/* With a length that matches, it is read if its transport header is complete. */
static void test_cut_right(void **state)
{
	struct divert_packet p;
	struct packet_shape s;
	uint8_t packet[256];
	uint32_t len, full;
	int rc;

	full = read_hex(IP4("4500", "0028", "0000", "06") TCP_HEAD, packet);
	for (len = 20; len <= full; len++) {
		packet[3] = len;
		rc = read_it(packet, len, 4, &p, &s);
		assert_int_equal(rc, len < 40 ? PACKET_SHORT : 0);
		assert_int_equal(s.len, len);
		assert_int_equal(p.field[DIVERT_F_PROTO], 6);
		assert_int_equal(p.field[DIVERT_F_SPORT], len >= 40 ? 1234 : NONE);
		assert_int_equal(p.field[DIVERT_F_DPORT], len >= 40 ? 80 : NONE);
	}
	full = read_hex(IP6("0018", "00") "3c00000000000000"
					  "1100000000000000" UDP_HEAD,
			packet);
	for (len = 41; len <= full; len++) {
		packet[5] = len - 40;
		rc = read_it(packet, len, 6, &p, &s);
		assert_int_equal(rc, len < 64 ? PACKET_SHORT : 0);
		assert_int_equal(s.len, len);
		assert_int_equal(p.field[DIVERT_F_PROTO], len < 48 ? 0 : len < 56 ? 60 : 17);
		assert_int_equal(p.field[DIVERT_F_DPORT], len >= 64 ? 5000 : NONE);
	}
}

/* The least length of a packet of each protocol. */
static void test_transport(void **state)
{
	static const struct {
		uint8_t proto, least;
	} known[] = {{1, 4},  {6, 20}, {17, 8}, {33, 12}, {58, 8}, {132, 12}, {136, 8}, {47, 0},
		     {50, 0}, {51, 0}, {4, 0},	{89, 0},  {59, 0}, {139, 0},  {140, 0}, {255, 0}};
	struct divert_packet p;
	struct packet_shape s;
	uint8_t packet[256] = {0};
	unsigned int i;
	uint32_t len;

	for (i = 0; i < sizeof(known) / sizeof(*known); i++) {
		read_hex(IP4("4500", "0014", "2000", "00"), packet);
		packet[9] = known[i].proto;
		for (len = 20; len < 60; len++) {
			packet[3] = len;
			assert_int_equal(read_it(packet, len, 4, &p, &s),
					 len < 20u + known[i].least ? PACKET_SHORT : 0);
		}
		if (known[i].proto == 51)
			continue; /* an IPv6 header */
		read_hex(IP6("0000", "00"), packet);
		packet[6] = known[i].proto;
		for (len = 40; len < 80; len++) {
			packet[5] = len - 40;
			assert_int_equal(read_it(packet, len, 6, &p, &s),
					 len < 40u + known[i].least ? PACKET_SHORT : 0);
		}
	}
}

/* Headers of each kind, to the end of the longest packet. */
static void test_chain(void **state)
{
	static const uint8_t kinds[] = {0, 43, 60, 51, 44};
	uint32_t len = 40 + 65528, at;
	uint8_t *packet = calloc(1, len);
	struct divert_packet p;
	struct packet_shape s;
	unsigned int i;

	assert_non_null(packet);
	for (i = 0; i < sizeof(kinds); i++) {
		read_hex(IP6("fff8", "00"), packet);
		packet[6] = kinds[i];
		for (at = 40; at + 8 < len; at += 8)
			packet[at] = kinds[i];
		packet[len - 16] = 17;
		assert_int_equal(read_it(packet, len, 6, &p, &s), 0);
		assert_int_equal(s.payload, len - 8);
		assert_int_equal(p.field[DIVERT_F_PROTO], 17);
		assert_int_equal(p.field[DIVERT_F_DPORT], 0);
		packet[len - 16] = packet[len - 8] = kinds[i];
		assert_int_equal(read_it(packet, len, 6, &p, &s), PACKET_SHORT);
	}
	free(packet);
}

/* Packets that only the kernel makes: above 64 KiB, and without a length. */
static void test_jumbo(void **state)
{
	uint32_t len = 200000;
	uint8_t *packet = calloc(1, len);
	struct divert_packet p;
	struct packet_shape s;

	assert_non_null(packet);
	read_hex(IP4("4500", "0000", "0000", "06") TCP_HEAD, packet);
	assert_int_equal(read_it(packet, len, 4, &p, &s), 0);
	assert_int_equal(s.len, len);
	assert_int_equal(p.field[DIVERT_F_DPORT], 80);
	assert_int_equal(read_it(packet, 65536, 4, &p, &s), 0);

	/* hop-by-hop with the jumbo payload option */
	read_hex(IP6("0000", "00") "0600c20400030d18" TCP_HEAD, packet);
	assert_int_equal(read_it(packet, len, 6, &p, &s), 0);
	assert_int_equal(s.len, len);
	assert_int_equal(s.payload, 48);
	assert_int_equal(p.field[DIVERT_F_DPORT], 80);
	assert_int_equal(read_it(packet, 65535, 6, &p, &s), 0);
	assert_int_equal(s.len, 65535);
	free(packet);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),	  cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_kept),	  cmocka_unit_test(test_cut_off),
		cmocka_unit_test(test_cut_right), cmocka_unit_test(test_jumbo),
		cmocka_unit_test(test_transport), cmocka_unit_test(test_chain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
