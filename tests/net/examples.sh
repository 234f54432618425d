#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# "An example for each way of use in examples/ (compiled and run)". Each is built as its users build
# it, with the flags of pkg-config and nothing else, and started as it is. The test looks at what
# the far side sees.
. "$(dirname "$0")/lib.sh"
command -v socat >/dev/null || skip_all "no socat"
export PKG_CONFIG_PATH=$STAGE/lib/pkgconfig
for c in "$TOP"/examples/*.c; do
	name=$(basename "$c" .c)
	package=libdivert-socket
	grep -q '<divert.h>' "$c" && package=libdivert
	flags=$(pkg-config --cflags --libs $package)
	# shellcheck disable=SC2086 # flags
	works "$name: compiles without a warning" \
		cc -Wall -Wextra -Werror -pthread -o "$TMP/$name" "$c" $flags
	[ -x "$TMP/$name" ] || exit 1
done
make_router

# example NAME ARGUMENTS...: starts it in r; it is bound to its port, the first argument, when this
# returns
example() {
	start "$1" r "$TMP/$1" "${@:2}"
	wait_for 10 "$1 is bound" bound "$2"
}
bound() { nq r divertctl status | grep -q "^  $1 .* bound"; }

# listen FAMILY NS PORT: writes what comes there by UDP into $TMP/heard
listen() {
	local ns=$2
	: >"$TMP/heard.out"
	start heard "$ns" socat -u "UDP$1-RECV:$3" -
	wait_for 10 "UDP port $3 in $ns" has_port "$ns" "$3"
}
has_port() { nq "$1" ss -Hlnu "sport = :$2" | grep -q .; }
# say FAMILY ADDRESS LINE...: sends each line from a, as a datagram
say() {
	local line
	for line in "${@:3}"; do
		echo "$line" | a socat -u - "UDP$1-SENDTO:$2:5000,shut-none"
	done
}
# hears WHAT LINE...: checks that exactly these lines came
hears() {
	wait_for 5 "$1" grep -qxF "${*: -1}" "$TMP/heard.out"
	is "$1" "$(cat "$TMP/heard.out")" "$(printf '%s\n' "${@:2}")"
}

# ---- reflect, filter, rewrite ----

r ipfw -q add 100 divert 2000 ip from any to any
example reflect 2000
works "reflect: v4" ping_ a 10.2.0.1 3
works "reflect: v6" ping_ a fd02::1 3
stop reflect 2>/dev/null
fails "reflect: it was needed" ping_ a 10.2.0.1
is "reflect: in and out, both ways" "$(($(stat_of r 2000 diverted) >= 24))" 1
r ipfw -q flush

for family in 4 6; do
	[ $family = 4 ] && to=10.2.0.1 word="[10.2.0.1]" || to=fd02::1 word="[fd02::1]"
	for dir in in out; do
		r ipfw -q add 100 divert 2000 udp from any to $to 5000 $dir
		listen $family b 5000
		example filter 2000 ads
		say $family "$word" hello "buy our ads now" "good bye"
		hears "filter: v$family $dir" hello "good bye"
		stop filter 2>/dev/null
		stop heard 2>/dev/null

		listen $family b 5000
		example rewrite 2000 secret "[withheld, as it should be]"
		say $family "$word" "my secret is" "none" "secret"
		hears "rewrite: v$family $dir, longer" "my [withheld, as it should be] is" none \
			"[withheld, as it should be]"
		stop rewrite 2>/dev/null
		example rewrite 2000 longer ""
		: >"$TMP/heard.out"
		say $family "$word" "a longer word" "odd longer"
		wait_for 5 "rewrite" grep -q odd "$TMP/heard.out"
		is "rewrite: v$family $dir, shorter" "$(tr -d '\0' <"$TMP/heard.out")" "a  word
odd "
		stop rewrite 2>/dev/null
		stop heard 2>/dev/null
		r ipfw -q flush
	done
done

# ---- delay ----

r ipfw -q add 100 divert 2000 icmp from any to 10.2.0.1 out icmptypes 8
example delay 2000 150
n a ping -n -i 0.02 -W 3 -c 8 10.2.0.1 >"$TMP/ping"
stop delay 2>/dev/null
is "delay: all come" "$(grep -c 'bytes from' "$TMP/ping")" 8
is "delay: in their order" "$(sed -n 's/.*icmp_seq=\([0-9]*\).*/\1/p' "$TMP/ping" | paste -sd' ')" \
	"1 2 3 4 5 6 7 8"
# "rtt min/avg/max/mdev = ..."
is "delay: by so much" "$(awk -F'[ =/]+' '/^rtt/ { print ($6 >= 149) }' "$TMP/ping")" 1
r ipfw -q flush

