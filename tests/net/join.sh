#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The kernel has TCP or UDP segments as one large packet, and a program receives them one by one.
# When the program writes them back, they are merged (GRO) and go as one packet again (divert(4),
# "Large packets"). Whatever the program does with them, the packets on the wire are those that it
# wrote.
#
# The network is lib.sh's: a -- r -- b. r's card cuts nothing itself. The test compares each byte
# that the program wrote with what b sees. One large packet has 40 segments unless a case says
# otherwise.
. "$(dirname "$0")/lib.sh"
make_router
command -v ethtool >/dev/null || skip_all "no ethtool"
r ethtool -K r1 tx off tso off gso off >/dev/null
ping_ a 10.2.0.1
ping_ a fd02::1
mac=$(with_sys r cat /sys/class/net/r0/address)
# b does not answer: a would not know the connection
b ip route add blackhole 10.1.0.0/24
b ip -6 route add blackhole fd01::/64

proto=tcp N=40 bytes=1000 how=large where="out xmit r1"
seen() { tcpdump -n -r "$TMP/$wire.pcap" 2>/dev/null | wc -l; }
has_seen() { [ "$(seen)" -ge "$1" ]; }
hex() { tcpdump -t -n -x -r "$TMP/$1.pcap" 2>/dev/null | grep '^	'; }
counters() { echo "$(stat_of r "$port" written-in) $(stat_of r "$port" written-out) $(stat_of r "$port" entered) $(stat_of r "$port" joined)"; }

between=(true)
ended() { [ "$(wc -l <"$TMP/program.out")" = 3 ]; }
cases=0
# segments NAME WHAT TO: sends a large packet. The program reads its segments, changes them as WHAT
# says, and writes them. Returns when it has ended.
segments() {
	local from=10.1.0.1
	[[ $3 != *:* ]] || from=fd01::1
	wire=wire$((++cases)) port=$((2100 + cases))
	r ipfw -q flush
	# shellcheck disable=SC2086
	r ipfw -q add 100 divert $port $proto from any to any 9 $where
	r ipfw -q add 200 count $proto from any to any 9 out xmit r1
	start "$wire" b tcpdump -n -U -B 8192 --immediate-mode -i b0 -w "$TMP/$wire.pcap" "$proto" dst port 9
	wait_for 10 "tcpdump" grep -q "listening on" "$TMP/$wire.err"
	rm -f "$TMP/go"
	start program r divert-run "$PROGS/segments" "$port" "$N" "$2" "$TMP/wrote.pcap" "$TMP/go"
	wait_for 5 "$1: the program" grep -q ready "$TMP/program.out"
	a python3 "$HERE/segments.py" a0 "$mac" "$from" "$3" $proto "$N" $bytes $how
	wait_for 5 "$1: read" grep -qx read "$TMP/program.out"
	"${between[@]}"
	touch "$TMP/go"
	wait_for 10 "$1: the program" ended
}
# joins NAME WHAT PACKETS JOINED AS [TO]: the program writes PACKETS, JOINED of them are merged, and
# they leave as AS packets
joins() {
	local name=$1 written=$3
	segments "$name" "$2" "${6:-10.2.0.1}"
	wait_for 5 "$name: packets" has_seen "$written"
	stop "$wire"
	is "$name: sendmmsg" "$(tail -1 "$TMP/program.out")" "$written"
	is "$name: what is on the wire is what was written" "$(hex "$wire" | md5sum)" "$(hex wrote | md5sum)"
	is "$name: counted, and joined" "$(counters)" "0 $written $written $4"
	is "$name: packets at the rules behind" "$(packets r 200)" "$5"
}

joins "unchanged" none 40 40 1
joins "wrong checksum" sum:20 40 39 3
for what in tos ttl id df ports seq ack window urgent option mark; do
	joins "another $what" $what:20 40 39 3
done
joins "another tag" rule:20 40 39 3
joins "the first is another" window:0 40 39 2
joins "the last is another" window:39 40 39 2
joins "PSH" flags=08:20 40 40 2
joins "FIN" flags=01:20 40 40 2
for flag in 02 04 20 80; do
	joins "SYN, RST, URG, CWR: $flag" flags=$flag:20 40 39 3
