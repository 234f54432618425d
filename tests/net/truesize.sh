#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# How much of its receiver's buffer (SO_RCVBUF) a packet takes that was written back. Linux counts
# the memory that a packet lies in, not its bytes. A socket's usual buffer of 208 KiB has room for
# 250 small packets of a veth device. It has room for 50 packets of a network card that gives each a
# page. The receiver in this test does not read while packets come at once. Some come from a program
# that stands still while packets wait to be sent together. The network is lib.sh's: a -- r -- b.
. "$(dirname "$0")/lib.sh"
make_router
cat >"$TMP/keep.py" <<-'PY'
	"""Keeps datagrams for UDP port 9 until SIGUSR1, and says how many it has."""
	import signal
	import socket
	signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
	sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	sock.bind(("", 9))
	print("ready", flush=True)
	signal.sigwait([signal.SIGUSR1])
	sock.setblocking(False)
	kept = 0
	try:
	    while sock.recv(2048):
	        kept += 1
	except BlockingIOError:
	    print("kept", kept)
PY
# came NS: how many packets came, kept or not
came() { nq "$1" awk '/^Ip:/ && $2 ~ /[0-9]/ { print $10 }' /proc/net/snmp; }
all_came() { [ "$(came "$1")" -ge "$2" ]; }
waits() { [ "$(stat_of r 2000 diverted)" = "$1" ]; }

# keeps WHAT NS N COMMAND...: checks that N datagrams to NS fit into the socket's buffer. The
# command starts the program; it is stopped until all of them wait.
keeps() {
	local what=$1 ns=$2 n=$3 to=10.2.0.1 before diverted p=
	shift 3
	[ "$ns" = b ] || to=10.1.0.2
	q ipfw -q -f flush
	if [ $# -gt 0 ]; then
		q ipfw -q add 100 divert 2000 udp from any to any 9 "${where[@]}"
		diverted=$(stat_of r 2000 diverted)
		"$@"
		p=$(cat "$TMP/back.ready")
		kill -STOP "$p"
	fi
	start keep "$ns" python3 "$TMP/keep.py"
	wait_for 5 "$what: a receiver" grep -q ready "$TMP/keep.out"
	before=$(came "$ns")
	n a python3 "$HERE/numbered.py" send $to 9 "$n" --size 100 >/dev/null
	if [ -n "$p" ]; then
		wait_for 5 "$what: all wait" waits $((diverted + n))
		kill -CONT "$p"
	fi
	wait_for 5 "$what: they came" all_came "$ns" $((before + n))
	kill -USR1 "${pid_keep:-}"
	wait "${pid_keep:-}"
	[ -z "$p" ] || stop back
	is "$what: $n fit" "$(sed -n 's/^kept //p' "$TMP/keep.out")" "$n"
}

ping_ a 10.2.0.1
where=()
keeps "forwarded" b 150
keeps "to this host" r 150
# each takes 4,160 bytes of 212,992: a page, and what Linux adds
for side in in out; do
	where=("$side")
	for how in "" -m -s "-i 10" "-i 22" "-i 40"; do
		# shellcheck disable=SC2086 # none, or some
		keeps "forwarded, $side${how:+, $how}" b 50 reflect back r $how 2000
	done
	for at_once in 8 32 64; do
		keeps "forwarded, $side, $at_once at once" b 50 lib_reflect back -n $at_once 2000
	done
done
# each takes half a page, or a whole one if the kernel sends it while the program stands still
where=(in)
for how in "" -m; do
	# shellcheck disable=SC2086 # none, or some
	keeps "to this host${how:+, $how}" r 75 reflect back r $how 2000
done
for pause in 22 60; do keeps "to this host, -i $pause" r 50 reflect back r -i $pause 2000; done
for at_once in 8 32 64; do
	keeps "to this host, $at_once at once" r 90 lib_reflect back -n $at_once 2000
done
