/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's own structures, as far as the kernel half reads them. They declare only the members
 * that we use; CO-RE finds the offsets in the running kernel by name when the engine is loaded.
 */
#ifndef DIVERT_ENGINE_KERNEL_H
#define DIVERT_ENGINE_KERNEL_H

#define KERNEL __attribute__((preserve_access_index))

#define IFF_UP_BIT	     1u
#define IFF_LOOPBACK_BIT     8u
#define IFF_802_1Q_VLAN_BIT  (1u << 0)	/* a VLAN; in priv_flags */
#define IFF_SLAVE_BIT	     0x800u	/* port of a bond; in flags */
#define IFF_BRIDGE_PORT_BIT  (1u << 9)	/* in priv_flags */
#define IFF_OVS_DATAPATH_BIT (1u << 10) /* port of Open vSwitch */
#define IFF_TEAM_PORT_BIT    (1u << 13)
#define IFF_L3MDEV_SLAVE_BIT (1u << 23) /* in a VRF */

#define ARPHRD_ETHER_TYPE    1
#define ARPHRD_LOOPBACK_TYPE 772

#define NET_XMIT_DROP 1 /* bpf_clone_redirect(): the queue dropped it */

#define HASH_BUCKETS 256 /* NETDEV_HASHENTRIES */

struct hlist_node {
	struct hlist_node *next;
} KERNEL;

struct hlist_head {
	struct hlist_node *first;
} KERNEL;

struct list_head {
	struct list_head *next;
} KERNEL;

struct timespec64 {
	long long tv_sec;
} KERNEL;

struct ns_common {
	unsigned int inum;
} KERNEL;

typedef struct {
	int counter;
} KERNEL atomic_t;

struct ipv4_devconf {
	int data[32]; /* IPV4_DEVCONF_..., from 1 on */
} KERNEL;

struct netns_ipv4 {
	struct ipv4_devconf *devconf_all;
	atomic_t dev_addr_genid; /* changes whenever an address changes */
	atomic_t rt_genid;	 /* changes whenever a route or a routing rule changes */
	_Bool fib_has_custom_rules;
	__u8 sysctl_fib_multipath_hash_policy;
} KERNEL;

struct netns_sysctl_ipv6 {
	__u8 multipath_hash_policy;
} KERNEL;

struct rt6_statistics {
	__u32 fib_rt_entries; /* routes */
} KERNEL;

struct netns_ipv6 {
	struct netns_sysctl_ipv6 sysctl;
	atomic_t fib6_sernum; /* changes whenever a route is added */
	struct rt6_statistics *rt6_stats;
	_Bool fib6_has_custom_rules;
} KERNEL;

struct netns_xfrm {
	unsigned int policy_count[3]; /* IPsec policies: XFRM_POLICY_IN, OUT, FWD */
} KERNEL;

struct net {
	__u64 net_cookie;
	struct netns_xfrm xfrm;
	struct ns_common ns;
	struct netns_ipv4 ipv4;
	struct netns_ipv6 ipv6;
	struct hlist_head *dev_index_head;
	struct list_head dev_base_head;
} KERNEL;

typedef struct {
	struct net *net;
} KERNEL possible_net_t;

struct in_ifaddr {
	struct in_ifaddr *ifa_next;
	__be32 ifa_local;
	__be32 ifa_address; /* of a point-to-point link: the peer's */
	__be32 ifa_mask;
	__be32 ifa_broadcast;
} KERNEL;

struct inet6_ifaddr {
	struct {
		__be32 word[4];
	} addr;
	__u32 prefix_len;
	struct list_head if_list;
} KERNEL;

struct ipv6_devconf {
	int disable_policy;
	int mtu6;
} KERNEL;

struct inet6_dev {
	struct list_head addr_list;
	struct ipv6_devconf cnf;
} KERNEL;

struct in_device {
	struct in_ifaddr *ifa_list;
	struct ipv4_devconf cnf;
} KERNEL;

struct netdev_rx_queue {
	void *rps_map;
	void *rps_flow_table;
} KERNEL;

/*
 * Newer kernels keep the size of the table in the low bits of the pointer. CO-RE takes it for
 * another member.
 */
struct netdev_rx_queue___tagged {
	unsigned long rps_flow_table;
} KERNEL;

struct Qdisc {
	void *enqueue; /* NULL: it queues nothing */
} KERNEL;

