#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The main job of divert(4) on a router, as in FreeBSD's own tests. A forwarded ping is diverted in,
# out, and both. It is read exactly once each time, and works if it is written back. The network is
# lib.sh's: a -- r -- b.
. "$(dirname "$0")/lib.sh"
make_router

for family in 4 6; do
	if [ $family = 4 ]; then to=10.2.0.1 proto=icmp types="icmptypes 8"; else
		to=fd02::1 proto=ipv6-icmp types="icmp6types 128"; fi
	works "v$family: ping without divert" ping_ a $to

	for dir in in out; do
		r ipfw -q flush
		r ipfw -q add 100 divert 2000 $proto from any to any $dir $types
		reflect drop r -d 2000
		fails "v$family $dir: not written back, ping fails" ping_ a $to
		stop drop
		is "v$family $dir: not written back, one packet read" "$(count drop received)" 1

		reflect back r 2000
		works "v$family $dir: written back, ping works" ping_ a $to 3
		stop back
		is "v$family $dir: written back, each read once" "$(count back received)" 3
		is "v$family $dir: each sent once" "$(count back sent)" 3
	done

	r ipfw -q flush
	r ipfw -q add 100 divert 2001 $proto from any to any in $types
	r ipfw -q add 200 divert 2002 $proto from any to any out $types
	reflect one r 2001
	reflect two r 2002
	works "v$family in and out on two ports: ping works" ping_ a $to 1
	stop one
	stop two
	is "v$family in and out: port of in, once" "$(count one received)" 1
	is "v$family in and out: port of out, once" "$(count two received)" 1
done
