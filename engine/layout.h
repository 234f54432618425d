/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the two halves of the engine share: the maps' values, the record that
 * carries a packet to its reader, the header that carries one back, and the
 * compiled form of the rules. Both halves include this file and nothing else
 * of each other. A change here raises DIVERT_LAYOUT.
 */
#ifndef DIVERT_ENGINE_LAYOUT_H
#define DIVERT_ENGINE_LAYOUT_H

#include <linux/types.h>

/*
 * Stable: what an engine of one layout reads of another's, to take its rules over. The first members of
 * struct divert_identity, divert_settings, divert_rule_counter, divert_rule_base and divert_rules_head as they are
 * marked below (others may come behind them), the maps' names, and the keys and values of ifaces, rules and sockets.
 */
#ifndef DIVERT_LAYOUT
#define DIVERT_LAYOUT 15 /* of everything in this file */
#endif

#define DIVERT_PORTS_MAX   4096	 /* ports that rules or sockets name, and 1 */
#define DIVERT_SOCKETS_MAX 4096	 /* sockets bound at a time */
#define DIVERT_RULES_MAX   16384 /* rules in a namespace */
#define DIVERT_GROUP_MAX   32	 /* sockets that share a port */
#define DIVERT_NAME_LEN	   16	 /* an interface's name with its NUL: IFNAMSIZ */
#define DIVERT_HOPS_MAX	   32	 /* times that a packet may be written back */

/* ---- the way out: what precedes each packet in a socket's ring ---- */

enum divert_record_flags {
	DIVERT_REC_OUT = 1 << 0,       /* on its way out; otherwise on its way in */
	DIVERT_REC_FORWARDED = 1 << 1, /* out, but received from another host */
	DIVERT_REC_TEE = 1 << 2,       /* a copy: the packet itself went on */
	DIVERT_REC_PARTIAL = 1 << 3,   /* csum_start and csum_offset say what is to be completed */
	DIVERT_REC_V6 = 1 << 4,
	/*
	 * A later fragment that came before the first: the rule takes it if the first one's ports
	 * are what the rule says, and only the first one tells. Comes to sockets that reassemble.
	 */
	DIVERT_REC_UNDECIDED = 1 << 5,
	/*
	 * No packet to be delivered: a first fragment that went elsewhere, shown to the socket that
	 * has undecided ones of the same packet. They are to be written back above the tag.
	 */
	DIVERT_REC_RELEASE = 1 << 6,
};

enum divert_gso {
	DIVERT_GSO_TCP = 1 << 0,
	DIVERT_GSO_UDP = 1 << 1,
	DIVERT_GSO_FIXEDID = 1 << 2, /* the segments share one IPv4 id */
	DIVERT_GSO_OTHER = 1 << 3,   /* tunnels and the like */
};

struct divert_record {
	__u32 len;	   /* bytes of IP packet that follow this header */
	__u32 ifindex;	   /* receiving interface; 0: made on this host */
	__u32 oif;	   /* sending interface; 0: incoming */
	__u32 mark;	   /* fwmark */
	__u32 uid;	   /* of the sender, with DIVERT_SOCK_INFO; ~0: not known */
	__be32 addr;	   /* first IPv4 address of the receiving interface; 0: it has none */
	__u16 tag;	   /* the rule that diverted it */
	__u16 flags;	   /* enum divert_record_flags */
	__u16 gso_size;	   /* payload bytes of a segment; 0: not to be segmented */
	__u8 gso_type;	   /* enum divert_gso */
	__u8 hops;	   /* times that it was written back before */
	__u16 csum_start;  /* from the IP header */
	__u16 csum_offset; /* from csum_start */
	__u32 drops;  /* packets that the socket has lost for want of room; with DIVERT_SOCK_INFO */
	__u64 tstamp; /* CLOCK_MONOTONIC, ns; with DIVERT_SOCK_INFO, else 0 */
	char name[DIVERT_NAME_LEN]; /* of the receiving interface; empty if ifindex is 0 */
};

/* ---- the way back: the two MAC addresses of a frame sent on lo ---- */

