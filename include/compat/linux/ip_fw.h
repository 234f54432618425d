/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The firewall interface of Linux 2.2, which programs use to set their DIVERT rule themselves, as
 * the example of the Divert Sockets mini-HOWTO does:
 *
 *	setsockopt(socket(AF_INET, SOCK_RAW, IPPROTO_RAW), IPPROTO_IP, IP_FW_..., &arg, sizeof(arg))
 *
 * Linux has had no such header since 2.4. Addresses are in network order, ports and flags in host
 * order. The layout is the same on 32 and 64 bits.
 */
#ifndef DIVERT_COMPAT_LINUX_IP_FW_H
#define DIVERT_COMPAT_LINUX_IP_FW_H

#pragma GCC system_header

#include <stddef.h>

#include <linux/types.h>
#include <netinet/in.h>

/*
 * The C library's and the kernel's headers of these names exclude each other: the first one has it.
 */
#ifndef _LINUX_IF_H
#include <net/if.h>
#endif
#ifndef _LINUX_IP_H
#include <netinet/ip.h>
#endif
#ifndef _LINUX_TCP_H
#include <netinet/tcp.h>
#endif
#ifndef _LINUX_UDP_H
#include <netinet/udp.h>
#endif
#ifndef _LINUX_ICMP_H
#include <netinet/ip_icmp.h>
#endif

/*
 * Sources that include this header are for Linux 2.2, whose number was 254, and mostly define it
 * after it, as the HOWTO's example does: over a macro that would be warned of.
 */
#undef IPPROTO_DIVERT
enum { IPPROTO_DIVERT = 254 };

#define IP_FW_MAX_LABEL_LENGTH 8
typedef char ip_chainlabel[IP_FW_MAX_LABEL_LENGTH + 1];

/* What a rule matches. */
struct ip_fw {
	struct in_addr fw_src, fw_dst;
	struct in_addr fw_smsk, fw_dmsk;
	__u32 fw_mark;
	__u16 fw_proto;	     /* 0: any */
	__u16 fw_flg;	     /* IP_FW_F_... */
	__u16 fw_invflg;     /* IP_FW_INV_... */
	__u16 fw_spts[2];    /* source ports, from and to */
	__u16 fw_dpts[2];    /* destination ports */
	__u16 fw_redirpt;    /* port of DIVERT and REDIRECT */
	__u16 fw_outputsize; /* bytes for netlink */
	char fw_vianame[16]; /* interface; "" is any */
	__u8 fw_tosand, fw_tosxor;
};

/* A rule: and its target, "DIVERT" for instance. */
struct ip_fwuser {
	struct ip_fw ipfw;
	ip_chainlabel label;
};

/* fw_flg */
#define IP_FW_F_PRN	0x0001 /* log */
#define IP_FW_F_TCPSYN	0x0002 /* SYN without ACK and FIN */
#define IP_FW_F_FRAG	0x0004 /* second and further fragments */
#define IP_FW_F_MARKABS 0x0008 /* fw_mark replaces the packet's, else it is added */
#define IP_FW_F_WILDIF	0x0010 /* fw_vianame is the beginning of a name */
#define IP_FW_F_NETLINK 0x0020 /* a copy to netlink */
#define IP_FW_F_MASK	0x003F

/* fw_invflg: matches where the field does not */
#define IP_FW_INV_SRCIP 0x0001
#define IP_FW_INV_DSTIP 0x0002
#define IP_FW_INV_PROTO 0x0004
#define IP_FW_INV_SRCPT 0x0008
#define IP_FW_INV_DSTPT 0x0010
#define IP_FW_INV_VIA	0x0020
#define IP_FW_INV_SYN	0x0040
#define IP_FW_INV_FRAG	0x0080

/* The options, each with its argument. */
#define IP_FW_BASE_CTL	    64
#define IP_FW_APPEND	    (IP_FW_BASE_CTL)	  /* ip_fwchange */
#define IP_FW_REPLACE	    (IP_FW_BASE_CTL + 1)  /* ip_fwnew */
#define IP_FW_DELETE_NUM    (IP_FW_BASE_CTL + 2)  /* ip_fwdelnum */
#define IP_FW_DELETE	    (IP_FW_BASE_CTL + 3)  /* ip_fwchange */
#define IP_FW_INSERT	    (IP_FW_BASE_CTL + 4)  /* ip_fwnew */
#define IP_FW_FLUSH	    (IP_FW_BASE_CTL + 5)  /* ip_chainlabel */
#define IP_FW_ZERO	    (IP_FW_BASE_CTL + 6)  /* ip_chainlabel */
#define IP_FW_CHECK	    (IP_FW_BASE_CTL + 7)  /* ip_fwtest */
#define IP_FW_MASQ_TIMEOUTS (IP_FW_BASE_CTL + 8)  /* three int */
#define IP_FW_CREATECHAIN   (IP_FW_BASE_CTL + 9)  /* ip_chainlabel */
#define IP_FW_DELETECHAIN   (IP_FW_BASE_CTL + 10) /* ip_chainlabel */
#define IP_FW_POLICY	    (IP_FW_BASE_CTL + 11) /* ip_fwpolicy */
#define IP_FW_MASQ_CTL	    (IP_FW_BASE_CTL + 12)

