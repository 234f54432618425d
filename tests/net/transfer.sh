#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Bulk transfers over a host whose packets are diverted, in and out, each direction by a reflecting
# program of its own. They go through the host (a to b), from it (r to b) and to it (a to r), by TCP
# and UDP, IPv4 and IPv6.
# - The data that arrive are those that were sent, by their SHA-256: TRANSFER_MB each (64; issue 3's
#   figure is 1024).
# - iperf3 sends at a rate that the reader keeps up with. Fewer than 1 in 1,000 of TCP's segments
#   are sent again, and all UDP packets come as far as the receiver's socket.
# - iperf3 sends as fast as TCP can. Fewer than 1 in 1,000 segments are lost. More are sent again:
#   two CPUs handle the segments, some overtake others before they are diverted, and TCP takes these
#   for lost. That happens more often without divert. The receiver tells which of them it had
#   (DSACK).
# - All packets that were read were written back, and none is counted as lost.
#
# The network is lib.sh's: a -- r -- b.
# alone: it counts losses at full speed
. "$(dirname "$0")/lib.sh"
MB=${TRANSFER_MB:-64}
make_router

head -c $((16 << 20)) /dev/urandom >"$TMP/part"
# stream: prints MB megabytes, the same ones each time
stream() { for ((i = 0; i < MB; i += 16)); do cat "$TMP/part"; done; }
sum=$(stream | sha256sum)

listening() { nq "$1" ss -Hltn "sport = $2" | grep -q .; }

# divert_all PROTO: diverts in and out, each direction to a reader of its own
divert_all() {
	r ipfw -q flush
	r ipfw -q add 100 divert 2001 "$1" from any to any in
	r ipfw -q add 200 divert 2002 "$1" from any to any out
	reflect in r 2001
	reflect out r 2002
}

# ended WHAT: ends the readers, and checks that divert lost nothing
ended() {
	stop in
	stop out
	all_back "$1" in out
	like "$1: both directions were diverted" "$(count in received) $(count out received)" '^([0-9]{3,} [1-9]|[1-9][0-9]* [0-9]{3})'
	is "$1: nothing lost" "$(q divertctl stat | grep -c 'full\|too-\|malformed\|bad-\|lost\|no-route')" 0
}

# same WHAT FROM TO ADDRESS: sends the stream by TCP
same() {
	start recv "$3" bash -c 'socat -u TCP6-LISTEN:5000,ipv6only=0,reuseaddr STDOUT | sha256sum'
	wait_for 5 "TCP receiver" listening "$3" 5000
	stream | n "$2" timeout 300 socat -u STDIN "TCP:${4/*:*/[$4]}:5000"
	wait_for 60 "$1: the receiver ends" test -s "$TMP/recv.out"
	is "$1: $MB MB the same" "$(cat "$TMP/recv.out")" "$sum"
}

# iperf NAME FROM TO ADDRESS OPTIONS...: runs iperf3; the client's result is in $TMP/NAME.json
iperf() {
	local name=$1 from=$2 to=$3 addr=$4
	shift 4
	start server "$to" iperf3 -s -1 -p 5201
	wait_for 5 "iperf3 server" listening "$to" 5201
	n "$from" timeout 60 iperf3 -J -c "$addr" -p 5201 "$@" >"$TMP/$name.json"
	wait "$pid"
}
field() { # NAME PATH
	python3 -c 'import functools, json, sys
print(int(functools.reduce(lambda o, k: o[k], sys.argv[2].split("."), json.load(open(sys.argv[1])))))' \
		"$TMP/$1.json" "$2"
}

# full NS: how many datagrams did not fit into a socket there
full() {
	n "$1" awk '/^Udp:/ && !n++ { split($0, name) }
		/^Udp:/ { for (i in name) if (name[i] == "RcvbufErrors") full = $i }
		$1 == "Udp6RcvbufErrors" { full += $2 }
		END { print full }' /proc/net/snmp /proc/net/snmp6
}

for v in 4 6; do
	for path in through from to; do
		case $path$v in
		through4) from=a to=b addr=10.2.0.1 ;;
		through6) from=a to=b addr=fd02::1 ;;
		from4) from=r to=b addr=10.2.0.1 ;;
		from6) from=r to=b addr=fd02::1 ;;
		to4) from=a to=r addr=10.1.0.2 ;;
		to6) from=a to=r addr=fd01::2 ;;
		esac
		what="$path, v$v"

		divert_all tcp
		same "$what, TCP" $from $to $addr
		had=$(had $from)
		iperf tcp $from $to $addr -n $((4 * MB))M
		bytes=$(field tcp end.sum_sent.bytes)
		again=$(field tcp end.sum_sent.retransmits)
		had=$(($(had $from) - had))
		echo "# $what: $bytes bytes, $again segments sent again, of which the receiver had $had"
		works "$what, TCP: iperf3 has sent all" test "$bytes" -ge $((4 * MB << 20))
		works "$what, TCP: fewer than 1 in 1,000 segments lost ($again sent again, $had had come)" \
			test $(((again - had) * 1000)) -lt $((bytes / 1448))
		works "$what, TCP: fewer than 1 in 100 sent again" \
			test $((again * 100)) -lt $((bytes / 1448))
		iperf paced $from $to $addr -b 1G -n $((4 * MB))M
		bytes=$(field paced end.sum_sent.bytes)
		again=$(field paced end.sum_sent.retransmits)
		works "$what, TCP at 1 Gbit/s: iperf3 has sent all" test "$bytes" -ge $((4 * MB << 20))
		works "$what, TCP at 1 Gbit/s: fewer than 1 in 1,000 segments sent again ($again)" \
			test $((again * 1000)) -lt $((bytes / 1448))
		ended "$what, TCP"

		# iperf3's server stops reading when its TCP connection says so; that must not
		# overtake the datagrams, so all IP is diverted
		divert_all ip
		full=$(full $to)
		iperf udp $from $to $addr -u -b 40M -l 1400 -n 4M
		# a newer iperf3 has a sending thread, which sends more until the main thread stops
		# it
		works "$what, UDP: iperf3 has sent all" test "$(field udp end.sum.packets)" -ge 2996
		full=$(($(full $to) - full))
		is "$what, UDP: none lost on the way ($full for want of room in iperf3's socket)" \
			"$(field udp end.sum.lost_packets)" $full
		ended "$what, UDP"
	done
done
