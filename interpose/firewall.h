/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef INTERPOSE_FIREWALL_H
#define INTERPOSE_FIREWALL_H

#include <stdbool.h>
#include <sys/socket.h>

/* Is this setsockopt(2) one of Linux 2.2's on firewall rules, and can libdivert do it? */
bool is_firewall_option(int level, int name, socklen_t len);

/* Do it. -1 and errno as of Linux 2.2. */
int set_firewall_option(int fd, int name, const void *value, socklen_t len);

#endif
