#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# "TSO/GSO packets handled". With DIVERT_GSO large packets come whole, go back whole, and reach the
# card whole. Without it no packet is longer than the MTU. In both cases the packets that arrive are
# those that were sent:
# - TCP through a router that diverts in and out, and from and to the diverting host itself;
# - UDP with UDP_SEGMENT; IPv4 and IPv6.
#
# Fewer than 1 in 1,000 segments are sent again. Each TCP transfer has TRANSFER_MB (32; issue 3's
# figure is 1024). The network is lib.sh's: a -- r -- b.
# alone: it counts losses at full speed
. "$(dirname "$0")/lib.sh"
MB=${TRANSFER_MB:-32}
make_router

head -c $((16 << 20)) /dev/urandom >"$TMP/part"
# stream: prints MB megabytes, the same ones each time
stream() { for ((i = 0; i < MB; i += 16)); do cat "$TMP/part"; done; }
sum=$(stream | sha256sum)

longest() { sed -n 's/.*longest //p' "$TMP/$1.out"; }
listening() { nq "$1" ss -Hltn "sport = 5000" | grep -q .; }
# retransmits NS: the segments that all of its connections have sent again so far
retransmits() { nq "$1" nstat -asz TcpRetransSegs | awk '$1 == "TcpRetransSegs" {print $2}'; }

# send WHAT FROM TO-NS ADDRESS [OPTION]: sets $again, the segments sent again, and $had, those of
# them that the receiver had already
send() {
	again=$(retransmits "$2")
	had=$(had "$2")
	start recv "$3" bash -c 'socat -b 262144 -u TCP6-LISTEN:5000,ipv6only=0,reuseaddr STDOUT | sha256sum'
	wait_for 10 "TCP receiver" listening "$3"
	works "$1: sender ends well" n "$2" timeout 300 socat -b 262144 -u STDIN \
		"TCP:${4/*:*/[$4]}:5000${5-}" < <(stream)
	wait_for 60 "$1: receiver ends" test -s "$TMP/recv.out"
	wait "$pid"
	is "$1: $MB MB the same" "$(cat "$TMP/recv.out")" "$sum"
	again=$(($(retransmits "$2") - again))
	had=$(($(had "$2") - had))
}

# transfer WHAT FROM TO-NS ADDRESS: sends as fast as possible, and then at 1 Gbit/s
# (SO_MAX_PACING_RATE). It counts in segments of 1448 bytes. Segments over lo are longer, so there
# one probe of TCP is one in few. One packet of up to 46 segments may be sent again: TCP probes so
# for a lost tail if a CPU was away too long. Large packets that overtake one another (transfer.sh)
# have as many segments.
transfer() {
	local again had segments=$(((MB << 20) / 1448))
	send "$@"
	works "$1: fewer than 1 in 1,000 segments lost, or one packet ($again sent again, $had had come)" \
		test $((again - had > 46 ? (again - had) * 1000 : 0)) -lt $segments
	works "$1: fewer than 1 in 100 sent again" test $((again * 100)) -lt $segments
	send "$1, 1 Gbit/s" "${@:2}" ,setsockopt-int=1:47:125000000
	# an emulated machine is slower than that rate, and loses some
	[ "$SLOW" != 1 ] ||
		works "$1, 1 Gbit/s: fewer than 1 in 1,000 segments sent again, or one packet ($again)" \
			test $((again > 46 ? again * 1000 : 0)) -lt $segments
}

# sniff NS IF DIRECTION: starts tcpdump. sniffed: the longest IP packet of TCP that it saw, by the
# length of its frame.
sniff() {
	rm -f "$TMP/sniff.err"
	start sniff "$1" tcpdump -nn -q -U --immediate-mode -s 80 -B 8192 -i "$2" -Q "$3" -w "$TMP/sniff.pcap" tcp
	wait_for 5 "tcpdump" grep -q 'listening on' "$TMP/sniff.err"
}
sniffed() {
	stop sniff
	tcpdump -nn -r "$TMP/sniff.pcap" -e 2>/dev/null |
		sed -n 's/.*, length \([0-9]*\): .*/\1/p' | sort -n | tail -1
}

joined() { r divertctl stat -a | awk '$2 == "joined" {n += $1} END {print n}'; }

