/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Compiled rules, their tables, counters, log and index, as both halves of the engine have them. It
 * is part of layout.h, and included by that alone.
 */
#ifndef DIVERT_ENGINE_RULE_LAYOUT_H
#define DIVERT_ENGINE_RULE_LAYOUT_H

#ifndef DIVERT_LAYOUT
#define DIVERT_LAYOUT 22 /* of this file and of layout.h */
#endif

/*
 * A rule set is a graph of instructions. A test goes on at `yes` or at `no`: "not", lists and
 * or-blocks are edges. The last instruction of each rule is its action, which also counts.
 */
enum divert_op {
	DIVERT_OP_MASK,	  /* (field & mask.mask) == mask.value */
	DIVERT_OP_RANGE,  /* field in one of range[0..4]; unused ones have lo 1, hi 0 */
	DIVERT_OP_PREFIX, /* the first prefix.bits bits of a wide field */
	DIVERT_OP_OWNED,  /* the ring in slot mask.value is held: its process lives */
	DIVERT_OP_BELOW,  /* field < mask.value */
	DIVERT_OP_LOAD,	  /* LOADED = what load says; whether the packet has it */
	DIVERT_OP_LOOKUP, /* whether the table has it; if so, TABLEARG = its value */
	DIVERT_OP_LOCAL,  /* whether the wide field is an address of this host */
	DIVERT_OP_IFADDR, /* whether the interface of the wide field has the address prefix.word */
	DIVERT_OP_RPF,	  /* of a packet that came in: what enum divert_rpf in field asks */
	DIVERT_OP_GO,	  /* action count, skipto: count, go on at yes */
	DIVERT_OP_ALLOW,  /* action */
	DIVERT_OP_DENY,	  /* action */
	DIVERT_OP_DIVERT, /* action: to action.port; where that is passed by, go on at yes */
	DIVERT_OP_TEE,	  /* action: a copy to action.port, go on at yes */
	DIVERT_OP_CALL,	  /* action: note no, go on at yes; DIVERT_CALLS_MAX deep: at the next */
	DIVERT_OP_RETURN, /* action: go on where the last call noted; without one, at yes */
	/*
	 * Before the tests of ports and the like in a divert rule, which a later fragment cannot
	 * pass. The fragment goes to fragment.action if this rule diverted the first fragment, or
	 * if that has not come yet and the socket reassembles; to no if the first one went
	 * elsewhere. All other packets go on at yes.
	 */
	DIVERT_OP_FRAGMENT,
	DIVERT_OP_REJECT, /* action: as DENY, and action.port says what the sender is told */
	/*
	 * Before a rule. If the packet may match a rule of skip.section, go on at yes, else at the
	 * next section that it may match. In a run of similar rules, go on behind the SKIP of the
	 * next rule with the packet's value, or at no if there is none.
	 */
	DIVERT_OP_SKIP,
	/*
	 * If the packet's flow has a state with state.name, go on at the action of the rule that
	 * made it, else at no.
	 */
	DIVERT_OP_STATE,
	/*
	 * Is the packet among the first state.limit ones of its flow, in its direction, that came
	 * here?
	 */
	DIVERT_OP_FIRST,
	DIVERT_OP_KEEP, /* make such a state, and go on at yes; if it cannot be, drop the packet */
	DIVERT_OP_CHANGE, /* before an action: change the packet as change says, go on at yes */
	DIVERT_OP_HOP,	  /* before FWD: note what field, enum divert_hop, says; go on at yes */
	DIVERT_OP_FWD,	  /* action: send the packet to the hop that was noted */
};

/* A check for states of any name is one STATE for each name. */
enum divert_state_any {
	DIVERT_ANY_NOT, /* for this name only */
	DIVERT_ANY_FIRST,
	DIVERT_ANY_NEXT,
};

/* REJECT sends this; without RESET, an ICMP unreachable, whose code is in the low 8 bits. */
enum divert_reject {
	DIVERT_REJECT_V4 = 1 << 8, /* to IPv4 packets, and the closest to it to IPv6 packets */
	DIVERT_REJECT_V6 = 1 << 9, /* to IPv6 packets only */
	DIVERT_REJECT_RESET = 1 << 10,
	DIVERT_REJECT_TOO_BIG = 1 << 11, /* with an MTU; no rule asks for it */
};

