#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Packets that are not just unicast TCP or UDP, to and from the host that diverts: multicast and
# broadcast, IGMP and MLD, IP options, IPv6 extension headers, any IP protocol (GRE, ESP, OSPF,
# SCTP, 253 to 255), jumbo frames, ICMP errors. "No trace in the packet": a packet that is written
# back arrives byte for byte as it would without divert. It is still addressed to the host, to all,
# or to a group. FreeBSD: "Broadcast and multicast are recognised from the destination."
#
#	a a0 10.1.0.1 ---- 10.1.0.2 r0 r r1 ---- b
. "$(dirname "$0")/lib.sh"
make_router
# keeps other packets out of the captures
for x in a r; do nq "$x" sysctl -qw net.ipv4.icmp_echo_ignore_broadcasts=1; done
mac=$(with_sys r cat /sys/class/net/r0/address)
ping_ a 10.1.0.2
ping_ a fd01::2

# arrived NAME NS IF COMMAND...: logs what the stack of NS gets by IF while the command sends
arrived() {
	local name=$1 ns=$2
	rm -f "$TMP/log.ready"
	start log "$ns" python3 "$HERE/groups.py" log "$3" "$TMP/log.ready"
	wait_for 5 "the log" test -s "$TMP/log.ready"
	member "$ns" "$3"
	"${@:4}"
	stop member
	stop log
	mv "$TMP/log.out" "$TMP/$name.log"
	mv "$TMP/member.out" "$TMP/$name.member"
}
member() {
	rm -f "$TMP/member.ready"
	start member "$1" python3 "$HERE/groups.py" member "$2" "$TMP/member.ready"
	wait_for 5 "the member of the groups" test -s "$TMP/member.ready"
}
sends_in() { n a python3 "$HERE/groups.py" frames a0 "$mac"; }
sends_out() { n r python3 "$HERE/groups.py" raw r0; }

r ipfw -q flush
arrived plain_in r r0 sends_in
arrived plain_out a a0 sends_out
is "without divert: what arrives at r" "$(wc -l <"$TMP/plain_in.log")" 26
is "without divert: what arrives at a" "$(wc -l <"$TMP/plain_out.log")" 26
is "without divert: nothing is changed" "$(cat "$TMP"/plain_*.log | grep -c changed)" 0
like "without divert: the groups' member" "$(cat "$TMP/plain_in.member")" \
	'^10.1.0.2=3 10.1.0.255=1 224.0.0.1=1 239.1.2.3=2 255.255.255.255=1 fd01::2=3 ff02::1=1 ff05::1:3=2$'

for dir in in out; do
	r ipfw -q flush
	r ipfw -q add 100 divert 2000 ip from any to any $dir
	for form in "" -m; do
		# shellcheck disable=SC2086
		reflect back r $form 2000
		if [ $dir = in ]; then arrived $dir r r0 sends_in; else arrived $dir a a0 sends_out; fi
		stop back
		works "diverted $dir $form: each arrives as it would, and is the same" \
			diff "$TMP/plain_$dir.log" "$TMP/$dir.log"
		is "diverted $dir $form: what the groups' member got" "$(cat "$TMP/$dir.member")" \
			"$(cat "$TMP/plain_$dir.member")"
		all_back "diverted $dir $form" back
		works "diverted $dir $form: all of them were" test "$(count back received)" -ge 26
	done
done

# ---- a member on the sending host gets its own copy, once ----

r ipfw -q flush
for rules in none in out both; do
	r ipfw -q flush
	case $rules in
	in | out) r ipfw -q add 100 divert 2000 udp from any to any $rules ;;
	both) r ipfw -q add 100 divert 2000 udp from any to any ;;
	esac
	[ $rules = none ] || reflect back r 2000
	member r r0
	sends_out
	stop member
	[ $rules = none ] || stop back
	is "own multicast and broadcast, diverted $rules: come back once" "$(cat "$TMP/member.out")" \
		"10.1.0.255=1 224.0.0.1=1 239.1.2.3=2 255.255.255.255=1 ff02::1=1 ff05::1:3=2"
done

# ---- IGMP and MLD: r joins, a hears of it ----

