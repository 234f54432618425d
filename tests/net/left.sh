#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Nothing is left behind (divert(4), LIMITS; divertctl(8)). The next command of any kind gives back
# the memory of sockets that have ended. It counts packets that they had not read as unread, once.
# alone: it counts the free memory of the host
. "$(dirname "$0")/lib.sh"
make_router

# sum CAUSE: the counter of all ports, and of sockets without a port
sum() { q divertctl stat -a | awk -v c="$1" '$2 == c { n += $1 } END { print n + 0 }'; }
slots() { q "$PROGS/engine_slots"; }
# rules FIRST COUNT: diverts each port's packets to the divert port of the same number
rules() {
	local p
	for ((p = $1; p < $1 + $2; p++)); do echo "add $p divert $p udp from any to any $p in"; done >"$TMP/rules"
	r ipfw -q "$TMP/rules"
}
# dies NAME HOW FIRST COUNT EACH: starts progs/dies; it is bound when this returns
dies() {
	start "$1" r divert-run "$PROGS/dies" "${@:2}"
	wait_for 120 "$1 is bound" grep -q bound "$TMP/$1.out"
}
# reads NAME: tells it to read, or to do its next step
reads() {
	eval "kill -USR1 \$pid_$1"
	wait_for 30 "$1 has read" grep -q "${2:-ready}" "$TMP/$1.out"
}
# sends FIRST COUNT EACH: sends EACH packets to every one of COUNT ports
sends() {
	nq a python3 -c 'import socket, sys
first, count, each = map(int, sys.argv[1:])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(each):
    for port in range(first, first + count):
        s.sendto(b"x" * 100, ("10.2.0.1", port))' "$@"
}
# came COUNT: whether that many packets have been delivered
came() { [ "$(($(sum diverted) + $(sum teed)))" -ge "$1" ]; }
ends() {
	eval "p=\$pid_$1"
	kill -KILL "$p" 2>/dev/null
	wait "$p" 2>/dev/null
}
# exact WHAT DIVERTED READ: checks that all packets that were not read are counted as unread, now
# and later
exact() {
	is "$1: all were delivered" "$(($(sum diverted) + $(sum teed)))" "$2"
	is "$1: those that were not read" "$(sum unread)" $(($2 - $3))
	is "$1: once" "$(sum unread)" $(($2 - $3))
	is "$1: no memory is held for them" "$(slots)" 0
}

# ---- sockets that have ended ----

for how in waits closes exits shuts; do
	rules 3000 8
	dies one $how 3000 8 3
	sends 3000 8 10
	wait_for 10 "$how: they have come" came 80
	reads one read
	if [ $how = waits ]; then
		is "a socket that lives has unread packets, which do not count" "$(sum unread)" 0
	elif [ $how = exits ]; then
		wait "${pid_one:-}"
	else
		reads one
	fi
	[ $how = closes ] || ends one
	exact $how 80 24
	ends one
	r divertctl unload
done

# each of our commands gives the memory back
for command in "divertctl stat" "divertctl status" "divertctl get" "divertctl attach" "divertctl set trains on" \
	"ipfw list" "ipfw -q add 60000 count ip from any to any" "ipfw -q delete 60000" "ipchains -L" \
	"divert-run $PROGS/dies waits 3100 1 0"; do
	dies one waits 3000 2 0
	ends one
	if [[ $command = divert-run* ]]; then
		start exits r $command
		wait_for 10 "it is bound" grep -q bound "$TMP/exits.out"
	else
		# shellcheck disable=SC2086
		r $command >/dev/null
	fi
	is "by $command" "$(q "$PROGS/engine_slots" look)" "$([[ $command = divert-run* ]] && echo 1 || echo 0)"
done

# Copies count as packets. Some records are no packets: of two fragments, the first one tells that
# neither is for this socket.
r divertctl unload
rules 3000 1
r ipfw -q add 2000 tee 3000 udp from any to any 3001 in
dies one waits 3000 1 2
sends 3000 2 4
wait_for 10 "copies have come" came 8
cat >"$TMP/fragments.py" <<-'END'
	import socket, struct
	s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
	def send(at, more, data):
	    s.sendto(struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(data), 77, more << 13 | at // 8, 64, 17, 0,
	        socket.inet_aton("10.1.0.1"), socket.inet_aton("10.2.0.1")) + data, ("10.2.0.1", 0))
	send(32, 0, b"y" * 32)
	send(0, 1, struct.pack("!HHHH", 5, 3002, 64, 0) + b"x" * 24)
END
a python3 "$TMP/fragments.py"
wait_for 10 "a fragment has come" came 9
wait_for 10 "the first one has passed" test "$(packets r 65535)" -ge 1
reads one
ends one
exact "copies and fragments" 9 2

# sockets that are still in use are left alone
r divertctl unload
rules 3000 2
dies one forks 3000 2 1
sends 3000 2 5
wait_for 10 "they have come" came 10
reads one
ends one
is "a child lives: not unread" "$(sum unread)" 0
is "a child lives: its sockets stay" "$(slots)" 2
ip netns pids "$NS-r" | xargs -r kill -KILL
alone() { [ -z "$(ip netns pids "$NS-r")" ]; }
wait_for 10 "the child ends" alone
exact "the child has ended" 10 2

dies one passes 3000 1 1
sends 3000 1 5
wait_for 10 "they have come" came 15
reads one
is "one that is on its way to another process: not unread" "$(sum unread)" 8
is "one that is on its way to another process: it stays" "$(slots)" 1
ends one
exact "it never came there" 15 3

# several commands at once
dies one waits 3000 2 0
sends 3000 2 100
wait_for 10 "they have come" came 215
ends one
together=()
for n in 1 2 3 4 5 6; do
	q divertctl stat >/dev/null &
	together+=($!)
done
wait "${together[@]}"
exact "six commands at once" 215 3

# as many sockets as half of the memory holds, each with 8 MiB
r divertctl unload
free_mib() { awk '$1 == "MemAvailable:" { print int($2 / 1024) }' /proc/meminfo; }
many=$(($(free_mib) / 18))
[ $many -le 1000 ] || many=1000
rules 3000 $many
dies one waits 3000 $many 1
sends 3000 $many 3
wait_for 30 "they have come" came $((3 * many))
reads one
held=$(free_mib)
ends one
start=$SECONDS
q divertctl stat >"$TMP/stat"
took=$((SECONDS - start))
is "$many sockets: what it says itself" \
	"$(awk '$2 == "diverted" || $2 == "unread" { n[$2] += $1 } END { print n["diverted"], n["unread"] }' "$TMP/stat")" \
	"$((3 * many)) $((2 * many))"
back() { [ $(($(free_mib) - held)) -ge $((many * 7)) ]; }
wait_for 30 "their memory" back && ok "$many sockets: their memory is back"
works "$many sockets: in less than 10 s ($took)" test $took -lt $((10 * SLOW))
exact "$many sockets" $((3 * many)) $many
