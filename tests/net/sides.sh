#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Hooks are on lo, and otherwise only where a rule can match: on that side of interfaces with that
# name. The kernel shows them, and divertctl status reports them. They come with the rules and are
# removed by divertctl attach, without a packet lost. A packet that a program writes continues, and
# is counted exactly, with a hook on its way and without.
#
#	a ------ r0 r r1 ------ b	(lib.sh), and x, into which an interface of r moves
# long: each rule has its hooks looked at
. "$(dirname "$0")/lib.sh"
make_router
make_ns x

# sides IFACE: prints "in, out", "in", "out" or ""
sides() {
	local there=()
	[ -z "$(hooks_of "$1" in)" ] || there+=(in)
	[ -z "$(hooks_of "$1" out)" ] || there+=(out)
	[ ${#there[@]} != 2 ] && echo "${there[*]}" || echo "in, out"
}
said() { # the same from divertctl status
	q divertctl status | sed -nE "s/^  $1 +//p" | sed -E 's/(; )?no rule needs .*//'
}
# hooked WHAT R0 R1: checks the hooks, and that there is no warning
hooked() {
	is "$1: r0, r1" "$(sides r0) / $(sides r1)" "$2 / $3"
	is "$1: r0, r1, divertctl status" "$(said r0) / $(said r1)" "$2 / $3"
	is "$1: lo" "$(sides lo)" "in, out"
	is "$1: no warning" "$(q divertctl status | grep warning)" ""
}
# rule R0 R1 RULE...: makes this the only rule, and checks the hooks
rule() {
	r ipfw -q flush
	r ipfw -q add 100 "${@:3}" 2>/dev/null
	r divertctl attach
	hooked "${*:3}" "$1" "$2"
}

# ---- where a rule can match ----

r divertctl attach
hooked "no rule" "" ""
rule in in count ip from any to any in
rule out out count ip from any to any out
rule "in, out" "in, out" count ip from any to any
rule in "" deny icmp from 10.1.0.1 to any in recv r0
rule in "" count ip from any to any recv r0 in
rule "" out count ip from any to any out xmit r1
rule "" "in, out" count ip from any to any via r1
rule "in, out" "" count ip from any to any not via r1
rule in "" count ip from any to any in not recv r1
rule in in count ip from any to any in recv 'r*'
rule "" "" count ip from any to any in recv 'q*'
rule "in, out" "in, out" count ip from any to any via any
rule in in count ip from any to any in '{' recv r0 or recv r1 '}'
rule in in count ip from any to any in '{' recv r0 or proto udp '}'
rule "" "" count ip from any to any in recv r0 recv r1
rule "" "" count ip from any to any in xmit r0
rule "" "" count ip from any to any in out
rule "" "" count ip from any to any in recv lo
# conditions that depend on the packet may match on any interface: where it was received, a table,
# an address
rule "in, out" out count ip from any to any recv r0
rule out out count ip from any to any out recv r0
rule in in count ip from any to any in recv 'table(1)'
rule in in count ip from any to any in recv 10.1.0.2
rule in in count ip from any to any in uid 0
rule in "" count tcp from 10.9.9.9 1-5 to fd01::/16 80 in recv r0 setup

# several rules, and then without them
r ipfw -q flush
r ipfw -q add 100 count ip from any to any in recv r0
r ipfw -q add 200 count ip from any to any out xmit r0
r ipfw -q add 300 divert 2000 ip from any to any 9 in recv r1
r divertctl attach
hooked "three rules" "in, out" in
r ipfw -q delete 200
is "without the second: its hook stays" "$(sides r0) / $(sides r1)" "in, out / in"
like "without the second: divertctl status" "$(q divertctl status)" "  r0  +in, out; no rule needs out"
r divertctl attach
hooked "without the second" in in
r ipfw -q delete 100
r divertctl attach
hooked "without the first, too" "" in
r ipfw -q flush
r divertctl attach
hooked "none of them" "" ""
r ipchains -A input -i r0 -p icmp -j DENY
like "ipchains -A input -i r0: r0" "$(sides r0)" "^in"
r ipchains -F input
r ipfw -q flush
r divertctl attach
hooked "chains are empty" "" ""

# a rule set that is refused changes nothing
r ipfw -q add 100 count ip from any to any in recv r0
printf 'add 200 count ip from any to any out\nadd 300 frobnicate\n' >"$TMP/bad"
q ipfw -q "$TMP/bad" 2>/dev/null && not_ok "a bad file is taken"
r ipfw -q delete 200 2>/dev/null
r divertctl attach
hooked "a file with an error" in ""

# ---- interfaces that appear, and names that change ----

r ipfw -q flush
r ipfw -q add 100 deny icmp from any to 10.2.0.1 in recv eth7
r divertctl attach
hooked "a name that there is not" "" ""
works "a name that there is not: it is for none" ping_ a 10.2.0.1
rename() {
	ip -n "$NS-r" link set "$1" down
	ip -n "$NS-r" link set "$1" name "$2"
	ip -n "$NS-r" link set "$2" up
}
rename r0 eth7
is "renamed: its hook is to come" "$(sides eth7)" ""
like "renamed: divertctl status" "$(q divertctl status)" "warning: eth7: the rules see no packet on the way in:"
like "renamed: ipfw list" "$(q ipfw list 2>&1 >/dev/null)" "eth7: the rules see no packet on the way in:"
# the udev rule does this: net/packaging
works "renamed: divertctl attach" r divertctl attach -l ":$(with_sys r cat /sys/class/net/eth7/ifindex)"
is "renamed: hooked" "$(sides eth7), $(said eth7)" "in, in"
is "renamed: no warning" "$(q divertctl status | grep warning)" ""
fails "renamed: the rule is for it" ping_ a 10.2.0.1
rename eth7 r0
r ipfw -q add 200 count ip from any to 10.9.9.9 in recv nosuch0 2>/dev/null
r divertctl attach
is "renamed back: divertctl attach takes the hook away" "$(sides r0), $(said r0)" ", "
r ip link add eth7 type veth peer name eth8
like "appears: divertctl status" "$(q divertctl status)" "warning: eth7: the rules see no packet on the way in:"
r divertctl attach
is "appears: hooked; its peer is not" "$(sides eth7) / $(sides eth8)" "in / "
r ip link set eth7 netns "$NS-x"
n x ip link set eth7 name eth9
n x ip link set eth9 netns "$NS-r"
r divertctl attach
is "moved, and back by another name" "$(sides eth9), $(said eth9)" ", "
r ip link del eth9

# ---- the default rule counts only packets that met the rules ----

r ipfw -q flush
r ipfw -q add 100 count icmp from any to any in recv r0
r divertctl attach
r ping -q -c 1 -W 1 10.2.0.1 >/dev/null # now the neighbours are known
r ping -q -c 1 -W 1 10.1.0.1 >/dev/null
r ipfw -q zero
works "the default rule: pings" ping_ a 10.2.0.1 3
# It would be six if it counted the answers, too. A neighbour may ask for an address meanwhile.
like "the default rule: counts what came in by r0, and by no other" "$(packets r 65535)" '^[345]$'
is "the default rule: as the first rule" "$(packets r 100)" 3

# ---- packets that a program writes where there is no hook ----

many() { nq r divert-run "$PROGS/many" "$@"; }
sum() { q divertctl stat -a | awk -v c="$1" '$2 == c { n += $1 } END { print n + 0 }'; }
# written WHAT CAUSE=NUMBER...: compares counters since the last call
declare -A seen=()
written() {
	local cause
	for cause in "${@:2}"; do
		is "$1: ${cause%=*}" "$(($(sum "${cause%=*}") - ${seen[${cause%=*}]:-0}))" "${cause#*=}"
	done
	for cause in written-in written-out entered lost-on-entry by-train loop; do
		seen[$cause]=$(sum $cause)
	done
}
cases=0
# writes WHAT NUMBERS MANY-WORDS...: checks that these packets arrive at b, in order
writes() {
	wire=wire$((++cases))
	sniffs b b0
	many "${@:3}" >/dev/null
	wait_for 5 "$1: packets" has_arrived "$(($(tr ' ' '\n' <<<"$2" | awk -F- '{n += ($2 == "" ? $1 : $2) - $1 + 1} END {print n}')))"
	stop "$wire"
	is "$1: what arrived, in order" "$(numbers 4)" "$2"
}
r ipfw -q flush
r divertctl attach
written "before"
writes "no hook, in, one" 0-0 r0
writes "no hook, in, a batch" 0-199 "r0*200"
writes "no hook, in and out in turn" 0-49 "r0*10" "out*10" "r0*10" "r1*10" "out*10"
written "no hook" written-in=231 written-out=20 entered=251 lost-on-entry=0 by-train=0
# Somebody removes a hook that no rule needs. Packets that are written do not wait for it.
r ipfw -q add 100 count ip from any to any
r ipfw -q delete 100
r "$PROGS/chain" take r0 in
r divertctl attach
writes "a hook that somebody took, in" 0-0 r0
written "a hook that somebody took" written-in=1 written-out=0 entered=1 lost-on-entry=0
r ipfw -q add 100 count udp from any to any 9 in recv r0
writes "a hook on one of two" 0-99 "r0*20" "r1*20" "out*20" "r0*20" "r1*10" "out*10"
written "a hook on one of two" written-in=70 written-out=30 entered=100 lost-on-entry=0 loop=0
is "a hook on one of two: its rule counts its packets" "$(packets r 100)" 40
r ipfw -q add 100 count udp from any to any 9 out xmit r1
r ipfw -q delete 100
r ipfw -q add 100 count udp from any to any 9 out xmit r1
r divertctl attach
writes "a hook on the way out" 0-59 "r0*30" "out*30"
written "a hook on the way out" written-in=30 written-out=30 entered=60 lost-on-entry=0 loop=0
is "a hook on the way out: its rule counts all" "$(packets r 100)" 60

# ---- a hook is removed while packets are with the program ----

# kept WHAT DIRECTION COMMAND...: runs COMMAND while the program holds ten packets
kept() {
	r ipfw -q flush
	r ipfw -q add 100 divert 2000 udp from any to any 7000 "$2"
	rm -f "$TMP/hold.ready" "$TMP/recv.ready"
	start recv b python3 "$HERE/numbered.py" recv 7000 "$TMP/recv.ready"
	wait_for 5 "UDP receiver" test -s "$TMP/recv.ready"
	start hold r divert-run "$PROGS/hold" 2000 7000 10 "$TMP/hold.ready"
	wait_for 10 "the program" test -s "$TMP/hold.ready"
	n a python3 "$HERE/numbered.py" send 10.2.0.1 7000 10 >/dev/null
	wait_for 10 "10 packets are with the program" grep -q "holding 10" "$TMP/hold.out"
	"${@:3}"
	written "$1, before"
	kill -USR1 "$(cat "$TMP/hold.ready")"
	wait_for 10 "$1: released" grep -q released "$TMP/hold.out"
	like "$1: released" "$(cat "$TMP/hold.out")" "released 10$"
	written "$1" "written-$2=10" entered=10 lost-on-entry=0 loop=0
	datagrams() { [ "$(nq b awk '/^Udp: [0-9]/ {print $2}' /proc/net/snmp)" -ge $((received + 10)) ]; }
	wait_for 5 "$1: datagrams" datagrams
	stop recv
	stop hold
	received=$(nq b awk '/^Udp: [0-9]/ {print $2}' /proc/net/snmp)
	is "$1: they arrive" "$(cat "$TMP/recv.out")" "received 10 distinct 10 first 0 last 9"
}
received=$(nq b awk '/^Udp: [0-9]/ {print $2}' /proc/net/snmp)
elsewhere() {
	r ipfw -q add 200 divert 2000 udp from any to any 7000 in recv nosuch0 2>/dev/null
	r ipfw -q delete 100
	r divertctl attach
}
none() {
	r ipfw -q flush
	r divertctl attach
}
for way in in out; do
	kept "the rule is there, $way" $way true
	kept "the rules are gone, $way" $way none
	is "the rules are gone, $way: so are the hooks" "$(sides r0)$(sides r1)" ""
	kept "the rule is another, $way" $way elsewhere
	is "the rule is another, $way: the hooks are gone" "$(sides r0)$(sides r1)" ""
done

# ---- hooks come and go while packets pass ----

# runs: the runs that numbers prints, sorted and joined
runs() {
	numbers 4 | tr ' ' '\n' | sort -n | awk -F- 'NR == 1 { first = $1 }
		NR > 1 && $1 != last + 1 { printf "%d-%d ", first, last; first = $1 }
		{ last = $2 }
		END { printf "%d-%d", first, last }'
}
# passing WHAT COMMAND...: runs COMMAND again and again while numbered packets pass. A packet that
# no rule is for any more may overtake those that the program has.
passing() {
	local n=4000 times=0
	wire=wire$((++cases))
	sniffs b b0
	written "$1, before"
	start send a python3 "$HERE/numbered.py" send 10.2.0.1 9 $n --size 36 --pps 1000
	while ! grep -q sent "$TMP/send.out"; do
		"${@:2}"
		times=$((times + 1))
	done
	wait_for 10 "$1: all arrive" has_arrived $n
	stop "$wire"
	works "$1: changed $times times" test $times -ge 3
	is "$1: all arrive, once" "$(runs)" "0-$((n - 1))"
	written "$1" lost-on-entry=0 loop=0
}
counts() {
	q ipfw -q add 100 count ip from any to any "$@"
	q ipfw -q delete 100
	q divertctl attach
}
passing "a rule comes and goes, in" counts in
passing "a rule comes and goes, out" counts out
diverts() {
	q ipfw -q add 100 divert 2000 udp from any to any 9 "$@"
	q ipfw -q delete 100
	q divertctl attach
}
reflect back r 2000
passing "a divert rule comes and goes, in" diverts in
passing "a divert rule comes and goes, out" diverts out
stop back
all_back "a divert rule comes and goes" back

works "unload" r divertctl unload
is "unload: no hook is left" "$(sides lo)$(sides r0)$(sides r1)" ""
