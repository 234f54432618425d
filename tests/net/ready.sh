#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Readiness is true: divert(4), "Fragments". If select, poll or epoll says that a divert socket is
# readable, a receive does not sleep, whatever fragments came. progs/waits.c relies on that, with a
# socket for each family. While one lone fragment waits for the rest of its packet, the other socket
# still works, and the process sleeps. The network is lib.sh's: a -- r -- b.
# alone: it measures time and CPU time
. "$(dirname "$0")/lib.sh"
make_router
mac=$(ip -n "$NS-r" -br link show r0 | awk '{print $3}')
id=100

r ipfw -q add 100 divert 2004 udp from any to 10.2.0.1 in
r ipfw -q add 100 divert 2004 icmp from any to 10.2.0.1 in
r ipfw -q add 100 divert 2006 ip6 from any to fd02::1 in

# ---- fragments of packets that are never complete: they time out while the rest is tested ----

port=2100
for how in select poll epoll; do
	r ipfw -q add 200 divert $((++port)) udp from any to 10.9.0.1 $port in
	start "late_$how" r divert-run "$PROGS/waits" $how $port $port
	wait_for 10 "late_$how: ready" grep -q ready "$TMP/late_$how.out"
	nq a python3 "$HERE/trial.py" send a0 "$mac" 10.1.0.1 10.9.0.1 $port $port 0
done

# fragments ORDER...: sends the fragments of a packet for each word, in that order; a packet has
# three, 0 to 2
fragments() {
	local order
	for order; do
		nq a python3 "$HERE/trial.py" send a0 "$mac" 10.1.0.1 10.2.0.1 5000 $((++id)) "$order"
	done
}
# flow N MS: sends N lone first fragments, one each MS milliseconds
flow() {
	nq a python3 "$HERE/trial.py" flow a0 "$mac" 10.1.0.1 10.2.0.1 5000 $id "$1" "$2"
	id=$((id + $1))
}
kept() { [ "$(stat_of r 2004 diverted)" -ge "$1" ]; }
ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
asleep() { [ "$(cat /proc/"$1"/task/*/stat | awk '{ print $3 }' | sort -u)" = S ]; }
lines() { sed 1d "$TMP/$1.out" | sort | uniq -c | awk '{ print $1 "x" $2 }' | xargs; }

# begins NAME COMMAND...: starts it under divert-run; its process id is in $p
begins() {
	start "$1" r env --default-signal=INT divert-run "${@:2}" # bash ignores SIGINT in it
	wait_for 10 "$1: ready" grep -q ready "$TMP/$1.out"
	p=$(sed -n 's/^ready //p' "$TMP/$1.out")
}

# goes_on WHAT NAME: checks that the program waits for both sockets
goes_on() {
	local was sum
	works "$1: both families" ping_ a 10.2.0.1
	works "$1: both families, IPv6" ping_ a fd02::1
	# fragments that make no whole packet: lone, doubled, out of order, behind the first
	sum=$(stat_of r 2004 diverted)
	fragments 0
	wait_for 5 "$1: the fragment is there" kept $((sum + 1))
	works "$1: IPv6 goes on at once" ping_ a fd02::1 3
	fragments 1 2 00 02 20 01
	works "$1: so it does after other fragments" ping_ a fd02::1 3
	wait_for 5 "$1: it sleeps" asleep "$p" && ok "$1: it sleeps"
	was=$(ticks "$p")
	flow 100 10
	was=$(($(ticks "$p") - was))
	works "$1: little is done while fragments come: $was ticks" [ $was -lt 15 ]
	fragments 021
	works "$1: IPv4 goes on" ping_ a 10.2.0.1
	wait_for 5 "$1: each packet, once" is_served "$2" && ok "$1: each packet, once"
	works "$1: it sleeps still" asleep "$p"
	kill -INT "$p"
	wait "$pid"
	is "$1: SIGINT ends it" $? 130
	is "$1: nothing said" "$(cat "$TMP/$2.err")" ""
}
is_served() { [ "$(lines "$1")" = "3x4 7x6" ]; }

# ---- each way to wait ----

for how in select pselect poll ppoll epoll pwait pwait2 edge oneshot child mixed; do
	begins "$how" "$PROGS/waits" $how 2004 2006
	goes_on "$how" "$how"
done
for how in SelectSelector PollSelector EpollSelector asyncio; do
	begins "$how" python3 "$HERE/py_waits.py" $how 2004 2006
	goes_on "Python's $how" "$how"
