#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A packet is out if the IP stack routed it, and to this interface. Some packets meet no rule on
# their way out, and go where they go without rules: those that tc redirects to an ifb device or
# mirrors to a sensor's port, and those that a packet socket sends. All that the stack sends meets
# rules: its own packets, forwarded ones, those sent by a bridge, and to many hosts. The network is
# lib.sh's, and
#
#	r  r2 10.3.0.2 --- s0  s (the sensor)
. "$(dirname "$0")/lib.sh"
make_router
make_ns s
link r r2 10.3.0.2/24 fd03::2/64 -- s s0
wait_for 5 "no tentative address" all_ready
echo4=(icmp from any to any icmptypes "0,8")
echo6=(ipv6-icmp from any to any icmp6types "128,129")
# watches: starts a capture at the sensor; watched N: whether it has N packets
watches() {
	start watch s tcpdump -n -U -i s0 -Q in -w "$TMP/watch.pcap" "icmp or (icmp6 and ip6[40] >= 128 and ip6[40] <= 129)"
	wait_for 10 "tcpdump" grep -q "listening on" "$TMP/watch.err"
}
watched() { [ "$(tcpdump -n -r "$TMP/watch.pcap" 2>/dev/null | wc -l)" -ge "$1" ]; }

# ---- mirrored packets, from the way in and from the way out ----

mirror() { n r tc filter add dev r0 "$1" prio 50 protocol all u32 match u32 0 0 action mirred egress mirror dev r2 continue; }
works "mirror" r tc qdisc add dev r0 clsact
if mirror ingress 2>"$TMP/said"; then
	mirror egress
	for v in 4 6; do
		to=10.2.0.1 echo=("${echo4[@]}")
		[ $v = 4 ] || { to=fd02::1 echo=("${echo6[@]}"); }
		for how in count deny divert; do
			watches
			r ipfw -q flush
			[ $how = divert ] && how="divert 2000" && reflect back r 2000
			# shellcheck disable=SC2086 # words
			r ipfw -q add 100 $how "${echo[@]}" out xmit r2
			r ipfw -q add 200 count "${echo[@]}" out
			works "v$v, mirrored, $how: ping" ping_ a $to 3
			wait_for 10 "v$v, mirrored, $how: with the sensor" watched 6
			is "v$v, mirrored, $how: no rule saw the copies" "$(packets r 100) $(packets r 200)" "0 6"
			stop watch 2>/dev/null
			is "v$v, mirrored, $how: the sensor has them" "$(tcpdump -n -r "$TMP/watch.pcap" 2>/dev/null | wc -l)" 6
			[ "$how" = "${how#divert}" ] || stop back
		done
		# the packets themselves are diverted, and no copy of them leaves twice
		r ipfw -q flush
		r ipfw -q add 100 divert 2000 "${echo[@]}" out
		reflect back r 2000
		works "v$v, mirrored and diverted: ping" ping_ a $to 3
		stop back
		is "v$v, mirrored and diverted: each once" "$(count back received) $(count back sent)" "6 6"
	done
else
	echo "skip mirror: $(cat "$TMP/said")"
fi
r tc filter del dev r0 ingress prio 50 2>/dev/null
r tc filter del dev r0 egress prio 50 2>/dev/null

# ---- packets shaped on their way in ----

