#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# "No trace in the packet": a packet that is written back unchanged arrives bit for bit as it would
# have without divert, and with its fwmark.
# - 1000 assorted packets go from a through r to b (progs/assorted.py). They are IPv4 and IPv6, with
#   all protocols, options and extension headers, with right, wrong and no checksums, of all
#   lengths, and as fragments. b gets the same packets, byte for byte and in the same order, without
#   divert in r and with it: in, out, both.
# - nftables sets marks in r on the way in. On the way out, behind the divert rule, ipfw's fwmark,
#   nftables' egress hook and tc still see them. Marks that a sender sets with SO_MARK stay, too.
#
# The network is lib.sh's: a -- r -- b.
. "$(dirname "$0")/lib.sh"
make_router

# ---- bit for bit ----

# b does not answer unwanted packets, so a sends nothing in reply either. Only packets of
# assorted.py are compared.
b nft -f - <<-'END'
	table inet quiet {
		chain out { type filter hook output priority 0; oif b0 icmpv6 type != { 133, 134, 135, 136 } drop; oif b0 ip protocol != 0 drop; oif b0 meta l4proto tcp drop; }
	}
END

# This packet is sent last. It is known by its contents.
last_packet='
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
ip = struct.pack("!BBHHHBBH", 0x45, 0, 0, 0x1234, 0, 64, 253, 0)
ip += socket.inet_aton("10.1.0.1") + socket.inet_aton("10.2.0.1")
s.sendto(ip + b"abcdefghijklmnop", ("10.2.0.1", 0))'
has_all() { grep -q abcdefghijklmnop "$TMP/$1.pcap"; }

# capture NAME SEED COUNT ASSORTED-OPTIONS...: sends these packets; those that arrive at b are in
# $TMP/NAME.pcap
capture() {
	local name=$1 seed=$2 count=$3
	shift 3
	start cap b tcpdump -i b0 -Q in -s0 -n -B 16384 --immediate-mode -U -w "$TMP/$name.pcap" "ip src 10.1.0.1 or ip6 src fd01::1"
	wait_for 5 "tcpdump" grep -q 'listening on' "$TMP/cap.err"
	is "$name: sent" "$(a python3 "$HERE/assorted.py" -i a0 --gw 10.1.0.2 --src4 10.1.0.1 \
		--dst4 10.2.0.1 --src6 fd01::1 --dst6 fd02::1 -n "$count" --seed "$seed" \
		--pps 2000 "$@")" "sent $count of $count"
	nq a python3 -c "$last_packet"
	wait_for 5 "$name: the packet behind the others" has_all "$name"
	kill -INT "$pid"
	wait "$pid"
	like "$name: tcpdump missed none" "$(cat "$TMP/cap.err")" '(^|[^0-9])0 packets dropped by kernel'
}

# same WHAT FIRST SECOND COUNT
same() {
	local got
	got=$(python3 "$HERE/pcapcmp.py" "$TMP/$2.pcap" "$TMP/$3.pcap")
	is "$1" "$got" "equal: $4 packets"
}

for seed in 1 2; do
	case $seed in
	1) what="with fragments" opts=(--fragments all --lone) ;;
	2) what="without fragments" opts=(--fragments none --router-writes) ;;
	esac
	r ipfw -q flush
	capture plain$seed $seed 1000 "${opts[@]}"
	capture again$seed $seed 1000 "${opts[@]}"
	same "$what, without divert, twice" plain$seed again$seed 1001
	for dir in in out both; do
		r ipfw -q flush
		if [ $dir != out ]; then
			r ipfw -q add 100 divert 2001 ip from 10.1.0.1,fd01::1 to 10.2.0.1,fd02::1 in recv r0
			reflect in r -w 2001
		fi
		if [ $dir != in ]; then
			r ipfw -q add 200 divert 2002 ip from 10.1.0.1,fd01::1 to 10.2.0.1,fd02::1 out xmit r1
			reflect out r -w 2002
		fi
		capture $dir$seed $seed 1000 "${opts[@]}"
		same "$what, diverted $dir: the same" plain$seed $dir$seed 1001
		if [ $dir != out ]; then
			stop in
			is "$what, diverted $dir: sent back in without an error" "$?" 0
			is "$what, diverted $dir: each was read in" "$(count in received)" 1001
		fi
		if [ $dir != in ]; then
			stop out
			is "$what, diverted $dir: sent back out without an error" "$?" 0
			is "$what, diverted $dir: each was read out" "$(count out received)" 1001
		fi
		is "$what, diverted $dir: nothing lost" "$(r divertctl stat | grep -c 'full\|too\|malformed\|bad\|no-')" 0
	done
