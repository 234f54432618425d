#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# ipchains -m and -t, as ipchains(8) of Linux 2.2 and the HOWTO of ipchains have them. Packets can be
# marked "with a 32-bit unsigned value", and + and - add to the mark. The TOS is "bitwise and'ed with
# first mask and the result of this will be bitwise xor'ed with the second mask". Linux itself says
# what came of it: its routes, tables and interfaces for marks, and the host that gets the packets for
# the TOS. The network is lib.sh's: a -- r -- b.
. "$(dirname "$0")/lib.sh"
make_router

chain() { r ipchains -A "$@"; }
none() { r ipchains -F; }
r nft add table ip seen
r nft add chain ip seen forward '{ type filter hook forward priority 0; }'
for mark in 5 7 10 4294967295; do
	r nft add counter ip seen "m$mark"
	r nft add rule ip seen forward meta mark "$mark" icmp type echo-request counter name "m$mark"
done
# forwarded MARK: how many pings with this mark r has forwarded since this was asked last
forwarded() { q nft reset counter ip seen "m$1" | sed -n 's/.*packets \([0-9]*\).*/\1/p'; }
# left WHAT MARKS: the marks of the packets that have left r1 since `leaving`
leaving() {
	start left r python3 "$HERE/marks.py" r1
	wait_for 10 "who looks at what leaves r1" grep -q ready "$TMP/left.out"
}
have_left() { [ "$(wc -l <"$TMP/left.out")" -gt "$1" ]; }
left() {
	wait_for 10 "$1: all packets" have_left "$(wc -w <<<"$2")"
	stop left
	is "$1" "$(sed 1d "$TMP/left.out" | tr '\n' ' ')" "$2 "
}
# tos WHAT TOS COMMAND...: of the packets to b that COMMAND makes each has this TOS, and a header
# whose checksum is right
tos() {
	local what=$1 want=$2
	shift 2
	start dump b tcpdump -n -v -l -B 8192 -i b0 -Q in "ip dst host 10.2.0.1"
	wait_for 10 "tcpdump" grep -q "listening on" "$TMP/dump.err"
	works "$what: they arrive" "$@"
	a ping -q -c 1 -W 1 -s 77 10.2.0.1 >/dev/null # behind the others
	wait_for 10 "the last packet" grep -q "length 105)" "$TMP/dump.out"
	stop dump
	is "$what: the TOS that b gets" "$(sed -n '/length 105)/d; s/^[0-9.:]* IP (tos \([^,]*\).*/\1/p' \
		"$TMP/dump.out" | sort -u | tr '\n' ' ')" "$want "
	is "$what: the header's checksum" "$(grep -c "bad cksum" "$TMP/dump.out")" 0
}

# ---- marks on the way in: what looks at the packet next sees them ----

chain input -p icmp -s 10.1.0.1 -m 5
works "-m: ping works" ping_ a 10.2.0.1 3
is "-m: nftables sees the mark" "$(forwarded 5)" 3
r ip rule add fwmark 5 prohibit
fails "-m: routes see the mark" ping_ a 10.2.0.1
r ip rule del fwmark 5 prohibit
chain input -p icmp -s 10.1.0.1 -m +4
chain input -p icmp -s 10.1.0.1 -m +1 -j ACCEPT
chain input -p icmp -s 10.1.0.1 -m 7
ping_ a 10.2.0.1 3
is "-m +N: adds to the mark; behind the target nothing is marked" "$(forwarded 5) $(forwarded 10)" "0 3"
none
chain input -p icmp -s 10.1.0.1 -m 8
chain input -p icmp -s 10.1.0.1 -m -1
ping_ a 10.2.0.1 2
is "-m -N: takes from the mark" "$(forwarded 7)" 2
none
chain input -p icmp -s 10.1.0.1 -m -1
ping_ a 10.2.0.1 2
is "-m -1: of 0 is the highest mark" "$(forwarded 4294967295)" 2
none
chain input -p icmp -s 10.1.0.9 -m 7 -j ACCEPT
ping_ a 10.2.0.1 2
is "-m: a packet that does not match is not marked" "$(forwarded 7)" 0
none
r ipchains -N marker
chain marker -m +2
chain input -p icmp -s 10.1.0.1 -m 5 -j marker
ping_ a 10.2.0.1 2
is "-m with a chain as the target: before that chain" "$(forwarded 7)" 2
r ipfw -q add 100 count icmp from 10.1.0.1 to any in fwmark 5
r ipfw -q add 200 count icmp from 10.1.0.1 to any out fwmark 7
ping_ a 10.2.0.1 2
is "-m: rules of ipfw see it from then on" "$(packets r 100) $(packets r 200)" "0 2"
r ipfw -q delete 100 200
none
r ipchains -X

# ---- marks on the way out: before the packet is queued ----

chain output -p icmp -d 10.2.0.1 -m 7
leaving
ping_ a 10.2.0.1 2
ping_ r 10.2.0.1
left "-m in output: on what leaves" "7 7 7"
none
chain forward -p icmp -d 10.2.0.1 -m 7
leaving
ping_ a 10.2.0.1 2
ping_ r 10.2.0.1
left "-m in forward: on what is forwarded" "7 7 0"
none

