/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Shared by both halves of the engine: the values of maps, the record that carries a packet to its
 * reader, and the header that carries one back. Compiled rules are in rule_layout.h. A change in
 * either file raises DIVERT_LAYOUT, which is in that one.
 */
#ifndef DIVERT_ENGINE_LAYOUT_H
#define DIVERT_ENGINE_LAYOUT_H

#include <linux/types.h>

/*
 * "Stable" marks what an engine reads of one with another layout, to take over its rules: the
 * marked first members of struct divert_identity, divert_settings, divert_rule_counter,
 * divert_rule_base and divert_rules_head (others may follow them), the names of maps, and the keys
 * and values of the maps ifaces, rules and sockets.
 */

#define LO_IFINDEX 1 /* of each network namespace */

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
	 * A later fragment that came before the first. The rule tests ports, which only the first
	 * fragment has. Only sockets that reassemble get such fragments.
	 */
	DIVERT_REC_UNDECIDED = 1 << 5,
	/*
	 * Not for the program: a first fragment that this rule did not take. The socket has
	 * undecided fragments of the same packet, and its library writes them back above the tag.
	 */
	DIVERT_REC_GIVE_BACK = 1 << 6,
};

enum divert_gso {
	DIVERT_GSO_TCP = 1 << 0,
	DIVERT_GSO_UDP = 1 << 1,
	DIVERT_GSO_FIXEDID = 1 << 2, /* the segments share one IPv4 id */
	DIVERT_GSO_OTHER = 1 << 3,   /* tunnels and the like */
	DIVERT_GSO_SCTP = 1 << 4,
};

/*
 * A packet's metadata: what Linux knows about it beside its bytes. The record brings it to the
 * library, and the packet takes it along when it is written back.
 */
enum divert_meta_flags {
	DIVERT_META_LINK = 1 << 0,   /* link has the addresses of its Ethernet header */
	DIVERT_META_DIRECT = 1 << 1, /* out: its interface has no link header */
	/*
	 * out: ask the routes of its interface, if the link header is out of date, or if the packet
	 * has none because the route encapsulates it
	 */
	DIVERT_META_IFACE = 1 << 2,
	DIVERT_META_OWNER = 1 << 3, /* uid and gid are those of its sender, on this host */
	DIVERT_META_IPSEC = 1 << 4, /* in: it came through IPsec: the skb had a security path */
	DIVERT_META_HASH =
		1 << 5, /* in: its sender or the network card has given its flow's hash */
	DIVERT_META_SOON =
		1 << 6, /* out, reinjected: written just after it was read: ignore changed routes */
};

struct divert_meta {
	__u8 link[12]; /* destination and source, as they stand in the header */
	__u8 flags;    /* enum divert_meta_flags */
	__u8 routes;   /* out: state of the routes; the link header is valid while it is the same */
	__u16 when;    /* out: divert_meta_clock() */
	__u32 priority; /* of the packet in queues: SO_PRIORITY */
	union {
		__u32 uid;  /* with DIVERT_META_OWNER; or DIVERT_NO_USER */
		__u32 hash; /* with DIVERT_META_HASH */
	};
	__u32 gid; /* as uid; with DIVERT_NO_USER: DIVERT_NOT_KNOWN, or no user's */
};

#define DIVERT_NO_USER	 0xffffffffu
#define DIVERT_NOT_KNOWN 0u

#define DIVERT_META_AGE 5 /* ticks of divert_meta_clock() that a link header is good for */

/* ns of CLOCK_MONOTONIC, any kind of it, in ticks of 1.07 s. */
static inline __u16 divert_meta_clock(__u64 ns)
{
	return ns >> 30;
}

struct divert_record {
	__u32 len;	   /* bytes of IP packet that follow this header */
	__u32 ifindex;	   /* receiving interface; 0: made on this host */
	__u32 oif;	   /* sending interface; 0: incoming */
	__u32 mark;	   /* fwmark */
	__be32 addr;	   /* first IPv4 address of the receiving interface; 0: it has none */
	__u16 tag;	   /* the rule that diverted it */
	__u16 flags;	   /* enum divert_record_flags */
	__u16 gso_size;	   /* payload bytes of a segment, SCTP: of the longest; 0: not to be cut */
	__u8 gso_type;	   /* enum divert_gso */
	__u8 hops;	   /* times that it was written back before */
	__u16 csum_start;  /* from the IP header */
	__u16 csum_offset; /* from csum_start */
	__u32 drops; /* packets that the socket has lost for want of room; with DIVERT_SOCK_INFO */
	struct divert_meta meta;
	__u64 tstamp;		    /* CLOCK_MONOTONIC, ns; with DIVERT_SOCK_INFO, else 0 */
	char name[DIVERT_NAME_LEN]; /* of the receiving interface; empty if ifindex is 0 */
};

