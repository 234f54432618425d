/* SPDX-License-Identifier: BSD-2-Clause */
/* One rtnetlink request. It needs no privilege of its own. */
#ifndef DIVERT_ENGINE_NETLINK_H
#define DIVERT_ENGINE_NETLINK_H

#include <libmnl/libmnl.h>

/* cb is called for each message of the reply, and may end it with MNL_CB_STOP. 0 or -errno. */
int netlink_ask(const struct nlmsghdr *question, mnl_cb_t cb, void *data);

#endif
