#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# How a reader waits (divert(4), SO_BUSY_POLL). While few packets come, it sleeps in the kernel
# until it is woken. While many come, it sleeps for a short fixed time (a timed sleep), unless the
# program asked for a longer busy poll than the default. Both sleeps are ppoll(2), the timed one
# without a descriptor, so the test can see it from outside. The network is lib.sh's: a -- r -- b.
# alone: it measures time
. "$(dirname "$0")/lib.sh"
make_router

asleep() { grep -q '^State:.*sleeping' "/proc/$1/status"; }

# how many of 500 samples find it in a timed sleep
naps() {
	local i n=0 fds nfds timeout
	for ((i = 0; i < 500; i++)); do
		# the file has: number, fds, nfds, timeout; or the word "running"
		read -r _ fds nfds timeout _ <"/proc/$1/syscall"
		[ "$fds $nfds" = "0x0 0x0" ] && [ "$timeout" != 0x0 ] && n=$((n + 1))
	done
	echo $n
}
has_napped() { [ "$(naps "$1")" != 0 ]; }

r ipfw -q add 200 divert 2000 udp from any to any 9 in recv r0
flood() { # UDP packets from a until it is ended, so many that timed sleeps pay off
	start flood a "$TOP/build/bench/sender" -r 150000 -b 32 10.2.0.1 9
}

for how in "" -m -s; do
	# shellcheck disable=SC2086 # none or one
	reflect x r $how 2000
	p=$(cat "$TMP/x.ready")
	wait_for 5 "reflect${how:+ $how}: it sleeps" asleep "$p"
	is "reflect${how:+ $how}: while nothing comes it does not nap" "$(naps "$p")" 0
	flood
	wait_for 20 "reflect${how:+ $how}: while many packets come it naps" has_napped "$p"
	ok "reflect${how:+ $how}: while many packets come it naps"
	stop flood
	wait_for 5 "reflect${how:+ $how}: it sleeps" asleep "$p"
	is "reflect${how:+ $how}: nothing comes any more" "$(naps "$p")" 0
	stop x
	all_back "reflect${how:+ $how}" x
done

r ipfw -q flush
r ipfw -q add 200 divert 2001 udp from any to any 9 in recv r0
reflect x r -B 51 2001
p=$(cat "$TMP/x.ready")
flood
has_seen() { # N: whether N packets came; samples the reader meanwhile
	seen=$((seen + $(naps "$p")))
	[ "$(stat_of r 2001 diverted)" -gt "$1" ]
}
seen=0
wait_for 40 "SO_BUSY_POLL above the default: packets come" has_seen 1000000
is "SO_BUSY_POLL above the default: no naps" "$seen" 0
stop flood
stop x
all_back "SO_BUSY_POLL above the default" x
