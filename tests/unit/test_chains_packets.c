// sources: rules/*.c tests/unit/chains.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* ipchains -C: which rules packets meet in chains. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/ip.h>

#include "chains.h"

static const char rules_for_packets[] =
	"-N web\n-A web -s 10.0.0.0/8 -j ACCEPT\n-A web -s 11.0.0.0/8 -j RETURN\n-A web -j DIVERT "
	"9\n"
	"-A input -p tcp -d 0/0 80 -j web\n-A input -i ! eth+ -j DENY\n-A input -p tcp -s 0/0 ! "
	"1:5\n"
	"-A input -p tcp -s 0/0 ! 1:5 -j REJECT\n-A forward -s 10.0.0.1 -j ACCEPT\n-P forward DENY";

static const struct {
	const char *chain, *src, *iface;
	uint8_t proto;
	uint16_t sport, dport;
	unsigned int is;
} packets[] = {
	{"input", "10.0.0.1", "eth0", 6, 7, 80, CHAIN_ACCEPTED},
	{"input", "11.0.0.1", "eth0", 6, 3, 80, CHAIN_ACCEPTED},
	{"input", "11.0.0.1", "eth0", 6, 7, 80, CHAIN_REJECTED},
	{"input", "12.0.0.1", "eth0", 6, 7, 80, CHAIN_DIVERTED},
	{"input", "12.0.0.1", "eth0", 6, 5, 81, CHAIN_ACCEPTED},
	{"input", "12.0.0.1", "lo", 6, 5, 81, CHAIN_DENIED},
	{"input", "12.0.0.1", "lo", 6, 5, 80, CHAIN_DIVERTED},
	{"input", "12.0.0.1", "eth1", 17, 5, 80, CHAIN_ACCEPTED},
	{"forward", "10.0.0.1", "eth1", 17, 5, 80, CHAIN_ACCEPTED},
	{"forward", "10.0.0.2", "eth1", 17, 5, 80, CHAIN_DENIED},
	{"output", "10.0.0.2", "eth1", 17, 5, 80, CHAIN_ACCEPTED},
	{"web", "11.0.0.2", "eth1", 17, 5, 80, CHAIN_PASSED},
	{"web", "12.0.0.2", "eth1", 17, 5, 80, CHAIN_DIVERTED},
};

static void test_packets(void **state)
{
	struct rules_error err;
	struct chain_verdict v;
	uint8_t packet[40];
	struct iphdr ip;
	struct chains c;
	uint16_t port;
	unsigned int i;

	assert_int_equal(chains_init(&c, &err), 0);
	script(&c, rules_for_packets);
	for (i = 0; i < sizeof(packets) / sizeof(*packets); i++) {
		memset(packet, 0, sizeof(packet));
		memset(&ip, 0, sizeof(ip));
		ip.version = 4;
		ip.ihl = 5;
		ip.tot_len = htons(sizeof(packet));
		ip.protocol = packets[i].proto;
		ip.saddr = inet_addr(packets[i].src);
		memcpy(packet, &ip, sizeof(ip));
		port = htons(packets[i].sport);
		memcpy(packet + 20, &port, 2);
		port = htons(packets[i].dport);
		memcpy(packet + 22, &port, 2);
		assert_int_equal(chain_test(&c, chains_find(&c, packets[i].chain, &err), packet,
					    sizeof(packet), packets[i].iface, &v, &err),
				 0);
		if (v.is != packets[i].is)
			fail_msg("packet %u: %d", i, v.is);
		assert_int_equal(v.port, v.is == CHAIN_DIVERTED ? 9 : 0);
	}
	/* TCP's flags, and fragments */
	script(&c, "-F input\n-A input -p tcp -y -j DENY\n-A input -f -j DIVERT 9");
	packet[0] = 0x45;
	packet[9] = 6;
	packet[32] = 5 << 4;
	packet[33] = 0x02;
	assert_int_equal(chain_test(&c, c.first, packet, 40, "eth0", &v, &err), 0);
	assert_int_equal(v.is, CHAIN_DENIED);
	packet[33] = 0x12;
	assert_int_equal(chain_test(&c, c.first, packet, 40, "eth0", &v, &err), 0);
	assert_int_equal(v.is, CHAIN_ACCEPTED);
	packet[7] = 1;
	assert_int_equal(chain_test(&c, c.first, packet, 40, "eth0", &v, &err), 0);
	assert_int_equal(v.is, CHAIN_DIVERTED);
	/* types and codes of ICMP */
	script(&c, "-F input\n-A input -p icmp -s 0/0 3 -d 0/0 ! 1:3 -j DENY");
	packet[7] = 0;
	packet[9] = 1;
	packet[20] = 3;
	packet[21] = 4;
	assert_int_equal(chain_test(&c, c.first, packet, 40, "eth0", &v, &err), 0);
	assert_int_equal(v.is, CHAIN_DENIED);
	packet[21] = 3;
	assert_int_equal(chain_test(&c, c.first, packet, 40, "eth0", &v, &err), 0);
	assert_int_equal(v.is, CHAIN_ACCEPTED);
	packet[0] = 0x46; /* shorter than its header says */
	assert_int_not_equal(chain_test(&c, c.first, packet, 20, "eth0", &v, &err), 0);
	chains_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
