#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A path that loses, doubles, delays and reorders packets (tc-netem(8)), before r and behind it.
# Each packet that reaches r is diverted once. Each packet that is written back goes on as the path
# lets it.
. "$(dirname "$0")/lib.sh"
make_router
N=400

a tc qdisc add dev a0 root netem limit 10000 2>/dev/null || skip_all "this kernel has no netem"
ping_ a 10.2.0.1
ping_ a fd02::1

# sent NS IF: how many packets the qdisc has sent there
sent() { nq "$1" tc -s qdisc show dev "$2" | awk '/Sent/ {print $4; exit}'; }
# path WHAT ADDRESS NETEM...: sends N packets from a, with netem on a0
path() {
	local what=$1 to=$2 port=$((2000 + ++cases)) got
	shift 2
	a tc qdisc change dev a0 root netem limit 10000 "$@"
	r ipfw -q flush
	r ipfw -q add 100 count udp from any to any 9 in recv r0
	r ipfw -q add 200 divert $port udp from any to any 9 in recv r0
	r ipfw -q add 300 count udp from any to any 9 out xmit r1
	b ipfw -q flush
	b ipfw -q add 100 count udp from any to any 9 in recv b0
	reflect back r $port
	a python3 "$HERE/numbered.py" send "$to" 9 $N --pps 4000 >/dev/null
	empty() { [[ $(nq a tc -s qdisc show dev a0) == *"backlog 0b 0p"* ]]; }
	wait_for 10 "$what: all have left" empty
	all() { got=$(packets r 100) && [ "$got" -gt 0 ] && [ "$(packets b 100)" = "$got" ] && [ "$got" = "$(packets r 100)" ]; }
	wait_for 10 "$what: what came has gone on" all
	stop back
	is "$what: each diverted, read, written and sent on once" \
		"$(stat_of r $port diverted) $(count back received) $(count back sent) $(packets r 300)" "$got $got $got $got"
}
cases=0
for to in 10.2.0.1 fd02::1; do
	path "$to, delay" $to delay 20ms
	is "$to, delay: all" "$(packets b 100)" $N
	path "$to, doubled" $to duplicate 100%
	is "$to, doubled: all, twice" "$(packets b 100)" $((2 * N))
	path "$to, reordered" $to delay 5ms reorder 50% gap 3
	is "$to, reordered: all" "$(packets b 100)" $N
	path "$to, lost" $to loss 30%
	like "$to, lost: some" "$(packets b 100)" '^[1-3][0-9][0-9]$'
done
a tc qdisc del dev a0 root

# behind r: a packet written back outbound waits in the queue of the interface as any packet does
for to in 10.2.0.1 fd02::1; do
	r tc qdisc replace dev r1 root netem limit 10000 delay 50ms duplicate 100%
	r ipfw -q flush
	r ipfw -q add 100 divert 2100 udp from any to any 9 out xmit r1
	b ipfw -q flush
	b ipfw -q add 100 count udp from any to any 9 in recv b0
	reflect back r 2100
	a python3 "$HERE/numbered.py" send $to 9 $N --pps 4000 >/dev/null
	twice() { [ "$(packets b 100)" = $((2 * N)) ]; }
	wait_for 10 "$to, out: twice" twice
	stop back
	is "$to, out: each read and written once, and doubled behind" \
		"$(count back received) $(count back sent) $(packets b 100)" "$N $N $((2 * N))"
done
