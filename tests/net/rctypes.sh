#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The types client, simple and workstation of rc.firewall, by rules of the same kind, on r. (bsd.sh
# has open and closed.) FreeBSD's default rule denies, and client and simple rely on it: here they
# end with a rule that does.
#
#	a0 10.1.0.1           r0 10.1.0.2          r1 198.51.100.2         b0 198.51.100.1
#	   2001:db8:1::1 ------- 2001:db8:1::2        2001:db8:2::2 --------- 2001:db8:2::1
#	   inside                                                            the world
. "$(dirname "$0")/lib.sh"

for ns in a r b; do make_ns $ns; done
link a a0 10.1.0.1/24 2001:db8:1::1/64 -- r r0 10.1.0.2/24 2001:db8:1::2/64
link r r1 198.51.100.2/24 2001:db8:2::2/64 -- b b0 198.51.100.1/24 2001:db8:2::1/64 192.168.9.9/32
a ip route add default via 10.1.0.2
a ip -6 route add default via 2001:db8:1::2
b ip route add default via 198.51.100.2
b ip -6 route add default via 2001:db8:2::2
r ip route add 192.168.9.9 via 198.51.100.1
r sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
wait_for 5 "no tentative address" all_ready
A6=2001:db8:1::1 B6=2001:db8:2::1 R6=2001:db8:2::2

first() { # what all types begin with
	cat <<-END
		-f flush
		add 100 pass all from any to any via lo0
		add 200 deny all from any to 127.0.0.0/8
		add 300 deny ip from 127.0.0.0/8 to any
		add pass ipv6-icmp from any to any icmp6types 133,134,135,136
	END
}
client() {
	first
	cat <<-END
		add pass all from 10.1.0.0/24 to 255.255.255.255
		add pass all from me to 10.1.0.0/24
		add pass all from 10.1.0.0/24 to me
		add pass all from me to 2001:db8:1::/64
		add pass all from 2001:db8:1::/64 to me
		add pass tcp from any to any established
		add pass all from any to any frag
		add pass tcp from any to me 25 setup
		add pass tcp from me to any setup
		add deny tcp from any to any setup
		add pass udp from me to any 53 keep-state
		add pass udp from me to any 123 keep-state
		add 65534 deny ip from any to any
	END
}
simple() {
	first
	cat <<-END
		table 13 create missing
		table 13 flush
		table 13 add 10.0.0.0/8
		table 13 add 192.168.0.0/16
		add deny all from 10.1.0.0/24 to any in via r1
		add deny all from 2001:db8:1::/64 to any in via r1
		add deny all from any to table(13) via r1
		add divert natd ip4 from any to any via r1
		add deny all from table(13) to any via r1
		add deny all from ::ffff:0.0.0.0/96 to any via r1
		add pass tcp from any to any established
		add pass all from any to any frag
		add pass tcp from any to me 25 setup
		add pass tcp from any to me 53 setup
		add pass udp from any to me 53
		add pass udp from me 53 to any
		add deny log ip4 from any to any in via r1 setup proto tcp
		add deny log ip6 from any to any in via r1 setup proto tcp
		add pass tcp from any to any setup
		add pass udp from me to any 53 keep-state
		add pass udp from me to any 123 keep-state
		add 65534 deny ip from any to any
	END
}
workstation() {
	first
	cat <<-END
		add check-state
		add pass tcp from me to any established
		add pass tcp from me to any setup keep-state
		add pass udp from me to any keep-state
		add pass icmp from me to any keep-state
		add pass ipv6-icmp from me to any keep-state
		add pass udp from any 67 to me 68 in
		add pass icmp from any to any icmptype 3,4,8,11
		add pass tcp from 198.51.100.1 to me 22
		add pass ip from 10.1.0.1 to me
		add 65000 count ip from any to any
		add deny { tcp or udp } from any to any 135-139,445 in
		add deny tcp from any 80,443 to any 1024-65535 in
		add deny log logamount 500 ip from any to any
	END
}
load() { # TYPE
	local line
	$1 >"$TMP/$1"
	while read -r line; do
		# shellcheck disable=SC2086 # words
		q ipfw -q $line || not_ok "$1: $line"
	done <"$TMP/$1"
}

for ns in a r b; do
	for port in 22 25 8080; do
		serve "tcp$ns$port" $ns $port
	done
	start "udp$ns" $ns python3 "$HERE/who.py" 53 123 5353
done
udp_open() {
	[ "$(nq "$1" ss -Hlnu '( sport = :53 or sport = :123 or sport = :5353 )' | wc -l)" = 3 ]
}
for ns in a r b; do wait_for 5 "UDP ports in $ns" udp_open $ns; done

tcp() { nq "$1" curl -s -g -m "${4:-5}" "http://$2:$3/who"; } # NS HOST PORT [SECONDS]
udp() { nq "$1" python3 "$HERE/who.py" -a "${2//[\[\]]/}" "$3" "${4:-5}"; }
icmp() { nq "$1" ping -n -c 1 -W "${4:-2}" "$2" | sed -n 's/.*bytes from \([^ ]*\): .*/\1/p'; }
by_rule() { # WORDS: packets of the rules whose text has them
	q ipfw show | awk -v words="$1" 'index($0, words) { n += $2 } END { print n + 0 }'
}
# refused WHAT WORDS PROTO NS HOST PORT: there is no answer, and a rule with WORDS has counted it
refused() {
	local had
	had=$(by_rule "$2")
	is "$1: no answer" "$("$3" "$4" "$5" "$6" 0.3)" ""
	works "$1: by the rule $2" test "$(by_rule "$2")" -gt "$had"
}
state_is() { q ipfw -d show | grep -Eq " \([0-9]+s\) $1"; } # PATTERN
no_state() { ! state_is "$1"; }
rest="deny ip from any to any"

