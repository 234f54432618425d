#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Released flows: divert(4), Released flows; libdivert(3), divert_release(); divertctl(8), flows. A
# program (progs/lib_release.c) on r releases flows; rules behind the divert rule count what passes,
# those on a and b what arrives, and keep it from their stacks. The network is lib.sh's:
#
#	a 10.1.0.1 --- r --- b 10.2.0.1
#	  fd01::1              fd02::1
#
# long: flows have to end
. "$(dirname "$0")/lib.sh"
make_router
for host in a b; do
	nq $host ipfw -q add 100 deny udp from any to any in
	nq $host ipfw -q add 200 deny tcp from any to any in
done
mac=$(ip -n "$NS-r" -br link show r0 | awk '{print $3}')

# rules LINE...: replaces the rules of r, which apply to what comes in
rules() {
	q ipfw -q - <<<"flush
add 10 allow ip from any to any out
$(printf 'add %s\n' "$@")"
	nq a ipfw -q zero
	nq b ipfw -q zero
}
# send a|b PROTO PORTS PORTS [BYTES|FLAGS]: progs/flow.py, from there to the other host
send() {
	local from=$A to=$B
	[ "$1" = a ] || { from=$B to=$A; }
	n "$1" python3 "$HERE/flow.py" "$2" "$from" "$3" "$to" "${@:4}"
}
# fragments PORT ID WHICH: these fragments of a packet from A, 4000 to B
fragments() { n a python3 "$HERE/trial.py" send a0 "$mac" "$A" "$B" "$@"; }

# program [OPTIONS] PORT STEP...: starts lib_release on r; it is bound when this returns
# another ...: a second one
program() { starts prog "$@"; }
another() { starts other "$@"; }
starts() {
	rm -f "$TMP/$1.ready"
	start "$1" r "$PROGS/lib_release" -p "$TMP/$1.ready" "${@:2}"
	wait_for 10 "lib_release ${*:2}" test -s "$TMP/$1.ready"
}
# stepped N: the program has done so many steps
stepped() { wait_for 10 "step $1" grep -q "step $1\$" "$TMP/prog.out"; }
# had WHAT N: ends the program; it had so many packets, and no call has failed
had() {
	stop prog
	is "v$v: $1: what the program had" "$(tail -1 "$TMP/prog.out")" "received $2"
	is "v$v: $1: no call failed" "$(grep -c '^E' "$TMP/prog.out")" 0
}
# arrived HOST, reached WHAT A B: packets that reached a and b
arrived() { nq "$1" ipfw show 100-200 | awk '{n += $2} END {print n}'; }
both_arrived() { echo "$(arrived a) $(arrived b)"; }
reached() { soon "v$v: $1" "$2 $3" both_arrived; }
# counts WHAT PASSED DROPPED: the port's counters, since the last time
counters() { q divertctl stat -a 2000 | awk '$2 ~ /^released-/ {printf "%s%d", s, $1; s = " "}'; }
counts() {
	local before=$failures
	soon "v$v: $1: counted" "$((passed += $2)) $((dropped += $3))" counters
	[ "$failures" = "$before" ] || q sh -c 'divertctl flows; divertctl stat; divertctl get' >&2
}
# flows [WORDS]: divertctl's list, without the age
flows() {
	q divertctl flows "$@" | sed "s/  */ /g; s/^ //; s/ [0-9]*s / /; s/\b$A\b/A/g; s/\b$B\b/B/g"
}
# lists WHAT LINE...: the list is this
lists() {
	local IFS=$'\n'
	soon "v$v: $1" "${*:2}" flows
}
passed=0 dropped=0

