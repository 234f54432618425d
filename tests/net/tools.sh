#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The tools. ipfw(8): what ipdivert does not do "is refused by name, nothing half-applied"; files;
# list, show, zero, delete, flush. interceptor(1): its line, hex, file, summary and exit status.
# divertctl(8): status, stat, attach, set, exit status. Interfaces that appear later are covered,
# and so are ports of bridges.
. "$(dirname "$0")/lib.sh"
make_router
nobody() { q setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }

# does WHAT STATUS COMMAND...: checks its exit status; its output is in $TMP/out and $TMP/err
does() {
	local rc
	q "${@:3}" >"$TMP/out" 2>"$TMP/err" </dev/null
	rc=$?
	is "$1: status" $rc "$2"
}
says() { like "$1: says" "$(cat "$TMP/err")" "$2"; }
prints() { is "$1: prints" "$(cat "$TMP/out")" "$2"; }

# ---- ipfw ----

r ipfw -q add 100 count ip from any to any in
r ipfw -q add 200 divert 2000 udp from 10.1.0.0/24 to any 53,5000-5010 in via r0
r ipfw -q add 300 tee 2001 tcp from any to not 10.2.0.1 out
before=$(q ipfw list)
is "list" "$before" "00100 count ip from any to any in
00200 divert 2000 udp from 10.1.0.0/24 to any dst-port 53,5000-5010 in via r0
00300 tee 2001 tcp from any to not 10.2.0.1 out
65535 allow ip from any to any"

# refused STATUS WORD ARGUMENTS...: ipfw refuses them, with a message that has the word
refused() {
	does "ipfw ${*:3}" "$1" ipfw "${@:3}"
	says "ipfw ${*:3}" "$2"
	is "ipfw ${*:3}: nothing has changed" "$(q ipfw list)" "$before"
}
refused 64 frobnicate frobnicate
refused 64 frobnicate add 400 frobnicate ip from any to any
refused 65 nonsense add 400 allow nonsense from any to any
refused 64 nonsense add 400 allow ip from any to any nonsense
refused 64 form add 400 allow ip form any to any
refused 65 10.0.0.256 add 400 allow ip from 10.0.0.256 to any
refused 65 10.0.0.0/33 add 400 allow ip from 10.0.0.0/33 to any
refused 65 70000 add 400 divert 70000 ip from any to any
refused 65 70000 add 400 allow tcp from any 70000 to any
refused 65 65536 add 65536 allow ip from any to any
refused 65 nat add 400 nat 1 ip from any to any
refused 65 pipe add 400 pipe 1 ip from any to any
refused 65 setfib add 400 setfib 1 ip from any to any
refused 65 ":any" add 400 allow ip from any to any keep-state :any
refused 69 "table 1" table 1 list
refused 64 missing delete
refused 69 "rule 400" delete 400
refused 69 "rule 400" delete 100 400
refused 65 0 delete 0
refused 69 65535 delete 65535
refused 65 one_pass enable one_pass
refused 65 verbose disable verbose
refused 64 nothing enable nothing
refused 69 "rule 400" list 400
does "ipfw -q delete of what is not there" 0 ipfw -q delete set 7
does "ipfw -q delete of some that are not there" 0 ipfw -q delete 150-199 400
is "ipfw -q delete of what is not there: nothing has changed" "$(q ipfw list)" "$before"
refused 69 "rule 400" zero 400
refused 64 -Z -Z list
refused 64 all flush all
does "ipfw with nothing" 64 ipfw
says "ipfw with nothing" "usage: ipfw"
does "ipfw --help" 0 ipfw --help
# all actions of the manual page, without other names for the same
for action in allow deny unreach unreach6 reset reset6 count divert tee skipto call return reass \
	check-state; do
	works "ipfw --help: $action" grep -qw "$action" <(sed -n '/^actions:/,/^body:/p' "$TMP/out")
done
for tool in ipfw ipchains interceptor divertctl divert-run; do
	does "$tool --version" 0 $tool --version
	like "$tool --version" "$(cat "$TMP/out")" "^$tool \(ipdivert\) [0-9]"
done

# not root
for command in "add 400 allow ip from any to any" "delete 100" flush zero list; do
	# shellcheck disable=SC2086
	nobody ipfw $command >"$TMP/out" 2>"$TMP/err"
	is "not root: ipfw $command: status" $? 69
	says "not root: ipfw $command" "Operation not permitted|needs root"
done
is "not root: nothing has changed" "$(q ipfw list)" "$before"

# files
cat >"$TMP/rules" <<'END'
# a comment
flush

