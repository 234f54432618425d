#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# No packet escapes a rule by the way it is wrapped: tags of no VLAN, lengths that only the buffer
# tells, any number of extension headers, frames that a bridge hands to IP on its port. Each packet
# (progs/closed.py) meets a rule that counts, one that denies and one that diverts, on its way to
# this host and through it. The program that reads it gets all of it. Packets that rules cannot read
# are dropped before the rules, in both directions, and counted. The network is lib.sh's, and
#
#	a  a1 --- p0 (port of br0 10.3.0.2)  r
. "$(dirname "$0")/lib.sh"
make_router
closed=$HERE/closed.py
mac=$(with_sys r cat /sys/class/net/r0/address)

# a sends no answers to b's answers: only the packets sent here are counted
a nft "table inet quiet { chain o { type filter hook output priority 0; ip daddr 10.2.0.0/24 drop; ip6 daddr fd02::/64 drop; }; }"
# to V NS, from V: the addresses
from() { if [ "$1" = 4 ]; then echo 10.1.0.1; else echo fd01::1; fi; }
to() {
	case $1$2 in
	4r) echo 10.1.0.2 ;;
	6r) echo fd01::2 ;;
	4b) echo 10.2.0.1 ;;
	6b) echo fd02::1 ;;
	esac
}
kinds() { python3 "$closed" kinds "$1" "$2"; }
sorted() { tr ' ' '\n' <<<"$*" | sort | paste -sd' '; }
# sends V NS KIND...: sends these packets; their lengths are in $TMP/sent
sends() { nq a python3 "$closed" send a0 "$mac" "$(from "$1")" "$(to "$1" "$2")" "${@:3}" >"$TMP/sent"; }
# hears V NS: listens in that namespace from now on
hears() {
	local how=listen
	[ "$2" = r ] || how="sniff b0 $(from "$1")"
	rm -f "$TMP/heard.ready"
	# shellcheck disable=SC2086 # words
	start heard "$2" python3 "$closed" $how "$TMP/heard.ready"
	wait_for 10 "closed.py $how" test -s "$TMP/heard.ready"
}
# heard V NS: the names of the packets that have come. It removes all rules, sends a last packet,
# and waits for that.
heard() {
	nq r ipfw -q flush
	sends "$1" "$2" end
	wait_for 10 "the last one" grep -qx end "$TMP/heard.out"
	stop heard 2>/dev/null
	grep -vx 'end' "$TMP/heard.out" | sort | paste -sd' '
}
named() { tr ' ' '\n' <<<"$1" | grep -vx other | paste -sd' '; }
malformed() { nq r divertctl stat | awk '$2 == "malformed" {n = $1} END {print n + 0}'; }
has_counted() { [ "$(packets r "$1")" -ge "$2" ]; }
is_malformed() { [ "$(malformed)" -ge "$1" ]; }
lengths() { sed -n 's/.* len=\([0-9]*\).*/\1/p' "$TMP/back.out" | sort -n | paste -sd' '; }

# meets V NS WHAT KIND...: each packet meets a rule that counts, one that denies and one that
# diverts
meets() {
	local v=$1 ns=$2 what="IPv$1, to $2: $3" n all got
	shift 3
	n=$# all=$(sorted "$@")
	[ "$ns" = r ] && ways=1 || ways=2
	local match=("{ udp or tcp }" from "$(from "$v")" to "$(to "$v" "$ns")" 9)

	r ipfw -q flush
	r ipfw -q add 100 count "${match[@]}" in recv r0
	r ipfw -q add 200 count "${match[@]}" out
	hears "$v" "$ns"
	works "$what: sent" sends "$v" "$ns" "$@"
	wait_for 10 "$what: counted" has_counted 100 "$n"
	is "$what: each counted once, in and out" "$(packets r 100) $(packets r 200)" "$n $((n * (ways - 1)))"
	is "$what: and taken" "$(named "$(heard "$v" "$ns")")" "$all"

	r ipfw -q add 100 deny "${match[@]}" in
	hears "$v" "$ns"
	sends "$v" "$ns" "$@"
	wait_for 10 "$what: denied" has_counted 100 "$n"
	is "$what: denied, none arrives" "$(packets r 100) $(heard "$v" "$ns")" "$n "

	if [ "$ns" = b ]; then
		r ipfw -q add 100 deny "${match[@]}" out
		hears "$v" "$ns"
		sends "$v" "$ns" "$@"
		wait_for 10 "$what: denied" has_counted 100 "$n"
		is "$what: denied on the way out, none arrives" "$(packets r 100) $(heard "$v" "$ns")" "$n "
	fi

	r ipfw -q add 100 divert 2000 "${match[@]}"
	hears "$v" "$ns"
	reflect back r -v -w 2000
	sends "$v" "$ns" "$@"
	wait_for 10 "$what: diverted" has_counted 100 $((n * ways))
	got=$(heard "$v" "$ns")
	stop back
	is "$what: diverted, written back, and taken" "$(named "$got")" "$all"
	[ "$what" != "${what%large}" ] || is "$what: read whole, each way" "$(lengths)" \
		"$(for ((i = 0; i < ways; i++)); do sed 's/.* //' "$TMP/all"; done | sort -n | paste -sd' ')"
}

