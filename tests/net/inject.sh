#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# divert(4): "Any packet may be sent, also one that was never received"; "a socket that only sends
# need not be bound".
#
# FreeBSD's tests: a packet sent to address 0 leaves and is answered. A packet sent to a local
# address is received locally. An IPv6 packet sent through an AF_INET socket leaves as IPv6.
# Outbound the header checksum is computed. Inbound, a packet with a wrong one is counted and
# dropped.
. "$(dirname "$0")/lib.sh"
make_router
long=verylongname0
link r $long 10.3.0.2/24 fd03::2/64 -- b b1 10.3.0.1/24 fd03::1/64

inject() { nq r divert-run "$PROGS/inject" "$@"; }
# total CAUSE: the counter of sockets without a port
total() {
	nq r divertctl stat -a |
		awk -v c="$1" '/:$/ {on = $0 == "no port:"} on && $2 == c {print $1}'
}
# more CAUSE: sets $more to the difference since the last call
declare -A seen=()
more() {
	local now
	now=$(total "$1")
	more=$((now - ${seen[$1]:-0}))
	seen[$1]=$now
}
counted() {
	more "$2"
	is "$1: counted as $2" "$more" "$3"
}
# sniff NAME NS IF FILTER: captures into $TMP/NAME.pcap; sniffed NAME COUNT: waits for COUNT packets
# and prints them into $TMP/NAME.txt
sniff() {
	start "$1" "$2" tcpdump -n -U --immediate-mode -i "$3" -w "$TMP/$1.pcap" "$4"
	wait_for 10 "tcpdump on $3" grep -q "listening on" "$TMP/$1.err"
}
has_packets() { [ "$(tcpdump -n -r "$TMP/$1.pcap" 2>/dev/null | wc -l)" -ge "$2" ]; }
sniffed() {
	wait_for 5 "$1: $2 packets on the wire" has_packets "$1" "$2"
	stop "$1"
	tcpdump -nvv -r "$TMP/$1.pcap" 2>/dev/null >"$TMP/$1.txt"
}

r ipfw -q add 100 count icmp from 10.1.0.2 to 10.1.0.1 out icmptypes 8
r ipfw -q add 110 count icmp from 10.1.0.1 to 10.1.0.2 in icmptypes 0
r ipfw -q add 120 count ipv6-icmp from fd01::2 to fd01::1 out icmp6types 128
r ipfw -q add 130 count ipv6-icmp from fd01::1 to fd01::2 in icmp6types 129
r ipfw -q add 140 count ip from any to any diverted-loopback
r ipfw -q add 150 count ip from any to any diverted-output
r ping -q -c1 -W2 10.1.0.1 >/dev/null # now the neighbours are known
r ping -q -c1 -W2 fd01::1 >/dev/null
r ipfw -q zero

# rule_counts WHAT RULE NUMBER
rule_counts() {
	wait_for 2 "$1: rule $2 counts $3" bash -c \
		"[ \$($PROGS/within $NS-r ipfw show $2 | awk '{print \$2}') -ge $3 ]"
	is "$1: rule $2" "$(packets r "$2")" "$3"
}

# ---- outbound: it leaves and is answered ----

for how in "" "-N" "-P 254"; do
	r ipfw -q zero
	more written-out
	# shellcheck disable=SC2086
	is "outbound $how" "$(inject $how -i -4 10.1.0.2 10.1.0.1)" "ok 44"
	rule_counts "outbound $how: the request left" 100 1
	rule_counts "outbound $how: and was answered" 110 1
	rule_counts "outbound $how: as diverted-output" 150 1
	counted "outbound $how" written-out 1
	# shellcheck disable=SC2086
	is "outbound $how, IPv6 through AF_INET" "$(inject $how -i -6 fd01::2 fd01::1)" "ok 64"
	rule_counts "outbound $how, IPv6: the request left" 120 1
	rule_counts "outbound $how, IPv6: and was answered" 130 1
	counted "outbound $how, IPv6" written-out 1
done
r ipfw -q zero
is "outbound, IPv6 through AF_INET6" "$(inject -f -i -6 fd01::2 fd01::1)" "ok 64"
rule_counts "outbound, IPv6 through AF_INET6: answered" 130 1
counted "outbound, AF_INET6" written-out 1
is "outbound, five in a row" "$(inject -n 5 -i -4 10.1.0.2 10.1.0.1)" "ok 44"
rule_counts "outbound, five in a row: answered" 110 5
counted "outbound, five in a row" written-out 5
counted "none of these" written-in 0

# the source is not ours, and the destination is behind a router: it is routed anew all the same
sniff far b b0 "udp port 9"
is "outbound, another host's source" "$(inject -4 192.0.2.7 10.2.0.1)" "ok 44"
is "outbound, IPv6, another host's source" "$(inject -6 2001:db8::7 fd02::1)" "ok 64"
sniffed far 2
is "on the wire" "$(tcpdump -nq -r "$TMP/far.pcap" 2>/dev/null | sed 's/^[^ ]* //')" \
	"IP 192.0.2.7.4000 > 10.2.0.1.9: UDP, length 16
IP6 2001:db8::7.4000 > fd02::1.9: UDP, length 16"

# with a tag, the packet starts behind the rules up to that number
r ipfw -q zero
inject -t 100 -i -4 10.1.0.2 10.1.0.1 >/dev/null
rule_counts "outbound with tag 100: answered" 110 1
is "outbound with tag 100: rule 100 is behind it" "$(packets r 100)" 0
is "outbound with tag 100: rule 150 is not" "$(packets r 150)" 1
is "the tag is of one pass: the answer meets all rules" "$(packets r 110)" 1

