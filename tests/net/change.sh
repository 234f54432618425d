#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Things change while packets are with the program. An interface appears, gets another name,
# address, MTU or MAC, goes down, moves to another namespace, disappears. Routes and neighbours
# change. A namespace is deleted: a neighbour's or the program's own.
#
# Packets that can still be delivered arrive. For the others the program gets an errno, once for
# each packet, and they are counted. Everything else continues through the same socket. No program,
# map or descriptor is left over.
#
# The network is lib.sh's, a -- r -- b. Each scene has links of its own, between r and a namespace
# x. r's end is c0 (10.5.0.2, fd05::2), x's end is x0 (10.5.0.1, fd05::1). The program holds UDP
# packets to port 7000, and writes back all others: pings between a and b.
# alone: it counts losses under load
. "$(dirname "$0")/lib.sh"
command -v bpftool >/dev/null || skip_all "no bpftool"
make_router
make_ns y

# diverted [in|out]: diverts all that the tests send, but not the neighbours' own packets: those of
# a removed interface could not be written back.
diverted() {
	r ipfw -q flush
	r ipfw -q add 100 divert 2000 udp from any to any "$@"
	r ipfw -q add 100 divert 2000 icmp from any to any "$@"
	r ipfw -q add 100 divert 2000 ipv6-icmp from any to any icmp6types 128,129 "$@"
}

# scene in|out: makes a new link whose ends know each other, and the rules
scene() {
	r ipfw -q flush
	[ ! -e "/run/netns/$NS-x" ] || ip netns del "$NS-x"
	ip -n "$NS-r" link del c0 2>/dev/null
	ip -n "$NS-r" link del renamed 2>/dev/null
	make_ns x
	link r c0 10.5.0.2/24 fd05::2/64 -- x x0 10.5.0.1/24 fd05::1/64
	ip -n "$NS-x" route replace default via 10.5.0.2
	ip -n "$NS-x" -6 route replace default via fd05::2
	r divertctl attach c0
	works "a new link" ping_ r 10.5.0.1
	works "a new link, IPv6" ping_ r fd05::1
	diverted "$1"
}

# holding COUNT NS ADDRESS SIZE: sends that many packets from NS to ADDRESS; the program holds them
under=() # the command that the program runs under
holding() {
	rm -f "$TMP/hold.ready"
	start hold r "${under[@]}" divert-run "$PROGS/hold" 2000 7000 "$1" "$TMP/hold.ready"
	wait_for 90 "the program" test -s "$TMP/hold.ready"
	n "$2" python3 "$HERE/numbered.py" send "$3" 7000 "$1" --pps 20000 --size "${4:-64}" >/dev/null
	wait_for 30 "$1 packets are with the program" grep -q "holding $1" "$TMP/hold.out"
}

# released WHAT EXPECTED: lets the program write the packets back, and checks the result
released() {
	kill -USR1 "$(cat "$TMP/hold.ready")"
	wait_for 60 "$1: released" grep -q released "$TMP/hold.out"
	is "$1" "$(sed -n '/released/ {p; q}' "$TMP/hold.out")" "released $2"
}

# goes_on WHAT: sends other packets, then stops the program
goes_on() {
	works "$1: everything else goes on" ping_ a 10.2.0.1 3
	works "$1: everything else goes on, IPv6" ping_ a fd02::1 3
	stop hold
	like "$1: nothing else failed, and no descriptor is left over" "$(tail -1 "$TMP/hold.out")" \
		"^others [0-9]+ failed 0, descriptors ${descriptors:=$(sed 's/.* //;$!d' "$TMP/hold.out")}\$"
}

# receiver NS: starts a UDP receiver there; got WHAT COUNT: that many datagrams for port 7000 have
# arrived there, each once
receiver() {
	at=$1 had=$(datagrams "$1")
	rm -f "$TMP/recv.ready"
	start recv "$1" python3 "$HERE/numbered.py" recv 7000 "$TMP/recv.ready"
	wait_for 5 "UDP receiver" test -s "$TMP/recv.ready"
}
datagrams() {
	nq "$1" cat /proc/net/snmp /proc/net/snmp6 |
		awk '/^Udp: [0-9]/ {n += $2} /^Udp6InDatagrams/ {n += $2} END {print n}'
}
arrived() { [ $(($(datagrams "$at") - had)) -ge "$1" ]; }
got() {
	wait_for 5 "$1" arrived "$2"
	stop recv # which reads all that is there before it ends
	is "$1" "$(cat "$TMP/recv.out")" "received $2 distinct $2 first 0 last $(($2 - 1))"
}

# counted: the counter CAUSE of port 2000, since the last call
declare -A seen=()
counted() { # WHAT CAUSE EXPECTED
	local now
	now=$(stat_of r 2000 "$2")
	is "$1: counted as $2" "$((now - ${seen[$2]:-0}))" "$3"
	seen[$2]=$now
}