# ---- client ----

is "client: nothing is said" "$(load client 2>&1)" ""
is "client: the own network" \
	"$(tcp r 10.1.0.1 8080) $(tcp a 10.1.0.2 8080) $(udp a 10.1.0.2 5353)" \
	"10.1.0.2 10.1.0.1 10.1.0.1"
is "client: TCP out" "$(tcp r 198.51.100.1 8080) $(tcp r "[$B6]" 8080)" "198.51.100.2 $R6"
is "client: names and time" \
	"$(udp r 198.51.100.1 53) $(udp r "[$B6]" 53) $(udp r 198.51.100.1 123)" \
	"198.51.100.2 $R6 198.51.100.2"
for to in "198.51.100.2 [0-9]+ <-> 198.51.100.1 53" "$R6 [0-9]+ <-> $B6 53" \
	"198.51.100.2 [0-9]+ <-> 198.51.100.1 123"; do
	works "client: the state $to" state_is "STATE udp $to :default$"
done
is "client: mail in" "$(tcp b 198.51.100.2 25) $(tcp b "[$R6]" 25)" "198.51.100.1 $B6"
for to in 198.51.100.2 "[$R6]"; do
	refused "client: another service, $to" "deny tcp" tcp b "$to" 8080
	refused "client: UDP in, $to" "$rest" udp b "$to" 53
done
refused "client: another UDP service out" "$rest" udp r 198.51.100.1 5353

# ---- simple ----

is "simple: nothing is said" "$(load simple 2>&1)" ""
is "simple: the states of client are gone" "$(q ipfw -D list)" ""
start natd r divert-run python3 "$HERE/natd.py" 8668 198.51.100.2
wait_for 10 "natd" grep -q bound "$TMP/natd.out"
is "simple: TCP out, from inside" "$(tcp a 198.51.100.1 8080) $(tcp a "[$B6]" 8080)" \
	"198.51.100.2 $A6"
is "simple: TCP out, from the host" "$(tcp r 198.51.100.1 8080) $(tcp r "[$B6]" 8080)" \
	"198.51.100.2 $R6"
is "simple: names and time, from the host" \
	"$(udp r 198.51.100.1 53) $(udp r "[$B6]" 53) $(udp r 198.51.100.1 123)" \
	"198.51.100.2 $R6 198.51.100.2"
works "simple: the state" state_is "STATE udp 198.51.100.2 [0-9]+ <-> 198.51.100.1 123 :default$"
is "simple: the host's services" \
	"$(tcp b 198.51.100.2 25) $(tcp b "[$R6]" 25) $(udp b 198.51.100.2 53)
$(udp a 10.1.0.2 53)" "198.51.100.1 $B6 198.51.100.1
10.1.0.1"
refused "simple: another service" "deny log ip4" tcp b 198.51.100.2 8080
refused "simple: another service, IPv6" "deny log ip6" tcp b "[$R6]" 8080
refused "simple: TCP to inside, IPv6" "deny log ip6" tcp b "[$A6]" 25
refused "simple: UDP to inside, IPv6" "$rest" udp b "[$A6]" 53
refused "simple: names, from inside" "$rest" udp a "[$B6]" 53
refused "simple: a private address inside" "to table(13)" tcp b 10.1.0.1 25
had=$(by_rule "from table(13)")
fails "simple: from a private address: no answer" \
	nq b ping -q -c 1 -W 0.2 -I 192.168.9.9 198.51.100.2
is "simple: from a private address: by its rule" "$(by_rule "from table(13)")" $((had + 1))
stop natd

# ---- workstation ----

is "workstation: nothing is said" "$(load workstation 2>&1)" ""
is "workstation: out" "$(tcp r 198.51.100.1 8080) $(tcp r "[$B6]" 8080)
$(udp r 198.51.100.1 5353) $(udp r "[$B6]" 5353)
$(icmp r 198.51.100.1) $(icmp r "$B6")" "198.51.100.2 $R6
198.51.100.2 $R6
198.51.100.1 $B6"
works "workstation: UDP, its state" state_is \
	"STATE udp 198.51.100.2 [0-9]+ <-> 198.51.100.1 5353 :default$"
works "workstation: ping, its state" state_is "STATE ipv6-icmp $R6 0 <-> $B6 0 :default$"
start web r python3 "$HERE/connect.py" 198.51.100.1 8080
wait_for 5 "a connection" grep -q connected "$TMP/web.out"
works "workstation: TCP, its state" state_is \
	"STATE tcp 198.51.100.2 [0-9]+ <-> 198.51.100.1 8080 :default$"
stop web
is "workstation: its service, to whom it is allowed" "$(tcp b 198.51.100.2 22)" 198.51.100.1
is "workstation: the trusted" "$(tcp a 10.1.0.2 8080) $(udp a 10.1.0.2 5353)" "10.1.0.1 10.1.0.1"
is "workstation: ping in" "$(icmp b 198.51.100.2)" 198.51.100.2
refused "workstation: another service" "deny log" tcp b 198.51.100.2 8080
refused "workstation: its service, IPv6" "deny log" tcp b "[$R6]" 22
refused "workstation: UDP in" "deny log" udp b 198.51.100.2 53
refused "workstation: through it" "deny log" tcp a 198.51.100.1 8080
wait_for 20 "the host's ping: no state" no_state "STATE ipv6-icmp $R6 0"
refused "workstation: ping in, IPv6" "deny log" icmp b "$R6" -
