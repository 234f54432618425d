#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Random rule sets against random packets in the kernel: see progs/engine_random.c. RANDOM_PAIRS and
# RANDOM_SEED in the environment ask for other ones than usual. The interfaces are tests/random/'s; they
# stay down, so that the rules count no packets but those.
. "$(dirname "$0")/lib.sh"
make_ns r
ip link add eth0 netns "$NS-r" type veth peer name eth1 netns "$NS-r"
ip link add tun0 netns "$NS-r" type veth peer name other netns "$NS-r"
add_addr r eth0 10.0.0.1/24
add_addr r eth1 10.0.0.1/24
add_addr r tun0 fd00::1/64
r "$PROGS/engine_random" "${RANDOM_PAIRS:-100000}" "${RANDOM_SEED:-1}" || failures=1