if ip -n "$NS-r" link add ifb0 type ifb 2>/dev/null; then
	ip -n "$NS-r" link set ifb0 up
	r nft "table inet t { chain i { type filter hook input priority 0; iifname lo accept;
		icmp type echo-request drop; icmpv6 type echo-request drop; }; }"
	works "ifb: redirect" r tc filter add dev r0 ingress prio 50 protocol all u32 match u32 0 0 \
		action mirred egress redirect dev ifb0
	r divertctl attach >/dev/null 2>&1
	for v in 4 6; do
		own=10.1.0.2 to=10.2.0.1 echo=("${echo4[@]}")
		[ $v = 4 ] || { own=fd01::2 to=fd02::1 echo=("${echo6[@]}"); }
		r ipfw -q flush
		r ipfw -q add 100 divert 2000 "${echo[@]}" out
		reflect back r 2000
		fails "v$v, shaped: the firewall's input chain holds" n a ping -q -n -c 2 -i 0.05 -W 0.3 $own
		ttl=$(nq a ping -n -c 1 -W 1 $to | sed -n 's/.*ttl=\([0-9]*\).*/\1/p')
		stop back
		is "v$v, shaped: TTL of what is forwarded" "$ttl" 63
		is "v$v, shaped: diverted on the way out, once each way" "$(count back received)" 2
		r ipfw -q flush
		r ipfw -q add 100 count "${echo[@]}" out xmit ifb0
		works "v$v, shaped: ping" ping_ a $to
		is "v$v, shaped: nothing is out on ifb0" "$(packets r 100)" 0
	done
	r tc filter del dev r0 ingress prio 50
	r nft delete table inet t
else
	echo "skip ifb: this kernel has none"
fi

# ---- packets of a packet socket ----

for v in 4 6; do
	from=10.2.0.2 to=10.2.0.1
	[ $v = 4 ] || { from=fd02::2 to=fd02::1; }
	r ipfw -q flush
	r ipfw -q add 100 deny udp from any to any 5000 out
	start hear b python3 "$HERE/trial.py" receive $v 5000
	wait_for 10 "the receiver" grep -q ready "$TMP/hear.out"
	works "v$v, packet socket: sent" r python3 "$HERE/trial.py" send r1 "$(with_sys b cat /sys/class/net/b0/address)" \
		$from $to 5000 1 012
	wait_for 10 "v$v, packet socket: it arrives" grep -qx 5000 "$TMP/hear.out"
	is "v$v, packet socket: no rule saw it" "$(packets r 100)" 0
done

# ---- packets that the stack sends by itself ----

r ipfw -q flush
r ip neigh flush dev r1
r ipfw -q add 100 count ipv6-icmp from any to any icmp6types 135,136 out xmit r1
works "neighbour discovery: ping" ping_ r fd02::1
works "neighbour discovery: out" test "$(packets r 100)" -ge 1
r ipfw -q add 200 count igmp from any to any out xmit r1
r ipfw -q add 300 count ipv6-icmp from any to any icmp6types 143 out xmit r1
start member r python3 -c '
import socket, struct, time
four = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
four.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.1.1.1") + socket.inet_aton("10.2.0.2"))
six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, "ff05::1234")
	+ struct.pack("I", socket.if_nametoindex("r1")))
time.sleep(60)'
has_met() { [ "$(packets r "$1")" -ge 1 ]; }
wait_for 10 "IGMP: out" has_met 200 && ok "IGMP: out"
wait_for 10 "MLD: out" has_met 300 && ok "MLD: out"
r ipfw -q add 400 count tcp from any to any out tcpflags rst
fails "nobody listens" a python3 -c 'import socket; socket.create_connection(("10.1.0.2", 4711), 5)'
is "TCP's reset: out" "$(packets r 400)" 1
r ipfw -q add 500 count icmp from any to any out icmptypes 3
fails "nobody listens" a python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("10.1.0.2", 4711)); s.settimeout(5); s.send(b"x"); s.recv(1)'
is "an ICMP error: out" "$(packets r 500)" 1
r ipfw -q add 600 count udp from any to 239.1.1.1 9 out xmit r1
r ipfw -q add 700 count udp from any to 239.1.1.1 9 in recv r1
works "to many" r python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.2.0.2"))
s.sendto(b"x", ("239.1.1.1", 9))'
is "to many: out, and back to this host" "$(packets r 600) $(packets r 700)" "1 1"
stop member 2>/dev/null

# ---- stacked interfaces: a packet is out on the one that it is routed to ----

