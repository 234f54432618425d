// SPDX-License-Identifier: BSD-2-Clause
#include "hook.h"

#include <errno.h>
#include <string.h>

#include <bpf/libbpf.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include "netlink.h"

/*
 * First of the filters on ingress, so that rules see what was on the wire;
 * last on egress, for the same reason.
 */
#define PRIORITY_IN  1
#define PRIORITY_OUT 65535
#define HANDLE	     1

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

/* Our filter on one side of the interface. */
static void filter_of(struct bpf_tc_hook *hook, struct bpf_tc_opts *opts, uint32_t ifindex,
		      enum hook_side side)
{
	hook_of(hook, ifindex, side == HOOK_IN ? BPF_TC_INGRESS : BPF_TC_EGRESS);
	memset(opts, 0, sizeof(*opts));
	opts->sz = sizeof(*opts);
	opts->handle = HANDLE;
	opts->priority = side == HOOK_IN ? PRIORITY_IN : PRIORITY_OUT;
}

int hook_query(uint32_t ifindex, enum hook_side side, uint32_t *prog_id)
{
	libbpf_print_fn_t print = libbpf_set_print(silent);
	struct bpf_tc_hook hook;
	struct bpf_tc_opts opts;
	int rc;

	filter_of(&hook, &opts, ifindex, side);
	rc = bpf_tc_query(&hook, &opts);
	libbpf_set_print(print);
	*prog_id = 0;
	if (!rc)
		*prog_id = opts.prog_id;
	/* EINVAL: no clsact there, so no filter */
	return rc == -ENOENT || rc == -EINVAL ? 0 : rc;
}

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

static int count_filter(const struct nlmsghdr *nlh, void *data)
{
	if (nlh->nlmsg_type == RTM_NEWTFILTER)
		++*(int *)data;
	return MNL_CB_OK;
}

/* Filters on one side, whoever's. */
static int filters(uint32_t ifindex, uint32_t parent)
{
	char buf[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct tcmsg *tcm;
	int n = 0;

	nlh->nlmsg_type = RTM_GETTFILTER;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	tcm = mnl_nlmsg_put_extra_header(nlh, sizeof(*tcm));
	tcm->tcm_ifindex = ifindex;
	tcm->tcm_parent = TC_H_MAKE(TC_H_CLSACT, parent);
	netlink_ask(nlh, count_filter, &n);
	return n;
}

int hook_qdisc_remove(uint32_t ifindex)
{
	libbpf_print_fn_t print;
	struct bpf_tc_hook hook;
	int rc;

	if (filters(ifindex, TC_H_MIN_INGRESS) || filters(ifindex, TC_H_MIN_EGRESS))
		return 0; /* somebody else has come to use it */
	print = libbpf_set_print(silent);
	hook_of(&hook, ifindex, BPF_TC_INGRESS | BPF_TC_EGRESS);
	rc = bpf_tc_hook_destroy(&hook);
	libbpf_set_print(print);
	return rc;
}

int hook_attach(uint32_t ifindex, enum hook_side side, int prog_fd)
{
	libbpf_print_fn_t print = libbpf_set_print(silent);
	struct bpf_tc_hook hook;
	struct bpf_tc_opts opts;
	int rc;

	filter_of(&hook, &opts, ifindex, side);
	opts.prog_fd = prog_fd;
	opts.flags = BPF_TC_F_REPLACE;
	rc = bpf_tc_attach(&hook, &opts);
	libbpf_set_print(print);
	return rc;
}

int hook_detach(uint32_t ifindex, enum hook_side side)
{
	libbpf_print_fn_t print = libbpf_set_print(silent);
	struct bpf_tc_hook hook;
	struct bpf_tc_opts opts;
	int rc;

	filter_of(&hook, &opts, ifindex, side);
	rc = bpf_tc_detach(&hook, &opts);
	libbpf_set_print(print);
	return rc;
}