/* What HOP notes, of hop. */
enum divert_hop {
	DIVERT_HOP_V4, /* addr[0] */
	DIVERT_HOP_V6, /* addr */
	DIVERT_HOP_TABLEARG,
	DIVERT_HOP_IFACE, /* name: of the interface on whose link the address is, which is noted */
};

#define DIVERT_TAG_LAST 65534 /* of the tags: only the default rule is above it */

/* Fields for MASK and RANGE. A field that the packet lacks is DIVERT_ABSENT. */
enum divert_field {
	DIVERT_F_FLAGS, /* enum divert_packet_flags */
	DIVERT_F_SRC4,	/* network order; DIVERT_ABSENT stands for none too: test IS_V4 first */
	DIVERT_F_DST4,
	DIVERT_F_PROTO, /* of IPv6: after the extension headers */
	DIVERT_F_SPORT, /* host order */
	DIVERT_F_DPORT,
	DIVERT_F_ICMP,	   /* type of ICMP */
	DIVERT_F_ICMP6,	   /* type of ICMPv6 */
	DIVERT_F_LEN,	   /* of the whole packet, bytes */
	DIVERT_F_MARK,	   /* fwmark */
	DIVERT_F_TOS,	   /* type of service, traffic class */
	DIVERT_F_EXT,	   /* extension headers: enum divert_ext */
	DIVERT_F_PAYLOAD,  /* offset of what follows the IP headers */
	DIVERT_F_LOADED,   /* by the last LOAD */
	DIVERT_F_TABLEARG, /* by the last LOOKUP that matched */
	DIVERT_F_LOCAL,	   /* enum divert_local, as far as it was looked up */
	DIVERT_F_ROOM = 32,
};

/* Sources of LOAD. */
enum divert_load {
	DIVERT_LOAD_IP,		/* load.width bytes at load.offset from the IP header */
	DIVERT_LOAD_TRANSPORT,	/* the same behind the IP headers; later fragments have none */
	DIVERT_LOAD_IPOPTIONS,	/* enum divert_ip_option */
	DIVERT_LOAD_TCPOPTIONS, /* enum divert_tcp_option */
	DIVERT_LOAD_TCPMSS,
	DIVERT_LOAD_TCPDATA, /* bytes */
	DIVERT_LOAD_UID,     /* of the sender, this host's */
	DIVERT_LOAD_GID,
	DIVERT_LOAD_RANDOM,
	DIVERT_LOAD_DSCP,
	DIVERT_LOAD_NO_TABLEARG, /* TABLEARG = 0: of another rule it does not count */
	DIVERT_LOADS,
};

/* An engine without a new one would take rules that ask for it, and match nothing. */
_Static_assert(DIVERT_LOADS == 11, "another source raises DIVERT_LAYOUT, and this number");

enum divert_ext {
	DIVERT_EXT_FRAG = 1 << 0,
	DIVERT_EXT_HOPOPT = 1 << 1,
	DIVERT_EXT_ROUTE = 1 << 2,
	DIVERT_EXT_DSTOPT = 1 << 3,
	DIVERT_EXT_AH = 1 << 4,
	DIVERT_EXT_ESP = 1 << 5,
	DIVERT_EXT_RTHDR0 = 1 << 6,
	DIVERT_EXT_RTHDR2 = 1 << 7,
};

enum divert_ip_option {
	DIVERT_IPOPT_SSRR = 1 << 0,
	DIVERT_IPOPT_LSRR = 1 << 1,
	DIVERT_IPOPT_RR = 1 << 2,
	DIVERT_IPOPT_TS = 1 << 3,
};

enum divert_tcp_option {
	DIVERT_TCPOPT_MSS = 1 << 0,
	DIVERT_TCPOPT_WINDOW = 1 << 1,
	DIVERT_TCPOPT_SACK = 1 << 2,
	DIVERT_TCPOPT_TS = 1 << 3,
	DIVERT_TCPOPT_CC = 1 << 4,
};

