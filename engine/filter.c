// SPDX-License-Identifier: BSD-2-Clause
#include "filter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <bpf/libbpf.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include "netlink.h"

/* Discards messages that libbpf would print to stderr: we report errors ourselves. */
static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

/* memset, to zero the padding too: libbpf refuses anything that it does not know. */
static void hook_of(struct bpf_tc_hook *hook, uint32_t ifindex, enum bpf_tc_attach_point point)
{
	memset(hook, 0, sizeof(*hook));
	hook->sz = sizeof(*hook);
	hook->ifindex = ifindex;
	hook->attach_point = point;
}

static void filter_of(struct bpf_tc_hook *hook, struct bpf_tc_opts *opts, uint32_t ifindex,
		      enum hook_side side, uint32_t prio, uint32_t handle)
{
	hook_of(hook, ifindex, side == HOOK_IN ? BPF_TC_INGRESS : BPF_TC_EGRESS);
	memset(opts, 0, sizeof(*opts));
	opts->sz = sizeof(*opts);
	opts->handle = handle;
	opts->priority = prio;
}

/* ---- filters ---- */

struct listing {
	int (*add)(const struct hook *h, void *arg);
	void *arg;
	uint32_t ifindex, parent;
};

static void take_bpf(const struct nlattr *options, struct hook *h)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, options)
	{
		if (mnl_attr_get_type(attr) == TCA_BPF_ID)
			h->prog_id = mnl_attr_get_u32(attr);
		else if (mnl_attr_get_type(attr) == TCA_BPF_NAME)
			snprintf(h->name, sizeof(h->name), "%s", mnl_attr_get_str(attr));
	}
}

static int take_filter(const struct nlmsghdr *nlh, void *data)
{
	const struct tcmsg *tcm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr, *options = NULL;
	const struct listing *l = data;
	struct hook h = {
		.prio = TC_H_MAJ(tcm->tcm_info) >> 16,
		.handle = tcm->tcm_handle,
		.protocol = ntohs(TC_H_MIN(tcm->tcm_info)),
	};

	/* without a handle the message only announces a priority */
	if (nlh->nlmsg_type != RTM_NEWTFILTER || !tcm->tcm_handle ||
	    (uint32_t)tcm->tcm_ifindex != l->ifindex || tcm->tcm_parent != l->parent)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(*tcm))
	{
		if (mnl_attr_get_type(attr) == TCA_KIND)
			snprintf(h.name, sizeof(h.name), "%s", mnl_attr_get_str(attr));
		else if (mnl_attr_get_type(attr) == TCA_OPTIONS)
			options = attr;
	}
	h.bpf = !strcmp(h.name, "bpf");
	if (h.bpf && options)
		take_bpf(options, &h);
	return l->add(&h, l->arg) ? MNL_CB_ERROR : MNL_CB_OK;
}

int filter_list(uint32_t ifindex, enum hook_side side, int (*add)(const struct hook *h, void *arg),
		void *arg)
{
	struct listing l = {
		.add = add,
		.arg = arg,
		.ifindex = ifindex,
		.parent = TC_H_MAKE(TC_H_CLSACT,
				    side == HOOK_IN ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS),
	};
	char buf[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct tcmsg *tcm;

	nlh->nlmsg_type = RTM_GETTFILTER;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	tcm = mnl_nlmsg_put_extra_header(nlh, sizeof(*tcm));
	tcm->tcm_ifindex = ifindex;
	tcm->tcm_parent = l.parent;
	return netlink_ask(nlh, take_filter, &l);
}

int filter_attach(uint32_t ifindex, enum hook_side side, uint32_t prio, uint32_t handle,
		  int prog_fd)
{
	libbpf_print_fn_t print = libbpf_set_print(silent);
	struct bpf_tc_hook hook;
	struct bpf_tc_opts opts;
	int rc;

	filter_of(&hook, &opts, ifindex, side, prio, handle);
	opts.prog_fd = prog_fd;
	opts.flags = BPF_TC_F_REPLACE;
	rc = bpf_tc_attach(&hook, &opts);
	libbpf_set_print(print);
	return rc;
}

int filter_detach(uint32_t ifindex, enum hook_side side, uint32_t prio, uint32_t handle)
{
	libbpf_print_fn_t print = libbpf_set_print(silent);
	struct bpf_tc_hook hook;
	struct bpf_tc_opts opts;
	int rc;

	filter_of(&hook, &opts, ifindex, side, prio, handle);
	rc = bpf_tc_detach(&hook, &opts);
	libbpf_set_print(print);
	return rc;
}

/* ---- the qdisc ---- */

/*
 * Our qdisc has a size table that contains only this overhead, which has no effect on a qdisc that
 * queues nothing. It identifies the qdisc of a process that was killed before it attached a filter.
 */
#define SIGN_OVERHEAD 0x4964 /* "Id" */

struct qdisc {
	uint32_t ifindex;
	bool older_ingress, signed_by_us;
};

static bool has_sign(const struct nlattr *stab)
{
	const struct tc_sizespec *size;
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, stab)
	{
		if (mnl_attr_get_type(attr) != TCA_STAB_BASE ||
		    mnl_attr_get_payload_len(attr) < sizeof(*size))
			continue;
		size = mnl_attr_get_payload(attr);
		return size->overhead == SIGN_OVERHEAD;
	}
	return false;
}

