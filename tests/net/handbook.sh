#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Stateful rule sets in the manner of the FreeBSD Handbook (Firewalls, IPFW), on the gateway r: one
# with a natd on port 8668, between whose two divert rules the states are, and one without.
#
#	a0 10.1.0.1 ------ r0 10.1.0.2  r1 198.51.100.2 ------ b0 198.51.100.1, .3, 192.168.9.9
#	   behind                                                 the world
#
# Connections from behind work. Those from outside are refused, but for one service of r, which each
# address may have two connections to.
. "$(dirname "$0")/lib.sh"

make_ns a
make_ns r
make_ns b
link a a0 10.1.0.1/24 -- r r0 10.1.0.2/24
link r r1 198.51.100.2/24 -- b b0 198.51.100.1/24 198.51.100.3/24 192.168.9.9/32
a ip route add default via 10.1.0.2
r ip route add 192.168.9.9 via 198.51.100.1
r sysctl -qw net.ipv4.ip_forward=1

cat >"$TMP/nat" <<'END'
ipfw -q -f flush
cmd="ipfw -q add"
skip="skipto 1000"
ks="keep-state"
pif=r1
services="22,53,80"

$cmd 005 allow all from any to any via r0
$cmd 010 allow all from any to any via lo0
$cmd 100 divert natd ip from any to any in via $pif
$cmd 101 check-state
$cmd 120 $skip udp from any to 198.51.100.1 53 out via $pif $ks
$cmd 125 $skip tcp from any to any $services out via $pif setup $ks
$cmd 130 $skip icmp from any to any out via $pif $ks
$cmd 300 deny all from 192.168.0.0/16,10.0.0.0/8 to any in via $pif
$cmd 310 deny icmp from any to any in via $pif
$cmd 330 deny all from any to any frag in via $pif
$cmd 332 deny tcp from any to any established in via $pif
$cmd 410 allow tcp from any to me 22 in via $pif setup limit src-addr 2
$cmd 499 deny log all from any to any
$cmd 1000 divert natd ip from any to any out via $pif
$cmd 1010 allow ip from any to any
END
cat >"$TMP/plain" <<'END'
ipfw -q -f flush
cmd="ipfw -q add"
pif=r1

$cmd 00005 allow all from any to any via r0
$cmd 00010 allow all from any to any via lo0
$cmd 00101 check-state
$cmd 00111 allow udp from any to 198.51.100.1 53 out via $pif keep-state
$cmd 00200 allow tcp from any to any 80 out via $pif setup keep-state
$cmd 00250 allow icmp from any to any out via $pif keep-state
$cmd 00280 allow tcp from any to any 22 out via $pif setup keep-state
$cmd 00299 deny log all from any to any out via $pif
$cmd 00300 deny all from 192.168.0.0/16 to any in via $pif
$cmd 00310 deny icmp from any to any in via $pif
$cmd 00330 deny all from any to any frag in via $pif
$cmd 00332 deny tcp from any to any established in via $pif
$cmd 00410 allow tcp from any to me 22 in via $pif setup limit src-addr 2
$cmd 00499 deny log all from any to any in via $pif
$cmd 00999 deny log all from any to any
END

for ns in a r b; do
	for port in 22 80 8080; do
		serve "tcp$ns$port" $ns $port
	done
	start "udp$ns" $ns python3 "$HERE/who.py" 53 5353
done
udp_open() { [ "$(nq "$1" ss -Hlnu '( sport = :53 or sport = :5353 )' | wc -l)" = 2 ]; }
for ns in a r b; do wait_for 5 "UDP ports in $ns" udp_open $ns; done

tcp() { nq "$1" curl -s -m "${4:-5}" "http://$2:$3/who"; } # NS HOST PORT [SECONDS]
udp() { nq "$1" python3 "$HERE/who.py" -a "$2" "$3" "${4:-5}"; }
icmp() { nq "$1" ping -n -c 1 -W "${4:-2}" "$2" | sed -n 's/.*bytes from \([^ ]*\): .*/\1/p'; }

# refused WHAT RULE PROTO NS HOST PORT: there is no answer, and the rule has counted the packet
refused() {
	local had
	had=$(packets r "$2")
	is "$1: no answer" "$("$3" "$4" "$5" "$6" 0.3)" ""
	works "$1: by rule $2" test "$(packets r "$2")" -gt "$had"
}

# hold NAME NS HOST PORT [SOURCE]: a connection, until let_go NAME
hold() {
	start "$1" "$2" python3 "$HERE/connect.py" "${@:3}"
	wait_for 5 "connection $1" grep -q connected "$TMP/$1.out"
}
let_go() { stop "$1" || :; }
state_is() { q ipfw -d show | grep -Eq "\) $1"; } # PATTERN
no_state() { ! state_is "$1"; }

