#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Packets with and without a listener: divert(4), "No listener": "A packet for a port without a
# listener is dropped and counted. With bypass in the rule ... or divertctl set pass-through on for
# all ports, it goes on at the next rule instead. When the listener dies, however it dies, this
# takes effect at once."
# - Packets are dropped or passed, and counted exactly, and so are the copies of tee.
# - A listener is killed with SIGKILL under traffic: the very next packet finds no listener.
# - The port is free again at once. While the listener lives, bind gives EADDRINUSE.
# - A listener is stopped with SIGSTOP: the buffer fills, and packets that do not fit are counted.
#   Each packet that was sent is either read in the end or counted as buffer-full.
# - The last part of the buffer is for packets that were written back before.
#
# The rules are on r, the traffic goes from a to b. The network is lib.sh's: a -- r -- b.
# alone: it counts wake-ups
. "$(dirname "$0")/lib.sh"
make_router

stat() { stat_of r 2000 "$1"; }

# This ping is meant to get lost. It waits briefly: the counters tell more surely where it was lost.
quick() { n a ping -q -n -i 0.05 -W 0.2 -c "${2:-1}" "$1" >/dev/null; }

# The rules match echo requests only, in each direction. Later ones match UDP to 7000.
rules() { # OPTIONS
	r ipfw -q flush
	for dir in in out; do
		r ipfw -q add 100 divert 2000 "$proto" from any to any $dir "$types" "$type" "$@"
		r ipfw -q add 200 count "$proto" from any to any $dir "$types" "$type"
	done
}

for family in 4 6; do
	if [ $family = 4 ]; then
		to=10.2.0.1 proto=icmp types=icmptypes type=8
	else
		to=fd02::1 proto=ipv6-icmp types=icmp6types type=128
	fi
	v=v$family

	# ---- nobody listens, and nobody ever has ----

	rules
	before=$(stat no-listener) passed=$(stat passed)
	fails "$v: nobody listens: dropped" quick $to 5
	is "$v: dropped: counted" $(($(stat no-listener) - before)) 5
	is "$v: dropped: not as passed" "$(stat passed)" "$passed"
	is "$v: dropped: the rules end there" "$(packets r 100) $(packets r 200)" "5 0"

	rules bypass
	before=$(stat no-listener) passed=$(stat passed)
	works "$v: bypass: passes" ping_ a $to 5
	is "$v: bypass: counted as passed" $(($(stat passed) - passed)) 10
	is "$v: bypass: not as dropped" "$(stat no-listener)" "$before"
	is "$v: bypass: rules after it go on" "$(packets r 100) $(packets r 200)" "10 10"

	rules
	r divertctl set pass-through on
	passed=$(stat passed)
	works "$v: pass-through: passes" ping_ a $to 5
	is "$v: pass-through: counted as passed" $(($(stat passed) - passed)) 10
	is "$v: pass-through: rules after it go on" "$(packets r 100) $(packets r 200)" "10 10"
	r divertctl set pass-through off
	fails "$v: pass-through off: dropped" quick $to 1
	is "$v: pass-through off: dropped at once" "$(packets r 100) $(packets r 200)" "11 10"

	# bypass takes no packet from a program that listens
	rules bypass
	passed=$(stat passed)
	reflect drop r -d 2000
	fails "$v: bypass with a listener: diverted" quick $to 3
	stop drop
	is "$v: bypass with a listener: read" "$(count drop received)" 3
	is "$v: bypass with a listener: none passed" "$(stat passed)" "$passed"

	# ---- killed: the next packet ----

	for how in KILL TERM; do
		rules
		before=$(stat no-listener) diverted=$(stat diverted)
		for ((i = 0; i < 5; i++)); do
			reflect back r 2000
			ping_ a $to || not_ok "$v: round $i: ping with a listener"
			kill -$how "$pid"
			wait "$pid" 2>/dev/null
			! quick $to || not_ok "$v: round $i: the first packet after SIG$how was not dropped"
		done
		is "$v: SIG$how: the first packet after it is dropped, and counted" \
			$(($(stat no-listener) - before)) 5
		is "$v: SIG$how: those before it were diverted" $(($(stat diverted) - diverted)) 10

		rules bypass
		passed=$(stat passed) diverted=$(stat diverted)
		for ((i = 0; i < 5; i++)); do
			reflect drop r -d 2000
			! quick $to || not_ok "$v: round $i: ping that nobody writes back"
			kill -$how "$pid"
			wait "$pid" 2>/dev/null
			ping_ a $to || not_ok "$v: round $i: the first packet after SIG$how did not pass"
		done
		is "$v: SIG$how, bypass: the first packet after it passes, in and out" \
			$(($(stat passed) - passed)) 10
		is "$v: SIG$how, bypass: those before it were diverted" \
			$(($(stat diverted) - diverted)) 5
	done
