// SPDX-License-Identifier: BSD-2-Clause
/*
 * Linux 2.2's firewall options. Programs that add their own DIVERT rule use them, like the example
 * of the Divert Sockets mini-HOWTO. They act on the same chains as ipchains(8).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "divert.h"

#include "include/compat/linux/ip_fw.h" /* undoes a macro of the header above */

#include "ruleset/chainset.h"

/* Copy a label. It must be NUL-terminated. */
static int read_label(char to[CHAIN_NAME_MAX + 1], const char *from)
{
	if (!memchr(from, 0, IP_FW_MAX_LABEL_LENGTH + 1))
		return -EINVAL;
	strcpy(to, from);
	return 0;
}

/* Refuse what ipdivert does not have. */
static int check_absent(const struct ip_fw *fw)
{
	if (fw->fw_flg & ~IP_FW_F_MASK || fw->fw_invflg & ~CHAIN_NOT_ALL)
		return -EINVAL;
	return fw->fw_flg & IP_FW_F_NETLINK ? -EOPNOTSUPP : 0;
}

static int read_rule(struct chain_spec *s, const struct ip_fwuser *rule)
{
	const struct ip_fw *fw = &rule->ipfw;
	int rc = check_absent(fw);

	*s = (struct chain_spec){
		.src = fw->fw_src,
		.src_mask = fw->fw_smsk,
		.dst = fw->fw_dst,
		.dst_mask = fw->fw_dmsk,
		.proto = fw->fw_proto,
		.flags = fw->fw_flg,
		.inverse = fw->fw_invflg,
		.sport = {fw->fw_spts[0], fw->fw_spts[1]},
		.dport = {fw->fw_dpts[0], fw->fw_dpts[1]},
		.port = fw->fw_redirpt,
		.mark = fw->fw_mark,
	};
	/* programs that do not use the TOS leave its fields 0 */
	if (fw->fw_tosand || fw->fw_tosxor) {
		s->tos_clear = ~fw->fw_tosand;
		s->tos_flip = fw->fw_tosxor;
	}
	if (!rc)
		rc = read_label(s->target, rule->label);
	if (!rc && !memchr(fw->fw_vianame, 0, sizeof(fw->fw_vianame)))
		rc = -EINVAL;
	if (!rc)
		strcpy(s->iface, fw->fw_vianame);
	return rc;
}

/* An option's argument, translated to an ipchains(8) command. */
struct asked {
	struct chain_command c;
	struct chain_spec spec;
};

static int read_change(struct asked *a, char op, const struct ip_fwchange *v)
{
	a->c.op = op;
	a->c.n = 1;
	return read_rule(&a->spec, &v->fwc_rule) ?: read_label(a->c.chain, v->fwc_label);
}

static int read_new(struct asked *a, char op, const struct ip_fwnew *v)
{
	a->c.op = op;
	a->c.n = 1;
	a->c.has_number = true;
	a->c.number = v->fwn_rulenum;
	return read_rule(&a->spec, &v->fwn_rule) ?: read_label(a->c.chain, v->fwn_label);
}

static int read_delnum(struct asked *a, const struct ip_fwdelnum *v)
{
	a->c.op = 'D';
	a->c.has_number = true;
	a->c.number = v->fwd_rulenum;
	return read_label(a->c.chain, v->fwd_label);
}

static int read_policy(struct asked *a, const struct ip_fwpolicy *v)
{
	a->c.op = 'P';
	return read_label(a->c.policy, v->fwp_policy) ?: read_label(a->c.chain, v->fwp_label);
}

static int read_chain(struct asked *a, char op, const char *label)
{
	int rc = read_label(a->c.chain, label);

	a->c.op = op;
	/* in ipchains(8) no chain means all of them; the option must name one */
	return rc ? rc : *a->c.chain ? 0 : -ENOENT;
}

