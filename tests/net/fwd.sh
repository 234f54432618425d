#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# fwd: packets that leave by another next hop than their route's. r has two uplinks, b and c. Both
# have the addresses 10.9.9.9 and fd09::9; the routes lead to b. What came to b, and what to c, is
# captured on their wires. t is behind a link without link headers. The network is lib.sh's, and
#
#	                       r1 10.2.0.2 --- 10.2.0.1 b0   b 10.9.9.9
#	                          fd02::2      fd02::1         fd09::9
#	a 10.1.0.1 --- 10.1.0.2 r0
#	  fd01::1      fd01::2 r2 10.4.0.2 --- 10.4.0.1 c0   c 10.9.9.9
#	                          fd04::2      fd04::1         fd09::9
#	                     tun0 10.5.0.2 --- 10.5.0.1 t0   t 10.9.9.9
# long: each packet is waited for on the wires
. "$(dirname "$0")/lib.sh"
for x in tcpdump ethtool socat nft; do
	command -v $x >/dev/null || skip_all "no $x"
done
make_router
make_ns c
link r r2 10.4.0.2/24 fd04::2/64 -- c c0 10.4.0.1/24 fd04::1/64
for x in b c; do
	n $x ip addr add 10.9.9.9/32 dev lo
	n $x ip -6 addr add fd09::9/128 dev lo nodad
done
n c ip route add default via 10.4.0.2
n c ip -6 route add default via fd04::2
r ip route add 10.9.9.0/24 via 10.2.0.1
r ip -6 route add fd09::/64 via fd02::1
for x in a b c r; do
	n $x bash -c 'for i in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$i; done'
done
ready() { [ -z "$(ip -n "$NS-r" -6 addr show tentative)$(ip -n "$NS-c" -6 addr show tentative)" ]; }
wait_for 5 "no tentative address" ready

