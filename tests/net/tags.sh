#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A packet's tag decides where it continues, and which rules count it. divert(4): "the packet meets
# only rules with a greater number. With 0 it meets all of them, and may be diverted again. The tag
# counts for this pass only. A packet that is put back inbound and then forwarded meets all rules on
# its way out." Then ipfw(8), row by row: diverted, diverted-loopback, diverted-output, skipto, tee,
# deny, not, ports, recv, xmit and via with wildcards, ip4, ip6, all with exact counters, for IPv4
# and IPv6. The rules are on r; pings and UDP go through it. The network is lib.sh's: a -- r -- b.
. "$(dirname "$0")/lib.sh"
make_router

# rules LINE...: replaces the rules; E stands for "any echo request"
rules() {
	local line
	local -a words
	r ipfw -q flush
	for line in "$@"; do
		read -ra words <<<"${line/ E/ $proto from any to any $types}"
		r ipfw -q add "${words[@]}"
	done
}

# counts WHAT EXPECTED: the packet counts of all rules but the default one, in order
counts() {
	is "$1" "$(nq r ipfw show | awk '$1 != 65535 {printf "%s%d", s, $2; s = " "}')" "$2"
}

# through WHAT EXPECTED [OPTIONS]: sends three pings, reflected on port 2000 with these options, and
# checks the counters
through() {
	local what=$1 expected=$2
	shift 2
	reflect back r "$@" 2000
	works "$what: ping works" ping_ a "$to" 3
	stop back
	counts "$what: counters" "$expected"
}

