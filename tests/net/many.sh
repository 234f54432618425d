#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# sendmmsg(2) gives the kernel many packets at once, and libdivert sends them together if it can.
# Each packet arrives once, in order. If one of them fails, the call ends as sendmmsg(2) says. The
# network is lib.sh's. The program makes packets from a on r, inbound on r's interfaces or outbound,
# and b sees them.
# alone: it measures time
. "$(dirname "$0")/lib.sh"
make_router

# tun0 has no link header; packets that come in there are forwarded, too
r ip tuntap add dev tun0 mode tun
r ip addr add 10.9.0.1/24 dev tun0
r ip link set tun0 up
r sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.tun0.rp_filter=0 \
	net.ipv4.conf.r0.rp_filter=0
r ping -q -c 1 10.2.0.1 >/dev/null # now the neighbour is known

many() { nq r divert-run "$PROGS/many" "$@"; }
cases=0
# sends NAME RESULTS ARRIVED MANY-WORDS...: ARRIVED lists packet numbers, as "0-99 101"
sends() {
	local name=$1 results=$2 numbers=$3 want=() part
	shift 3
	wire=wire$((++cases))
	for part in $numbers; do
		mapfile -t -O "${#want[@]}" want < <(seq "${part%-*}" "${part#*-}")
	done
	start "$wire" b tcpdump -n -U -s 128 --immediate-mode -i b0 -w "$TMP/$wire.pcap" udp port 9
	wait_for 10 "tcpdump" grep -q "listening on" "$TMP/$wire.err"
	is "$name: results" "$(many "$@")" "$results"
	wait_for 5 "$name: packets" has_arrived "${#want[@]}"
	stop "$wire"
	is "$name: what arrived, in order" \
		"$(tcpdump -n -x -r "$TMP/$wire.pcap" 2>/dev/null |
			awk '$1 == "0x0010:" {print $9}' | decimal | tr '\n' ' ')" \
		"$(printf '%s ' "${want[@]}")"
}

r ipfw add 100 count udp from any to any 9 in >/dev/null
sends "one" 1 0 r0
sends "three" 3 0-2 "r0*3"
sends "more than a frame holds" 200 0-199 "r0*200"
sends "two interfaces in turn" 8 0-7 r0 r1 r0 r1 r0 r1 r0 r1
sends "without link header" 12 0-11 "r0*3" "tun0*6" "r0*3"
sends "outbound between inbound" 50 0-49 "r0*20" "out*3" "r0*20" "out*7"
sends "wrong checksum" 7 "0-2 4-6" "r0*3" bad "r0*3"
sends "no such interface" "40 EADDRNOTAVAIL 9" "0-39 41-49" "r0*40" :9999 "r0*9"
sends "not a packet" "33 EINVAL 2" "0-32 34-35" "r0*33" short "r0*2"

# a route look-up for each destination, and for each port if routes depend on ports
r ping -q -c 1 10.1.0.1 >/dev/null
left() { # RULE INTERFACE FROM TO: count what leaves
	r ipfw -q add "$1" count udp from any "$3" to "$4" 9 out xmit "$2"
}
sends "outbound, some too long for the link" 60 0-59 "out*10" "out%1900*20" "out%1500*20" "out*10"
left 300 r0 4000 10.1.0.1
mapfile -t words < <(for ((i = 0; i < 20; i++)); do printf '%s\n' out out/10.1.0.1; done)
sends "outbound, to two hosts in turn" 40 "$(seq -s ' ' 0 2 38)" "${words[@]}"
is "outbound, to two hosts in turn: to the other" "$(packets r 300)" 20

r ip rule add ipproto udp sport 4001 lookup 77
r ip route add 10.2.0.1 via 10.1.0.1 dev r0 table 77
left 301 r0 4001 10.2.0.1
mapfile -t words < <(for ((i = 0; i < 20; i++)); do printf '%s\n' out out@4001; done)
sends "outbound, a route for a port" 40 "$(seq -s ' ' 0 2 38)" "${words[@]}"
is "outbound, a route for a port: by the other way" "$(packets r 301)" 20
r ip rule del ipproto udp sport 4001 lookup 77

r ip route add 10.9.9.9 nexthop via 10.1.0.1 dev r0 nexthop via 10.2.0.1 dev r1
r sysctl -qw net.ipv4.fib_multipath_hash_policy=1
left 302 r0 any 10.9.9.9
left 303 r1 any 10.9.9.9
mapfile -t words < <(for ((i = 0; i < 60; i++)); do echo "out/10.9.9.9@$((4000 + i))"; done)
for word in "${words[@]}"; do many "$word" >/dev/null; done
one_by_one="$(packets r 302) $(packets r 303)"
like "two ways, chosen by ports" "$one_by_one" '^[1-9][0-9]* [1-9][0-9]*$'
many "${words[@]}" >/dev/null
is "two ways, chosen by ports: in one call" "$(packets r 302) $(packets r 303)" \
	"$(awk '{print 2 * $1, 2 * $2}' <<<"$one_by_one")"
r ip route del 10.9.9.9

# A clone cannot wait until its neighbour is known, so each packet goes alone.
r ip neigh flush dev r1
sends "outbound, to a neighbour that is not known" 60 0-59 "out*60"
r ip route add 10.2.0.1 dev tun0
r ipfw -q add 200 count udp from any to any 9 out xmit tun0
is "outbound, without link header" "$(many "out*40")" 40
is "outbound, without link header: they leave" "$(r ipfw show 200 | awk '{print $2}')" 40
r ip route del 10.2.0.1 dev tun0

r ip link set tun0 down
sends "an interface that is down" "5 ENETDOWN ENETDOWN 5" "0-4 7-11" "r0*5" "tun0*2" "r0*5"
# The first of the two ends a call; the next call tries it again and is refused.
is "an interface that is down: counted once a try" \
	"$(r divertctl stat | awk '$2 == "interface-down" {print $1}')" 3
is "rule counter" "$(r ipfw show 100 | awk '{print $2}')" 364
