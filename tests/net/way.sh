#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A packet that is written back keeps its way: the interface, the link header, the class of the
# queue. It also keeps its owner. The network is lib.sh's, and a second link from r to b:
#
#	                          r1 10.2.0.2 --- 10.2.0.1 b0
#	a 10.1.0.1 --- 10.1.0.2 r                             b (10.9.9.9, fd09::9)
#	                          r2 10.4.0.2 --- 10.4.0.1 b2
#
# The main routes to 10.9.9.9 lead by r1; those of table 7 lead by r2.
# long: it waits for slow links
. "$(dirname "$0")/lib.sh"
make_router
link r r2 10.4.0.2/24 fd04::2/64 -- b b2 10.4.0.1/24 fd04::1/64
n b ip addr add 10.9.9.9/32 dev lo
n b ip -6 addr add fd09::9/128 dev lo nodad
n r ip route add 10.9.9.9 via 10.2.0.1
n r ip -6 route add fd09::9 via fd02::1
n r ip route add default via 10.4.0.1 table 7
n r ip -6 route add default via fd04::1 table 7
wait_for 5 "no tentative address" all_ready
for i in all default b0 b2; do n b sysctl -qw "net.ipv4.conf.$i.rp_filter=0"; done
# neighbours are known: packets that wait for one are not tested here
n r ping -q -c1 -W2 10.2.0.1 >/dev/null
n r ping -q -c1 -W2 10.4.0.1 >/dev/null
n r ping -q -c1 -W2 fd02::1 >/dev/null
n r ping -q -c1 -W2 fd04::1 >/dev/null

sends() { n "$1" "$PROGS/way" "${@:2}"; }
# by: the counts of UDP port 9 on b, by b0 and by b2
n b nft add table inet t
n b nft add chain inet t c '{ type filter hook prerouting priority -300; }'
for i in b0 b2; do n b nft add rule inet t c iifname $i udp dport 9 counter comment "$i"; done
by() {
	for i in b0 b2; do
		nq b nft list chain inet t c | sed -n "s/.*iifname \"$i\".*packets \([0-9]*\).*/\1/p"
	done | paste -sd' '
}

# took WHAT EXPECTED COMMAND...: checks how many packets came by b0 and by b2, without a divert rule
# and with one
took() {
	local what=$1 wanted=$2 before
	shift 2
	q ipfw -q -f flush
	before=$(by)
	"$@"
	wait_for 5 "$what, not diverted: arrival" arrived "$before" "$wanted"
	is "$what, not diverted" "$(since "$before")" "$wanted"
	for how in "" -m -s; do
		q ipfw -q -f flush
		q ipfw -q add 100 divert 2000 udp from any to any 9 out
		before=$(by)
		# shellcheck disable=SC2086 # none, or one
		reflect back r $how 2000
		"$@"
		wait_for 5 "$what, diverted${how:+, $how}: arrival" arrived "$before" "$wanted"
		stop back
		is "$what, diverted${how:+, $how}" "$(since "$before") $(count back received)" \
			"$wanted $(($(echo "$wanted" | tr ' ' +)))"
	done
}
since() { paste -d' ' <(echo "$1" | tr ' ' '\n') <(by | tr ' ' '\n') | awk '{ printf "%s%d", (NR > 1 ? " " : ""), $2 - $1 }'; }
arrived() { [ "$(since "$1")" = "$2" ]; }

# ---- the way out ----

