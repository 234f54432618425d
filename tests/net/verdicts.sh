#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The verdict cache (docs/architecture.md): packets of a busy flow of UDP that pass by `first N`, or
# as the flow was released, are not read any more. They are counted one by one, and what ends it
# ends at once: a change of rules, the end of a release, the death of the program. a sends numbered
# packets through r to b, where a rule counts them. The network is lib.sh's:
#
#	a 10.1.0.1 --- r --- b 10.2.0.1
#	  fd01::1              fd02::1
. "$(dirname "$0")/lib.sh"
make_router
nq b ipfw -q add 100 count udp from any to any 7000 in
nq b ipfw -q add 200 deny udp from any to any in

rules() {
	q ipfw -q - <<<"flush
$(printf 'add %s\n' "$@")"
}
# sends HOW...: numbered packets of one flow. flood: until `stop flood`; other: one of another flow
sends() { echo python3 "$HERE/numbered.py" send "$B" 7000 "$@" --size 18 --connect --source 1000; }
# shellcheck disable=SC2046 # words
flood() { start flood a $(sends 100000000 --pps 20000); }
# shellcheck disable=SC2046
burst() { nq a $(sends "$1") >/dev/null; }
other() { n a python3 "$HERE/flow.py" udp "$A" 999 "$B" 7000; }
sent() { sed -n 's/sent \([0-9]*\) .*/\1/p' "$TMP/flood.out"; }
arrived() { packets b 100; }
more_than() { [ "$("${@:2}")" -gt "$1" ]; } # N COMMAND...
counter() { q divertctl stat -a 2000 | awk -v name="$1" '$2 == name {n = $1} END {print n + 0}'; }
program() {
	rm -f "$TMP/prog.ready"
	start prog r "$PROGS/lib_release" -p "$TMP/prog.ready" "$@"
	reader=$pid
	wait_for 10 "lib_release ${*:2}" test -s "$TMP/prog.ready"
}
both() { echo "$(packets r 100) $(packets r 200) $(arrived)"; }

for v in 4 6; do
	if [ $v = 4 ]; then A=10.1.0.1 B=10.2.0.1; else A=fd01::1 B=fd02::1; fi

	# ---- first N ----

	for side in in out; do
		nq b ipfw -q zero
		rules "100 divert 2000 udp from any to any $side first 6" "200 count udp from any to any $side"
		reflect back r 2000
		burst 20000
		soon "v$v: first 6 $side: each is counted, and arrives" "6 20000 20000" both
		stop back
		all_back "v$v: first 6 $side" back
	done
	# more rules than an entry has room for; also so many that a byte would not tell them from one
	mapfile -t many < <(for ((i = 0; i < 256; i++)); do echo "200 count udp from any to any in"; done)
	nq b ipfw -q zero
	rules "100 divert 2000 udp from any to any in first 6 bypass" "${many[@]}"
	burst 5000
	seen() { q ipfw show 200 | awk '{n[$2]++} END {for (i in n) print i, n[i]}'; }
	soon "v$v: 256 rules: each counts all packets" "5000 256" seen
	nq b ipfw -q zero
	rules "100 divert 2000 udp from any to any in first 6 bypass" "200 count udp from any to any in"
	flood
	wait_for 10 "v$v: the flow is busy" more_than 2000 arrived
	q ipfw -q add 150 deny udp from any to any in
	was=$(arrived)
	wait_for 10 "v$v: more packets" more_than 2000 packets r 150
	is "v$v: a new rule: none passes it" "$(arrived)" "$was"
	q ipfw -q delete 150
	wait_for 10 "v$v: a rule is deleted: packets arrive" more_than $((was + 2000)) arrived
	stop flood

	# ---- released flows ----

	rules "100 divert 2000 udp from any to any 7000 in" "200 count udp from any to any in"
	# released STEP...: a program that has released the flow; no packet of it is on its way
	released() {
		program 2000 "$@"
		burst 1
		wait_for 10 "v$v: released" grep -q "step 1" "$TMP/prog.out"
		nq b ipfw -q zero
		passed=$(counter released-passed) nobody=$(counter no-listener)
	}
	passed() { echo $(($(counter released-passed) - passed)); }
	nobody() { echo $(($(counter no-listener) - nobody)); }
	listed() { q divertctl flows | awk '$1 == 2000 {print $3}'; }

	released pass undo
	burst 5000
	soon "v$v: released: each is counted" 5000 passed
	is "v$v: released: and listed" "$(listed)" 5000
	flood
	wait_for 10 "v$v: the flow is busy" more_than 7000 passed
	other
	wait_for 10 "v$v: the release ends" grep -q "step 2" "$TMP/prog.out"
	was=$(passed) diverted=$(counter diverted)
	wait_for 10 "v$v: the program has the packets" more_than $((diverted + 2000)) counter diverted
	is "v$v: the release has ended: none passes" "$(passed)" "$was"
	stop flood
	soon "v$v: each arrived" $(($(sent) + 5001)) arrived
	stop prog

	released pass
	flood
	wait_for 10 "v$v: the flow is busy" more_than 2000 passed
	kill -KILL "$reader"
	wait "$reader" 2>/dev/null
	was=$(passed)
	wait_for 10 "v$v: killed: packets are dropped" more_than 2000 nobody
	is "v$v: killed: none passes" "$(passed)" "$was"
	stop flood
	is "v$v: killed: each is counted, those that passed arrived" "$(($(passed) + $(nobody))) $(arrived)" \
		"$(sent) $was"
done