for family in 4 6; do
	if [ $family = 4 ]; then
		to=10.2.0.1 from=10.1.0.1 proto=icmp types="icmptypes 8" size=84
	else
		to=fd02::1 from=fd01::1 proto=ipv6-icmp types="icmp6types 128" size=104
	fi

	for dir in in out; do
		v="v$family $dir"
		four=("100 count E $dir" "200 divert 2000 E $dir" "200 count E $dir" "300 count E $dir")
		rules "${four[@]}"
		through "$v: on behind all of its number" "3 3 0 3"
		is "$v: bytes" "$(r ipfw show 100 | awk '{print $3}')" $((3 * size))
		is "$v: bytes of divert" "$(r ipfw show 200 | awk '{print $3; exit}')" $((3 * size))
		r ipfw -q zero
		counts "$v: zero" "0 0 0 0"

		rules "100 count E $dir" "200 divert 2000 E $dir not diverted" "200 count E $dir" \
			"300 count E $dir"
		through "$v: tag 0 meets all rules" "6 3 3 3" -t 0

		# with tag 0, and no rule against it, the packet is diverted again and again
		rules "${four[@]}"
		reflect back r -t 0 -c 5 2000
		fails "$v: tag 0 is diverted again" ping_ a "$to" 1
		wait "$pid"
		is "$v: tag 0, each time" "$(count back received)" 5
		counts "$v: tag 0, counters" "6 6 0 0"

		five=("100 count E $dir" "200 divert 2000 E $dir" "250 count E $dir" \
			"299 count E $dir" "300 count E $dir" "301 count E $dir")
		rules "${five[@]}"
		through "$v: tag 299" "3 3 0 0 3 3" -t 299
		rules "${five[@]}"
		through "$v: tag 300" "3 3 0 0 0 3" -t 300
		rules "${five[@]}"
		through "$v: tag 249" "3 3 3 3 3 3" -t 249
		for tag in 301 302 65534 65535; do
			rules "${five[@]}"
			through "$v: tag $tag, above all rules" "3 3 0 0 0 0" -t $tag
		done

		# two ports, the second one behind the first, in the order of the rule numbers
		rules "100 divert 2000 E $dir" "200 divert 2001 E $dir" "300 count E $dir"
		reflect second r 2001
		through "$v: on to the next divert rule" "3 3 3"
		stop second
		is "$v: the first socket, once each" "$(count back received)" 3
		is "$v: the second socket, once each" "$(count second received)" 3

		rules "100 divert 2000 E $dir" "200 deny E $dir"
		reflect back r 2000
		fails "$v: denied behind the divert rule" ping_ a "$to" 1
		stop back
		counts "$v: denied behind the divert rule, counters" "1 1"
	done

	# ---- one pass, one direction ----

	v=v$family
	for tag in 100 65534; do
		rules "50 count E out" "60 divert 2001 E out" "70 count E out" "100 divert 2000 E in" \
			"110 count E in"
		reflect second r 2001
		expect="3 3 3 3 3"
		[ $tag = 100 ] || expect="3 3 3 3 0"
		through "$v: back in with tag $tag, out from the first rule" "$expect" -t $tag
		stop second
		is "$v: back in with tag $tag, read once more on its way out" "$(count second received)" 3
	done
	rules "100 divert 2000 E" "200 count E"
	through "$v: one rule for both directions" "6 6"
	is "$v: one rule for both directions, read once in each" "$(count back received)" 6

	# ---- diverted ----

	marks=("110 count E in diverted-loopback" "111 count E in diverted-output"
		"112 count E in diverted" "113 count E in not diverted"
		"120 count E out diverted-loopback" "121 count E out diverted-output"
		"122 count E out diverted" "123 count E out not diverted")
	rules "${marks[@]}"
	through "$v: not diverted" "0 0 0 3 0 0 0 3"
	rules "100 divert 2000 E in" "${marks[@]}"
	through "$v: diverted in" "3 3 0 3 0 0 0 0 3"
	rules "100 divert 2000 E out" "${marks[@]}"
	through "$v: diverted out" "3 0 0 0 3 0 3 3 0"
	rules "100 divert 2000 E" "${marks[@]}"
	through "$v: diverted in and out" "6 3 0 3 0 0 3 3 0"
	rules "100 divert 2000 E in" "${marks[@]}"
	through "$v: diverted in, written out" "3 0 0 0 0 0 3 3 0" -z
	rules "100 divert 2000 E in" "130 divert 2001 E in" "140 count E in diverted-loopback" \
		"150 count E in not diverted-loopback"
	reflect second r 2001
	through "$v: diverted twice" "3 3 3 0"
	stop second

	# ---- skipto ----

	rules "100 skipto 300 E in" "200 count E in" "299 count E in" "300 count E in" "400 count E in"
	through "$v: skipto" "3 0 0 3 3"
	rules "100 skipto 250 E in" "200 count E in" "300 count E in"
	through "$v: skipto a number without a rule" "3 0 3"
	rules "100 skipto 1000 E in" "200 count E in"
	through "$v: skipto behind all rules" "3 0"
	rules "100 divert 2000 E in" "150 skipto 300 E in diverted" "200 count E in" "300 count E in"
	through "$v: skipto after the way back" "3 3 0 3"
	rules "100 skipto 300 E in" "200 divert 2000 E in" "300 divert 2000 E in" "400 count E in"
	through "$v: skipto a divert rule" "3 0 3 3"

	# ---- call and return ----

	rules "50 skipto 200 E in" "100 count E in" "120 return E in" \
		"130 count E in" "200 call 100 E in" "200 count E in" "300 call 500 E in" \
		"400 allow E in" "500 count E in" "600 return E in" "700 deny E in"
	works "$v: call and return: ping works" ping_ a "$to" 3
	counts "$v: call and return: counters" "3 3 3 0 3 0 3 3 3 3 0"
	rules "100 call 100 E in" "200 return E in" "300 count E in"
	works "$v: calls without end: ping works" ping_ a "$to" 3
	counts "$v: calls: 16 deep, then on" "51 51 3"

	# ---- tee ----

	for dir in in out; do
		rules "100 tee 2000 E $dir" "100 count E $dir" "200 count E $dir"
		through "$v: tee $dir, the copies dropped" "3 3 3" -d
		is "$v: tee $dir, each copied once" "$(count back received)" 3
		rules "100 tee 2000 E $dir" "100 count E $dir" "200 count E $dir"
		before=$(stat_of r 2000 no-listener)
		works "$v: tee $dir without a listener: ping works" ping_ a "$to" 3
		counts "$v: tee $dir without a listener: goes on" "3 3 3"
		is "$v: tee $dir without a listener: counted" \
			$(($(stat_of r 2000 no-listener) - before)) 3
		rules "100 tee 2000 E $dir" "200 count E $dir"
		reflect back r 2000
		like "$v: tee $dir, the copies written back are duplicates" \
			"$(a ping -q -n -i 0.2 -W 1 -c 3 "$to")" \
			'3 packets transmitted, 3 received, \+[23] duplicates'
		stop back
		counts "$v: tee $dir, written back: counted behind it twice" "3 6"
	done

	# ---- deny, allow, not ----

	rules "100 deny E in" "200 count E in"
	fails "$v: deny" ping_ a "$to" 1
	counts "$v: deny, counters" "1 0"
	rules "100 allow E in" "200 deny E in"
	through "$v: allow ends it" "3 0"
	other=10.99.0.0/16
	[ $family = 4 ] || other=fd99::/16
	rules "100 count $proto from $from to $to in $types" \
		"110 count $proto from not $from to $to in $types" \
		"120 count $proto from any to not $to in $types" \
		"130 count $proto from any to not $other in $types" \
		"140 count not tcp from $from to $to in $types" \
		"150 count not $proto from $from to $to in" \
		"160 count $proto from $from to $to in not $types" \
		"170 count E not out" "180 count E not in" \
		"190 divert 2000 $proto from $from to not $to in" \
		"200 divert 2000 $proto from $from to $to not out $types" "210 count E in"
	through "$v: not" "3 0 0 3 3 0 0 3 3 0 3 3"

	# ---- interfaces ----

	rules "100 divert 2000 E" \
		"110 count E in recv r0" "111 count E in recv r1" "112 count E in recv r*" \
		"113 count E in recv lo*" "114 count E in not recv r0" \
		"120 count E out recv r0" "121 count E out recv r1" "122 count E recv r*" \
		"130 count E out xmit r1" "131 count E out xmit r0" "132 count E xmit r*" \
		"133 count E out not xmit r1" "134 count E out recv r0 xmit r1" \
		"140 count E via r0" "141 count E via r1" "142 count E via r*" "143 count E via r" \
		"144 count E in via r1" "145 count E out via r1" "146 count E via any"
	through "$v: interfaces" "6 3 0 3 0 0 3 0 6 3 0 3 0 3 3 3 6 0 0 3 6"
	# no address means no tag, too
	rules "100 divert 2000 E out not diverted" "110 count E out recv r0" \
		"120 count E out not recv r*" "130 count E xmit r1"
	through "$v: written out without an address, received by nobody" "3 0 3 3" -N
	rules "100 divert 2000 E in recv r1" "200 count E in recv r0"
	through "$v: divert at the other interface only" "0 3"

	# ---- versions ----

	rules "100 count ip from any to any 7000" "110 count ip4 from any to any 7000" \
		"120 count ip6 from any to any 7000" "130 count all from any to any 7000" \
		"140 count ipv4 from any to any 7000" "150 count ipv6 from any to any 7000" \
		"160 divert 2000 ip$family from any to any 7000 in" \
		"170 divert 2000 ip$((10 - family)) from any to any 7000" \
		"180 count ip$family from any to any 7000 in"
	reflect back r 2000
	a python3 "$HERE/numbered.py" send "$to" 7000 10 >"$TMP/sent"
	settled() { [ "$(packets r 180) $(packets r 130)" = "10 20" ]; }
	wait_for 5 "$v: the datagrams" settled
	stop back
	expect="20 20 0 20 20 0 10 0 10"
	[ $family = 4 ] || expect="20 0 20 20 0 20 10 0 10"
	counts "$v: ip, ip4, ip6" "$expect"

	# ---- ports ----

	rules "100 count udp from any to $to 7000 in" "110 count udp from any to $to 7001-7003 in" \
		"120 count udp from any to $to 6000,7000-7002,7010 in" \
		"130 count udp from any to $to not 7000 in" "140 count udp from any 7000 to $to in" \
		"150 count tcp from any to $to 7000 in" "160 count ip from any to $to 7000 in" \
		"170 count ip from any to $to dst-port 7000 in" "180 count udp from any to $to in" \
		"190 divert 2000 udp from any to any 7000,7003 in" \
		"200 count udp from any to $to in"
	reflect back r 2000
	for port in 7000 7001 7003 7004; do
		a python3 "$HERE/numbered.py" send $to $port 10 >"$TMP/sent"
	done
	settled() { [ "$(packets r 200)" = 40 ]; }
	wait_for 5 "v$family: the datagrams" settled
	stop back
	counts "$v: ports" "10 20 20 30 0 0 10 10 40 20 40"
	is "$v: ports, each of the two read" "$(count back received)" 20
done