/* ---- reinject: between the Ethernet header of a frame on lo and its packet ---- */

enum divert_reinject_flags {
	DIVERT_REINJECT_FRAME = 1 << 1, /* always set */
	DIVERT_REINJECT_OUT = 1 << 2,	/* it leaves; otherwise it arrives at ifindex */
	DIVERT_REINJECT_LOCAL = 1 << 3, /* out: where no route forwards it, it is this host's own */
	/*
	 * in, and with LINK: the interface may be out of date; if it is gone, that is no loss yet
	 */
	DIVERT_REINJECT_GUESS = DIVERT_REINJECT_LOCAL,
	DIVERT_REINJECT_LINK = 1 << 4, /* out: no look-up, on the link of oif to its destination */
	DIVERT_REINJECT_COUNT =
		1 << 5, /* no packet: add mark to the count of the cause in ifindex */
	DIVERT_REINJECT_QUERY =
		1 << 6,		      /* no packet: refuse if the socket in slot ifindex is held */
	DIVERT_REINJECT_SET = 1 << 7, /* no packet: a setting, enum divert_set in tag */
	DIVERT_REINJECT_BATCH =
		DIVERT_REINJECT_COUNT | DIVERT_REINJECT_QUERY, /* many: struct divert_batched */
	/*
	 * Segments that were merged into one large packet. Count the segments. If the packet is
	 * refused nothing is lost: the library sends them one by one.
	 */
	DIVERT_REINJECT_JOINED = DIVERT_REINJECT_COUNT | DIVERT_REINJECT_SET,
};

/* DIVERT_REINJECT_SET sets this, of the sending socket, to mark: so options need no privilege. */
enum divert_set {
	DIVERT_SET_FLAGS,  /* enum divert_socket_flags */
	DIVERT_SET_LIMIT,  /* of its ring */
	DIVERT_SET_WAKE,   /* nothing: wake the reader in slot ifindex; engine's own socket only */
	DIVERT_SET_BYPASS, /* of its port: DIVERT_PORT_BYPASS, 0 or 1 */
	DIVERT_SET_AHEAD,  /* for the next frame: struct divert_ahead follows */
	/* of its port: the flow whose struct divert_flow_key follows, enum divert_release */
	DIVERT_SET_RELEASE,
};

/*
 * The kernel reads the first byte as an IP version, and the seventh as IPv6's next header. Their
 * values keep it from segmenting the frame, and from taking it for a packet if no engine is
 * attached.
 */
struct divert_reinject {
	__u8 version;  /* 0 */
	__u8 flags;    /* enum divert_reinject_flags */
	__u16 tag;     /* rules up to this number are behind it, host order */
	__u8 hops;     /* times that the packet was written back, with this one */
	__u8 meta;     /* enum divert_meta_flags; with LINK, the frame has the link addresses */
	__u8 next;     /* DIVERT_REINJECT_NEXT */
	__u8 routes;   /* of the metadata */
	__u32 ifindex; /* in: where it arrives; out: where it was received, or 0 */
	__u32 oif;     /* out: where it was to leave, or has to with LINK; or 0 */
	__u32 mark;    /* fwmark of the packet */
	__u32 priority;
	union {
		__u32 uid; /* of the metadata, as the next one */
		__u32 hash;
	};
	__u32 gid;
} __attribute__((packed, aligned(2)));

#define DIVERT_REINJECT_NEXT 59 /* IPPROTO_NONE */

/*
 * The longest packets leave no room for the header above in lo's MTU. It is sent ahead of them, in
 * a frame of its own. The packet's frame has the number of that frame, struct divert_long, instead
 * of link addresses.
 */
struct divert_ahead {
	__u32 number;
	__u8 link[12];
	struct divert_reinject reinject;
};

struct divert_long {
	__u8 local; /* DIVERT_LONG_LOCAL: lo drops the frame if no engine takes it */
	__u8 zero;
	__u32 number;
	__u8 source[6]; /* 0 */
} __attribute__((packed));

#define DIVERT_LONG_LOCAL 0x02

/* The packet socket's local storage: only a packet socket with it may send such frames. */
struct divert_sender {
	__u32 stats;  /* counters of its port */
	__u32 key;    /* of its port; 0: it is not bound */
	__u32 slot;   /* its own, once it is bound */
	__u32 engine; /* the engine's own: it may query and wake any socket */
};

