#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# divert(4), "Fragments": programs get whole packets, however they arrived, and packets that do not
# fit are cut again. With a tee rule of its own, and with DIVERT_REASSEMBLE off, neither happens.
. "$(dirname "$0")/lib.sh"
make_router

# counted CAUSE PORT...: the sum of divertctl's counters for these ports
counted() {
	local cause=$1 port n=0
	shift
	for port; do n=$((n + $(stat_of r "$port" "$cause"))); done
	echo $n
}
# expected NAME WORD: the number after WORD in "sent N whole N duplicate N overlap N timeout N",
# which lib_fragments prints
expected() { sed -n "/^sent/s/.*\b$2 \([0-9]*\).*/\1/p" "$TMP/$1.out"; }
# cases NAME WHAT: takes over the cases of a program that checks itself; it must have come to its
# end
cases() {
	grep -E '^(not )?ok ' "$TMP/$1.out" | sed "s/ok /ok $2: /"
	failures=$((failures + $(grep -c '^not ok ' "$TMP/$1.out")))
	is "$2: ran to its end" "$(tail -1 "$TMP/$1.out")$(cat "$TMP/$1.err")" "done"
}

# ---- 10,000 packets, IPv4 and IPv6, in any order, some twice, overlapping or incomplete ----
# The programs run on while the rest is tested: the last packets time out after a minute. malloc
# must not cache freed memory, since the programs measure theirs.

mac=$(ip -n "$NS-r" -br link show r0 | awk '{print $3}')
for i in 1 2 3 4; do
	r ipfw -q add $((10 + i)) divert $((1000 + i)) udp from any to 10.9.0.$i
	r ipfw -q add $((20 + i)) divert $((1000 + i)) udp from any to fd09::$i
done
# At the same time, packets are diverted by ports, which only first fragments have. The other
# fragments wait at one socket, and may be counted at another.
for i in 1 2 3 4; do
	r ipfw -q add $((30 + i)) divert $((1010 + i)) udp from any to 10.8.0.0/24,fd08::/64 500$i
done
start many r env GLIBC_TUNABLES=glibc.malloc.tcache_count=0 \
	"$PROGS/lib_fragments" "/var/run/netns/$NS-a" a0 "$mac" 1001
start ports r env GLIBC_TUNABLES=glibc.malloc.tcache_count=0 \
	"$PROGS/lib_fragments" -P "/var/run/netns/$NS-a" a0 "$mac" 1011
wait_for 90 "10,000 packets in fragments" grep -q ^sent "$TMP/many.out"
wait_for 90 "10,000 packets in fragments, by port" grep -q ^sent "$TMP/ports.out"

# ---- each call ----

r ipfw -q add 100 divert 2100 udp from any to 10.9.1.1 in
r ipfw -q add 100 divert 2100 udp from any to fd09:1::1 in
r ipfw -q add 110 tee 2101 udp from any to 10.9.1.2 in
nq r "$PROGS/lib_whole" 2100 2101 r0 >"$TMP/calls.out" 2>"$TMP/calls.err"
cases calls "each call"
is "each call: too-big is what was not cut" "$(counted too-big 2100)" 4
is "each call: nothing else is lost" "$(for c in duplicate overlap timeout full bad; do
	counted frag-$c 2100; done | grep -cv '^0$')" 0

# ---- large pings, in, out and from here ----

mtu_kept() { # NAME: no piece is longer than the link takes
	[ "$(tcpdump -n -r "$TMP/$1.pcap" 'greater 1515' 2>/dev/null | wc -l)" = 0 ]
}

# on a slow machine r asks for its neighbour again, by a packet to the same address
r ipfw -q add 150 allow ip6 from any to any icmp6types 135,136
for family in 4 6; do
	if [ $family = 4 ]; then to=10.2.0.1 bad='ip6'; else to=fd02::1 bad='ip'; fi
	for from in a r; do
		for dir in in out; do
			[ $from = r ] && [ $dir = in ] && continue
			r ipfw -q delete 200 2>/dev/null
			r ipfw -q add 200 divert 2000 ip from any to $to $dir
			reflect back r 2000
			start dump b tcpdump -n -U --immediate-mode -i b0 -w "$TMP/dump.pcap" "not $bad"
			wait_for 30 "tcpdump" grep -q "listening on" "$TMP/dump.err"
			what="v$family $dir from $from"
			works "$what: ping of 20000 bytes" n $from ping -q -n -i 0.1 -W 10 -c 3 -s 20000 $to
			stop back
			stop dump
			is "$what: read whole" "$(count back received)" 3
			is "$what: written whole" "$(count back sent)" 3
			works "$what: in pieces on the wire" mtu_kept dump
		done
	done
done

# IPv6 inbound, to be forwarded: the pieces have their old id again
n a ping -q -n -c1 -W1 -s 4000 fd02::1 >/dev/null
r ipfw -q delete 200
r ipfw -q add 200 divert 2000 ip from any to fd02::1 in
reflect back r 2000
for i in a0 b0; do
	start dump$i ${i%0} tcpdump -n -U --immediate-mode -i $i -w "$TMP/$i.pcap" "ip6 dst fd02::1 and ip6[6] = 44"
	wait_for 30 "tcpdump" grep -q "listening on" "$TMP/dump$i.err"
