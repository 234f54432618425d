/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All conditions, in one table for parser and printer. Flags are in the order in which FreeBSD
 * prints them.
 */
#include "parse.h"

static const struct flag_name tcp_flags[] = {
	{"syn", TH_SYN}, {"fin", 0x01}, {"ack", TH_ACK}, {"psh", 0x08},
	{"rst", TH_RST}, {"urg", 0x20}, {NULL, 0},
};

static const struct flag_name tcp_options[] = {
	{"mss", DIVERT_TCPOPT_MSS},	  {"maxseg", DIVERT_TCPOPT_MSS},
	{"window", DIVERT_TCPOPT_WINDOW}, {"sack", DIVERT_TCPOPT_SACK},
	{"ts", DIVERT_TCPOPT_TS},	  {"timestamp", DIVERT_TCPOPT_TS},
	{"cc", DIVERT_TCPOPT_CC},	  {NULL, 0},
};

static const struct flag_name ip_options[] = {
	{"ssrr", DIVERT_IPOPT_SSRR},
	{"lsrr", DIVERT_IPOPT_LSRR},
	{"rr", DIVERT_IPOPT_RR},
	{"ts", DIVERT_IPOPT_TS},
	{NULL, 0},
};

/* The last two are ECN: CE, which sets both bits, and ECT(0), formerly mincost. */
static const struct flag_name tos_bits[] = {
	{"lowdelay", 0x10}, {"throughput", 0x08}, {"reliability", 0x04},
	{"mincost", 0x02},  {"congestion", 3},	  {"ecntransport", 2},
	{NULL, 0},
};

static const struct flag_name frag_bits[] = {
	{"rf", RULE_FRAG_RF},
	{"df", RULE_FRAG_DF},
	{"mf", RULE_FRAG_MF},
	{"offset", RULE_FRAG_OFFSET},
	{NULL, 0},
};

static const struct flag_name ext_headers[] = {
	{"frag", DIVERT_EXT_FRAG},     {"hopopt", DIVERT_EXT_HOPOPT}, {"route", DIVERT_EXT_ROUTE},
	{"dstopt", DIVERT_EXT_DSTOPT}, {"ah", DIVERT_EXT_AH},	      {"esp", DIVERT_EXT_ESP},
	{"rthdr0", DIVERT_EXT_RTHDR0}, {"rthdr2", DIVERT_EXT_RTHDR2}, {NULL, 0},
};

enum {
	AT_IP_ID = 4, /* offsets in the IPv4 header */
	AT_IP_TTL = 8,
	AT_TCP_SEQ = 4, /* in the TCP header */
	AT_TCP_ACK = 8,
	AT_TCP_FLAGS = 13,
	AT_TCP_WINDOW = 14,
};

/*
 * The end of a row: the value that is compared with the argument. An option without an argument
 * matches if the value is not 0. FIELD: a field that packet_read() fills in for each packet. BYTES:
 * bytes of the IP header, or of what follows it (TRANSPORT), at an offset. BITS: some bits of
 * these. LOAD: what engine/field.h works out. CODE: none; emit_match() in rules/emit.c has a case.
 */
#define FIELD(name)		    DIVERT_F_##name, 0, 0, 0, 0
#define BYTES(from, at, bytes)	    BITS(from, at, bytes, ~0u)
#define BITS(from, at, bytes, bits) DIVERT_F_LOADED, DIVERT_LOAD_##from, at, bytes, bits
#define LOAD(from)		    BITS(from, 0, 0, ~0u)
#define CODE			    0, 0, 0, 0, 0

