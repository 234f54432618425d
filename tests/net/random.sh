#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Random rule sets against random packets, in the kernel. progs/engine_random.c loads some rule sets
# by ipfw and tries many packets (RANDOM_PAIRS). progs/engine_sets.c tries many rule sets with few
# packets, for RANDOM_SECONDS. The seed is the same each time, so that what they find comes from the
# change that is tested; RANDOM_SEED takes another, for a search. A failure names the RANDOM_SEED and
# RANDOM_SETS that repeat it. The interfaces, addresses and routes are those of tests/random/host.c.
# The kernel sends no packet of its own on such interfaces, so the rules count only the test's.
. "$(dirname "$0")/lib.sh"
make_ns r
r sysctl -qw net.ipv6.conf.default.addr_gen_mode=1 net.ipv6.conf.default.router_solicitations=0
ip link add eth0 netns "$NS-r" type veth peer name eth1 netns "$NS-r"
ip link add tun0 netns "$NS-r" type veth peer name other netns "$NS-r"
for i in eth0 eth1 tun0 other; do
	# before it has an address: so no group is joined, and none reported
	ip -n "$NS-r" link set $i arp off multicast off
done
add_addr r eth0 10.0.0.1/24
add_addr r eth1 10.0.0.1/24
add_addr r tun0 fd00::1/64
for i in eth0 eth1 tun0 other; do
	ip -n "$NS-r" link set $i up
done
ip -n "$NS-r" route add 10.0.1.0/24 dev eth1
ip -n "$NS-r" route add default dev tun0
ip -n "$NS-r" route add fd00:0:0:1::/64 dev eth0
ip -n "$NS-r" -6 route add default dev eth1
# at least 10,000 rule sets a minute; an emulated machine tries as many as it can
seed=${RANDOM_SEED:-1}
[ -n "${RANDOM_SETS-}" ] || r "$PROGS/engine_random" "${RANDOM_PAIRS:-60000}" "$seed" || failures=1
r ipfw -q flush
r "$PROGS/engine_sets" "${RANDOM_SECONDS:-60}" $((SLOW == 1 ? 10000 : 0)) \
	"$seed" ${RANDOM_SETS:+"$RANDOM_SETS"} || failures=1
