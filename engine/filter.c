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

/* libbpf says on stderr what we say ourselves. */
static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

/* memset: libbpf refuses what it does not know, padding included. */
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

	/* without a handle: only that filters of this priority begin */
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

static int find_ingress(const struct nlmsghdr *nlh, void *data)
{
	const struct tcmsg *tcm = mnl_nlmsg_get_payload(nlh);
	const uint32_t *ifindex = ((void **)data)[0];
	const struct nlattr *attr;
	int *found = ((void **)data)[1];

	if ((uint32_t)tcm->tcm_ifindex != *ifindex || tcm->tcm_parent != TC_H_INGRESS)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(*tcm))
	{
		if (mnl_attr_get_type(attr) == TCA_KIND &&
		    !strcmp(mnl_attr_get_str(attr), "ingress"))
			*found = 1;
	}
	return MNL_CB_OK;
}

/* Both kinds of qdisc have the same handle and parent; only the name tells them apart. */
static int is_older_ingress(uint32_t ifindex)
{
	char buf[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct tcmsg *tcm;
	int found = 0;
	void *data[] = {&ifindex, &found};

	nlh->nlmsg_type = RTM_GETQDISC;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	tcm = mnl_nlmsg_put_extra_header(nlh, sizeof(*tcm));
	tcm->tcm_ifindex = ifindex;
	netlink_ask(nlh, find_ingress, data);
	return found;
}

int hook_qdisc_add(uint32_t ifindex, int *ours)
{
	libbpf_print_fn_t print = libbpf_set_print(silent);
	struct bpf_tc_hook hook;
	int rc;

	hook_of(&hook, ifindex, BPF_TC_INGRESS | BPF_TC_EGRESS);
	rc = bpf_tc_hook_create(&hook);
	libbpf_set_print(print);
	*ours = !rc;
	if (rc == -EEXIST && !is_older_ingress(ifindex))
		rc = 0;
	return rc;
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

	filter_list(ifindex, HOOK_IN, count_filter, &n);
	filter_list(ifindex, HOOK_OUT, count_filter, &n);
	if (n)
		return 0; /* somebody else has come to use it */
	print = libbpf_set_print(silent);
	hook_of(&hook, ifindex, BPF_TC_INGRESS | BPF_TC_EGRESS);
	rc = bpf_tc_hook_destroy(&hook);
	libbpf_set_print(print);
	return rc;
}