for v in 4 6; do
	if [ $v = 4 ]; then A=10.1.0.1 B=10.2.0.1; else A=fd01::1 B=fd02::1; fi

	# ---- each way to release ----

	rules "100 divert 2000 udp from any to any" "200 count udp from any to any"
	for how in pass flag-pass loan-pass loan-call; do
		program 2000 back $how
		send a udp 1000 53
		stepped 1
		lists "$how: nothing is released" ""
		send b udp 53 1000
		stepped 2
		send a udp 1000 53
		send b udp 53 1000
		send b udp 53 1000
		lists "$how" "2000 passes 3 udp A 1000 <-> B 53"
		counts "$how" 3 0
		reached "$how: both directions pass" 3 2
		send a udp 1001 53
		reached "$how: another flow" 3 3
		had "$how" 3
		nq a ipfw -q zero
		nq b ipfw -q zero
	done
	is "v$v: what passes goes on at the next rule" "$(packets r 200)" $((4 * 6))
	for how in drop flag-drop loan-drop kept-drop; do
		program 2000 $how
		send a udp 1000 53
		stepped 1
		send a udp 1000 53
		send b udp 53 1000
		lists "$how" "2000 dropped 2 udp A 1000 <-> B 53"
		counts "$how" 0 2
		reached "$how" 0 "$([ $how = kept-drop ] && echo 0 || echo 1)"
		had "$how" 1
		nq a ipfw -q zero
		nq b ipfw -q zero
	done

	# ---- its end ----

	program 2000 pass undo back pass
	send a udp 1000 53
	stepped 1
	send a udp 1000 53
	counts "undo: before" 1 0
	send a udp 1001 53
	stepped 2
	lists "undo" ""
	send a udp 1000 53
	stepped 3
	counts "undo: it comes again" 0 0
	q divertctl set released_lifetime 1
	send a udp 1000 53
	stepped 4
	lists "idle" "2000 passes 0 udp A 1000 <-> B 53"
	lists "idle: over" ""
	send a udp 1000 53
	counts "idle: it comes again" 0 0
	q divertctl set released_lifetime 300
	had "undo and idle" 5

	# Another program says that it comes again. SO_REUSEPORT: both have the port.
	program -s 2000 pass keep
	send a udp 1000 53
	stepped 1
	first=$pid
	another -s 2000
	send b udp 53 1000
	counts "a port that is shared" 1 0
	kill -KILL "$first"
	wait "$first" 2>/dev/null
	send b udp 53 1000
	counts "one of its sockets was closed" 1 0
	stop other
	is "v$v: the other had nothing" "$(tail -1 "$TMP/other.out")" "received 0"
	none=$(stat_of r 2000 no-listener)
	send b udp 53 1000
	is "v$v: the last socket is closed: the rule for nobody listening holds" \
		$(($(stat_of r 2000 no-listener) - none)) 1
	lists "nobody listens" ""
	counts "nobody listens" 0 0
	program 2000 back back
	send b udp 53 1000
	stepped 1
	lists "the next program" ""
	send b udp 53 1000
	stepped 2
	had "the next program" 2

	# ---- TCP: a SYN begins another connection ----

	rules "100 divert 2000 tcp from any to any"
	program 2000 pass back back back
	send a tcp 1000 80 S
	stepped 1
	send b tcp 80 1000 SA
	send a tcp 1000 80 A
	counts "TCP" 2 0
	send a tcp 1000 80 S
	stepped 2
	send a tcp 1000 80 A
	stepped 3
	lists "TCP: a SYN ends it" ""
	had "TCP" 3
	program 2000 kept-drop back
	send a tcp 1000 80 S
	stepped 1
	send a tcp 1000 80 S
	counts "TCP: a SYN that is sent again is dropped" 0 1
	had "TCP, dropped" 1

	# ---- fragments ----

	for how in pass drop; do
		[ $how = pass ] && id=1 || id=11
		rules "100 divert 2000 udp from any to any" "200 count udp from any to any"
		program 2000 $how back
		fragments 53 "$id" 012
		stepped 1
		fragments 53 $((id + 1)) 012
		if [ $how = pass ]; then counts "fragments" 3 0; else counts "fragments" 0 3; fi
		# The program puts the later ones together before the first one comes. They are given back.
		fragments 53 $((id + 2)) 120
		if [ $how = pass ]; then
			soon "v$v: fragments: those before the first one pass, too" \
				$((v == 4 ? 7 : 9)) packets r 200
			counts "fragments: in another order" 1 0
		else
			counts "fragments: in another order" 0 1
		fi
		fragments 54 $((id + 3)) 201
		stepped 2
		had "fragments, $how" 2
	done

	# ---- several ports, tee, first, translation ----

	rules "100 divert 2000 udp from any to any" "200 divert 2001 udp from any to any"
	program 2000 pass
	first=$pid
	another 2001
	send a udp 1000 53
	stepped 1
	send a udp 1000 53
	reached "another port" 0 2
	stop other
	is "v$v: a release is for its port only" "$(tail -1 "$TMP/other.out")" "received 2"
	counts "another port" 1 0
	had "another port" 1

	rules "100 tee 2000 udp from any to any" "200 count udp from any to any"
	program 2000 keep kept-drop
	send a udp 1000 53
	stepped 1
	send a udp 1000 53
	stepped 2
	send a udp 1000 53
	counts "tee: a copy is not made" 1 0
	soon "v$v: tee: the packets went on" 3 packets r 200
	had "tee" 2

	rules "100 divert 2000 udp from any to any first 3"
	program 2000 back pass
	send a udp 1000 53
	stepped 1
	send b udp 53 1000
	stepped 2
	send a udp 1000 53
	send b udp 53 1000
	counts "first: the released ones are among them" 2 0
	send a udp 1000 53-54
	counts "first: the third one" 1 0
	send a udp 1000 53
	reached "first" 2 5
	counts "first: the others do not come there" 0 0
	had "first" 3

	rules "100 divert 2000 udp from any to any"
	program 2000 natd
	send a udp 1000 53
	stepped 1
	send b udp 53 7
	send a udp 1000 53
	counts "translated: both flows" 2 0
	reached "translated" 1 2
	had "translated" 1

	program 2000 back batch-pass
	send a udp 1000 53
	stepped 1
	send a udp 1000 53
	stepped 2
	send b udp 53 1000
	counts "in a batch" 1 0
	reached "in a batch: each packet is written" 2 6
	had "in a batch" 2

	# ---- without privilege ----

	program -u 65534 2000 pass
	send a udp 1000 53
	stepped 1
	send b udp 53 1000
	counts "without privileges" 1 0
	had "without privileges" 1

	# ---- errors ----

	program -e 2000
	send a udp 1000 53
	wait_for 10 "the errors" grep -q "undone twice" "$TMP/prog.out"
	sed "s/ok /ok v$v: errors: /" "$TMP/prog.out"
	works "v$v: errors: each as it should be" stop prog
