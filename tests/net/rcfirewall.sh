#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A stateful packet filter as BSD's users write it: examples/rc.firewall, loaded with sh, on r.
#
#	a0 10.1.0.1  ------ r0 10.1.0.2  r1 10.2.0.2 ------ b0 10.2.0.1
#	   fd01::1             fd01::2      fd02::2            fd02::1
#
# a is the network behind r; b is the world, which has no route to a's IPv4 address. A natd on port
# 8668 sees the packets that pass r1. TCP, UDP and ping work if the rules allow them, and only then.
# Some words in such files exist on FreeBSD but not in ipdivert: they are refused by name, as ipfw(8)
# promises.
. "$(dirname "$0")/lib.sh"
make_router
b ip route del default
export oif=r1 iif=r0 inet=10.1.0.0/24 inet6=fd01::/64

load() { q sh "$TOP/examples/rc.firewall" >"$TMP/load" 2>&1; }
natd() {
	start natd r divert-run python3 "$HERE/natd.py" 8668 10.2.0.2
	wait_for 10 "natd" grep -q bound "$TMP/natd.out"
}

works "rc.firewall loads" load
is "rc.firewall: nothing is said" "$(cat "$TMP/load")" ""
is "rc.firewall: as many rules as there are" "$(q ipfw list | wc -l)" \
	$(($(grep -c '^.{fwcmd} add' "$TOP/examples/rc.firewall") + 1))
list=$(q ipfw list)
works "rc.firewall loads again" load
is "rc.firewall: the rules are the same" "$(q ipfw list)" "$list"
q ipfw list | sed 's/^/add /' >"$TMP/again"
r ipfw -q flush
works "what ipfw lists loads" r ipfw -q "$TMP/again"
is "what ipfw lists: the rules are the same" "$(q ipfw list)" "$list"
works "rc.firewall loads" load

# ---- servers: each tells who asked ----

for ns in a r b; do
	for port in 22 80 8080; do
		serve "tcp$ns$port" $ns $port
	done
	start "udp$ns" $ns python3 "$HERE/who.py" 53 5353
done
udp_open() { [ "$(nq "$1" ss -Hlnu '( sport = :53 or sport = :5353 )' | wc -l)" = 2 ]; }
for ns in a r b; do wait_for 5 "UDP ports in $ns" udp_open $ns; done

tcp() { nq "$1" curl -s -g -m "${4:-5}" "http://$2:$3/who"; } # NS HOST PORT [SECONDS]
udp() { nq "$1" python3 "$HERE/who.py" -a "${2//[\[\]]/}" "$3" "${4:-5}"; }
icmp() { nq "$1" ping -n -c 1 -W "${4:-2}" "${2//[\[\]]/}" | sed -n 's/.*bytes from \([^ ]*\): .*/\1/p'; }

# refused WHAT RULE PROTO NS HOST PORT: there is no answer, and the rule has counted the packet
refused() {
	local had
	had=$(packets r "$2")
	is "$1: no answer" "$("$3" "$4" "$5" "$6" 0.3)" ""
	works "$1: by rule $2" test "$(packets r "$2")" -gt "$had"
}

# ---- without the natd no IPv4 packet passes, and all are counted ----

lost=$(stat_of r 8668 no-listener)
refused "v4: no natd" 5000 udp a 10.2.0.1 53
works "v4: no natd: counted" test "$(stat_of r 8668 no-listener)" -gt "${lost:-0}"
is "v6: no natd: name service works" "$(udp a "[fd02::1]" 53)" fd01::1

natd

# ---- from behind ----

is "v4: web: as the host" "$(tcp a 10.2.0.1 80)" 10.2.0.2
is "v6: web: as itself" "$(tcp a "[fd02::1]" 80)" fd01::1
is "v4: a megabyte" "$(nq a curl -s -m 10 http://10.2.0.1:80/1000000 | wc -c)" 1000000
is "v6: a megabyte" "$(nq a curl -s -g -m 10 "http://[fd02::1]:80/1000000" | wc -c)" 1000000
is "v4: name service: as the host" "$(udp a 10.2.0.1 53)" 10.2.0.2
is "v6: name service: as itself" "$(udp a "[fd02::1]" 53)" fd01::1
is "v4: ping" "$(icmp a 10.2.0.1)" 10.2.0.1
is "v6: ping" "$(icmp a fd02::1)" fd02::1
for host in 10.2.0.1 "[fd02::1]"; do
	refused "$host: another TCP service" 1900 tcp a "$host" 8080
	refused "$host: another UDP service" 1900 udp a "$host" 5353
done
is "v4: the host itself, behind" "$(tcp a 10.1.0.2 8080)" 10.1.0.1
is "v6: the host itself, behind" "$(tcp a "[fd01::2]" 8080)" fd01::1

