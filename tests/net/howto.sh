#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The Divert Sockets mini-HOWTO, 6.2 to 6.4: which chains a packet traverses, in which order, and
# the commands as they stand there. The network is lib.sh's: a -- r -- b; the rules are on r.
. "$(dirname "$0")/lib.sh"
make_router

# in_chains: the echo requests that the chains have seen: input forward output
in_chains() {
	local chain
	for chain in input forward output; do
		q ipchains -L $chain -n -v -x | awk '$1 ~ /^[0-9]+$/ {print $1; exit}'
	done | paste -sd' '
}
traverses() { # WHAT NS ADDRESS EXPECTED
	r ipchains -Z
	works "$1: ping works" ping_ "$2" "$3"
	is "$1: input, forward, output" "$(in_chains)" "$4"
}

for chain in input forward output; do
	r ipchains -A $chain -p icmp -s 0.0.0.0/0 8
done
traverses "to the host" a 10.1.0.2 "1 0 0"
traverses "from the host" r 10.2.0.1 "0 0 1"
traverses "forwarded" a 10.2.0.1 "1 1 1"
r ipchains -F

# One program sees the order: it gets the number of the rule that diverted the packet.
for chain in output forward input; do
	r ipchains -A $chain -p icmp -s 0.0.0.0/0 8 -j DIVERT 1234
done
start order r interceptor 1234
wait_for 10 "interceptor" grep -q "listening on" "$TMP/order.err"
works "diverted in all three chains: ping works" ping_ a 10.2.0.1
stop order
is "diverted in all three chains: input, forward, output" \
	"$(sed 's/.*rule \([0-9]*\) .*/\1/' "$TMP/order.out" | while read -r number; do
		q ipfw list "$number" | sed 's,.*// ,,'
	done | cut -d' ' -f1 | paste -sd' ')" "input forward output"
r ipchains -F

# 6.3: "would set up a divert rule for ICMP packets to be diverted from input chain to a port 1234"
r ipchains -A input -p ICMP -j DIVERT 1234
reflect back r 1234
works "ipchains -A input -p ICMP -j DIVERT 1234: ping of the host" ping_ a 10.1.0.2 2
works "ipchains -A input -p ICMP -j DIVERT 1234: ping through it" ping_ a 10.2.0.1 2
stop back
# the host's own answers leave by output; requests and answers that go through the host come in
is "ipchains -A input -p ICMP -j DIVERT 1234: what is diverted" "$(count back received)" 6
r ipchains -F

# 6.4: "will divert and display all TCP packets originating on host"
r ipchains -A output -p TCP -s 10.2.0.2 -j DIVERT 4321
server() { nq b ss -Hltn 'sport = 5000' | grep -q .; }
start server b socat TCP-LISTEN:5000,fork,reuseaddr EXEC:cat
wait_for 5 "the server" server
asks() { [ "$(echo hello | q timeout "$1" socat - TCP:10.2.0.1:5000,connect-timeout="$1" 2>/dev/null)" = hello ]; }
fails "-A output -p TCP: a DENY rule until the program starts" asks 0.5
start shows r interceptor 4321
wait_for 10 "interceptor" grep -q "listening on" "$TMP/shows.err"
works "-A output -p TCP, and interceptor 4321: a connection" asks 5
stop shows
like "-A output -p TCP, and interceptor 4321: it is shown" "$(head -1 "$TMP/shows.out")" \
	' out .* 10\.2\.0\.2\.[0-9]+ > 10\.2\.0\.1\.5000: TCP \[S\]'
is "-A output -p TCP, and interceptor 4321: what the host gets is not" \
	"$(grep -c '5000 > 10' "$TMP/shows.out")" 0
r divertctl set pass-through on
works "pass-through: as if nothing happened" asks 5