for v in 4 6; do
	to=10.9.9.9 ip=(ip)
	[ $v = 4 ] || { to=fd09::9 ip=(ip -6); }
	took "v$v, the main route" "5 0" sends r 5 $to 9
	took "v$v, forwarded" "5 0" sends a 5 $to 9
	n r "${ip[@]}" rule add oif r2 table 7
	took "v$v, SO_BINDTODEVICE" "0 5" sends r 5 $to 9 device=r2
	n r "${ip[@]}" rule del oif r2 table 7
	n r "${ip[@]}" rule add uidrange 1234-1234 table 7
	took "v$v, ip rule uidrange" "0 5" sends r 5 $to 9 uid=1234
	n r "${ip[@]}" rule del uidrange 1234-1234 table 7
	n r "${ip[@]}" rule add iif r0 table 7
	took "v$v, ip rule iif" "0 5" sends a 5 $to 9
	n r "${ip[@]}" rule del iif r0 table 7
	n r "${ip[@]}" rule add fwmark 7 table 7
	took "v$v, ip rule fwmark" "0 5" sends r 5 $to 9 mark=7
	# a mark that is set after routing does not change the route
	n r nft add table inet m
	n r nft add chain inet m post '{ type filter hook postrouting priority 0; }'
	n r nft add rule inet m post udp dport 9 meta mark set 7
	took "v$v, a mark set in postrouting" "5 0" sends r 5 $to 9
	n r nft delete table inet m
	n r "${ip[@]}" rule del fwmark 7 table 7
done

# ---- the class ----

n r tc qdisc add dev r1 root handle 1: htb default 20
n r tc class add dev r1 parent 1: classid 1:10 htb rate 100mbit quantum 2000
n r tc class add dev r1 parent 1: classid 1:20 htb rate 100mbit quantum 2000
n r nft add table ip m
n r nft add chain ip m post '{ type filter hook postrouting priority 0; }'
n r nft add rule ip m post udp dport 9 udp length 19 meta priority set 1:10
in_class() { nq r tc -s class show dev r1 classid 1:10 | sed -n 's/.*Sent [0-9]* bytes \([0-9]*\) pkt.*/\1/p'; }
for how in "" out in; do
	q ipfw -q -f flush
	[ -z "$how" ] || { reflect back r 2000 && q ipfw -q add 100 divert 2000 udp from any to any 9 $how; }
	was=$(in_class)
	sends r 5 10.9.9.9 9 priority=0x10010
	is "class by SO_PRIORITY, divert ${how:-none}" $(($(in_class) - was)) 5
	[ -z "$how" ] || stop back
done
n r nft delete table ip m
n r tc qdisc del dev r1 root

# ---- the owner ----

q ipfw -q -f flush
q ipfw -q add 100 divert 2000 udp from any to any 9 out
q ipfw -q add 200 count udp from any to any 9 out uid 1234
q ipfw -q add 210 count udp from any to any 9 out gid 4321
q ipfw -q add 220 count udp from any to any 9 out uid root
q ipfw -q add 300 divert 2001 udp from any to any 9 out
q ipfw -q add 400 count udp from any to any 9 out uid 1234
q ipfw -q add 410 count udp from any to any 9 out gid 4321
reflect back r 2000
reflect again r -m 2001
sends r 5 10.9.9.9 9 uid=1234 gid=4321
is "owner behind a divert: uid, gid, nobody else" "$(packets r 200) $(packets r 210) $(packets r 220)" "5 5 0"
is "owner behind two" "$(packets r 400) $(packets r 410)" "5 5"
stop back
stop again
q ipfw -q -f flush
q ipfw -q add 100 divert 2000 udp from any to any 9 out
q ipfw -q add 200 deny udp from any to any 9 out uid 65534
reflect back r 2000
before=$(by)
sends r 5 10.9.9.9 9 uid=65534
is "a deny of an owner holds behind a divert" "$(packets r 200) $(since "$before")" "5 0 0"
stop back

# The kernel itself sends an answer. Its owner is the same behind a divert rule.
for rule in "divert 2000" count; do
	q ipfw -q -f flush
	# shellcheck disable=SC2086 # words
	q ipfw -q add 100 $rule icmp from any to any out icmptypes 3
	q ipfw -q add 200 count icmp from any to any out icmptypes 3 uid root
	[ "$rule" = count ] || reflect back r 2000
	n a "$PROGS/way" 1 10.1.0.2 9999
	answered() { [ "$(packets r 100)" = 1 ]; }
	wait_for 5 "an answer of the kernel's, $rule" answered
	[ "$rule" = count ] || stop back
	is "an answer of the kernel's, $rule: root's" "$(packets r 200)" 1