enum divert_back_flags {
	/*
	 * Always set: the address that the flags stand in is then no station's, and should
	 * such a frame ever meet no engine, lo takes it for another host's and drops it.
	 */
	DIVERT_BACK_FRAME = 1 << 1,
	DIVERT_BACK_OUT = 1 << 2,   /* route it; otherwise it arrives at ifindex */
	DIVERT_BACK_LOCAL = 1 << 3, /* out: where no route forwards it, it is this host's own */
	/* in, and with LINK: ifindex may be an old one, and that it is gone is no loss yet */
	DIVERT_BACK_GUESS = DIVERT_BACK_LOCAL,
	DIVERT_BACK_LINK = 1 << 4,  /* out: no look-up, on the link of ifindex to its destination */
	DIVERT_BACK_COUNT = 1 << 5, /* no packet: add mark to the count of the cause in ifindex */
	DIVERT_BACK_QUERY = 1 << 6, /* no packet: refuse if the socket in slot ifindex is held */
	DIVERT_BACK_SET = 1 << 7,   /* no packet: a setting, enum divert_set in tag */
	DIVERT_BACK_BATCH = DIVERT_BACK_COUNT | DIVERT_BACK_QUERY, /* many: struct divert_batched */
	/*
	 * Segments as one large packet: they are counted, not it. If it is refused nothing is
	 * lost: they come again, as others do.
	 */
	DIVERT_BACK_JOINED = DIVERT_BACK_COUNT | DIVERT_BACK_SET,
};

/* What DIVERT_BACK_SET sets, to mark: so that options work without privilege, too. */
enum divert_set {
	DIVERT_SET_FLAGS,  /* of the socket in slot ifindex: enum divert_socket_flags */
	DIVERT_SET_LIMIT,  /* of the socket in slot ifindex */
	DIVERT_SET_WAKE,   /* nothing: wake who polls the socket in slot ifindex */
	DIVERT_SET_BYPASS, /* of the port with the key ifindex: DIVERT_PORT_BYPASS, 0 or 1 */
};

/*
 * The Ethernet type of a frame that goes inbound: none of IP's, so that the kernel does not
 * take the packet apart when it is sent, which costs a fortieth of its whole way. It is read
 * again where the packet arrives, unless that interface has no link header: then it is refused
 * with EPROTOTYPE, and has to come with its own type.
 */
#define DIVERT_BACK_ETHERTYPE 0x88b5 /* IEEE 802: for local experiments */

struct divert_back {
	__u8 flags; /* enum divert_back_flags */
	__u8 hops;  /* times that the packet was written back, with this one */
	__u16 tag;  /* rules up to this number are behind it, host order */
	__u32 ifindex; /* in: where it arrives; out: where it was received, or 0; LINK: where it leaves */
	__u32 mark; /* fwmark of the packet */
} __attribute__((packed));

/*
 * Many packets in one frame, of one direction and one IP version: tag says how many. Each is a
 * frame of its own with its length ahead. Where one is refused those before it are on their way, and
 * their number is in the upper half of the error. The frame lies in a page with all that the kernel
 * adds, as each packet is accounted to its receiver with what the frame took. The blank is for whoever
 * sends the frame: he looks for the transport header, and no packet could be shorter than that.
 *
 * With a number of its own in ifindex, a batch may come again, with more packets at its end: each is
 * written once. What cannot be written is counted and left out, and the frame refused at the end.
 */
#define DIVERT_BATCH_BLANK  40	  /* bytes ahead of them, nothing to IPv4 and the end to IPv6: */
#define DIVERT_BATCH_NEXT   6	  /* but for a "no next header" here, they are 0 */
#define DIVERT_BATCH_MAX    128	  /* packets */
#define DIVERT_BATCH_PACKET 2048  /* bytes of the longest, with its header below */
#define DIVERT_BATCH_FRAMED 32	  /* packets in a frame: each is charged with all it took */
#define DIVERT_BATCH_FRAME  3584  /* bytes of all of them, so that the frame lies in a page */
#define DIVERT_BATCH_ROOM   65408 /* bytes that the kernel half takes at most */

struct divert_batched {
	__u16 len; /* bytes of the packet that follows, host order */
	struct divert_back back;
	__be16 protocol;
} __attribute__((packed));

/*
 * A train: many packets to one interface, handed to the kernel as frames that it receives there as one
 * list (engine/train.bpf.c). It lies in memory that the sender and the kernel half share; each
 * packet follows its struct divert_batched. Those that do not go are for the way over lo.
 */