# above WHAT INTERFACE: sends pings, which are out on it
above() {
	r ipfw -q flush
	r ipfw -q add 100 count icmp from any to 10.4.0.1 out xmit "$2"
	r ipfw -q add 200 count icmp from any to 10.4.0.1 out
	works "$1: ping" ping_ r 10.4.0.1 3
	is "$1: out on it" "$(packets r 100)" 3
}
ip -n "$NS-s" addr add 10.4.0.1/24 dev s0
# written N: whether N packets were written back through port 2000 to a routed destination
written() { [ "$(stat_of r 2000 written-out)" -ge "$1" ]; }
if ip -n "$NS-r" link add br0 type bridge 2>/dev/null; then
	ip -n "$NS-r" addr flush dev r2
	r ip link set r2 master br0
	add_addr r br0 10.4.0.2/24
	ip -n "$NS-r" link set br0 up
	r divertctl attach >/dev/null 2>&1
	wait_for 40 "bridge: it carries" ping_ r 10.4.0.1
	above bridge br0
	is "bridge: and once" "$(packets r 200)" 3
	# diverted on the bridge, and not again on its port
	r ipfw -q flush
	r ipfw -q add 100 divert 2000 icmp from any to 10.4.0.1 out
	reflect back r 2000
	works "bridge, diverted: ping" ping_ r 10.4.0.1 3
	stop back
	is "bridge, diverted: each once" "$(count back received) $(count back sent)" "3 3"
	# packets that the bridge forwards
	make_ns t
	link r r3 -- t t0
	ip -n "$NS-r" link set r3 master br0
	add_addr t t0 10.4.0.3/24
	r divertctl attach >/dev/null 2>&1
	r ipfw -q flush
	r ipfw -q add 100 deny icmp from any to any
	wait_for 40 "a bridge's port: it carries" ping_ s 10.4.0.3
	works "a bridge's port: forwarded" ping_ s 10.4.0.3 3
	is "a bridge's port: and no rule saw it" "$(packets r 100)" 0
	# packets that are routed to the port itself
	r ip route add 10.4.0.1 dev r2 src 10.4.0.2
	r ip neigh replace 10.4.0.1 dev r2 lladdr "$(with_sys s cat /sys/class/net/s0/address)"
	r ipfw -q flush
	r ipfw -q add 100 deny udp from any to 10.4.0.1 9 out
	r ipfw -q add 200 divert 2000 udp from any to 10.4.0.1 10 out
	start got s python3 "$HERE/numbered.py" recv 10 "$TMP/got.ready"
	wait_for 10 "recv" test -s "$TMP/got.ready"
	reflect back r 2000
	nq r python3 "$HERE/numbered.py" send 10.4.0.1 9 3 >/dev/null
	is "a bridge's port, routed to it: denied" "$(packets r 100)" 3
	nq r python3 "$HERE/numbered.py" send 10.4.0.1 10 3 >/dev/null
	wait_for 10 "a bridge's port: written back" written 3
	stop back
	stop got
	is "a bridge's port, routed to it: diverted, each once" "$(count back received) $(count back sent)" "3 3"
	is "a bridge's port, routed to it: and sent" "$(sed -n 's/^received \([0-9]* distinct [0-9]*\) .*/\1/p' "$TMP/got.out")" "3 distinct 3"
	ip -n "$NS-r" link del br0
	ip -n "$NS-r" route flush 10.4.0.1 2>/dev/null
else
	echo "skip bridge: this kernel has none"
fi
if ip -n "$NS-r" link add m0 link r2 type macvlan mode bridge 2>/dev/null; then
	add_addr r m0 10.4.0.2/24
	ip -n "$NS-r" link set m0 up
	r divertctl attach >/dev/null 2>&1
	wait_for 10 "macvlan: it carries" ping_ r 10.4.0.1
	above macvlan m0
	is "macvlan: and on what carries it" "$(packets r 200)" 6
	ip -n "$NS-r" link del m0
else
	echo "skip macvlan: this kernel has none"
fi
