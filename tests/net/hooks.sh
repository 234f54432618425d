#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# "Never in another's place": programs that others attach to an interface stay. If one stands before
# the rules, or takes their place, every tool says so. First comes the chain of Linux 6.6 and later
# (TCX), then classic filters, with a build that knows no chain, and then an upgrade from these to
# the chain, under traffic. Interfaces of r move into x.
#
#	a ------ r0 r r1 ------ b	(lib.sh), and x
. "$(dirname "$0")/lib.sh"
make_router
make_ns x

chain() { r "$PROGS/chain" "$@"; }
has_chain=yes
q "$PROGS/chain" list lo in >/dev/null
[ $? != 77 ] || has_chain=no

status_of() { q divertctl status | grep -A 1 "^  $1 "; }
denied() { packets r 100; }
# holds WHAT: checks that the rule denies a's pings and counts them
holds() {
	local was
	was=$(denied)
	fails "$1: denied" ping_ a 10.2.0.1
	is "$1: counted" "$(denied)" $((was + 1))
}
# told WHAT PATTERN: checks that each tool says so, with exit status 0
told() {
	local tool
	like "$1: divertctl status" "$(q divertctl status)" "warning: $2"
	for tool in "ipfw list" "ipfw show" "ipfw -q add 900 count ip from any to any" "ipchains -L" "divertctl attach"; do
		# shellcheck disable=SC2086 # words
		q $tool >/dev/null 2>"$TMP/err"
		is "$1: $tool: status" $? 0
		like "$1: $tool" "$(cat "$TMP/err")" "$2"
	done
	r ipfw -q delete 900 2>/dev/null
}
untold() {
	is "$1: ipfw list" "$(q ipfw list 2>&1 >/dev/null)" ""
	fails "$1: divertctl status" grep -q warning <(q divertctl status)
}
# deny COMMAND...: adds the rule, and one for which all interfaces are hooked on both sides; COMMAND
# runs ipfw
deny() {
	"$@" ipfw -q add 100 deny icmp from 10.1.0.1 to any in recv r0
	"$@" ipfw -q add 50 count ip from any to any
}

# ---- the chain ----

chained() {
	local verdict
	deny r
	is "hooked: one program a side" "$(hooks_of r0 in | wc -l) $(hooks_of r0 out | wc -l)" "1 1"
	is "no qdisc is needed" "$(q tc qdisc show dev r0 | grep -c clsact)" 0
	for verdict in 0 2 -1 7; do
		chain attach r0 in $verdict
		holds "a program that answers $verdict, behind"
		untold "a program that answers $verdict, behind"
		chain detach r0 in $verdict
		chain attach r0 in $verdict first
		told "a program that answers $verdict, before" "r0: 'answer_$((verdict & 255))' comes before the rules on the way in"
		[ $verdict != -1 ] || holds "a program that goes on, before"
		is "it is there still" "$(q "$PROGS/chain" list r0 in | wc -l)" 2
		chain detach r0 in $verdict
	done
	holds "they are gone"
	untold "they are gone"
	chain attach r1 out -1 first
	told "on the way out" "r1: 'answer_255' comes before the rules on the way out"
	chain detach r1 out -1

	# somebody takes the program away, as 'bpftool net detach' does
	chain take r0 in
	works "taken away: packets pass" ping_ a 10.2.0.1
	like "taken away: status" "$(status_of r0)" "out only"
	like "taken away: ipfw list" "$(q ipfw list 2>&1 >/dev/null)" "r0: the rules see no packet on the way in"
	works "divertctl attach" r divertctl attach
	holds "attach repairs it"
	chain take r0 in
	r ipfw -q add 200 count ip from any to any
	holds "so does the next change of rules"
	untold "so does the next change of rules"

	# a classic filter comes after the chain, whatever its priority
	if r tc qdisc add dev r0 clsact; then
		r tc filter add dev r0 ingress pref 1 handle 1 protocol all bpf da bytecode '1,6 0 0 0'
		r tc filter add dev r1 egress pref 65535 handle 1 protocol all bpf da bytecode '1,6 0 0 0'
		holds "a classic filter that ends them"
		untold "a classic filter that ends them"
		r ipfw -q add 201 count ip from any to any
		like "a classic filter is there still" "$(q tc filter show dev r0 ingress)" "pref 1 bpf.* handle 0x1 "
		r tc qdisc del dev r0 clsact
		holds "clsact is deleted"
	else
		echo "skip no clsact here"
	fi

	if r ip link add ifb7 type ifb 2>/dev/null; then
		r divertctl attach
		is "an ifb device is not hooked" "$(hooks_of ifb7 in)$(hooks_of ifb7 out)" ""
		untold "an ifb device"
		r ip link del ifb7
	else
		echo "skip this kernel has no ifb"
	fi
	moves
	ip -n "$NS-r" link set r0 down
	ip -n "$NS-r" link set r0 name renamed0
	ip -n "$NS-r" link set renamed0 up
	like "a new name: hooked all the same" "$(status_of renamed0)" "in, out"
	ip -n "$NS-r" link set renamed0 down
	ip -n "$NS-r" link set renamed0 name r0
	ip -n "$NS-r" link set r0 up

	chain attach r0 in -1
	chain attach r0 out -1 first
	works "unload" r divertctl unload
	is "unload: other people's programs stay" "$(q "$PROGS/chain" list r0 in | cut -d' ' -f2) $(q "$PROGS/chain" list r0 out | cut -d' ' -f2)" \
		"answer_255 answer_255"
	chain detach r0 in -1
	chain detach r0 out -1
}