static int take_qdisc(const struct nlmsghdr *nlh, void *data)
{
	const struct tcmsg *tcm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;
	struct qdisc *q = data;

	if ((uint32_t)tcm->tcm_ifindex != q->ifindex || tcm->tcm_parent != TC_H_INGRESS)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(*tcm))
	{
		if (mnl_attr_get_type(attr) == TCA_KIND &&
		    !strcmp(mnl_attr_get_str(attr), "ingress"))
			q->older_ingress = true;
		else if (mnl_attr_get_type(attr) == TCA_STAB)
			q->signed_by_us = has_sign(attr);
	}
	return MNL_CB_OK;
}

/* Both kinds of qdisc have the same handle and parent; only the name differs. */
static int look_at_qdisc(uint32_t ifindex, struct qdisc *q)
{
	char buf[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct tcmsg *tcm;

	*q = (struct qdisc){.ifindex = ifindex};
	nlh->nlmsg_type = RTM_GETQDISC;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	tcm = mnl_nlmsg_put_extra_header(nlh, sizeof(*tcm));
	tcm->tcm_ifindex = ifindex;
	return netlink_ask(nlh, take_qdisc, q);
}

int hook_qdisc_is_ours(uint32_t ifindex)
{
	struct qdisc q;
	int rc = look_at_qdisc(ifindex, &q);

	/* a kernel without qdiscs */
	if (rc == -EOPNOTSUPP)
		return 0;
	return rc ? rc : q.signed_by_us;
}

static int add_clsact(uint32_t ifindex)
{
	const struct tc_sizespec size = {.overhead = SIGN_OVERHEAD};
	char buf[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nlattr *stab;
	struct tcmsg *tcm;

	nlh->nlmsg_type = RTM_NEWQDISC;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
	tcm = mnl_nlmsg_put_extra_header(nlh, sizeof(*tcm));
	tcm->tcm_ifindex = ifindex;
	tcm->tcm_parent = TC_H_CLSACT;
	tcm->tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
	mnl_attr_put_strz(nlh, TCA_KIND, "clsact");
	stab = mnl_attr_nest_start(nlh, TCA_STAB);
	mnl_attr_put(nlh, TCA_STAB_BASE, sizeof(size), &size);
	mnl_attr_nest_end(nlh, stab);
	return netlink_ask(nlh, NULL, NULL);
}

int hook_qdisc_add(uint32_t ifindex, int *ours)
{
	int rc = add_clsact(ifindex), looked;
	struct qdisc q;

	*ours = !rc;
	if (rc != -EEXIST)
		return rc;
	looked = look_at_qdisc(ifindex, &q);
	if (looked)
		return looked;
	return q.older_ingress ? rc : 0;
}

static int count_filter(const struct hook *h, void *arg)
{
	++*(int *)arg;
	return 0;
}

int hook_qdisc_remove(uint32_t ifindex)
{
	libbpf_print_fn_t print;
	struct bpf_tc_hook hook;
	int n = 0, rc;

	rc = filter_list(ifindex, HOOK_IN, count_filter, &n);
	if (!rc)
		rc = filter_list(ifindex, HOOK_OUT, count_filter, &n);
	if (rc || n)
		return rc; /* others use it by now */
	print = libbpf_set_print(silent);
	hook_of(&hook, ifindex, BPF_TC_INGRESS | BPF_TC_EGRESS);
	rc = bpf_tc_hook_destroy(&hook);
	libbpf_set_print(print);
	return rc;
}