struct ip_fwpkt {
	struct iphdr fwp_iph;
	union {
#if defined _LINUX_TCP_H || defined __USE_MISC || !defined __GLIBC__
		struct tcphdr fwp_tcph;
#else /* glibc has it not in strict ISO C */
		__u32 fwp_tcph[5];
#endif
		struct udphdr fwp_udph;
		struct icmphdr fwp_icmph;
	} fwp_protoh;
	struct in_addr fwp_via;
	char fwp_vianame[16];
};

/* APPEND, DELETE */
struct ip_fwchange {
	struct ip_fwuser fwc_rule;
	ip_chainlabel fwc_label;
};

/* CHECK */
struct ip_fwtest {
	struct ip_fwpkt fwt_packet;
	ip_chainlabel fwt_label;
};

/* INSERT, REPLACE */
struct ip_fwnew {
	__u32 fwn_rulenum;
	struct ip_fwuser fwn_rule;
	ip_chainlabel fwn_label;
};

/* DELETE_NUM */
struct ip_fwdelnum {
	__u32 fwd_rulenum;
	ip_chainlabel fwd_label;
};

/* POLICY */
struct ip_fwpolicy {
	ip_chainlabel fwp_policy;
	ip_chainlabel fwp_label;
};

/* The chains and targets that are always there. */
#define IP_FW_LABEL_FORWARD    "forward"
#define IP_FW_LABEL_INPUT      "input"
#define IP_FW_LABEL_OUTPUT     "output"
#define IP_FW_LABEL_MASQUERADE "MASQ"
#define IP_FW_LABEL_REDIRECT   "REDIRECT"
#define IP_FW_LABEL_ACCEPT     "ACCEPT"
#define IP_FW_LABEL_BLOCK      "DENY"
#define IP_FW_LABEL_REJECT     "REJECT"
#define IP_FW_LABEL_RETURN     "RETURN"
#define IP_FW_LABEL_QUEUE      "QUEUE"
#define IP_FW_LABEL_DIVERT     "DIVERT"

#if defined __cplusplus && __cplusplus >= 201103L
#define DIVERT_COMPAT_ASSERT(what) static_assert(what, #what)
#elif !defined __cplusplus && defined __STDC_VERSION__ && __STDC_VERSION__ >= 201112L
#define DIVERT_COMPAT_ASSERT(what) _Static_assert(what, #what)
#endif
#ifdef DIVERT_COMPAT_ASSERT
DIVERT_COMPAT_ASSERT(sizeof(ip_chainlabel) == 9);
DIVERT_COMPAT_ASSERT(offsetof(struct ip_fw, fw_mark) == 16);
DIVERT_COMPAT_ASSERT(offsetof(struct ip_fw, fw_proto) == 20);
DIVERT_COMPAT_ASSERT(offsetof(struct ip_fw, fw_spts) == 26);
DIVERT_COMPAT_ASSERT(offsetof(struct ip_fw, fw_redirpt) == 34);
DIVERT_COMPAT_ASSERT(offsetof(struct ip_fw, fw_vianame) == 38);
DIVERT_COMPAT_ASSERT(offsetof(struct ip_fw, fw_tosand) == 54);
DIVERT_COMPAT_ASSERT(sizeof(struct ip_fw) == 56);
DIVERT_COMPAT_ASSERT(offsetof(struct ip_fwuser, label) == 56);
DIVERT_COMPAT_ASSERT(sizeof(struct ip_fwuser) == 68);
DIVERT_COMPAT_ASSERT(offsetof(struct ip_fwchange, fwc_label) == 68);
DIVERT_COMPAT_ASSERT(sizeof(struct ip_fwchange) == 80);
DIVERT_COMPAT_ASSERT(offsetof(struct ip_fwnew, fwn_rule) == 4);
DIVERT_COMPAT_ASSERT(offsetof(struct ip_fwnew, fwn_label) == 72);
DIVERT_COMPAT_ASSERT(sizeof(struct ip_fwnew) == 84);
DIVERT_COMPAT_ASSERT(sizeof(struct ip_fwdelnum) == 16);
DIVERT_COMPAT_ASSERT(sizeof(struct ip_fwpolicy) == 18);
DIVERT_COMPAT_ASSERT(offsetof(struct ip_fwpkt, fwp_via) == 40);
DIVERT_COMPAT_ASSERT(sizeof(struct ip_fwpkt) == 60);
DIVERT_COMPAT_ASSERT(sizeof(struct ip_fwtest) == 72);
#undef DIVERT_COMPAT_ASSERT
#endif

#endif
