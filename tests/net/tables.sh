#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Tables: flows in the kernel, two tables that change places, the options of add, and the listings.
# The network is lib.sh's: a -- r -- b; the rules are on r.
# shellcheck disable=SC2154 # start sets the pid_...
. "$(dirname "$0")/lib.sh"
make_router
t() { q ipfw -q table "$@"; }
says() { like "$1" "$(q ipfw "${@:3}" 2>&1)" "$2"; }
shows() { is "$1" "$(q ipfw table "$2" list | tr '\n' ' ')" "$3"; }
counts() { is "$1" "$(q ipfw show | awk '$1 != 65535 {printf "%s%d", s, $2; s = " "}')" "$2"; }

# send FROM_PORT TO PORT: sends a datagram from a; it has been counted when this returns
sent=0
send() {
	a bash -c "printf x | socat -u - UDP${family}:$2:$3,sourceport=$1,shut-none"
	sent=$((sent + 1))
	arrived() { [ "$(packets r 1)" = $sent ]; }
	wait_for 5 "the datagram" arrived
}

for family in 4 6; do
	v=v$family
	if [ $family = 4 ]; then
		from=10.1.0.1 to=10.2.0.1 to_="10.2.0.1" other=10.2.0.9
		echo="icmptypes 8" reply="icmptypes 0"
	else
		from=fd01::1 to=fd02::1 to_="[fd02::1]" other=fd02::9
		echo="icmp6types 128" reply="icmp6types 129"
	fi

	# ---- flows ----

	t f create type flow
	t f add "$from,udp,1000,$to,53" 7 "$from,udp,1001,$other,53" 8 "$from,tcp,1002,$to,53" 9
	t ports create type flow:proto,dst-port
	t ports add udp,53 1 udp,54 2
	t hosts create type flow:src-ip,dst-ip
	t hosts add "$from,$to" 3 "$to,$from" 4
	printf 'add %s\n' "1 count udp from any to any in recv r0" "100 count in recv r0 flow table(f)" \
		"110 count in recv r0 flow table(f,7)" "120 count in recv r0 flow table(f,8)" \
		"130 count { proto udp or $echo } in recv r0 not flow table(f)" "140 count in recv r0 flow table(ports)" \
		"150 count in recv r0 flow table(ports,2)" "160 count in recv r0 flow table(hosts)" \
		"170 count { proto udp or $reply } in recv r1 flow table(hosts,4)" | q ipfw -q -
	sent=0
	send 1000 "$to_" 53
	counts "$v: a flow in the table" "1 1 1 0 0 1 0 1 0"
	send 1001 "$to_" 53
	counts "$v: to another address" "2 1 1 0 1 2 0 2 0"
	send 1002 "$to_" 53
	counts "$v: of another protocol" "3 1 1 0 2 3 0 3 0"
	send 1000 "$to_" 54
	counts "$v: to another port" "4 1 1 0 3 4 1 4 0"
	q ipfw -q zero
	works "$v: ping" ping_ a $to
	is "$v: without ports" "$(packets r 100) $(packets r 130) $(packets r 140) $(packets r 160) $(packets r 170)" "0 1 0 1 1"
	t f add "$from,udp,1000,$to,53" 2000
	q ipfw -q -f flush
	q ipfw -q add 1 count udp from any to any in recv r0
	q ipfw -q add 100 divert tablearg in recv r0 flow f
	reflect back r 2000
	sent=0
	send 1000 "$to_" 53
	got() { [ "$(packets r 100)" = 1 ]; }
	wait_for 5 "$v: a flow diverted" got
	stop back
	is "$v: divert tablearg, by a flow" "$(count back received)" 1
	q ipfw -q -f flush
	t all destroy

	# ---- two tables change places ----

	t x add $from 1
	t y add $other 2
	q ipfw -q add 100 count in recv r0 lookup src-ip x
	q ipfw -q add 110 count in recv r0 lookup src-ip y
	q ipfw -q add 120 count in recv r0 lookup src-ip "table(y,1)"
	works "$v: ping" ping_ a $to
	before=$(packets r 100)
	is "$v: in the first table" "$((before > 0)) $(packets r 110)" "1 0"
	works "$v: swap" r ipfw table x swap y
	works "$v: ping" ping_ a $to
	is "$v: and then in the other" "$(packets r 100) $(($(packets r 110) > 0)) $(($(packets r 120) > 0))" "$before 1 1"
	shows "$v: the first" x "$other/$((family == 4 ? 32 : 128)) 2 "
	q ipfw -q -f flush
	t all destroy