/* Questions of RPF about the source. */
enum divert_rpf {
	DIVERT_RPF_REVERSE, /* the way to it leaves by the interface that the packet came in on */
	DIVERT_RPF_REACH,   /* a way leads to it, which is not the default one */
	DIVERT_RPF_HONEST,  /* if it is of a network of this host's, the packet came in there */
	DIVERT_RPF_KINDS,
};

enum divert_local {
	DIVERT_LOCAL_SRC_KNOWN = 1 << 0,
	DIVERT_LOCAL_SRC = 1 << 1,
	DIVERT_LOCAL_DST_KNOWN = 1 << 2,
	DIVERT_LOCAL_DST = 1 << 3,
	DIVERT_LOCAL_RPF_KNOWN = 1 << 4, /* shifted by enum divert_rpf */
	DIVERT_LOCAL_RPF = 1 << 8,
};

#define DIVERT_ABSENT 0xffffffffu

#define DIVERT_CALLS_MAX 16 /* calls that a packet is in at a time */

enum divert_packet_flags {
	DIVERT_IS_V4 = 1 << 0,
	DIVERT_IS_V6 = 1 << 1,
	DIVERT_IS_OUT = 1 << 2,		   /* else in */
	DIVERT_IS_REINJECTED_IN = 1 << 3,  /* written back inbound: diverted-loopback */
	DIVERT_IS_REINJECTED_OUT = 1 << 4, /* written back outbound: diverted-output */
	DIVERT_IS_FRAG = 1 << 5,	   /* not the first fragment: no ports */
	DIVERT_IS_FORWARDED = 1 << 6,	   /* out, received from another host */
};

/* Fields for PREFIX: 128 bits, most significant word first. */
enum divert_wide {
	DIVERT_W_SRC6,
	DIVERT_W_DST6,
	DIVERT_W_RECV, /* name of the receiving interface, read as a number; 0: none */
	DIVERT_W_XMIT, /* name of the sending interface */
	DIVERT_W_ROOM,
};

struct divert_insn {
	__u8 op;    /* enum divert_op */
	__u8 field; /* enum divert_field, or enum divert_wide for PREFIX */
	__u16 rule; /* number of the rule */
	__u32 yes;  /* index of an instruction, above this one's but for CALL's */
	__u32 no;
	union {
		struct {
			__u32 mask, value;
		} mask;
		struct {
			__u16 lo, hi;
		} range[5];
		struct {
			__u32 word[4]; /* hi.msw, hi.lsw, lo.msw, lo.lsw; each host order */
			__u32 bits;
		} prefix;
		struct {
			__u32 section;
			__u32 first; /* of the run: its values in the list of them */
			__u32 n;     /* how many; 0: no run */
		} skip;
		struct {
			__u32 name;    /* of the states */
			__u32 id;      /* KEEP: of the rule */
			__u32 counter; /* KEEP: the rule's */
			__u16 limit;   /* KEEP: of states that are equal in limit_by */
			__u8 limit_by; /* enum divert_flow_field; 0: no limit */
			__u8 any;      /* STATE: enum divert_state_any */
		} state;
		struct {
			__u32 action; /* index of the rule's last instruction */
			__u32 port;   /* of the action, host order */
		} fragment;
		struct {
			__u32 mark_keep, mark_add; /* fwmark = (fwmark & keep) + add */
			__u8 tos_keep, tos_flip;   /* IPv4: TOS = (TOS & keep) ^ flip */
		} change;
		union {
			__be32 addr[4];
			char name[DIVERT_NAME_LEN];
		} hop;
		struct {
			__u16 offset;
			__u8 width; /* 1, 2 or 4 */
			__u8 shift; /* to the right */
			__u32 mask; /* after it */
		} load;		    /* field: enum divert_load */
		struct {
			__u32 table;
			__u32 value;
			__u8 check; /* the value has to be this one */
			__u8 key;   /* enum divert_key */
			__u16 flow; /* enum divert_flow_field */
		} lookup;
		struct {
			__u32 counter; /* index into rule_counters */
			__u16 port;    /* host order; of REJECT: enum divert_reject and a code */
			__u16 flags;   /* enum divert_action_flags */
			__u32 log_max; /* with DIVERT_ACT_LOG; 0: no limit */
			__u16 mtu; /* of REJECT for a packet that is too long; 0: none is named */
		} action;
	};
};

