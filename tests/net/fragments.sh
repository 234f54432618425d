#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# divert(4), "Fragments": whole packets are delivered, whatever they came in, and what does not fit is
# cut again.
. "$(dirname "$0")/lib.sh"
make_router
for family in 4 6; do
	if [ $family = 4 ]; then to=10.2.0.1; else to=fd02::1; fi
	for dir in in out; do
		r ipfw -q flush
		r ipfw -q add 100 divert 2000 ip from any to $to $dir
		reflect back r 2000
		works "v$family $dir: ping of 20000 bytes" a ping -q -n -i 0.1 -W 1 -c 3 -s 20000 $to
		stop back
		is "v$family $dir: read whole" "$(count back received)" 3
		is "v$family $dir: sent whole" "$(count back sent)" 3
	done
done
