#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# verrevpath, versrcreach and antispoof: some sources are where the routes and addresses of r say,
# and some are not. The network is lib.sh's: a -- r -- b; r's default route leads to b.
. "$(dirname "$0")/lib.sh"
make_router

# ask WHAT NAMESPACE SOURCE DESTINATION EXPECTED: sends a ping from there; EXPECTED says which rules
# from 100 on counted it
ask() {
	local w="$v: $1" pinged=0
	q ipfw -q zero
	[ "$2" = r ] || n "$2" ping -q -n -c 1 -W 0.05 -I "$3" "$4" >/dev/null
	[ "$2" != r ] || q ping -q -n -c 1 -W 1 "$4" >/dev/null
	asked() { pinged=$(packets r 50) && [ "$pinged" -gt 0 ]; }
	wait_for 5 "$w" asked
	is "$w: packets" "$pinged" 1
	is "$w" "$(q ipfw show | awk '$1 >= 100 && $1 != 65535 {printf "%s%d", s, $2; s = " "}')" "$5"
}
# rules PACKETS: for these packets, a rule for each question and one for its opposite
rules() {
	local o
	r ipfw -q -f flush
	r ipfw -q add 50 count "$1"
	for o in verrevpath versrcreach antispoof; do
		r ipfw -q add count "$1" $o
		r ipfw -q add count "$1" not $o
	done
}

for family in 4 6; do
	v=v$family
	if [ $family = 4 ]; then
		six=() a=10.1.0.1 b=10.2.0.1 r0=10.1.0.2 r1=10.2.0.2 bits=32 echo="icmptypes 8"
		nowhere=240.0.0.0/4 behind=198.51.100.7 net=198.51.100.0/24 taken=10.2.0.77 mine=10.2.0.2
	else
		six=(-6) a=fd01::1 b=fd02::1 r0=fd01::2 r1=fd02::2 bits=128 echo="icmp6types 128"
		nowhere=4000::/3 behind=fd99::7 net=fd99::/64 taken=fd02::77 mine=fd02::2
	fi
	for x in $behind $taken $mine; do add_addr a lo "$x/$bits"; done
	ip -n "$NS-r" "${six[@]}" route add default via $b

	# verrevpath, versrcreach, antispoof: "1 0" is a match, "0 1" is none
	rules "$echo in recv r0"
	ask "a neighbour" a $a $b "1 0 1 0 1 0"
	ask "a neighbour, to the router" a $a $r0 "1 0 1 0 1 0"
	ask "by the default route only" a $behind $b "0 1 0 1 1 0"
	ask "of another link" a $taken $b "0 1 1 0 0 1"
	ask "of the router itself" a $mine $b "0 1 0 1 0 1"
	[ $family = 4 ] || ask "link-local" a a0 ff02::1 "1 0 1 0 1 0"

	# routes
	ip -n "$NS-r" "${six[@]}" route add $net via $a
	ask "by a route" a $behind $b "1 0 1 0 1 0"
	ip -n "$NS-r" "${six[@]}" route del $net
	ip -n "$NS-r" "${six[@]}" route add $net dev r1
	ask "by a route that leaves elsewhere" a $behind $b "0 1 1 0 1 0"
	ip -n "$NS-r" "${six[@]}" route del $net
	ip -n "$NS-r" "${six[@]}" route add $net via $b
	ask "by a route with the default one's gateway" a $behind $b "0 1 0 1 1 0"
	ip -n "$NS-r" "${six[@]}" route del $net
	ip -n "$NS-r" "${six[@]}" route add $net via $b metric 50
	ask "and with another metric" a $behind $b "0 1 1 0 1 0"
	ip -n "$NS-r" "${six[@]}" route del $net
	# The engine compares with the route to an unassigned address. Such an address may have a
	# route of its own; then it compares with a second one.
	ip -n "$NS-r" "${six[@]}" route add blackhole $nowhere
	ask "by the default route, and the unassigned blocked" a $behind $b "0 1 0 1 1 0"
	ip -n "$NS-r" "${six[@]}" route del blackhole $nowhere
	for x in blackhole unreachable prohibit; do
		ip -n "$NS-r" "${six[@]}" route add $x $net
		ask "by a route of type $x" a $behind $b "0 1 0 1 1 0"
		ip -n "$NS-r" "${six[@]}" route del $x $net
	done
	ip -n "$NS-r" "${six[@]}" route del default
	ask "without a default route" a $behind $b "0 1 0 1 1 0"
	ip -n "$NS-r" "${six[@]}" route add default via $a
	ask "by a default route that leads there" a $behind $b "1 0 0 1 1 0"
	ip -n "$NS-r" "${six[@]}" route del default
	ip -n "$NS-r" "${six[@]}" route add default via $b
	rules "$echo in recv r1"
	ask "the gateway of the default route" b $b $a "1 0 1 0 1 0"

	rules "$echo in recv r0"
	q sysctl -qw "net.ipv$family.conf.lo.forwarding=0"
	ask "while lo does not forward" a $a $b "0 1 0 1 1 0"
	q sysctl -qw "net.ipv$family.conf.lo.forwarding=1"

	# packets that always match
	rules "$echo out xmit r1"
	ask "on its way out" a $behind $b "1 0 1 0 1 0"
	rules "$echo in recv lo"
	ask "on lo" r "" $r1 "1 0 1 0 1 0"

	# the usual purpose of these options
	r ipfw -q -f flush
	r ipfw -q add deny not antispoof in
	fails "$v: a ping with another link's address" a ping -q -n -c 1 -W 0.3 -I $taken $b
	works "$v: a ping" ping_ a $b
	r ipfw -q -f flush
	ip -n "$NS-r" "${six[@]}" route del default
done