struct netdev_queue {
	struct Qdisc *qdisc;
} KERNEL;

struct net_device {
	char name[16];
	int ifindex;
	unsigned int flags;
	unsigned int mtu;
	unsigned short type;	 /* ARPHRD_... */
	unsigned int priv_flags; /* a bit field since 6.10: read as one */
	struct hlist_node index_hlist;
	possible_net_t nd_net;
	struct in_device *ip_ptr;
	struct inet6_dev *ip6_ptr;
	struct list_head dev_list;
	const unsigned char *dev_addr;
	void *rx_handler; /* of bridges and the like */
	void *xdp_prog;	  /* generic XDP's */
	struct netdev_rx_queue *_rx;
	struct netdev_queue *_tx;
	void *rx_handler_data; /* of a bridge's port: struct net_bridge_port */
	struct vlan_info *vlan_info;
	struct {
		struct list_head upper, lower; /* of struct netdev_adjacent */
	} adj_list;
} KERNEL;

struct netdev_adjacent {
	struct net_device *dev;
	struct list_head list;
} KERNEL;

struct vlan_group {
	/* by protocol (802.1Q and 802.1ad), and by eighth of the ids; flat in BTF */
	struct net_device **vlan_devices_arrays[16];
} KERNEL;

struct vlan_info {
	struct vlan_group grp;
} KERNEL;

struct net_bridge {
	enum { BRIDGE_NO_STP } stp_enabled;
	__u16 group_fwd_mask;
	__u16 group_fwd_mask_required;
} KERNEL;

struct net_bridge_port {
	struct net_bridge *br;
	__u16 group_fwd_mask;
} KERNEL;

struct xdp_rxq_info {
	struct net_device *dev;
} KERNEL;

struct xdp_buff {
	struct xdp_rxq_info *rxq;
} KERNEL;

typedef struct {
	unsigned int val;
} KERNEL kgid_t;

struct cred {
	kgid_t fsgid;
} KERNEL;

struct file {
	const struct cred *f_cred;
} KERNEL;

struct socket {
	struct file *file;
} KERNEL;

struct sock_common {
	int skc_bound_dev_if;
} KERNEL;

struct sock {
	struct sock_common __sk_common;
	struct socket *sk_socket;
} KERNEL;

struct dst_entry {
	struct net_device *dev;
	void *lwtstate; /* the encapsulation of the packet */
} KERNEL;

struct sk_buff {
	struct sk_buff *next;
	unsigned long _skb_refdst; /* the route: struct dst_entry *, and flags */
	struct net_device *dev;
	struct sock *sk;
	unsigned char *head;
	unsigned int end; /* from head: of skb_shared_info */
	unsigned int len;
	__u16 network_header;
	__u16 mac_header;
	__u16 csum_start; /* from head */
	__u16 csum_offset;
	__u8 ip_summed : 2;
	__u8 l4_hash : 1; /* the hash is the flow's, ports included */
	__u8 redirected : 1;
	__u8 active_extensions; /* bits, by enum skb_ext_id */
} KERNEL;

enum skb_ext_id { SKB_EXT_SEC_PATH = 1 }; /* the number comes from the running kernel */

#define CHECKSUM_PARTIAL 3
#define SKB_DST_NOREF	 1ul

struct skb_shared_info {
	unsigned int gso_type;
	struct sk_buff *frag_list;
} KERNEL;

/* skb_shared_info.gso_type. The kernel's enum has no name that CO-RE could use */
#define SKB_GSO_TCPV4	    (1u << 0)
#define SKB_GSO_DODGY	    (1u << 1) /* from a guest: to be checked, which we do */
#define SKB_GSO_TCP_ECN	    (1u << 2)
#define SKB_GSO_TCP_FIXEDID (1u << 3 | 1u << 30) /* until 6.17, from 6.18 on */
#define SKB_GSO_TCPV6	    (1u << 4)
#define SKB_GSO_SCTP	    (1u << 14)
#define SKB_GSO_UDP_L4	    (1u << 17)
#define SKB_GSO_FRAGLIST    (1u << 18)
#define SKB_GSO_TCP_ACCECN  (1u << 19)

typedef struct {
	long long counter;
} atomic64_t;

struct bpf_map {
	__u32 id;
	atomic64_t usercnt;
} KERNEL;

#endif
