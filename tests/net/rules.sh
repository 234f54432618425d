#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# ipfw(8) in the kernel: options against packets that match and packets that do not, IPv4 and IPv6;
# sets, blocks, chance, tables, tablearg, me, owners, the log, enable and disable, times, round
# trips, and how long many rules take. The rules are on r, in the middle. The network is lib.sh's: a
# -- r -- b.
# alone: it measures time
. "$(dirname "$0")/lib.sh"
make_router
says() { like "$1" "$(q ipfw "${@:3}" 2>&1)" "$2"; }

# counts WHAT EXPECTED: the packet counts of all rules but the default one, in order
counts() {
	is "$1" "$(q ipfw show | awk '$1 != 65535 {printf "%s%d", s, $2; s = " "}')" "$2"
}
# load LINE...: replaces the rules
load() {
	printf 'add %s\n' "$@" | (echo flush && cat) | q ipfw -q - || not_ok "loading the rules"
}

for family in 4 6; do
	if [ $family = 4 ]; then
		from=10.1.0.1 to=10.2.0.1 mine=10.1.0.2 proto=icmp types="icmptypes 8" list="10.2.0.0/24{1,5}"
		echo=8 other=10.9.0.0/16 near=10.1.0.2
	else
		from=fd01::1 to=fd02::1 mine=fd01::2 proto=ipv6-icmp types="icmp6types 128" list=fd02::/64
		echo=128 other=fd09::/16 near=fd01::2
	fi
	E="$proto from any to any in $types"
	v=v$family

	# ---- blocks, lists, own addresses, header fields ----

	load "100 count { tcp or $proto } from any to any in $types" \
		"110 count { tcp or udp } from any to $to in" \
		"120 count $proto from { $other or $from } to { $to or $other } in $types" \
		"130 count $proto from any to $list in $types" \
		"140 count $E { recv r1 or recv r0 }" "150 count $E { recv r1 or not src-ip $from }" \
		"160 count $E dst-ip me" "170 count $E not dst-ip me" "180 count $E src-ip me" \
		"190 count $E iplen 1-50" "200 count $E iplen 84-104" "210 count $E dscp be" \
		"220 count $E dscp ef" "230 count $E frag" "240 count $E not frag" \
		"250 count $E recv $near" "260 count $E recv $to" "270 count $E via $near" \
		"280 count $proto from any to any out $types recv $near" "290 count $E established" \
		"300 count $E icmpcodes 0" "310 count $E icmpcodes 1-9" "320 reass $E"
	works "$v: ping" ping_ a $to 3
	counts "$v: blocks and fields" "3 0 3 3 3 0 0 3 0 0 3 3 0 0 3 3 0 3 3 0 3 0 3"

	# me follows the addresses; nobody has to tell it
	load "100 count $E dst-ip me" "200 count $E not dst-ip me"
	works "$v: ping to the router" ping_ a $mine 2
	counts "$v: me" "2 0"
	new=10.1.0.77/24
	[ $family = 4 ] || new=fd01::77/64
	add_addr r r0 $new
	works "$v: ping to its new address" ping_ a "${new%/*}" 2
	counts "$v: me, with a new address" "4 0"
	ip -n "$NS-r" addr del $new dev r0
	a ping -q -n -i 0.05 -W 0.2 -c 2 "${new%/*}" >/dev/null
	[ $family = 6 ] || ip -n "$NS-a" neigh flush dev a0

	# ---- tables ----

	r ipfw -q table t create
	r ipfw -q table t add $other 7
	load "100 count $proto from table(t) to any in $types" "110 count $E lookup src-ip t" \
		"120 count $proto from table(t,5) to any in $types" "130 count $E not src-ip table(t)"
	works "$v: ping" ping_ a $to
	counts "$v: not in the table" "0 0 0 1"
	r ipfw -q table t add $from 5
	works "$v: ping" ping_ a $to
	counts "$v: in the table" "1 1 1 1"
	r ipfw -q table t add $from 6
	works "$v: ping" ping_ a $to
	counts "$v: with another value" "2 2 1 1"
	r ipfw -q table t delete $from
	works "$v: ping" ping_ a $to
	counts "$v: out of the table" "2 2 1 2"
	says "$v: lookup in a table" "not in table t" table t lookup $from
	r ipfw -q table i create type iface
	r ipfw -q table i add r0 3
	load "100 count $E recv table(i)" "110 count $E via table(i,4)" "120 count $E via table(i,3)" \
		"130 count $proto from any to any out $types xmit table(i)" \
		"140 count $proto from any to any out $types recv table(i)"
	works "$v: ping" ping_ a $to
	counts "$v: interfaces in a table" "1 0 1 0 1"

	# tablearg: the table says where to go
	r ipfw -q table t flush
	r ipfw -q table t add $from 300
	load "100 skipto tablearg $proto from table(t) to any in $types" "200 count $E" "300 count $E" \
		"310 call tablearg $E lookup src-ip t2" "320 allow $E" "400 count $E" "410 return $E"
	r ipfw -q table t2 add $from 400
	works "$v: ping" ping_ a $to
	counts "$v: skipto and call with tablearg" "1 0 1 1 1 1 1"
	r ipfw -q table t add $from 2000
	load "100 divert tablearg $proto from table(t) to any in $types" "200 count $E"
	reflect back r 2000
	works "$v: divert tablearg" ping_ a $to 3
	stop back
	is "$v: divert tablearg: read" "$(count back received)" 3
	r ipfw -q flush
	r ipfw -q table all destroy

	# ---- sets ----

	load "100 set 1 count $E" "200 set 2 count $E" "300 count $E"
	r ipfw -q set disable 1
	works "$v: ping" ping_ a $to
	is "$v: set 1 is off" "$(q ipfw -S show | awk '/count/ {print $(NF == 0 ? 1 : 0)}' |
		sed 's/^# DISABLED //' | awk '{printf "%s%d", s, $2; s = " "}')" "0 1 1"
	r ipfw -q set swap 1 2
	works "$v: ping" ping_ a $to
	r ipfw -q set enable 1
	works "$v: ping" ping_ a $to
	r ipfw -q set enable 2
	counts "$v: sets swapped, and both on" "2 2 3"
	r ipfw -q set move rule 100 to 5
	r ipfw -q set move 1 to 6
	like "$v: sets moved" "$(q ipfw -S list | tr '\n' ' ')" "00100 set 5 .*00200 set 6 "
	r ipfw -q delete set 5
	counts "$v: a set deleted" "2 3"

	# ---- enable, disable ----

	load "100 deny $E"
	fails "$v: deny" ping_ a $to 1
	r ipfw -q disable firewall
	works "$v: the firewall disabled" ping_ a $to 1
	like "$v: its rules are still there" "$(q ipfw list 100)" "^00100 deny"
	r ipfw -q enable firewall
	fails "$v: and enabled" ping_ a $to 1
	counts "$v: and enabled, counters" 2

	# ---- owners, chance ----

	load "100 count udp from me to any 7000 out uid 65534" "110 count udp from me to any 7000 out uid 0" \
		"120 count udp from me to any 7000 out gid 65533" "130 count udp from any to any 7000 in uid 0" \
		"140 prob 0.5 count udp from any to any 7000 out" "150 count udp from me to any 7000 out"
	# shellcheck disable=SC2016 # for that shell
	send='for ((i = 0; i < $2; i++)); do echo >"/dev/udp/$1/7000"; done 2>/dev/null; true'
	q setpriv --reuid 65534 --regid 65533 --clear-groups bash -c "$send" - $to 200
	q bash -c "$send" - $to 100
	settled() { [ "$(packets r 150)" = 300 ]; }
	wait_for 5 "$v: the datagrams" settled
	is "$v: uid" "$(packets r 100)" 200
	is "$v: uid, of another" "$(packets r 110)" 100
	is "$v: gid" "$(packets r 120)" 200
	is "$v: uid, incoming" "$(packets r 130)" 0
	n=$(packets r 140)
	works "$v: prob 0.5 of 300: $n" test "$n" -gt 90 -a "$n" -lt 210

	# ---- the log ----

	load "100 count log logamount 2 $E" "200 allow log $E"
	works "$v: ping" ping_ a $to 3
	is "$v: logged" "$(q ipfw log | grep -c "ipfw: 100 Count ICMP.*:$echo $from $to in via r0")" 2
	is "$v: the limit" "$(q ipfw log | grep -c 'limit 2 reached on entry 100')" $((family / 2 - 1))
	is "$v: logged by the other" "$(q ipfw log | grep -c "ipfw: 200 Accept ICMP.*:$echo $from $to in")" 3
	r ipfw -q resetlog 100
	works "$v: ping" ping_ a $to 1
	is "$v: resetlog" "$(q ipfw log | grep -c "ipfw: 100 Count ICMP.*:$echo $from $to in via r0")" 3
	counts "$v: resetlog leaves the counters" "4 4"

	# -T and -t print when the rule matched last: within the last minute here
	like "$v: -T" "$(q ipfw -T list 100)" "^00100 +[0-9]{10} count"
	t=$(q ipfw -T list 100 | awk '{print $2}')
	works "$v: -T is now" test $(($(date +%s) - t)) -le 60
	like "$v: -t" "$(q ipfw -t list 100)" "^00100 [A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9]{2} .* $(date +%Y) count"
	r ipfw -q zero
	like "$v: -T, never" "$(q ipfw -T list 100)" "^00100 +0 count"
	r ipfw -q flush
