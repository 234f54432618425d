#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Rules that programs set. The HOWTO's example with -DREINJECT and -DFIREWALL: "it will divert all
# ICMP packets from the output chain. It will also remove the DIVERT rule from the firewall when you
# use Ctrl-C". Then the options of Linux 2.2, libdivert's own functions, and rules that end with the
# process that owns them.
. "$(dirname "$0")/lib.sh"
make_router
pid_howto='' pid_own='' pid_one='' pid_two='' pid_dead='' pid_next='' # start sets them

# ---- the HOWTO's example, built as a user would ----

export PKG_CONFIG_PATH=$STAGE/lib/pkgconfig
read -ra flags < <(pkg-config --cflags --libs libdivert-socket)
libs="LD_LIBRARY_PATH=$STAGE/lib"
for with in "" -DMULTICAST; do
	# shellcheck disable=SC2086
	works "howto.c $with: compiles" cc -w -DREINJECT -DFIREWALL $with -o "$TMP/howto" \
		"$HERE/howto.c" "${flags[@]}"
	start howto r env "$libs" "$TMP/howto" 4321
	wait_for 10 "howto: it waits" grep -q "Waiting for data" "$TMP/howto.out"
	like "howto $with: its rule is there" "$(r ipchains -L output -n)" \
		$'\nDIVERT     icmp ------  0.0.0.0/0             0.0.0.0/0             \\* ->   \\* => 4321$'
	works "howto $with: pings through it" ping_ a 10.2.0.1 3
	# request and reply, each on its way out
	is "howto $with: reinjected" "$(grep -c '84 bytes reinjected' "$TMP/howto.out")" 6
	is "howto $with: shown" "$(grep -c 'Protocol number: 1' "$TMP/howto.out")" 6
	is "howto $with: outbound" "$(grep 'Receiving IF' "$TMP/howto.out" | sort -u | cut -d: -f2-)" \
		" Receiving IF address: 0.0.0.0"
	kill -INT "$pid_howto"
	wait "$pid_howto"
	is "howto $with: Ctrl-C ends it" $? 0
	is "howto $with: and its rule" "$(r ipfw list)" "65535 allow ip from any to any"
	works "howto $with: pings without it" ping_ a 10.2.0.1
done

# ---- each option ----

fw() { r divert-run "$PROGS/fw" "$@" | tr '\n' ' '; }

is "append and delete" "$(fw append input DIVERT 5 1 append input DENY 0 17 delete input DIVERT 5 1 \
	delete input DIVERT 5 1)" "0 0 0 EINVAL "
is "append: what is left" "$(r ipfw list | head -n 2)" \
	"50001 deny ip4 from any to any proto udp in // input 1
54999 allow ip4 from any to any in // input policy"
is "insert, replace, delete by number" "$(fw insert 1 input ACCEPT 0 6 insert 3 input RETURN 0 2 \
	insert 5 input DENY 0 0 insert 0 input DENY 0 0 replace 2 input DENY 0 1 replace 4 input DENY 0 1 \
	delnum 4 input delnum 1 input)" "0 0 E2BIG E2BIG 0 E2BIG E2BIG 0 "
is "insert, replace: what is left" "$(r ipchains -L input -n | sed 1,2d | awk '{print $1, $2}' |
	tr '\n' ' ')" "DENY icmp RETURN 2 "
is "chains" "$(fw create web create web create input create ninechars append input web 0 0 remove web \
	append web DENY 0 0 delete input web 0 0 remove web flush web remove web remove web remove input)" \
	"0 EEXIST EEXIST EINVAL 0 EBUSY 0 0 ENOTEMPTY 0 0 ENOENT EINVAL "
is "loops" "$(fw create a create b append a b 0 0 append b a 0 0 append b b 0 0 append a input 0 0 \
	flush a remove a remove b)" "0 0 0 ELOOP ELOOP EINVAL 0 0 0 "