# The engine's programs and maps, found by the hooks of lo.
loaded() {
	local id
	for id in $({ hooks_of lo in && hooks_of lo out; } | cut -d' ' -f1); do
		bpftool -j prog show id "$id"
	done | python3 -c 'import json, sys
progs = [json.loads(line) for line in sys.stdin]
print("programs", *[p["id"] for p in progs], "maps", *sorted({m for p in progs for m in p["map_ids"]}))'
}
diverted in
before=$(loaded)
like "loaded: what is there at the beginning" "$before" '^programs [0-9]+ [0-9]+ maps [0-9]'

# ---- appears ----

scene in
holding 10 x 10.2.0.1
receiver b
released "a new interface, attached: what came by it" 10
got "a new interface, attached: arrives" 10
goes_on "a new interface"

# ---- renamed ----

for to in 10.2.0.1 fd02::1; do
	for dir in in out; do
		scene $dir
		holding 10 x $to
		receiver b
		r ip link set c0 down
		r ip link set c0 name renamed
		r ip link set renamed up
		add_addr r renamed fd05::2/64 2>/dev/null # gone with the link
		released "renamed, $dir, to $to: what is with the program" 10
		got "renamed, $dir, to $to: arrives" 10
		goes_on "renamed, $dir, to $to"
	done
done
diverted in
reflect back r -v 2000
works "renamed: what comes next" ping_ x 10.2.0.1
stop back
is "renamed: has the new name" "$(grep -c 'addr=10.5.0.2 name=renamed' "$TMP/back.out")" 1

# ---- another address ----

for to in 10.2.0.1 fd02::1; do
	scene in
	holding 10 x $to
	receiver b
	r ip addr flush dev c0
	r ip addr add 10.15.0.2/24 dev c0
	released "another address, to $to: what is with the program, by its name" 10
	got "another address, to $to: arrives" 10
	goes_on "another address, to $to"
done

# ---- MTU ----

scene out
x() { n x "$@"; }
receiver x
holding 10 a 10.5.0.1 1472
x ip link set x0 mtu 9000
r ip link set c0 mtu 1400
released "a smaller MTU: what is larger now, and must not be fragmented" "0, EMSGSIZE 10"
counted "a smaller MTU" too-big 10
r ip link set c0 mtu 9000
goes_on "a smaller MTU"
holding 10 r 10.5.0.1 8000
released "a larger MTU: what is larger than before" 10
got "a larger MTU: arrives" 10
goes_on "a larger MTU"

# The path MTU that r has learned is for r's own packets. The router that it was learned from tells
# other senders itself. (A router must not fragment IPv6, so there Linux tells them before any
# rule.)
scene out
link x z0 10.8.0.2/24 -- y z1 10.8.0.1/24
x ip link set z0 mtu 1400
x sysctl -qw net.ipv4.ip_forward=1
r ip route replace 10.8.0.0/24 via 10.5.0.1
r ipfw -q flush
like "path MTU: learned" "$(q ping -n -c 1 -W 2 -M "do" -s 1472 10.8.0.1 2>&1)" 'mtu = 1400'
diverted out
holding 10 a 10.8.0.1 1472
r ip neigh flush dev c0
released "path MTU: what it was not learned for, to a neighbour not known" 10
refused() { [ "$(nq x nstat -asz IpFragFails | awk '/Frag/ {print $2}')" = "$1" ]; }
wait_for 5 "path MTU: the next router refuses them" refused 11 && ok "path MTU: the next router refuses them"
goes_on "path MTU"

# ---- MAC ----

for to in 10.2.0.1 fd02::1; do
	scene in
	holding 10 x $to
	receiver b
	r ip link set c0 address 02:00:00:00:00:77
	released "another MAC of the receiving interface, to $to" 10
	got "another MAC of the receiving interface, to $to: arrives" 10
	goes_on "another MAC of the receiving interface, to $to"
done
for to in 10.5.0.1 fd05::1; do
	scene out
	receiver x
	holding 10 a $to
	x ip link set x0 address 02:00:00:00:00:78
	r ip neigh flush dev c0
	held=$SECONDS
	older() { [ $((SECONDS - held)) -ge "$1" ]; }
	# divert(4): the link header is valid for some seconds; without divert the packets would
	# have left at once
	wait_for 20 "another MAC of the neighbour, to $to: the link header is old" older 7
	released "another MAC of the neighbour, to $to" 10
	got "another MAC of the neighbour, to $to: arrives" 10
	goes_on "another MAC of the neighbour, to $to"
done

# ---- routes ----

