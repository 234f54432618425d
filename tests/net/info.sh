#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# sendmsg(2) and sendmmsg(2) take struct divert_info, which wins over the address, and SO_MARK. A
# malformed one gives EINVAL. progs/lib_info.c checks itself. The network is lib.sh's: a -- r -- b.
. "$(dirname "$0")/lib.sh"
make_router

a ipfw -q add 100 divert 3000 udp from any to any 3009 out via lo
a ipfw -q add 200 count udp from any to 224.0.0.77 out xmit a0
a "$PROGS/lib_info" 3000 3009 a0 10.1.0.1 10.1.0.2 >"$TMP/info"
rc=$?
cat "$TMP/info"
is "lib_info: all of it" $rc 0
is "multicast left on the interface that it was said to" "$(packets a 200)" 1
