#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The end host's own traffic, HOWTO 6: "intercept packets traveling up or down the IP stack of your
# host", and then "simply reinjecting them back as if nothing happened". The rules are on a, and b
# is the other end. r only forwards (the network is lib.sh's: a -- r -- b). The test covers a's own
# addresses, too: over lo each packet passes out and in.
# - A sender gets no error for packets that are diverted, or dropped by the program.
# - Each packet is read once in each direction.
# - 200 MB of TCP arrive whole, diverted in and out at the sending host, and at the receiving one.
. "$(dirname "$0")/lib.sh"
SIZE=$((200 << 20))
make_router

# Rules for all that is sent and received: IPv4 and IPv6, with a port for each direction.
rules_both() { # PROTO OPTIONS...
	local proto=$1
	shift
	a ipfw -q flush
	a ipfw -q add 100 divert 2001 "$proto" from any to any out "$@"
	a ipfw -q add 200 divert 2002 "$proto" from any to any in "$@"
}

# ---- no error from send ----

# no_error WHAT: UDP and ping get no error, and connect gets none but that nobody answers
no_error() {
	local what=$1 to got
	for to in 10.2.0.1 fd02::1 127.0.0.1 ::1 10.1.0.1; do
		got=$(a python3 "$HERE/numbered.py" send $to 9 200)
		is "$what: UDP to $to, sendto" "$got" "sent 200 errors 0"
		got=$(a ping -n -q -c 3 -i 0.02 -W 0.1 $to 2>&1 | grep -i 'sendmsg\|send')
		is "$what: ping $to" "$got" ""
		got=$(a timeout 0.2 socat -u /dev/null "TCP:${to/*:*/[$to]}:5009" 2>&1)
		is "$what: connect to $to, still trying" "$?" 124
	done
}

a ipfw -q add 100 divert 2001 ip from any to any out
no_error "nobody listens"
reflect drop a -d 2001
no_error "not written back"
stop drop
is "not written back: none was sent" "$(count drop sent)" 0
a ipfw -q flush
a ipfw -q add 100 deny ip from any to any out
no_error "denied"
is "denied on the way out: a connected UDP socket" \
	"$(a python3 "$HERE/numbered.py" send 10.2.0.1 9 200 --connect)" "sent 200 errors 0"

# ---- each packet once in each direction ----

# On lo each packet, request or reply, leaves and arrives at the same host, so half as many pings
# do.
for to in 10.2.0.1 10.1.0.2 fd02::1 fd01::2 127.0.0.1 127.1.2.3 10.1.0.1 ::1 fd01::1; do
	proto=icmp types="icmptypes 0,8" pings=20
	case $to in *:*) proto=ipv6-icmp types="icmp6types 128,129" ;; esac
	case $to in 127.* | 10.1.0.1 | ::1 | fd01::1) pings=10 ;; esac
	# shellcheck disable=SC2086 # words
	rules_both $proto $types
	reflect out a 2001
	reflect in a 2002
	works "ping $to, in and out diverted" ping_ a $to $pings
	stop out
	stop in
	is "ping $to: read once out" "$(count out received) $(count out sent)" "20 20"
	is "ping $to: read once in" "$(count in received) $(count in sent)" "20 20"
	is "ping $to: rules counted" "$(packets a 100) $(packets a 200)" "20 20"
done

# UDP in both directions, each datagram once
for to in 10.2.0.1 fd02::1 127.0.0.1 ::1; do
	at=b
	case $to in 127.*|::1) at=a ;; esac
	rules_both udp
	a ipfw -q delete 200
	a ipfw -q add 200 divert 2002 udp from any to any 7000 in
	reflect out a 2001
	reflect in a 2002
	rm -f "$TMP/recv.ready"
	start recv $at python3 "$HERE/numbered.py" recv 7000 "$TMP/recv.ready"
	wait_for 5 "UDP receiver" test -s "$TMP/recv.ready"
	is "UDP to $to: sent" "$(a python3 "$HERE/numbered.py" send $to 7000 1000 --pps 4000)" \
		"sent 1000 errors 0"
	stop recv
	stop out
	stop in
	is "UDP to $to: all there, once" "$(cat "$TMP/recv.out")" \
		"received 1000 distinct 1000 first 0 last 999"
	is "UDP to $to: read once out" "$(count out received)" 1000
	expect=0
	[ $at = b ] || expect=1000
	is "UDP to $to: read once in" "$(count in received)" $expect
done

# ---- 200 MB of TCP ----

python3 -c "
import random, sys
r = random.Random(1)
for _ in range($SIZE >> 20):
    sys.stdout.buffer.write(r.randbytes(1 << 20))" >"$TMP/data"
sum=$(sha256sum <"$TMP/data")

listening() { nq "$1" ss -Hltn "sport = 5000" | grep -q .; }

# transfer WHAT FROM TO-NS ADDRESS: sends the file by TCP
transfer() {
	local what=$1 from=$2 to=$3 addr=$4 begin got
	start recv "$to" bash -c 'socat -u TCP6-LISTEN:5000,ipv6only=0,reuseaddr STDOUT | sha256sum'
	wait_for 5 "TCP receiver" listening "$to"
	begin=${EPOCHREALTIME/./}
	works "$what: sender ends well" \
		n "$from" timeout 10 socat -u "OPEN:$TMP/data" "TCP:${addr/*:*/[$addr]}:5000"
	wait_for 5 "$what: receiver ends" test -s "$TMP/recv.out"
	echo "# $(((${EPOCHREALTIME/./} - begin) / 1000)) ms"
	got=$(cat "$TMP/recv.out")
	is "$what: $SIZE bytes the same" "$got" "$sum"
	kill "$pid" 2>/dev/null
	wait "$pid"
}

# diverted_transfer WHAT FROM TO-NS ADDRESS: the same, diverted in and out on a
diverted_transfer() {
	rules_both tcp
	reflect out a 2001
	reflect in a 2002
	transfer "$@"
	stop out
	is "$1: nothing failed on the way out" "$?" 0
	stop in
	is "$1: nothing failed on the way in" "$?" 0
	is "$1: all that was read out was written back" "$(count out sent)" "$(count out received)"
	is "$1: all that was read in was written back" "$(count in sent)" "$(count in received)"
	like "$1: both directions were diverted" "$(count out received) $(count in received)" \
		'^[0-9]{3,} [0-9]{3,}$'
}

diverted_transfer "sending, IPv4" a b 10.2.0.1
diverted_transfer "sending, IPv6" a b fd02::1
diverted_transfer "receiving, IPv4" b a 10.1.0.1
diverted_transfer "receiving, IPv6" b a fd01::1
diverted_transfer "over lo, 127.0.0.1" a a 127.0.0.1
diverted_transfer "over lo, ::1" a a ::1
diverted_transfer "over lo, own address" a a 10.1.0.1
