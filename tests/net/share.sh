#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Many readers, divert(4): "SO_REUSEPORT: the port may be shared", "Threads may receive and send on
# one socket at the same time, and so may processes that share it by fork(2): each packet is
# received once." On r, UDP flows between a and b, IPv4 and IPv6, are diverted in both directions.
. "$(dirname "$0")/lib.sh"
make_router
FLOWS=64 PACKETS=5

cat >"$TMP/send.py" <<'EOF'
# send.py up|down FLOWS PACKETS: flows of even numbers are IPv4, of odd ones IPv6
import socket, sys
up, flows, packets = sys.argv[1] == "up", int(sys.argv[2]), int(sys.argv[3])
there = (("10.2.0.1", "fd02::1"), ("10.1.0.1", "fd01::1"))[not up]
server = {f: socket.socket(f, socket.SOCK_DGRAM) for f in (socket.AF_INET, socket.AF_INET6)}
server[socket.AF_INET6].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
for s in server.values():
    s.bind(("", 5000))
for i in range(flows):
    family = (socket.AF_INET, socket.AF_INET6)[i % 2]
    if up:
        s = socket.socket(family, socket.SOCK_DGRAM)
        s.bind(("", 20000 + i))
    for _ in range(packets):
        (s if up else server[family]).sendto(b"x" * 30, (there[i % 2], 5000 if up else 20000 + i))
EOF

expected=0
# Send all flows' packets in both directions, and wait until each one has been written back.
traffic() {
	a python3 "$TMP/send.py" up $FLOWS $PACKETS
	b python3 "$TMP/send.py" down $FLOWS $PACKETS
	expected=$((expected + 2 * FLOWS * PACKETS))
	wait_for 20 "$expected packets to be written back" written
}
written() { [ "$(stat_of r 2000 written-in)" = $expected ]; }

# join NAME [OPTIONS]: starts a reader; it is bound when this returns
join() {
	local name=$1
	shift
	start "$name" r divert-run "$PROGS/share" "$@" 2000
	wait_for 10 "$name is bound" grep -q end "$TMP/$name.out"
}
ends() { [ "$(grep -c end "$TMP/$1.out")" = "$2" ]; }
# counts NAME...: prints "FLOW UP DOWN NAME" of each, since the last call
counts() {
	local name p n
	for name in "$@"; do
		eval "p=\$pid_$name"
		n=$(($(grep -c end "$TMP/$name.out") + 1))
		kill -USR1 "$p"
		wait_for 10 "the counts of $name" ends "$name" $n >&2
		awk -v n=$n -v m="$name" '/end/ {e++; next} e == n - 1 {print $0, m}' "$TMP/$name.out"
	done | sort
}
# end_all NAME: ends the reader and its children
end_all() {
	stop "$1"
	ip netns pids "$NS-r" | xargs -r kill -KILL
}
# every WHAT FILE: checks that each flow is with one reader, with all its packets of both directions
every() {
	is "$1: each flow at one socket, all of it" \
		"$(awk -v p=$PACKETS '$2 == p && $3 == p {print $1}' "$2" | sort -u | wc -l) $(wc -l <"$2")" \
		"$FLOWS $FLOWS"
}

r ipfw -q add 100 divert 2000 udp from any to any in

# ---- a group ----

for m in m1 m2 m3 m4; do join $m -g; done
traffic
counts m1 m2 m3 m4 >"$TMP/one"
every "four sockets" "$TMP/one"
is "four sockets: each has some" "$(cut -d' ' -f4 "$TMP/one" | sort -u | xargs)" "m1 m2 m3 m4"

traffic
counts m1 m2 m3 m4 >"$TMP/two"
works "four sockets: flows stay where they are" diff "$TMP/one" "$TMP/two"

kill -KILL "${pid_m2:-}"
wait "${pid_m2:-}" 2>/dev/null
traffic
counts m1 m3 m4 >"$TMP/three"
every "one killed" "$TMP/three"
is "one killed: the others' flows stay" "$(grep -v m2 "$TMP/one" | comm -23 - "$TMP/three")" ""
is "one killed: its flows go to several" \
	"$(comm -13 "$TMP/one" "$TMP/three" | cut -d' ' -f4 | sort -u | wc -l)" 3

join m5 -g
traffic
counts m1 m3 m4 m5 >"$TMP/four"
every "one joins" "$TMP/four"
is "one joins: what it does not take stays" "$(grep -v m5 "$TMP/four" | comm -23 - "$TMP/three")" ""

# a reader that closes its socket is the same as one that dies
stop m5
traffic
counts m1 m3 m4 >"$TMP/five"
works "one leaves: as before it came" diff "$TMP/three" "$TMP/five"
for m in m1 m3 m4; do stop $m; done
is "nothing was lost" "$(stat_of r 2000 buffer-full) $(stat_of r 2000 no-listener)" "0 0"

# ---- one socket ----

join threads -t 4
traffic
counts threads >"$TMP/threads"
every "four threads on one socket" "$TMP/threads"
stop threads

join processes -f 3
traffic
counts processes >"$TMP/processes"
every "three processes on one socket" "$TMP/processes"
end_all processes

join both -f 2 -t 3
traffic
counts both >"$TMP/both"
every "two processes with threads" "$TMP/both"
end_all both
is "each packet was diverted once" "$(stat_of r 2000 diverted)" "$expected"

# ---- errnos ----

a divert-run "$PROGS/share" check 3000 >"$TMP/errnos"
rc=$?
cat "$TMP/errnos"
is "errnos: all of it" $rc 0

# ---- a thread waits for packets while another one forks a process, which closes its copy of the
# socket ----

cat >"$TMP/leaves.py" <<'EOF2'
import os, socket, sys, threading, time
sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, 258)
sock.bind(("0.0.0.0", 2001))
thread = threading.Thread(target=sock.recv, args=(65535,), daemon=True)
thread.start()
while "S" not in open(f"/proc/self/task/{thread.native_id}/stat").read().rsplit(")")[1].split()[0]:
    time.sleep(0.01)
if os.fork():
    while True:
        time.sleep(1)
sock.close()
open(sys.argv[1], "w").write(str(os.getpid()))
time.sleep(60)
EOF2
start leaves r divert-run python3 "$TMP/leaves.py" "$TMP/leaves.pid"
wait_for 10 "the process that closes it" test -s "$TMP/leaves.pid"
kill -KILL "${pid_leaves:-}"
wait_for 5 "a socket that a child has closed: nobody listens" eval 'nq r divertctl status | grep -q "^ *2001 .*nobody"'
works "a socket that a child has closed: the child is there" kill "$(cat "$TMP/leaves.pid")"