done

# ---- room ----

v=4 A=10.1.0.1 B=10.2.0.1
rules "100 divert 2000 udp from any to any"
q divertctl set dyn_max 2
program -a pass 2000
send a udp 1000 53-55
wait_for 10 "three flows" grep -q ENOSPC "$TMP/prog.out"
is "full: one flow more has no room: ENOSPC" "$(grep -c ENOSPC "$TMP/prog.out")" 1
is "full: it is counted" "$(stat_of r 2000 releases-full)" 1
lists "full" "2000 passes 0 udp A 1000 <-> B 53" "2000 passes 0 udp A 1000 <-> B 54"
send a udp 1000 53-55
reached "full: the flow comes to the program" 0 6
counts "full: the others do not" 2 0
works "room for more" q divertctl set dyn_max 20000
lists "room for more: those that there were stay" "2000 passes 1 udp A 1000 <-> B 53" \
	"2000 passes 1 udp A 1000 <-> B 54"
fails "room for fewer than there are" q divertctl set dyn_max 1
is "room for fewer: nothing has changed" "$(q divertctl get dyn_max)" "dyn_max 20000"
q divertctl set released_lifetime 1
send a udp 1000 53-55
lists "all are over" ""
works "what is over needs no room" q divertctl set dyn_max 3
q divertctl set released_lifetime 300
send a udp 2000 53-55
lists "what is over makes room" "2000 passes 0 udp A 2000 <-> B 53" \
	"2000 passes 0 udp A 2000 <-> B 54" "2000 passes 0 udp A 2000 <-> B 55"
q divertctl set dyn_max 16384
stop prog
is "they have a map" "$(map_in released)" released_flows
q ipfw -q zero
is "their map goes with the last socket" "$(map_in released)" ""

# ---- divertctl flows ----

program 2000 pass kept-drop
start follow r stdbuf -oL divertctl flows -w -p 2000
send a udp 1000 53-54
stepped 2
send a udp 1000 53-54
lists "flows" "2000 passes 1 udp A 1000 <-> B 53" "2000 dropped 1 udp A 1000 <-> B 54"
is "flows -p" "$(flows -p 2000 | wc -l)" 2
is "flows -p: of another port" "$(flows -p 2001)" ""
followed() { sed 's/  */ /g; s/^ //' "$TMP/follow.out" | cut -d ' ' -f 2 | sort | tr '\n' ' '; }
soon "flows -w: they are released" "dropped passes " followed
stop prog
soon "flows -w: they are over" "dropped ended ended passes " followed
stop follow
for words in "-x" "-p" "-p 0" "-p 65536" "-p x" "2000"; do
	# shellcheck disable=SC2086 # words
	q divertctl flows $words >"$TMP/usage.out" 2>&1
	is "flows $words: status" $? 2
done
is "released_lifetime" "$(q divertctl get released_lifetime)" "released_lifetime 300"
fails "released_lifetime 0" q divertctl set released_lifetime 0

# ---- kill -9 with 10,000 released flows ----

for bypass in "" bypass; do
	rules "100 divert 2000 udp from any to any $bypass"
	was="$(stat_of r 2000 released-passed) $(stat_of r 2000 no-listener) $(stat_of r 2000 passed)"
	program -a pass 2000
	send a udp 1000-1099 1-100
	all() { flows | wc -l; }
	soon "${bypass:-no bypass}: 10,000 flows are released" 10000 all
	send a udp 1000-1099 1-100
	reached "${bypass:-no bypass}: each passes" 0 20000
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null
	send a udp 1000-1099 1-100
	is "${bypass:-no bypass}: killed: none is released" "$(flows)" ""
	# shellcheck disable=SC2086 # three numbers
	set -- $was
	is "${bypass:-no bypass}: killed: each packet is counted once" \
		"$(($(stat_of r 2000 released-passed) - $1)) $(($(stat_of r 2000 no-listener) - $2)) $(($(stat_of r 2000 passed) - $3))" \
		"10000 $([ -n "$bypass" ] && echo 0 10000 || echo 10000 0)"
	reached "${bypass:-no bypass}: killed" 0 "$([ -n "$bypass" ] && echo 30000 || echo 20000)"
done

# ---- the engine is gone ----

program 2000 keep pass
send a udp 1000 53
stepped 1
q divertctl unload 2>/dev/null
wait "$pid"
is "unload: the program's next call fails" "$(sed -n 's/.*: //p' "$TMP/prog.err")" "Network is down"
