#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# BSD's rule sets run unchanged on r, the router in the middle:
# - the types open and closed of FreeBSD's rc.firewall, whose lo0 is lo, and its natd;
# - rules with the number first, sockarg, localhost;
# - services and protocols that the files of this host lack;
# - commands about things that do not exist, and rules that no packet can match;
# - the target of a skipto backwards; ECN.
. "$(dirname "$0")/lib.sh"
make_router

# rc TYPE [FLAG]: runs the commands of rc.firewall for the type, one by one
rc() {
	local last
	case $1 in
	open) last="pass all from any to any" ;;
	closed) last="deny ip from any to any" ;;
	esac
	while read -r line; do
		# shellcheck disable=SC2086 # words
		q ipfw ${2:--q} $line || not_ok "$1: $line"
	done <<-END
		-f flush
		add 100 pass all from any to any via lo0
		add 200 deny all from any to 127.0.0.0/8
		add 300 deny ip from 127.0.0.0/8 to any
		add 400 deny all from any to ::1
		add 500 deny all from ::1 to any
		add pass ipv6-icmp from :: to ff02::/16
		add pass ipv6-icmp from fe80::/10 to fe80::/10
		add pass ipv6-icmp from fe80::/10 to ff02::/16
		add pass ipv6-icmp from any to any icmp6types 1
		add pass ipv6-icmp from any to any icmp6types 2,135,136
		add 65000 $last
	END
}

for ns in r b; do serve "tcp$ns" $ns 8080; done
start udp r python3 "$HERE/who.py" 5353
listening() { [ "$(nq r ss -Hlnu '( sport = :5353 )' | wc -l)" = 1 ]; }
wait_for 5 "the UDP port" listening
tcp() { nq "$1" curl -s -g -m "${3:-5}" "http://$2:8080/who"; } # NS HOST [SECONDS]
udp() { nq "$1" python3 "$HERE/who.py" -a "${2//[\[\]]/}" 5353 "${3:-5}"; }
ping1() { nq "$1" ping -n -q -c 1 -W "${3:-2}" "${2//[\[\]]/}" >/dev/null; }

# ---- rc.firewall: open and closed ----

host_itself() { # TYPE
	for host in 127.0.0.1 "[::1]"; do
		works "$1: $host: ping" ping1 r "$host"
		like "$1: $host: TCP" "$(tcp r "$host")" "^(127\.0\.0\.1|::1)$"
		like "$1: $host: UDP" "$(udp r "$host")" "^(127\.0\.0\.1|::1)$"
	done
	is "$1: its own other addresses" "$(tcp r 10.1.0.2) $(tcp r "[fd01::2]")" "10.1.0.2 fd01::2"
	works "$1: lo0 has counted it" test "$(packets r 100)" -gt 20
}
is "open: nothing is said" "$(rc open 2>&1)" ""
host_itself open
is "open: to the host" "$(tcp a 10.1.0.2) $(tcp a "[fd01::2]")" "10.1.0.1 fd01::1"
is "open: through the host" "$(tcp a 10.2.0.1) $(tcp a "[fd02::1]")" "10.1.0.1 fd01::1"
is "open: from the host" "$(tcp r 10.2.0.1) $(tcp r "[fd02::1]")" "10.2.0.2 fd02::2"
a ip route add 127.9.0.0/16 via 10.1.0.2
a sysctl -qw net.ipv4.conf.a0.route_localnet=1
fails "open: 127/8 from outside: no answer" ping1 a 127.9.0.1 0.2
is "open: 127/8 from outside: by rule 200" "$(packets r 200)" 1
# natd_enable and natd_interface make this rule, before all others
is "open, natd: nothing is said" "$(rc open 2>&1; q ipfw -q add 50 divert natd ip4 from any to any via r1 2>&1)" ""
start natd r divert-run python3 "$HERE/natd.py" 8668 10.2.0.2
wait_for 10 "natd" grep -q bound "$TMP/natd.out"
is "open, natd: through the host" "$(tcp a 10.2.0.1) $(tcp a "[fd02::1]")" "10.2.0.2 fd01::1"
is "open, natd: from the host, and to it" "$(tcp r 10.2.0.1) $(tcp a 10.1.0.2)" "10.2.0.2 10.1.0.1"
stop natd
is "closed: nothing is said" "$(rc closed 2>&1)" ""
host_itself closed
closed_to() { # WHAT NS HOST
	local had
	had=$(packets r 65000)
	is "closed: $1: TCP" "$(tcp "$2" "$3" 0.3)" ""
	fails "closed: $1: ping" ping1 "$2" "$3" 0.3
	works "closed: $1: by rule 65000" test "$(packets r 65000)" -gt "$had"
}
closed_to "to the host" a 10.1.0.2
closed_to "to the host, IPv6" a "[fd01::2]"
closed_to "through the host" a 10.2.0.1
closed_to "through the host, IPv6" a "[fd02::1]"
closed_to "from the host" r 10.2.0.1
closed_to "from the host, IPv6" r "[fd02::1]"
r ipfw -q delete 65000
is "closed, without a rule at its end: the default rule allows" "$(tcp a 10.2.0.1)" 10.1.0.1
is "lo0 is printed as it was given" "$(q ipfw list 100)" "00100 allow ip from any to any via lo0"