#define DIVERT_TRAIN_ROOM (DIVERT_BATCH_MAX * DIVERT_BATCH_PACKET)
#define DIVERT_TRAIN_LIST 64 /* packets that the kernel receives as one list */

struct divert_train {
	__u32 n;		    /* packets */
	__u32 stats;		    /* counters of the sender's port */
	__u32 next;		    /* the kernel half's: the packet that is next; 0 at first */
	__u32 gone;		    /* the kernel half's: so many went, the first ones */
	__u32 at[DIVERT_BATCH_MAX]; /* where each begins in byte[] */
	__u8 byte[DIVERT_TRAIN_ROOM + DIVERT_BATCH_PACKET];
};

/* ---- counters, per port; [0] also takes what belongs to no port ---- */

enum divert_cause {
	DIVERT_N_DIVERTED,     /* delivered to a socket */
	DIVERT_N_TEED,	       /* copies delivered to a socket */
	DIVERT_N_WRITTEN_IN,   /* written back, or made, inbound */
	DIVERT_N_WRITTEN_OUT,  /* the same, outbound */
	DIVERT_N_PASSED,       /* nobody listens: passed (bypass, pass-through) */
	DIVERT_N_NO_LISTENER,  /* nobody listens: dropped; a tee's copy not made */
	DIVERT_N_RING_FULL,    /* the socket's buffer was full: dropped */
	DIVERT_N_TOO_LONG,     /* longer than any packet can be: dropped */
	DIVERT_N_MALFORMED,    /* headers that cannot be read: dropped before the rules */
	DIVERT_N_BAD_CHECKSUM, /* written back inbound with a wrong IPv4 header checksum */
	DIVERT_N_BAD_FRAME,    /* a frame with the engine's mark that is none of its library's */
	DIVERT_N_NO_INTERFACE, /* written back for an interface that is gone */
	DIVERT_N_IF_DOWN,      /* ... that is down */
	DIVERT_N_NO_ROUTE,     /* written back outbound where no route leads */
	DIVERT_N_UNROUTED,     /* ... tried once more by the library: no loss yet */
	DIVERT_N_TOO_BIG,      /* written back outbound above the MTU */
	DIVERT_N_LOOP,	       /* written back more often than DIVERT_HOPS_MAX times */
	DIVERT_N_TRUNCATED,    /* read into a buffer that was too short for it */
	DIVERT_N_FRAG_TIMEOUT, /* fragments of a packet of which others did not come in time */
	DIVERT_N_FRAG_OVERLAP, /* ... of a packet of which two say something else of the same bytes */
	DIVERT_N_FRAG_DUP,     /* ... that were there already */
	DIVERT_N_FRAG_FULL,    /* ... for which there was no room */
	DIVERT_N_FRAG_BAD,     /* ... that no packet can have */
	DIVERT_N_ENTERED,      /* ... and met by its interface's hook again */
	DIVERT_N_BY_TRAIN,     /* of those written inbound: in trains */
	DIVERT_N_JOINED,       /* of those written: as a part of one large packet */
	DIVERT_N_MARTIAN,      /* written inbound with addresses for which the stack drops it */
	/*
	 * Written and not met again. Not counted, but worked out when it is asked for: the stack
	 * drops without a word what a processor has beyond net.core.netdev_max_backlog, or what
	 * waits for a neighbour in vain.
	 */
	DIVERT_N_LOST,
	DIVERT_N_CAUSES,
	DIVERT_N_STATS = 31, /* no counter: stats of the port whose counters these are */
	DIVERT_N_ROOM = 32,  /* counters of a port, some free */
};

struct divert_port_stats {
	__u64 n[DIVERT_N_ROOM];
};

/* ---- ports ---- */

/* Key of the port table: the port, host order, and for sockets of AF_INET6 this bit. */
#define DIVERT_KEY_V6 0x10000u

enum divert_port_flags {
	DIVERT_PORT_BYPASS = 1 << 0, /* nobody listens: pass */
	DIVERT_PORT_SHARED = 1 << 1, /* its sockets have SO_REUSEPORT: more may join */
};

struct divert_port {
	__u32 flags; /* enum divert_port_flags */
	/*
	 * Its counters: their index, which is a port's after another's, and above it how many there
	 * were before. 0, also of what belongs to no port: that of none.
	 */
	__u32 stats;
	__u32 members; /* bit i: slot[i] is that of a socket, which may have died */
	__u16 slot[DIVERT_GROUP_MAX];
};