# An interface moves to another namespace, and back.
moves() {
	local back
	r ip link set r0 netns "$NS-x"
	n x ip addr add 10.1.0.2/24 dev r0
	n x ip link set r0 up
	wait_for 5 "moved: no rule of another namespace is for it" ping_ a 10.1.0.2 &&
		# The link takes some time to come up.
		ok "moved: no rule of another namespace is for it"
	works "moved: unload where no engine is loaded" n x divertctl unload
	is "moved: takes what it brought along" "$(nq x "$PROGS/chain" list r0 in)" ""
	n x ipfw -q add 100 deny icmp from any to 10.1.0.2 in
	fails "moved: rules of its own are" ping_ a 10.1.0.2
	n x divertctl unload
	n x ip link set r0 netns "$NS-r"
	r ip addr add 10.1.0.2/24 dev r0
	r ip link set r0 up
	back=$(status_of r0)
	like "moved back: status" "$back" "not hooked|in, out"
	if [[ $back != *"in, out"* ]]; then
		like "moved back: ipfw list" "$(q ipfw list 2>&1 >/dev/null)" "r0: the rules see no packet"
		like "moved back: ipchains -L" "$(q ipchains -L 2>&1 >/dev/null)" "r0: the rules see no packet"
	fi
	works "moved back: attach" r divertctl attach
	holds "moved back"
	untold "moved back"
}

# ---- classic filters ----

# runs a build that knows no chain; before Linux 6.6 this build is one
classically() { if [ $has_chain = yes ]; then by_build classic "$@"; else q "$@"; fi; }