const struct rule_kind rule_kind[RULE_TYPES] = {
	[RULE_PROTO] = {"proto", ARG_PROTO, "protocol", 0, NULL, 0, CODE},
	[RULE_IP4] = {"proto", ARG_PROTO, "protocol", 0, NULL, ONLY_V4, CODE},
	[RULE_IP6] = {"proto", ARG_PROTO, "protocol", 0, NULL, ONLY_V6, CODE},
	[RULE_SRC] = {"src-ip", ARG_ADDRS, "address", 0, NULL, 0, CODE},
	[RULE_DST] = {"dst-ip", ARG_ADDRS, "address", 0, NULL, 0, CODE},
	[RULE_SPORT] = {"src-port", ARG_PORTS, "ports", 0, NULL, ONLY_FIRST, FIELD(SPORT)},
	[RULE_DPORT] = {"dst-port", ARG_PORTS, "ports", 0, NULL, ONLY_FIRST, FIELD(DPORT)},
	[RULE_IN] = {"in", ARG_NONE, NULL, 0, NULL, 0, CODE},
	[RULE_VIA] = {"via", ARG_IFACE, "interface", 0, NULL, 0, CODE},
	[RULE_RECV] = {"recv", ARG_IFACE, "interface", 0, NULL, 0, CODE},
	[RULE_XMIT] = {"xmit", ARG_IFACE, "interface", 0, NULL, 0, CODE},
	[RULE_ICMP] = {"icmptypes", ARG_NUMBERS, "ICMP types", 255, NULL, ONLY_FIRST, FIELD(ICMP)},
	[RULE_ICMP6] = {"icmp6types", ARG_NUMBERS, "ICMP types", 255, NULL, ONLY_V6 | ONLY_FIRST,
			FIELD(ICMP6)},
	[RULE_ICMPCODES] = {"icmpcodes", ARG_RANGES, "ICMP codes", 255, NULL, ONLY_FIRST, CODE},
	[RULE_DIVERTED] = {"diverted", ARG_NONE, NULL, 0, NULL, 0, CODE},
	[RULE_DIVERTED_LOOPBACK] = {"diverted-loopback", ARG_NONE, NULL, 0, NULL, 0, CODE},
	[RULE_DIVERTED_OUTPUT] = {"diverted-output", ARG_NONE, NULL, 0, NULL, 0, CODE},
	[RULE_FWMARK] = {"fwmark", ARG_MARK, "mark", 0, NULL, 0, FIELD(MARK)},
	[RULE_BYPASS] = {"bypass", ARG_BYPASS, NULL, 0, NULL, 0, CODE},
	[RULE_ESTABLISHED] = {"established", ARG_NONE, NULL, 0, NULL, ONLY_TCP,
			      BITS(TRANSPORT, AT_TCP_FLAGS, 1, TH_RST | TH_ACK)},
	[RULE_SETUP] = {"setup", ARG_NONE, NULL, 0, NULL, ONLY_TCP,
			BYTES(TRANSPORT, AT_TCP_FLAGS, 1)},
	[RULE_TCPFLAGS] = {"tcpflags", ARG_FLAGS, "TCP flags", 0, tcp_flags, ONLY_TCP,
			   BYTES(TRANSPORT, AT_TCP_FLAGS, 1)},
	[RULE_TCPOPTIONS] = {"tcpoptions", ARG_FLAGS, "TCP options", 0, tcp_options, ONLY_TCP,
			     LOAD(TCPOPTIONS)},
	[RULE_TCPSEQ] = {"tcpseq", ARG_VALUE, "sequence number", ~0u, NULL, ONLY_TCP,
			 BYTES(TRANSPORT, AT_TCP_SEQ, 4)},
	[RULE_TCPACK] = {"tcpack", ARG_VALUE, "sequence number", ~0u, NULL, ONLY_TCP,
			 BYTES(TRANSPORT, AT_TCP_ACK, 4)},
	[RULE_TCPWIN] = {"tcpwin", ARG_RANGES, "window sizes", 65535, NULL, ONLY_TCP,
			 BYTES(TRANSPORT, AT_TCP_WINDOW, 2)},
	[RULE_TCPMSS] = {"tcpmss", ARG_RANGES, "segment sizes", 65535, NULL, ONLY_TCP,
			 LOAD(TCPMSS)},
	[RULE_TCPDATALEN] = {"tcpdatalen", ARG_RANGES, "lengths", 65535, NULL, ONLY_TCP,
			     LOAD(TCPDATA)},
	[RULE_IPID] = {"ipid", ARG_RANGES, "IP ids", 65535, NULL, ONLY_V4, BYTES(IP, AT_IP_ID, 2)},
	[RULE_IPLEN] = {"iplen", ARG_RANGES, "lengths", 65535, NULL, 0, FIELD(LEN)},
	[RULE_IPTTL] = {"ipttl", ARG_RANGES, "times to live", 255, NULL, ONLY_V4,
			BYTES(IP, AT_IP_TTL, 1)},
	[RULE_IPTOS] = {"iptos", ARG_FLAGS, "types of service", 0, tos_bits, ONLY_V4, FIELD(TOS)},
	[RULE_IPPRECEDENCE] = {"ipprecedence", ARG_NUMBERS, "precedences", 7, NULL, ONLY_V4,
			       FIELD(TOS)},
	[RULE_DSCP] = {"dscp", ARG_DSCP, "code points", 63, NULL, 0, FIELD(TOS)},
	[RULE_IPOPTIONS] = {"ipoptions", ARG_FLAGS, "IP options", 0, ip_options, ONLY_V4,
			    LOAD(IPOPTIONS)},
	[RULE_FRAG] = {"frag", ARG_FLAGS, "fragment bits", 0, frag_bits, 0, CODE},
	[RULE_EXT6HDR] = {"ext6hdr", ARG_ANY, "extension headers", 0, ext_headers, ONLY_V6, CODE},
	[RULE_IPVER] = {"ipver", ARG_VALUE, "version of IP", 255, NULL, 0, CODE},
	[RULE_SOCKARG] = {"sockarg", ARG_NONE, NULL, 0, NULL, 0, CODE},
	[RULE_FLOWID] = {"flow-id", ARG_VALUES, "flow labels", 0xfffff, NULL, ONLY_V6,
			 BITS(IP, 0, 4, 0xfffff)},
	[RULE_UID] = {"uid", ARG_USER, "user", ~0u - 1, NULL, 0, LOAD(UID)},
	[RULE_GID] = {"gid", ARG_GROUP, "group", ~0u - 1, NULL, 0, LOAD(GID)},
	[RULE_LOOKUP] = {"lookup", ARG_LOOKUP, "key", 0, NULL, 0, CODE},
	[RULE_FLOW] = {"flow", ARG_FLOW, "table", 0, NULL, ONLY_FIRST, CODE},
	[RULE_VERREVPATH] = {"verrevpath", ARG_NONE, NULL, 0, NULL, 0, CODE},
	[RULE_VERSRCREACH] = {"versrcreach", ARG_NONE, NULL, 0, NULL, 0, CODE},
	[RULE_ANTISPOOF] = {"antispoof", ARG_NONE, NULL, 0, NULL, 0, CODE},
	[RULE_FIRST] = {"first", ARG_VALUE, "number of packets", 65535, NULL, 0, CODE},
};
