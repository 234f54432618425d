#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Rules that answer: unreach, unreach6, reset, reset6, reject, and REJECT of ipchains. The test
# looks at what the sender gets: on the way in and out of r, for the sender's own packets and for
# forwarded ones. It also shows which packets get no answer. The network is lib.sh's: a -- r -- b.
# The rules are on r.
. "$(dirname "$0")/lib.sh"
command -v tcpdump >/dev/null || skip_all "no tcpdump"
make_router
pid_dump='' # start sets it

send() { n "$1" python3 "$HERE/answer.py" "${@:2}" 2>/dev/null; }
rule() {
	r ipfw -q flush
	r ipfw -q add 100 "$@"
}

# ---- TCP: refused at once ----

# refused WHAT FROM TO RULE...
refused() {
	local what=$1 from=$2 to=$3
	shift 3
	rule "$@"
	is "$what: refused" "$(send "$from" connect "$to" 80)" "ECONNREFUSED at once"
	is "$what: counted" "$(packets r 100)" 1
}
refused "reset, to r" a 10.1.0.2 reset tcp from any to any 80 in
refused "reset, through r, in" a 10.2.0.1 reset tcp from any to any 80 in
refused "reset, through r, out" a 10.2.0.1 reset tcp from any to any 80 out
refused "reset, from r" r 10.1.0.1 reset tcp from any to any 80 out
refused "reset, to itself, out" r 10.1.0.2 reset tcp from any to any 80 out
refused "reset, to itself, in" r 127.0.0.1 reset tcp from any to any 80 in
refused "reset6, to r" a fd01::2 reset6 tcp from any to any 80 in
refused "reset6, through r, in" a fd02::1 reset6 tcp from any to any 80 in
refused "reset6, through r, out" a fd02::1 reset6 tcp from any to any 80 out
refused "reset6, from r" r fd01::1 reset6 tcp from any to any 80 out
refused "reset6, to itself, out" r fd01::2 reset6 tcp from any to any 80 out
refused "reset6, to itself, in" r ::1 reset6 tcp from any to any 80 in
refused "reset, to r, IPv6" a fd01::2 reset tcp from any to any 80 in
refused "reset, through r, in, IPv6" a fd02::1 reset tcp from any to any 80 in
refused "reset, through r, out, IPv6" a fd02::1 reset ip from any to any 80 out
refused "reset, from r, IPv6" r fd01::1 reset tcp from any to any 80 out
refused "reset, to itself, IPv6" r ::1 reset tcp from any to any 80 in
rule reset6 tcp from any to any 80 in
is "reset6, IPv4: dropped" "$(send a connect 10.1.0.2 80)" ETIMEDOUT
refused "unreach port" a 10.2.0.1 unreach port tcp from any to any 80 in
refused "unreach port, from r" r 10.2.0.1 unreach port tcp from any to any 80 out
# If an error arrives while Linux's connect() runs over IPv6, it takes effect only when connect()
# sends again, a second later.
for from in a r; do
	rule unreach6 port tcp from any to any 80
	is "unreach6 port, from $from" "$(send $from connect fd02::1 80 | cut -d" " -f1)" ECONNREFUSED
done
refused "no other rule sees the answer" a 10.1.0.2 reset tcp from any to any
r ipfw -q flush
r ipchains -A input -p tcp -j REJECT
is "REJECT" "$(send a connect 10.2.0.1 80)" "ECONNREFUSED at once"
is "REJECT: check" "$(r ipchains -C input -p tcp -s 10.1.0.1 5 -d 10.2.0.1 80 -i r0)" rejected
r ipchains -F

# ---- written back, then refused ----

