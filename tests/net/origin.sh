#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# divert(4): "An address that comes back without sin_zero": Python's address has only port and
# address. A packet continues at the interface that it came from, also if that has no address, or
# the same address as another one.
. "$(dirname "$0")/lib.sh"
make_router
make_ns c
link r r2 10.1.0.2/32 -- c c0 10.3.0.1/24
# r1 has no IPv4 address; r0 and r2 have the same one
ip -n "$NS-r" addr del 10.2.0.2/24 dev r1
ip -n "$NS-r" route add 10.2.0.0/24 dev r1
ip -n "$NS-r" route add 10.3.0.0/24 dev r2
ip -n "$NS-b" route replace default via 10.1.0.2 dev b0 onlink
ip -n "$NS-c" route replace default via 10.1.0.2 dev c0 onlink

r ipfw -q add 100 divert 2000 icmp from any to any in icmptypes 8
for i in r0 r1 r2; do r ipfw -q add "20${i#r}" count icmp from any to any in recv "$i" icmptypes 8; done
start python r timeout 40 divert-run python3 "$HERE/py_reflect.py" 2000 6
wait_for 10 "py_reflect.py is bound" grep -q "^bound" "$TMP/python.out"
works "an interface without an address: ping works" ping_ b 10.1.0.1 2
works "two with one address, the first: ping works" ping_ a 10.1.0.2 2
works "two with one address, the second: ping works" ping_ c 10.1.0.2 2
wait "${pid_python:-}"
is "py_reflect.py: ends with 0" $? 0
is "py_reflect.py: what it saw" "$(sed 1d "$TMP/python.out" | cut -d' ' -f1-6 | sort | uniq -c | sed 's/^ *//')" \
	"4 84 bytes rule 100 in 10.1.0.2
2 84 bytes rule 100 in 255.255.255.255"
is "they went on behind the rule, as from r0, r1, r2" "$(packets r 200) $(packets r 201) $(packets r 202)" "2 2 2"
