#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Dynamic rules: ipfw(8), STATEFUL FIREWALL. The test covers keep-state, check-state, record-state,
# limit, set-limit, defer-action, names of flows, lifetimes and the number of states, with exact
# counters, for IPv4 and IPv6. The rules are on r, and apply to what comes in. Rules on a and b
# count what arrives there, and keep it from their stacks, which would answer. The network is
# lib.sh's:
#
#	a 10.1.0.1, .3 --- r --- b 10.2.0.1, .3
#	  fd01::1, ::3             fd02::1, ::3
#
# long: states have to end
. "$(dirname "$0")/lib.sh"
make_router
ip -n "$NS-a" addr add 10.1.0.3/24 dev a0
ip -n "$NS-a" addr add fd01::3/64 dev a0 nodad
ip -n "$NS-b" addr add 10.2.0.3/24 dev b0
ip -n "$NS-b" addr add fd02::3/64 dev b0 nodad
# nobody takes these as a source by himself
ip -n "$NS-a" addr change fd01::3/64 dev a0 preferred_lft 0
ip -n "$NS-b" addr change fd02::3/64 dev b0 preferred_lft 0
for host in a b; do
	nq $host ipfw -q add 100 deny udp from any to any in
	nq $host ipfw -q add 200 deny tcp from any to any in
done

# rules LINE...: replaces the rules, at once; A and B stand for the addresses, ICMP for the protocol
rules() {
	local script
	script=$(printf 'add %s\n' "10 allow ip from any to any out" "$@" |
		sed "s/\bA\b/$A/g; s/\bB\b/$B/g; s/\bICMP\b/$icmp/g")
	echo "# $script" >&2
	q ipfw -q - <<<"flush
$script"
	nq a ipfw -q zero
	nq b ipfw -q zero
}

# send a|b PROTO PORTS PORTS [BYTES|FLAGS [ACK]]: progs/flow.py, from there to the other host
# from a|b ADDRESS ADDRESS PROTO PORTS PORTS ...: the same between other addresses
send() {
	if [ "$1" = a ]; then from a "$A" "$B" "${@:2}"; else from b "$B" "$A" "${@:2}"; fi
}
from() { n "$1" python3 "$HERE/flow.py" "$4" "$2" "$5" "$3" "${@:6}"; }

# fragment PORT ID WHICH: these fragments of a packet from A, 4000 to B
fragment() { n a python3 "$HERE/trial.py" send a0 "$mac" "$A" "$B" "$@"; }

# counted: packets of each rule of r but 10 and the default one. counts WHAT EXPECTED: checks it
counted() { q ipfw show | awk '$1 != 65535 && $1 != 10 {printf "%s%d", s, $2; s = " "}'; }
counts() { soon "v$v: $1" "$2" counted; }
# arrived HOST: packets of UDP and TCP that reached it. reached WHAT A B: checks it for a and b
arrived() { nq "$1" ipfw show 100-200 | awk '{n += $2} END {print n}'; }
both_arrived() { echo "$(arrived a) $(arrived b)"; }
reached() { soon "v$v: $1" "$2 $3" both_arrived; }

# states: the list, without what is left of the time. has WHAT LINE...: checks it. A and B stand for
# the addresses, A3 and B3 for the others
states() {
	q ipfw -D show | sed "/^##/d
		s/ *([0-9]*s)//; s/  */ /g; s/$A /A /g; s/$B /B /g
		s/$A3 /A3 /g; s/$B3 /B3 /g; s/$none /- /g" | sort
}
has() {
	local IFS=$'\n'
	soon "v$v: $1" "${*:2}" states
}
unnoted() { ! q ipfw -D list | grep -q FIRST; }
ended() { ! q ipfw -D list | grep -q 'STATE\|LIMIT'; }
# of CAUSE: the engine's counter, which is no port's
of() { q divertctl stat -a | awk -v c="$1" '$2 == c {n += $1} END {print n}'; }
lives() {
	local x
	for x in ack syn fin rst udp short; do
		q divertctl set dyn_${x}_lifetime "$1"
		shift
	done
}

