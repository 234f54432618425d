#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# "The engine of an older build meets tools of a newer one (told clearly, upgraded without losing
# rules)", and the reverse. The test makes two more builds of this tree. `later` has another
# version. `other` has another version and another layout: nearly every structure of engine/layout.h
# and rule_layout.h is different there.
# shellcheck disable=SC2154 # start sets the pid_...
. "$(dirname "$0")/lib.sh"

other='s/^(#define DIVERT_LAYOUT) [0-9]+/\1 1000/
s/^struct divert_(record|port|socket|port_stats) \{/&\n\t__u64 more;/
s/^\t__u64 bytes; .*/&\n\t__u64 more[3];/
s/^\t__u32 pass_through; .*/&\n\t__u32 more[5];/
s/^\t__u32 entry_key\[2\]; .*/&\n\t__u32 more[9];/
s/^\t__u32 last_rule; .*/\t__u32 more[2];\n&/'
works "another version is built" build later 99.9 >"$TMP/build" || { cat "$TMP/build" && exit 1; }
works "another layout is built" build other 99.10 "$other" engine/layout.h engine/rule_layout.h >"$TMP/build" ||
	{ cat "$TMP/build" && exit 1; }
is "which has other structures" \
	"$(diff -r "$TOP/engine" "$TOP/build/variants/other/engine" | grep -c '^>')" 10

# by BUILD COMMAND...: runs a command in r, with the tools and the library of that build: this,
# later or other
by() {
	local build=$1 stage
	shift
	stage=$TOP/build/variants/$build/build/stage
	[ "$build" != this ] || stage=$STAGE
	PATH=$stage/bin:$stage/sbin:$PATH q "$@"
}
# does WHAT STATUS BUILD COMMAND...: checks its exit status; its output is in $TMP/out and $TMP/err
does() {
	local rc
	echo "# ${*:3}" >&2
	by "${@:3}" >"$TMP/out" 2>"$TMP/err" </dev/null
	rc=$?
	is "$1: status" $rc "$2"
}
says() { like "$1: says" "$(cat "$TMP/err")" "$2"; }
prints() { like "$1: prints" "$(cat "$TMP/out")" "$2"; }
is_engine() { like "the engine is $1" "$(by "$2" divertctl status | head -1)" "^engine: ipdivert $1, "; }
make_router
lo() { q cat /proc/sys/net/ipv{4,6}/conf/lo/forwarding /proc/sys/net/ipv4/conf/lo/{accept_local,route_localnet}; }
before=$(lo)

version=$(by this divertctl --version | sed 's/.* //')

# ---- nothing there, nothing to do ----

does "no engine" 3 this divertctl upgrade
says "no engine" "no engine is loaded"
by this ipfw -q add 100 divert 2000 icmp from any to 10.2.0.1 in icmptypes 8
by this ipfw -q add 200 count icmp from any to 10.2.0.1 in icmptypes 8
by this ipfw -q add 300 deny ipv6-icmp from any to fd02::1 in icmp6types 128
by this ipfw -q add 350 count icmp from any to 10.1.0.2 in
by this ipfw -q add 400 divert 2000 udp from any to any 53 out bypass
by this ipfw -q table held add 10.1.0.9 7 10.1.0.0/24 8 fd01::9 9 fd00::/8 10
entries=$(by this ipfw table held list)
rules=$(by this ipfw list)
does "the same version" 0 this divertctl upgrade
prints "the same version" "nothing to do"
does "a word too many" 2 this divertctl upgrade now
does "an unknown flag" 2 this divertctl upgrade -x
q setpriv --reuid 65534 --clear-groups divertctl upgrade 2>"$TMP/err"
is "nobody: status" $? 1
says "nobody" "needs root"

# ---- the same layout ----

# flood NAME BUILD COUNT: starts pings that are on their way while the engine is exchanged. It
# returns when a few of them have been seen.
flood() {
	local from
	from=$(by "$2" ipfw show 200 | awk '{print $2}')
	start "$1" a ping -n -i 0.01 -c "$3" -W 1 10.2.0.1
	wait_for 10 "some pings" more_than "$2" "$from"
}
more_than() { [ "$(by "$1" ipfw show 200 | awk '{print $2}')" -gt "$2" ]; }
received() { sed -n 's/.* \([0-9]*\) received.*/\1/p' "$TMP/$1.out"; }

start owner r "$PROGS/lib_rule" own "450 count ip from any to any" wait
wait_for 10 "a rule that goes with a program" grep -q 450 "$TMP/owner.out"
rules=$(by this ipfw list)
like "with a rule that goes with a program" "$rules" "00450 count"
reflect stays r 2000
like "status: a hint to another version" "$(by later divertctl status)" "this is divertctl 99.9: 'divertctl upgrade'"
is "the same layout: the other's ipfw lists" "$(by later ipfw list)" "$rules"
flood one this 200
does "upgrade" 0 later divertctl upgrade
prints "upgrade" "^engine: ipdivert $version, layout [0-9]+, is now 99.9, layout [0-9]+; rules, counters and sockets stay$"
is_engine 99.9 later
does "back to an older one" 1 this divertctl upgrade
says "back to an older one" "is of ipdivert 99.9 .*, newer than this, which is $version"
is_engine 99.9 this
does "back with -f" 0 this divertctl upgrade -f
is_engine "$version" this
does "and forth" 0 later divertctl upgrade
wait "$pid_one"
is "of 200 pings that were on their way all were answered" "$(received one)" 200
is "and counted by a rule below the one that diverts them" "$(packets r 200)" 200
is "the rules are the same" "$(by later ipfw list)" "$rules"
is "so are tables" "$(by later ipfw table held list)" "$entries"
is "so is what the port has counted" "$(stat_of r 2000 diverted)" 200
is "written back and met again" "$(stat_of r 2000 entered)" 200
reflect second r 2001
stop second
stop stays
is "the socket has read each" "$(count stays received)" 200
fails "nobody listens: known to the new programs at once" ping_ a 10.2.0.1
is "counted" "$(stat_of r 2000 no-listener)" 1
kill "$pid_owner"
wait "$pid_owner" 2>/dev/null
# by the library of the other version
is "a rule that goes with a program has gone with it" "$(by later ipfw list | grep -c '^00450')" 0
rules=$(by later ipfw list)
does "unload by another version" 0 later divertctl unload
is "lo is as it was" "$(lo)" "$before"

# ---- another layout ----

echo "$rules" | sed '/^65535/d; s/^/add /' >"$TMP/rules"
by this ipfw -q "$TMP/rules"
by this ipfw -q table held add 10.1.0.9 7 10.1.0.0/24 8 fd01::9 9 fd00::/8 10
by this divertctl set pass-through on
reflect before r 2000
start owner r "$PROGS/lib_rule" own "450 count ip from any to any" wait
wait_for 10 "a rule that goes with a program" grep -q 450 "$TMP/owner.out"
owned=$(by this ipfw list)
works "the older engine works" ping_ a 10.2.0.1 5
ping_ a 10.1.0.2 3
by this ipfw -q zero 350
ping_ a 10.1.0.2 2
older="is of ipdivert $version \(layout [0-9]+\), older than this, which is 99.10 \(layout 1000\): 'divertctl upgrade'"
for command in "ipfw list" "ipfw add 500 count ip from any to any" "ipfw -f flush" "ipfw zero" \
	"ipfw delete 100"; do
	# shellcheck disable=SC2086
	does "an older engine: $command" 69 other $command
	says "an older engine: $command" "$older"
done
for command in "status" "stat" "attach" "get" "set pass-through off"; do
	# shellcheck disable=SC2086
	does "an older engine: divertctl $command" 1 other divertctl $command
	says "an older engine: divertctl $command" "$older"
done
by other timeout 5 divert-run "$PROGS/reflect" 2001 2>"$TMP/err"
says "an older engine: a socket" "EPROTO$"
does "an older engine: interceptor" 1 other timeout 5 interceptor 2001
says "an older engine: interceptor" "the engine loaded here is of ipdivert .*'divertctl upgrade'"
is "nothing of this has changed it" "$(by this ipfw list)" "$owned"

# neither diverted nor denied packets get through while the engine is exchanged
start denied a ping -n -i 0.01 -c 200 -W 1 fd02::1
flood two this 100
does "upgrade to another layout" 0 other divertctl upgrade
prints "upgrade to another layout" "^engine: ipdivert $version, layout [0-9]+, is now 99.10, layout 1000; rules and their counters stay"
prints "upgrade: whose socket is lost" "
2 sockets, or rules of programs, are left behind: restart (reflect \($pid_before\), lib_rule \($pid_owner\)|lib_rule \($pid_owner\), reflect \($pid_before\))$"
is_engine 99.10 other
is "upgrade: the rules are the same, but for the program's" "$(by other ipfw list)" "$rules"
is "upgrade: so are tables" "$(by other ipfw table held list)" "$entries"
like "upgrade: so are settings" "$(by other divertctl get)" "pass-through on"
wait "$pid_two"
is "upgrade: pings go on, as pass-through has it" "$(received two)" 100
# counts that the old engine adds after they were read are lost with it
counted=$(by other ipfw show 200 | awk '{print $2}')
is "upgrade: what was set to 0 counts from there" "$(by other ipfw show 350 | awk '{print $2, $3}')" "2 168"
works "upgrade: the counters go on ($counted of 105)" test "$counted" -gt 80 -a "$counted" -le 105
reflect_other() {
	local stage=$TOP/build/variants/other/build/stage
	rm -f "$TMP/after.ready"
	PATH=$stage/bin:$PATH start after r divert-run "$PROGS/reflect" -p "$TMP/after.ready" 2000
	wait_for 10 "the other's reflect" test -s "$TMP/after.ready"
}
reflect_other
works "upgrade: a socket of the new build is bound to the same port" ping_ a 10.2.0.1 3
newer="is of ipdivert 99.10 \(layout 1000\), newer than this, which is $version \(layout [0-9]+\)"
does "a newer engine: ipfw" 69 this ipfw add 500 count ip from any to any
says "a newer engine: ipfw" "$newer: use the programs of that version"
does "a newer engine: divertctl upgrade" 1 this divertctl upgrade
says "a newer engine: divertctl upgrade" "$newer"
by this timeout 5 divert-run "$PROGS/reflect" 2001 2>"$TMP/err"
says "a newer engine: a socket" "EPROTO$"
stop before
stop after
is "upgrade: the new socket read its packets" "$(count after received)" 3
like "upgrade: the old one read what came before" "$(count before received)" "^[0-9]+$"
is "each ping was read by the old socket or passed it by" \
	$(($(count before received) + $(by other divertctl stat -a 2000 | awk '$2 == "passed" {print $1}'))) 105
wait "$pid_denied"
is "not one ping slipped through where a rule denies them" "$(received denied)" 0
counted=$(by other ipfw show 300 | awk '{print $2}')
works "they were counted ($counted of 200)" test "$counted" -gt 180 -a "$counted" -le 200

by other ipfw -q zero 350
ping_ a 10.1.0.2 4
does "back to the older layout" 0 this divertctl upgrade -f
prints "back to the older layout" "is now $version, layout [0-9]+; rules and their counters stay$"
is "back: the rules are the same" "$(by this ipfw list)" "$rules"
is "back: and tables" "$(by this ipfw table held list)" "$entries"
is "back: and their counters" "$(packets r 300)" "$counted"
is "back: what was set to 0 counts from there" "$(by this ipfw show 350 | awk '{print $2, $3}')" "4 336"
reflect again r 2000
works "back: divert works" ping_ a 10.2.0.1 2
stop again
is "back: read" "$(count again received)" 2

# ---- a build that does not know the layout removes the engine ----

does "an engine of another layout is unloaded" 0 other divertctl unload
is "unload: nothing hangs" "$(hooks_of r0 in; q tc qdisc show dev r0 | grep clsact)" ""
is "unload: lo is as it was" "$(lo)" "$before"
