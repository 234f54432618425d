/* SPDX-License-Identifier: BSD-2-Clause */
/* ipchains -C: tests the packet that the options describe against a chain. */
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <string.h>

#include "ipchains.h"

#define PACKET_LEN 40

static void make_packet(const struct chain_spec *s, uint8_t packet[PACKET_LEN])
{
	struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = s->proto};
	uint16_t port;

	memset(packet, 0, PACKET_LEN);
	ip.tot_len = htons(PACKET_LEN);
	ip.saddr = s->src.s_addr;
	ip.daddr = s->dst.s_addr;
	if (s->flags & CHAIN_FRAG)
		ip.frag_off = htons(1);
	memcpy(packet, &ip, sizeof(ip));
	if (s->proto == IPPROTO_ICMP) {
		packet[20] = s->sport[0];
		packet[21] = s->dport[0];
		return;
	}
	port = htons(s->sport[0]);
	memcpy(packet + 20, &port, sizeof(port));
	port = htons(s->dport[0]);
	memcpy(packet + 22, &port, sizeof(port));
	if (s->proto == IPPROTO_TCP) {
		packet[32] = 5 << 4;				 /* length of the TCP header */
		packet[33] = s->flags & CHAIN_SYN ? 0x02 : 0x10; /* SYN, or ACK */
	}
}

int check_packets(struct chainset *s, const struct chain_command *c, struct rules_error *err)
{
	static const char *const words[] = {
		[CHAIN_PASSED] = "passed through chain",
		[CHAIN_ACCEPTED] = "accepted",
		[CHAIN_DENIED] = "denied",
		[CHAIN_REJECTED] = "rejected",
		[CHAIN_DIVERTED] = "diverted",
	};
	struct chain *chain = chains_find(&s->chains, c->chain, err);
	uint8_t packet[PACKET_LEN];
	struct chain_verdict v;
	unsigned int i;

	if (!chain)
		return -1;
	for (i = 0; i < c->n; i++) {
		make_packet(&c->spec[i], packet);
		if (chain_test(&s->chains, chain, packet, sizeof(packet), c->spec[i].iface, &v,
			       err))
			return -1;
		if (v.is == CHAIN_DIVERTED)
			printf("%s to port %u\n", words[v.is], v.port);
		else
			puts(words[v.is]);
	}
	return 0;
}