mac=$(ip -n "$NS-r" -br link show r0 | awk '{print $3}')
for v in 4 6; do
	if [ $v = 4 ]; then
		A=10.1.0.1 B=10.2.0.1 A3=10.1.0.3 B3=10.2.0.3 none=0.0.0.0
		icmp=icmp echoes="icmptypes 0,8" unreach="icmptypes 3"
		udp=29 echo=84 first=1500
	else
		A=fd01::1 B=fd02::1 A3=fd01::3 B3=fd02::3 none=::
		icmp=ipv6-icmp echoes="icmp6types 128,129" unreach="icmp6types 1"
		udp=49 echo=104 first=1496
	fi
	lives 300 20 1 1 100 50
	q divertctl set dyn_max 16384

	# ---- keep-state, check-state ----

	rules "100 check-state" "200 allow udp from A to B 53 keep-state" \
		"900 deny udp from any to any"
	is "v$v: list" "$(q ipfw list 100-200)" "00100 check-state :default
00200 allow udp from $A to $B dst-port 53 keep-state :default"
	send b udp 53 1000
	counts "without a state, a packet from outside is denied" "0 0 1"
	has "which makes no state" ""
	send a udp 1000 53
	counts "the first packet makes the state" "0 1 1"
	has "the state" "00200 1 $udp STATE udp A 1000 <-> B 53 :default"
	send b udp 53 1000
	send b udp 53 1000
	counts "the answers' action is the parent's, which counts them" "0 3 1"
	send a udp 1000 53
	counts "so is that of the next packet" "0 4 1"
	has "the state counts all" "00200 4 $((4 * udp)) STATE udp A 1000 <-> B 53 :default"
	reached "all others arrived" 2 2
	send b udp 53 1001
	send b udp 54 1000
	send b tcp 53 1000
	counts "other ports and protocols are no part of it" "0 4 3"
	reached "but TCP, which no rule denies" 3 2
	send a udp 1001 53
	has "another flow is another state" "00200 1 $udp STATE udp A 1001 <-> B 53 :default" \
		"00200 4 $((4 * udp)) STATE udp A 1000 <-> B 53 :default"

	rules "200 allow udp from A to B 53 keep-state" "900 deny udp from any to any"
	has "a flush ends them all" ""
	send b udp 53 1000
	send a udp 1000 53
	send b udp 53 1000
	counts "keep-state checks by itself" "2 1"
	reached "keep-state checks by itself" 1 1

	rules "200 allow ICMP from A to B keep-state" "900 deny ICMP from any to any $echoes"
	fails "v$v: ICMP: b's echo requests are denied" n b ping -n -c 1 -W 0.3 "$A"
	works "v$v: ICMP: a's are answered" ping_ a "$B" 2
	has "ICMP: no ports" "00200 4 $((4 * echo)) STATE $icmp A 0 <-> B 0 :default"
	works "v$v: ICMP: so b's belong to the state, too" ping_ b "$A" 1
	has "ICMP: all" "00200 6 $((6 * echo)) STATE $icmp A 0 <-> B 0 :default"
	r ipfw -q delete 200 900

	# ---- each action ----

	rules "100 check-state" "200 deny udp from A to B 53 keep-state"
	send a udp 1000 53
	send b udp 53 1000
	counts "deny" "0 2"
	reached "deny" 0 0

	rules "100 check-state" "200 count udp from A to B 53 keep-state" \
		"300 allow udp from A to B" "400 allow udp from B to A"
	send a udp 1000 53
	send b udp 53 1000
	send b udp 53 1000
	counts "count: on behind the parent" "0 3 1 2"
	reached "count" 2 1

	rules "100 check-state" "200 skipto 500 udp from A to B 53 keep-state" \
		"300 deny udp from any to any" "500 allow udp from any to any"
	send a udp 1000 53
	send b udp 53 1000
	counts "skipto" "0 2 0 2"
	reached "skipto" 1 1

	rules "100 check-state" "200 call 1000 udp from A to B 53 keep-state" \
		"300 allow udp from B to A" "400 deny udp from any to any" \
		"1000 count udp from any to any" \
		"1100 return udp from any to any"
	send a udp 1000 53
	send b udp 53 1000
	counts "call" "0 2 1 1 2 2"
	reached "call" 1 0

	rules "100 check-state" "200 tee 2001 udp from A to B 53 keep-state" \
		"300 allow udp from any to any"
	reflect tee r -d 2001
	send a udp 1000 53
	send b udp 53 1000
	counts "tee" "0 2 2"
	reached "tee" 1 1
	stop tee
	is "v$v: tee: both directions were copied" "$(count tee received)" 2

	# The parent stands behind the check-state: what is written back goes on behind the parent.
	rules "100 check-state" "200 divert 2000 udp from A to B 53 keep-state" \
		"300 count udp from A to B" "400 count udp from B to A" \
		"500 allow udp from any to any"
	reflect back r 2000
	send a udp 1000 53
	send b udp 53 1000
	send a udp 1000 53
	counts "divert: both directions, on behind the parent" "0 3 2 1 3"
	reached "divert" 1 2
	has "divert: the state meets each packet once" \
		"00200 3 $((3 * udp)) STATE udp A 1000 <-> B 53 :default"
	send a udp 1000 53 3000
	# Three fragments; of IPv6, they leave the socket as three, too.
	counts "divert: fragments go the way of the first one" \
		"0 6 $((v == 4 ? 3 : 5)) 1 $((v == 4 ? 4 : 6))"
	reached "divert: fragments" 1 5
	has "divert: the first fragment meets the state" \
		"00200 4 $((3 * udp + first)) STATE udp A 1000 <-> B 53 :default"
	stop back
	all_back "v$v: divert" back
	is "v$v: divert: the program had each packet" "$(count back received)" 4

	# Another packet has the id again, and no state: its fragments do not follow the older one's.
	rules "100 check-state" "200 allow udp from A to B 53 keep-state" "900 deny ip from A to B"
	fragment 53 7 01
	counts "fragments: the later one follows the state" "0 2 0"
	fragment 54 7 02
	counts "fragments: of another packet with the id" "0 2 2"

	# A check-state behind the tag is met: here it finds another rule's state.
	rules "100 divert 2000 udp from any to any 53" "200 check-state" \
		"300 allow udp from A to B 53 keep-state" "900 deny udp from any to any"
	reflect back r 2000
	send a udp 1000 53
	send a udp 1000 53
	counts "a check-state behind the tag" "2 0 2 0"
	send b udp 53 1000
	counts "a check-state behind the tag: the answer" "2 0 3 0"
	reached "a check-state behind the tag" 1 2
	stop back
	all_back "v$v: a check-state behind the tag" back

	# ---- names ----

	rules "100 check-state :one" "200 check-state :two" \
		"300 allow udp from A to B 53 keep-state :two" \
		"400 deny udp from A to B keep-state :one" "900 deny udp from any to any"
	send a udp 1000 53-54
	counts "names: each has states of its own" "0 0 1 1 0"
	send b udp 53-54 1000
	counts "names: each finds its own" "0 0 2 2 0"
	has "names: listed" "00300 2 $((2 * udp)) STATE udp A 1000 <-> B 53 :two" \
		"00400 2 $((2 * udp)) STATE udp A 1000 <-> B 54 :one"
	rules "100 check-state :one" "200 allow udp from A to B 53 record-state :two" \
		"900 deny udp from any to any"
	send a udp 1000 53
	send b udp 53 1000
	counts "names: another one is not found" "0 1 1"
	rules "100 check-state :any" "200 allow udp from A to B 53 record-state :two" \
		"300 allow udp from A to B 54 record-state" "900 deny udp from any to any"
	send a udp 1000 53-54
	send b udp 53-54 1000
	counts ":any finds each" "0 2 2 0"
	reached ":any finds each" 2 2

	# ---- record-state, defer-action ----

	rules "200 allow udp from A to B 53 record-state" "900 deny udp from any to any"
	send a udp 1000 53
	send b udp 53 1000
	send a udp 1000 53
	counts "record-state checks nothing" "2 1"
	is "v$v: record-state: one state" "$(q ipfw -D list | grep -c STATE)" 1
	rules "100 check-state" "200 deny udp from A to B 53 record-state defer-action" \
		"300 allow udp from any to any"
	like "v$v: defer-action: list" "$(q ipfw list 200)" \
		" dst-port 53 record-state :default defer-immediate-action$"
	send a udp 1000 53
	counts "defer-action: the first packet goes on" "0 0 1"
	send a udp 1000 53
	send b udp 53 1000
	counts "defer-action: later ones have the action" "0 2 1"
	reached "defer-action" 0 1

	# ---- first N ----

	rules "200 count udp from any to any first 3" "210 count udp from any to any not first 2" \
		"220 count udp from A to any first 2"
	for i in 1 2 3 4 5; do send a udp 1000 53; done
	for i in 1 2 3 4; do send b udp 53 1000; done
	counts "first: each rule counts on its own, and in each direction" "6 5 2"
	send a udp 1001 53
	counts "first: each flow" "7 5 3"
	is "v$v: first: listed" "$(q ipfw -D list 200 | grep -c "00200 FIRST 3 3 udp $A 1000 <-> $B 53$")" 1
	send a udp 1002 53 3000
	counts "first: later fragments match, and are not counted" "10 5 6"
	send a udp 1002 53
	counts "first: the first fragment is counted" "11 5 7"
	rules "200 count tcp from any to any first 2"
	for flags in S A A S A A; do send a tcp 1000 80 $flags; done
	counts "first: a SYN begins anew" "4"
	rules "200 allow udp from A to any first 1 keep-state" "300 count udp from any to any"
	send a udp 1000 53
	send b udp 53 1000
	send a udp 1000 53
	counts "first: what is found by its state is not counted" "3 0"

	# At a divert rule the later fragments go with the first one.
	rules "200 divert 2000 udp from A to any first 1" "300 count udp from A to any"
	reflect back r 2000
	fragment 53 1 012
	counts "first: fragments are diverted with the first one" "3 $((v == 4 ? 1 : 3))"
	fragment 53 2 012
	counts "first: fragments go on with the first one" "3 $((v == 4 ? 4 : 6))"
	stop back
	all_back "v$v: first: fragments" back
	is "v$v: first: fragments: the program had one packet" "$(count back received)" 1
	rules "200 count udp from any to any first 1" "300 count udp from any to any not first 1"
	q divertctl set dyn_max 1
	full=$(of states-full)
	refused() { echo $(($(of states-full) - full)); }
	send a udp 1000-1001 53
	send a udp 1000-1001 53
	counts "first: without room to count it matches" "3 0"
	soon "v$v: first: without room: counted" 6 refused
	q divertctl set dyn_udp_lifetime 1
	send a udp 1000 53
	wait_for 5 "the end of what first counts" unnoted
	send a udp 1000 53
	counts "first: counting begins anew when no packet came" "4 0"
	wait_for 5 "the end of what first counts" unnoted
	q divertctl set dyn_udp_lifetime 100
	# Expired ones are removed no more often than once a second.
	noted() { send a udp 1001 53 && q ipfw -D list | grep -q "FIRST 1 0 udp $A 1001 "; }
	wait_for 5 "v$v: first: what is over leaves its room" noted
	q divertctl set dyn_max 16384

	# ---- limit ----

	limited=$(of states-limit)
	rules "200 allow udp from any to any 53-59 limit src-addr 2" "900 deny udp from any to any"
	send a udp 1000-1002 53
	counts "limit src-addr: two of three, and the third is dropped there" "3 0"
	is "v$v: limit src-addr: counted" $(($(of states-limit) - limited)) 1
	from a "$A3" "$B" udp 1000-1002 53
	counts "limit src-addr: as many of another source" "6 0"
	reached "limit src-addr" 0 4
	is "v$v: limit src-addr: counted" $(($(of states-limit) - limited)) 2
	has "limit src-addr: listed" "00200 0 0 PARENT 2 udp A 0 <-> - 0 :default" \
		"00200 0 0 PARENT 2 udp A3 0 <-> - 0 :default" \
		"00200 1 $udp LIMIT udp A 1000 <-> B 53 :default" \
		"00200 1 $udp LIMIT udp A 1001 <-> B 53 :default" \
		"00200 1 $udp LIMIT udp A3 1000 <-> B 53 :default" \
		"00200 1 $udp LIMIT udp A3 1001 <-> B 53 :default"
	send a udp 1000 53
	send b udp 53 1001
	counts "limit: known flows go on" "8 0"

	# by WHAT SENT PASSED PORTS PORTS: two states of each; the flows to B, and as many to B3
	by() {
		limited=$(of states-limit)
		rules "200 allow udp from any to any limit $1 2"
		send a udp "$3" "$4"
		from a "$A" "$B3" udp "$3" "$4"
		from a "$A3" "$B" udp "$3" "$4"
		counts "limit $1: what is dropped counts, too" 27
		reached "limit $1" 0 "$2"
		is "v$v: limit $1: counted" $(($(of states-limit) - limited)) $((27 - $2))
	}
	by src-addr 4 1000-1002 53-55
	by dst-addr 4 1000-1002 53-55
	by src-port 6 1000-1002 53-55
	by dst-port 6 1000-1002 53-55
	by "src-addr dst-addr" 6 1000-1002 53-55
	by "src-addr src-port" 12 1000-1002 53-55
	by "src-port dst-port" 18 1000-1002 53-55
	by "dst-addr dst-port" 12 1000-1002 53-55
	by all 27 1000-1002 53-55
	is "v$v: limit all: list" "$(q ipfw list 200)" \
		"00200 allow udp from any to any limit all 2 :default"

	rules "100 check-state" "200 allow udp from A to B 53 set-limit src-addr 1" \
		"900 deny udp from any to any"
	send a udp 1000-1001 53
	send b udp 53 1000
	counts "set-limit: one flow" "0 3 0"
	reached "set-limit: one flow" 1 1

	q divertctl set dyn_udp_lifetime 1
	rules "200 allow udp from A to B 53 limit dst-addr 1"
	limited=$(of states-limit)
	send a udp 1000-1001 53
	reached "limit: one at a time" 0 1
	is "v$v: limit: one at a time" $(($(of states-limit) - limited)) 1
	wait_for 5 "the end of the state" ended
	q divertctl set dyn_udp_lifetime 100
	# Expired states are removed no more often than once a second.
	next() { send a udp 1001 53 && [ "$(arrived b)" = 2 ]; }
	wait_for 5 "v$v: limit: counted down" next
	is "v$v: limit: the next one" "$(states | sed 's/ [0-9]* [0-9]* / /')" \
		"00200 PARENT 1 udp - 0 <-> B 0 :default