done
# The program has all packets of one user at once, from many ports. The first one is not taken for
# the last one.
q ipfw -q -f flush
q ipfw -q add 100 divert 2000 udp from any to any 9 out
q ipfw -q add 200 deny udp from any to any 9 out uid 1234
start hold r divert-run "$PROGS/hold" 2000 9 129 "$TMP/hold.ready"
wait_for 10 "packets of two users: the program" test -s "$TMP/hold.ready"
before=$(by)
sends r 2 10.9.9.9 9 uid=1234 sport=20000-20063
sends r 1 10.9.9.9 9 uid=4321
wait_for 5 "packets of two users: they are with it" grep -q "holding 129" "$TMP/hold.out"
kill -USR1 "$(cat "$TMP/hold.ready")"
wait_for 5 "packets of two users: arrival" arrived "$before" "1 0"
stop hold
is "packets of two users: each meets his rule" "$(packets r 200) $(since "$before")" "128 1 0"
# The same, and all packets are changed. Their owner is known only if the program has just one
# packet.
q ipfw -q add 300 count udp from any to any 9 out
natd() { start natd r divert-run python3 "$HERE/natd.py" 2000 10.2.0.2; wait_for 10 "natd" grep -q bound "$TMP/natd.out"; }
n r ip addr add 10.2.0.99/24 dev r1
natd
before=$(by)
for i in 1 2 3; do
	sends r 1 10.9.9.9 9 uid=1234 source=10.2.0.99
	sends r 1 10.9.9.9 9 uid=4321 source=10.2.0.99
done
changed() { [ "$(packets r 200) $(packets r 300)" = "131 3" ]; }
wait_for 5 "changed, one at a time: each meets his rule" changed
sends r 1 10.9.9.9 9 sport=20500
sends r 1 10.9.9.9 9 uid=1234 source=10.2.0.99 sport=20500
changed() { [ "$(packets r 200) $(packets r 300)" = "132 4" ]; }
wait_for 5 "changed, to a flow that was another's: it meets his rule" changed
kill -STOP "${pid_natd:-}"
before=$(stat_of r 2000 no-owner)
sends r 3 10.9.9.9 9 uid=1234 source=10.2.0.99
sends r 3 10.9.9.9 9 uid=4321 source=10.2.0.99
kill -CONT "${pid_natd:-}"
changed() { [ "$(packets r 200) $(packets r 300) $(stat_of r 2000 no-owner)" = "135 7 $before" ]; }
wait_for 5 "changed, and read one by one: each meets his rule" changed
stop natd
n r ip addr del 10.2.0.99/24 dev r1
# There are more owners than room for them, so the owner of some packets is unknown. A rule that
# asks for the owner drops these. It takes none of them for another user's, such as the divert
# program's.
q ipfw -q -f flush
q ipfw -q add 100 divert 2000 udp from any to any 9 out
q ipfw -q add 200 count udp from any to any 9 out uid root
q ipfw -q add 300 count udp from any to any 9 out uid 100000
q ipfw -q add 400 count udp from any to any 9 out
reflect back r 2000
sends r 0 10.9.9.9 9 owners=5000
unknown() { stat_of r 2000 no-owner; }
all_seen() { [ $(($(packets r 400) + $(unknown))) = 5000 ]; }
wait_for 10 "more owners than room: all are written back" all_seen
is "more owners than room: the first is known, none is root" "$(packets r 300) $(packets r 200)" "1 0"
works "more owners than room: not known to a rule" test "$(unknown)" -gt 900
stop back
before=$(unknown)
q ipfw -q delete 200 300
reflect back r 2000
sends r 0 10.9.9.9 9 owners=5000
all_seen() { [ "$(packets r 400)" -ge 5000 ]; }
wait_for 10 "more owners than room: no rule asks" all_seen
is "more owners than room: no rule asks: none is dropped" "$(unknown)" "$before"
stop back

# ---- the way in: the link header ----

