#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# "Nothing left behind that matters: divertctl unload removes every trace; removing the namespace
# removes all" (promise 5). "Rules stay until removed", but an unload removes them.
. "$(dirname "$0")/lib.sh"
command -v bpftool >/dev/null || skip_all "no bpftool"
make_router

# The qdiscs, filters and settings of lo that a namespace itself shows.
traces() {
	local i
	q tc qdisc show
	for i in $(with_sys r ls /sys/class/net); do
		q tc filter show dev "$i" ingress 2>/dev/null
		q tc filter show dev "$i" egress 2>/dev/null
		q "$PROGS/chain" list "$i" in
		q "$PROGS/chain" list "$i" out
	done
	q sysctl net.ipv4.conf.lo net.ipv6.conf.lo 2>/dev/null
}
# The programs that are attached in this namespace, and their maps. They are found by their ids
# later, since other tests may have engines in other namespaces.
programs() {
	local i
	for i in $(with_sys r ls /sys/class/net); do
		hooks_of "$i" in
		hooks_of "$i" out
	done | cut -d' ' -f1 | sort -un
}
maps_of() {
	local id
	for id in "$@"; do bpftool -j prog show id "$id"; done |
		python3 -c 'import json, sys
print(*sorted({i for line in sys.stdin for i in json.loads(line).get("map_ids", [])}))'
}
none_left() {
	local id
	for id in $1; do
		bpftool prog show id "$id" && return 1
	done
	for id in $2; do
		bpftool map show id "$id" && return 1
	done
	return 0
}
# names KIND IDS: prints their names
names() {
	local id
	for id in $2; do
		bpftool -j "$1" show id "$id" | python3 -c 'import json, sys; print(json.load(sys.stdin).get("name"))'
	done | sort | paste -sd' '
}
# remember: notes what is loaded now
remember() {
	progs=$(programs | paste -sd' ')
	# shellcheck disable=SC2086
	maps=$(maps_of $progs)
}

is "not loaded: status" "$(q divertctl status)" "engine: not loaded"
q divertctl status >/dev/null
is "not loaded: exit status" $? 3
works "unload with nothing there: done already" r divertctl unload
is "list with nothing there" "$(q ipfw list)" "65535 allow ip from any to any"
works "attach -l with nothing there: nothing to hook" r divertctl attach -l
is "none of them has loaded it" "$(programs)" ""

# somebody has changed settings of lo
r sysctl -qw net.ipv4.conf.lo.accept_local=1 net.ipv4.conf.lo.route_localnet=0 \
	net.ipv4.conf.lo.forwarding=0 net.ipv6.conf.lo.forwarding=1
before=$(traces)

for round in 1 2; do
	r ipfw -q add 100 divert 2000 icmp from any to 10.2.0.1 in icmptypes 8
	reflect "one$round" r 2000
	works "$round: loaded, ping works" ping_ a 10.2.0.1 2
	stop "one$round"
	is "$round: what was loaded works" "$(count "one$round" received)" 2
	remember
	is "$round: two programs" "$(echo "$progs" | wc -w)" 2
	is "$round: the programs" "$(names prog "$progs")" "divert_in divert_out"
	like "$round: the maps" " $(names map "$maps") " " identity .* ports .* sockets "
	fails "$round: loaded, they are there" none_left "$progs" "$maps" >/dev/null
	works "$round: unload" r divertctl unload
	works "$round: qdiscs, filters and lo's settings are as before" \
		diff <(echo "$before") <(traces)
	wait_for 10 "$round: no program and no map is left" none_left "$progs" "$maps" &&
		ok "$round: no program and no map is left"
	is "$round: status" "$(q divertctl status)" "engine: not loaded"
	is "$round: its rules are gone" "$(q ipfw list)" "65535 allow ip from any to any"
	works "$round: packets pass" ping_ a 10.2.0.1
done
r ipfw -q add 200 count ip from any to any
is "loaded again: rules do not survive an unload" "$(q ipfw list)" "00200 count ip from any to any
65535 allow ip from any to any"
r divertctl unload

# ---- somebody else's filter ----

if r tc qdisc add dev r0 clsact; then
	for side in ingress egress; do
		works "a foreign filter, $side" \
			r tc filter add dev r0 $side pref 77 protocol all bpf bytecode '1,6 0 0 0'
	done
	before=$(traces)
	r ipfw -q add 100 divert 2000 icmp from any to 10.2.0.1 in icmptypes 8
	# the qdisc is needed by the classic filters only
	q tc qdisc show dev r1 | grep -q clsact || r tc qdisc add dev r1 clsact
	works "a foreign filter on a qdisc of ours" \
		r tc filter add dev r1 egress pref 77 protocol all bpf bytecode '1,6 0 0 0'
	reflect two r 2000
	works "next to a foreign filter: ping works" ping_ a 10.2.0.1
	stop two
	is "next to a foreign filter: diverted" "$(count two received)" 1
	remember
	works "next to a foreign filter: unload" r divertctl unload
	like "a foreign filter on our qdisc survives" "$(q tc filter show dev r1 egress)" "pref 77 bpf"
	is "ours on that qdisc does not" "$(hooks_of r1 out)" ""
	r tc qdisc del dev r1 clsact
	works "a foreign clsact and its filters are as before" diff <(echo "$before") <(traces)
	wait_for 10 "no program and no map is left" none_left "$progs" "$maps" &&
		ok "next to a foreign filter: no program and no map is left"
	r tc qdisc del dev r0 clsact
