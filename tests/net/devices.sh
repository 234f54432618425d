#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Kinds of interfaces that not every kernel has: a bond, whose ports carry no IP any more; a VRF,
# whose ports do; WireGuard, which has no link header. The network is lib.sh's, and
#
#	a  x0 10.7.0.1 ===(two cables, bonded)=== x0 10.7.0.2  r
#	r  w0 10.8.0.2 ------(in UDP by r1)------ w0 10.8.0.1  b
. "$(dirname "$0")/lib.sh"
make_router

# passes WHAT FROM DESTINATION N: sends three pings through the reflector, which reads N packets
passes() {
	reflect back r 2000
	works "$1: ping" "$2" ping -q -n -i 0.05 -W 2 -c 3 "$3"
	stop back
	is "$1: each read and written once" "$(count back received) $(count back sent)" "$4 $4"
}
# the interfaces that are hooked on the way in
hooked() { q divertctl status | awk '/^interfaces:/ {on = 1; next} /^[^ ]/ {on = 0} on && $2 ~ /^in[,;]/ {print $1}' | sort | paste -sd' '; }
both=(icmp from any to any icmptypes "0,8")
both6=(ipv6-icmp from any to any icmp6types "128,129")

# ---- bonds ----

# bond NAMESPACE PORT...
bond() {
	local ns=$1 p
	shift
	ip -n "$NS-$ns" link add x0 type bond mode active-backup miimon 20 2>/dev/null || return 1
	for p; do
		ip -n "$NS-$ns" link set "$p" down
		ip -n "$NS-$ns" link set "$p" master x0
	done
	ip -n "$NS-$ns" link set x0 up
}
link a x1 -- r x1
link a x2 -- r x2
if bond a x1 x2; then
	bond r x1 x2
	add_addr a x0 10.7.0.1/24
	add_addr a x0 fd07::1/64
	add_addr r x0 10.7.0.2/24
	add_addr r x0 fd07::2/64
	wait_for 10 "bond: it carries" ping_ a 10.7.0.2
	wait_for 10 "bond: it carries IPv6" ping_ a fd07::2
	r ipfw -q add 100 divert 2000 "${both[@]}" in
	r ipfw -q add 150 divert 2000 "${both6[@]}" in
	r ipfw -q add 200 count "${both[@]}" in recv x0
	is "bond: hooked, and its ports" "$(hooked)" "lo r0 r1 x0 x1 x2"
	for p in x1 x2; do
		nq r ipfw -q add 300 count "${both[@]}" via $p 2>"$TMP/said"
		is "bond: a port is told of" "$(cat "$TMP/said")" \
			"ipfw: $p: no packet is ever seen on it, as it is a port of x0: name that in the rule"
	done
	passes "bond, in" a 10.7.0.2 3
	is "bond: on the bond, and on no port" "$(packets r 200) $(packets r 300)" "3 0"
	passes "bond, in, IPv6" a fd07::2 3
	r ipfw -q add 100 divert 2000 "${both[@]}" out xmit x0
	passes "bond, in and out" a 10.7.0.2 6
	# the other port takes over
	first=$(with_sys r cat /sys/class/net/x0/bonding/active_slave)
	r ip link set "$first" down
	a ip link set "$first" down
	moved() { [ "$(with_sys "$1" cat /sys/class/net/x0/bonding/active_slave)" != "$first" ]; }
	wait_for 10 "bond: the other port" moved r
	wait_for 10 "bond: the other port, of a" moved a
	passes "bond, by the other port" a 10.7.0.2 6
	r ipfw -q flush
	ip -n "$NS-a" link del x0
	ip -n "$NS-r" link del x0
else
	echo "skip bond: this kernel has none"
fi

# ---- WireGuard ----

# tunnel NAMESPACE ADDRESS... -- PEER'S-KEY ENDPOINT
tunnel() {
	local ns=$1 x
	shift
	while [ "$1" != -- ]; do add_addr "$ns" w0 "$1" && shift; done
	nq "$ns" wg set w0 listen-port 5555 private-key "$TMP/key.$ns" peer "$2" allowed-ips 0.0.0.0/0,::/0 endpoint "$3"
	ip -n "$NS-$ns" link set w0 up
}
if ! command -v wg >/dev/null; then
	echo "skip WireGuard: no wg"
