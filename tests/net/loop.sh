#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# "No loops, whatever the program does with the tag". A packet that is written back with a tag below
# its rule's number is diverted again, but not for ever: after 32 times sendto(2) gives ELOOP, and
# the packet is counted as loop. A correct program never gets there: through several rules, in and
# out, in batches, with packets that are all the same. The network is lib.sh's: a -- r -- b; the
# programs are on r.
. "$(dirname "$0")/lib.sh"
make_router
MAX=32

error() { sed -n "s/^$2 //p" "$TMP/$1.out"; }
loops() { nq r divertctl stat -a "$1" | awk '$2 == "loop" {print $1; exit}'; }
has_loops() { [ "$(loops "$1")" = "$2" ]; }

# ---- with a tag below the rule's number ----

port=2000
# bounded WHAT FROM TO DIRECTION PINGS LIB_REFLECT-OPTIONS...: one rule diverts the packets, and the
# program writes them back with tag 0
bounded() {
	local what=$1 from=$2 to=$3 dir=$4 pings=$5 types="icmp from any to any icmptypes 8"
	shift 5
	case $to in *:*) types="ipv6-icmp from any to any icmp6types 128" ;; esac
	port=$((port + 1))
	r ipfw -q flush
	# shellcheck disable=SC2086 # words
	r ipfw -q add 100 divert $port $types $dir
	lib_reflect back -t 0 "$@" $port
	n "$from" ping -q -n -c "$pings" -l "$pings" -i 0.002 -W 0.1 "$to" >/dev/null
	wait_for 5 "$what: each one ends" has_loops $port "$pings"
	stop back
	if [ "${1:-}" = -n ]; then
		# a packet that was read before any came twice is taken for one that was written
		# back once
		works "$what: each was read at most $((MAX + 1)) times" \
			test "$(count back received)" -le $((pings * (MAX + 1)))
	else
		is "$what: each was read $((MAX + 1)) times, written back $MAX times" \
			"$(count back received) $(count back sent)" \
			"$((pings * (MAX + 1))) $((pings * MAX))"
	fi
	is "$what: then the program is told" "$(error back ELOOP) $(count back failed)" \
		"$pings $pings"
	is "$what: and it is counted" "$(loops $port)" "$pings"
}

for v in 4 6; do
	case $v in
	4) at_b=10.2.0.1 at_r=10.1.0.2 lo=127.0.0.1 ;;
	6) at_b=fd02::1 at_r=fd01::2 lo=::1 ;;
	esac
	bounded "IPv$v, forwarded, in" a $at_b in 5
	bounded "IPv$v, forwarded, out" a $at_b out 5
	bounded "IPv$v, to the host" a $at_r in 5
	bounded "IPv$v, from the host" r $at_b out 5
	bounded "IPv$v, over lo, out" r $lo out 5
	bounded "IPv$v, in batches" a $at_b in 20 -n 8
	bounded "IPv$v, changed each time" a $at_b in 5 -R
done

# A packet written back with the tag of an earlier rule starts again from that rule.
port=$((port + 1))
r ipfw -q flush
r ipfw -q add 100 divert $port icmp from any to any in icmptypes 8
r ipfw -q add 200 divert $((port + 1)) icmp from any to any in icmptypes 8
lib_reflect right $port
lib_reflect wrong -t 100 $((port + 1))
n a ping -q -n -c 3 -i 0.01 -W 0.1 10.2.0.1 >/dev/null
wait_for 5 "to the tag of another rule: each one ends" has_loops $((port + 1)) 3
stop right
stop wrong
is "to the tag of another rule: read once by the right program" "$(count right received)" 3
is "to the tag of another rule: and $MAX times by the wrong one" \
	"$(count wrong received) $(error wrong ELOOP)" "$((3 * MAX)) 3"

# ---- correct programs ----

# three_rules PROTO PORT: in and out, all to one port
three_rules() {
	r ipfw -q flush
	r ipfw -q add 100 divert "$2" "$1" from any to any in
	r ipfw -q add 200 divert "$2" "$1" from any to any in
	r ipfw -q add 300 divert "$2" "$1" from any to any in
	r ipfw -q add 400 divert "$2" "$1" from any to any out
	r ipfw -q add 500 divert "$2" "$1" from any to any out
	r ipfw -q add 600 divert "$2" "$1" from any to any out
	r ipfw -q add 700 count "$1" from any to any out
}

for option in -n1 -n16; do
	for to in 10.2.0.1 fd02::1; do
		proto=icmp
		case $to in *:*) proto=ipv6-icmp ;; esac
		port=$((port + 2))
		three_rules $proto $port
		ping_ a "$to" # now the neighbours are known
		lib_reflect back $option $port
		works "six rules, $option, to $to: pings are answered" ping_ a "$to" 50
		stop back
		is "six rules, $option, to $to: nothing failed" "$(count back failed)" 0
		is "six rules, $option, to $to: no loop" "$(loops $port)" 0
	done
done

# the packets are the same in every byte
same='
import socket, struct, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
p = struct.pack("!BBHHHBBH", 0x45, 0, 0, 0x1234, 0, 64, 17, 0)
p += socket.inet_aton("10.1.0.1") + socket.inet_aton("10.2.0.1")
p += struct.pack("!HHHH", 4000, 9, 24, 0) + b"abcdefghijklmnop"
for i in range(3000):
	s.sendto(p, ("10.2.0.1", 0))
	if i % 50 == 0:
		time.sleep(0.002)'
left() { [ "$(packets r 700)" = 3000 ]; }
for option in -n1 -n7 -n64; do
	port=$((port + 2))
	three_rules udp $port
	lib_reflect back $option $port
	nq a python3 -c "$same"
	wait_for 10 "identical packets, $option: all of them leave" left
	stop back
	is "identical packets, $option: all of them leave" "$(packets r 700)" 3000
	is "identical packets, $option: nothing failed, read six times each" \
		"$(count back failed) $(count back received)" "0 18000"
	is "identical packets, $option: no loop" "$(loops $port)" 0
done