reflect back r 2000
for rule in "50 divert 2000 ip from any to any in" "50 divert 2000 ip from any to any out"; do
	rule reset ip4 from any to any 80 proto tcp
	r ipfw -q add 110 reset6 tcp from any to any 80
	# shellcheck disable=SC2086 # words
	r ipfw -q add $rule
	is "$rule: refused" "$(send a connect 10.2.0.1 80)" "ECONNREFUSED at once"
	is "$rule: refused, IPv6" "$(send a connect fd02::1 80)" "ECONNREFUSED at once"
	is "$rule: refused, from r" "$(send r connect 10.2.0.1 80)" "ECONNREFUSED at once"
	is "$rule: refused, to itself" "$(send r connect 127.0.0.1 80)" "ECONNREFUSED at once"
done
stop back

# ---- a connection that stands ----

r ipfw -q flush
start fill b python3 "$HERE/answer.py" serve 10.2.0.1 81
wait_for 10 "it listens" grep -q listens "$TMP/fill.out"
is "reset, in midst of it" "$(n a python3 "$HERE/answer.py" midst 10.2.0.1 81 ip netns exec "$NS-r" \
	ipfw -q add 100 reset tcp from any to any 81 2>/dev/null)" ECONNRESET

# ---- UDP: the ICMP error that the sender gets ----

# told WHAT FROM TO ERROR TEXT RULE...: TEXT is what tcpdump prints
told() {
	local what=$1 from=$2 to=$3 error=$4 text=$5
	shift 5
	rule "$@"
	start dump "$from" tcpdump -l -n -v -i any -c 1 "(icmp[0] = 3 or (icmp6 and ip6[40] = 1))"
	wait_for 10 "tcpdump listens" grep -q "listening on" "$TMP/dump.err"
	is "$what: error" "$(send "$from" udp "$to" 9)" "$error"
	wait_for 5 "$what: seen" grep -q "$text" "$TMP/dump.out"
	kill "$pid_dump" 2>/dev/null
	wait "$pid_dump"
	fails "$what: checksums" grep -qE "bad|wrong|incorrect" "$TMP/dump.out"
	is "$what: counted" "$(packets r 100)" 1
}
told "net, in" a 10.2.0.1 ENETUNREACH "10.1.0.2 > 10.1.0.1: ICMP net 10.2.0.1 unreachable" \
	unreach net udp from any to any in
told "host, in" a 10.2.0.1 EHOSTUNREACH "10.1.0.2 > 10.1.0.1: ICMP host 10.2.0.1 unreachable" \
	reject udp from any to any in
told "port, in" a 10.1.0.2 ECONNREFUSED "10.1.0.2 > 10.1.0.1: ICMP 10.1.0.2 udp port 9 unreachable" \
	unreach port udp from any to any in
told "filter-prohib, in" a 10.2.0.1 EHOSTUNREACH \
	"10.1.0.2 > 10.1.0.1: ICMP host 10.2.0.1 unreachable - admin prohibited filter" \
	unreach filter-prohib udp from any to any in
told "needfrag, in" a 10.2.0.1 EMSGSIZE \
	"10.1.0.2 > 10.1.0.1: ICMP 10.2.0.1 unreachable - need to frag (mtu 1300)" \
	unreach needfrag 1300 udp from any to any in
is "needfrag: the sender learns of it" "$(ip -n "$NS-a" route get 10.2.0.1 | grep -o "mtu [0-9]*")" "mtu 1300"
told "host, through r, out" a 10.2.0.1 EHOSTUNREACH \
	"10.2.0.1 > 10.1.0.1: ICMP host 10.2.0.1 unreachable" reject udp from any to any out
told "port, from r" r 10.2.0.1 ECONNREFUSED "10.2.0.1 > 10.2.0.2: ICMP 10.2.0.1 udp port 9" \
	unreach port udp from any to any out
told "port, to itself, out" r 10.1.0.2 ECONNREFUSED "ICMP 10.1.0.2 udp port 9 unreachable" \
	unreach port udp from any to any out
told "port, to itself, in" r 127.0.0.1 ECONNREFUSED "ICMP 127.0.0.1 udp port 9 unreachable" \
	unreach port udp from any to any in