done
for what in sum mf flags=02 flags=04 flags=20 flags=80; do
	joins "all have $what" $what:all 40 0 40
done
joins "ECE" flags=40:20 40 39 3
joins "a short one" short:20 40 40 2
joins "two in the other order" swap:20 40 38 4
joins "one is dropped" drop:20 39 39 2
joins "one comes twice: not more than were cut" twice:20 41 40 3
joins "IPv6" none 40 40 1 fd02::1
for what in sum tos ttl flow seq option; do
	joins "IPv6, another $what" $what:20 40 39 3 fd02::1
done
N=4
joins "four" none 4 4 1
N=3
joins "three: too few" none 3 0 3
N=60
joins "sixty" none 60 60 1
bytes=1400
joins "sixty, and more than 64 KiB" none 60 60 2
N=40 bytes=1000

proto=udp
joins "UDP" none 40 40 1
for what in sum nosum tos ttl id ports mark; do
	joins "UDP, another $what" $what:20 40 39 3
done
joins "UDP, a short one" short:20 40 40 2
joins "UDP, one is dropped" drop:20 39 39 2
joins "UDP, IPv6" none 40 40 1 fd02::1
for what in sum ttl flow ports; do
	joins "UDP, IPv6, another $what" $what:20 40 39 3 fd02::1
done
joins "UDP, IPv6, two in the other order" swap:20 40 40 1 fd02::1
joins "UDP, IPv6, one is dropped" drop:20 39 39 1 fd02::1

# segments that the kernel did not have as one packet are never merged
how=single
joins "UDP, single packets" none 40 0 40
proto=tcp
joins "single packets" none 40 0 40
how=large

# without a hook on the way: the rules have been deleted meanwhile
unhook() {
	r ipfw -q delete "$@"
	r divertctl attach
}
between=(unhook 100 200)
joins "no hook on the way out" none 40 40 0
joins "no hook on the way out, IPv6" none 40 40 0 fd02::1
between=(true)

# inbound: forwarding takes one off the TTL; the last cases are without a hook there
where="in recv r0"
for to in 10.2.0.1 fd02::1 unhooked 10.2.0.1 fd02::1; do
	[ $to != unhooked ] || { between=(unhook 100) && continue; }
	segments "inbound, $to" none $to
	wait_for 5 "inbound, $to: packets" has_seen 40
	stop "$wire"
	is "inbound, $to: whole, and each once" "$(seen) $(tcpdump -n -vv -r "$TMP/$wire.pcap" 2>/dev/null |
		grep -o 'cksum 0x[0-9a-f]* (correct), seq [0-9]*' | sort -u | wc -l)" "40 40"
	is "inbound, $to: counted, and joined" "$(counters)" "40 0 40 40"
	is "inbound, $to: packets at the rules behind" "$(packets r 200)" 1
done

# Refused packets are not merged; the program gets the errors as ever, and they are counted once.
# refused NAME RESULT CAUSE WHERE COMMAND...: runs COMMAND between reading and writing
refused() {
	local name=$1 result=$2 cause=$3 where=$4
	shift 4
	between=("$@")
	segments "$name" none 10.2.0.1
	is "$name: sendmmsg" "$(tail -1 "$TMP/program.out")" "$result"
	is "$name: counted" "$(counters)" "0 0 0 0"
	is "$name: $cause" "$(stat_of r "$port" "$cause")" 1
	stop "$wire"
}
refused "too long for the link" EMSGSIZE too-big "out xmit r1" r ip link set r1 mtu 900
r ip link set r1 mtu 1500
# the interface takes with it the link that the packet was on, and the route
refused "no route" ENETUNREACH no-route "out xmit r1" r ip link set r1 down
r ip link set r1 up
refused "interface down" ENETDOWN interface-down "in recv r0" r ip link set r0 down
r ip link set r0 up
# the link header is too old then
where="out xmit r1" between=(r sh -c "sleep 7; ip neigh flush dev r1")
joins "a neighbour that is not known" none 40 0 40