mac() { with_sys "$1" cat "/sys/class/net/$2/address"; }
A=$(mac a a0) R=$(mac r r0)
n r nft add table inet l
n r nft add chain inet l pre '{ type filter hook prerouting priority -400; }'
n r nft add rule inet l pre udp dport 9 ether saddr "$A" ether daddr "$R" counter
headers() { nq r nft list chain inet l pre | sed -n 's/.*packets \([0-9]*\).*/\1/p'; }
for v in 4 6; do
	to=10.9.9.9
	[ $v = 4 ] || to=fd09::9
	for how in "" -m -b2000; do
		q ipfw -q -f flush
		q ipfw -q add 100 divert 2000 udp from any to any 9 in recv r0
		# shellcheck disable=SC2086 # none, or one
		reflect back r $how 2000
		was=$(headers)
		before=$(by)
		sends a 20 $to 9
		wait_for 5 "v$v, link header $how: arrival" arrived "$before" "20 0"
		is "v$v, link header on the way in${how:+, $how}" $(($(headers) - was)) 20
		stop back
	done
done
# a frame to all on the link, with a packet to one host: no router forwards it
for how in "" "divert 2000"; do
	q ipfw -q -f flush
	[ -z "$how" ] || { reflect back r 2000 && q ipfw -q add 100 $how udp from any to any 9 in; }
	before=$(by)
	sends a frame a0 ff:ff:ff:ff:ff:ff "$A" 10.1.0.1 10.9.9.9 9
	sends a frame a0 "$R" "$A" 10.1.0.1 10.9.9.9 9
	wait_for 5 "broadcast frame ${how:-not diverted}: the other" arrived "$before" "1 0"
	is "broadcast frame to one, ${how:-not diverted}" "$(since "$before")" "1 0"
	[ -z "$how" ] || { stop back; is "broadcast frame: both were diverted" "$(count back received)" 2; }
done

# children of an interface get their packets
if n r ip link add mv0 link r0 type macvlan mode bridge 2>"$TMP/said"; then
	n r ip link set mv0 address 02:00:00:00:00:77
	n r ip addr add 10.1.0.77/24 dev mv0
	n r ip -6 addr add fd01::77/64 dev mv0 nodad
	n r ip link set mv0 up
	for i in all r0 mv0; do n r sysctl -qw net.ipv4.conf.$i.arp_ignore=1; done
	q ipfw -q -f flush
	q ipfw -q add 100 divert 2000 ip from any to any in recv r0
	reflect back r 2000
	works "macvlan below a diverted interface: IPv4" ping_ a 10.1.0.77 5
	works "macvlan below a diverted interface: IPv6" ping_ a fd01::77 5
	stop back
	n r ip link del mv0
else
	echo "skip macvlan: $(cat "$TMP/said")"
fi

# ---- packets that wait in one queue do not delay those of another ----

n r tc qdisc add dev r1 root handle 1: tbf rate 1mbit burst 4k limit 2000000
q ipfw -q -f flush
q ipfw -q add 100 divert 2000 ip from any to any
reflect back r 2000
start flood r "$PROGS/way" 0 10.9.9.9 9 flood=$((6 * SLOW))
backlog() { nq r tc -s qdisc show dev r1 | sed -n 's/.*backlog \([0-9]*\)\(K\?\)b.*/\1\2/p' | sed 's/K/000/;q'; }
fills() { [ "$(backlog)" -gt 300000 ]; }
wait_for 10 "a queue of more than a socket's buffer" fills
works "pings elsewhere while a queue fills" ping_ a 10.1.0.2 10
wait "${pid_flood:-}"
stop back
n r tc qdisc del dev r1 root