done

# ---- hosts and networks ----

# on_its_way COUNTS: two rules count the echo request, by the value that its source has in the table
on_its_way() {
	q ipfw -q zero
	works "$v: ping" ping_ a "$to"
	counts "$1" "$2"
}
for family in 4 6; do
	v=v$family
	if [ $family = 4 ]; then
		from=10.1.0.1 to=10.2.0.1 echo="icmptypes 8" all=32 net=10.1.0.0/24 wide=0.0.0.0/0 near=10.1.0.9
		many() { seq "$1" | awk '{ printf "11.0.%d.%d 5\n", $1 / 256, $1 % 256 }'; }
	else
		from=fd01::1 to=fd02::1 echo="icmp6types 128" all=128 net=fd01::/64 wide=::/0 near=fd01::9
		many() { seq "$1" | xargs printf "fd03::%x 5\n"; }
	fi
	t h create
	printf 'add %s\n' "100 count $echo in recv r0 lookup src-ip table(h,1)" \
		"110 count $echo in recv r0 lookup src-ip table(h,2)" \
		"120 count $echo in recv r0 not lookup src-ip h" | q ipfw -q -
	on_its_way "$v: an empty table" "0 0 1"
	t h add $near 1
	on_its_way "$v: another host" "0 0 1"
	t h add $net 1
	on_its_way "$v: a network" "1 0 0"
	t h add $from 2
	on_its_way "$v: a host within it" "0 1 0"
	is "$v: lookup" "$(q ipfw table h lookup $from)" "$from/$all 2"
	shows "$v: both" h "$net 1 $from/$all 2 $near/$all 1 "
	t h add $from 1
	on_its_way "$v: the host's value changed" "1 0 0"
	t h add $from 2
	t h delete $net
	on_its_way "$v: the host without the network" "0 1 0"
	t h add $wide 1
	on_its_way "$v: and within all" "0 1 0"
	t h delete $from
	on_its_way "$v: without the host" "1 0 0"
	is "$v: lookup" "$(q ipfw table h lookup $from)" "$wide 1"
	says "$v: a host that is not there" "^ipfw: $from: not in table h$" table h delete $from
	printf 'table h flush\ntable h add %s\n' "$from 2" | q ipfw -q -
	on_its_way "$v: another content" "0 1 0"
	t h flush
	on_its_way "$v: none" "0 0 1"

	# The filter before the hosts is rebuilt after many hosts have been deleted.
	t h add $from 2 $net 1
	for i in 1 2 3; do
		many 3000 | awk -v i=$i 'NR % 3 == i - 1 { print "table h add " $1 " 1" }' | q ipfw -q -
		on_its_way "$v: a host, after more, $i" "0 1 0"
		many 3000 | awk -v i=$i 'NR % 3 == i - 1 { print "table h delete " $1 }' | q ipfw -q -
		on_its_way "$v: and without them, $i" "0 1 0"
	done

	# hosts are found while larger maps replace their map, and all of them are there
	q ipfw -q zero
	start during a ping -n -i 0.01 -c 100 -W 1 $to
	many 20000 | paste -sd ' ' | sed 's/^/table h add /' | q ipfw -q -
	wait "$pid_during"
	counts "$v: a host, while many are added" "0 100 0"
	on_its_way "$v: a host among many" "0 1 0"
	is "$v: all are there" "$(q ipfw table h list | wc -l)" 20002
	works "$v: they are taken away" r ipfw -q - <<-END
		$(many 20000 | awk '{print "table h delete " $1}')
	END
	shows "$v: and gone" h "$net 1 $from/$all 2 "
	on_its_way "$v: but for this one" "0 1 0"
	q ipfw -q -f flush
	t all destroy
