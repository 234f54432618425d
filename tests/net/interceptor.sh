#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# interceptor(1) with a rule of its own, its lines, -A and -X as tcpdump's, -j, and -P. The network
# is lib.sh's: a -- r -- b. tools.sh has the rest of its options.
# shellcheck disable=SC2154 # start sets pid_NAME
. "$(dirname "$0")/lib.sh"
make_router

empty="65535 allow ip from any to any"
echoes="icmp from any to 10.2.0.1 in icmptypes 8"
list() { q ipfw list | sed 's/^0*//'; }

# does WHAT STATUS COMMAND...: checks its exit status; its output is in $TMP/out and $TMP/err
does() {
	local rc
	q "${@:3}" >"$TMP/out" 2>"$TMP/err" </dev/null
	rc=$?
	is "$1: status" $rc "$2"
}
says() { like "$1: says" "$(cat "$TMP/err")" "$2"; }
# listen NAME ARGUMENTS...: starts interceptor in r
listen() {
	start "$1" r interceptor "${@:2}"
	wait_for 10 "interceptor ${*:2}" grep -q "listening on divert port" "$TMP/$1.err"
}
# ended NAME SIGNAL: ends it; its exit status
ended() { eval "kill -$2 \$pid_$1; wait \$pid_$1"; }
shows() { wait_for 5 "$1 shows $2" eval "[ \$(wc -l <$TMP/$1.out) -ge $2 ]"; }
# send NS ADDRESS PORT [FROM]: sends a datagram with standard input
send() { nq "$1" timeout 5 socat -u - "UDP4:$2:$3${4:+,bind=:$4},shut-none"; }

# ---- what is refused ----

# refused REGEX ARGUMENT...
refused() {
	does "interceptor ${*:2}" 2 timeout 10 interceptor "${@:2}"
	says "interceptor ${*:2}" "$1"
}
refused "^interceptor: 'icmp form any to any': form: " icmp form any to any
refused "^interceptor: 'icmp from any to any sideways': sideways: unknown option" icmp from any to any sideways
refused "^interceptor: 'http': " http
refused "^interceptor: '65535 ip from any to any': " 65535 ip from any to any
refused "^interceptor: 70000: a divert port is a number" 70000
for flag in -A -X -q; do
	refused "^interceptor: -j: -A, -X and -q are not for JSON" -j $flag 2000
done
is "none of these has loaded the engine" "$(q divertctl status)" "engine: not loaded"
q setpriv --reuid 65534 --regid 65534 --clear-groups interceptor icmp from any to any >"$TMP/out" 2>"$TMP/err"
is "not root: status" $? 1
says "not root" "needs root"

# ---- a rule of its own ----

listen own "$echoes"
is "it says which port and rule it has" "$(cat "$TMP/own.err")" \
	"interceptor: listening on divert port 65535, rule 100"
is "the rule" "$(list)" "100 divert 65535 $echoes bypass
$empty"
works "what it shows goes on" ping_ a 10.2.0.1 3
shows own 3
like "a line" "$(head -n 1 "$TMP/own.out")" \
	"^[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\.[0-9]{6} in  r0 rule 100 IP 10\.1\.0\.1 > 10\.2\.0\.1: ICMP echo request, id [0-9]+, seq 1, length 84$"
ended own INT
is "SIGINT: status" $? 0
is "the summary, and nothing else" "$(sed 1d "$TMP/own.err")" \
	"3 packets received (252 bytes), 3 written back, 0 failed"
is "nothing stays behind" "$(list)" "$empty"
works "nothing is cut off" ping_ a 10.2.0.1 2

# words one by one, a number, ports that others have, two at a time
r ipfw -q add 1000 divert 65535 udp from any to 10.9.9.9
reflect other r 65534
# shellcheck disable=SC2086 # words
listen one 50 $echoes
like "a number, and the next free port" "$(cat "$TMP/one.err")" "divert port 65533, rule 50$"
listen two "$echoes // look"
like "a comment; the next port and rule" "$(cat "$TMP/two.err")" "divert port 65532, rule 1100$"
is "the rules" "$(list)" "50 divert 65533 $echoes bypass
1000 divert 65535 udp from any to 10.9.9.9
1100 divert 65532 $echoes bypass // look
$empty"
works "two of them: ping works" ping_ a 10.2.0.1 2
shows one 2
shows two 2
kill -KILL "$pid_one"
wait "$pid_one" 2>/dev/null
works "kill -9 of one: ping works at once" ping_ a 10.2.0.1 3
is "kill -9 of one: its rule is gone" "$(list | head -n 1)" "1000 divert 65535 udp from any to 10.9.9.9"
shows two 5
ended two TERM
is "the other: all that came by" "$(tail -n 1 "$TMP/two.err")" \
	"5 packets received (420 bytes), 5 written back, 0 failed"