# run WHAT LIB_REFLECT-OPTION FROM TO-NS ADDRESS IF DIRECTION: tests a transfer; IF is the interface
# of r where tcpdump looks
run() {
	local what=$1 option=$2 from=$3 to=$4 addr=$5 dev=$6 dir=$7 seen before now
	before=$(joined)
	lib_reflect in $option 2001
	lib_reflect out $option 2002
	[ "$option" != -g ] || sniff r "$dev" "$dir"
	transfer "$what" "$from" "$to" "$addr"
	[ "$option" != -g ] || seen=$(sniffed)
	stop in
	stop out
	all_back "$what" in out
	if [ "$option" = -g ]; then
		works "$what: long packets were read ($(longest in), $(longest out))" \
			test $(($(longest in) > 3000 || $(longest out) > 3000)) = 1
		works "$what: and were sent as such ($seen on $dev)" test "${seen:-0}" -gt 3000
	else
		is "$what: no packet was longer than the MTU" \
			"$(($(longest in) <= 1500 && $(longest out) <= 1500))" 1
		now=$(joined)
		works "$what: segments were joined again ($((now - before)))" \
			test $((now - before)) -gt $((SLOW == 1 ? 1000 : 0))
	fi
}

r ipfw -q add 100 divert 2001 tcp from any to any in
r ipfw -q add 200 divert 2002 tcp from any to any out
for option in -g -n1; do
	for v in 4 6; do
		case $v in
		4) at_a=10.1.0.1 at_b=10.2.0.1 at_r=10.1.0.2 lo=127.0.0.1 ;;
		6) at_a=fd01::1 at_b=fd02::1 at_r=fd01::2 lo=::1 ;;
		esac
		[ $option = -g ] && w="DIVERT_GSO, IPv$v" || w="without, IPv$v"
		run "$w, forwarded" $option a b $at_b r1 out
		run "$w, from the host" $option r a $at_a r0 out
		run "$w, to the host" $option a r $at_r r0 in
		[ $option != -g ] || run "$w, over lo" $option r r $lo lo in
	done
done
# ---- UDP_SEGMENT: 100 sends of 20 datagrams of 1000 bytes and a shorter one ----

cat >"$TMP/udp.py" <<'END'
import socket, struct, sys
what, addr, ready, slow = sys.argv[1:5]
family = socket.AF_INET6 if ":" in addr else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM)
def text(n):
    return struct.pack("!I", n) * 250 if n % 21 != 20 else struct.pack("!I", n) * 7
if what == "send":
    s.setsockopt(17, 103, 1000)
    for i in range(100):
        s.sendto(b"".join(text(i * 21 + j) for j in range(21)), (addr, 7000))
else:
    s.bind(("", 7000))
    s.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)
    s.settimeout(5 * int(slow))
    open(ready, "w").write("ready")
    n = right = 0
    try:
        while n < 2100:
            right += s.recv(2000) == text(n)
            n += 1
    except TimeoutError:
        print("of", n)
    print("right", right)
END
r ipfw -q flush
r ipfw -q add 100 divert 2001 udp from any to any 7000 in
r ipfw -q add 200 divert 2002 udp from any to any 7000 out
udp_cut=$(printf '%s\n' 6.2 "$(uname -r)" | sort -V -c 2>/dev/null && echo yes)
for option in -g -n1; do
	for to in 10.2.0.1 fd02::1; do
		what="UDP_SEGMENT, $option, to $to"
		lib_reflect in $option 2001
		lib_reflect out $option 2002
		rm -f "$TMP/udp.ready"
		start udp b python3 "$TMP/udp.py" recv $to "$TMP/udp.ready" "$SLOW"
		udp=$pid
		wait_for 10 "UDP receiver" test -s "$TMP/udp.ready"
		a python3 "$TMP/udp.py" send $to - "$SLOW"
		wait "$udp"
		stop in
		stop out
		is "$what: each datagram arrives, in order and right" "$(cat "$TMP/udp.out")" "right 2100"
		if [ $option = -g ]; then
			works "$what: read as one ($(longest in))" test "$(longest in)" -gt 20000
			# if Linux does not cut it, the library has done so on its way in
			[ "$udp_cut" != yes ] ||
				works "$what: and once more ($(longest out))" test "$(longest out)" -gt 20000
		else
			works "$what: read one by one ($(longest in))" test "$(longest in)" -lt 1100
		fi
	done
done
is "nothing was lost" \
	"$(r divertctl stat | grep -c 'full\|too\|malformed\|bad\|no-\|lost')" 0
