/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Linux 2.2's firewall options, by plain setsockopt(2): fw COMMAND... For each command it prints a
 * line: "0" or the errno's name.
 *
 *	append|delete CHAIN TARGET PORT PROTO	insert|replace N CHAIN TARGET PORT PROTO
 *	delnum N CHAIN		flush|zero|create|remove CHAIN		policy CHAIN TARGET
 *	check CHAIN PROTO SRC DST IFACE		masq
 *	mark|tos|lowest|netlink|invert	CHAIN	append a rule that changes packets, or is refused
 *	short			append with a wrong length
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/ip_fw.h>

static int fd;

static int set(int name, const void *value, socklen_t len)
{
	if (setsockopt(fd, IPPROTO_IP, name, value, len) == -1)
		puts(strerrorname_np(errno));
	else
		puts("0");
	return 0;
}

static void label(char *to, const char *from)
{
	memset(to, 0, IP_FW_MAX_LABEL_LENGTH + 1);
	memcpy(to, from, strnlen(from, IP_FW_MAX_LABEL_LENGTH + 1)); /* may lack a NUL */
}

static void rule(struct ip_fwuser *r, char **word)
{
	memset(r, 0, sizeof(*r));
	label(r->label, word[0]);
	r->ipfw.fw_redirpt = atoi(word[1]);
	r->ipfw.fw_proto = atoi(word[2]);
	r->ipfw.fw_spts[1] = r->ipfw.fw_dpts[1] = 0xffff;
}

static int change(int name, char **word)
{
	struct ip_fwchange c;

	label(c.fwc_label, word[0]);
	rule(&c.fwc_rule, word + 1);
	set(name, &c, sizeof(c));
	return 5;
}

static int renew(int name, char **word)
{
	struct ip_fwnew n;

	n.fwn_rulenum = atoi(word[0]);
	label(n.fwn_label, word[1]);
	rule(&n.fwn_rule, word + 2);
	set(name, &n, sizeof(n));
	return 6;
}

static int one(int name, const char *chain)
{
	ip_chainlabel l;

	label(l, chain);
	set(name, &l, sizeof(l));
	return 2;
}

static int delnum(char **word)
{
	struct ip_fwdelnum d;

	d.fwd_rulenum = atoi(word[0]);
	label(d.fwd_label, word[1]);
	set(IP_FW_DELETE_NUM, &d, sizeof(d));
	return 3;
}

static int policy(char **word)
{
	struct ip_fwpolicy p;

	label(p.fwp_label, word[0]);
	label(p.fwp_policy, word[1]);
	set(IP_FW_POLICY, &p, sizeof(p));
	return 3;
}

static int check(char **word)
{
	struct ip_fwtest t;

	memset(&t, 0, sizeof(t));
	label(t.fwt_label, word[0]);
	t.fwt_packet.fwp_iph.version = 4;
	t.fwt_packet.fwp_iph.ihl = 5;
	t.fwt_packet.fwp_iph.protocol = atoi(word[1]);
	t.fwt_packet.fwp_iph.saddr = inet_addr(word[2]);
	t.fwt_packet.fwp_iph.daddr = inet_addr(word[3]);
	strcpy(t.fwt_packet.fwp_vianame, word[4]);
	set(IP_FW_CHECK, &t, sizeof(t));
	return 6;
}

static int special(const char *what, const char *chain)
{
	char *words[] = {"DIVERT", "5", "1"};
	struct ip_fwchange c;

	label(c.fwc_label, chain);
	rule(&c.fwc_rule, words);
	if (!strcmp(what, "mark"))
		c.fwc_rule.ipfw.fw_mark = 1;
	else if (!strcmp(what, "tos"))
		c.fwc_rule.ipfw.fw_tosand = 1, c.fwc_rule.ipfw.fw_tosxor = 8;
	else if (!strcmp(what, "lowest"))
		c.fwc_rule.ipfw.fw_tosxor = 8;
	else if (!strcmp(what, "netlink"))
		c.fwc_rule.ipfw.fw_flg = IP_FW_F_NETLINK;
	else
		c.fwc_rule.ipfw.fw_invflg = 0x100;
	set(IP_FW_APPEND, &c, sizeof(c));
	return 2;
}

static int run(char **word)
{
	static const int zeroes[25];

	if (!strcmp(word[0], "append"))
		return change(IP_FW_APPEND, word + 1);
	if (!strcmp(word[0], "delete"))
		return change(IP_FW_DELETE, word + 1);
	if (!strcmp(word[0], "insert"))
		return renew(IP_FW_INSERT, word + 1);
	if (!strcmp(word[0], "replace"))
		return renew(IP_FW_REPLACE, word + 1);
	if (!strcmp(word[0], "flush"))
		return one(IP_FW_FLUSH, word[1]);
	if (!strcmp(word[0], "zero"))
		return one(IP_FW_ZERO, word[1]);
	if (!strcmp(word[0], "create"))
		return one(IP_FW_CREATECHAIN, word[1]);
	if (!strcmp(word[0], "remove"))
		return one(IP_FW_DELETECHAIN, word[1]);
	if (!strcmp(word[0], "delnum"))
		return delnum(word + 1);
	if (!strcmp(word[0], "policy"))
		return policy(word + 1);
	if (!strcmp(word[0], "check"))
		return check(word + 1);
	if (!strcmp(word[0], "masq"))
		return 1 + set(IP_FW_MASQ_TIMEOUTS, zeroes, 12);
	if (!strcmp(word[0], "short"))
		return 1 + set(IP_FW_APPEND, zeroes, 79);
	return special(word[0], word[1]);
}

int main(int argc, char **argv)
{
	int i;

	fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	if (fd == -1) {
		perror("socket");
		return 1;
	}
	for (i = 1; i < argc; i += run(argv + i))
		;
	return 0;
}
