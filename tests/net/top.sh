#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# divertctl top: what the counters gain, in lines and on a terminal (progs/terminal.py). The network
# is lib.sh's: a -- r -- b; a pings b, and r has the rules.
# shellcheck disable=SC2154 # start sets pid_NAME
. "$(dirname "$0")/lib.sh"
make_router

# refused REGEX WORD...
refused() {
	q timeout 10 divertctl top "${@:2}" >"$TMP/out" 2>"$TMP/err"
	is "top ${*:2}: status" $? 2
	like "top ${*:2}: says" "$(cat "$TMP/err")" "$1"
}
refused "^divertctl: more: top takes -d SECONDS and -n COUNT" more
refused "^divertctl: -n: how many\?" -n
refused "^divertctl: 0: -n is a number above 0" -n 0
refused "^divertctl: 1.5: -n is a number above 0" -n 1.5
for word in 0 0.01 1s -1 '' 100000; do
	refused "^divertctl: $word: -d is a number of seconds from 0.1 to 86400" -d "$word"
done
q timeout 10 divertctl top >"$TMP/out" 2>"$TMP/err"
is "no engine: status" $? 3
is "no engine" "$(cat "$TMP/out" "$TMP/err")" "divertctl: no engine is loaded in this network namespace"

echoes="icmp from any to 10.2.0.1 in icmptypes 8"
r ipfw -q add 100 divert 2000 $echoes
r ipfw -q add 200 count $echoes
r ipfw -q add 300 divert 2001 udp from any to any
reflect back r 2000

# top NAME ARGUMENT...: starts it; it has read the counters once when this returns
top() {
	start "$1" r divertctl top "${@:2}"
	wait_for 5 "top sleeps" grep -q '(divertctl) S' "/proc/$pid/stat"
}
# sum NAME LINE COLUMN: the sum of that column of the lines that begin so, behind the time
sum() { awk -v "line=$2" -v "column=$3" 'index($0, " " line " ") == 9 { sum += $column } END { print sum + 0 }' "$TMP/$1.out"; }

# ---- lines ----

top lines -d 0.5
works "pings" ping_ a 10.2.0.1 20
soon "packets of a port and cause" 20 sum lines "port 2000 diverted" 5
soon "of another cause" 20 sum lines "port 2000 written-in" 5
soon "packets of a rule" 20 sum lines "rule 100" 4
soon "packets of the rule behind it" 20 sum lines "rule 200" 4
r ipfw -q zero
works "pings after they were set to 0" ping_ a 10.2.0.1 2
soon "a port's do not begin anew" 22 sum lines "port 2000 diverted" 5
soon "a rule's do" 22 sum lines "rule 100" 4
kill -INT "$pid_lines"
wait "$pid_lines"
is "SIGINT: status" $? 0
is "and nothing is said" "$(cat "$TMP/lines.err")" ""
clock='[0-2][0-9]:[0-5][0-9]:[0-6][0-9]'
is "all lines have this form" "$(grep -vE "^$clock (port(6)? (none|[0-9]+) [a-z-]+ [0-9]+ [0-9.]+/s|rule [0-9]+ [0-9]+ [0-9.]+/s [0-9.]+B/s .*)$" "$TMP/lines.out")" ""
like "a rule's line" "$(grep -m 1 'rule 200' "$TMP/lines.out")" " rule 200 [0-9]+ [0-9]+\.[0-9]/s [0-9]+\.[0-9]B/s count $echoes$"
is "no line for what gains nothing" "$(grep -c 'port 2001\|rule 300' "$TMP/lines.out")" 0
# at the earliest after half a second, so at most twice as many
is "packets and bytes a second" "$(awk '/ rule [12]00 / { rate = $5 + 0; bytes = $6 + 0
	if (rate > 2 * $4 + 0.1 || rate <= 0 || bytes < 84 * (rate - 0.1) || bytes > 84 * (rate + 0.1)) print }' "$TMP/lines.out")" ""

top often -n 2 -d 0.2
wait "$pid_often"
is "-n: it ends by itself" $? 0
top often -n 1 -d 86400
kill -TERM "$pid_often"
wait "$pid_often"
is "SIGTERM: status" $? 0

# ---- a terminal ----

# shows ROWS COLUMNS: a screen with pings; the status is in $rc
shows() {
	start pinging a ping -q -n -i 0.05 10.2.0.1
	rm -f "$TMP/screen"
	q timeout 20 python3 "$HERE/terminal.py" "$1" "$2" "port  2000" "$TMP/screen" divertctl top -d 0.3
	rc=$?
	stop pinging
}
shows 24 120
is "Ctrl-C: status" $rc 0
like "the first line" "$(head -n 1 "$TMP/screen")" "^divertctl top  $clock  packets a second, by port and by rule; Ctrl-C ends it$"
like "a port's row" "$(grep -m 1 diverted "$TMP/screen")" "^  port  2000  +[0-9]+\.[0-9]/s  diverted +packets delivered to a socket$"
like "a rule's row" "$(grep -m 1 'rule  00200' "$TMP/screen")" "^  rule  00200  +[0-9]+\.[0-9]/s  +[0-9]+\.[0-9] B/s  count $echoes$"
shows 5 40
is "a small one: rows" "$(wc -l <"$TMP/screen")" 4
like "a small one: what has no room" "$(tail -n 1 "$TMP/screen")" "^  and [0-9]+ more$"
is "a small one: no row is too long" "$(awk 'length > 39' "$TMP/screen")" ""

# ---- the engine goes ----

stop back
top gone -d 0.2
r divertctl unload
wait "$pid_gone"
is "the engine is removed: status" $? 3
is "and that is said" "$(cat "$TMP/gone.err")" "divertctl: no engine is loaded in this network namespace"