# A flow of few packets passes a flood in the same queue if the queue's discipline is a fair one.
# The last case shows how much time the program takes: there the flood leaves by the other link.
n r tc qdisc add dev r1 root handle 1: htb default 10
n r tc class add dev r1 parent 1: classid 1:10 htb rate 1mbit quantum 2000
# round_trip: the median of 21 pings, in us; 0 if not all were answered
round_trip() {
	nq a ping -n -i 0.1 -W 5 -c 21 10.9.9.9 | sed -n 's/.*time=\([0-9.]*\) ms/\1/p' | sort -n |
		awk '{ t[NR] = $1 } END { printf "%d", NR == 21 ? t[11] * 1000 : 0 }'
}
waits() { [ "$(backlog)" -gt 3000 ]; }
empty() { [ "$(backlog)" = 0 ]; }
declare -A us=()
if q tc qdisc add dev r1 parent 1:10 fq_codel 2>"$TMP/said"; then
	for how in plain diverted elsewhere; do
		q ipfw -q -f flush
		to=10.9.9.9
		[ $how != elsewhere ] || to=10.4.0.1
		[ $how = plain ] || { reflect back r 2000 && q ipfw -q add 100 divert 2000 ip from any to any; }
		start flood r python3 "$HERE/numbered.py" send $to 9 1000000 --size 1000 --pps 500
		[ $how = elsewhere ] || wait_for 10 "fq_codel, $how: a queue" waits
		us[$how]=$(round_trip)
		[ $how = elsewhere ] || wait_for 10 "fq_codel, $how: there is one yet" waits
		stop flood
		[ $how = plain ] || { stop back && all_back "fq_codel, $how" back; }
		wait_for 20 "fq_codel, $how: all have left" empty
	done
	echo "# fq_codel: ${us[plain]} us, diverted ${us[diverted]} us, and ${us[elsewhere]} us beside a flood elsewhere"
	works "fq_codel: all pings are answered" test $((us[plain] * us[diverted] * us[elsewhere])) -gt 0
	works "fq_codel: the round trip is at most twice as long, and what the program takes" \
		test "${us[diverted]}" -le $((2 * us[plain] + us[elsewhere]))
else
	echo "skip fq_codel: $(tail -1 "$TMP/said")"
fi
n r tc qdisc del dev r1 root

# a full queue is reported
n r tc qdisc add dev r1 root handle 1: tbf rate 8kbit burst 2k limit 3000
q ipfw -q -f flush
q ipfw -q add 100 divert 2002 udp from any to any 9 out
reflect back r -v 2002
sends r 200 10.9.9.9 9
gone() { [ "$(($(stat_of r 2002 queue-full) + 0))" -gt 0 ]; }
wait_for 5 "queue-full" gone
stop back
dropped=$(nq r tc -s qdisc show dev r1 | sed -n '/dropped/ {s/.*dropped \([0-9]*\).*/\1/p;q}')
is "a full queue: what it dropped is counted" "$(stat_of r 2002 queue-full)" "$dropped"
# packets that were sent together with others give no error
works "a full queue: sends failed with ENOBUFS" test "$(count back failed)" -gt 0 -a "$(count back failed)" -le "$dropped"
is "a full queue: sent and failed are all" $(($(count back sent) + $(count back failed))) "$(count back received)"
n r tc qdisc del dev r1 root

# ---- a route that has an encapsulation for its packets ----

if n r ip link add vx type vxlan external dstport 4789 2>"$TMP/said"; then
	n b ip link add vx type vxlan external dstport 4789
	n r ip addr add 10.8.0.2/24 dev vx
	n b ip addr add 10.8.0.1/24 dev vx
	n r ip link set vx up
	n b ip link set vx up
	n r ip neigh replace 10.8.0.1 lladdr "$(mac b vx)" dev vx
	n b ip neigh replace 10.8.0.2 lladdr "$(mac r vx)" dev vx
	n r ip route replace 10.8.0.1 encap ip id 7 dst 10.2.0.1 dev vx
	n b ip route replace 10.8.0.2 encap ip id 7 dst 10.2.0.2 dev vx
	# The link has just been set up.
	wait_for 5 "route with encap: it carries" ping_ r 10.8.0.1
	works "route with encap, not diverted" ping_ r 10.8.0.1 3
	for rule in "ip from any to any out xmit vx" "ip from any to any in recv vx" "ip from any to any"; do
		q ipfw -q -f flush
		# shellcheck disable=SC2086 # words
		q ipfw -q add 100 divert 2000 $rule
		reflect back r 2000
		works "route with encap, divert $rule" ping_ r 10.8.0.1 3
		stop back
	done
