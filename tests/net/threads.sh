#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Threads, divert(4): "A thread has a socket of its own that no other one uses": packets that it
# writes wait, and take the bulk path. "When another thread makes a call on such a socket": whatever
# threads do, each packet arrives at b once and whole. If the program writes the packets in their
# order, they arrive in that order. The packets wait before the program begins. The network is
# lib.sh's: a -- r -- b.
# alone: it looks when threads sleep
. "$(dirname "$0")/lib.sh"
make_router
# Some more packets are not read: so the last ones that are written wait to be sent.
N=19999
MORE=100

diverted() { [ "$(stat_of r "$1" diverted)" = "$2" ]; }
in_order() { numbers 4; }
each() { numbers 4 | tr ' ' '\n' | awk -F- '{ n += $2 - $1 + 1; for (i = $1; i <= $2; i++) d += seen[i]++ } END { print n - d }'; }

# passes HOW WHAT EXPECTED [TRAINS]: WHAT of the packets is EXPECTED; TRAINS is a pattern for how
# many take the bulk path: most of them. While somebody else has the CPU, the kernel sends those that
# wait, by the other path.
cases=0
passes() {
	thrice by-train "${4-}" pass "$@"
	[ -z "${4-}" ] || like "$1: in trains" "$(stat_of r "$port" by-train)" "$4"
}
pass() {
	local how=$1 ends=143 # by SIGTERM
	port=$((3000 + ++cases))
	[ "$how" != exits ] || ends=0
	wire=wire$cases
	sniffs b b0
	r ipfw -q flush
	r ipfw -q add 200 divert "$port" udp from any to any 9 in recv r0
	rm -f "$TMP/go"
	start x r divert-run "$PROGS/threads" "$how" "$port" "$N" "$TMP/go"
	wait_for 5 "$how: a program" grep -q ready "$TMP/x.out"
	a python3 "$HERE/numbered.py" send 10.2.0.1 9 "$((N + MORE))" --size 36 >/dev/null
	wait_for 20 "$how: all wait" diverted "$port" "$((N + MORE))"
	touch "$TMP/go"
	wait_for 60 "$how: they arrive" has_arrived "$N"
	stop x
	is "$how: how it ended" $? "$ends"
	stop "$wire"
	is "$how: ${2/_/ }" "$("$2")" "$3"
	is "$how: whole" "$(whole)" "$N"
	is "$how: nothing said" "$(cat "$TMP/x.err")" ""
	[ -z "${4-}" ] || like "$how: in trains" "$(stat_of r "$port" by-train)" "$4"
	is "$how: counted" "$(stat_of r "$port" written-in) $(stat_of r "$port" entered)" "$N $N"
}
ping_ a 10.2.0.1

for how in idle exits; do
	passes $how in_order "0-$((N - 1))" '^1[0-9][0-9][0-9][0-9]$'
done
passes ends in_order "0-$((N - 1))" '^[1-9]'
passes asks in_order "0-$((N - 1))" '^[1-9]'
for how in turns writer forks; do
	passes $how in_order "0-$((N - 1))"
done
passes many each "$N"

# A thread that polls for packets stops reading, and another one begins. That one sleeps if there
# are no packets.
# busy PID: how many of 200 samples find a thread running
busy() {
	local i n=0
	for ((i = 0; i < 200; i++)); do
		grep -q '^State:.*running' "/proc/$1"/task/*/status && n=$((n + 1))
	done
	echo $n
}
asleep() { [ "$(busy "$1")" = 0 ]; }
r ipfw -q flush
r ipfw -q add 200 divert 3100 udp from any to any 9 in recv r0
start x r divert-run "$PROGS/threads" hands 3100 100000 "$TMP/go"
p=$pid
wait_for 5 "hands: a program" grep -q ready "$TMP/x.out"
start flood a "$TOP/build/bench/sender" -r 150000 -b 32 10.2.0.1 9
written() { [ "$(stat_of r 3100 written-in)" -gt 110000 ]; }
wait_for 20 "hands: the other one reads" written
stop flood
wait_for 20 "hands: it sleeps" asleep "$p" && ok "hands: it sleeps"
stop x
is "hands: how it ended" $? 143