add 1000 count ip from any to any  # another
add 1100 divert 2000 ip from any to nowhere.invalid.example in
add 1200 count ip from any to any
END
does "a file with an error" 65 ipfw "$TMP/rules" 2>/dev/null
says "a file with an error" "^ipfw: $TMP/rules:5: .*nowhere.invalid.example"
is "a file with an error: nothing has changed" "$(q ipfw list)" "$before"
printf 'flush\nadd 1000 count ip from any to any\ndelete 4711\n' >"$TMP/rules"
does "a file that deletes what is not there" 69 ipfw "$TMP/rules"
says "a file that deletes what is not there" "^ipfw: $TMP/rules:3: rule 4711"
is "a file that deletes what is not there: nothing has changed" "$(q ipfw list)" "$before"
printf 'flush\nadd 1000 count ip from any to any\nfrobnicate\n' >"$TMP/rules"
q ipfw -q - <"$TMP/rules" 2>"$TMP/err"
is "standard input with an error: status" $? 64
says "standard input with an error" "^ipfw: standard input:3: frobnicate"
is "standard input with an error: nothing has changed" "$(q ipfw list)" "$before"
does "no such file" 69 ipfw "$TMP/none"
says "no such file" "$TMP/none: No such file"
printf 'add 1000 count ip from any to any\n' >"$TMP/rules"
does "-n: check only" 0 ipfw -n "$TMP/rules"
is "-n: nothing has changed" "$(q ipfw list)" "$before"

# all lines that are refused: by the parser, by the rule set, by the tables
cat >"$TMP/rules" <<'END'
flush
add 1000 count ip from any to any
add 1100 frobnicate ip from any to any
table t create type addr
table t create type addr
add 65535 deny ip from any to any
table t frobnicate
add 1200 count ip from any to any in
bogus
END
# refusals FILE: of each message the line's number and the word, and the last line
refusals() { sed -n "s|^ipfw: $1:\([0-9]*: [^:;]*\).*|\1|p; \$ s|^ipfw: $1: ||p" "$TMP/err"; }
told="3: frobnicate
5: table t
6: 65535
7: frobnicate
9: bogus
5 lines refused"
does "-n: several lines are refused" 64 ipfw -n "$TMP/rules"
is "-n: all of them are told, and how many" "$(refusals "$TMP/rules")" "$told"
is "-n: nothing else is said" "$(wc -l <"$TMP/err")" 6
prints "-n: the other lines" "01000 count ip from any to any
01200 count ip from any to any in"
q ipfw -n - <"$TMP/rules" >"$TMP/out" 2>"$TMP/err"
is "-n: standard input: status" $? 64
is "-n: standard input: all of them" "$(refusals "standard input")" "$told"
does "-n: with -p" 64 ipfw -n -p sed -e s/bogus/bogie/ "$TMP/rules"
is "-n: with -p: all of them" "$(refusals "$TMP/rules")" "${told/bogus/bogie}"
sed -i 3d "$TMP/rules"
does "-n: the status is that of the first" 69 ipfw -n "$TMP/rules"
does "without -n" 64 ipfw -q "$TMP/rules"
is "without -n: the first that is refused ends it" "$(refusals "$TMP/rules")" "6: frobnicate"
is "-n and without: nothing has changed" "$(q ipfw list)" "$before"

# a listing can be read back
q ipfw list | sed 's/^/add /' >"$TMP/rules"
r ipfw -q flush
is "flush" "$(q ipfw list)" "65535 allow ip from any to any"
does "what list printed, as a file" 0 ipfw -q "$TMP/rules"
is "what list printed, as a file: the same list" "$(q ipfw list)" "$before"