else
	echo "skip vxlan: $(cat "$TMP/said")"
fi

# ---- a program names another destination: it is routed; or another interface: that one's routes
# ----

for what in "by=r2" "to=10.4.0.1" "by=r1"; do
	wanted="0 5"
	[ "$what" != by=r1 ] || wanted="5 0"
	q ipfw -q -f flush
	q ipfw -q add 100 divert 2000 udp from any to any 9 out
	n r ip route replace 10.9.9.9 via 10.4.0.1 dev r2 metric 500 # the second best route
	start by r divert-run python3 "$HERE/by.py" 2000 5 "$TMP/by.ready" "$what"
	wait_for 10 "$what: the program" test -s "$TMP/by.ready"
	before=$(by)
	sends r 5 10.9.9.9 9
	wait "${pid_by:-}"
	wait_for 5 "written with $what: arrival" arrived "$before" "$wanted"
	is "written with $what" "$(since "$before")" "$wanted"
	rm "$TMP/by.ready"
done

# ---- kept too long: a packet is routed, and one to many leaves by its link ----

for to in ff02::1%r1 fd09::9; do
	q ipfw -q -f flush
	q ipfw -q add 100 divert 2000 ipv6-icmp from any to any out xmit r1 icmp6types 128
	reflect back r -m 2000
	kill -STOP "$(cat "$TMP/back.ready")"
	start ping r ping -q -n -c1 -W "$((12 * SLOW))" "$to"
	wait_for 5 "kept, to $to: it waits" eval '[ "$(stat_of r 2000 diverted)" -gt 0 ]'
	# The link header is valid for five seconds. There is nothing to wait for but time.
	sleep 7
	kill -CONT "$(cat "$TMP/back.ready")"
	wait "${pid_ping:-}"
	is "kept for seven seconds, to $to: answered" $? 0
	stop back
	is "kept for seven seconds, to $to: nothing was lost" "$(stat_of r 2000 lost-on-entry)" 0
done

# ---- routes change while packets are with the program: new routes count, and devices stay ----

# rerouted WHAT EXPECTED SECONDS COMMAND -- SENDER'S ARGUMENTS...: runs COMMAND while the program
# holds packets for that long. Routes do not matter to a packet that is written within 10 ms.
rerouted() {
	local what=$1 wanted=$2 seconds=$3 before command=()
	shift 3
	while [ "$1" != -- ]; do
		command+=("$1")
		shift
	done
	shift
	q ipfw -q -f flush
	q ipfw -q add 100 divert 2000 udp from any to any 9 out
	rm -f "$TMP/hold.ready"
	start hold r divert-run "$PROGS/hold" 2000 9 5 "$TMP/hold.ready"
	wait_for 10 "$what: the program" test -s "$TMP/hold.ready"
	before=$(by)
	sends r 5 "$@"
	wait_for 5 "$what: they are with it" grep -q "holding 5" "$TMP/hold.out"
	n r "${command[@]}"
	sleep "$seconds" # the time is what this case tests
	kill -USR1 "$(cat "$TMP/hold.ready")"
	wait_for 5 "$what: arrival" arrived "$before" "$wanted"
	stop hold
	is "$what" "$(since "$before")" "$wanted"
}
for v in 4 6; do
	to=10.9.9.9 ip=(ip) via=10.4.0.1 via1=10.2.0.1
	[ $v = 4 ] || { to=fd09::9 ip=(ip -6) via=fd04::1 via1=fd02::1; }
	n r "${ip[@]}" route flush "$to"
	n r "${ip[@]}" route add "$to" via $via1
	rerouted "v$v, another route" "0 5" 0.1 "${ip[@]}" route replace "$to" via $via -- "$to" 9
	rerouted "v$v, back again" "5 0" 0.1 "${ip[@]}" route replace "$to" via $via1 -- "$to" 9
	# The program writes a packet as soon as it has read it. However long the packet waited, it
	# leaves by the way that it was on.
	q ipfw -q -f flush
	q ipfw -q add 100 divert 2000 udp from any to any 9 out
	reflect back r 2000
	kill -STOP "$(cat "$TMP/back.ready")"
	before=$(by)
	sends r 5 "$to" 9
	n r "${ip[@]}" route del "$to"
	kill -CONT "$(cat "$TMP/back.ready")"
	wait_for 5 "v$v, written at once, the route is gone: arrival" arrived "$before" "5 0"
	stop back
	is "v$v, written at once, the route is gone" "$(since "$before")" "5 0"
	n r "${ip[@]}" route add "$to" via $via1
	n r "${ip[@]}" rule add oif r2 table 7
	for seconds in 0 7; do
		rerouted "v$v, SO_BINDTODEVICE, kept for $seconds s, and a route more" "0 5" $seconds \
			"${ip[@]}" route replace "$to" via $via1 metric $((100 + seconds)) -- "$to" 9 device=r2
	done
	# no route leads to many hosts here, and the packet never leaves by another interface
	many=255.255.255.255
	[ $v = 4 ] || many=ff02::1%r2
	for seconds in 0 7; do
		rerouted "v$v, SO_BINDTODEVICE, to many, kept for $seconds s, and a route more" "0 5" $seconds \
			"${ip[@]}" route replace "$to" via $via1 metric $((200 + seconds)) -- $many 9 device=r2
	done
	n r "${ip[@]}" rule del oif r2 table 7