# ---- the TOS ----

ping4() { ping_ a 10.2.0.1 2; }
tos "without a rule" 0x0 ping4
for value in 10 08 04 02; do
	chain input -d 10.2.0.1 -t 01 $value
	tos "-t 01 $value" 0x$((10#$value)) ping4
	none
done
for c in input forward output; do
	chain $c -d 10.2.0.1 -t 01 b8
	tos "-t in $c" 0xb8 ping4
	none
done
chain output -d 10.2.0.1 -t 01 10
tos "-t: the host's own" 0x10 ping_ r 10.2.0.1 2
none
high() { n a ping -q -n -i 0.05 -W 1 -c 2 -Q 0xfc 10.2.0.1 >/dev/null; }
chain input -d 10.2.0.1 -t f3 04
tos "-t: both masks" 0xf4 high
none
chain input -p icmp -d 10.2.0.1 -t 01 10
options() { n a ping -q -n -R -c 2 -i 0.05 -W 1 10.2.0.1 >/dev/null; }
tos "-t: a header with options" 0x10 options
# Fragments but the first have no type of ICMP, but these are diverted with it, and put together
long() { n a ping -q -n -s 4000 -c 2 -i 0.05 -W 1 10.2.0.1 >/dev/null; }
tos "-t: fragments" 0x10 long
none
chain input -p icmp -s 0/0 8 -d 10.2.0.1 -t 01 10 -j DIVERT 2000
reflect back r 2000
tos "-t and DIVERT: fragments" 0x10 long
stop back
none

# large packets, which r1 cuts into segments
r ethtool -K r1 tso off gso off >/dev/null
head -c 1000000 /dev/zero >"$TMP/data"
listening() { nq b ss -Hltn "sport = 5000" | grep -q .; }
transfer() {
	start recv b socat -u TCP-LISTEN:5000,reuseaddr "CREATE:$TMP/got"
	wait_for 10 "TCP receiver" listening
	a socat -u "OPEN:$TMP/data" TCP:10.2.0.1:5000 && wait "$pid" && cmp "$TMP/data" "$TMP/got"
}
for c in input output; do
	chain $c -p tcp -d 10.2.0.1 -t 01 08
	chain $c -p icmp -d 10.2.0.1 -t 01 08
	tos "-t in $c: segments of large packets" 0x8 transfer
	none
done

# ---- a packet that is marked and diverted is marked once ----

for c in input output; do
	chain $c -p icmp -d 10.2.0.1 -m +7 -t ff 08 -j DIVERT 2000
	reflect back r 2000
	leaving
	tos "$c: -t and DIVERT" 0x8 ping4
	left "$c: -m and DIVERT: on what leaves" "7 7 7"
	stop back
	is "$c: each was diverted" "$(count back received)" 3
	none
done
forwarded 7 >/dev/null
chain input -p icmp -d 10.2.0.1 -m +7 -t ff 08 -j DIVERT 2000
start info r interceptor -x 2000
wait_for 10 "interceptor" grep -q "listening on" "$TMP/info.err"
works "DIVERT: interceptor writes back" ping_ a 10.2.0.1 2
stop info
like "DIVERT: the program's copy has the TOS" "$(cat "$TMP/info.out")" "45 08 00 54 "
is "DIVERT: what is written back has the mark" "$(forwarded 7)" 2
none

# ---- lists, saved chains, other rules ----

chain input -p icmp -m 5 -t 01 10
chain input -p icmp -m +6
chain input -p icmp -m -7 -j ACCEPT
chain input -p icmp -j ACCEPT
is "-L -v: TOS and mark" "$(r ipchains -L input -nv | sed 1,2d | awk '{ print $6, $7, $9 }')" "0x01 0x10 0x5
0xFF 0x00 +0x6
0xFF 0x00 -0x7
0xFF 0x00 0.0.0.0/0"
is "ipfw list" "$(q ipfw list 50000-50004)" "50001 count setfwmark 5 settos 01 10 ip4 from any to any proto icmp in // input 1
50002 count setfwmark +6 ip4 from any to any proto icmp in // input 2
50003 allow setfwmark +4294967289 ip4 from any to any proto icmp in // input 3
50004 allow ip4 from any to any proto icmp in // input 4"
r ipchains-save >"$TMP/saved" 2>/dev/null
none
works "ipchains-restore" r ipchains-restore <"$TMP/saved"
is "ipchains-restore: the same chains" "$(r ipchains-save 2>/dev/null)" "$(cat "$TMP/saved")"
fails "-D: with another mark" r ipchains -D input -p icmp -m 5 -t 01 08
works "-D: with the same" r ipchains -D input -p icmp -t 01 10 -m 5
none
like "ipfw add refuses it" "$(q ipfw add count setfwmark 5 ip from any to any 2>&1)" \
	"setfwmark: only rules of chains have it: use ipchains -m"
like "ipfw add refuses it" "$(q ipfw add count settos 01 10 ip from any to any 2>&1)" \
	"settos: only rules of chains have it: use ipchains -t"