r ipfw -q flush
r ipfw -q add 100 divert 2000 ip from any to any
for how in plain diverted; do
	[ $how = plain ] && r ipfw -q delete 100
	[ $how = plain ] || r ipfw -q add 100 divert 2000 ip from any to any
	[ $how = plain ] || reflect back r 2000
	start joins a tcpdump -n -v -l --immediate-mode -i a0 -Q in "igmp or (ip6 and ip6[40] = 58 and ip6[48] = 143)"
	wait_for 5 "tcpdump" grep -q 'listening on' "$TMP/joins.err"
	member r r0
	has_joins() { grep -q 'gaddr 239.1.2.3 to_ex' "$TMP/joins.out" && grep -q 'gaddr ff05::1:3 to_ex' "$TMP/joins.out"; }
	wait_for 5 "$how: a hears of the groups" has_joins
	stop joins
	stop member
	[ $how = plain ] || stop back
	tr '\n' ' ' <"$TMP/joins.out" | grep -o 'IP6* ([^)]*) *[^ ]* > [^ ]*: \(igmp\|HBH\)\|IP ([^(]*([^(]*([^(]*) *[^ ]* > [^ ]*: igmp' |
		sort -u >"$TMP/$how.joins"
	like "$how: IGMP report, router alert and all" "$(cat "$TMP/$how.joins")" 'ttl 1, .*\(RA\)\).*224.0.0.22: igmp'
done
works "IGMP and MLD reports are the same" diff "$TMP/plain.joins" "$TMP/diverted.joins"

# ---- two links at once: which one a packet was leaving by ----

r ipfw -q flush
r ipfw -q add 100 divert 2000 udp from 192.0.2.1 to 255.255.255.255 out
rm -f "$TMP/hold.ready"
start hold r divert-run "$PROGS/hold" 2000 7000 20 "$TMP/hold.ready"
wait_for 5 "the program" test -s "$TMP/hold.ready"
for x in a b; do
	start sniff$x $x tcpdump -n -l --immediate-mode -i ${x}0 -Q in "src 192.0.2.1"
	wait_for 5 "tcpdump" grep -q 'listening on' "$TMP/sniff$x.err"
done
r python3 "$HERE/groups.py" strange r0 10
r python3 "$HERE/groups.py" strange r1 10
wait_for 5 "all are with the program" grep -q "holding 20" "$TMP/hold.out"
kill -USR1 "$(cat "$TMP/hold.ready")"
wait_for 5 "all are written back" grep -q "released 20" "$TMP/hold.out"
seen_all() { [ "$(cat "$TMP/sniffa.out" "$TMP/sniffb.out" | wc -l)" -ge 20 ]; }
wait_for 5 "all have left" seen_all
is "the same addresses on two links: each packet leaves by its own" \
	"$(wc -l <"$TMP/sniffa.out") $(wc -l <"$TMP/sniffb.out")" "10 10"
for x in hold sniffa sniffb; do stop $x; done

# ---- ICMP errors ----

r ipfw -q flush
r ipfw -q add 100 divert 2000 ip from any to any
reflect back r 2000
is "port unreachable, to r" "$(q python3 "$HERE/groups.py" refused 4 10.1.0.1)" ECONNREFUSED
is "port unreachable, to r, IPv6" "$(q python3 "$HERE/groups.py" refused 6 fd01::1)" ECONNREFUSED
is "port unreachable, from r" "$(nq a python3 "$HERE/groups.py" refused 4 10.1.0.2)" ECONNREFUSED
is "port unreachable, from r, IPv6" "$(nq a python3 "$HERE/groups.py" refused 6 fd01::2)" ECONNREFUSED
is "port unreachable, through r" "$(nq a python3 "$HERE/groups.py" refused 4 10.2.0.1)" ECONNREFUSED
is "port unreachable, through r, IPv6" "$(nq a python3 "$HERE/groups.py" refused 6 fd02::1)" ECONNREFUSED
is "port unreachable, on lo" "$(q python3 "$HERE/groups.py" refused 4 127.0.0.1)" ECONNREFUSED
is "port unreachable, on lo, IPv6" "$(q python3 "$HERE/groups.py" refused 6 ::1)" ECONNREFUSED
stop back

# ---- jumbo frames ----

for x in "a a0" "r r0" "r r1" "b b0"; do
	read -r ns dev <<<"$x"
	ip -n "$NS-$ns" link set "$dev" mtu 9000
done
for to in 10.2.0.1 fd02::1 10.1.0.2 fd01::2; do
	size=8972
	[[ $to != *:* ]] || size=8952
	reflect back r -v 2000
	works "jumbo frames, to $to" eval "n a ping -q -n -i 0.05 -W 1 -c 5 -M 'do' -s $size $to >/dev/null"
	stop back
	is "jumbo frames, to $to: read whole" "$(grep -c 'len=9000 ' "$TMP/back.out")" \
		"$([[ $to == *02* || $to == 10.2* ]] && echo 20 || echo 10)"
done