# ---- sniff ----

r ipfw -q add 100 tee 2000 icmp from any to any
r ipfw -q add 200 tee 2000 ipv6-icmp from any to any icmp6types 128
example sniff 2000
works "sniff: v4, packets go on by themselves" ping_ a 10.2.0.1
works "sniff: v6" ping_ a fd02::1
wait_for 5 "the last packet" grep -q "^out .* fd02::1" "$TMP/sniff.out"
is "sniff: what it saw" "$(cat "$TMP/sniff.out")" "in r0 rule 100: 10.1.0.1 > 10.2.0.1 protocol 1, 84 bytes
out r0 rule 100: 10.1.0.1 > 10.2.0.1 protocol 1, 84 bytes
in r1 rule 100: 10.2.0.1 > 10.1.0.1 protocol 1, 84 bytes
out r1 rule 100: 10.2.0.1 > 10.1.0.1 protocol 1, 84 bytes
in r0 rule 200: fd01::1 > fd02::1 protocol 58, 104 bytes
out r0 rule 200: fd01::1 > fd02::1 protocol 58, 104 bytes"
stop sniff 2>/dev/null
r ipfw -q flush

# ---- inject ----

# shellcheck disable=SC2016 # socat's shell expands it
start heard b socat -u UDP4-RECVFROM:5000,fork 'SYSTEM:echo "$(cat) from $SOCAT_PEERADDR"'
wait_for 10 "UDP port 5000 in b" has_port b 5000
works "inject: outbound" r "$TMP/inject" 10.9.9.9 10.2.0.1 5000 outbound
wait_for 5 "outbound" grep -q outbound "$TMP/heard.out"
works "inject: inbound, to be forwarded" r "$TMP/inject" 10.1.0.77 10.2.0.1 5000 forwarded r0
wait_for 5 "forwarded" grep -q forwarded "$TMP/heard.out"
is "inject: what b heard" "$(cat "$TMP/heard.out")" "outbound from 10.9.9.9
forwarded from 10.1.0.77"
stop heard 2>/dev/null
listen 4 r 5000
works "inject: inbound, for the host itself" r "$TMP/inject" 10.1.0.77 10.1.0.2 5000 "to me" r0
wait_for 5 "to me" grep -q "to me" "$TMP/heard.out" && ok "inject: the host hears it"
stop heard 2>/dev/null
fails "inject: no such interface" r "$TMP/inject" 10.1.0.77 10.1.0.2 5000 x nosuch0 2>"$TMP/err"
like "inject: no such interface: says" "$(tail -1 "$TMP/err")" "sendto: Cannot assign requested address"
fails "inject: no such address" r "$TMP/inject" 10.1.0.300 10.1.0.2 5000 x 2>/dev/null

# ---- workers ----

r ipfw -q add 100 divert 2000 udp from any to 10.2.0.1 5000 in
example workers 2000 4
wait_for 10 "all four" sh -c "$PROGS/within '$NS-r' divertctl status | grep -q '^  2000 .*4 sockets are bound'"
like "workers: divertctl stat" "$(nq r divertctl stat 2000 | head -1)" "^port 2000 \(4 sockets\):$"
start heard b socat -u UDP4-RECV:5000 -
wait_for 10 "UDP port 5000 in b" has_port b 5000
a python3 -c '
import socket, time
flows = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for i in range(32)]
for i, s in enumerate(flows):
    s.bind(("10.1.0.1", 7000 + i))
for i in range(5):
    for s in flows:
        s.sendto(b"x\n", ("10.2.0.1", 5000))
    time.sleep(0.01)
'
wait_for 5 "workers: 160 packets" sh -c "[ \$(wc -l <'$TMP/heard.out') = 160 ]" && ok "workers: all packets go on"
stop workers
is "workers: four" "$(grep -c '^worker [0-3]: [0-9]* packets$' "$TMP/workers.out")" 4
is "workers: each packet was with one" "$(awk '{ n += $3 } END { print n }' "$TMP/workers.out")" 160
is "workers: all packets of a flow with the same" "$(awk '$3 % 5 { n++ } END { print n + 0 }' "$TMP/workers.out")" 0
is "workers: more than one has had some" "$(($(awk '$3 { n++ } END { print n + 0 }' "$TMP/workers.out") > 1))" 1

# ---- borrow ----

r ipfw -q flush
r ipfw -q add 100 divert 2000 icmp from any to any
r ipfw -q add 200 divert 2000 ipv6-icmp from any to any icmp6types 128,129
example borrow 2000 500
works "borrow: short ones go on, v4" ping_ a 10.2.0.1 5
works "borrow: v6" ping_ a fd02::1 5
n a ping -q -n -f -c 2000 -W 2 10.2.0.1 >"$TMP/ping"
like "borrow: many" "$(cat "$TMP/ping")" " 2000 received"
fails "borrow: long ones do not" n a ping -q -n -c 2 -i 0.05 -W 1 -s 600 10.2.0.1 >/dev/null
works "borrow: and then short ones do" ping_ a 10.2.0.1 5
stop borrow 2>/dev/null