# ---- packets that Linux takes ----

for v in 4 6; do
	for ns in r b; do
		list=$(kinds $v taken | sed 's/large//')
		[ $ns = r ] || list+=" $(kinds $v forwarded)"
		# shellcheck disable=SC2086 # words
		sends $v $ns $list && cp "$TMP/sent" "$TMP/all"
		# shellcheck disable=SC2086
		meets $v $ns "wrapped" $list
	done
done
# More tags than newer kernels take off (eight): the rules meet the packet, whatever Linux does
# with it then.
for v in 4 6; do
	what="IPv$v, deep tags" list=$(kinds $v deep) n=$(kinds $v deep | wc -w)
	match=(from "$(from $v)" to "$(to $v r)" 9)
	r ipfw -q flush
	hears $v r
	# shellcheck disable=SC2086 # words
	sends $v r $list && cp "$TMP/sent" "$TMP/all"
	taken=$(heard $v r)
	r ipfw -q add 100 count udp "${match[@]}" in
	hears $v r
	# shellcheck disable=SC2086
	sends $v r $list
	wait_for 10 "$what: counted" has_counted 100 "$n"
	is "$what: counted, and taken as without rules ('$taken')" "$(packets r 100) $(heard $v r)" "$n $taken"
	r ipfw -q add 100 deny udp "${match[@]}" in
	hears $v r
	# shellcheck disable=SC2086
	sends $v r $list
	wait_for 10 "$what: denied" has_counted 100 "$n"
	is "$what: denied, none arrives" "$(packets r 100) $(heard $v r)" "$n "
	r ipfw -q add 100 divert 2000 udp "${match[@]}" in
	reflect back r -v -w 2000
	# shellcheck disable=SC2086
	sends $v r $list
	wait_for 10 "$what: diverted" has_counted 100 "$n"
	r ipfw -q flush
	stop back
	is "$what: read whole" "$(lengths)" "$(sed 's/.* //' "$TMP/all" | sort -n | paste -sd' ')"
done

# a large packet, not yet cut into segments, without a length
for v in 4 6; do
	for ns in r b; do
		meets $v $ns large large
		r ipfw -q flush
		r ipfw -q add 100 divert 2000 tcp from "$(from $v)" to "$(to $v $ns)" 9 in
		lib_reflect back -g 2000
		sends $v $ns large
		wait_for 10 "IPv$v, to $ns, large: diverted" has_counted 100 1
		stop back
		works "IPv$v, to $ns, large: read as such ($(sed -n 's/.*longest //p' "$TMP/back.out"))" \
			test "$(sed -n 's/.*longest //p' "$TMP/back.out")" -gt 4000
		all_back "IPv$v, to $ns, large" back
	done
done

# ---- packets without any more headers to read ----

for v in 4 6; do
	list=$(kinds $v harmless)
	n=$(wc -w <<<"$list") was=$(malformed)
	r ipfw -q flush
	r ipfw -q add 100 count all from "$(from $v)" to "$(to $v b)" in
	r ipfw -q add 200 count all from "$(from $v)" to "$(to $v b)" out
	hears $v b
	# shellcheck disable=SC2086
	sends $v b $list
	wait_for 10 "IPv$v, harmless: counted" has_counted 200 "$n"
	is "IPv$v, harmless: each goes its way" \
		"$(packets r 100) $(packets r 200) $(heard $v b | wc -w) $(malformed)" "$n $n $n $was"
done

# ---- packets that cannot be read ----