enum divert_action_flags {
	DIVERT_ACT_BYPASS = 1 << 0,   /* divert: nobody listens: go on at yes */
	DIVERT_ACT_TABLEARG = 1 << 1, /* port, or where skipto and call lead, is TABLEARG */
	DIVERT_ACT_LOG = 1 << 2,
};

/* Keys of LOOKUP. */
enum divert_key {
	DIVERT_KEY_SRC, /* address */
	DIVERT_KEY_DST,
	DIVERT_KEY_FIELD, /* field, as a number */
	DIVERT_KEY_NAME,  /* wide field, a name */
	DIVERT_KEY_FLOW,  /* several fields */
};

/*
 * Maps of all tables. Hosts, addresses of full length, are in a hash map, as a trie takes a cache
 * miss for nearly every bit that distinguishes its entries. A Bloom filter, much smaller, rules
 * most other addresses out. Networks are in a trie.
 */
#define DIVERT_TABLE_ADDRS 1048576 /* hosts, and as many networks */
#define DIVERT_TABLE_KEYS  65536
#define DIVERT_TABLE_FLOWS 65536

struct divert_table_addr {
	__u32 bits;   /* of the prefix: 32, and those of the address */
	__be32 table; /* twice the id, and 1 for IPv6 */
	__be32 addr[4];
};

/* The key of a host: that of an address without the bits. */
struct divert_table_host {
	__be32 table;
	__be32 addr[4];
};

/* The kinds of entries that a table may have: no packet is in it by any other kind. */
enum divert_table_kind {
	DIVERT_TABLE_HOSTS = 1 << 0,
	DIVERT_TABLE_NETS = 1 << 1,
};

/*
 * The kinds of all tables, by the table's number in the key of an address; several may share one.
 */
#define DIVERT_TABLE_PLACES 4096
struct divert_table_kinds {
	__u32 filtered; /* hosts that the filter was told of; only for user space */
	__u8 kind[DIVERT_TABLE_PLACES];
};

struct divert_table_key {
	__u32 table;
	__u32 number; /* host order; 0 for a name */
	char name[DIVERT_NAME_LEN];
};

/* Fields that the entries of a table of flows have; the rest of their keys is 0. */
enum divert_flow_field {
	DIVERT_FLOW_SRC = 1 << 0,
	DIVERT_FLOW_PROTO = 1 << 1,
	DIVERT_FLOW_SPORT = 1 << 2,
	DIVERT_FLOW_DST = 1 << 3,
	DIVERT_FLOW_DPORT = 1 << 4,
	DIVERT_FLOW_ALL = (1 << 5) - 1,
};

struct divert_table_flow {
	__u32 table;
	__be32 src[4], dst[4];
	__u16 sport, dport; /* host order */
	__u8 six;	    /* of IPv6; without addresses 0 */
	__u8 proto;
	__u16 reserved;
};

/* ---- states of flows ---- */

/* The kinds of lifetimes of states, as FreeBSD's net.inet.ip.fw.dyn_..._lifetime. */
enum divert_life {
	DIVERT_LIFE_ACK, /* TCP, established */
	DIVERT_LIFE_SYN, /* TCP, begun */
	DIVERT_LIFE_FIN, /* TCP, ended by both sides */
	DIVERT_LIFE_RST, /* TCP, reset, or not followed from its beginning */
	DIVERT_LIFE_UDP,
	DIVERT_LIFE_SHORT, /* all other protocols */
	DIVERT_LIVES,
};

static const __u32 divert_life[DIVERT_LIVES] = {300, 20, 1, 1, 10, 5}; /* s */

#define DIVERT_STATES_DEFAULT 16384   /* states, and counts of limits, at a time */
#define DIVERT_STATES_MAX     1048576 /* that can be set */

enum divert_flow_kind {
	DIVERT_FLOW_STATE,
	DIVERT_FLOW_LIMIT,    /* counts the states that a limit takes as equal */
	DIVERT_FLOW_FIRST,    /* counts the packets of a flow at a rule */
	DIVERT_FLOW_RELEASED, /* in a map of its own: struct divert_released */
};

