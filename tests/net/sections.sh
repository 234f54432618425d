#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Many rules, of which a packet may match few. The engine looks up those few (engine/index.h) and
# skips the others. Each packet meets the rules that it matches, and no other, wherever it enters:
# behind a skipto, above a tag, as a fragment or with IP options. This holds also while the rules
# change. The network is lib.sh's: a -- r -- b.
. "$(dirname "$0")/lib.sh"
make_router

N=300 # rules, in up to 64 sections: several in each
FIRST=3000

# probe WHERE TO [plain|options|large]: sends from there one datagram to each of N ports of that
# address
probe() {
	n "$1" python3 - "$2" "$FIRST" "$N" "${3:-plain}" <<-'END'
		import socket, sys
		to, first, count, how = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
		sock = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM)
		if how == "options":
		    sock.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([1] * 4))
		for port in range(first, first + count):
		    sock.sendto(b"x" * (2000 if how == "large" else 10), (to, port))
	END
}

# rules ACTION: makes a rule for each of the ports, the first one numbered 1000
rules() {
	awk -v n=$N -v first=$FIRST -v action="$1" 'BEGIN {
		print "flush"
		for (i = 0; i < n; i++)
			print "add", 1000 + i, action, "udp from any to any", first + i, "in recv r0"
	}' | q ipfw -q - || not_ok "loading the rules"
}

# met WHAT EXPECTED: "300x1" means that 300 of the N rules have met one packet each
met() {
	is "$1" "$(q ipfw show | awk '$1 >= 1000 && $1 < 2000 {n[$2]++} END {for (i in n) printf "%sx%s\n", n[i], i}' |
		sort | xargs)" "$2"
}

written=0
for to in 10.2.0.1 fd02::1; do
	rules deny
	probe a $to
	met "$to: each rule, once" "${N}x1"
	probe b "${to/2/1}" # this arrives on another interface
	met "$to: nobody's packet" "${N}x1"
	rules count
	probe a $to large
	met "$to: large ones: their first fragments" "${N}x1"
	q ipfw -q add 500 skipto 1150 udp from any to any
	q ipfw -q zero
	probe a $to
	met "$to: behind a skipto" "150x0 150x1"
	q ipfw -q delete 500
	# the second half of the rules is above the tag of a packet that is diverted in the middle
	# of them
	q ipfw -q add 1150 divert 2000 udp from any to any in recv r0
	q ipfw -q zero
	reflect many r 2000
	probe a $to
	written=$((written + N))
	all_back() { [ "$(stat_of r 2000 entered)" = $written ]; }
	wait_for 10 "$to: all are written back" all_back
	stop many
	is "$to: above a tag" "$(q ipfw show | awk '$1 > 1150 && $1 < 2000 {n += $2} END {print n}')" 149
done
rules count
probe a 10.2.0.1 options
met "with options" "${N}x1"

# ---- interfaces, kinds and addresses, each by itself ----

q ipfw -q flush
q ipfw -q - <<-END 2>/dev/null
	add 1000 count udp from any to any in recv r0
	add 1001 count udp from any to any recv r1
	add 1002 count udp from any to any out xmit r1
	add 1003 count udp from any to any via r0
	add 1004 count udp from any to any via r*
	add 1005 count udp from any to any recv nosuch0
	add 1006 count tcp from any to any
	add 1007 count udp from 10.1.0.0/24 to any
	add 1008 count udp from any to 10.2.0.0/16
	add 1009 count udp from any to not 10.2.0.1
	add 1010 count ip6 from any to any dst-port 3000-3299
	add 1011 count { udp or tcp } from any to any { dst-port 3000 or src-ip 10.1.0.1 }
END
probe a 10.2.0.1
is "each of these, in and out" \
	"$(q ipfw show | awk '$1 >= 1000 && $1 < 2000 {printf "%s%d", s, $2; s = " "}')" \
	"300 0 300 300 600 0 0 600 600 0 0 600"

# ---- 30 changes a second: no packet meets a mixture of two sets ----

# set_of A|B: 100 rules. In A, rule 100 leads to 1000, and 500 denies; in B, 100 does not, and 1000
# denies.
set_of() {
	awk -v which="$1" 'BEGIN {
		print "flush"
		for (i = 0; i < 96; i++)
			print "add", 200 + i, "deny udp from 192.0.2." i, "to any", 4000 + i
		if (which == "A")
			print "add 100 skipto 1000 udp from any to any 9\nadd 500 deny udp from any to any 9\n" \
				"add 1000 allow udp from any to any 9"
		else
			print "add 100 count udp from any to any 9\nadd 500 allow udp from any to any 9\n" \
				"add 1000 deny udp from any to any 9"
	}' >"$TMP/set$1"
}
set_of A
set_of B
r ipfw -q "$TMP/setA"
start count b python3 "$HERE/numbered.py" recv 9 "$TMP/count.ready"
wait_for 5 "the receiver" test -s "$TMP/count.ready"
start flood a python3 "$HERE/numbered.py" send 10.2.0.1 9 60000 --pps 20000
flood=$pid changes=0
while kill -0 "$flood" 2>/dev/null; do
	r ipfw -q "$TMP/setB" 2>/dev/null && r ipfw -q "$TMP/setA" 2>/dev/null && changes=$((changes + 2))
done
wait "$flood"
works "sets change under traffic: $changes times" [ $changes -ge 20 ]
is "sets change under traffic: sent" "$(cat "$TMP/flood.out")" "sent 60000 errors 0"
counted() {
	[ "$(b sh -c "awk '\$1 == \"Udp:\" && \$2 != \"InDatagrams\" {print \$2}' /proc/net/snmp")" -ge 60000 ]
}
wait_for 10 "they arrive" counted
stop count
is "sets change under traffic: none is lost, none meets a mixture" "$(cut -d' ' -f1-4 "$TMP/count.out")" \
	"received 60000 distinct 60000"

# ---- no packet is looked up in one set and meets the rules of the other ----

# Each rule is in a section of its own, so the same bits mean other rules in the other set. If a
# packet kept the bits of one set, the second rule of the other would divert it.
printf 'flush\nadd allow udp from any to any 9\nadd divert 2001 udp from any to any\n' >"$TMP/setA"
printf 'flush\nadd deny udp from 192.0.2.1 to any\nadd allow udp from any to any 9\nadd divert 2001 udp from any to any\n' \
	>"$TMP/setB"
r ipfw -q "$TMP/setA" 2>/dev/null
floods=()
for i in 1 2; do
	start flood$i a python3 "$HERE/numbered.py" send 10.2.0.1 9 250000
	floods+=("$pid")
done
changes=0
while kill -0 "${floods[@]}" 2>/dev/null; do
	r ipfw -q "$TMP/setB" 2>/dev/null && r ipfw -q "$TMP/setA" 2>/dev/null && changes=$((changes + 2))
done
wait "${floods[@]}"
works "sets of other sections under traffic: $changes times" [ $changes -ge 20 ]
is "sets of other sections under traffic: none is taken for another's" "$(stat_of r 2001 no-listener)" 0