# unread V SET WHAT N RULE...: with this rule, N packets of the set are dropped before it, and
# counted
unread() {
	local v=$1 set=$2 what=$3 n=$4 was list
	shift 4
	list=$(kinds "$v" "$set") was=$(malformed)
	r ipfw -q add 100 "$@"
	hears "$v" b
	# shellcheck disable=SC2086
	sends "$v" b $list
	wait_for 10 "IPv$v, $what: counted as malformed" is_malformed $((was + n))
	is "IPv$v, $what: met the rule, arrived, malformed" "$(packets r 100) $(heard "$v" b | wc -w) $(($(malformed) - was))" \
		"0 $(($(wc -w <<<"$list") - n)) $n"
}
for v in 4 6; do
	n=$(kinds $v short | wc -w) way=(all from "$(from $v)" to "$(to $v b)")
	hears $v b
	# shellcheck disable=SC2046
	sends $v b $(kinds $v short)
	is "IPv$v, too short: without a rule they pass" "$(heard $v b | wc -w)" "$n"
	unread $v short "too short, in" "$n" count "${way[@]}" in
	unread $v short "too short, out" "$n" count "${way[@]}" out
	unread $v short "too short, diverted" "$n" divert 2000 "${way[@]}"
	unread $v short "too short, a rule for another protocol" "$n" count 47 from any to any in
	unread $v short "too short, rules for another IP version" 0 count "ip$((10 - v))" from "$(from $((10 - v)))" to any
	unread $v wrong "no packet of IP" "$(kinds $v wrong | wc -w)" count "${way[@]}" in
done
is "divertctl tells of it" "$(q divertctl stat | grep -c ' malformed  *headers that cannot be read: dropped')" 1

# ---- frames that a bridge does not forward ----

make_ns c
ip link add p0 netns "$NS-r" type veth peer name c0 netns "$NS-c"
if ! r ip link add br0 type bridge 2>/dev/null; then
	echo "skip bridge: this kernel has none"
	exit 0
fi
r ip link set p0 master br0
ip -n "$NS-r" link set p0 up
ip -n "$NS-r" link set br0 up
add_addr r br0 10.3.0.2/24
add_addr r br0 fd03::2/64
ip -n "$NS-c" link set c0 up
r divertctl attach >/dev/null 2>&1
nq r sysctl -qw net.ipv4.conf.p0.rp_filter=0 net.ipv4.conf.br0.rp_filter=0 net.ipv4.conf.all.rp_filter=0
forwarding() { [ "$(with_sys r cat /sys/class/net/p0/brport/state)" = 3 ]; }
wait_for 40 "the port forwards" forwarding
# frames V WHAT NUMBERS: which of the sixteen link addresses the bridge takes a packet from
frames() {
	local v=$1 what="bridge, $2, IPv$1" taken=$3 n src=10.3.0.1
	[ "$v" = 4 ] || src=fd03::1
	n=$(wc -w <<<"$taken")
	local match=(udp from "$src" to "$(to "$v" r)" 9)
	rm -f "$TMP/heard.ready"
	r ipfw -q flush
	r ipfw -q add 100 count "${match[@]}" in
	r ipfw -q add 200 count "${match[@]}" in recv p0
	start heard r python3 "$closed" listen "$TMP/heard.ready"
	wait_for 10 "closed.py" test -s "$TMP/heard.ready"
	nq c python3 "$closed" send c0 "$mac" $src "$(to "$v" r)" {0..15} >/dev/null
	wait_for 10 "$what: counted" has_counted 100 "$n"
	forwarded=$(($(packets r 100) - $(packets r 200)))
	is "$what: each counted once, and taken" "$(packets r 100) $(heard "$v" r)" "$n $(sorted "$taken")"
	r ipfw -q add 100 deny "${match[@]}" in
	hears "$v" r
	nq c python3 "$closed" send c0 "$mac" $src "$(to "$v" r)" {0..15} >/dev/null
	wait_for 10 "$what: denied" has_counted 100 "$n"
	is "$what: denied, none taken" "$(packets r 100) $(heard "$v" r)" "$n "
	r ipfw -q add 100 divert 2000 "${match[@]}" in
	hears "$v" r
	reflect back r -v -w 2000
	nq c python3 "$closed" send c0 "$mac" $src "$(to "$v" r)" {0..15} >/dev/null
	wait_for 10 "$what: diverted" has_counted 100 "$n"
	is "$what: diverted, written back, and taken" "$(heard "$v" r)" "$(sorted "$taken")"
	stop back
	is "$what: each read" "$(count back received)" "$n"
}
for v in 4 6; do
	frames $v "as it is" "0 2 3 4 5 6 7 8 9 10 11 12 13 14 15"
done
# The bridge forwards some of these addresses, but not 0. Rules see a forwarded packet on the
# bridge, not on its port.
r ip link set br0 type bridge stp_state 1 group_fwd_mask 0x4008
wait_for 40 "the port forwards again" forwarding
for v in 4 6; do
	frames $v "spanning tree, and some forwarded" "0 2 3 4 5 6 7 8 9 10 11 12 13 14 15"
	is "bridge, IPv$v: the forwarded ones were seen on it" "$forwarded" 2
done
