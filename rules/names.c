/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of protocols and services. Built-in names come first, so that BSD's rule sets work where
 * /etc/protocols and /etc/services lack them or are missing; then the names in these files.
 */
#include <ctype.h>
#include <netdb.h>
#include <string.h>
#include <strings.h>

#include "parse.h"

/*
 * The first name of a number is printed, whatever /etc/protocols has, so that a rule set reads the
 * same everywhere. The stored form only uses names that every version knows.
 */
static const struct {
	const char *name;
	uint8_t proto;
	bool ports, kept;
} protocols[] = {
	{"icmp", 1, false, true},	   {"igmp", 2, false, true},
	{"ggp", 3, false, false},	   {"ipencap", 4, false, true},
	{"st", 5, false, false},	   {"tcp", 6, true, true},
	{"egp", 8, false, false},	   {"udp", 17, true, true},
	{"rdp", 27, false, false},	   {"dccp", 33, true, true},
	{"ipv6-route", 43, false, false},  {"ipv6-frag", 44, false, false},
	{"rsvp", 46, false, false},	   {"gre", 47, false, true},
	{"esp", 50, false, true},	   {"ah", 51, false, true},
	{"swipe", 53, false, false},	   {"mobile", 55, false, false},
	{"skip", 57, false, false},	   {"ipv6-icmp", 58, false, true},
	{"icmp6", 58, false, true},	   {"icmpv6", 58, false, true},
	{"ipv6-nonxt", 59, false, false},  {"ipv6-opts", 60, false, false},
	{"eigrp", 88, false, false},	   {"ospf", 89, false, true},
	{"ospfigp", 89, false, true},	   {"ipip", 94, false, false},
	{"etherip", 97, false, false},	   {"encap", 98, false, false},
	{"pim", 103, false, true},	   {"ipcomp", 108, false, false},
	{"vrrp", 112, false, true},	   {"carp", 112, false, true},
	{"l2tp", 115, false, false},	   {"isis", 124, false, false},
	{"sctp", 132, true, true},	   {"udplite", 136, true, true},
	{"mpls-in-ip", 137, false, false}, {"hip", 139, false, false},
	{"pfsync", 240, false, false},
};

#define N_PROTOCOLS (sizeof(protocols) / sizeof(*protocols))

const char *protocol_name(uint8_t proto, bool kept)
{
	unsigned int i;

	for (i = 0; i < N_PROTOCOLS; i++)
		if (protocols[i].proto == proto)
			return protocols[i].kept || !kept ? protocols[i].name : NULL;
	return NULL;
}

bool protocol_has_ports(uint8_t proto)
{
	unsigned int i;

	for (i = 0; i < N_PROTOCOLS; i++)
		if (protocols[i].proto == proto)
			return protocols[i].ports;
	return false;
}

/* Names may be in capitals, as in /etc/protocols. */
int protocol_number(const char *word)
{
	struct protoent *e;
	unsigned int i;
	uint32_t v;

	if (parse_number(word, 255, &v))
		return v;
	for (i = 0; i < N_PROTOCOLS; i++)
		if (!strcasecmp(word, protocols[i].name))
			return protocols[i].proto;
	e = getprotobyname(word);
	return e && e->p_proto >= 0 && e->p_proto <= 255 ? e->p_proto : -1;
}

static const struct {
	const char *name;
	uint16_t port;
} services[] = {
	{"echo", 7},	      {"discard", 9},	      {"daytime", 13},
	{"chargen", 19},      {"ftp-data", 20},	      {"ftp", 21},
	{"ssh", 22},	      {"telnet", 23},	      {"smtp", 25},
	{"mail", 25},	      {"time", 37},	      {"nicname", 43},
	{"whois", 43},	      {"tacacs", 49},	      {"domain", 53},
	{"bootps", 67},	      {"dhcps", 67},	      {"bootpc", 68},
	{"dhcpc", 68},	      {"tftp", 69},	      {"gopher", 70},
	{"finger", 79},	      {"http", 80},	      {"www", 80},
	{"kerberos", 88},     {"pop3", 110},	      {"pop", 110},
	{"sunrpc", 111},      {"portmap", 111},	      {"rpcbind", 111},
	{"auth", 113},	      {"ident", 113},	      {"nntp", 119},
	{"ntp", 123},	      {"epmap", 135},	      {"netbios-ns", 137},
	{"netbios-dgm", 138}, {"netbios-ssn", 139},   {"imap", 143},
	{"imap2", 143},	      {"imap4", 143},	      {"snmp", 161},
	{"snmptrap", 162},    {"snmp-trap", 162},     {"xdmcp", 177},
	{"bgp", 179},	      {"irc", 194},	      {"ldap", 389},
	{"svrloc", 427},      {"https", 443},	      {"microsoft-ds", 445},
	{"submissions", 465}, {"smtps", 465},	      {"isakmp", 500},
	{"exec", 512},	      {"biff", 512},	      {"comsat", 512},
	{"login", 513},	      {"who", 513},	      {"shell", 514},
	{"cmd", 514},	      {"syslog", 514},	      {"printer", 515},
	{"talk", 517},	      {"ntalk", 518},	      {"router", 520},
	{"route", 520},	      {"ripng", 521},	      {"uucp", 540},
	{"rtsp", 554},	      {"submission", 587},    {"ipp", 631},
	{"ldaps", 636},	      {"rsync", 873},	      {"imaps", 993},
	{"ircs", 994},	      {"pop3s", 995},	      {"socks", 1080},
	{"openvpn", 1194},    {"l2f", 1701},	      {"l2tp", 1701},
	{"pptp", 1723},	      {"radius", 1812},	      {"radacct", 1813},
	{"nfsd", 2049},	      {"nfs", 2049},	      {"cvspserver", 2401},
	{"mysql", 3306},      {"rdp", 3389},	      {"svn", 3690},
	{"sae-urn", 4500},    {"ipsec-nat-t", 4500},  {"sip", 5060},
	{"sip-tls", 5061},    {"xmpp-client", 5222},  {"xmpp-server", 5269},
	{"mdns", 5353},	      {"postgresql", 5432},   {"cvsup", 5999},
	{"x11", 6000},	      {"font-service", 7100}, {"natd", RULES_PORT_NATD},
};

#define N_SERVICES (sizeof(services) / sizeof(*services))

bool service_port(const char *name, const char *transport, uint16_t *port)
{
	struct servent *e;
	unsigned int i;

	if (!*name || isdigit((unsigned char)*name))
		return false;
	e = transport ? getservbyname(name, transport) : NULL;
	if (!e)
		e = getservbyname(name, NULL);
	if (e) {
		*port = ntohs((uint16_t)e->s_port);
		return true;
	}
	for (i = 0; i < N_SERVICES; i++)
		if (!strcmp(name, services[i].name)) {
			*port = services[i].port;
			return true;
		}
	return false;
}