done

# The socket puts fragments together, and libdivert cuts packets again that do not fit. The same
# fragments arrive. They have no DF: a packet that was put together has lost it.
r ipfw -q flush
capture plain3 3 1000 --fragments natural --no-df
for dir in in out both; do
	r ipfw -q flush
	[ $dir = out ] || r ipfw -q add 100 divert 2001 ip from 10.1.0.1,fd01::1 to 10.2.0.1,fd02::1 in recv r0
	[ $dir = in ] || r ipfw -q add 200 divert 2002 ip from 10.1.0.1,fd01::1 to 10.2.0.1,fd02::1 out xmit r1
	[ $dir = out ] || reflect in r 2001
	[ $dir = in ] || reflect out r 2002
	capture whole_$dir 3 1000 --fragments natural --no-df
	same "fragments put together, diverted $dir: the same" plain3 whole_$dir 1001
	[ $dir = out ] || stop in
	[ $dir = in ] || stop out
done
b nft delete table inet quiet

# ---- fwmark ----

# marked WHAT SOCKET-OPTIONS...: sends 5 pings each, with mark 7 on the way in. All have the mark
# after they were written back.
marked() {
	local what=$1 to proto types dir
	shift
	for to in 10.2.0.1 fd02::1; do
		proto=icmp types="icmptypes 8"
		[ $to = 10.2.0.1 ] || proto=ipv6-icmp types="icmp6types 128"
		for dir in in out; do
			r ipfw -q flush
			for rule in "100 divert 2000 E $dir" "200 count E out fwmark 7" \
				"201 count E out fwmark 0x5/0xd" "202 count E out fwmark 0" \
				"203 count E out not fwmark 7"; do
				# shellcheck disable=SC2086 # words
				r ipfw -q add ${rule/ E/ $proto from any to any $types}
			done
			[ -z "$egress" ] || r nft reset counters >/dev/null
			reflect back r "$@" 2000
			works "$what, to $to, diverted $dir: ping works" ping_ a $to 5
			stop back
			is "$what, to $to, diverted $dir: mark for ipfw" \
				"$(packets r 200) $(packets r 201) $(packets r 202) $(packets r 203)" \
				"5 5 0 0"
			[ -z "$egress" ] || is "$what, to $to, diverted $dir: mark for nftables' egress" \
				"$(r nft list counter netdev seen marked | awk '/packets/ {print $2}')" 5
		done
	done
}

# nftables' egress hook is a second witness. It stands before ipfw's and sees each packet once. It
# sees packets written back inbound after that, and packets diverted out before that.
egress=yes
r nft -f - <<-'END' 2>/dev/null || egress=
	table netdev seen {
		counter marked { }
		chain out { type filter hook egress device "r1" priority 0; meta mark 7 counter name marked; }
	}
END
[ -n "$egress" ] || echo "skip nftables' egress hook: this kernel has none"

# The marks are set in each family of tables. ip and ip6 are used together, each for its own
# packets.
for tables in inet "ip ip6"; do
	for table in $tables; do
		r nft -f - <<-END
			table $table marks {
				chain pre { type filter hook prerouting priority -150; iif r0 meta mark set 7; }
			}
		END
	done
	marked "nft, $tables"
	for table in $tables; do
		r nft delete table "$table" marks
	done