/*
 * Many packets in one frame, of one direction and one IP version; tag says how many. If one is
 * refused, those before it are sent, and their number is in the upper half of the error. Linux
 * charges each packet to its receiver's buffer with the size of the frame. So a frame, with all
 * that the kernel adds, fits into a page, and an inbound one, which may be for a socket of this
 * host, into half a page.
 */

/*
 * A batch with a number in ifindex may be sent again, with more packets at its end: each packet is
 * written once. A packet that cannot be written is counted and left out, and the frame is refused
 * at the end. Such a batch may have several frames: oif says how many packets are in those before.
 */
#define DIVERT_BATCH_MAX    128	  /* packets */
#define DIVERT_BATCH_PACKET 2048  /* bytes of the longest, with its header below */
#define DIVERT_BATCH_FRAME  3584  /* bytes of a frame's packets */
#define DIVERT_BATCH_IN	    1600  /* the same, inbound; one packet may be longer */
#define DIVERT_BATCH_ROOM   65408 /* bytes that the kernel half takes at most */

#define DIVERT_BATCH_NEXT(end) (((end) + 1u) & ~1u) /* where the next record begins */

/* The packet follows. Records begin at even offsets, so that no field is read byte by byte. */
struct divert_batched {
	__u16 len; /* bytes of the packet, host order */
	struct divert_reinject reinject;
	__u8 link[12];
	__be16 protocol;
} __attribute__((packed, aligned(2)));

/*
 * The bulk path: many packets to one interface, which the kernel receives there as one list
 * (engine/bulk.bpf.c). They lie in memory that the sender and the kernel half share, each behind
 * its struct divert_batched. The library sends those that do not go by this path over lo.
 */
#define DIVERT_BULK_ROOM (DIVERT_BATCH_MAX * DIVERT_BATCH_PACKET)
#define DIVERT_BULK_LIST 64 /* packets that the kernel receives as one list */

struct divert_bulk {
	__u32 n;		    /* packets */
	__u32 stats;		    /* counters of the sender's port */
	__u32 next;		    /* written by the kernel half: the next packet; 0 at first */
	__u32 gone;		    /* written by the kernel half: the first so many were sent */
	__u32 at[DIVERT_BATCH_MAX]; /* where each begins in byte[] */
	__u8 byte[DIVERT_BULK_ROOM + DIVERT_BATCH_PACKET];
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
	DIVERT_N_BAD_FRAME,    /* a frame from a divert socket that is none of its library's */
	DIVERT_N_NO_INTERFACE, /* written back for an interface that is gone */
	DIVERT_N_IF_DOWN,      /* ... that is down */
	DIVERT_N_NO_ROUTE,     /* written back outbound where no route leads */
	DIVERT_N_UNROUTED,     /* ... tried once more by the library: no loss yet */
	DIVERT_N_TOO_BIG,      /* written back outbound above the MTU */
	DIVERT_N_LOOP,	       /* written back more often than DIVERT_HOPS_MAX times */
	DIVERT_N_TRUNCATED,    /* read into a buffer that was too short for it */
	DIVERT_N_FRAG_TIMEOUT, /* fragments of a packet of which others did not come in time */
	DIVERT_N_FRAG_OVERLAP, /* ... of a packet of which two disagree about some bytes */
	DIVERT_N_FRAG_DUP,     /* ... that were there already */
	DIVERT_N_FRAG_FULL,    /* ... for which there was no room */
	DIVERT_N_FRAG_BAD,     /* ... that no packet can have */
	DIVERT_N_ENTERED,      /* ... and met by its interface's hook again */
	DIVERT_N_BY_BULK,      /* of those written inbound: by the bulk path */
	DIVERT_N_JOINED,       /* of those written: as a part of one large packet */
	DIVERT_N_QUEUE_FULL,   /* written outbound where the interface's queue was full */
	DIVERT_N_MARTIAN,      /* written inbound with addresses for which the stack drops it */
	DIVERT_N_IPSEC,	       /* written inbound, came through IPsec, for which the stack asks */
	DIVERT_N_FLOW_FULL,  /* a rule was to make a state, for which there was no room: dropped */
	DIVERT_N_FLOW_LIMIT, /* the same, more than a rule's limit */
	DIVERT_N_NO_OWNER,   /* written outbound, whose is not known, and a rule asked: dropped */
	DIVERT_N_UNREAD,     /* delivered, and not read when the socket was closed, or died */
	DIVERT_N_RELEASED_PASSED,  /* of a released flow: passed; a tee's copy not made */
	DIVERT_N_RELEASED_DROPPED, /* of a released flow: dropped */
	DIVERT_N_RELEASES_FULL,	   /* a flow was to be released, and there was no room */
	/*
	 * To be sent to the hop of a fwd rule, and not seen to leave: the hop is no neighbour, or
	 * has not answered yet. A packet that its new interface's hook sees is counted off.
	 */
	DIVERT_N_FWD,
	/*
	 * Written, but never seen at its hook. Computed when it is read: the stack counts nothing
	 * when it drops packets beyond a CPU's net.core.netdev_max_backlog, or packets for a
	 * neighbour that does not answer.
	 */
	DIVERT_N_LOST,
	DIVERT_N_CAUSES,
	DIVERT_N_STATS = 39, /* no counter: stats of the port whose counters these are */
	DIVERT_N_ROOM = 40,  /* counters of a port, some free */
};
_Static_assert((int)DIVERT_N_CAUSES <= (int)DIVERT_N_STATS,
	       "a counter more than there is room for");

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
	 * Index of its counters, and above it their generation: how many ports had them before. 0:
	 * the counters of what belongs to no port.
	 */
	__u32 stats;
	/*
	 * A flow is released only while this is the same. 0: no socket was bound yet. Else a number
	 * that differs from those of all sockets that had the port before its first socket of now.
	 */
	__u32 generation;
	__u32 members; /* bit i: slot[i] is that of a socket, which may have died */
	__u16 slot[DIVERT_GROUP_MAX];
};