00200 LIMIT udp A 1001 <-> B 53 :default"

	# ---- lifetimes ----

	# life: what the only state has left, as the setting that gave it: see lives()
	life() {
		local left
		left=$(q ipfw -D show | sed -n 's/.*(\([0-9]*\)s).*/\1/p')
		echo "${left:+$(((left + 999) / 1000))}"
	}
	# tcp WHAT LIFE HOST:FLAGS[:ACK]...: the lifetime of a state that meets these segments
	tcp() {
		local what=$1 wanted=$2 met=0 part
		shift 2
		rules "200 allow tcp from any to any keep-state"
		for part; do
			IFS=: read -r host flags ack <<<"$part"
			case $host in
			a) send a tcp 1000 80 "$flags" ${ack:+"$ack"} ;;
			b) send b tcp 80 1000 "$flags" ${ack:+"$ack"} ;;
			esac
			met=$((met + 1))
			soon "v$v: $what: packet $met" $met packets r 200 >"$TMP/soon"
		done
		is "v$v: $what" "$(life)" "$wanted"
	}
	lives 1000 2000 3000 4000 5000 6000
	tcp "SYN" 2 a:S
	tcp "SYN twice" 2 a:S a:S
	tcp "SYN, SYN+ACK: not established yet" 2 a:S b:SA
	tcp "established" 1 a:S b:SA a:A
	tcp "one side has ended" 1 a:S b:SA a:A a:FA b:A
	tcp "the other side has ended" 1 a:S b:SA a:A b:FA a:A
	tcp "both sides have ended" 3 a:S b:SA a:A a:FA b:FA
	tcp "simultaneous open" 2 a:S b:S
	tcp "simultaneous open: established" 1 a:S b:S a:SA b:SA
	tcp "RST" 4 a:S b:SA a:A a:R
	tcp "RST of the other side" 4 a:S b:SA a:A b:RA
	tcp "a SYN that is refused" 4 a:S b:RA
	tcp "not begun with SYN" 4 a:A
	tcp "not begun with SYN, in both directions" 4 a:A b:A a:A

	# Only acknowledgements of both sides that do not go back extend it.
	tcp "before" 1 a:S b:SA a:A
	q divertctl set dyn_ack_lifetime 7000
	send b tcp 80 1000 A 900
	counts "an acknowledgement that goes back" 4
	is "v$v: it extends nothing" "$(life)" 1
	send b tcp 80 1000 A 1000
	counts "another one" 5
	is "v$v: one of the other side does" "$(life)" 7

	rules "200 allow udp from any to any keep-state"
	send a udp 1000 53
	counts "UDP" 1
	is "v$v: UDP" "$(life)" 5
	rules "200 allow 136 from any to any keep-state"
	send a 136 1000 53
	counts "UDP-Lite" 1
	is "v$v: UDP-Lite is as UDP" "$(life)" 5
	rules "200 allow ICMP from any to any $echoes keep-state"
	ping_ a "$B"
	is "v$v: ICMP" "$(life)" 6
	rules "200 allow 47 from any to any keep-state"
	send a 47 0 0
	counts "GRE" 1
	has "GRE has no ports" "00200 1 $((udp - 1)) STATE gre A 0 <-> B 0 :default"
	is "v$v: GRE" "$(life)" 6

	q divertctl set dyn_ack_lifetime 1000
	for case in tcp:1 udp:5 136:5 47:6; do
		rules "200 count ${case%:*} from any to any first 1"
		send a "${case%:*}" 1000 53
		counts "first: protocol ${case%:*}" 1
		is "v$v: first: protocol ${case%:*}: as long as its states" "$(life)" "${case#*:}"
	done

	# They do end, and are found no more.
	lives 2 2 2 2 2 2
	rules "100 check-state" "200 allow udp from A to any 53 keep-state" \
		"200 allow tcp from A to any 80 keep-state" \
		"200 allow ICMP from A to any $echoes keep-state" "900 deny udp from any to any" \
		"910 deny tcp from any to any" "920 deny ICMP from any to any $echoes"
	send a tcp 1000-1001 80
	send b tcp 80 1001 SA
	send a tcp 1001 80 A
	send a udp 1000 53
	ping_ a "$B"
	wait_for 10 "the end of all states" ended
	send b tcp 80 1000-1001 A
	send b udp 53 1000
	n b ping -n -c 1 -W 0.3 "$A" >/dev/null
	counts "nothing finds states whose time is over" "0 1 4 2 1 2 1"
	is "v$v: -e lists them" "$(q ipfw -D -e show | grep -c '(0s) STATE')" 4
	is "v$v: without -e they are not listed" "$(q ipfw -D show | grep -c STATE)" 0

	# An ICMP error is no part of the flow that it tells of.
	rules "100 check-state" "200 allow udp from A to B 53 keep-state" \
		"300 count ICMP from any to any $unreach" "400 allow ICMP from any to any"
	nq b ipfw -q set disable 0
	send a udp 1000 53
	counts "an ICMP error" "0 1 1 1"
	nq b ipfw -q set enable 0
	has "an ICMP error" "00200 1 $udp STATE udp A 1000 <-> B 53 :default"
	lives 300 20 1 1 100 50

	# ---- changes of the rules ----

	rules "200 allow udp from A to B 53 keep-state" \
		"300 set 1 allow udp from A to B 54 keep-state" "900 deny udp from any to any"
	one="00200 1 $udp STATE udp A 1000 <-> B 53 :default"
	two="00300 1 $udp STATE udp A 1000 <-> B 54 :default"
	send a udp 1000 53-54
	has "two rules" "$one" "$two"
	r ipfw -q add 100 count udp from any to any 1
	r ipfw -q add 250 allow udp from "$A" to "$B" 55 keep-state
	r ipfw -q delete 100
	r ipfw -q zero
	has "other rules come and go: they stay" "$one" "$two"
	r ipfw -q delete 250
	has "so do they when other rules with states go" "$one" "$two"
	r ipfw -q set move rule 200 to 2
	has "and when their rule moves to another set" "$one" "$two"
	for set in 1 2; do
		is "v$v: those of set $set" "$(q ipfw -D set $set list | grep -c STATE)" 1
	done
	r ipfw -q set disable 1
	send b udp 54 1000
	counts "a disabled set's states go on" "0 0"
	reached "a disabled set's states go on" 1 2
	r ipfw -q set enable 1
	has "the set is enabled again" "$one" \
		"00300 2 $((2 * udp)) STATE udp A 1000 <-> B 54 :default"
	r ipfw -q delete 200
	has "delete" "00300 2 $((2 * udp)) STATE udp A 1000 <-> B 54 :default"
	r ipfw -q add 200 allow udp from "$A" to "$B" 53 keep-state
	send b udp 53 1000
	counts "a rule like the deleted one has none of its states" "0 1 1"
	r ipfw -q -f flush
	is "v$v: flush" "$(q ipfw -d list)" "65535 allow ip from any to any"

	# ---- their number ----

	full=$(of states-full)
	q divertctl set dyn_max 4
	rules "200 allow udp from A to B keep-state" "900 deny udp from any to any"
	send a udp 1000-1005 53
	reached "full: as many as there is room for" 0 4
	soon "v$v: full: the others are counted" 2 refused
	send b udp 53 1000-1005
	counts "full: the old ones go on" "10 2"
	fails "v$v: full: no room for fewer" q divertctl set dyn_max 3 2>"$TMP/err"
	like "v$v: full: no room for fewer" "$(cat "$TMP/err")" "more states than 3"
	is "v$v: full: no room for fewer: it stays" "$(q divertctl get dyn_max)" "dyn_max 4"
	works "v$v: full: room for more" q divertctl set dyn_max 5
	send a udp 1004-1005 53
	reached "full: one more" 4 5
	is "v$v: full: one more" "$(states | wc -l)" 5
	q divertctl set dyn_udp_lifetime 1
	send a udp 1000-1004 53
	reached "full: the last packets of all" 4 10
	wait_for 10 "the end of the states" ended
	q divertctl set dyn_udp_lifetime 100
	next() { send a udp 2000-2004 53 && [ "$(states | wc -l)" = 5 ]; }
	wait_for 5 "v$v: full: room again" next
	is "v$v: full: room for five" "$(states | grep -c ' A 200[0-4] ')" 5
	q divertctl set dyn_max 16384