/* ---- sockets, by slot ---- */

enum divert_socket_flags {
	DIVERT_SOCK_REASSEMBLE = 1 << 0, /* its library puts fragments together */
	DIVERT_SOCK_INFO = 1 << 1,	 /* it asks for uid, drops and tstamp of each record */
	DIVERT_SOCK_NOT_IN = 1 << 2,  /* incoming packets pass it by, as if nobody listened to a */
	DIVERT_SOCK_NOT_OUT = 1 << 3, /* rule with bypass; outgoing packets do */
};

struct divert_socket {
	__u32 flags; /* enum divert_socket_flags */
	/* bytes that may wait in its ring, headers included; the last eighth: see record_copy() */
	__u32 limit;
	__u32 drops; /* packets lost for want of room */
};

/* All of it stable. */
struct divert_settings {
	__u32 pass_through; /* nobody listens: pass, for every port */
	__u32 no_trains;    /* what is written goes over lo, all of it */
};

/* What an engine is, written when it is loaded or upgraded. Only root reads it. All of it stable. */
struct divert_identity {
	__u32 layout;	    /* DIVERT_LAYOUT */
	__u32 mark;	    /* the SO_MARK of frames on the way back: the secret */
	__u64 loaded;	    /* CLOCK_REALTIME, s */
	char version[32];   /* of the build that loaded it */
	__u8 sysctl_was[8]; /* of lo, to be put back, in engine/sysctl.c's order; 0xff: untouched */
	__u32 entry_key[2]; /* what a packet carries between lo and its hook: a secret, too */
	__u32 chain;	    /* its programs are for engine/chain.h; else they are classic filters */
};

/* Things to put back on an interface when the hooks go. The kernel is asked for the hooks themselves. */
enum divert_iface_flags {
	DIVERT_IFACE_QDISC = 1 << 0, /* its clsact qdisc is ours */
};

/* ---- the rules, compiled ---- */

/*
 * A rule set is a graph of instructions. A match goes on at `yes` or at `no`;
 * "not", lists and or-blocks are how these are wired. The last instruction of
 * each rule is its action, which also counts.
 */
enum divert_op {
	DIVERT_OP_MASK,	  /* (field & mask.mask) == mask.value */
	DIVERT_OP_RANGE,  /* field in one of range[0..4]; unused ones have lo 1, hi 0 */
	DIVERT_OP_PREFIX, /* the first prefix.bits bits of a wide field */
	DIVERT_OP_OWNED,  /* the ring in slot mask.value is held: its process lives */
	DIVERT_OP_BELOW,  /* field < mask.value */
	DIVERT_OP_LOAD,	  /* LOADED = what load says; whether the packet has it */
	DIVERT_OP_LOOKUP, /* whether the table has it; if so, TABLEARG = its value */
	DIVERT_OP_OWN,	  /* whether the wide field is an address of this host */
	DIVERT_OP_IFADDR, /* whether the interface of the wide field has the address prefix.word */
	DIVERT_OP_PATH,	  /* of a packet that came in: what enum divert_path in field asks */
	DIVERT_OP_GO,	  /* action count, skipto: count, go on at yes */
	DIVERT_OP_ALLOW,  /* action */
	DIVERT_OP_DENY,	  /* action */
	DIVERT_OP_DIVERT, /* action: to action.port; where that is passed by, go on at yes */
	DIVERT_OP_TEE,	  /* action: a copy to action.port, go on at yes */
	DIVERT_OP_CALL,	  /* action: note no, go on at yes; DIVERT_CALLS_MAX deep: at the next */
	DIVERT_OP_RETURN, /* action: go on at what the last call noted; where there is none, at yes */
	/*
	 * Ahead of what a divert rule asks of ports and the like, which a later fragment has not: it goes
	 * to fragment.action if the first one was diverted by this rule, or has not come yet and the
	 * socket reassembles. Else, and all others: go on at yes.
	 */
	DIVERT_OP_FRAGMENT,
	DIVERT_OP_ANSWER, /* action: as DENY, and action.port says what the sender is told */
	/*
	 * Ahead of a rule: on at yes, unless the packet can match none of section skip.section. Then on
	 * at the next section of which it may match one. In a run of rules that are alike: on behind the
	 * SKIP of the next one that wants the field to be what it is, at no if there is none.
	 */
	DIVERT_OP_SKIP,
};

