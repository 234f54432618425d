/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The conditions that there are: one table drives parser and printer. Flags are in the order in which
 * FreeBSD prints them.
 */
#include "parse.h"

static const struct flag_name tcp_flags[] = {
	{"syn", TH_SYN}, {"fin", 0x01}, {"ack", TH_ACK}, {"psh", 0x08},
	{"rst", 0x04},	 {"urg", 0x20}, {NULL, 0},
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

/* The last two are of ECN: CE, which is both of its bits, and ECT(0), which once was mincost. */
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

const struct rule_kind rule_kind[RULE_TYPES] = {
	[RULE_PROTO] = {"proto", ARG_PROTO, "protocol", 0, NULL},
	[RULE_IP4] = {"proto", ARG_PROTO, "protocol", 0, NULL},
	[RULE_IP6] = {"proto", ARG_PROTO, "protocol", 0, NULL},
	[RULE_SRC] = {"src-ip", ARG_ADDRS, "address", 0, NULL},
	[RULE_DST] = {"dst-ip", ARG_ADDRS, "address", 0, NULL},
	[RULE_SPORT] = {"src-port", ARG_PORTS, "ports", 0, NULL},
	[RULE_DPORT] = {"dst-port", ARG_PORTS, "ports", 0, NULL},
	[RULE_IN] = {"in", ARG_NONE, NULL, 0, NULL},
	[RULE_VIA] = {"via", ARG_IFACE, "interface", 0, NULL},
	[RULE_RECV] = {"recv", ARG_IFACE, "interface", 0, NULL},
	[RULE_XMIT] = {"xmit", ARG_IFACE, "interface", 0, NULL},
	[RULE_ICMP] = {"icmptypes", ARG_NUMBERS, "ICMP types", 255, NULL},
	[RULE_ICMP6] = {"icmp6types", ARG_NUMBERS, "ICMP types", 255, NULL},
	[RULE_ICMPCODES] = {"icmpcodes", ARG_RANGES, "ICMP codes", 255, NULL},
	[RULE_DIVERTED] = {"diverted", ARG_NONE, NULL, 0, NULL},
	[RULE_DIVERTED_LOOPBACK] = {"diverted-loopback", ARG_NONE, NULL, 0, NULL},
	[RULE_DIVERTED_OUTPUT] = {"diverted-output", ARG_NONE, NULL, 0, NULL},
	[RULE_FWMARK] = {"fwmark", ARG_MARK, "mark", 0, NULL},
	[RULE_BYPASS] = {"bypass", ARG_BYPASS, NULL, 0, NULL},
	[RULE_ESTABLISHED] = {"established", ARG_NONE, NULL, 0, NULL},
	[RULE_SETUP] = {"setup", ARG_NONE, NULL, 0, NULL},
	[RULE_TCPFLAGS] = {"tcpflags", ARG_FLAGS, "TCP flags", 0, tcp_flags},
	[RULE_TCPOPTIONS] = {"tcpoptions", ARG_FLAGS, "TCP options", 0, tcp_options},
	[RULE_TCPSEQ] = {"tcpseq", ARG_VALUE, "sequence number", ~0u, NULL},
	[RULE_TCPACK] = {"tcpack", ARG_VALUE, "sequence number", ~0u, NULL},
	[RULE_TCPWIN] = {"tcpwin", ARG_RANGES, "window sizes", 65535, NULL},
	[RULE_TCPMSS] = {"tcpmss", ARG_RANGES, "segment sizes", 65535, NULL},
	[RULE_TCPDATALEN] = {"tcpdatalen", ARG_RANGES, "lengths", 65535, NULL},
	[RULE_IPID] = {"ipid", ARG_RANGES, "IP ids", 65535, NULL},
	[RULE_IPLEN] = {"iplen", ARG_RANGES, "lengths", 65535, NULL},
	[RULE_IPTTL] = {"ipttl", ARG_RANGES, "times to live", 255, NULL},
	[RULE_IPTOS] = {"iptos", ARG_FLAGS, "types of service", 0, tos_bits},
	[RULE_IPPRECEDENCE] = {"ipprecedence", ARG_NUMBERS, "precedences", 7, NULL},
	[RULE_DSCP] = {"dscp", ARG_DSCP, "code points", 63, NULL},
	[RULE_IPOPTIONS] = {"ipoptions", ARG_FLAGS, "IP options", 0, ip_options},
	[RULE_FRAG] = {"frag", ARG_FLAGS, "fragment bits", 0, frag_bits},
	[RULE_EXT6HDR] = {"ext6hdr", ARG_ANY, "extension headers", 0, ext_headers},
	[RULE_IPVER] = {"ipver", ARG_VALUE, "version of IP", 255, NULL},
	[RULE_SOCKARG] = {"sockarg", ARG_NONE, NULL, 0, NULL},
	[RULE_FLOWID] = {"flow-id", ARG_VALUES, "flow labels", 0xfffff, NULL},
	[RULE_UID] = {"uid", ARG_USER, "user", ~0u - 1, NULL},
	[RULE_GID] = {"gid", ARG_GROUP, "group", ~0u - 1, NULL},
	[RULE_LOOKUP] = {"lookup", ARG_LOOKUP, "key", 0, NULL},
	[RULE_FLOW] = {"flow", ARG_FLOW, "table", 0, NULL},
	[RULE_VERREVPATH] = {"verrevpath", ARG_NONE, NULL, 0, NULL},
	[RULE_VERSRCREACH] = {"versrcreach", ARG_NONE, NULL, 0, NULL},
	[RULE_ANTISPOOF] = {"antispoof", ARG_NONE, NULL, 0, NULL},
};