/* value may be unaligned. */
static int read_option(struct asked *a, int name, const void *value, socklen_t len)
{
	static const socklen_t lengths[] = {
		[IP_FW_APPEND - IP_FW_BASE_CTL] = sizeof(struct ip_fwchange),
		[IP_FW_REPLACE - IP_FW_BASE_CTL] = sizeof(struct ip_fwnew),
		[IP_FW_DELETE_NUM - IP_FW_BASE_CTL] = sizeof(struct ip_fwdelnum),
		[IP_FW_DELETE - IP_FW_BASE_CTL] = sizeof(struct ip_fwchange),
		[IP_FW_INSERT - IP_FW_BASE_CTL] = sizeof(struct ip_fwnew),
		[IP_FW_FLUSH - IP_FW_BASE_CTL] = sizeof(ip_chainlabel),
		[IP_FW_ZERO - IP_FW_BASE_CTL] = sizeof(ip_chainlabel),
		[IP_FW_CHECK - IP_FW_BASE_CTL] = sizeof(struct ip_fwtest),
		[IP_FW_CREATECHAIN - IP_FW_BASE_CTL] = sizeof(ip_chainlabel),
		[IP_FW_DELETECHAIN - IP_FW_BASE_CTL] = sizeof(ip_chainlabel),
		[IP_FW_POLICY - IP_FW_BASE_CTL] = sizeof(struct ip_fwpolicy),
	};
	const unsigned int index = (unsigned int)name - IP_FW_BASE_CTL;
	union {
		struct ip_fwchange change;
		struct ip_fwnew new;
		struct ip_fwdelnum delnum;
		struct ip_fwpolicy policy;
		struct ip_fwtest test;
		ip_chainlabel label;
	} v;

	memset(a, 0, sizeof(*a));
	if (name == IP_FW_MASQ_TIMEOUTS || name == IP_FW_MASQ_CTL)
		return -EOPNOTSUPP;
	if (index >= sizeof(lengths) / sizeof(lengths[0]))
		return -ENOPROTOOPT;
	if (len != lengths[index])
		return -EINVAL;
	memcpy(&v, value, len);
	switch (name) {
	case IP_FW_APPEND:
		return read_change(a, 'A', &v.change);
	case IP_FW_DELETE:
		return read_change(a, 'D', &v.change);
	case IP_FW_REPLACE:
		return read_new(a, 'R', &v.new);
	case IP_FW_INSERT:
		return read_new(a, 'I', &v.new);
	case IP_FW_DELETE_NUM:
		return read_delnum(a, &v.delnum);
	case IP_FW_FLUSH:
		return read_chain(a, 'F', v.label);
	case IP_FW_ZERO:
		return read_chain(a, 'Z', v.label);
	case IP_FW_CREATECHAIN:
		return read_chain(a, 'N', v.label);
	case IP_FW_DELETECHAIN:
		return read_chain(a, 'X', v.label);
	case IP_FW_POLICY:
		return read_policy(a, &v.policy);
	}
	return read_chain(a, 'C', v.test.fwt_label);
}

/* ---- execution ---- */

static int test(struct chains *chains, struct chain *chain, const struct ip_fwtest *t,
		struct rules_error *err)
{
	static const int errors[] = {
		[CHAIN_PASSED] = ENFILE,	 [CHAIN_ACCEPTED] = 0,
		[CHAIN_DENIED] = ETIMEDOUT,	 [CHAIN_REJECTED] = ECONNREFUSED,
		[CHAIN_DIVERTED] = ECONNABORTED,
	};
	char packet[offsetof(struct ip_fwpkt, fwp_via)], iface[sizeof(t->fwt_packet.fwp_vianame)];
	struct chain_verdict v;
	struct iphdr ip;

	/* fwp_via aside, this is the packet, provided that it has no IP options */
	memcpy(packet, &t->fwt_packet, sizeof(packet));
	memcpy(&ip, packet, sizeof(ip));
	if (ip.ihl != sizeof(ip) / 4)
		return -1;
	ip.version = 4;
	ip.tot_len = htons(sizeof(packet));
	memcpy(packet, &ip, sizeof(ip));
	memcpy(iface, t->fwt_packet.fwp_vianame, sizeof(iface));
	iface[sizeof(iface) - 1] = 0;
	if (chain_test(chains, chain, packet, sizeof(packet), iface, &v, err))
		return -1;
	err->status = errors[v.is];
	return err->status ? -1 : 0;
}

static int run(struct chainset *s, struct asked *a, const void *value, struct rules_error *err)
{
	struct chain *chain;
	struct ip_fwtest t;

	if (a->c.op == 'Z')
		return chainset_zero(s, a->c.chain, err);
	if (a->c.op == 'C') {
		chain = chains_find(&s->chains, a->c.chain, err);
		if (!chain)
			return -1;
		memcpy(&t, value, sizeof(t));
		return test(&s->chains, chain, &t, err);
	}
	a->c.spec = &a->spec;
	return chain_command_run(&s->chains, &a->c, err) || chainset_commit(s, NULL, err) ? -1 : 0;
}

int divert_firewall(int name, const void *value, socklen_t len)
{
	struct rules_error err = {.status = EINVAL};
	struct chainset s;
	struct asked a;
	int rc = value ? read_option(&a, name, value, len) : -EFAULT;

	if (rc) {
		errno = -rc;
		return -1;
	}
	rc = chainset_open(&s, chainset_flags(a.c.op), &err) || run(&s, &a, value, &err);
	chainset_close(&s);
	if (!rc)
		return 0;
	errno = err.status;
	return -1;
}