/* What ANSWER sends; without RESET, an ICMP unreachable, whose code is in the low 8 bits. */
enum divert_answer {
	DIVERT_ANSWER_V4 = 1 << 8, /* to IPv4 packets, and the closest to it to IPv6 packets */
	DIVERT_ANSWER_V6 = 1 << 9, /* to IPv6 packets only */
	DIVERT_ANSWER_RESET = 1 << 10,
};

#define DIVERT_TAG_LAST 65534 /* of the tags: only the default rule is above it */

/* What MASK and RANGE look at. A field that the packet lacks is DIVERT_ABSENT. */
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
	DIVERT_F_OWN,	   /* enum divert_own, as far as it was looked up */
	DIVERT_F_ROOM = 32,
};

/* What LOAD can load. */
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
};

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

/* What PATH asks of the source. */
enum divert_path {
	DIVERT_PATH_REVERSE, /* the way to it leaves by the interface that the packet came in on */
	DIVERT_PATH_REACH,   /* a way leads to it, which is not the default one */
	DIVERT_PATH_HONEST,  /* if it is of a network of this host's, the packet came in there */
	DIVERT_PATHS,
};

enum divert_own {
	DIVERT_OWN_SRC_KNOWN = 1 << 0,
	DIVERT_OWN_SRC = 1 << 1,
	DIVERT_OWN_DST_KNOWN = 1 << 2,
	DIVERT_OWN_DST = 1 << 3,
	DIVERT_OWN_PATH_KNOWN = 1 << 4, /* shifted by enum divert_path */
	DIVERT_OWN_PATH = 1 << 8,
};

#define DIVERT_ABSENT 0xffffffffu

#define DIVERT_CALLS_MAX 16 /* calls that a packet is in at a time */

enum divert_packet_flags {
	DIVERT_IS_V4 = 1 << 0,
	DIVERT_IS_V6 = 1 << 1,
	DIVERT_IS_OUT = 1 << 2,	      /* else in */
	DIVERT_IS_BACK_IN = 1 << 3,   /* written back inbound: diverted-loopback */
	DIVERT_IS_BACK_OUT = 1 << 4,  /* written back outbound: diverted-output */
	DIVERT_IS_FRAG = 1 << 5,      /* not the first fragment: no ports */
	DIVERT_IS_FORWARDED = 1 << 6, /* out, received from another host */
};

/* What PREFIX looks at: 128 bits, most significant word first. */
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
			__u32 action; /* index of the rule's last instruction */
			__u32 port;   /* of the action, host order */
		} fragment;
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
			__u16 port;    /* host order; of ANSWER: enum divert_answer and a code */
			__u16 flags;   /* enum divert_action_flags */
			__u32 log_max; /* with DIVERT_ACT_LOG; 0: no limit */
			__u16 mtu;     /* of ANSWER that a packet is too long; 0: none is named */
		} action;
	};
};

enum divert_action_flags {
	DIVERT_ACT_BYPASS = 1 << 0,   /* divert: nobody listens: go on at yes */
	DIVERT_ACT_TABLEARG = 1 << 1, /* port, or where skipto and call lead, is TABLEARG */
	DIVERT_ACT_LOG = 1 << 2,
};

/* What LOOKUP looks up. */
enum divert_key {
	DIVERT_KEY_SRC, /* address */
	DIVERT_KEY_DST,
	DIVERT_KEY_FIELD, /* field, as a number */
	DIVERT_KEY_NAME,  /* wide field, a name */
	DIVERT_KEY_FLOW,  /* several fields */
};

/* The tables' maps: all tables lie in these. */
#define DIVERT_TABLE_ADDRS 1048576
#define DIVERT_TABLE_KEYS  65536
#define DIVERT_TABLE_FLOWS 65536

struct divert_table_addr {
	__u32 bits;   /* of the prefix: 32, and those of the address */
	__be32 table; /* twice the id, and 1 for IPv6 */
	__be32 addr[4];
};

struct divert_table_key {
	__u32 table;
	__u32 number; /* host order; 0 for a name */
	char name[DIVERT_NAME_LEN];
};

/* What the entries of a table of flows have; the rest of their keys is 0. */
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

