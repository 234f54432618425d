#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Counters are set to 0 under traffic. One CPU counts as many packets as it can, while another sets
# the counters to 0 again and again. No 0 is lost, and no packet is: ZERO_ROUNDS of each kind (100).
# The rules are on r, where packets for b arrive at r0. The network is lib.sh's: a -- r -- b.
# long: it counts under load
. "$(dirname "$0")/lib.sh"
ROUNDS=${ZERO_ROUNDS:-100}
make_router

# traffic COMMAND...: sends on the last CPU until stopped, and returns when COMMAND succeeds
traffic() {
	start generator r "$TOP/build/bench/generator" -i r0 -s 10.1.0.1 -d 10.2.0.1 -t 600 -c $(($(nproc) - 1))
	wait_for 5 "packets come" "$@"
}
# over: ends the traffic; it had $n packets
over() {
	stop generator
	n=$(sed -n 's/^sent \([0-9]*\) .*/\1/p' "$TMP/generator.out")
	echo "# $n packets"
}
more_than() { [ "$(q ipfw show "$1" | awk '{print $2}')" -gt "$2" ]; }

# ---- ipfw zero ----
#
# Each packet passes 100, 200 and 300, and only 200 is set to 0. The test reads 300, sets 200 to 0,
# and reads 200 and 100. Then 200 cannot have more packets than 100 has had since the one that 300
# had counted.

TRAFFIC="udp from any to any 9 in"
for i in 100 200 300; do q ipfw -q add $i count "$TRAFFIC"; done
q ipfw -q add 400 deny "$TRAFFIC"
q ipfw -q zero
traffic more_than 300 1000
lost=0
for ((i = 0; i < ROUNDS; i++)); do
	read -r _ before _ < <(q ipfw show 300)
	q ipfw -q zero 200
	{
		read -r _ of_200 _
		read -r _ of_100 _
	} < <(q ipfw show 200 100)
	[ "$of_200" -le $((of_100 - before)) ] || lost=$((lost + 1))
done
over
is "ipfw zero under traffic: of $ROUNDS were lost" $lost 0
is "ipfw zero under traffic: the other rules have counted each packet" \
	"$(packets r 100) $(packets r 300) $(packets r 400)" "$n $n $n"
works "ipfw zero under traffic: this one has not" test "$(packets r 200)" -lt "$n"
q ipfw -q zero
is "ipfw zero: it and all others are 0" "$(q ipfw show | awk '{print $2, $3}' | sort -u)" "0 0"
is "ipfw zero: when they last matched is forgotten" "$(q ipfw -T list 200 | awk '{print $2}')" 0

# ---- a rule's counters go to another rule after it ----

q ipfw -q delete 200
traffic more_than 300 1000
for ((i = 0; i < ROUNDS / 10; i++)); do
	q ipfw -q add 200 count icmp from any to any in
	q ipfw -q delete 200
done
q ipfw -q add 200 count icmp from any to any in
over
ping_ a 10.1.0.2 2
is "a new rule begins with 0" "$(q ipfw show 200 | awk '{print $2, $3}')" "2 168"
is "rules that stay count on" "$(packets r 100) $(packets r 300)" "$n $n"
q ipfw -q flush

# ---- ipchains -L -Z ----
#
# The command subtracts what it shows, so each packet is shown once.

shown() { q ipchains -L input -Z -nvx | awk '$3 == "DENY" {print $1, $2}'; }
sum() { read -r p b <<<"$(shown)" && packets=$((packets + p)) bytes=$((bytes + b)); }
come() { q ipchains -L input -nvx | awk '$3 == "DENY" && $1 > 1000 {found = 1} END {exit !found}'; }
packets=0 bytes=0
q ipchains -A input -p udp -d 10.2.0.1 9 -j DENY
traffic come
for ((i = 0; i < ROUNDS; i++)); do sum; done
over
sum
is "ipchains -L -Z under traffic: each packet is shown once" $packets "$n"
is "ipchains -L -Z under traffic: each byte is" $bytes $((n * 64))
works "-Z" q ipchains -Z input
is "-Z: all are 0" "$(shown)" "0 0"
works "-L -Z without counters" q ipchains -L -Z -n >/dev/null