done
for v in 4 6; do
	to=10.9.9.9 ip=(ip)
	[ $v = 4 ] || { to=fd09::9 ip=(ip -6); }
	n r "${ip[@]}" rule add oif r2 table 7
	down=$(stat_of r 2000 interface-down)
	rerouted "v$v, SO_BINDTODEVICE, and the interface is down" "0 0" 0.1 ip link set r2 down -- $to 9 device=r2
	is "v$v, SO_BINDTODEVICE, and the interface is down: counted" "$(stat_of r 2000 interface-down)" $((down + 5))
	n r "${ip[@]}" rule del oif r2 table 7
	n r ip link set r2 up
	add_addr r r2 fd04::2/64
	n r ip route add default via 10.4.0.1 table 7
	n r ip -6 route add default via fd04::1 dev r2 table 7
	wait_for 10 "v$v: it is up again" ping_ r fd04::1
done
# One more route of the one IP version and one fewer of the other still is a change.
for to in 10.9.9.9 fd09::9; do n r ip route flush $to; done
n r ip route add 10.9.9.9 via 10.4.0.1 metric 2
n r ip route add 10.9.9.9 via 10.2.0.1 metric 1
n r ip -6 route add fd09::9 via fd02::1
rerouted "a route fewer of each IP" "0 5" 0.1 \
	bash -c 'ip route del 10.9.9.9 metric 1; ip -6 route del fd09::9' -- 10.9.9.9 9
n r ip route flush 10.9.9.9
n r ip route add 10.9.9.9 via 10.2.0.1

# ---- to this host: the hook cannot recognise such a destination, so the library asks once ----

q ipfw -q -f flush
q ipfw -q add 100 divert 2003 udp from any to any 9 out xmit r1
q ipfw -q add 200 count udp from any to 10.1.0.2 9 in recv lo
start by r divert-run python3 "$HERE/by.py" 2003 5 "$TMP/by.ready" to=10.1.0.2
wait_for 10 "to this host: the program" test -s "$TMP/by.ready"
sends r 5 10.9.9.9 9
wait "${pid_by:-}"
is "to this host: all arrive, after one second try" "$(packets r 200) $(stat_of r 2003 asked-route)" "5 1"

# ---- the owners from above have sent nothing for half a minute, so there is room for others ----

q ipfw -q -f flush
q ipfw -q add 100 divert 2000 udp from any to any 9 out
q ipfw -q add 200 count udp from any to any 9 out uid 7777
reflect back r 2000
room() {
	sends r 1 10.9.9.9 9 uid=7777
	[ "$(packets r 200)" -gt 0 ]
}
wait_for 60 "room for other owners" room
stop back