# ---- the states ----

hold() { # NAME NS HOST PORT: a connection, until stop NAME
	start "$1" "$2" python3 "$HERE/connect.py" "$3" "$4"
	wait_for 5 "connection $1" grep -q connected "$TMP/$1.out"
}
# without counters
states() {
	q ipfw -D show | grep -E "\) (STATE|LIMIT|PARENT)" | sed -E 's/^([0-9]+) +[0-9]+ +[0-9]+ /\1 /'
}
state_is() { # PATTERN
	states | grep -Eq "$1"
}
hold web4 a 10.2.0.1 80
hold web6 a fd02::1 80
works "v4: web, its state: the address behind" state_is \
	"^01000 \([0-9]+s\) STATE tcp 10\.1\.0\.1 [0-9]+ <-> 10\.2\.0\.1 80 :default$"
works "v6: web, its state" state_is \
	"^01000 \([0-9]+s\) STATE tcp fd01::1 [0-9]+ <-> fd02::1 80 :default$"
stop web4
stop web6
web_left() { ! state_is " STATE tcp .* 80 :default$"; }
wait_for 10 "web, closed: no state" web_left
works "v4: name service, once more" test "$(udp a 10.2.0.1 53)" = 10.2.0.2
works "v4: name service, its state" state_is \
	"^01020 \([0-9]+s\) STATE udp 10\.1\.0\.1 [0-9]+ <-> 10\.2\.0\.1 53 :default$"
works "v6: ping, once more" test "$(icmp a fd02::1)" = fd02::1
works "v6: ping, its state" state_is \
	"^01040 \([0-9]+s\) STATE ipv6-icmp fd01::1 0 <-> fd02::1 0 :default$"
fails "what was refused has no state" state_is " (8080|5353) :default$"
like "ipfw -d show: packets and bytes" "$(q ipfw -d show | grep "STATE udp 10\.1\.0\.1")" \
	"^01020 +[1-9][0-9]* +[1-9][0-9]* \([0-9]+s\) STATE udp "

# ---- from the host ----

is "v4: web, from the host" "$(tcp r 10.2.0.1 80)" 10.2.0.2
is "v6: web, from the host" "$(tcp r "[fd02::1]" 80)" fd02::2
is "v4: name service, from the host" "$(udp r 10.2.0.1 53)" 10.2.0.2
is "v4: ping, from the host" "$(icmp r 10.2.0.1)" 10.2.0.1
is "v6: ping, from the host" "$(icmp r fd02::1)" fd02::1
is "to itself" "$(tcp r 127.0.0.1 8080) $(tcp r "[::1]" 8080)" "127.0.0.1 ::1"
refused "v4: another TCP service, from the host" 1900 tcp r 10.2.0.1 8080

# ---- from outside ----

# A ping's state lets the other side ping as long as it lives, as on FreeBSD.
pings_left() { ! state_is "STATE (ipv6-)?icmp (10\.2\.0\.2|fd02::2) "; }
wait_for 20 "the host's pings: no state" pings_left
is "v4: a service of the host" "$(tcp b 10.2.0.2 22)" 10.2.0.1
is "v6: a service of the host" "$(tcp b "[fd02::2]" 22)" fd02::1
for host in 10.2.0.2 "[fd02::2]"; do
	refused "$host: another TCP service of the host" 2900 tcp b "$host" 80
	refused "$host: another UDP service of the host" 2900 udp b "$host" 5353
	refused "$host: ping" 2900 icmp b "$host" -
done
hold ssh b 10.2.0.2 22
works "v4: a service of the host: its state" state_is \
	"^02010 \([0-9]+s\) LIMIT tcp 10\.2\.0\.1 [0-9]+ <-> 10\.2\.0\.2 22 :default$"
works "v4: a service of the host: how many" state_is \
	"^02010 \([0-9]+s\) PARENT [1-9] tcp 10\.2\.0\.1 0 <-> 0\.0\.0\.0 0 :default$"
stop ssh
# an answer for which nobody has asked
had=$(packets r 2900)
works "UDP from port 123, unasked" nq b python3 -c '
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind(("10.2.0.1", 123))
    s.sendto(b"answer", ("10.2.0.2", 5353))
'
is "UDP from port 123, unasked: by rule 2900" "$(packets r 2900)" $((had + 1))
refused "v6: a service behind" 2900 tcp b "[fd01::1]" 22
b ip route add 10.1.0.0/24 via 10.2.0.2
refused "v4: a service behind, by its own address" 2900 tcp b 10.1.0.1 22

# ---- spoofed, blocked, nowhere ----