done

# ---- killed under traffic ----

# receiver: starts a receiver at b; flood COUNT PPS: sends numbered datagrams from a to b
receiver() {
	rm -f "$TMP/recv.ready"
	start recv b python3 "$HERE/numbered.py" recv 7000 "$TMP/recv.ready"
	wait_for 5 "UDP receiver" test -s "$TMP/recv.ready"
}
field() { sed -n "s/.*$2 \([0-9]*\).*/\1/p" "$TMP/$1.out"; }

for mode in drop bypass; do
	r ipfw -q flush
	bypass=()
	[ $mode = drop ] || bypass=(bypass)
	r ipfw -q add 100 divert 2000 udp from any to any 7000 in "${bypass[@]}"
	r ipfw -q add 200 count udp from any to any 7000 in not diverted
	receiver
	diverted=$(stat diverted) nobody=$(stat no-listener) passed=$(stat passed)
	full=$(stat buffer-full)
	start flood a python3 "$HERE/numbered.py" send 10.2.0.1 7000 1000000 --pps 4000
	for ((i = 0; i < 4; i++)); do
		had=$(stat diverted)
		reflect back r 2000
		under_way() { [ "$(stat diverted)" -gt $((had + 100)) ]; }
		wait_for 5 "$mode: traffic is diverted" under_way
		kill -KILL "$pid"
		wait "$pid" 2>/dev/null
		at=$(stat diverted)
		was=$(($(stat no-listener) + $(stat passed)))
		more() { [ $(($(stat no-listener) + $(stat passed))) -gt $((was + 100)) ]; }
		wait_for 5 "$mode: traffic goes on" more
		is "$mode: killed under traffic, round $i: none is diverted any more" \
			"$(stat diverted)" "$at"
	done
	stop flood
	sent=$(field flood sent)
	is "$mode: killed under traffic: the sender noticed nothing" "$(cat "$TMP/flood.out")" \
		"sent $sent errors 0"
	stop recv
	diverted=$(($(stat diverted) - diverted)) nobody=$(($(stat no-listener) - nobody))
	passed=$(($(stat passed) - passed)) full=$(($(stat buffer-full) - full))
	is "$mode: each packet diverted, dropped or passed" \
		"$((diverted + nobody + passed)) full $full" "$sent full 0"
	is "$mode: each seen by the rule" "$(packets r 100)" "$sent"
	is "$mode: rules after it saw those that passed" "$(packets r 200)" "$passed"
	if [ $mode = drop ]; then
		is "drop: none passed" "$passed" 0
	else
		is "bypass: none dropped" "$nobody" 0
	fi
	is "$mode: none arrived twice" "$(field recv received)" "$(field recv distinct)"
	# packets that the killed program had not yet written back are lost with it
	got=$(field recv received)
	if [ "$got" -le $((diverted + passed)) ] && [ "$got" -ge "$passed" ]; then
		ok "$mode: what was written back or passed has arrived"
	else
		not_ok "$mode: $got arrived, of $diverted diverted and $passed passed"
	fi
done

# ---- bind ----