elif ip -n "$NS-r" link add w0 type wireguard 2>/dev/null; then
	ip -n "$NS-b" link add w0 type wireguard
	for x in r b; do (umask 77 && wg genkey >"$TMP/key.$x"); done
	tunnel r 10.8.0.2/24 fd08::2/64 -- "$(wg pubkey <"$TMP/key.b")" 10.2.0.1:5555
	tunnel b 10.8.0.1/24 fd08::1/64 -- "$(wg pubkey <"$TMP/key.r")" 10.2.0.2:5555
	ip -n "$NS-a" route add 10.8.0.0/24 via 10.1.0.2
	ip -n "$NS-a" -6 route add fd08::/64 via fd01::2
	ip -n "$NS-b" route add 10.1.0.0/24 dev w0
	ip -n "$NS-b" -6 route add fd01::/64 dev w0
	wait_for 10 "WireGuard: it carries" ping_ a 10.8.0.1
	wait_for 10 "WireGuard: it carries IPv6" ping_ a fd08::1
	r divertctl attach >/dev/null
	for v in 4 6; do
		if [ $v = 4 ]; then echo=("${both[@]}") own=10.8.0.2 to=10.8.0.1; else echo=("${both6[@]}") own=fd08::2 to=fd08::1; fi
		r ipfw -q flush
		r ipfw -q add 100 divert 2000 "${echo[@]}" in recv w0
		r ipfw -q add 300 count "${echo[@]}" via r1
		passes "WireGuard, v$v, in, forwarded" a $to 3
		passes "WireGuard, v$v, in, to the host" b $own 3
		r ipfw -q add 200 divert 2000 "${echo[@]}" out xmit w0
		passes "WireGuard, v$v, in and out, forwarded" a $to 6
		passes "WireGuard, v$v, in and out, to the host" b $own 6
		is "WireGuard, v$v: nothing of it in the clear" "$(packets r 300)" 0
	done
	# and the UDP packets that carry the tunnel
	r ipfw -q flush
	r ipfw -q add 100 divert 2000 udp from any 5555 to any 5555 via r1
	reflect back r 2000
	works "WireGuard: ping, its UDP diverted" a ping -q -n -i 0.05 -W 2 -c 3 10.8.0.1
	stop back
	all_back "WireGuard's UDP" back
	r ipfw -q flush
	ip -n "$NS-r" link del w0
	ip -n "$NS-b" link del w0
else
	echo "skip WireGuard: this kernel has none"
fi

# ---- VRF: inbound only, as packets written back outbound in a VRF get lost ----

if ip -n "$NS-r" link add blue type vrf table 10 2>/dev/null; then
	ip -n "$NS-r" link set blue up
	ip -n "$NS-r" link set r0 master blue
	ip -n "$NS-r" link set r1 master blue
	# a port loses its IPv6 address when it joins the VRF
	ip -n "$NS-r" addr replace fd01::2/64 dev r0 nodad
	ip -n "$NS-r" addr replace fd02::2/64 dev r1 nodad
	wait_for 10 "VRF: it carries" ping_ a 10.2.0.1
	wait_for 10 "VRF: it carries IPv6" ping_ a fd02::1
	for v in 4 6; do
		if [ $v = 4 ]; then echo=("${both[@]}") to=10.2.0.1; else echo=("${both6[@]}") to=fd02::1; fi
		r ipfw -q flush
		r ipfw -q add 100 divert 2000 "${echo[@]}" in recv r0
		r ipfw -q add 200 count "${echo[@]}" out xmit r1
		r ipfw -q add 300 count "${echo[@]}" in recv r1
		is "VRF: its ports are hooked" "$(hooked | grep -oE '\<r[01]\>' | paste -sd' ')" "r0 r1"
		passes "VRF, v$v, in, forwarded" a $to 3
		is "VRF, v$v: seen on each port" "$(packets r 200) $(packets r 300)" "3 3"
	done
else
	echo "skip VRF: this kernel has none"
fi