/* ---- sockets, by slot ---- */

enum divert_socket_flags {
	DIVERT_SOCK_REASSEMBLE = 1 << 0, /* its library puts fragments together */
	DIVERT_SOCK_INFO = 1 << 1,	 /* it wants uid, drops and tstamp in each record */
	DIVERT_SOCK_NOT_IN = 1 << 2,  /* incoming packets pass it by, as if nobody listened to a */
	DIVERT_SOCK_NOT_OUT = 1 << 3, /* rule with bypass; outgoing packets do */
	DIVERT_SOCK_OWNER = 1 << 4, /* no socket: the ring is what rules hang on; it has no limit */
};

struct divert_socket {
	__u32 flags; /* enum divert_socket_flags */
	/* bytes that may wait in its ring, headers included; the last eighth: see record_copy() */
	__u32 limit;
	__u32 drops; /* packets lost for want of room */
};

/* ---- released flows: programs have seen enough of them ---- */

enum divert_release {
	DIVERT_RELEASE_END, /* they come to the port again */
	DIVERT_RELEASE_PASSES,
	DIVERT_RELEASE_DROPS,
};

#define DIVERT_RELEASED_LIFE 300 /* s without a packet, after which it is over; by default */

/* The key is a struct divert_flow_key: its name is the port's stats. */
struct divert_released {
	__u64 expires;	  /* CLOCK_MONOTONIC_COARSE, ns */
	__u64 since;	  /* the same: when it was released */
	__u64 packets;	  /* that did not come to the port */
	__u32 generation; /* of the port: of another one, it is over */
	__u32 how;	  /* enum divert_release */
};

/* All of it stable. */
struct divert_settings {
	__u32 pass_through; /* nobody listens: pass, for every port */
	__u32 no_bulk;	    /* what is written goes over lo, all of it */
	__u32 life[6];	    /* enum divert_life, s; 0: the default */
	__u32 states;	    /* how many there may be; 0: the default; as many released flows */
	__u32 released;	    /* s that a released flow lives without packets; 0: the default */
};

/*
 * What an engine is, written when it is loaded or upgraded. Only root reads it. All of it stable.
 */
struct divert_identity {
	__u32 layout;	    /* DIVERT_LAYOUT */
	__u32 id;	    /* a number that no other engine has, most likely */
	__u64 loaded;	    /* CLOCK_REALTIME, s */
	char version[32];   /* of the build that loaded it */
	__u8 sysctl_was[8]; /* of lo, to be put back, in engine/sysctl.c's order; 0xff: untouched */
	__u32 entry_key[2]; /* what a packet carries between lo and its hook: a secret */
	__u32 chain;	    /* its programs are for engine/chain.h; else they are classic filters */
};

/*
 * Of an interface. User space asks the kernel for the hooks. Reinjection cannot, and goes by these
 * flags: they are set after a hook is attached, and cleared before it is removed.
 */
enum divert_iface_flags {
	DIVERT_IFACE_QDISC =
		1 << 0,		   /* its clsact qdisc is ours: to be put back when the hooks go */
	DIVERT_IFACE_IN = 1 << 1,  /* it is hooked on the way in */
	DIVERT_IFACE_OUT = 1 << 2, /* it is hooked on the way out */
};

#include "rule_layout.h"

#endif