is "nobody was cut off" "$(stat_of r 65533 no-listener) $(stat_of r 65532 no-listener)" "0 0"
stop other
r ipfw -q flush

r divertctl unload
# What lies in the socket when the count is reached goes on, too, also with -n.
for keep in "" -n; do
	# shellcheck disable=SC2086 # an option, or none
	listen few $keep -c 1 "$echoes"
	kill -STOP "$pid_few"
	wait_for 5 "it stands still" grep -q '(interceptor) T' "/proc/$pid_few/stat"
	start pinging a ping -n -i 0.01 -W 5 -c 20 10.2.0.1
	soon "-c 1 $keep: all are there" 20 stat_of r 65535 diverted
	kill -CONT "$pid_few"
	wait "$pid_few"
	is "-c 1 $keep: status" $? 0
	is "-c 1 $keep: one is shown" "$(wc -l <"$TMP/few.out")" 1
	wait "$pid_pinging"
	like "-c 1 $keep: the others go on" "$(cat "$TMP/pinging.out")" \
		"20 packets transmitted, $((${#keep} ? 19 : 20)) received"
	r divertctl unload
done

# ---- interfaces of packets on their way out ----

listen ways udp from any to any out
echo forwarded | send a 10.2.0.1 7777
echo local | send r 10.2.0.1 7777
shows ways 2
ended ways INT
is "forwarded: both interfaces; local: one" "$(awk '{ print $2, $3 }' "$TMP/ways.out")" "out r0>r1
out r1"

# ---- -A and -X: the same as tcpdump prints of what -w has saved ----

has_both() { [ "$(tcpdump -n -r "$TMP/text.pcap" 2>/dev/null | wc -l)" = 2 ]; }
for flag in -A -X; do
	listen text -q $flag -w "$TMP/text.pcap" udp from any to any in
	printf 'GET / HTTP/1.1\r\n\r\n\tword\r \x01\x7f\xff\n' | send a 10.2.0.1 7777
	printf 'x' | send a 10.2.0.1 7777
	wait_for 5 "$flag: two packets" has_both
	ended text INT
	tcpdump -n -t $flag -r "$TMP/text.pcap" 2>/dev/null | grep -av '^IP 10' >"$TMP/wanted"
	works "$flag: something is compared" [ "$(wc -l <"$TMP/wanted")" -ge 5 ]
	works "$flag as tcpdump" diff -a "$TMP/wanted" "$TMP/text.out"
done

# ---- -j ----

# fields NAME: for each line that NAME printed, the object's fields in order, with their values but
# for the time, ids and the packet
fields() {
	python3 -c '
import json, sys, time
for line in sys.stdin.buffer:
    o = json.loads(line)
    assert abs(o.pop("time") - time.time()) < 600
    for name in "icmp_id", "packet":
        if name in o:
            o[name] = "..."
    print(*(f"{name}={value}" for name, value in o.items()))' <"$TMP/$1.out"
}
listen json -j -x ip from any to any
ping_ a 10.2.0.1
ping_ r 10.2.0.1
echo hello | send a 10.2.0.1 7777 5555
a timeout 5 socat -u /dev/null TCP4:10.2.0.1:7778,bind=:5556 2>/dev/null
wait_for 5 "JSON" grep -q '"sport":5556' "$TMP/json.out"
ended json INT
fields json >"$TMP/fields"
common="mark=0 forwarded=False tee=False reassembled=False version=4"
has() { works "-j: $1" grep -qxF "$2" "$TMP/fields"; }
has "in" "direction=in in=r0 rule=100 length=84 $common src=10.1.0.1 dst=10.2.0.1 protocol=1 icmp_type=8 icmp_code=0 icmp_id=... icmp_seq=1 packet=..."
has "forwarded" "direction=out in=r0 out=r1 rule=100 length=84 ${common/forwarded=False/forwarded=True} src=10.1.0.1 dst=10.2.0.1 protocol=1 icmp_type=8 icmp_code=0 icmp_id=... icmp_seq=1 packet=..."
has "local" "direction=out out=r1 rule=100 length=84 $common src=10.2.0.2 dst=10.2.0.1 protocol=1 icmp_type=8 icmp_code=0 icmp_id=... icmp_seq=1 uid=0 packet=..."
has "UDP" "direction=in in=r0 rule=100 length=34 $common src=10.1.0.1 dst=10.2.0.1 protocol=17 sport=5555 dport=7777 packet=..."
has "TCP" "direction=in in=r0 rule=100 length=60 $common src=10.1.0.1 dst=10.2.0.1 protocol=6 sport=5556 dport=7778 tcp_flags=S packet=..."
like "-j: the packet" "$(grep -m 1 '"sport":5555' "$TMP/json.out")" \
	',"packet":"45000022.*0a0100010a02000115b31e61[0-9a-f]{8}68656c6c6f0a"}$'

