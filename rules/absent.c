/* SPDX-License-Identifier: BSD-2-Clause */
/* What ipfw(8) has and ipdivert does not: refused by name, never half done. */
#include <stddef.h>
#include <string.h>

#include "parse.h"

/* instead NULL: planned, not there yet; "": not meant to be */
struct absent {
	const char *name, *instead;
};

#define NFT_STATE "use nftables' conntrack (ct state)"
#define NFT_NAT	  "use nftables' nat, or divert to a natd"
#define TC_SHAPE  "use tc(8) to shape traffic"

static const struct absent actions[] = {
	{"set", NULL},
	{"prob", NULL},
	{"log", NULL},
	{"reass", NULL},
	{"reject", "use deny, or nftables' reject"},
	{"reset", "use deny, or nftables' reject with tcp reset"},
	{"reset6", "use deny, or nftables' reject with tcp reset"},
	{"unreach", "use deny, or nftables' reject"},
	{"unreach6", "use deny, or nftables' reject"},
	{"abort", "use deny"},
	{"abort6", "use deny"},
	{"check-state", NFT_STATE},
	{"nat", NFT_NAT},
	{"nat64lsn", NFT_NAT},
	{"nat64stl", NFT_NAT},
	{"nat64clat", NFT_NAT},
	{"nptv6", NFT_NAT},
	{"pipe", TC_SHAPE},
	{"queue", TC_SHAPE},
	{"fwd", "use policy routing (ip rule) or nftables' tproxy"},
	{"forward", "use policy routing (ip rule) or nftables' tproxy"},
	{"setfib", "use policy routing (ip rule)"},
	{"setdscp", "use nftables' ip dscp set"},
	{"setmark", "use nftables' meta mark set"},
	{"tcp-setmss", "use nftables' tcp option maxseg size set"},
	{"netgraph", ""},
	{"ngtee", ""},
	{"eaction", ""},
	{"mark", ""},
};

static const struct absent options[] = {
	{"established", NULL},
	{"setup", NULL},
	{"tcpflags", NULL},
	{"tcpflgs", NULL},
	{"tcpack", NULL},
	{"tcpseq", NULL},
	{"tcpwin", NULL},
	{"tcpmss", NULL},
	{"tcpdatalen", NULL},
	{"tcpoptions", NULL},
	{"tcpopts", NULL},
	{"frag", NULL},
	{"iplen", NULL},
	{"ipttl", NULL},
	{"ipid", NULL},
	{"ipversion", NULL},
	{"ipver", NULL},
	{"ipprecedence", NULL},
	{"ipoptions", NULL},
	{"ipopts", NULL},
	{"iptos", NULL},
	{"dscp", NULL},
	{"ip4", NULL},
	{"ipv4", NULL},
	{"ip6", NULL},
	{"ipv6", NULL},
	{"src-ip6", NULL},
	{"src-ipv6", NULL},
	{"dst-ip6", NULL},
	{"dst-ipv6", NULL},
	{"ext6hdr", NULL},
	{"flow-id", NULL},
	{"uid", NULL},
	{"gid", NULL},
	{"log", NULL},
	{"logamount", NULL},
	{"or", NULL},
	{"lookup", NULL},
	{"flow", NULL},
	{"mac", NULL},
	{"MAC", NULL},
	{"src-mac", NULL},
	{"dst-mac", NULL},
	{"mac-type", NULL},
	{"layer2", NULL},
	{"keep-state", NFT_STATE},
	{"record-state", NFT_STATE},
	{"check-state", NFT_STATE},
	{"limit", "use nftables' ct count"},
	{"set-limit", "use nftables' ct count"},
	{"defer-immediate-action", NFT_STATE},
	{"defer-action", NFT_STATE},
	{"verrevpath", "use nftables' fib, or the rp_filter sysctl"},
	{"versrcreach", "use nftables' fib, or the rp_filter sysctl"},
	{"antispoof", "use nftables' fib, or the rp_filter sysctl"},
	{"tag", "use nftables' meta mark set, and fwmark here"},
	{"untag", "use nftables' meta mark set, and fwmark here"},
	{"tagged", "use nftables' meta mark set, and fwmark here"},
	{"altq", TC_SHAPE},
	{"ipsec", ""},
	{"jail", ""},
	{"fib", ""},
	{"sockarg", ""},
};

static bool absent(const struct absent *a, size_t n, const char *word, struct rules_error *err)
{
	for (; n; n--, a++) {
		if (strcmp(a->name, word))
			continue;
		if (!a->instead)
			rules_fail(err, EX_DATAERR, "%s: not there yet", word);
		else if (*a->instead)
			rules_fail(err, EX_DATAERR, "%s: ipdivert does not have it: %s", word,
				   a->instead);
		else
			rules_fail(err, EX_DATAERR, "%s: ipdivert does not have it", word);
		return true;
	}
	if (*word == '{' || *word == '(') {
		rules_fail(err, EX_DATAERR, "%s: not there yet: blocks with \"or\"", word);
		return true;
	}
	return false;
}

bool absent_action(const char *word, struct rules_error *err)
{
	return absent(actions, sizeof(actions) / sizeof(*actions), word, err);
}

bool absent_option(const char *word, struct rules_error *err)
{
	return absent(options, sizeof(options) / sizeof(*options), word, err);
}