done

# ---- TCP's own fields, of a real connection ----

load "100 count tcp from any to any 7070 in setup" "110 count tcp from any to any 7070 in tcpflags syn,!ack" \
	"120 count tcp from any 7070 to any in established" "130 count tcp from any to any 7070 in tcpoptions mss" \
	"140 count tcp from any to any 7070 in tcpmss 1-1500" "150 count tcp from any to any 7070 in tcpmss 1-10" \
	"160 count tcp from any to any 7070 in tcpdatalen 11" "170 count tcp from any to any 7070 in fwmark 1"
start server b socat -u TCP4-LISTEN:7070 OPEN:/dev/null
listening() { nq b ss -Hltn | grep -q :7070; }
wait_for 5 "the server" listening
a bash -c 'printf "eleven byte" >/dev/tcp/10.2.0.1/7070'
wait "$pid"
is "tcp: setup, tcpflags, options, mss, data" \
	"$(for n in 100 110 130 140 150 160 170; do packets r $n; done | tr '\n' ' ')" "1 1 1 1 0 1 0 "
works "tcp: established" test "$(packets r 120)" -ge 2

# ---- a list can be read back and is the same; what list shows ----

awk '/^\t=/ {print "add " (length($0) > 2 ? substr($0, 4) : was)} {was = $0}' \
	"$HERE/../../unit/rules.corpus" | sed 's/^add [0-9][0-9]* /add /' | grep -v 'set 31\|recv table(5)\|setfwmark\|settos' >"$TMP/corpus"