else
	echo "skip no clsact here"
fi

# ---- a socket that outlives the engine ----

r ipfw -q add 100 divert 2000 icmp from any to 10.2.0.1 in icmptypes 8
reflect three r 2000
# shellcheck disable=SC2154 # reflect sets it
kill -STOP "$pid_three" # so it does not notice
remember
works "unload while a socket is bound" r divertctl unload
works "then packets pass it by" ping_ a 10.2.0.1
r ipfw -q add 100 divert 2000 icmp from any to 10.2.0.1 in icmptypes 8
fails "in the engine that is loaded next nobody listens" ping_ a 10.2.0.1
reflect four r 2000
works "there its port is free" ping_ a 10.2.0.1
stop four
kill -CONT "$pid_three"
wait "$pid_three"
is "the first socket has seen nothing of it, but for its own end" "$(cat "$TMP/three.err")" "reflect: receive: ENETDOWN"
wait_for 10 "the first engine's maps go with the socket" none_left "$progs" "$maps" &&
	ok "the first engine's maps go with the socket"

# ---- programs that wait when the engine goes ----

works "each call, and bind again" r "$PROGS/lib_unloaded"

# waits NAME COMMAND...: starts a program that sleeps; each has ports of its own
waiting=() port=3000
waits() {
	start "$1" r "${@:2}"
	waiting+=("$1")
	port=$((port + 2))
}
# asleep NAME PID: it has said that it waits, in a file or in its output, and all its threads sleep
states() { cat /proc/"$1"/task/*/stat | awk '{ print $3 }' | sort -u; }
asleep() { cat "$TMP/$1".{ready,out} 2>/dev/null | grep -q . && [ "$(states "$2")" = S ]; }
ended() { ! kill -0 "$1" 2>/dev/null; }
for how in select pselect poll ppoll epoll pwait pwait2 edge oneshot child mixed; do
	waits "$how" divert-run "$PROGS/waits" $how $port $((port + 1))
done
for how in SelectSelector PollSelector EpollSelector; do
	waits "$how" divert-run python3 "$HERE/py_waits.py" $how $port $((port + 1))
done
waits python divert-run python3 -c 'import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 258)
s.bind(("", int(sys.argv[1])))
print("ready", flush=True)
s.recv(1)' $port
waits recvfrom divert-run "$PROGS/reflect" -p "$TMP/recvfrom.ready" $port
waits libdivert "$PROGS/lib_reflect" -p "$TMP/libdivert.ready" $port
waits borrows "$PROGS/lib_reflect" -B -p "$TMP/borrows.ready" $port
# two threads in each of two processes, one socket
waits four divert-run python3 -c 'import os, socket, sys, threading
def receive():
    try:
        s.recv(1)
    except OSError as error:
        os.write(2, f"{error}\n".encode())  # a line in one call, as four threads write
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 258)
s.bind(("", int(sys.argv[1])))
child = os.fork()
threads = [threading.Thread(target=receive) for _ in range(2)]
[thread.start() for thread in threads]
print("ready", flush=True)
[thread.join() for thread in threads]
if child:
    os.waitpid(child, 0)
sys.exit(1)' $port
waits interceptor sh -c "echo ready; exec interceptor -q $port"
for name in "${waiting[@]}"; do
	eval "pid=\$pid_$name"
	wait_for 30 "$name sleeps" asleep "$name" "$pid" || states "$pid"
done
works "unload while they wait" r divertctl unload
for name in "${waiting[@]}"; do
	eval "pid=\$pid_$name"
	wait_for 10 "$name: ends" ended "$pid"
	wait "$pid"
	is "$name: its receive has failed" $? 1
	like "$name: its errno" "$(cat "$TMP/$name.err")" "ENETDOWN|Network is down"
done
is "two threads of two processes: each is told" "$(grep -c "Network is down" "$TMP/four.err")" 4
like "interceptor says why" "$(cat "$TMP/interceptor.err")" \
	"interceptor: receiving: Network is down: the engine was removed \('divertctl unload'\); start interceptor again"

# ---- interfaces that have disappeared ----

r ip link add v0 type veth peer name v1
r divertctl attach
r ip link del v0
works "unload after an interface has gone" r divertctl unload
is "nothing hangs anywhere" "$(programs)" ""

# ---- the namespace ----

r ipfw -q add 100 divert 2000 icmp from any to 10.2.0.1 in icmptypes 8
reflect five r 2000
remember
is "before the namespace goes: two programs" "$(echo "$progs" | wc -w)" 2
stop five
ip netns del "$NS-r"
wait_for 30 "the namespace takes all programs and maps with it" none_left "$progs" "$maps" &&
	ok "the namespace takes all programs and maps with it"