# from_behind WHAT SOURCE REFUSES: SOURCE is a's address outside; the rule REFUSES other services
from_behind() {
	is "$1: ping" "$(icmp a 198.51.100.1)" 198.51.100.1
	works "$1: ping, its state" state_is "STATE icmp 10\.1\.0\.1 0 <-> 198\.51\.100\.1 0 :default"
	is "$1: UDP" "$(udp a 198.51.100.1 53)" "$2"
	works "$1: UDP, its state" state_is "STATE udp 10\.1\.0\.1 [0-9]+ <-> 198\.51\.100\.1 53 :default"
	is "$1: TCP" "$(tcp a 198.51.100.1 80)" "$2"
	is "$1: a megabyte" "$(nq a curl -s -m 10 http://198.51.100.1:80/1000000 | wc -c)" 1000000
	hold web a 198.51.100.1 80
	works "$1: TCP, its state" state_is "STATE tcp 10\.1\.0\.1 [0-9]+ <-> 198\.51\.100\.1 80 :default"
	let_go web
	wait_for 10 "$1: TCP, closed: no state" no_state "STATE tcp .* 80 "
	is "$1: from the host" "$(tcp r 198.51.100.1 80) $(udp r 198.51.100.1 53)" \
		"198.51.100.2 198.51.100.2"
	refused "$1: another TCP service" "$3" tcp a 198.51.100.1 8080
	refused "$1: another UDP service" "$3" udp a 198.51.100.1 5353
	works "$1: what was refused has no state" no_state ".* (8080|5353) "
}

# from_outside WHAT REFUSES
from_outside() {
	refused "$1: TCP to the host" "$2" tcp b 198.51.100.2 80
	refused "$1: UDP to the host" "$2" udp b 198.51.100.2 53
	# The state of a ping is for both directions, as on FreeBSD.
	wait_for 20 "$1: no state of a ping" no_state "STATE icmp"
	refused "$1: ping" 310 icmp b 198.51.100.2 -
	b ip route add 10.1.0.0/24 via 198.51.100.2
	refused "$1: TCP to the network behind" "$2" tcp b 10.1.0.1 80
	refused "$1: ping to the network behind" 310 icmp b 10.1.0.1 -
	b ip route del 10.1.0.0/24
	had=$(packets r 300)
	fails "$1: a private address: no answer" nq b ping -q -c 1 -W 0.2 -I 192.168.9.9 198.51.100.2
	is "$1: a private address: by rule 300" "$(packets r 300)" $((had + 1))
}

over_limit() { q divertctl stat -a | awk '$2 == "states-limit" { n += $1 } END { print n }'; }
# limited WHAT: two connections for each address
limited() {
	local dropped
	dropped=$(over_limit)
	hold one b 198.51.100.2 22
	hold two b 198.51.100.2 22
	works "$1: limit: the states" state_is \
		"LIMIT tcp 198\.51\.100\.1 [0-9]+ <-> 198\.51\.100\.2 22 :default"
	works "$1: limit: how many" state_is "PARENT 2 tcp 198\.51\.100\.1 0 <-> 0\.0\.0\.0 0 :default"
	is "$1: limit: no third" "$(tcp b 198.51.100.2 22 0.5)" ""
	works "$1: limit: counted" test "$(over_limit)" -gt "$dropped"
	hold other b 198.51.100.2 22 198.51.100.3
	works "$1: limit: another address has its own" state_is "PARENT 1 tcp 198\.51\.100\.3 0 "
	# -D: the states go, and the rule stays
	is "$1: -D delete: nothing is said" "$(q ipfw -D delete 410 2>&1)" ""
	works "$1: -D delete: no state" no_state "LIMIT .* 22 "
	is "$1: -D delete: the rule is there" "$(q ipfw list 410 | grep -c "limit src-addr 2")" 1
	hold three b 198.51.100.2 22
	let_go three
	let_go one
	wait_for 10 "$1: limit: one is closed, and the next may come" again
	let_go two
	let_go other
}
again() { [ "$(tcp b 198.51.100.2 22 0.5)" = 198.51.100.1 ]; }

# ---- with a natd ----

is "natd: the rules load" "$(q sh "$TMP/nat" 2>&1)" ""
is "natd: rules with states" "$(q ipfw list | grep ":default" | cut -d' ' -f1,2 | tr '\n' ' ')" \
	"00101 check-state 00120 skipto 00125 skipto 00130 skipto 00410 allow "
start natd r divert-run python3 "$HERE/natd.py" 8668 198.51.100.2
wait_for 10 "natd" grep -q bound "$TMP/natd.out"
from_behind natd 198.51.100.2 499
from_outside natd 499
limited natd
stop natd
like "the natd has seen both directions" "$(tail -1 "$TMP/natd.out")" \
	'^out [0-9]{3,} in [0-9]{3,} other [0-9]+$'

# ---- without ----

b ip route add 10.1.0.1 via 198.51.100.2
is "plain: the rules load" "$(q sh "$TMP/plain" 2>&1)" ""
is "plain: the states of the rules before are gone" "$(q ipfw -D list)" ""
from_behind plain 10.1.0.1 299
from_outside plain 499
limited plain
like "the log says what was refused" "$(q ipfw log)" \
	"ipfw: 299 Deny TCP 10\.1\.0\.1:[0-9]+ 198\.51\.100\.1:8080 out via r1"
