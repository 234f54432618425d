#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# divertctl(8), Counters: there is room for 4,095 ports. If one more is named, a port that no rule
# names and no socket is bound to is forgotten. The next bind frees what ended sockets still held.
# PORTS: how many ports are bound one after another (30; up to 999, which takes four minutes).
. "$(dirname "$0")/lib.sh"
make_router
ROOM=4095

named() { q divertctl status | grep -c '^  [0-9]'; }
# rules FIRST COUNT: makes rules that name that many ports
rules() {
	local n
	for ((n = $1; n < $1 + $2; n++)); do
		echo "add 40000 divert $n ip from 10.98.0.1 to any"
	done >"$TMP/rules"
	works "rules for $2 ports" q ipfw -q "$TMP/rules"
}
gone() { q divertctl stat "$1" 2>&1; }
zero() { q divertctl stat -a "$1" | awk 'NR > 1 && $1 {n++} END {exit n > 0 || NR < 10}'; }

# ---- a port's counters go to another port while a packet of it is still on its way ----

b ip link set b0 arp off
r sysctl -qw net.ipv4.neigh.r1.mcast_solicit=60
r ip neigh flush dev r1
r ipfw -q add 100 divert 7000 icmp from 10.1.0.1 to 10.2.0.1 in via r0
r ipfw -q add 30000 count icmp from 10.1.0.1 to 10.2.0.1 out via r1
reflect waits r -z -c 1 7000
fails "the packet waits for its neighbour" ping_ a 10.2.0.1
wait "${pid_waits:-}"
is "it is written" "$(stat_of r 7000 written-out)" 1
is "it has not entered" "$(stat_of r 7000 entered)" 0
r ipfw -q delete 100
rules 10000 $((ROOM - 1))
is "all ports that there is room for are named" "$(named)" $ROOM
reflect stays r 7001
like "one more is bound: the one that nothing names is gone" "$(gone 7000)" "port 7000: no rule"
is "and not another" "$(named)" $ROOM
works "the counters of the new one are 0" zero 7001
b ip link set b0 arp on
entered() { [ "$(packets r 30000)" = 1 ]; }
wait_for 10 "the packet that waited" entered
works "they are 0 when that packet has entered" zero 7001

# ---- ports in use stay ----

q divert-run "$PROGS/reflect" -S 0 7002 >"$TMP/full" 2>&1
is "bind: all ports are in use" "$(cat "$TMP/full")" "reflect: bind: ENOSPC"
q ipfw -q add 200 divert 7002 ip from 10.98.0.1 to any 2>"$TMP/full"
is "a rule: all ports are in use, status" $? 71
like "a rule: all ports are in use" "$(cat "$TMP/full")" "no room, 4095 ports can be in use"
is "a port that a rule names can be bound" \
	"$(q divert-run "$PROGS/reflect" -S 0 10000 2>&1)" "received 0 sent 0 failed 0"
r ipfw -q delete 40000

# ---- more ports than there is room for, one after another ----

# bound PORT: starts a program that is bound to the port; it reads one ping's packets and writes
# them back
bound() {
	q ipfw -q add 100 divert "$1" icmp from 10.1.0.1 to 10.2.0.1 in via r0 || return
	zero "$1" || return
	rm -f "$TMP/one.ready"
	q divert-run "$PROGS/reflect" -p "$TMP/one.ready" -c 1 "$1" >"$TMP/one.out" 2>&1 &
	wait_for 10 "reflect $1" test -s "$TMP/one.ready" || return
	nq a ping -q -n -W 2 -c 1 10.2.0.1 >/dev/null || return
	wait $!
	q ipfw -q delete 100
	[ "$(stat_of r "$1" diverted) $(stat_of r "$1" written-in) $(stat_of r "$1" entered)" = "1 1 1" ]
}
ping_ a 10.2.0.1
good=0
for ((n = 0; n < ${PORTS:-30}; n++)); do
	bound $((20000 + n)) || { cat "$TMP/one.out"; break; }
	good=$((good + 1))
done
is "ports one after another, each bound, with its own counters" $good "${PORTS:-30}"
is "there are as many as before" "$(named)" $ROOM
is "the oldest have made room" "$(q divertctl status | grep -c '^  20[0-9]* .*nobody')" "${PORTS:-30}"
like "the one that a socket is bound to is there" "$(q divertctl stat 7001)" "^port 7001:"
works "nothing is kept for sockets that have ended, but of the last" \
	test "$(q "$PROGS/engine_slots")" -le 2

# many ports at once
pids_now=()
for ((n = 0; n < 8; n++)); do
	q divert-run "$PROGS/reflect" -S 0 $((30000 + n)) >"$TMP/now.$n" 2>&1 &
	pids_now+=($!)
done
wait "${pids_now[@]}"
is "ports bound at once" "$(cat "$TMP"/now.* | sort | uniq -c | tr -s ' ')" \
	" 8 received 0 sent 0 failed 0"
is "each has its own entry" "$(for ((n = 0; n < 8; n++)); do q divertctl stat $((30000 + n)); done |
	grep -c '^port 3000.*nobody')" 8

# ---- a port that lets packets pass while nobody listens ----

passes() {
	q divert-run python3 -c "import socket
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 258)
s.setsockopt(258, 2, 1)
s.bind(('', $1))"
}
r ipfw -q add 100 divert tablearg icmp from any to 'table(1)'
r ipfw -q table 1 add 10.2.0.1 7100
works "a port passes while nobody listens" passes 7100
works "the ping passes" ping_ a 10.2.0.1
rules 40000 $((ROOM - 2)) # and 7001
works "it does so where tables say what goes there" ping_ a 10.2.0.1
is "its counter is there" "$(stat_of r 7100 passed)" 4 # in and out
r ipfw -q delete 100
is "bind: no table leads there" "$(q divert-run "$PROGS/reflect" -S 0 7101 2>&1)" \
	"received 0 sent 0 failed 0"
like "it is forgotten" "$(gone 7100)" "port 7100: no rule"
stop stays
