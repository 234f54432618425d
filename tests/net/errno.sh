#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# divert(4), ERRORS: each errno of sending, of binding and of making a socket. Each packet that is
# not delivered "is counted under its cause". An error of one packet never stops the next one.
. "$(dirname "$0")/lib.sh"
make_router

r ip link add d0 type veth peer name d1
r ip addr add 10.9.0.1/24 dev d0
n=101
for type in unreachable prohibit blackhole; do
	r ip route add $type 198.51.$n.0/24
	r ip -6 route add $type 2001:db8:$n::/48
	n=$((n + 1))
done

# ---- a program that checks itself ----

r ipfw -q add 100 count udp from any to 10.1.0.1 3009 out via r0
r ipfw -q add 110 count udp from any to 10.1.0.2 3009 in via r0
works "refuse: all of them" r divert-run "$PROGS/refuse" 3000 >"$TMP/refuse"
cat "$TMP/refuse"
good=$(sed -n 's/^good //p' "$TMP/refuse")
works "refuse: it came to its end" test "${good:-0}" -gt 30
is "each packet after a refusal left" "$(packets r 100)" "$good"
is "inbound, nothing but the one by address" "$(packets r 110)" 1

is "counted: written outbound" "$(stat_of r 3000 written-out)" "$good"
is "counted: written inbound" "$(stat_of r 3000 written-in)" 1
is "counted: no such interface, by name, address and index" "$(stat_of r 3000 no-interface)" 3
is "counted: interface down" "$(stat_of r 3000 interface-down)" 2
is "counted: no route, of each kind and family" "$(stat_of r 3000 no-route)" 8
is "counted: too big for the link" "$(stat_of r 3000 too-big)" 1
for cause in diverted bad-checksum bad-frame malformed lost-on-entry no-listener buffer-full; do
	is "not counted: $cause" "$(stat_of r 3000 $cause)" 0
done

# ---- between programs ----

r ipfw -q add 200 divert 2000 ip from any to 10.99.0.1
reflect first r 2000
q divert-run "$PROGS/reflect" 2000 >"$TMP/second" 2>&1
is "bind: another program has the port, status" $? 1
is "bind: another program has the port" "$(cat "$TMP/second")" "reflect: bind: EADDRINUSE"
stop first
reflect first r 2000
kill -KILL "${pid_first:-}"
wait "${pid_first:-}" 2>/dev/null
reflect second r 2000
ok "bind: the port of a program that was killed is free"
works "bind: an AF_INET6 socket has ports of its own" \
	r divert-run "$PROGS/reflect" -6 -S 0 2000 >/dev/null
stop second

for form in "-P 258" "-P 254" "-6"; do
	# shellcheck disable=SC2086
	q setpriv --reuid 65534 --regid 65534 --clear-groups \
		divert-run "$PROGS/reflect" $form 2001 >"$TMP/nobody" 2>&1
	is "socket $form: as nobody, status" $? 1
	is "socket $form: as nobody" "$(cat "$TMP/nobody")" "reflect: socket: EPERM"
done
# root without one of the capabilities gets EPERM
for cap in net_admin net_raw bpf; do
	q setpriv --bounding-set "-$cap,-sys_admin" --inh-caps "-$cap,-sys_admin" \
		divert-run "$PROGS/reflect" 2001 >"$TMP/cap" 2>&1
	is "socket: root without CAP_${cap^^}" "$(cat "$TMP/cap")" "reflect: socket: EPERM"
done

# ---- errors that inject sees: a route that comes back, and one that goes ----

inject() { q divert-run "$PROGS/inject" "$@"; }
is "no route" "$(inject -4 10.1.0.2 198.51.100.7)" ENETUNREACH
r ip route add 198.51.100.0/24 via 10.1.0.1
is "with a route" "$(inject -4 10.1.0.2 198.51.100.7)" "ok 44"
r ip link set r0 down
is "its interface down, the route is gone" "$(inject -4 10.1.0.2 198.51.100.7)" ENETUNREACH
is "inbound, interface down" "$(inject -I r0 -4 10.1.0.1 10.1.0.2)" ENETDOWN
r ip link set r0 up
is "inbound, interface up again" "$(inject -I r0 -4 10.1.0.1 10.1.0.2)" "ok 44"
is "a length above the MTU, DF" "$(inject -F -l 1473 -4 10.1.0.2 10.2.0.1)" EMSGSIZE
r ip link set r1 mtu 1400
is "a smaller MTU holds at once" "$(inject -F -l 1373 -4 10.1.0.2 10.2.0.1)" EMSGSIZE
is "as long as that MTU" "$(inject -F -l 1372 -4 10.1.0.2 10.2.0.1)" "ok 1400"
# the route has an MTU of its own
r ip route add 198.51.100.128/25 via 10.2.0.1 mtu lock 1300
is "above the route's MTU, DF" "$(inject -F -l 1273 -4 10.1.0.2 198.51.100.129)" EMSGSIZE
is "as long as the route's MTU" "$(inject -F -l 1272 -4 10.1.0.2 198.51.100.129)" "ok 1300"

# ---- errors of the host ----

# shut_lo: attaches to the chain, or before Linux 6.6 as a classic filter
shut_lo() {
	r "$PROGS/chain" attach lo out 2 first ||
		r tc filter add dev lo egress pref 1 protocol all bpf da bytecode '1,6 0 0 2'
}
# A program on lo drops everything that leaves there, so packets cannot be written back meanwhile.
if shut_lo 2>"$TMP/tc"; then
	is "the host takes no packet" "$(inject -4 10.1.0.2 10.2.0.1)" ENOBUFS
	is "the host takes no packet, inbound" "$(inject -I r0 -4 10.1.0.1 10.1.0.2)" ENOBUFS
	r "$PROGS/chain" detach lo out 2 2>/dev/null || r tc filter del dev lo egress pref 1
	is "sent again, it does" "$(inject -4 10.1.0.2 10.2.0.1)" "ok 44"
else
	echo "skip ENOBUFS: $(tail -1 "$TMP/tc")"
fi

# There is room for 4,095 ports in rules and sockets. Rule 200 names one of them.
full() { q divert-run "$PROGS/reflect" -S 0 20001 2>&1; }
for ((n = 0; n < 4095; n++)); do
	echo "add 300 divert $((10000 + n)) ip from 10.98.0.1 to any"
done >"$TMP/ports"
q ipfw -q "$TMP/ports" 2>"$TMP/full"
is "too many ports in rules: status" $? 71
like "too many ports in rules" "$(cat "$TMP/full")" "no room, 4095 ports can be in use"
is "bind: there is room" "$(full)" "received 0 sent 0 failed 0"
head -4094 "$TMP/ports" >"$TMP/fit"
works "as many as there is room for" q ipfw -q "$TMP/fit"
is "bind: too many ports are in use" "$(full)" "reflect: bind: ENOSPC"
r ipfw -q delete 300
is "bind: they are not any more" "$(full)" "received 0 sent 0 failed 0"

# a kernel without BTF, which describes its types, in a namespace without an engine
nq b unshare -m sh -c \
	"mount -t tmpfs none /sys/kernel/btf && exec divert-run $PROGS/reflect 2001" >"$TMP/nobtf" 2>&1
is "socket: no BTF" "$(cat "$TMP/nobtf")" "reflect: socket: EPROTONOSUPPORT"