done
r nft -f - <<-'END'
	table inet marks {
		chain pre { type filter hook prerouting priority -150; iif r0 meta mark set 5; }
		chain forward { type filter hook forward priority filter; meta mark 5 meta mark set 7; }
	}
END
marked "nft, prerouting and forward" -m
r nft delete table inet marks
[ -z "$egress" ] || r nft delete table netdev seen

# tc's own filter on the way out sees a packet before ipfw's rules, and sees it again when it is
# written back
r ipfw -q flush
r ipfw -q add 100 divert 2000 icmp from any to any in icmptypes 8
r ipfw -q add 200 divert 2000 icmp from any to any out icmptypes 8
r ipfw -q add 300 count icmp from any to any out icmptypes 8 fwmark 9
if r tc filter add dev r1 egress protocol ip prio 10 handle 9 fw action gact ok 2>"$TMP/tc.err"; then
	r tc filter del dev r1 egress protocol ip prio 10
	r tc filter add dev r1 egress protocol ip prio 10 handle 9 fw action gact pipe index 99 \
		action gact continue index 98
	r nft add table inet marks
	r nft add chain inet marks pre '{ type filter hook prerouting priority -150; }'
	r nft add rule inet marks pre iif r0 meta mark set 9
	reflect back r 2000
	works "tc: ping works" ping_ a 10.2.0.1 5
	stop back
	is "tc: read in and out" "$(count back received)" 10
	is "tc: mark for ipfw" "$(packets r 300)" 5
	# it sees each request twice: before it is diverted, and when it is written back
	is "tc: mark for tc" \
		"$(r tc -s filter show dev r1 egress | awk '/Sent/ && $4 > 0 {print $4; exit}')" 10
	r tc filter del dev r1 egress protocol ip prio 10
	r nft delete table inet marks
else
	echo "skip tc's fw filter: $(grep -m1 RTNETLINK "$TMP/tc.err" || tail -1 "$TMP/tc.err")"
fi

# a sender on the host itself uses SO_MARK
for to in 10.2.0.1 fd02::1 127.0.0.1 ::1; do
	proto=icmp types="icmptypes 8"
	case $to in *:*) proto=ipv6-icmp types="icmp6types 128" ;; esac
	for mark in 7 4294967295; do
		r ipfw -q flush
		for rule in "100 divert 2000 E out fwmark $mark" "200 count E out fwmark $mark" \
			"201 count E out not fwmark $mark" "202 count E out fwmark $mark diverted-output"; do
			# shellcheck disable=SC2086 # words
			r ipfw -q add ${rule/ E/ $proto from any to any $types}
		done
		reflect back r 2000
		works "SO_MARK $mark, to $to: ping works" \
			r ping -q -n -i 0.05 -W 1 -c 5 -m $mark $to >/dev/null
		stop back
		is "SO_MARK $mark, to $to: mark on the way back" \
			"$(packets r 200) $(packets r 201) $(packets r 202)" "5 0 5"
	done
done

# Packets with different marks, and without one, take turns: each keeps its own.
r ipfw -q flush
r ipfw -q add 100 divert 2000 udp from any to any 7000-7003 out
for mark in 0 1 2 3; do
	r ipfw -q add 20$mark count udp from any to any 700$mark out fwmark $mark
	r ipfw -q add 300 count udp from any to any 700$mark out not fwmark $mark
done
reflect back r 2000
for mark in 0 1 2 3; do
	start "send$mark" r python3 "$HERE/numbered.py" send 10.2.0.1 700$mark 200 --mark $mark --pps 1000
done
all_counted() { [ "$(packets r 200-203) $(packets r 300)" = "800 0" ]; }
wait_for 30 "four senders with marks of their own" all_counted
is "four senders with marks of their own: each kept" \
	"$(packets r 200) $(packets r 201) $(packets r 202) $(packets r 203) $(packets r 300)" \
	"200 200 200 200 0"
stop back