/* ---- the log ---- */

#define DIVERT_LOG_ROOM 1024 /* entries that are kept */

struct divert_log_entry {
	__u64 serial; /* from 1; written last, 0 while it is written */
	__u64 tstamp; /* CLOCK_MONOTONIC, ns */
	__u64 count;  /* packets of the rule that were logged, with this one */
	__be32 src[4], dst[4];
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
 * What a rule's counters, summed over the processors, were when they were last set to 0. Only the kernel
 * half writes the counters themselves: a 0 from elsewhere could come between its reading one and its
 * writing it back, and would be gone.
 */
struct divert_rule_base {
	__u64 packets; /* stable */
	__u64 bytes;   /* stable */
};

/*
 * Where a packet with a tag enters: the first of these above it. Sorted. In the list of values, rule is
 * a value.
 */
struct divert_entry {
	__u32 rule;
	__u32 insn;
};

/*
 * A rule set lies in the pages of one array, so that it is swapped as one:
 * the head in page 0, then instructions, entries and the source (which only
 * user space reads: see rules/store.c).
 */
#define DIVERT_PAGE	    4096
#define DIVERT_PAGE_INSNS   (DIVERT_PAGE / sizeof(struct divert_insn))
#define DIVERT_PAGE_ENTRIES (DIVERT_PAGE / sizeof(struct divert_entry))
#define DIVERT_INSNS_MAX    (1u << 20)

/* The kinds of packets for which it is known from the start that some rules are not for them. */
enum divert_kind {
	DIVERT_KIND_TCP,
	DIVERT_KIND_UDP,
	DIVERT_KIND_ICMP,    /* of its own IP version */
	DIVERT_KIND_OTHER,   /* of IPv6 any, as extension headers may come first */
	DIVERT_KIND_V6 = 4,  /* added */
	DIVERT_KIND_OUT = 8, /* added */
	DIVERT_KIND_ROOM = 16,
};

/*
 * The index: which rules a packet may match, by its ports, addresses and interface. The rules,
 * but for the default one, are in sections, each a bit: rules that stand together, of one number
 * or more. engine/index.h says in which of 64 places each of these is; each place has the sections
 * that a packet may match which is there.
 */
enum divert_index {
	DIVERT_INDEX_DPORT, /* of TCP and UDP */
	DIVERT_INDEX_SPORT,
	DIVERT_INDEX_SRC_NET,  /* the first bits of an address */
	DIVERT_INDEX_SRC_HOST, /* all of them */
	DIVERT_INDEX_DST_NET,
	DIVERT_INDEX_DST_HOST,
	DIVERT_INDEX_IFACE, /* the name of that on which the packet is */
	DIVERT_INDEXES,
};

#define DIVERT_INDEX_BITS 6
#define DIVERT_INDEX_ROOM (1 << DIVERT_INDEX_BITS)
#define DIVERT_SECTIONS	  64

struct divert_rules_head {
	__u32 insns;	    /* how many; they start at page 1 */
	__u32 entries;	    /* how many */
	__u32 entries_page; /* where */
	__u32 source_page;  /* stable, the same offset in each layout */
	__u32 source_len;   /* bytes; stable */
	__u32 last_rule;    /* a packet whose tag is not below this number */
	__u32 last_insn;    /* begins here, with the default rule: no search */
	__u32 calls;	    /* some of the instructions are CALL or RETURN */
	__u32 values_page;  /* where the values of rules that are alike are: struct divert_entry */
	__u32 asks;	    /* enum divert_index, by bit: those that tell packets apart */
	__u32 id;	    /* of the map with it: no two sets have the same */
	__u32 section[DIVERT_SECTIONS]; /* where each begins, with SKIP */
	__u64 kind[DIVERT_KIND_ROOM];	/* enum divert_kind: the sections of such a packet */
	__u64 index[DIVERT_INDEXES][DIVERT_INDEX_ROOM]; /* the same, by place */
};

union divert_page {
	struct divert_rules_head head;
	struct divert_insn insn[DIVERT_PAGE_INSNS];
	struct divert_entry entry[DIVERT_PAGE_ENTRIES];
	__u8 byte[DIVERT_PAGE];
};

_Static_assert(sizeof(union divert_page) == DIVERT_PAGE, "the head fits into its page");

#endif