# ---- inbound: received locally ----

start socat4 r socat -u UDP4-RECV:9 OPEN:"$TMP/udp4",creat,append
start socat6 r socat -u UDP6-RECV:9,ipv6only OPEN:"$TMP/udp6",creat,append
wait_for 5 "the UDP receivers" bash -c \
	"[ \$($PROGS/within $NS-r ss -Hnlu 'sport = :9' | wc -l) = 2 ]"
received() {
	wait_for 3 "$1: received" bash -c "[ \$(wc -c <$TMP/$2) -ge $3 ]"
	is "$1: received by the UDP socket" "$(cat "$TMP/$2")" "$4"
	: >"$TMP/$2"
}
touch "$TMP/udp4" "$TMP/udp6"
text=abcdefghijklmnop
more written-out
# inject gives :INDEX for a name that does not fit into sin_zero
for how in "-I r0" "-I $long" "-a 10.1.0.2" "-a 10.2.0.2" "-a 10.3.0.2"; do
	r ipfw -q zero
	more written-in
	# shellcheck disable=SC2086
	is "inbound $how" "$(inject $how -4 10.1.0.1 10.1.0.2)" "ok 44"
	received "inbound $how" udp4 16 $text
	# shellcheck disable=SC2086
	is "inbound $how, IPv6" "$(inject $how -6 fd01::1 fd01::2)" "ok 64"
	received "inbound $how, IPv6" udp6 16 $text
	is "inbound $how: as diverted-loopback" "$(packets r 140)" 2
	counted "inbound $how" written-in 2
	counted "inbound $how" written-out 0
done
is "inbound, AF_INET6, by scope" "$(inject -f -I r0 -6 fd01::1 fd01::2)" "ok 64"
received "inbound, AF_INET6, by scope" udp6 16 $text
is "inbound, AF_INET6, by address" "$(inject -f -a fd02::2 -6 fd02::1 fd02::2)" "ok 64"
received "inbound, AF_INET6, by address" udp6 16 $text
r ipfw -q add 160 count udp from 10.1.0.9 to any in recv r1
is "inbound: recv is the interface that the address gives" \
	"$(inject -a 10.2.0.2 -4 10.1.0.9 10.2.0.2)" "ok 44"
r ipfw -q add 170 count udp from 10.1.0.9 to any in recv r0
is "inbound: a name wins over the address" \
	"$(inject -I r0 -a 10.2.0.2 -4 10.1.0.9 10.1.0.2)" "ok 44"
r ipfw -q add 180 count udp from 10.1.0.9 to any in recv $long
is "inbound: :INDEX wins over the address" \
	"$(inject -I $long -a 10.2.0.2 -4 10.1.0.9 10.1.0.2)" "ok 44"
is "inbound: by index" "$(packets r 180)" 1
is "inbound: by address" "$(packets r 160)" 1
is "inbound: by name" "$(packets r 170)" 1
: >"$TMP/udp4"

# inbound, to be forwarded: it leaves on the other side, with one hop less
sniff forwarded b b0 "udp port 9"
is "inbound, forwarded" "$(inject -I r0 -T 33 -4 10.1.0.1 10.2.0.1)" "ok 44"
sniffed forwarded 1
like "inbound, forwarded: one hop less" "$(cat "$TMP/forwarded.txt")" "ttl 32,"

# ---- checksums ----

sniff sums b b0 "udp port 9"
more written-out
is "outbound, a wrong header checksum" "$(inject -C -4 10.2.0.2 10.2.0.1)" "ok 44"
header=45000030123400004011000a0a0200020a020001 # 000a is a wrong checksum
zeroed=4500002c12340000401100000a0200020a020001 # 0000 is a checksum not filled in, as on FreeBSD
payload=0fa000090018000061626364656667686970716b6c6d6e6f
is "outbound, a zeroed header checksum" "$(echo "$zeroed$payload" | inject)" "ok 44"
is "outbound, a header checksum of other lengths" \
	"$(echo "${header}${payload}00000000" | inject)" "ok 48"
sniffed sums 3
is "outbound, on the wire: bad header checksums" "$(grep -c 'bad cksum' "$TMP/sums.txt")" 0
is "outbound, on the wire: the rest untouched" \
	"$(tcpdump -n -x -r "$TMP/sums.pcap" 'ip[2:2] = 44 and udp[6:2] = 0' 2>/dev/null |
		sed -n 's/^\s*0x....: *//p' | tr -d ' \n')" "${zeroed/110000/115487}$payload"
counted "outbound, wrong checksums" written-out 3
counted "outbound, wrong checksums" bad-checksum 0

more written-in
is "inbound, a wrong header checksum" "$(inject -C -I r0 -4 10.1.0.1 10.1.0.2)" "ok 44"
counted "inbound, a wrong header checksum" bad-checksum 1
zeroed=4500002c12340000401100000a0100010a010002
is "inbound, a zeroed header checksum" "$(echo "$zeroed$payload" | inject -I r0)" "ok 44"
counted "inbound, a zeroed header checksum" bad-checksum 1
counted "inbound, wrong checksums" written-in 0
is "inbound, a right one after them" "$(inject -I r0 -4 10.1.0.1 10.1.0.2)" "ok 44"
received "inbound: just the right one" udp4 16 $text

# bytes behind the packet are cut off, as the stack does
sniff behind b b0 "udp port 9"
zeroed=4500002c12340000401100000a0200020a020001
is "outbound, bytes behind the packet" "$(echo "$zeroed${payload}ffffffff" | inject)" "ok 48"
sniffed behind 1
like "outbound, on the wire without them" "$(cat "$TMP/behind.txt")" "length 44\)"