classic() {
	local kind prio
	deny classically
	like "classic: hooked" "$(q tc filter show dev r0 ingress)" "pref 1 bpf.* divert_in"
	is "classic: and nowhere else" "$(q "$PROGS/chain" list r0 in)" ""
	holds "classic"
	q tc filter show dev r0 ingress >"$TMP/filters"
	classically divertctl unload

	# somebody else's filters were there first
	r tc qdisc add dev r0 clsact
	r tc qdisc add dev r1 clsact
	r tc filter add dev r0 ingress pref 1 handle 1 protocol all bpf da bytecode '1,6 0 0 4294967295'
	r tc filter add dev r1 egress pref 65535 handle 1 protocol all bpf da bytecode '1,6 0 0 4294967295'
	deny classically
	is "classic: beside other people's filters, on both sides" \
		"$(q tc filter show dev r0 ingress | grep -c ' handle '),$(q tc filter show dev r1 egress | grep -c ' handle ')" 2,2
	holds "classic: beside other people's filters"
	classically divertctl unload
	is "classic: unload leaves them" \
		"$(q tc filter show dev r0 ingress | grep -c ' handle '),$(q tc filter show dev r1 egress | grep -c ' handle ')" 1,1
	r tc filter del dev r0 ingress
	for kind in "matchall action continue" "u32 match u32 0 0 action continue" "flower action continue"; do
		# shellcheck disable=SC2086 # words
		r tc filter add dev r0 ingress pref 1 protocol all $kind 2>/dev/null && break
		kind=
	done
	if [ -n "$kind" ]; then
		deny classically 2>"$TMP/err"
		is "classic: behind a filter of another kind: status" $? 0
		holds "classic: behind a filter of another kind"
		like "classic: which is told" "$(cat "$TMP/err")" "r0: '${kind%% *}' comes before the rules on the way in"
		classically divertctl unload
		like "classic: and stays" "$(q tc filter show dev r0 ingress)" "${kind%% *}"
	else
		echo "skip this kernel has no other kind of filter"
	fi
	r tc qdisc del dev r0 clsact
	r tc qdisc del dev r1 clsact

	# the filter is taken away, and then replaced
	deny classically
	r tc qdisc del dev r0 clsact
	like "classic: clsact is deleted: status" "$(classically divertctl status)" "r0 +not hooked"
	classically divertctl attach
	holds "classic: attach repairs it"
	prio=$(q tc filter show dev r0 ingress | sed -n 's/.* pref \([0-9]*\) bpf.* handle .*/\1/p')
	r tc filter replace dev r0 ingress pref "$prio" handle 1 protocol all bpf da bytecode '1,6 0 0 4294967295'
	like "classic: replaced: status" "$(classically divertctl status)" "r0 +out only"
	classically divertctl attach
	holds "classic: attach repairs that"
	is "classic: and leaves the other one" "$(q tc filter show dev r0 ingress | grep -c ' handle ')" 2
	classically divertctl unload
	q tc filter show dev r0 ingress | grep -q ' handle ' || not_ok "classic: the other one is gone"
	r tc qdisc del dev r0 clsact
}

# ---- from classic filters to the chain ----

all_there() {
	local arrived
	arrived=$(tcpdump -n -r "$TMP/$wire.pcap" 2>/dev/null | wc -l)
	[ $((arrived + $(stat_of r 2000 loop))) = "$1" ]
}
upgraded() {
	local n=4000
	classically ipfw -q add 100 deny icmp from any to 10.2.0.1 in
	classically ipfw -q add 200 divert 2000 udp from any to any 9 in recv r0
	reflect x r 2000
	wire=wire
	sniffs b b0
	a python3 "$HERE/numbered.py" send 10.2.0.1 9 $n --size 36 --pps 1000 >/dev/null &
	pids+=($!)
	wait_for 10 "packets come" has_arrived 500
	works "upgrade to the chain" r divertctl upgrade
	# a packet that is written back just when its interface is hooked both ways is diverted
	# again and again
	wait_for 10 "all packets arrive, or are counted as loop" all_there $n
	stop wire
	works "few of them are ($(stat_of r 2000 loop))" test "$(stat_of r 2000 loop)" -lt 5
	like "in order" "$(numbers 4)" "^0-[0-9]*( [0-9]+-[0-9]+)*$"
	holds "upgraded: rules are as they were"
	is "upgraded: in the chain" "$(q "$PROGS/chain" list r0 in | cut -d' ' -f2)" divert_in
	is "upgraded: no classic filter is left" "$(q tc filter show dev r0 ingress; q tc filter show dev r1 egress)" ""
	untold "upgraded"
	stop x
	r divertctl unload
	is "upgraded: unload removes the qdiscs of before" "$(q tc qdisc show | grep -c clsact)" 0
}

if [ $has_chain = yes ]; then
	chained
	works "a build that knows no chain" build classic 0.0.1 's/= hook_has_chain\(\)/= 0/' engine/load.c >"$TMP/build" ||
		{ cat "$TMP/build" && exit 1; }
else
	echo "skip no chain before Linux 6.6"
	deny r
	holds "this build"
	moves
	r divertctl unload
fi
classic
[ $has_chain = no ] || upgraded