done
works "v6 in: ping of 4000 bytes" n a ping -q -n -i 0.1 -W 10 -c 5 -s 4000 fd02::1
stop back
stop dumpa0
stop dumpb0
pieces() { tcpdump -n -xx -r "$TMP/$1.pcap" 2>/dev/null | sed -n '/^[[:space:]]/p' | grep -v '0x0000\|0x0010:' | md5sum; }
is "v6 in: the same pieces on both sides" "$(pieces b0)" "$(pieces a0)"

# ---- by ports, fragments before the first: on trial, then written back for the right reader ----

# a reader each gets 5001 and 5002; 5003 is not diverted
trial=$HERE/trial.py
id=100
for family in 4 6; do
	if [ $family = 4 ]; then from=10.1.0.1 to=10.2.0.1; else from=fd01::1 to=fd02::1; fi
	for dir in in out; do
		r ipfw -q delete 200 2>/dev/null
		r ipfw -q delete 201 2>/dev/null
		r ipfw -q add 200 divert 2001 udp from any to $to 5001 $dir
		r ipfw -q add 201 divert 2002 udp from any to $to 5002 $dir
		for order in 201 210 102; do
			what="v$family $dir, fragments $order"
			reflect one r 2001
			reflect two r 2002
			rm -f "$TMP/udp.out"
			start udp b python3 "$trial" receive $family 5001 5002 5003
			udp=$pid
			wait_for 10 "UDP receiver" grep -q ready "$TMP/udp.out"
			for port in 5001 5002 5003; do
				a python3 "$trial" send a0 "$mac" $from $to $port $((++id)) $order
			done
			wait "$udp"
			stop one
			stop two
			is "$what: all three arrive" "$(xargs <"$TMP/udp.out")" "ready 5001 5002 5003"
			is "$what: each reader has its own, whole" \
				"$(count one received) $(count two received)" "1 1"
		done
	done
done
is "on trial: nothing is lost" "$(for c in duplicate overlap timeout full bad; do
	counted frag-$c 2001 2002; done | grep -cv '^0$')" 0

# ---- a packet is cut to its link's MTU, without waiting for others who attach XDP programs ----

r ipfw -q add 300 divert 2100 ip from any to 10.2.0.1 out xmit r1
r ipfw -q add 300 divert 2100 ip from any to fd02::1 out xmit r1
reflect cuts r 2100
for i in 1 2 3 4; do
	start attaches$i b "$PROGS/engine_attaches"
	wait_for 30 "XDP programs are attached" grep -q ready "$TMP/attaches$i.out"
done
for to in 10.2.0.1 fd02::1; do
	a ping -q -n -i 0.05 -W 30 -s 3000 -c 40 $to >"$TMP/cuts.ping"
	like "$to, XDP programs are attached: each is cut, and arrives" "$(cat "$TMP/cuts.ping")" ", 40 received, "
	ms=$(sed -n 's,^rtt .* = [0-9.]*/\([0-9]*\).*,\1,p' "$TMP/cuts.ping")
	works "$to, XDP programs are attached: without waiting for that, $ms ms" test "$ms" -lt $((100 * SLOW))
done
for i in 1 2 3 4; do stop attaches$i; done
stop cuts

# ---- the end of the 10,000 ----

lost() { # by cause, of the ports
	local c n=0
	for c in frag-duplicate frag-overlap frag-timeout frag-full frag-bad buffer-full; do
		n=$((n + $(counted $c 1011 1012 1013 1014)))
	done
	echo $n
}
timed_out() { [ "$(counted frag-timeout 1001 1002 1003 1004)" -ge "$(expected many timeout)" ]; }
wait_for 80 "the last time-out" timed_out
not_whole() { echo $(($(expected ports duplicate) + $(expected ports timeout))); }
ports_timed_out() { [ "$(lost)" -ge "$(not_whole)" ]; }
wait_for 80 "the last time-out, by port" ports_timed_out
stop many
stop ports
cases many "10,000 packets"
cases ports "10,000 packets by port"
is "10,000 packets by port: each fragment that was not delivered is counted" "$(lost)" "$(not_whole)"
like "10,000 packets by port: most are whole" "$(expected ports whole)" '^9[0-9]{3}$'
for c in duplicate overlap timeout; do
	is "10,000 packets: frag-$c" "$(counted frag-$c 1001 1002 1003 1004)" "$(expected many $c)"
done
for c in frag-full frag-bad buffer-full; do
	is "10,000 packets: $c" "$(counted $c 1001 1002 1003 1004)" 0
done
is "10,000 packets: all of their fragments were diverted" \
	"$(counted diverted 1001 1002 1003 1004)" "$(expected many sent)"
like "10,000 packets: most are whole" "$(expected many whole)" '^8[0-9]{3}$'