# counters
r ipfw -q flush
r ipfw -q add 100 count icmp from any to 10.1.0.2 in icmptypes 8
r ipfw -q add 100 count icmp from any to 10.1.0.2 in icmptypes 8
r ipfw -q add 200 count icmp from any to 10.1.0.2 in icmptypes 8
r ipfw -q zero
ping_ a 10.1.0.2 3
is "show: packets and bytes" "$(q ipfw show 200)" "00200 3 252 count icmp from any to 10.1.0.2 in icmptypes 8"
is "-a list is show" "$(q ipfw -a list 200)" "$(q ipfw show 200)"
is "show: a range" "$(q ipfw show 100-200 | wc -l)" 3
does "zero 200" 0 ipfw zero 200
prints "zero 200" "Entry 200 cleared."
is "zero 200: cleared" "$(packets r 200)" 0
is "zero 200: the others are not" "$(packets r 100)" 6
does "zero" 0 ipfw zero
is "zero: all are" "$(packets r 100)" 0
does "delete 100" 0 ipfw delete 100
is "delete 100: both rules of that number" "$(q ipfw list | wc -l)" 2
r ipfw -q add 300 count ip from any to any
r ipfw -q add 310 count ip from any to any
does "delete of two and a range" 0 ipfw delete 200 300-400
is "delete of two and a range" "$(q ipfw list)" "65535 allow ip from any to any"
does "add without a number" 0 ipfw add count ip from any to any
prints "add without a number" "00100 count ip from any to any"
does "add -q" 0 ipfw -q add count ip from any to any
prints "add -q" ""
does "an unknown interface" 0 ipfw add 300 count ip from any to any via nosuch0
says "an unknown interface: warning" "nosuch0: no such interface"
is "an unknown interface: added" "$(q ipfw list 300)" "00300 count ip from any to any via nosuch0"
r ipfw -q flush

# ---- interceptor ----

# listen NAME ARGUMENTS...: starts interceptor in r
listen() {
	start "$1" r interceptor "${@:2}"
	wait_for 10 "interceptor ${*:2}" grep -q "listening on divert port" "$TMP/$1.err"
}
# ended NAME SIGNAL: ends it; its exit status
ended() {
	eval "kill -$2 \$pid_$1; wait \$pid_$1"
}
r ipfw -q add 100 divert 2000 icmp from any to 10.2.0.1 in icmptypes 8
r ipfw -q add 200 divert 2000 udp from any to any out
r ipfw -q add 300 divert 2000 ipv6-icmp from any to fd02::1 in icmp6types 128
r ipfw -q add 400 divert 2000 tcp from any to 10.2.0.1 in
clock='^[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\.[0-9]{6}'

listen look 2000
works "interceptor: ping works" ping_ a 10.2.0.1 2
works "interceptor: IPv6 ping works" ping_ a fd02::1
# shut-none: otherwise socat 1.8 ends with an empty datagram
echo -n hello | a timeout 5 socat -u - UDP4:10.2.0.1:7777,bind=:5555,shut-none
a timeout 5 socat -u /dev/null TCP4:10.2.0.1:7778,bind=:5556 2>/dev/null
wait_for 5 "interceptor has seen them" bash -c "[ \$(wc -l <$TMP/look.out) -ge 5 ]"
ended look INT
is "interceptor: SIGINT: status" $? 0
line() { sed -n "$1p" "$TMP/look.out"; }
like "interceptor: ICMP in" "$(line 2)" \
	"$clock in  r0 rule 100 IP 10\.1\.0\.1 > 10\.2\.0\.1: ICMP echo request, id [0-9]+, seq 2, length 84$"
like "interceptor: ICMPv6 in" "$(line 3)" \
	"$clock in  r0 rule 300 IP6 fd01::1 > fd02::1: ICMP6 echo request, id [0-9]+, seq 1, length 104$"
like "interceptor: UDP, forwarded, out" "$(line 4)" \
	"$clock out r0>r1 rule 200 IP 10\.1\.0\.1\.5555 > 10\.2\.0\.1\.7777: UDP, length 33$"
like "interceptor: TCP in" "$(line 5)" \
	"$clock in  r0 rule 400 IP 10\.1\.0\.1\.5556 > 10\.2\.0\.1\.7778: TCP \[S\], length 60$"
is "interceptor: summary" "$(tail -1 "$TMP/look.err")" \
	"5 packets received (365 bytes), 5 written back, 0 failed"

listen hex -q -x -c 1 2000
works "interceptor -q -x -c 1: ping works" ping_ a 10.2.0.1
wait "${pid_hex:-}"
is "interceptor -c: ends by itself, status" $? 0
is "interceptor -q: no line for the packet" "$(grep -c rule "$TMP/hex.out")" 0
is "interceptor -x: as many bytes" "$(wc -w <"$TMP/hex.out")" 84
is "interceptor -x: 16 in a line" "$(head -1 "$TMP/hex.out" | wc -w)" 16
like "interceptor -x: the packet" "$(tr -d ' \n' <"$TMP/hex.out")" \
	"^45000054.{8}4001.{4}0a0100010a0200010800"

listen keep -n 2000
fails "interceptor -n: ping fails" ping_ a 10.2.0.1
ended keep TERM
is "interceptor -n: SIGTERM: status" $? 0
is "interceptor -n: summary" "$(tail -1 "$TMP/keep.err")" \
	"1 packets received (84 bytes), 0 written back, 0 failed"