done

# ---- the list ----

v=4 A=10.1.0.1 B=10.2.0.1 A3=10.1.0.3 B3=10.2.0.3 none=0.0.0.0 icmp=icmp udp=29
rules "200 allow udp from A to B 53 limit src-addr 5" "300 allow tcp from A to B keep-state :x" \
	"900 deny udp from any to any"
send a udp 1000 53
send a tcp 1000 80
left='\([0-9]+s\)'
listed() { q ipfw -D list | grep -c " :"; }
soon "list: all are there" 3 listed
like "-d show" "$(q ipfw -d show | tail -4)" "^## Dynamic rules \\(3 [0-9]+\\):
00200 +0 +0 $left PARENT 1 udp 10.1.0.1 0 <-> 0.0.0.0 0 :default
00200 +1 +29 $left LIMIT udp 10.1.0.1 1000 <-> 10.2.0.1 53 :default
00300 +1 +40 $left STATE tcp 10.1.0.1 1000 <-> 10.2.0.1 80 :x$"
is "-d list" "$(q ipfw -d list | sed 's/(3 [0-9]*)/(3 N)/')" "$(q ipfw list)
## Dynamic rules (3 N):
00200 PARENT 1 udp 10.1.0.1 0 <-> 0.0.0.0 0 :default
00200 LIMIT udp 10.1.0.1 1000 <-> 10.2.0.1 53 :default
00300 STATE tcp 10.1.0.1 1000 <-> 10.2.0.1 80 :x"
is "-D list" "$(q ipfw -D list)" "$(q ipfw -d list | tail -4)"
is "-D list RULE" "$(q ipfw -D list 300)" "## Dynamic rules:
00300 STATE tcp 10.1.0.1 1000 <-> 10.2.0.1 80 :x"
is "-e alone lists none" "$(q ipfw -e list)" "$(q ipfw list)"
r ipfw -D delete 200
found() { q ipfw -D list | grep -c 'STATE\|LIMIT'; }
is "-D delete 200: its states go" "$(found)" 1
is "-D delete 200: the rule stays" "$(q ipfw list 200 | wc -l)" 1
r ipfw -D -q -f flush
is "-D flush: all states go" "$(found)" 0
is "-D flush: the rules stay" "$(q ipfw list | wc -l)" 5
# the limit has room at once, also where it was reached a moment ago
rules "200 allow udp from A to B 53 limit src-addr 2" "900 deny udp from any to any"
for i in 1 2 3; do
	send a udp 1000-1002 53
	r ipfw -D delete 200
	send a udp $((2000 + i)) 53
	is "-D delete 200, $i: room under the limit" "$(q ipfw -D list | grep LIMIT)" \
		"00200 LIMIT udp 10.1.0.1 $((2000 + i)) <-> 10.2.0.1 53 :default"