is "no chain at all" "$(fw append "" DENY 0 0 policy "" DENY flush "" zero "" create "" remove "")" \
	"ENOENT ENOENT ENOENT ENOENT ENOENT ENOENT "
is "no such chain or target" "$(fw append none DENY 0 0 append input none 0 0 delete none DENY 0 0 \
	delnum 1 none insert 1 none DENY 0 0 replace 1 none DENY 0 0 flush none zero none policy none DENY \
	check none 1 10.1.0.1 10.2.0.1 r0)" \
	"ENOENT ENOENT ENOENT ENOENT ENOENT ENOENT ENOENT ENOENT ENOENT ENOENT "
is "what ipdivert has not" "$(fw append input MASQ 0 0 append input REDIRECT 5 6 append input QUEUE 0 0 \
	policy forward MASQ masq netlink input)" \
	"EOPNOTSUPP EOPNOTSUPP EOPNOTSUPP EOPNOTSUPP EOPNOTSUPP EOPNOTSUPP "
is "bad arguments" "$(fw invert input lowest input append input DIVERT 0 1 append input DENY 0 256 policy input RETURN)" \
	"EINVAL EINVAL EINVAL EINVAL EINVAL "
like "a length that is nobody's goes to the kernel" "$(fw short)" "^E[A-Z]+ $"
is "nothing of that has changed anything" "$(r ipchains -L input -n | sed 1,2d | awk '{print $1, $2}' |
	tr '\n' ' ')" "DENY icmp RETURN 2 "
is "check" "$(fw create u append u DENY 0 17 append u DIVERT 9 6 append input u 0 0 policy output DENY \
	check input 1 10.1.0.1 10.2.0.1 r0 check input 17 10.1.0.1 10.2.0.1 r0 \
	check input 6 10.1.0.1 10.2.0.1 r0 check input 2 10.1.0.1 10.2.0.1 r0 \
	check output 2 10.1.0.1 10.2.0.1 r0 check u 2 10.1.0.1 10.2.0.1 r0)" \
	"0 0 0 0 0 ETIMEDOUT ETIMEDOUT ECONNABORTED 0 ETIMEDOUT ENFILE "
is "a mark, a TOS" "$(fw mark output tos output)" "0 0 "
is "a mark, a TOS: in the chain" "$(r ipchains-save output 2>/dev/null | sed -n 's/^-A .* -j/-j/p')" \
	"-j DIVERT 5 -m +1
-j DIVERT 5 -t 01 08"
is "policies back, all flushed" "$(fw policy output ACCEPT flush input flush output flush u remove u)" "0 0 0 0 0 "
is "nothing is left" "$(r ipfw list)" "65535 allow ip from any to any"
if command -v setpriv >/dev/null; then
	is "without privilege" "$(r divert-run setpriv --bounding-set=-all,+net_raw --inh-caps=-all \
		"$PROGS/fw" append input DENY 0 0)" EPERM
fi
# iptables' own options still reach the kernel, also 64 with its longer structure: iptables lists
# its tables
if command -v iptables-legacy >/dev/null; then
	works "iptables-legacy works under divert-run" r divert-run iptables-legacy -A INPUT -p 99 -j DROP
fi

# ---- by libdivert's functions ----

rule() { r "$PROGS/lib_rule" "$@" | tr '\n' ' '; }

is "add and delete" "$(rule add "deny udp from any to any in" add "add 50 count ip from any to any" \
	delete 100 delete 100)" "100 50 0 ENOENT: no such rule "
is "add: what is left" "$(r ipfw list | head -n 1)" "00050 count ip from any to any"
is "what is wrong is named" "$(rule add "deny ip from any to amy" add "" add "65535 deny ip from any to any" \
	delete 0 delete 65535 | tr ' ' '_')" "$(echo "EINVAL: amy: not an IPv4 or IPv6 address \