b ip addr add 10.1.0.77/32 dev lo
b ip -6 addr add fd01::77/128 dev lo nodad
b ip addr add 192.0.2.1/32 dev lo
a ip addr add 10.9.0.1/32 dev lo
from() { nq "$1" ping -q -c 1 -W 0.2 -I "$2" "$3" >/dev/null; } # NS SOURCE DESTINATION
dropped() { # WHAT RULE COMMAND...
	local had
	had=$(packets r "$2")
	fails "$1: no answer" "${@:3}"
	is "$1: by rule $2" "$(packets r "$2")" $((had + 1))
}
dropped "v4: from outside, with an address from behind" 200 from b 10.1.0.77 10.2.0.2
dropped "v6: from outside, with an address from behind" 200 from b fd01::77 fd02::2
dropped "from outside, with an address that is nowhere" 320 from b 192.0.2.1 10.2.0.2
dropped "from behind, with another's address" 210 from a 10.9.0.1 10.1.0.2
a ip route add 192.0.2.0/24 via 10.1.0.2
r ip route add 192.0.2.0/24 via 10.2.0.1
dropped "to an address that is nowhere" 330 from a 10.1.0.1 192.0.2.1

r ipfw -q table blocked add 10.2.0.0/24 0 fd02::1 0
refused "v4: blocked" 310 tcp a 10.2.0.1 80
refused "v6: blocked" 310 tcp a "[fd02::1]" 80
refused "v4: blocked, from outside" 300 tcp b 10.2.0.2 22
refused "v6: blocked, from outside" 300 tcp b "[fd02::2]" 22
works "rc.firewall loads again" load
refused "v4: still blocked" 310 tcp a 10.2.0.1 80
r ipfw -q table blocked flush
is "v4: blocked no more" "$(tcp a 10.2.0.1 80)" 10.2.0.2
is "v6: blocked no more" "$(tcp a "[fd02::1]" 80)" fd01::1

like "the log says what was refused" "$(q ipfw log)" \
	"ipfw: 1900 Deny TCP 10\.1\.0\.1:[0-9]+ 10\.2\.0\.1:8080 out via r1"
stop natd
like "the natd has seen both directions" "$(tail -1 "$TMP/natd.out")" '^out [0-9]{3,} in [0-9]{3,} other [0-9]+$'

# ---- things that only FreeBSD has ----

says() { # WORDS: EXPECTED after "ipfw: "
	local words=${1%%: *}
	# shellcheck disable=SC2086
	is "refused by name: $words" "$(q ipfw -q $words 2>&1) ($?)" "ipfw: ${1#*: } (65)"
}
list=$(q ipfw list)
says "nat 1 config if r1 unreg_only reset: nat: ipdivert does not have it: use nftables' nat, or divert to a natd"
says "add nat 1 ip from any to any via r1: nat: ipdivert does not have it: use nftables' nat, or divert to a natd"
says "pipe 1 config bw 1Mbit/s: pipe: ipdivert does not have it: use tc(8) to shape traffic"
says "add pipe 1 ip from any to any out: pipe: ipdivert does not have it: use tc(8) to shape traffic"
says "queue 1 config pipe 1 weight 5: queue: ipdivert does not have it: use tc(8) to shape traffic"
says "add fwd 127.0.0.1,3128 tcp from any to any 80: 127.0.0.1,3128: an address of this host is no next hop: for a port on this host use nftables' tproxy"
says "add allow ip from any to any layer2: layer2: ipdivert does not have it: rules meet packets at the IP layer only: leave out 'not layer2', which always holds, and rules for layer2, or use nftables' families bridge and netdev for them"
is "refused: nothing has changed" "$(q ipfw list)" "$list"
# If a script goes on after an error, the rules that were understood are there. A file with an error
# leaves none.
tagged="tagged: ipdivert does not have it: use nftables' meta mark set, and fwmark here"
sed 's/^\(.*add 10[0-9]0 .*\)/\1 tagged 1/' "$TOP/examples/rc.firewall" >"$TMP/tagged"
q sh "$TMP/tagged" >"$TMP/load" 2>&1
is "a script with tagged: said for each rule" "$(sort "$TMP/load" | uniq -c | sed 's/^ *//')" \
	"6 ipfw: $tagged"
is "a script with tagged: the others are there" "$(q ipfw list | wc -l)" $(($(wc -l <<<"$list") - 6))
printf '%s\n' flush "add 100 allow ip from any to any via lo" "add 200 allow tagged 1" >"$TMP/file"
is "a file with tagged: which line" "$(q ipfw "$TMP/file" 2>&1)" "ipfw: $TMP/file:3: $tagged"
is "a file with tagged: nothing is done" "$(q ipfw list | wc -l)" $(($(wc -l <<<"$list") - 6))
is "an interface of FreeBSD's: a warning" "$(q ipfw add 100 allow ip from any to any via fxp0 2>&1)" \
	"ipfw: fxp0: no such interface; 'ip link' lists them
00100 allow ip from any to any via fxp0"