done
is "-d without states" "$(r ipfw -q -f flush && q ipfw -d list)" "$(q ipfw list)"

# ---- divertctl ----

for name in ack:300 syn:20 fin:1 rst:1 udp:10 short:5; do
	set=dyn_${name%:*}_lifetime value=${name#*:}
	q divertctl set "$set" "$value"
	is "get $set" "$(q divertctl get "$set")" "$set $value"
	for bad in 0 -1 1000001 99999999999999999999 1s on ""; do
		q divertctl set "$set" "$bad" 2>"$TMP/err"
		is "set $set '$bad': status" $? 2
		like "set $set '$bad': says" "$(cat "$TMP/err")" \
			"$set is a number from 1 to 1000000"
	done
	works "set $set 1000000" q divertctl set "$set" 1000000
	is "set $set 1000000" "$(q divertctl get "$set")" "$set 1000000"
	q divertctl set "$set" "$value"
done
for bad in 0 -1 1048577 4k off; do
	q divertctl set dyn_max $bad 2>"$TMP/err"
	is "set dyn_max $bad: status" $? 2
	like "set dyn_max $bad: says" "$(cat "$TMP/err")" "dyn_max is a number from 1 to 1048576"
done
is "get: all" "$(q divertctl get)" "pass-through off
trains on
dyn_ack_lifetime 300
dyn_syn_lifetime 20
dyn_fin_lifetime 1
dyn_rst_lifetime 1
dyn_udp_lifetime 10
dyn_short_lifetime 5
dyn_max 16384
released_lifetime 300"

# ---- the map: only while rules make states ----

if command -v bpftool >/dev/null; then
	r ipfw -q add 100 check-state
	r ipfw -q add 200 allow udp from any to any
	is "no map where no rule makes states" "$(map_in flows)" ""
	r ipfw -q add 300 allow udp from any to any keep-state
	is "the map" "$(map_in flows)" flow_states
	r ipfw -q delete 300
	is "no map when the rule is gone" "$(map_in flows)" ""
	r ipfw -q add 300 allow udp from any to any keep-state
	r ipfw -q -f flush
	r ipfw -q add 100 count ip from any to any
	is "no map after a flush" "$(map_in flows)" ""
else
	echo "skip the map: no bpftool"
fi

# ---- upgrade ----

rules "100 check-state" "200 allow udp from A to B 53 limit src-addr 5" \
	"900 deny udp from any to any"
q divertctl set dyn_udp_lifetime 77
list=$(q ipfw list)
send a udp 1000 53
works "upgrade -f" q divertctl upgrade -f
is "upgrade -f keeps the rules" "$(q ipfw list)" "$list"
is "upgrade -f keeps the settings" "$(q divertctl get dyn_udp_lifetime)" "dyn_udp_lifetime 77"
send a udp 1001 53
send b udp 53 1001
reached "upgrade -f: rules make states" 1 2