r ipfw -q flush
works "the corpus is loaded" r ipfw -q "$TMP/corpus"
q ipfw list >"$TMP/first"
works "it has hundreds of rules" test "$(wc -l <"$TMP/first")" -gt 300
r ipfw -q flush
sed 's/^/add /' "$TMP/first" >"$TMP/back"
works "its list is read" r ipfw -q "$TMP/back"
q ipfw list >"$TMP/second"
works "and is the same" cmp "$TMP/first" "$TMP/second"
r ipfw -q flush
r ipfw -q add 100 allow log ip from any to any in via r0 // why
is "-c" "$(q ipfw -c list 100)" "00100 allow log in via r0 // why"
is "-b" "$(q ipfw -b list 100)" "00100 allow log // why"
is "-S" "$(q ipfw -S list 100)" "00100 set 0 allow log ip from any to any in via r0 // why"
is "-n says which line" "$(printf 'add allow ip from any to any\nadd allow ip frm any\n' |
	q ipfw -n - 2>&1 >/dev/null)" "ipfw: standard input:2: frm: expected from
ipfw: standard input: 1 line refused"
printf 'add NUMBER allow ip from any to any IN\n' >"$TMP/rules"
r ipfw -q flush
works "-p" r ipfw -q -p sed -e s/NUMBER/700/ -e s/IN/in/ "$TMP/rules"
is "-p: what came of it" "$(q ipfw list 700)" "00700 allow ip from any to any in"
fails "-p: a preprocessor that fails" r ipfw -q -p false "$TMP/rules"
like "-p: a line is refused while more is to come" "$(q ipfw -q -p yes "$TMP/rules" 2>&1)" \
	"^ipfw: $TMP/rules:1: y: unknown command; [^:]*\$"
r ipfw -q flush

# ---- many ----

r ipfw -q table big create
awk 'BEGIN {for (i = 0; i < 100000; i++)
	printf "table big add 172.%d.%d.%d\n", 16 + i / 65536, i / 256 % 256, i % 256}' >"$TMP/big"
works "100,000 addresses are loaded" r ipfw -q "$TMP/big"
is "100,000 addresses are there" "$(q ipfw table big info | sed -n 's/.*items: \([0-9]*\).*/\1/p')" 100000
awk 'BEGIN {for (i = 0; i < 5000; i++) printf "add deny tcp from 172.16.%d.%d to any %d in\n",
	i / 256, i % 256, i + 1}' >"$TMP/many"
began=$(date +%s%N)
works "5,000 rules are loaded" r ipfw -q "$TMP/many"
took=$((($(date +%s%N) - began) / 1000000))
works "in less than a second: $took ms" test $took -lt $((1000 * SLOW))
is "5,000 rules are there" "$(q ipfw list | wc -l)" 5001
works "ping past them" ping_ a 10.2.0.1 3
r ipfw -q -f flush