done

# ---- create ----

t n create type number limit 3 valtype skipto
says "create, again" "table n: exists already, of type number and valtype skipto$" table n create type number
works "create missing" r ipfw table n create type number valtype skipto missing
says "create missing, of another type" "exists already, of type number and valtype skipto$" table n create missing
says "create missing, with other values" "exists already, of type number and valtype skipto$" table n create type number missing
t n add 1 10 2 20
works "create or-flush" r ipfw table n create type number valtype skipto or-flush algo number:hash
shows "create or-flush" n ""
says "create: an unknown word" "^ipfw: fast: expected type, valtype, limit, locked" table z create fast
says "create: a limit that is none" "^ipfw: -1: not a number of entries" table z create limit -1
says "create: values that are none" "^ipfw: pipe: not a type of values" table z create valtype pipe
says "create: MAC addresses" "^ipfw: mac: ipdivert does not have it" table z create type mac
says "create: a flow of nothing" "not a field of flows" table z create type flow:

# ---- limit, lock, atomic add ----

t n add 1 10 2 20
says "above the limit" "^ipfw: table n: its limit is 3 entries, these would make 4$" table n add 3 30 1 11 4 40
shows "above the limit: nothing of it" n "1 10 2 20 "
works "to the limit" r ipfw table n add 3 30
works "at the limit: a new value" r ipfw table n add 3 31
shows "at the limit" n "1 10 2 20 3 31 "
t n modify limit 4
works "a higher limit" r ipfw table n add 4 40
t n modify limit 0
works "no limit" r ipfw table n add 5 1 6 1
t n lock
for words in "add 7" "delete 1" flush destroy "modify limit 1" "swap n2" "atomic add 7" \
	"create type number valtype skipto or-flush"; do
	# shellcheck disable=SC2086 # several words
	says "locked: $words" "^ipfw: table n: locked; unlock it first$" table n $words
done
t n2 create type number valtype skipto
says "locked: the other one of swap" "^ipfw: table n: locked" table n2 swap n
shows "locked: nothing changed" n "1 10 2 20 3 31 4 40 5 1 6 1 "
like "locked: it says so" "$(q ipfw table n info)" "type: number, locked"
t n unlock
works "unlocked" r ipfw table n delete 5 6
t l create locked
says "created locked" "^ipfw: table l: locked" table l add 10.0.0.1
# There is room for 65536 such keys in all. If the rest do not fit, the first ones are taken back.
(printf 'table n atomic add 1 100' && seq -f ' %.0f 5' 10 65546 | tr -d '\n') >"$TMP/many"
says "atomic add: too many" "the tables are full" "$TMP/many"
shows "atomic add: nothing of it" n "1 10 2 20 3 31 4 40 "
works "atomic add" r ipfw table n atomic add 1 100 9 90
shows "atomic add: all of it" n "1 100 2 20 3 31 4 40 9 90 "
says "atomic, and not add" "^ipfw: delete: expected add$" table n atomic delete 1
says "swap with none" "^ipfw: table none: no such table$" table n swap none
t a create
says "swap with another type" "^ipfw: table a: of another type, or with other values, than n$" \
	table n swap a
t a destroy

# ---- listings ----

q ipfw -q add 100 skipto tablearg lookup dst-port n
is "info" "$(q ipfw table n info | sed "s/kindex: [0-9]*/kindex: 1/")" "--- table(n), set(0) ---
 kindex: 1, type: number
 references: 1, valtype: skipto
 algorithm: number:hash
 items: 5, size: 140"
is "detail" "$(q ipfw table n detail)" "$(q ipfw table n info)"
t v create valtype ipv4
t v add 10.0.0.0/8 10.0.0.1
shows "values that are addresses" v "10.0.0.0/8 10.0.0.1 "
is "all" "$(q ipfw table all list | grep '^---' | tr '\n' ' ')" \
	"--- table(l), set(0) --- --- table(n), set(0) --- --- table(n2), set(0) --- --- table(v), set(0) --- "
says "all, of what is not for all" "^ipfw: all: only with list, info, detail, flush and destroy$" table all lock
