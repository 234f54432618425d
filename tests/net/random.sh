#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Random rule sets against random packets in the kernel: see progs/engine_random.c. RANDOM_PAIRS and
# RANDOM_SEED in the environment ask for other ones than usual. Interfaces, addresses and routes are
# those of tests/random/host.c; no packet passes there, as the kernel has nothing to say on such
# interfaces: the rules count those of the test only.
. "$(dirname "$0")/lib.sh"
make_ns r
r sysctl -qw net.ipv6.conf.default.addr_gen_mode=1 net.ipv6.conf.default.router_solicitations=0
ip link add eth0 netns "$NS-r" type veth peer name eth1 netns "$NS-r"
ip link add tun0 netns "$NS-r" type veth peer name other netns "$NS-r"
for i in eth0 eth1 tun0 other; do
	ip -n "$NS-r" link set $i arp off multicast off # before an address: no group is joined, and reported
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
r "$PROGS/engine_random" "${RANDOM_PAIRS:-60000}" "${RANDOM_SEED:-1}" || failures=1
