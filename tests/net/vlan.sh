#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Packets on a VLAN are diverted on the VLAN's interface, with its name, and not on the interface
# that carries it. Each is read once, and works when it is written back. The same holds if the tag
# stands in the packet's data (reorder_hdr off), and on a VLAN of the id 0, whose tags elsewhere
# only name a priority.
#
#	a  a0.7 10.7.0.1 --- r0.7 10.7.0.2  r  r1 --- b		over a0 --- r0 of lib.sh's router
. "$(dirname "$0")/lib.sh"
make_router

if ! ip -n "$NS-r" link add link r0 name r0.7 type vlan id 7 2>/dev/null; then
	skip_all "this kernel has no VLAN"
fi
ip -n "$NS-a" link add link a0 name a0.7 type vlan id 7
add_addr a a0.7 10.7.0.1/24
add_addr a a0.7 fd07::1/64
add_addr r r0.7 10.7.0.2/24
add_addr r r0.7 fd07::2/64
ip -n "$NS-a" link set a0.7 up
ip -n "$NS-r" link set r0.7 up
wait_for 5 "no tentative address" all_ready
ip -n "$NS-a" route add 10.2.0.0/24 via 10.7.0.2
ip -n "$NS-a" -6 route add fd02::/64 via fd07::2
r divertctl attach r0.7 >/dev/null

# passes WHAT SOURCE DESTINATION RECEIVED: sends three pings through the reflector, in, out, or both
passes() {
	reflect back r 2000
	works "$1: ping" a ping -q -n -i 0.05 -W 1 -c 3 -I "$2" "$3"
	stop back
	is "$1: each read and written once" "$(count back received) $(count back sent)" "$4 $4"
}

# family V HOW: runs the cases on r0.7
family() {
	local v=$1 how="v$1, reorder_hdr $2" from own beyond
	local -a echo
	if [ "$v" = 4 ]; then
		from=10.7.0.1 own=10.7.0.2 beyond=10.2.0.1 echo=(icmp from any to any icmptypes "0,8")
	else
		from=fd07::1 own=fd07::2 beyond=fd02::1 echo=(ipv6-icmp from any to any icmp6types "128,129")
	fi
	r ipfw -q flush
	r ipfw -q add 100 divert 2000 "${echo[@]}" in recv r0.7
	r ipfw -q add 200 count "${echo[@]}" via r0
	passes "$how in, to the host" $from $own 3
	passes "$how in, forwarded" $from $beyond 3
	r ipfw -q add 100 divert 2000 "${echo[@]}" out xmit r0.7
	passes "$how in and out, to the host" $from $own 6
	passes "$how in and out, forwarded" $from $beyond 6
	is "$how: nothing of it on what carries it" "$(packets r 200)" 0
	r ipfw -q flush
	r ipfw -q add 100 deny "${echo[@]}" out
	fails "$how: denied on the way out" a ping -q -n -i 0.05 -W 0.5 -c 2 -I $from $own
	is "$how: and counted" "$(packets r 100)" 2
	r ipfw -q flush
}
for reorder in on off; do
	r ip link set r0.7 type vlan reorder_hdr $reorder
	family 4 $reorder
	family 6 $reorder
done

# ---- the id 0 ----

closed() { nq a python3 "$HERE/closed.py" send a0 "$(with_sys r cat /sys/class/net/r0/address)" 10.1.0.1 10.2.0.1 "$@" >/dev/null; }
r ipfw -q add 100 count udp from any to any 9 in recv r0
r ipfw -q add 200 count udp from any to any 9 in recv r0.0
works "id 0, without its VLAN: sent" closed 8021q 8021q-twice
is "id 0, without its VLAN: on what carries it" "$(packets r 100) $(packets r 200)" "2 0"
ip -n "$NS-r" link add link r0 name r0.0 type vlan id 0
ip -n "$NS-r" link set r0.0 up
r divertctl attach >/dev/null
works "id 0: sent" closed 8021q
is "id 0: on its VLAN only" "$(packets r 100) $(packets r 200)" "2 1"