told "no-route, in" a fd02::1 ENETUNREACH "fd01::2 > fd01::1.*unreachable route fd02::1" \
	unreach6 no-route udp from any to any in
told "admin-prohib, in" a fd02::1 EACCES "fd01::2 > fd01::1.*unreachable prohibited fd02::1" \
	unreach6 admin-prohib udp from any to any in
told "port6, in" a fd01::2 ECONNREFUSED "fd01::2 > fd01::1.*unreachable port, fd01::2 udp port 9" \
	unreach6 port udp from any to any in
told "address, through r, out" a fd02::1 EHOSTUNREACH "fd02::1 > fd01::1.*unreachable address fd02::1" \
	unreach6 address udp from any to any out
told "port6, from r" r fd02::1 ECONNREFUSED "fd02::1 > fd02::2.*unreachable port" \
	unreach6 port udp from any to any out

# An IPv4 code for an IPv6 packet gives the closest code that ICMPv6 has, as in FreeBSD.
told "net, IPv6" a fd02::1 ENETUNREACH "fd01::2 > fd01::1.*unreachable route fd02::1" \
	unreach net udp from any to any in
told "host, IPv6" a fd02::1 ENETUNREACH "fd01::2 > fd01::1.*unreachable route fd02::1" \
	reject udp from any to any in
told "port, IPv6" a fd01::2 ECONNREFUSED "fd01::2 > fd01::1.*unreachable port, fd01::2 udp port 9" \
	unreach port udp from any to any in
told "filter-prohib, IPv6" a fd02::1 EACCES "fd01::2 > fd01::1.*unreachable prohibited fd02::1" \
	unreach filter-prohib udp from any to any in
told "needfrag, IPv6" a fd02::1 EACCES "fd01::2 > fd01::1.*unreachable prohibited fd02::1" \
	unreach needfrag 1300 udp from any to any in

# ---- ping, and long packets: the quotation is cut ----

rule unreach host-prohib icmp from any to any
like "ping shows it" "$(a ping -n -c 1 -W 1 -s 1400 10.2.0.1)" \
	"From 10.1.0.2 icmp_seq=1 Destination Host Prohibited"
rule unreach6 admin-prohib ipv6-icmp from any to any icmp6types 128
like "ping -6 shows it" "$(a ping -n -c 1 -W 1 -s 1400 fd02::1)" \
	"From fd01::2 icmp_seq=1 Destination unreachable: Administratively prohibited"

# ---- headers of other lengths than the answer's; a link without a header ----

rule reset tcp from any to any 83
start dump a tcpdump -l -n -S -v -i any -c 1 "tcp and dst host 10.1.0.1"
wait_for 10 "tcpdump listens" grep -q "listening on" "$TMP/dump.err"
send a raw 10.1.0.2 options >/dev/null
wait_for 5 "IP options: answered" grep -q "length 0" "$TMP/dump.out"
like "IP options: the reset" "$(<"$TMP/dump.out")" \
	"length 40\).*Flags \[R\.\], cksum 0x[0-9a-f]* \(correct\), seq 0, ack 7006,"
kill "$pid_dump" 2>/dev/null
wait "$pid_dump"

