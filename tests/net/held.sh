#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# divert-run -r: rules for the life of the program. They are in place before it starts, and end with
# it and all that it has started, also after kill -9. Nothing is cut off before it binds, and after
# its end. The network is lib.sh's: a -- r -- b; a pings b, and r has the rules.
# shellcheck disable=SC2154 # start sets pid_NAME
. "$(dirname "$0")/lib.sh"
make_router

empty="65535 allow ip from any to any"
pings="icmp from any to 10.2.0.1 in icmptypes 8"
list() { q ipfw list | sed 's/^0*//'; }

# does WHAT STATUS COMMAND...: checks its exit status; its output is in $TMP/out and $TMP/err
does() {
	local rc
	q "${@:3}" >"$TMP/out" 2>"$TMP/err" </dev/null
	rc=$?
	is "$1: status" $rc "$2"
}
says() { like "$1: says" "$(cat "$TMP/err")" "$2"; }

# ---- what is refused ----

# refused WHAT REGEX ARGUMENT...: divert-run refuses them with 125, and does not start the program
refused() {
	does "$1" 125 divert-run "${@:3}" touch "$TMP/started"
	says "$1" "$2"
	fails "$1: the program was not started" test -e "$TMP/started"
}
refused "an unknown action" "^divert-run: -r 'frobnicate all': frobnicate: unknown action" -r "frobnicate all"
refused "an unknown option" "^divert-run: -r '.* sideways': sideways: unknown option" -r "deny $pings sideways"
refused "no rule" "^divert-run: -r '': missing action" -r ""
refused "the second of two" "frobnicate" -r "deny $pings" -r frobnicate
does "-r without a rule" 125 divert-run -r
says "-r without a rule" "^divert-run: -r: which rule\?"
is "none of these has loaded the engine" "$(q divertctl status)" "engine: not loaded"
refused "a number that cannot be" "^divert-run: 65535: " -r "100 deny $pings" -r "65535 deny $pings"
is "all of them or none" "$(list)" "$empty"
q setpriv --reuid 65534 --regid 65534 --clear-groups divert-run -r "deny $pings" true >"$TMP/out" 2>"$TMP/err"
is "not root: status" $? 125
says "not root" "^divert-run: Operation not permitted: needs root"
does "an interface that is not there" 0 divert-run -r "deny ip from any to any via nosuch0" true
is "an interface that is not there: told" "$(cat "$TMP/err")" \
	"divert-run: nosuch0: no such interface; 'ip link' lists them"
does "a program that is not there" 127 divert-run -r "deny $pings" nosuch
is "its rule is gone" "$(list)" "$empty"
does "the program's own status" 7 divert-run -r "deny $pings" sh -c "exit 7"
is "its rule is gone, too" "$(list)" "$empty"

# ---- while the program runs ----

# held NAME ARGUMENT...: starts reflect once $TMP/go is there, with these rules
held() {
	local name=$1
	shift
	rm -f "$TMP/go" "$TMP/$name.ready"
	# shellcheck disable=SC2016 # the variables of that shell
	start "$name" r divert-run "$@" bash -c 'echo begun
		until [ -e "$0/go" ]; do read -rt 0.02 <>"$0/never"; done
		exec "$1" -p "$0/$2.ready" 2000' "$TMP" "$PROGS/reflect" "$name"
	wait_for 10 "$name has begun" grep -q begun "$TMP/$name.out"
}
go() {
	touch "$TMP/go"
	wait_for 10 "$1 is bound" test -s "$TMP/$1.ready"
}
r ipfw -q add 100 count ip from any to any
held one -r "divert 2000 $pings" -r "50 count $pings // mine"
is "the rules are there before the program binds" "$(list)" "50 count $pings // mine
100 count ip from any to any
200 divert 2000 $pings bypass
$empty"
works "nothing is cut off before it binds" ping_ a 10.2.0.1 2
is "and it passed by the rule" "$(stat_of r 2000 passed)" 2
go one
works "the program reads" ping_ a 10.2.0.1 3
is "each packet of it met the other rule, too" "$(packets r 50)" 5
stop one
is "it has read and written all" "$(count one received) $(count one sent) $(count one failed)" "3 3 0"
works "nothing is cut off after its end" ping_ a 10.2.0.1 2
is "the rules are gone, others are there" "$(list)" "100 count ip from any to any
$empty"
is "nothing was dropped" "$(stat_of r 2000 no-listener)" 0

for signal in KILL SEGV; do
	held killed -r "divert 2000 $pings" -r "300 deny icmp from any to 10.2.0.2"
	go killed
	works "before kill -$signal" ping_ a 10.2.0.1
	fails "before kill -$signal: the other rule" ping_ a 10.2.0.2
	kill -$signal "$pid_killed"
	wait "$pid_killed" 2>/dev/null
	works "after kill -$signal: at once" ping_ a 10.2.0.1
	works "after kill -$signal: the other rule" ping_ a 10.2.0.2
	is "after kill -$signal: no rule" "$(list)" "100 count ip from any to any
$empty"
done
r ipfw -q flush

# bypass is for divert alone, once, and with a comment
held words -r "10 divert 2000 $pings bypass" -r "20 set 3 prob 0.5 divert 2000 $pings // why" -r "30 tee 2000 $pings"
is "rules as they are listed" "$(q ipfw -S list | sed 's/^0*//')" "10 set 0 divert 2000 $pings bypass
20 set 3 prob 0.500000 divert 2000 $pings bypass // why
30 set 0 tee 2000 $pings
65535 set 31 allow ip from any to any"
stop words
wait "$pid_words" 2>/dev/null

# ---- daemons ----

# A program goes into the background, and closes all descriptors, by one call and one by one.
for how in "os.closerange(3, 65536)" "[os.close(fd) for fd in map(int, os.listdir('/proc/self/fd')) if fd > 2 and os.path.exists('/proc/self/fd/%d' % fd)]"; do
	rm -f "$TMP/pid"
	does "a daemon: it begins" 0 divert-run -r "deny $pings" divert-run -r "count $pings" python3 -c "import os, signal
if os.fork(): os._exit(0)
os.setsid()
try: $how
except OSError: pass
open('$TMP/new', 'w').write(str(os.getpid()))
os.rename('$TMP/new', '$TMP/pid')
signal.pause()"
	wait_for 5 "the daemon" test -s "$TMP/pid"
	daemon=$(cat "$TMP/pid")
	fails "a daemon keeps its rules" ping_ a 10.2.0.1
	is "a daemon: they are listed, also those of a divert-run by divert-run" "$(list)" "100 deny $pings
200 count $pings
$empty"
	kill -KILL "$daemon"
	wait_for 5 "its end" eval "! kill -0 $daemon"
	works "a daemon: its end is theirs" ping_ a 10.2.0.1
	is "a daemon: no rule" "$(list)" "$empty"
done