for to in 10.99.0.1 fd99::1; do
	net=10.99.0.0/16 was=10.5.0.1 now=10.2.0.1 bits=32
	[ $to = 10.99.0.1 ] || net=fd99::/16 was=fd05::1 now=fd02::1 bits=128
	scene out
	b ip addr replace $to/$bits dev lo
	r ip route replace $net via $was
	holding 10 a $to
	receiver b
	r ip route replace $net via $now
	released "another route, to $to: routed anew" 10
	got "another route, to $to: arrives" 10
	goes_on "another route, to $to"
	holding 10 a $to
	r ip route del $net
	released "the route is gone, to $to" "0, ENETUNREACH 10"
	counted "the route is gone, to $to" no-route 10
	goes_on "the route is gone, to $to"
done

# ---- down, moved, removed: 1,000 packets ----

# gone WHAT DIRECTION ERRNO CAUSE COMMAND...: runs COMMAND while the program holds 1,000 packets,
# for each family
gone() {
	local what dir=$2 error=$3 cause=$4 to from how=$1
	shift 4
	for v in 4 6; do
		what="$how, $dir, v$v"
		scene "$dir"
		if [ "$dir" = in ]; then
			to=10.2.0.1 from=x
			[ $v = 4 ] || to=fd02::1
		else
			to=10.5.0.1 from=a
			[ $v = 4 ] || to=fd05::1
		fi
		holding 1000 $from $to
		"$@"
		released "$what: 1,000 packets" "0, $error 1000"
		counted "$what" "$cause" 1000
		goes_on "$what"
	done
}
remove_x() {
	ip netns del "$NS-x"
	wait_for 10 "its other end is gone" bash -c "! ip -n $NS-r link show c0"
}
gone "down" in ENETDOWN interface-down r ip link set c0 down
gone "down" out ENETUNREACH no-route r ip link set c0 down
gone "moved to another namespace" in EADDRNOTAVAIL no-interface r ip link set c0 netns "$NS-y"
ip -n "$NS-y" link del c0
gone "moved to another namespace" out ENETUNREACH no-route r ip link set c0 netns "$NS-y"
add_addr y c0 10.5.0.2/24
ip -n "$NS-y" link set c0 up
wait_for 5 "moved to another namespace: nothing of it is diverted there" ping_ x 10.5.0.2 &&
	# The link takes some time to come up.
	ok "moved to another namespace: nothing of it is diverted there"
ip -n "$NS-y" link del c0
gone "removed" in EADDRNOTAVAIL no-interface r ip link del c0
gone "removed" out ENETUNREACH no-route r ip link del c0
gone "its other end's namespace deleted" in EADDRNOTAVAIL no-interface remove_x
gone "its other end's namespace deleted" out ENETUNREACH no-route remove_x

# the interface comes back under the same name, with another index, while the program holds packets
for v in 4 6; do
	to=10.2.0.1
	[ $v = 4 ] || to=fd02::1
	scene in
	holding 100 x $to
	receiver b
	r ip link del c0
	ip netns del "$NS-x"
	scene in
	released "removed and there again, v$v: by its name" 100
	got "removed and there again, v$v: arrives" 100
	goes_on "removed and there again, v$v"
done

# all of that once more under valgrind, whose reports about bpf(2) and libbpf do not count
if command -v valgrind >/dev/null; then
	under=(valgrind --trace-children=yes --leak-check=full "--log-file=$TMP/valgrind")
	for dir in in out; do
		scene $dir
		if [ $dir = in ]; then holding 1000 x 10.2.0.1; else holding 1000 a 10.5.0.1; fi
		r ip link del c0
		error="ENETUNREACH 1000"
		[ $dir = out ] || error="EADDRNOTAVAIL 1000"
		released "removed, $dir, under valgrind" "0, $error"
		stop hold
		like "removed, $dir: no memory is lost" \
			"$(sed -n 's/.*\(definitely\|indirectly\) lost: \([0-9,]*\) .*/\2/p' "$TMP/valgrind" | paste -sd' ')" '^( ?0)*$'
		is "removed, $dir: no memory is misused" "$(grep -c 'Invalid \(read\|write\|free\)' "$TMP/valgrind")" 0
	done
	under=()
else
	echo "skip no valgrind"
fi

is "no program and no map more than at the beginning" "$(loaded)" "$before"

# ---- the program's own namespace ----

diverted in
ids=${before//[a-z]/}
holding 1000 a 10.2.0.1
receiver b
ip netns del "$NS-r"
released "its own namespace deleted: it lives as long as the program" 1000
got "its own namespace deleted: arrives" 1000
goes_on "its own namespace deleted"
all_gone() {
	local id
	for id in $ids; do
		bpftool prog show id "$id" | grep -q divert_ && return 1
		bpftool map show id "$id" && return 1
	done
	! ip -n "$NS-a" link show a0
}
wait_for 30 "with the program everything goes" all_gone && ok "with the program everything goes"
