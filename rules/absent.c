/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words of ipfw(8) that ipdivert does not have. They are refused by name, never half implemented.
 */
#include <stddef.h>
#include <string.h>

#include "parse.h"

/* instead "": no alternative */
struct absent {
	const char *name, *instead;
};

#define NFT_NAT "use nftables' nat, or divert to a natd"
#define NFT_LINK                                                                                   \
	"rules meet packets at the IP layer, without a link header: use nftables' ether saddr, "   \
	"daddr and type, and fwmark here"
#define NO_LAYER2                                                                                  \
	"rules meet packets at the IP layer only: leave out 'not layer2', which always holds, "    \
	"and rules for layer2, or use nftables' families bridge and netdev for them"
#define TC_SHAPE "use tc(8) to shape traffic"

static const struct absent actions[] = {
	{"abort", "use deny"},
	{"abort6", "use deny"},
	{"nat", NFT_NAT},
	{"nat64lsn", NFT_NAT},
	{"nat64stl", NFT_NAT},
	{"nat64clat", NFT_NAT},
	{"nptv6", NFT_NAT},
	{"pipe", TC_SHAPE},
	{"queue", TC_SHAPE},
	{"setfib", "use policy routing (ip rule)"},
	{"setdscp", "use nftables' ip dscp set"},
	{"setmark", "use nftables' meta mark set"},
	{"tcp-setmss", "use nftables' tcp option maxseg size set"},
	{"netgraph", "use divert"},
	{"ngtee", "use tee"},
	{"eaction", ""},
	{"mark", "use nftables' meta mark set"},
};

static const struct absent options[] = {
	{"mac", NFT_LINK},
	{"MAC", NFT_LINK},
	{"src-mac", NFT_LINK},
	{"dst-mac", NFT_LINK},
	{"mac-type", NFT_LINK},
	{"ether-type", NFT_LINK},
	{"layer2", NO_LAYER2},
	{"bridged", NO_LAYER2},
	{"tag", "use nftables' meta mark set, and fwmark here"},
	{"untag", "use nftables' meta mark set, and fwmark here"},
	{"tagged", "use nftables' meta mark set, and fwmark here"},
	{"altq", TC_SHAPE},
	{"logdst", "use 'ipfw log'"},
	{"ipsec", "use nftables' meta ipsec, and fwmark here"},
	{"jail", "use nftables' socket cgroupv2, and fwmark here"},
	{"fib", "use fwmark, and policy routing (ip rule)"},
	{"mark", "use fwmark"},
};

static const struct absent lookups[] = {
	{"mark", "use fwmark"}, {"src-mac", NFT_LINK},
	{"dst-mac", NFT_LINK},	{"jail", "use nftables' socket cgroupv2, and fwmark here"},
	{"rulenum", ""},
};

static bool absent(const struct absent *a, size_t n, const char *word, struct rules_error *err)
{
	for (; n; n--, a++) {
		if (strcmp(a->name, word))
			continue;
		if (*a->instead)
			rules_fail(err, EX_DATAERR, "%s: ipdivert does not have it: %s", word,
				   a->instead);
		else
			rules_fail(err, EX_DATAERR, "%s: ipdivert does not have it", word);
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

bool absent_lookup(const char *word, struct rules_error *err)
{
	return absent(lookups, sizeof(lookups) / sizeof(*lookups), word, err);
}