# ---- -P ----

# speaker NAME COMM CODE: a process of this name, in r
speaker() {
	start "$1" r python3 -c "import os, socket, time
open('/proc/self/comm', 'wb').write(os.fsencode('''$2'''))
$3
print('ready', flush=True)
time.sleep(1000)"
	wait_for 5 "$1" grep -q ready "$TMP/$1.out"
}
# It has sockets without an address on the ports of what is forwarded, and others that do not fit.
speaker decoy decoy "kept = []
for kind, port in (socket.SOCK_DGRAM, 7003), (socket.SOCK_DGRAM, 5557), (socket.SOCK_STREAM, 7009):
    for family in socket.AF_INET, socket.AF_INET6:
        kept.append(socket.socket(family, kind))
        if family == socket.AF_INET6:
            kept[-1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        kept[-1].bind(('', port))
        if kind == socket.SOCK_STREAM:
            kept[-1].listen()"
listen who -P ip from any to any
speaker client 'udp client' "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(('10.2.0.1', 7001))
s.send(b'x')"
speaker server server "s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
s.bind(('::', 7002))
s.listen()"
nq a timeout 5 socat -u /dev/null TCP4:10.1.0.2:7002
nq a timeout 5 socat -u /dev/null TCP6:[fd01::2]:7002
ping_ r 10.2.0.1
ping_ r fd02::1
echo x | send a 10.2.0.1 7003 5557
echo x | send a 10.1.0.2 7003 5557
wait_for 5 "-P: all of them" grep -q ' > 10.1.0.2.7003: ' "$TMP/who.out"
ended who INT
# of LINE: the end of the first line that has it
of() { grep -m 1 "$1" "$TMP/who.out" | sed 's/.*, length [0-9]*//'; }
is "-P: UDP, out" "$(of '> 10.2.0.1.7001: UDP')" ", udp client ($pid_client) of root"
is "-P: TCP, in, to a socket of both families" "$(of '> 10.1.0.2.7002: TCP .S.')" ", server ($pid_server) of root"
is "-P: TCP, out" "$(of 'IP 10.1.0.2.7002 > .*: TCP .S')" ", server ($pid_server) of root"
is "-P: IPv6" "$(of '> fd01::2.7002: TCP .S.')" ", server ($pid_server) of root"
like "-P: ping, out" "$(of 'out r1 .*> 10.2.0.1: ICMP echo request')" "^, ping \([0-9]+\) of root$"
like "-P: ping, in" "$(of 'in  r1 .* > 10.2.0.2: ICMP echo reply')" "^, ping \([0-9]+\) of root$"
like "-P: ping, IPv6" "$(of 'out r1 .*> fd02::1: ICMP6 echo request')" "^, ping \([0-9]+\) of root$"
is "-P: UDP, in" "$(of 'in  r0 .* > 10.1.0.2.7003: UDP')" ", decoy ($pid_decoy) of root"
is "-P: forwarded: nobody" "$(of 'in  r0 .* > 10.2.0.1.7003: ')$(of 'out r0>r1 .* > 10.2.0.1.7003: ')" ""

# A sender that has ended is known by its user.
listen gone -P udp from me to any out
kill -STOP "$pid_gone"
echo x | send r 10.2.0.1 7004
r setpriv --reuid 65534 --regid 65534 --clear-groups python3 -c "import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b'x', ('10.2.0.1', 7005))"
kill -CONT "$pid_gone"
shows gone 2
ended gone INT
is "-P: who has ended" "$(sed 's/.*, length [0-9]*//' "$TMP/gone.out")" ", of root
, of nobody"

# names with all bytes
listen names -j -P udp from me to any 7006 out
speaker odd 'a"b\\c\x01\udcff\u00e9' "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b'x', ('10.2.0.1', 7006))"
shows names 1
ended names INT
like "-j -P: user, number, name" "$(fields names)" "uid=0 user=root pid=$pid_odd process=a\"b"
works "-j -P: a name with all bytes" grep -qF '"process":"a\"b\\c\u0001\ufffdé"' "$TMP/names.out"