# ---- lines that once stopped a rule file ----

cat >"$TMP/bsd" <<'END'
-q flush
pipe flush
queue flush
sched flush
pipe 1 delete
queue show
nat 5 delete
disable one_pass
enable verbose
table 5 flush
-q table absent destroy
02 add divert 666 tcp from any to any
add 10 divert 989 tcp from any to any 80,443 out not diverted not sockarg xmit eth0
100 add count udp from any to any www
add 110 allow pfsync from any to any
add 120 allow carp from any to any
add 130 allow ip from any to any proto IP
add 140 allow ip from localhost to localhost
add 150 allow ip6 from localhost to any
add 160 allow ip6 from any to any ipttl 64
add 170 allow ip from any to any in out
add 180 deny icmp from any to any 80
add 190 count ip from any to any iptos ecntransport
120 delete
END
works "BSD's lines are loaded" r ipfw -q "$TMP/bsd"
is "BSD's lines: as they are listed" "$(q ipfw list)" "00002 divert 666 tcp from any to any
00010 divert 989 tcp from any to any dst-port 80,443 out not diverted not sockarg xmit eth0
00100 count udp from any to any dst-port 80
00110 allow pfsync from any to any
00130 allow ip from any to any
00140 allow ip from 127.0.0.1 to 127.0.0.1
00150 allow ip6 from ::1 to any
00160 allow ip6 from any to any ipttl 64
00170 allow ip from any to any in out
00180 deny icmp from any to any dst-port 80
00190 count ip from any to any iptos mincost
65535 allow ip from any to any"
is "one by one: pipe flush" "$(q ipfw pipe flush 2>&1) ($?)" " (0)"
is "one by one: the number first" "$(q ipfw 02 list)" "00002 divert 666 tcp from any to any"
is "one by one: table flush" "$(q ipfw table 5 flush 2>&1) ($?)" "ipfw: table 5: no such table (0)"
is "one by one: table flush, -q" "$(q ipfw -q table 5 flush 2>&1) ($?)" " (0)"
is "one by one: table destroy" "$(q ipfw table 5 destroy 2>&1) ($?)" "ipfw: table 5: no such table (0)"
is "and no table is there" "$(q ipfw table all list)" ""
is "one by one: disable one_pass" "$(q ipfw disable one_pass 2>&1) ($?)" " (0)"
like "pipes are still refused" "$(q ipfw pipe 1 config bw 1 2>&1)" "^ipfw: pipe: ipdivert does not have it"
like "nat flush, which there deletes rules, is refused" "$(q ipfw nat flush 2>&1)" "^ipfw: nat: ipdivert"
is "a rule that never matches: said" "$(q ipfw add 200 allow ip from any to any in out 2>&1)" \
	"ipfw: the rule never matches: in and out: no packet is both