/* The address with the lower bytes is the first; of equal ones, the lower port. */
struct divert_flow_key {
	__be32 addr[2][4]; /* IPv4: the first word, the rest 0 */
	__u16 port[2];	   /* host order; 0: the protocol has none */
	__u32 name;	   /* of the states; else the rule's id */
	__u8 proto;
	__u8 six;  /* of IPv6 */
	__u8 kind; /* enum divert_flow_kind */
	__u8 reserved;
};

struct divert_flow {
	__u64 expires;	      /* CLOCK_MONOTONIC_COARSE, ns */
	__u64 packets, bytes; /* of IP */
	__u32 rule;	      /* id of the rule that made it */
	__u32 tcp;	      /* flags that were seen, of both directions: engine/state.bpf.h */
	__u32 ack[2];	      /* TCP: the last acknowledgement of each direction, host order */
	__u32 n;	      /* of LIMIT: states; of FIRST: packets of the first one's direction */
	__u32 back;	      /* of FIRST: packets of the other direction */
	__u16 number;	      /* the rule's */
	__u8 limit_by;	      /* enum divert_flow_field; 0: the rule has no limit */
	__u8 swapped;	      /* its first packet went from the second address to the first */
};

struct divert_flow_info {
	/* CLOCK_MONOTONIC_COARSE, ns: not before then; of states, and of released flows */
	__u64 next_sweep, next_released_sweep;
	__u32 epoch; /* 0: no flow was ever released. Each time that one ends, it is another */
};

/* ---- the verdict cache ---- */

enum divert_alike {
	DIVERT_ALIKE = 1 << 0,	     /* all packets of a flow meet the same rules */
	DIVERT_ALIKE_FIRST = 1 << 1, /* some of the instructions are FIRST */
};

#define DIVERT_VERDICTS		2048 /* entries for each CPU; a power of two */
#define DIVERT_VERDICT_COUNTERS 4

struct divert_verdict_key {
	__u64 addr[4]; /* IPv4: in the first */
	__be16 port[2];
	__u32 ifindex, recv_ifindex;
	__u32 kind; /* enum divert_kind */
};

struct divert_verdict {
	struct divert_verdict_key key;
	__u64 until;				/* CLOCK_MONOTONIC_COARSE, ns */
	__u32 set;				/* id of the rule set */
	__u32 epoch;				/* struct divert_flow_info's */
	__u32 counter[DIVERT_VERDICT_COUNTERS]; /* of rules; DIVERT_ABSENT ends them */
	/* of a released flow: the ring (its map's id, 0: none), slot and counters of its port */
	__u32 ring, slot, stats;
	__u32 reserved;
	struct divert_flow_key flow; /* in the map of released flows */
	__u64 packets;		     /* that are not counted there yet */
};

/* ---- the log ---- */

#define DIVERT_LOG_ROOM 1024 /* entries that are kept */

struct divert_log_entry {
	__u64 serial; /* from 1; written last, 0 while it is written */
	__u64 tstamp; /* CLOCK_MONOTONIC, ns */
	__u64 count;  /* packets of the rule that were logged, with this one */
	__be32 src[4], dst[4];
	__be32 hop[4]; /* of FWD */
	__u32 len;
	__u32 max;   /* that the rule logs; 0: no limit */
	__u32 flags; /* enum divert_packet_flags */
	__u16 rule;
	__u16 port; /* of the action */
	__u16 sport, dport;
	__u8 op; /* enum divert_op of the action */
	__u8 proto;
	__u8 type; /* of ICMP and ICMPv6 */
	__u8 reserved;
	char name[DIVERT_NAME_LEN]; /* the interface's */
};

struct divert_log_head {
	__u64 serial; /* the last one that was given */
};

struct divert_rule_counter {
	__u64 packets; /* stable */
	__u64 bytes;   /* of IP; stable */
	__u64 last;    /* CLOCK_MONOTONIC_COARSE, ns; 0: never */
	__u64 tick;    /* the kernel's, of last */
};

/*
 * A rule's counters, summed over the CPUs, when they were last set to 0. User space subtracts
 * these. It never writes the counters themselves: a 0 written between the kernel half's read and
 * write of a counter would be lost.
 */
struct divert_rule_base {
	__u64 packets; /* stable */
	__u64 bytes;   /* stable */
};

/*
 * Entry points for tags, sorted: a packet goes on at the first one above its tag. In the list of
 * values of similar rules, `rule` is a value.
 */