(names are not looked up) EINVAL: missing action EINVAL: 65535: the default rule's number; expected \
1 to 65534 EINVAL: rule 0: expected 1 to 65534 EINVAL: rule 65535: expected 1 to 65534 " | tr ' ' '_' | sed 's/_$/_/')"
r ipchains -A input -j DENY -p 99
is "a chain's rule is the chain's" "$(rule delete 50001)" "EBUSY: it is part of an ipchains chain "
fails "ipfw: too" r ipfw -q delete 50001
r ipchains -F
r ipfw -q flush

# ---- owned rules ----

# owner NAME WORD...: starts lib_rule with a rule that stops pings, and waits until the rule is
# there
owner() {
	local name=$1
	shift
	rm -f "$TMP/$name.out"
	start "$name" r "$PROGS/lib_rule" own "100 deny icmp from any to 10.2.0.1 in" "$@"
	wait_for 10 "$name: its rule" grep -q '^100$' "$TMP/$name.out"
}

for signal in KILL TERM USR1 SEGV; do
	owner own wait
	fails "owned: in effect" ping_ a 10.2.0.1
	is "owned: listed" "$(r ipfw list | head -n 1)" "00100 deny icmp from any to 10.2.0.1 in"
	kill -$signal "$pid_own"
	wait "$pid_own" 2>/dev/null
	works "owned: kill -$signal ends it" ping_ a 10.2.0.1
	is "kill -$signal: not listed" "$(r ipfw list)" "65535 allow ip from any to any"
done
owner own exit
wait "$pid_own"
works "owned: exit ends it" ping_ a 10.2.0.1
owner own abort
wait "$pid_own" 2>/dev/null
works "owned: abort ends it" ping_ a 10.2.0.1
owner own exec
wait_for 5 "exec" grep -q sleep "/proc/$pid_own/comm"
works "owned: exec ends it" ping_ a 10.2.0.1
kill "$pid_own"
wait "$pid_own" 2>/dev/null
owner own fork wait
wait_for 5 "fork" grep -q child "$TMP/own.out"
fails "owned: a child does not end it" ping_ a 10.2.0.1
kill -KILL "$pid_own"
wait "$pid_own" 2>/dev/null
works "owned: though the child lives, its parent's end does" ping_ a 10.2.0.1
kill "$(sed -n 's/child //p' "$TMP/own.out")"
owner own disown 100 wait
wait_for 5 "disown" grep -q '^0$' "$TMP/own.out"
works "owned: deleted" ping_ a 10.2.0.1
kill "$pid_own"
wait "$pid_own" 2>/dev/null

# two processes use one rule number: each has a rule of its own
owner one wait
owner two disown 100 wait
wait_for 5 "disown" grep -q '^0$' "$TMP/two.out"
fails "owned by two: one's end leaves the other's" ping_ a 10.2.0.1
kill -KILL "$pid_one"
wait "$pid_one" 2>/dev/null
works "owned by two: and then that one's" ping_ a 10.2.0.1
is "another's, nobody's: not disowned" "$(rule add "200 count ip from any to any" disown 200 \
	own "300 count ip from any to any" disown 200)" \
	"200 ENOENT: no such rule of this process 300 ENOENT: no such rule "
kill "$pid_two"
wait "$pid_two" 2>/dev/null

# the slot of an owner that has ended is not given to another owner while a rule names it
r ipfw -q flush
owner dead wait
kill -KILL "$pid_dead"
wait "$pid_dead" 2>/dev/null
start next r "$PROGS/lib_rule" own "500 count ip from any to any" wait
wait_for 10 "next: its rule" grep -q '^500$' "$TMP/next.out"
works "the next owner does not wake the dead one's rule" ping_ a 10.2.0.1
is "the dead one's rule is gone, by a change" "$(r ipfw list)" "00500 count ip from any to any
65535 allow ip from any to any"
kill "$pid_next"
wait "$pid_next" 2>/dev/null
works "ipfw: a change takes them out too" r ipfw -q add 600 count ip from any to any
is "ipfw: nothing else is left" "$(r ipfw list)" "00600 count ip from any to any
65535 allow ip from any to any"