# ---- flows ----

r ipfw -q -f flush
r ipfw -q add 100 divert 2000 ip from any to any in
example flows 2000
works "flows: v4" ping_ a 10.2.0.1 5
works "flows: v6" ping_ a fd02::1 5
is "flows: a line for each" "$(grep -c "> 10.2.0.1 protocol 1$\|> fd02::1 protocol 58$" "$TMP/flows.out")" 2
is "flows: the program had one packet of each" "$(q divertctl flows | grep -c "passes  *9 .*icmp")" 2
stop flows 2>/dev/null
r ipfw -q -f flush

# ---- events ----

r ipfw -q flush
r ipfw -q add 100 divert 2000 ip4 from any to 10.2.0.1 in
r ipfw -q add 110 divert 2006 ip6 from any to fd02::1 in
mkfifo "$TMP/asks"
exec 9<>"$TMP/asks"
start events r bash -c "exec '$TMP/events' 2000 2006 <'$TMP/asks'"
wait_for 10 "events is bound" bound 2006
works "events: v4" ping_ a 10.2.0.1 3
works "events: v6" ping_ a fd02::1 3
before=$(stat_of r 2000 diverted)
kept() { [ "$(stat_of r 2000 diverted)" -gt "$before" ]; }
a python3 "$HERE/trial.py" send a0 "$(ip -n "$NS-r" -br link show r0 | awk '{print $3}')" 10.1.0.1 10.2.0.1 5000 1 0
wait_for 5 "events: a lone fragment" kept
works "events: v6 goes on while a fragment waits" ping_ a fd02::1 3
echo >&9
wait_for 5 "events: it answers" grep -q packets "$TMP/events.out"
is "events: what has passed" "$(cat "$TMP/events.out")" "9 packets"
stop events 2>/dev/null
exec 9>&-

# ---- the programs that README.md and the manual pages show ----

r ipfw -q flush
# shown WHAT PORT PACKAGE FILE REGEX: tests the program whose source is on stdin. REGEX matches what
# it prints if the port is in use.
shown() {
	local what=$1 name=$4
	cat >"$TMP/$name.c"
	# shellcheck disable=SC2046 # flags
	works "$what: compiles without a warning" \
		cc -Wall -Wextra -Werror -o "$TMP/$name" "$TMP/$name.c" $(pkg-config --cflags --libs "$3")
	q setpriv --reuid 65534 --regid 65534 --clear-groups timeout 10 "$TMP/$name" 2>"$TMP/err"
	is "$what: not root: status" $? 1
	like "$what: not root" "$(cat "$TMP/err")" "^$name: .*Operation not permitted"
	r ipfw -q add 100 divert "$2" icmp from any to any
	start "$name" r "$TMP/$name"
	wait_for 10 "$what is bound" bound "$2"
	works "$what: ping works" ping_ a 10.2.0.1 3
	q timeout 10 "$TMP/$name" 2>"$TMP/err"
	is "$what: the port is in use: status" $? 1
	like "$what: the port is in use" "$(cat "$TMP/err")" "^$name: .*$2.*$5"
	works "$what: and goes on" ping_ a 10.2.0.1
	stop "$name" 2>/dev/null
	r ipfw -q flush
}
# displayed PAGE TEXT: prints the display that follows the text
displayed() {
	awk -v text="$2" '$0 == text { near = 1 } /^\.Ed/ { on = near = 0 } on { print } near && /^\.Bd/ { on = 1 }' \
		"$TOP/man/$1"
}
chmod 755 "$TMP"
shown "README's program" 2000 libdivert-socket readme "Address already in use" < <(
	awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' "$TOP/README.md")
shown "libdivert(3)'s program" 8668 libdivert libdivert3 "libdivert3 \([0-9]+\) is bound to it" < <(
	displayed libdivert.3 "Write every packet back:")
shown "divert(4)'s program" 8668 libdivert-socket divert4 "Address already in use" < <(
	printf '#include <%s>\n' err.h netinet/in.h sys/socket.h
	echo 'int main(void) {'
	displayed divert.4 "A reflector, for"
	echo '}')

for name in events flows borrow reflect filter rewrite delay sniff inject workers; do
	fails "$name: without arguments" "$TMP/$name" 2>"$TMP/err"
	like "$name: says how" "$(cat "$TMP/err")" "usage: $name "
done