00200 allow ip from any to any in out"
is "a rule that never matches: not with -q" "$(q ipfw -q add 201 allow ip from any to any in out 2>&1)" ""
is "users are listed by name" "$(q ipfw add 202 count ip from any to any uid 0 not gid root)
$(q ipfw list 202)" "00202 count ip from any to any uid root not gid root
00202 count ip from any to any uid root not gid root"

# in a mount namespace of its own, in which the files are empty
is "without /etc/services and /etc/protocols" "$(unshare -m bash -c 'for f in services protocols; do
	mount --bind /dev/null /etc/$f || exit
done
ipfw -n add divert natd udp from any ntp to any www,cvsup
ipfw -n add allow carp from any to any proto PFSYNC' 2>&1)" \
	"00100 divert 8668 udp from any 123 to any dst-port 80,5999
00100 allow vrrp from any to any proto pfsync"

# load LINE...: replaces the rules
load() {
	printf 'add %s\n' "$@" | (echo flush && cat) | q ipfw -q - || not_ok "loading the rules"
}
counts() { is "$1" "$(q ipfw show | awk '$1 != 65535 {printf "%s%d", s, $2; s = " "}')" "$2"; }

for v in 4 6; do
	[ $v = 4 ] && to=10.1.0.2 proto=icmp types="icmptypes 8" || to=fd01::2 proto=ipv6-icmp types="icmp6types 128"
	E="$proto from any to any in $types"
	load "100 count $E sockarg" "110 count $E not sockarg" "120 count $E in out" "130 count $E dst-port 80" \
		"140 count $E ip$((10 - v))" "150 count $E ipver $v" "160 count $E ipver 5" "170 count $E via lo0" \
		"180 count $E not recv lo0" "190 count $E src-port 9-5" "200 count $E { sockarg or not via lo0 }"
	works "v$v: never matches: ping" ping1 a "$to"
	counts "v$v: never matches, sockarg, lo0: counted" "0 1 0 0 0 1 0 0 1 0 1"
	load "100 count $proto from localhost to any via lo0" "110 count ip$v from localhost to localhost in" \
		"120 count $proto from not localhost to any in via lo0" # no neighbour asks r there
	[ $v = 4 ] && self=127.0.0.1 counted="4 2 0" || self=::1 counted="0 2 2"
	works "v$v: localhost: ping" ping1 r "$self"
	counts "v$v: localhost: counted" "$counted"

	# a skipto to its own number or a lower one continues at the next number, also by tablearg
	q ipfw -q table way create type number
	q ipfw -q table way add 0 50
	load "90 count $E" "100 skipto 90 $E" "100 count $E" "100 count $E" "200 skipto 200 $E" "200 count $E" \
		"300 skipto tablearg $E lookup dscp way" "300 count $E" "400 skipto 450 $E" "420 count $E" "450 count $E"
	works "v$v: skipto backwards: ping" ping1 a "$to"
	counts "v$v: skipto backwards: the next number" "1 1 0 0 1 0 1 0 1 0 1"
	q ipfw -q table way destroy 2>/dev/null
	r ipfw -q flush
	r ipfw -q table way destroy
done

# ---- ECN: congestion is CE, both bits; ecntransport is ECT(0) ----

load "100 count udp from any to any 9 in iptos congestion" "110 count udp from any to any 9 in iptos ecntransport" \
	"120 count udp from any to any 9 in iptos !congestion" "130 count udp from any to any 9 in"
a python3 -c '
import socket
for tos in (0, 1, 2, 3):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
        s.sendto(b"x", ("10.1.0.2", 9))'
has_come() { [ "$(packets r 130)" = 4 ]; }
wait_for 5 "the four" has_come
counts "ECN: CE, ECT(0) and CE, none, all" "1 2 1 4"