if [ -c /dev/net/tun ]; then
	make_ns t
	start tun r python3 "$HERE/tunpair.py" "$NS-r" tun0 "$NS-t" t0 "$TMP/tun.ready"
	wait_for 10 "the pair of tunnels" test -s "$TMP/tun.ready"
	for x in "r tun0 2" "t t0 1"; do
		read -r ns dev last <<<"$x"
		add_addr "$ns" "$dev" "10.5.0.$last/24"
		add_addr "$ns" "$dev" "fd05::$last/64"
		ip -n "$NS-$ns" link set "$dev" up
	done
	works "tun: pings" ping_ t 10.5.0.2
	refused "tun: reset, in" t 10.5.0.2 reset tcp from any to any 80 in
	refused "tun: reset, out" r 10.5.0.1 reset tcp from any to any 80 out
	refused "tun: reset6, in" t fd05::2 reset6 tcp from any to any 80 in
	refused "tun: reset6, out" r fd05::1 reset6 tcp from any to any 80 out
	told "tun: port, in" t 10.5.0.2 ECONNREFUSED "10.5.0.2 > 10.5.0.1: ICMP 10.5.0.2 udp port 9" \
		unreach port udp from any to any in
	told "tun: port, out" r 10.5.0.1 ECONNREFUSED "10.5.0.1 > 10.5.0.2: ICMP 10.5.0.1 udp port 9" \
		unreach port udp from any to any out
	stop tun
else
	echo "skip tun: no /dev/net/tun"
fi

# ---- the answer is right where the kernel leaves no checksum to the network card ----

if command -v ethtool >/dev/null && r ethtool -K r0 tx off >/dev/null; then
	told "no offload: port, in" a 10.1.0.2 ECONNREFUSED "ICMP 10.1.0.2 udp port 9" \
		unreach port udp from any to any in
	told "no offload: port6, in" a fd01::2 ECONNREFUSED "unreachable port, fd01::2 udp port 9" \
		unreach6 port udp from any to any in
	refused "no offload: unreach, through r, out" a 10.2.0.1 unreach port tcp from any to any 80 out
	refused "no offload: reset, in" a 10.1.0.2 reset tcp from any to any 80 in
	refused "no offload: reset6, through r, out" a fd02::1 reset6 tcp from any to any 80 out
	r ethtool -K r0 tx on >/dev/null
else
	echo "skip no offload: no ethtool"
fi

# ---- the log, and packets that get no answer ----

rule unreach host log udp from any to any 9 in
send a udp 10.1.0.2 9 >/dev/null
like "log" "$(r ipfw log)" ": 100 Unreach 1 UDP 10.1.0.1:[0-9]* 10.1.0.2:9 in via r0"

# silent WHAT FILTER FROM COUNT COMMAND...: the rule counts the packets of COMMAND, and nothing
# comes back
silent() {
	local what=$1 filter=$2 from=$3 count=$4
	shift 4
	r ipfw -q zero
	start dump "$from" tcpdump -l -n -i any -c 1 "($filter) or (udp port 7777)"
	wait_for 10 "tcpdump listens" grep -q "listening on" "$TMP/dump.err"
	send "$from" "$@" >/dev/null
	is "$what: counted" "$(packets r 100)" "$count"
	nq "$from" python3 "$HERE/answer.py" udp 10.1.0.2 7777 >/dev/null
	wait "$pid_dump"
	like "$what: no answer" "$(<"$TMP/dump.out")" "\.7777: UDP"
}
rule unreach host ip4 from any to any in not dst-port 7777
silent "an ICMP error" "icmp[0] = 3 and dst host 10.1.0.1" a 1 raw 10.1.0.2 icmp-error
silent "a later fragment" "icmp[0] = 3 and dst host 10.1.0.1" a 1 raw 10.1.0.2 fragment
silent "many: broadcast" "icmp[0] = 3 and dst host 10.1.0.1" a 1 udp 10.1.0.255 9
silent "many: multicast" "icmp[0] = 3 and dst host 10.1.0.1" a 1 udp 224.0.0.1 9
rule reset ip4 from any to any in not dst-port 7777
silent "a reset" "tcp and dst host 10.1.0.1" a 1 raw 10.1.0.2 rst
silent "UDP, by reset" "icmp[0] = 3 and dst host 10.1.0.1" a 1 udp 10.1.0.2 9
rule unreach6 port ip6 from any to any proto ipv6-icmp icmp6types 1 in
silent "an ICMPv6 error" "icmp6 and ip6[40] = 1 and src fd01::2" a 1 raw fd01::2 icmp6-error