reflect first r -d 2000
r divert-run "$PROGS/reflect" -c 1 2000 >"$TMP/second.out" 2>"$TMP/second.err"
is "second bind: status" "$?" 1
is "second bind: EADDRINUSE" "$(tail -1 "$TMP/second.err")" "reflect: bind: EADDRINUSE"
reflect other r -d 2003
stop other
# shellcheck disable=SC2154 # start sets it
pid=$pid_first
kill -KILL "$pid"
wait "$pid" 2>/dev/null
for ((i = 0; i < 10; i++)); do
	r timeout 5 divert-run "$PROGS/reflect" -S 0 2000 >"$TMP/again.out" 2>"$TMP/again.err"
	[ "$(cat "$TMP/again.out")" = "received 0 sent 0 failed 0" ] ||
		not_ok "bind again, round $i: $(cat "$TMP/again.err")"
	start again r divert-run "$PROGS/reflect" -p "$TMP/again.ready$i" 2000
	wait_for 5 "bind again, round $i" test -s "$TMP/again.ready$i"
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null
done
ok "bind again at once, ten times"

# ---- stopped: the buffer fills ----

COUNT=30000
r ipfw -q flush
r ipfw -q add 100 divert 2000 udp from any to any 7000 in bypass
receiver
reflect back r 2000
diverted=$(stat diverted) full=$(stat buffer-full) nobody=$(stat no-listener) passed=$(stat passed)
kill -STOP "$pid"
is "stopped: sent" "$(a python3 "$HERE/numbered.py" send 10.2.0.1 7000 $COUNT --size 1400)" \
	"sent $COUNT errors 0"
all_seen() { [ "$(packets r 100)" = $COUNT ]; }
wait_for 5 "the rule has seen all" all_seen
diverted=$(($(stat diverted) - diverted)) full=$(($(stat buffer-full) - full))
is "stopped: each packet is in the buffer, or counted as buffer-full" $((diverted + full)) $COUNT
like "stopped: some have room, some not" "$diverted $full" '^[0-9]{3,} [0-9]{3,}$'
is "stopped: it still listens" "$(($(stat no-listener) - nobody)) $(($(stat passed) - passed))" "0 0"
kill -CONT "$pid"
back=$(stat written-in)
settled() {
	local now
	now=$(stat written-in)
	[ "$now" = "$back" ] && [ "$now" -ge "$diverted" ] && return
	back=$now
	return 1
}
wait_for 10 "what was in the buffer is written back" settled
is "continued: sent" "$(a python3 "$HERE/numbered.py" send 10.2.0.1 7000 100 --pps 1000)" \
	"sent 100 errors 0"
sleep 0.2
stop back
stop recv
is "continued: it reads what was in the buffer, and goes on" "$(count back received)" \
	$((diverted + 100))
is "continued: all of it is written back" "$(count back sent) $(count back failed)" \
	"$((diverted + 100)) 0"
is "continued: and arrives" "$(field recv received)" $((diverted + 100))

# ---- stopped: there is still room for packets that another program has written back before ----

r ipfw -q flush
r ipfw -q add 100 divert 2001 udp from any to any 7001 in
r ipfw -q add 200 divert 2000 udp from any to any 7000,7001 out
reflect first r 2001
reflect back r 2000
kill -STOP "$pid"
diverted=$(stat diverted) full=$(stat buffer-full)
is "buffer full of new packets: sent" \
	"$(a python3 "$HERE/numbered.py" send 10.2.0.1 7000 $COUNT --size 1400)" "sent $COUNT errors 0"
seen() { [ "$(packets r "$1")" = "$2" ]; }
wait_for 5 "the rule has seen all" seen 200 $COUNT
new=$(($(stat diverted) - diverted)) full=$(($(stat buffer-full) - full))
like "buffer full of new packets" "$new $full" '^[0-9]{3,} [0-9]{3,}$'
full=$(stat buffer-full)
is "written back before: sent" \
	"$(a python3 "$HERE/numbered.py" send 10.2.0.1 7001 100 --pps 10000 --size 1400)" "sent 100 errors 0"
wait_for 5 "the rule has seen them" seen 200 $((COUNT + 100))
is "written back before: each has room" "$(($(stat diverted) - diverted)) $(stat buffer-full)" \
	"$((new + 100)) $full"
kill -CONT "$pid"
read_all() { [ "$(stat written-out)" -ge $((new + 100)) ]; }
wait_for 10 "all are written back" read_all
stop back
stop first
is "written back before: all are read and written" "$(count back received) $(count back sent)" \
	"$((new + 100)) $((new + 100))"