struct divert_entry {
	__u32 rule;
	__u32 insn;
};

/*
 * A rule set lies in the pages of one array, so that it is replaced atomically: the head in page 0,
 * then instructions, entries and the source, which only user space reads (rules/store.c).
 */
#define DIVERT_PAGE	    4096
#define DIVERT_PAGE_INSNS   (DIVERT_PAGE / sizeof(struct divert_insn))
#define DIVERT_PAGE_ENTRIES (DIVERT_PAGE / sizeof(struct divert_entry))
#define DIVERT_INSNS_MAX    (1u << 20)

/* Kinds of packets, which the first look can tell apart. */
enum divert_kind {
	DIVERT_KIND_TCP,
	DIVERT_KIND_UDP,
	DIVERT_KIND_ICMP,  /* of its own IP version */
	DIVERT_KIND_OTHER, /* of IPv6 any, as extension headers may come first */
	DIVERT_KIND_PROTO = 3,
	DIVERT_KIND_V6 = 4,  /* added */
	DIVERT_KIND_OUT = 8, /* added */
	DIVERT_KIND_ROOM = 16,
};

/*
 * The index: the rules that a packet may match, by its ports, addresses and interface. A section,
 * one bit, is consecutive rules of one number or more; the default rule is in none. engine/index.h
 * maps each port, address and name to one of 64 places. A place has the sections that packets with
 * it may match.
 */
enum divert_index {
	DIVERT_INDEX_DPORT, /* of TCP and UDP */
	DIVERT_INDEX_SPORT,
	DIVERT_INDEX_SRC_NET,  /* the first bits of an address */
	DIVERT_INDEX_SRC_HOST, /* all of them */
	DIVERT_INDEX_DST_NET,
	DIVERT_INDEX_DST_HOST,
	DIVERT_INDEX_IFACE, /* name of the interface that the packet is on */
	DIVERT_INDEXES,
};

#define DIVERT_INDEX_BITS 6
#define DIVERT_INDEX_ROOM (1 << DIVERT_INDEX_BITS)
#define DIVERT_SECTIONS	  64

/*
 * The first look asks this table for an address of the packet. One that is not in it matches no
 * rule of sections.
 */
#define DIVERT_ASKED 4 /* of a rule set, at most */

struct divert_asked {
	__u64 sections; /* 0: none is asked */
	__u32 table;
	__u32 key; /* DIVERT_KEY_SRC or DIVERT_KEY_DST */
};

struct divert_rules_head {
	__u32 insns;	    /* how many; they start at page 1 */
	__u32 entries;	    /* how many */
	__u32 entries_page; /* where */
	__u32 source_page;  /* stable, the same offset in each layout */
	__u32 source_len;   /* bytes; stable */
	__u32 last_rule;    /* a packet whose tag is not below this number */
	__u32 last_insn;    /* begins here, with the default rule: no search */
	__u16 calls;	    /* some of the instructions are CALL or RETURN */
	__u16 owned;	    /* some of the instructions ask for a packet's owner */
	__u32 values_page;  /* where the values of similar rules are: struct divert_entry */
	__u32 asks;	    /* enum divert_index, by bit: those that rule something out */
	__u32 id;	    /* of the map with it: no two sets have the same */
	__u32 states_page;  /* rules that make states: struct divert_entry, an id and its action */
	__u32 states;	    /* how many */
	__u32 alike;	    /* enum divert_alike */
	__u32 section[DIVERT_SECTIONS]; /* where each begins, with SKIP */
	__u64 kind[DIVERT_KIND_ROOM];	/* enum divert_kind: the sections of such a packet */
	__u64 index[DIVERT_INDEXES][DIVERT_INDEX_ROOM]; /* the same, by place */
	struct divert_asked asked[DIVERT_ASKED];	/* those that are come first */
};

union divert_page {
	struct divert_rules_head head;
	struct divert_insn insn[DIVERT_PAGE_INSNS];
	struct divert_entry entry[DIVERT_PAGE_ENTRIES];
	__u8 byte[DIVERT_PAGE];
};

_Static_assert(sizeof(union divert_page) == DIVERT_PAGE, "the head fits into its page");

#endif