# rules LINE...: replaces the rules
rules() {
	local script=
	[ $# = 0 ] || script=$(printf 'add %s\n' "$@")
	echo "# $script" >&2
	q ipfw -q - <<<"flush
$script"
}

# captures NS INTERFACE: all IP packets that come in there, but those that keep the link going
captures() {
	start "wire_$1" "$1" tcpdump -n -U -s 1200 -B 8192 -i "$2" -Q in -w "$TMP/$1.pcap" \
		"ip or (ip6 and not (icmp6 and ip6[40] >= 133 and ip6[40] <= 137)) and not ip6 multicast"
	wait_for 10 "tcpdump" grep -q "listening on" "$TMP/wire_$1.err"
}
# wire NS [OPTIONS]: what it captured. on_wires: how many since seen was called last
wire() { tcpdump -n -r "$TMP/$1.pcap" "${@:2}" 2>/dev/null; }
was_b=0 was_c=0
on_wires() { echo "$(($(wire b | wc -l) - was_b)) $(($(wire c | wc -l) - was_c))"; }
# seen WHAT B C: so many packets came to b and to c
seen() {
	soon "$1" "$2 $3" on_wires
	was_b=$(wire b | wc -l) was_c=$(wire c | wc -l)
}
# settled: all that was sent so far is in the capture of c, behind which rules lead: seen begins anew
settled() {
	marks=$((marks + 1))
	n r ping -q -n -c 1 -W 1 -s $((300 + marks)) "$1" >/dev/null
	wait_for 5 "the capture" eval "wire c | grep -q 'length $((308 + marks))\$'"
	was_b=$(wire b | wc -l) was_c=$(wire c | wc -l)
}
marks=0
captures b b0
captures c c0

# stat CAUSE: the engine's counter, which is no port's
stat() { q divertctl stat -a | awk -v c="$1" '$2 == c {n += $1} END {print n + 0}'; }
mac_of() { ip -n "$NS-$1" -br link show "$2" | awk '{print $3}'; }

# ---- forwarded packets, and r's own ----

rules
works "v4: by its route" ping_ a 10.9.9.9 2
works "v6: by its route" ping_ a fd09::9 2
seen "without a rule: by b" 4 0
for v in 4 6; do
	if [ $v = 4 ]; then to=10.9.9.9 hop=10.4.0.1 other=fd04::1; else to=fd09::9 hop=fd04::1 other=10.4.0.1; fi
	rules "100 fwd $hop ip from any to $to" "200 count ip from any to $to out"
	works "v$v: forwarded" ping_ a $to 3
	seen "v$v: forwarded: by c" 0 3
	is "v$v: forwarded: counted once, on the way out" "$(packets r 100)" 3
	is "v$v: forwarded: the search ends" "$(packets r 200)" 0
	last=$(wire c -e -v | tail -2)
	like "v$v: forwarded: the gateway's link address" "$last" "$(mac_of r r2) > $(mac_of c c0), ethertype IPv$v "
	like "v$v: forwarded: one hop less" "$last" "(ttl|hlim) 63,"
	works "v$v: own packets" ping_ r $to 2
	seen "v$v: own packets: by c" 0 2
	rules "100 fwd $other ip from any to $to" "200 count ip from any to $to out"
	works "v$v: a hop of the other version" ping_ a $to 2
	seen "v$v: a hop of the other version: the rule does not match" 2 0
	is "v$v: a hop of the other version: the next rule" "$(packets r 100) $(packets r 200)" "0 2"
done

# ---- the whole of TCP and UDP, by c, with large packets ----

head -c $((8 << 20)) /dev/urandom >"$TMP/data"
listening() { nq c ss -Hltn "sport = $1" | grep -q .; }
# transfer WHAT FROM ADDRESS: 8 MB come to c by TCP
transfer() {
	start recv c bash -c 'socat -u TCP6-LISTEN:5000,ipv6only=0,reuseaddr STDOUT | sha256sum'
	wait_for 5 "TCP receiver" listening 5000
	n "$2" timeout 60 socat -u "FILE:$TMP/data" "TCP:$3:5000"
	wait_for 20 "$1: the receiver ends" test -s "$TMP/recv.out"
	is "$1: all of it came" "$(<"$TMP/recv.out")" "$(sha256sum <"$TMP/data")"
}
large() { wire c "greater 3000" | grep -c .; }
for v in 4 6; do
	if [ $v = 4 ]; then to=10.9.9.9 hop=10.4.0.1 url=$to; else to=fd09::9 hop=fd04::1 url=[$to]; fi
	rules "100 fwd $hop ip from any to $to"
	had=$(large)
	transfer "v$v: TCP, forwarded" a "$url"
	transfer "v$v: TCP, r's own" r "$url"
	works "v$v: TCP, large packets went by c" test "$(large)" -gt $((had + 10))
	settled $to
	n a python3 "$HERE/answer.py" udp $to 9 2>/dev/null >"$TMP/udp"
	is "v$v: UDP: c's answer" "$(<"$TMP/udp")" ECONNREFUSED
	seen "v$v: UDP: by c" 0 1
	works "v$v: long pings" n a ping -q -n -c 2 -i 0.05 -W 1 -s 4000 $to
	seen "v$v: fragments: by c, all of them" 0 6
done
# without a card that sums up, every checksum is on the wire
for x in "r r0" "r r2" "a a0"; do
	read -r ns dev <<<"$x"
	n $ns ethtool -K "$dev" tx off >/dev/null
done
stop wire_c
captures c c0
was_c=0
for v in 4 6; do
	if [ $v = 4 ]; then to=10.9.9.9 hop=10.4.0.1; else to=fd09::9 hop=fd04::1; fi
	rules "100 fwd $hop ip from any to $to"
	for x in a r; do
		n $x python3 "$HERE/answer.py" udp $to 9 >/dev/null 2>&1
		n $x python3 "$HERE/answer.py" connect $to 81 >/dev/null 2>&1
		ping_ $x $to
	done
	seen "v$v: UDP, TCP, ping, forwarded and own: by c" 0 6
done
is "checksums of UDP and TCP" "$(wire c -vv | grep -c 'udp sum ok\|cksum 0x[0-9a-f]* (correct)')" 8
is "checksums, no wrong ones" "$(wire c -vv | grep -c '(incorrect\|bad \|\[bad\|wrong')" 0
for x in "r r0" "r r2" "a a0"; do
	read -r ns dev <<<"$x"
	n $ns ethtool -K "$dev" tx on >/dev/null
done

# ---- neighbours ----

for v in 4 6; do
	if [ $v = 4 ]; then to=10.9.9.9 hop=10.4.0.1; else to=fd09::9 hop=fd04::1; fi
	rules "100 fwd $hop ip from any to $to"
	n r ip -$v neigh flush dev r2
	is "v$v: the hop's link address is not known" "$(ip -n "$NS-r" -$v neigh show $hop dev r2 | grep -c lladdr)" 0
	works "v$v: the first packet waits for it" ping_ a $to
	seen "v$v: the first packet: by c" 0 1
done
is "nothing was lost so far" "$(stat fwd-unreachable) $(stat too-big)" "0 0"

# lost WHAT HOP [COUNT]: this hop cannot be reached
lost() {
	local before to=10.9.9.9
	[[ $2 != *:* ]] || to=fd09::9
	before=$(stat fwd-unreachable)
	rules "100 fwd $2 ip from any to $to"
	fails "$1: a ping" ping_ a $to
	is "$1: counted" "$(($(stat fwd-unreachable) - before)) $(packets r 100)" "1 1"
	seen "$1: on no wire" 0 0
}
lost "v4: no answer" 10.4.0.99
lost "v6: no answer" fd04::99
lost "v4: no route" 10.99.0.1
lost "v6: no route" fd99::1
n b ip addr add 10.9.9.8/32 dev lo # b would answer for it, even on the link
lost "v4: a host behind a gateway" 10.9.9.8
lost "v6: a host behind a gateway" fd09::8
r ip route add 10.98.0.0/24 dev r2
r ip route add blackhole 10.97.0.0/24
r ip -6 route add unreachable fd97::/64
lost "v4: a route to nowhere" 10.97.0.1
lost "v6: a route to nowhere" fd97::1
lost "v6: no such interface" fe80::1%nosuch0
r sysctl -qw net.ipv4.conf.lo.forwarding=0 net.ipv6.conf.lo.forwarding=0
lost "v4: lo does not forward" 10.4.0.1
lost "v6: lo does not forward" fd04::1
r sysctl -qw net.ipv4.conf.lo.forwarding=1 net.ipv6.conf.lo.forwarding=1
r ip link set r2 down
lost "v4: its interface is down" 10.4.0.1
lost "v6: its interface is down" fd04::1
lost "v6: its interface, named, is down" fe80::1%r2
r ip link set r2 up
add_addr r r2 fd04::2/64
wait_for 5 "no tentative address" ready

# ---- MTU ----

for x in "r r2" "c c0"; do
	read -r ns dev <<<"$x"
	n $ns ip link set "$dev" mtu 1400
done
rules "100 fwd 10.4.0.1 ip4 from any to any out xmit r1" "110 fwd fd04::1 ip6 from any to any out xmit r1"
like "v4: too long" "$(n a ping -n -c 1 -W 1 -s 1400 -M "do" 10.9.9.9)" \
	"From 10.9.9.9 icmp_seq=1 Frag needed and DF set \(mtu = 1400\)"
is "v4: the sender learns of it" "$(ip -n "$NS-a" route get 10.9.9.9 | grep -o "mtu [0-9]*")" "mtu 1400"
like "v6: too long" "$(n a ping -n -c 1 -W 1 -s 1400 fd09::9)" \
	"From fd09::9 icmp_seq=1 Packet too big: mtu=1400"
is "v6: the sender learns of it" "$(ip -n "$NS-a" -6 route get fd09::9 | grep -o "mtu [0-9]*")" "mtu 1400"
is "too long: counted" "$(stat too-big)" 2
seen "too long: on no wire" 0 0
n a ip route flush cache
fails "v4, may be fragmented: not sent" n a ping -q -n -c 1 -W 1 -s 1400 -M dont 10.9.9.9
is "v4, may be fragmented: counted" "$(stat too-big)" 3
is "v4, may be fragmented: the sender learns of it" "$(ip -n "$NS-a" route get 10.9.9.9 | grep -o "mtu [0-9]*")" "mtu 1400"
works "v4, fragmented by the sender: goes" n a ping -q -n -c 1 -W 1 -s 1400 -M want 10.9.9.9
seen "v4, fragmented by the sender: by c" 0 2
for x in a r; do
	n $x ip route flush cache
	n $x ip -6 route flush cache
	transfer "v4: TCP finds the MTU, from $x" $x 10.9.9.9
	transfer "v6: TCP finds the MTU, from $x" $x "[fd09::9]"
done
is "TCP finds the MTU: not by b" "$(on_wires | cut -d' ' -f1)" 0
settled 10.9.9.9
for x in "r r2" "c c0"; do
	read -r ns dev <<<"$x"
	n $ns ip link set "$dev" mtu 1500
done
for x in a r; do
	n $x ip route flush cache
	n $x ip -6 route flush cache
done

# ---- with other rules ----

rules "100 fwd 10.4.0.1 ip4 from any to 10.9.9.9" "110 fwd fd04::1 ip6 from any to fd09::9"
works "v4: from a rule file, with ip4" ping_ a 10.9.9.9
works "v6: from a rule file, with ip6" ping_ a fd09::9
seen "rules for ip4 and ip6: by c" 0 2
is "rules for ip4 and ip6: each counts its own" "$(packets r 100) $(packets r 110)" "1 1"

rules "50 count ip from any to 10.9.9.9 out" "60 skipto 100 log ip from any to 10.9.9.9 out" "70 deny ip from any to 10.9.9.9 out" \
	"100 fwd 10.4.0.1,80 log tcp from 10.1.0.1 to 10.9.9.9 dst-port 81 out recv r0 xmit r1" \
	"110 fwd 10.4.0.1 log icmp from any to 10.9.9.9 out recv r0" \
	"120 fwd fd04::1 log ipv6-icmp from any to fd09::9 out"
works "behind count and skipto" ping_ a 10.9.9.9 2
works "v6: behind count and skipto" ping_ a fd09::9
is "by port" "$(n a python3 "$HERE/answer.py" connect 10.9.9.9 81 2>/dev/null)" "ECONNREFUSED at once"
seen "behind count and skipto, by port: by c" 0 4
works "r's own, which came in nowhere" ping_ r 10.9.9.9
seen "r's own, which came in nowhere: by b" 1 0
is "counted" "$(packets r 50) $(packets r 60) $(packets r 70) $(packets r 100) $(packets r 110) $(packets r 120)" "4 4 0 1 2 1"
like "log" "$(r ipfw log)" ": 110 Forward to 10.4.0.1 ICMP:8 10.1.0.1 10.9.9.9 out via r1"
like "log, IPv6" "$(r ipfw log)" ": 120 Forward to fd04::1 ICMPv6:128 fd01::1 fd09::9 out via r1"

# a table of sources, each with its hop
r ipfw table hops create valtype ipv4
r ipfw table hops add 10.1.0.1 10.4.0.1 10.1.0.0/24 10.2.0.1
n a ip addr add 10.1.0.3/24 dev a0
rules "100 fwd tablearg ip from table(hops) to 10.9.9.9"
works "tablearg: the host" ping_ a 10.9.9.9
seen "tablearg: the host: by c" 0 1
works "tablearg: its network" n a ping -q -n -c 1 -W 1 -I 10.1.0.3 10.9.9.9
seen "tablearg: its network: by b" 1 0
works "tablearg: not in the table" ping_ r 10.9.9.9
seen "tablearg: not in the table: by its route" 1 0
before=$(stat fwd-unreachable)
r ipfw table hops delete 10.1.0.1
r ipfw table hops add 10.1.0.1 5
fails "tablearg: a value that is no neighbour" ping_ a 10.9.9.9
is "tablearg: a value that is no neighbour: counted" "$(($(stat fwd-unreachable) - before))" 1
r ipfw table hops delete 10.1.0.1
r ipfw table hops add 10.1.0.1 10.4.0.2
fails "tablearg: an address of r" ping_ a 10.9.9.9
is "tablearg: an address of r: counted" "$(($(stat fwd-unreachable) - before))" 2
r ipfw -q flush
r ipfw table hops destroy

# ---- divert and tee before it ----

for how in "" "-n 32" "-B -n 32"; do
	for v in 4 6; do
		if [ $v = 4 ]; then to=10.9.9.9 hop=10.4.0.1; else to=fd09::9 hop=fd04::1; fi
		rules "90 divert 2000 ip from any to $to out" "100 fwd $hop ip from any to $to" "110 count ip from any to $to out"
		# shellcheck disable=SC2086 # words
		if [ -z "$how" ]; then reflect back r 2000; else lib_reflect back $how 2000; fi
		works "v$v: diverted $how" ping_ a $to 3
		works "v$v: diverted $how, r's own" ping_ r $to 2
		stop back
		all_back "v$v: diverted $how" back
		seen "v$v: diverted $how: by c" 0 5
		is "v$v: diverted $how: each rule counted once" "$(packets r 90) $(packets r 100) $(packets r 110)" "5 5 0"
	done
done
is "divert lost nothing" "$(stat lost-on-entry)" 0
rules "90 divert 2000 ip from any to any in recv r0" "100 fwd 10.4.0.1 ip from any to 10.9.9.9"
reflect back r 2000
works "diverted on the way in" ping_ a 10.9.9.9 3
stop back
seen "diverted on the way in: by c" 0 3
rules "90 tee 2000 ip from any to 10.9.9.9 out" "100 fwd 10.4.0.1 ip from any to 10.9.9.9"
start ear r divert-run "$PROGS/reflect" -p "$TMP/ear.ready" -s 2000
works "tee" ping_ a 10.9.9.9 3
seen "tee: by c" 0 3
stop ear

# ---- states: the hop is the way of the flow's first packet ----

for v in 4 6; do
	if [ $v = 4 ]; then to=10.9.9.9 hop=10.4.0.1; else to=fd09::9 hop=fd04::1; fi
	rules "50 check-state" "100 fwd $hop ip from any to $to out keep-state" "200 count ip from any to $to"
	works "v$v: keep-state" ping_ a $to 3
	seen "v$v: keep-state: by c" 0 3
	# in and out, there and back; only the first packet has met rule 200 on its way in
	is "v$v: keep-state: counted" "$(packets r 100) $(packets r 200)" "11 1"
	works "v$v: keep-state: fragments" n a ping -q -n -c 2 -i 0.05 -W 1 -s 4000 $to
	seen "v$v: keep-state: fragments: by c" 0 6
done

# ipfw(8), EXAMPLES
rules "100 fwd 10.4.0.1 ip from 10.1.0.0/25 to any out xmit r1"
works "the manual's example" ping_ a 10.9.9.9 2
works "the manual's example: r's own" ping_ r 10.9.9.9
seen "the manual's example" 1 2

# ---- nftables sees each packet once ----

r nft add table inet t
r nft add chain inet t through '{ type filter hook forward priority 0; }'
r nft add chain inet t post '{ type filter hook postrouting priority 0; }'
for c in through post; do r nft add rule inet t $c ip daddr 10.9.9.9 counter; done
rules "100 fwd 10.4.0.1 ip from any to 10.9.9.9"
works "nft: pings" ping_ a 10.9.9.9 3
is "nft: forward and postrouting, once each" \
	"$(q nft list table inet t | grep -o 'packets [0-9]*' | paste -sd' ')" "packets 3 packets 3"
seen "nft: by c" 0 3
r nft delete table inet t

# ---- a neighbour on the link of the route; a link-local one ----

n c ip addr add 10.4.0.7/24 dev c0
r ip route add 10.9.8.0/24 via 10.4.0.1
n c ip addr add 10.9.8.8/32 dev lo
rules "100 fwd 10.4.0.7 ip from any to 10.9.8.8" "200 count ip from any to 10.9.8.8 out"
works "on the link of the route" ping_ a 10.9.8.8 3
seen "on the link of the route: once" 0 3
is "on the link of the route: counted once" "$(packets r 100) $(packets r 200)" "3 0"
ll=$(ip -n "$NS-c" -6 -br addr show dev c0 scope link | grep -o 'fe80[^/]*')
rules "100 fwd $ll%r2 ip from any to fd09::9"
n r ip -6 neigh flush dev r2
works "link-local" ping_ a fd09::9 3
works "link-local, r's own" ping_ r fd09::9
seen "link-local: by c" 0 4
is "link-local: printed" "$(q ipfw list 100)" "00100 fwd $ll%r2 ip from any to fd09::9"
r ip link set r2 down
r ip link set r2 name uplink2
r ip link set uplink2 up
add_addr r uplink2 fd04::2/64
wait_for 5 "no tentative address" ready
before=$(stat fwd-unreachable)
fails "link-local: its interface has another name" ping_ a fd09::9
is "link-local: its interface has another name: counted" "$(($(stat fwd-unreachable) - before))" 1
rules "100 fwd $ll%uplink2 ip from any to fd09::9"
works "link-local: by its new name" ping_ a fd09::9
r ip link set uplink2 down
r ip link set uplink2 name r2
r ip link set r2 up
add_addr r r2 fd04::2/64
wait_for 5 "no tentative address" ready
rules "100 fwd $ll%r2 ip from any to fd09::9"
works "link-local: by its old name" ping_ a fd09::9
seen "link-local: by c" 0 2

# ---- interfaces without a hook, without a link header, on top of the route's ----

rules "100 fwd 10.4.0.1 ip from any to 10.9.9.9 out xmit r1"
r divertctl attach >/dev/null
is "no hook on the way out of r2" "$(hooks_of r2 out)" ""
before=$(stat fwd-unreachable)
works "to an interface without a hook" ping_ a 10.9.9.9 3
n r ip neigh flush dev r2
works "to an interface without a hook, the first packet waits" ping_ a 10.9.9.9
seen "to an interface without a hook: by c" 0 4
is "to an interface without a hook: not lost" "$(($(stat fwd-unreachable) - before))" 0

if [ -c /dev/net/tun ]; then
	make_ns t
	start tun r python3 "$HERE/tunpair.py" "$NS-r" tun0 "$NS-t" t0 "$TMP/tun.ready"
	wait_for 10 "the pair of tunnels" test -s "$TMP/tun.ready"
	for x in "r tun0 2" "t t0 1"; do
		read -r ns dev last <<<"$x"
		add_addr "$ns" "$dev" "10.5.0.$last/24"
		add_addr "$ns" "$dev" "fd05::$last/64"
		ip -n "$NS-$ns" link set "$dev" up
	done
	for x in 10.9.9.9/32 10.9.7.7/32; do n t ip addr add $x dev lo; done
	for x in fd09::9/128 fd97:7::7/128; do n t ip -6 addr add $x dev lo nodad; done
	n c ip addr add 10.9.7.7/32 dev lo
	n c ip -6 addr add fd97:7::7/128 dev lo nodad
	n t ip route add default via 10.5.0.2
	n t ip -6 route add default via fd05::2
	r ip route add 10.9.7.7 dev tun0
	r ip -6 route add fd97:7::7 dev tun0
	rules "100 fwd 10.5.0.1 ip from any to 10.9.9.9" "110 fwd fd05::1 ip from any to fd09::9" \
		"120 fwd 10.4.0.1 ip from any to 10.9.7.7" "130 fwd fd04::1 ip from any to fd97:7::7"
	start wire_t t tcpdump -n -l -i t0 -Q in "icmp or icmp6"
	wait_for 10 "tcpdump" grep -q "listening on" "$TMP/wire_t.err"
	for x in a r; do
		works "to a tunnel, from $x" ping_ $x 10.9.9.9 2
		works "to a tunnel, v6, from $x" ping_ $x fd09::9 2
	done
	soon "to a tunnel: by t" 8 eval 'grep -c "echo request" "$TMP/wire_t.out"'
	seen "to a tunnel: not by b or c" 0 0
	for flush in no yes; do
		if [ $flush = yes ]; then n r ip neigh flush dev r2; n r ip -6 neigh flush dev r2; fi
		for x in a r; do
			works "from a tunnel, from $x, first packet: $flush" ping_ $x 10.9.7.7 2
			works "from a tunnel, v6, from $x, first packet: $flush" ping_ $x fd97:7::7 2
		done
		seen "from a tunnel: by c" 0 8
	done
	is "from a tunnel: nothing to t" "$(grep -c "echo request" "$TMP/wire_t.out")" 8
	stop tun
else
	echo "skip tun: no /dev/net/tun"
fi

# a link whose other end is r, too: there the packet comes in, and meets the rules as any other
r ip link add v0 type veth peer name v1
r bash -c 'for i in /proc/sys/net/ipv4/conf/v*/rp_filter; do echo 0 >$i; done'
add_addr r v0 10.7.0.2/24
add_addr r v1 10.7.1.1/24
r ip link set v0 up
r ip link set v1 up
r ip neigh add 10.7.0.9 dev v0 lladdr "$(mac_of r v1)"
for xmit in "" "xmit r1"; do
	rules "100 fwd 10.7.0.9 ip from any to 10.9.9.9 out recv r0 $xmit" "200 count ip from any to 10.9.9.9 in recv v1" \
		"300 count ip from any to 10.9.9.9 out recv v1 xmit r1"
	r divertctl attach >/dev/null
	is "to r itself, $xmit: the hook on the way out" "$(hooks_of v0 out | wc -l)" "$([ -n "$xmit" ]; echo $?)"
	before=$(stat fwd-unreachable)
	works "to r itself, $xmit" ping_ a 10.9.9.9 3
	seen "to r itself, $xmit: by b" 3 0
	is "to r itself, $xmit: rules on the way in" "$(packets r 100) $(packets r 200) $(packets r 300)" "3 3 3"
	is "to r itself, $xmit: not lost" "$(($(stat fwd-unreachable) - before))" 0
done
r ip link del v0

# a broadcast and a multicast become the hop's alone
rules "100 fwd 10.4.0.1 icmp from any to 10.2.0.255,224.0.0.77 out"
n r ping -q -b -n -c 1 -W 0.1 10.2.0.255 >/dev/null 2>&1
n r ping -q -n -c 1 -W 0.1 -I r1 224.0.0.77 >/dev/null 2>&1
seen "broadcast, multicast: by c" 0 2
like "multicast: to the hop's link address" "$(wire c -e | tail -1)" "> $(mac_of c c0), .* 224.0.0.77: "

if r ip link add mv0 link r1 type macvlan 2>/dev/null; then
	add_addr r mv0 10.2.1.2/24
	r ip link set mv0 up
	n b ip addr add 10.2.1.1/24 dev b0
	works "a macvlan works" ping_ r 10.2.1.1
	soon "a macvlan works" "1 0" on_wires
	was_b=$(wire b | wc -l)
	lost "a macvlan on the route's interface" 10.2.1.1
	rules "100 fwd 10.2.1.1 ip from any to 10.9.8.8"
	n b ip addr add 10.9.8.8/32 dev lo
	r ip route replace 10.9.8.0/24 via 10.4.0.1
	works "a macvlan on another interface" ping_ a 10.9.8.8 2
	seen "a macvlan on another interface: by b" 2 0
	r ip link del mv0
else
	echo "skip macvlan: the kernel has none"
fi

# ---- what is refused ----

# refused STATUS TEXT RULE...
refused() {
	local status=$1 text=$2 rc=0 before
	shift 2
	before=$(q ipfw list)
	q ipfw -q add 500 "$@" >"$TMP/out" 2>&1 || rc=$?
	is "refused: $*" "$rc" "$status"
	like "refused: $*: why" "$(<"$TMP/out")" "$text"
	is "refused: $*: the rules are as before" "$(q ipfw list)" "$before"
}
for x in 10.1.0.2 10.4.0.2,80 10.4.0.2:80 fd04::2 fd04::2,80; do
	refused 65 "fwd ${x%[,:]80}: an address of this host \\(r[02]\\) is no next hop: .* nftables' tproxy" fwd $x ip from any to any
done
refused 65 "127.0.0.1,3128: an address of this host is no next hop: .* nftables' tproxy" fwd 127.0.0.1,3128 tcp from any to any 80
refused 65 "fwd with in: .*forward chain, and keep its TTL: leave out 'in'" fwd 10.4.0.1 ip from any to any in
refused 65 "fe80::1: each link may have this address: name the interface" forward fe80::1 ip from any to any
refused 65 "fwd tablearg: the later packets of a flow that has a state meet no table" fwd tablearg ip from "table(x)" to any keep-state
own=$(ip -n "$NS-r" -6 -br addr show dev r2 scope link | grep -o 'fe80[^/]*')
refused 65 "fwd $own: an address of this host \\(r2\\)" fwd "$own%r2" ip from any to any
printf 'add fwd 10.4.0.1 ip from any to any\nadd fwd 10.4.0.2 ip from any to any\nadd fwd 10.4.0.1 ip from any to any in\n' >"$TMP/rules"
r ipfw -n "$TMP/rules" >"$TMP/out" 2>&1
is "-n: all of it" "$(grep -c "rules:[23]: fwd\|rules: 2 lines refused" "$TMP/out")" 3