done
if [ -x "$PROGS/event_waits" ]; then
	for how in edge epoll poll select; do
		[ $how != poll ] || export EVENT_NOEPOLL=1
		[ $how != select ] || export EVENT_NOPOLL=1
		begins "event_$how" "$PROGS/event_waits" $how 2004 2006
		goes_on "libevent's $how" "event_$how"
	done
	unset EVENT_NOEPOLL EVENT_NOPOLL
else
	echo "skip libevent: no <event2/event.h>"
fi

# ---- only signals end epoll_wait with EINTR; work that the kernel does for libdivert does not ----

for how in epoll edge oneshot pwait pwait2; do
	begins "$how" "$PROGS/waits" $how 2004 2006
	a python3 "$HERE/numbered.py" send 10.2.0.1 9 2000 --size 36 >/dev/null
	all_read() { [ "$(lines "$how")" = 2000x4 ]; }
	wait_for 10 "$how: many packets, each read, no EINTR" all_read &&
		ok "$how: many packets, each read, no EINTR"
	stop "$how"
done

for port in 3000 3001 3002 3003 3004 3005 3006 3007; do
	r ipfw -q add 50 divert $port udp from any to 10.2.0.1 $port in
done
# unbroken HOW PORTS SLEEPS: runs progs/unbroken; none of its sleeps may be ended by packets
unbroken() {
	local port there
	there=$(stat_of r 3000 diverted)
	begins "$1" "$PROGS/unbroken" "$1" 3000 "$2"
	for ((port = 3000; port < 3000 + $2; port++)); do
		a python3 "$HERE/numbered.py" send 10.2.0.1 $port 50 >/dev/null
	done
	are_there() { [ "$(stat_of r 3000 diverted)" = $((there + 50)) ] && [ "$(stat_of r $((port - 1)) diverted)" -ge 50 ]; }
	wait_for 5 "$1: the packets are there" are_there
	kill -USR1 "$p"
	works "$1: sleeps behind packets, of which none is ended" wait "$pid"
	is "$1: how many" "$(tail -1 "$TMP/$1.out")$(cat "$TMP/$1.err")" "$3"
}
unbroken other 1 30
unbroken disarmed 1 30
unbroken edge 1 30
unbroken thread 8 8

# ---- a packet that was read already goes on while a fragment waits ----

begins holds "$PROGS/waits" holds 2004 2006
start ping a ping -q -n -c 1 -W 5 fd02::1
fragments 0
works "holds: the packet that it holds goes on" wait "$pid"
stop holds

# ---- time-outs, while fragments come ----

for how in select pselect poll ppoll epoll pwait pwait2 edge; do
	begins "$how" "$PROGS/waits" -t $how 2004 2006
	flow 300 3
	works "$how: 20 waits of 50 ms, none of them shorter" wait "$pid"
	late=$(sed -n 's/^late //p' "$TMP/$how.out")
	works "$how: to the millisecond, if it is given the processor: $late us late" [ "${late:-9999}" -lt 1000 ]
done

# ---- fragments of incomplete packets are dropped in any wait, and counted ----

timed_out() { [ "$(stat_of r "$1" frag-timeout)" = 1 ]; }
port=2100
for how in select poll epoll; do
	wait_for 30 "$how: a fragment is dropped in time" timed_out $((++port)) &&
		ok "$how: a fragment is dropped in time"
	works "$how: it sleeps" asleep "$(sed -n 's/^ready //p' "$TMP/late_$how.out")"
	stop "late_$how"
done

# ---- libdivert's own calls ----

r ipfw -q add 300 divert 2200 udp from any to 10.9.1.3 in
nq r "$PROGS/lib_ready" 2200 r0 >"$TMP/calls.out" 2>"$TMP/calls.err"
grep -E '^(not )?ok ' "$TMP/calls.out"
failures=$((failures + $(grep -c '^not ok ' "$TMP/calls.out")))
is "libdivert's calls: ran to its end" "$(tail -1 "$TMP/calls.out")$(cat "$TMP/calls.err")" "done"

# ---- programs without divert sockets ----

# ratio HOW: how much longer it takes under divert-run: the median of pairs, in hundredths
ratio() {
	local i
	for ((i = 0; i < 7; i++)); do
		echo "$("$PROGS/paired" "$1") $(divert-run "$PROGS/paired" "$1")"
	done | awk '{ print int($2 / $1 * 100) }' | sort -n | sed -n 4p
}
for how in select poll epoll; do
	# slow code is slow each time; a disturbance is not
	for _ in 1 2 3; do
		figure=$(ratio $how)
		[ "$figure" -ge 110 ] || break
	done
	works "$how: of ordinary descriptors, as quick under divert-run: $figure in 100" [ "$figure" -lt 110 ]
done
