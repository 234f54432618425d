// SPDX-License-Identifier: BSD-2-Clause
/* Names of interfaces. A look-up takes system calls, so what they said is kept for a second. */
#include <string.h>
#include <time.h>

#include "interceptor.h"

#define KEPT 64

const char *iface_name(uint32_t ifindex)
{
	static struct {
		uint32_t ifindex;
		time_t until;
		char name[IF_NAMESIZE];
	} kept[KEPT], *k;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	k = &kept[ifindex % KEPT];
	if (k->ifindex == ifindex && k->until >= now.tv_sec)
		return k->name;
	if (!if_indextoname(ifindex, k->name))
		snprintf(k->name, sizeof(k->name), ":%u", ifindex);
	k->ifindex = ifindex;
	k->until = now.tv_sec + 1;
	return k->name;
}