listen save -q -w "$TMP/save.pcap" -x 2000
works "interceptor -w: ping works" ping_ a 10.2.0.1 3
ended save INT
is "interceptor -w: tcpdump reads as many" "$(tcpdump -n -r "$TMP/save.pcap" 2>/dev/null | wc -l)" 3
is "interceptor -w: and the same bytes as -x shows" \
	"$(tcpdump -n -x -r "$TMP/save.pcap" 2>/dev/null | sed -n 's/^\s*0x....: *//p' | tr -d ' \n')" \
	"$(tr -d ' \n' <"$TMP/save.out")"
listen pipe -q -w - 2000
works "interceptor -w -: ping works" ping_ a 10.2.0.1
ended pipe HUP
is "interceptor -w -: SIGHUP: status" $? 0
is "interceptor -w -: the packets on standard output" \
	"$(tcpdump -n -r - <"$TMP/pipe.out" 2>/dev/null | wc -l)" 1

# interceptor's errors
r ipfw -q add 50 divert 2005 udp from any to any out
r ip route add prohibit 10.77.0.0/24
listen busy 2006
does "interceptor: the port is in use" 1 interceptor 2006
says "interceptor: the port is in use" "port 2006: interceptor \(${pid_busy:-}\) is bound to it"
ended busy INT
does "interceptor: no port" 2 interceptor
says "interceptor: no port" "usage: interceptor"
does "interceptor: a word that is no port" 2 interceptor 70000
says "interceptor: a word that is no port" "70000"
does "interceptor: -c 0" 2 interceptor -c 0 2000
does "interceptor: an unknown flag" 2 interceptor -Z 2000
does "interceptor --help" 0 interceptor --help
does "interceptor: a file that cannot be" 1 interceptor -w "$TMP/none/file" 2000
says "interceptor: a file that cannot be" "^interceptor: $TMP/none/file: No such file"
nobody interceptor 2000 >"$TMP/out" 2>"$TMP/err"
is "interceptor, not root: status" $? 1
says "interceptor, not root" "needs root"
r ipfw -q flush

# ---- divertctl ----

r ipfw -q add 100 divert 2100 icmp from any to 10.2.0.1 in icmptypes 8
does "divertctl status" 0 divertctl status
status=$(cat "$TMP/out")
like "divertctl status: the engine" "$status" "^engine: ipdivert [0-9.]+[^ ]*, layout [0-9]+, loaded 20"
like "divertctl status: interfaces" "$status" "  r0  +in, out; no rule needs out"
like "divertctl status: pass-through" "$status" "pass-through: off"
like "divertctl status: ports" "$status" "  2100 +nobody listens"
reflect there r 2100
like "divertctl status: a socket is bound" "$(q divertctl status)" "  2100 +a socket is bound"
works "divertctl stat: something to count" ping_ a 10.2.0.1 2
stop there
like "divertctl status: at once after it has gone" "$(q divertctl status)" "  2100 +nobody listens"
ping_ a 10.2.0.1 && not_ok "nobody listens: dropped"
does "divertctl stat 2100" 0 divertctl stat 2100
like "divertctl stat PORT: title" "$(head -1 "$TMP/out")" "^port 2100 \(nobody listens\):$"
is "divertctl stat PORT: what is not 0" "$(sed 1d "$TMP/out" | awk '{print $1, $2}')" "2 diverted
2 written-in
1 no-listener
2 entered"
does "divertctl stat" 0 divertctl stat
like "divertctl stat: the ports, and what has none" "$(grep : "$TMP/out" | paste -sd' ')" "port 2100 .*no port:$"
does "divertctl stat -a PORT" 0 divertctl stat -a 2100
is "divertctl stat -a: all but four are 0" "$(awk '$1 == 0' "$TMP/out" | grep -c .)" $(($(wc -l <"$TMP/out") - 5))
does "divertctl stat of a port that is none" 1 divertctl stat 4711
says "divertctl stat of a port that is none" "port 4711: no rule and no socket names it"
does "divertctl stat of a word" 2 divertctl stat http
says "divertctl stat of a word" "http"
does "divertctl stat 0" 2 divertctl stat 0
does "divertctl stat ''" 2 divertctl stat ""
does "divertctl stat -5" 2 divertctl stat -5

