#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Readiness that is true, divert(4), "Fragments": when select, poll or epoll says that a divert socket is readable, a
# receive does not sleep, whatever fragments came. progs/waits.c trusts that, with a socket for each family: while one
# lone fragment waits for the rest of its packet the other one goes on, and the process sleeps.
# The network is lib.sh's: a -- r -- b.
. "$(dirname "$0")/lib.sh"
make_router
mac=$(ip -n "$NS-r" -br link show r0 | awk '{print $3}')
id=100

r ipfw -q add 100 divert 2004 udp from any to 10.2.0.1 in
r ipfw -q add 100 divert 2004 icmp from any to 10.2.0.1 in
r ipfw -q add 100 divert 2006 ip6 from any to fd02::1 in

# fragments ORDER...: of a packet each, in this order; there are three, 0 to 2
fragments() {
	local order
	for order; do
		nq a python3 "$HERE/trial.py" send a0 "$mac" 10.1.0.1 10.2.0.1 5000 $((++id)) "$order"
	done
}
# flow N MS: N lone first fragments, one each MS
flow() {
	nq a python3 "$HERE/trial.py" flow a0 "$mac" 10.1.0.1 10.2.0.1 5000 $id "$1" "$2"
	id=$((id + $1))
}
kept() { [ "$(stat_of r 2004 diverted)" -ge "$1" ]; }
ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
asleep() { [ "$(cat /proc/"$1"/task/*/stat | awk '{ print $3 }' | sort -u)" = S ]; }
lines() { sed 1d "$TMP/$1.out" | sort | uniq -c | awk '{ print $1 "x" $2 }' | xargs; }

# begins NAME COMMAND...: under divert-run; its process id in $p
begins() {
	start "$1" r env --default-signal=INT divert-run "${@:2}" # bash has it ignored
	wait_for 10 "$1: ready" grep -q ready "$TMP/$1.out"
	p=$(sed -n 's/^ready //p' "$TMP/$1.out")
	r divertctl stat -z 2004 >/dev/null 2>&1
}

# goes_on WHAT NAME: the program waits for both sockets
goes_on() {
	local was sum
	works "$1: both families" ping_ a 10.2.0.1
	works "$1: both families, IPv6" ping_ a fd02::1
	# whatever is not a whole packet: lone, twice, out of order, behind the first
	sum=$(stat_of r 2004 diverted)
	fragments 0
	wait_for 5 "$1: the fragment is there" kept $((sum + 1))
	works "$1: IPv6 goes on at once" ping_ a fd02::1 3
	fragments 1 2 00 02 20 01
	works "$1: so it does after other fragments" ping_ a fd02::1 3
	wait_for 5 "$1: it sleeps" asleep "$p" && ok "$1: it sleeps"
	was=$(ticks "$p")
	flow 100 10
	was=$(($(ticks "$p") - was))
	works "$1: little is done while fragments come: $was ticks" [ $was -lt 15 ]
	fragments 021
	works "$1: IPv4 goes on" ping_ a 10.2.0.1
	wait_for 5 "$1: each packet, once" is_served "$2" && ok "$1: each packet, once"
	works "$1: it sleeps still" asleep "$p"
	kill -INT "$p"
	wait "$pid"
	is "$1: SIGINT ends it" $? 130
	is "$1: nothing said" "$(cat "$TMP/$2.err")" ""
}
is_served() { [ "$(lines "$1")" = "3x4 7x6" ]; }

for how in select pselect poll ppoll epoll pwait pwait2 edge oneshot child mixed; do
	begins "$how" "$PROGS/waits" $how 2004 2006
	goes_on "$how" "$how"
done