does "set pass-through on" 0 divertctl set pass-through on
like "set pass-through on: status" "$(q divertctl status)" "pass-through: on"
does "get pass-through" 0 divertctl get pass-through
prints "get pass-through" "pass-through on"
works "set pass-through on: packets pass" ping_ a 10.2.0.1
is "set pass-through on: counted" "$(stat_of r 2100 passed)" 1
does "set pass-through off" 0 divertctl set pass-through off
fails "set pass-through off: packets are dropped" ping_ a 10.2.0.1
does "get: all settings" 0 divertctl get
is "get: all settings" "$(q divertctl get | cut -d' ' -f1 | xargs)" "pass-through trains \
dyn_ack_lifetime dyn_syn_lifetime dyn_fin_lifetime dyn_rst_lifetime dyn_udp_lifetime \
dyn_short_lifetime dyn_max released_lifetime"
does "set trains off" 0 divertctl set trains off
does "get trains" 0 divertctl get trains
prints "get trains" "trains off"
is "set trains off: the other stays" "$(q divertctl get pass-through)" "pass-through off"
does "set trains on" 0 divertctl set trains on
does "set trains some" 2 divertctl set trains some
says "set trains some" "some"
does "get something" 2 divertctl get something
says "get something" "something"
does "set pass-through maybe" 2 divertctl set pass-through maybe
says "set pass-through maybe" "maybe"
does "set something" 2 divertctl set something on
says "set something" "something"
for command in "" frobnicate "status more" "unload more" "attach r0 more" set "stat 1 2" \
	"get pass-through more" "upgrade more"; do
	# shellcheck disable=SC2086
	does "divertctl $command" 2 divertctl $command
	says "divertctl $command" "${command##* }"
done
does "divertctl --help" 0 divertctl --help
q divertctl attach
is "divertctl(8) has each counter, and no other" \
	"$(sed -n 's/^\.It Li \([a-z-]*\)$/\1/p' "$STAGE/share/man/man8/divertctl.8" | sort)" \
	"$(q divertctl stat -a | awk '$1 ~ /^[0-9]+$/ {print $2}' | sort -u)"
for command in status stat attach unload get upgrade "set pass-through on"; do
	# shellcheck disable=SC2086
	nobody divertctl $command >"$TMP/out" 2>"$TMP/err"
	is "not root: divertctl $command: status" $? 1
	says "not root: divertctl $command" "root"
done
like "not root: pass-through is as it was" "$(q divertctl status)" "pass-through: off"

# ---- interfaces ----

hooks() { hooks_of "$1" "$2" | wc -l; }
is_hooked() { is "$1: hooks on $2" "$(hooks "$2" in) $(hooks "$2" out)" "$3"; }
r ipfw -q add 90 count ip from any to any
r ip link add v0 type veth peer name v1
r ip link add v2 type veth peer name v3
is_hooked "appeared later" v0 "0 0"
does "divertctl attach v0" 0 divertctl attach v0
is_hooked "attach v0" v0 "1 1"
is_hooked "attach v0: not the others" v2 "0 0"
does "divertctl attach v0 again" 0 divertctl attach v0
is_hooked "attach v0 again" v0 "1 1"
does "divertctl attach" 0 divertctl attach
is_hooked "attach: all" v2 "1 1"
r ip link add v4 type veth peer name v5
r ipfw -q add 500 count ip from any to any
is_hooked "the next ipfw add" v4 "1 1"
like "attached: status tells" "$(q divertctl status)" "v5  +in, out"
r ip link add v8 type veth peer name v9
does "divertctl attach -l :INDEX" 0 divertctl attach -l ":$(with_sys r cat /sys/class/net/v8/ifindex)"
is_hooked "attach -l :INDEX" v8 "1 1"
is_hooked "attach -l :INDEX: not its peer" v9 "0 0"
r ip link del v8
for word in :99999 : :1x :-1; do
	does "attach $word" 1 divertctl attach $word
	says "attach $word" "$word: no such interface"
done
does "attach nosuch0" 1 divertctl attach nosuch0
says "attach nosuch0" "nosuch0: no such interface"
r ip link del v4

if r ip link add br0 type bridge 2>/dev/null; then
	r ip link add v6 type veth peer name v7
	r ip link set v6 master br0
	r ip link set v2 master br0
	does "attach with a bridge" 0 divertctl attach
	is_hooked "a bridge" br0 "1 1"
	is_hooked "a bridge's port" v6 "1 1"
	is "a bridge's port: status" "$(q divertctl status | grep -w v6)" "  v6              in, out"
	is_hooked "an interface that became a port" v2 "1 1"
	r ip link set v6 nomaster
	does "attach after it left" 0 divertctl attach
	is_hooked "an interface that is a port no longer" v6 "1 1"
else
	echo "skip this kernel has no bridges"
fi

