#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The address that a packet comes with: divert(4), "Receiving".
# - sin_port is the rule's number.
# - sin_addr is the first IPv4 address of the receiving interface. It is INADDR_ANY on the way out,
#   and 255.255.255.255 if the interface has no address.
# - sin_zero is the name of the receiving interface, also for a forwarded packet on its way out. If
#   the name does not fit, it is ":INDEX".
#
# In each incoming case the program writes the packet back unchanged. It enters at that interface,
# so the ping is answered.
#
# The network is lib.sh's, a -- r -- b. More links between a and r have these ends in r:
#	seven77		10.17.0.2/24, then 10.27.0.2/24		7 characters
#	eight888	10.18.0.2/24				8 characters
#	fifteen90123456	10.15.0.2/24 fd15::2/64			15, as many as there can be
#	bare		no IPv4 address; fd0a::2/64
#	tun0		10.8.0.1/24 fd08::1/64; a program behind it pings
. "$(dirname "$0")/lib.sh"
make_router
link r seven77 10.17.0.2/24 10.27.0.2/24 -- a a7 10.17.0.1/24 10.27.0.1/24
link r eight888 10.18.0.2/24 -- a a8 10.18.0.1/24
link r fifteen90123456 10.15.0.2/24 fd15::2/64 -- a a15 10.15.0.1/24 fd15::1/64
link r bare fd0a::2/64 -- a abare fd0a::1/64
ip -n "$NS-b" route add 10.0.0.0/8 via 10.2.0.2
# r takes IPv4 packets that arrive at bare, although bare has no IPv4 address
nq r sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.bare.rp_filter=0
ip -n "$NS-a" route add 10.1.0.2/32 dev abare
wait_for 5 "no tentative address" all_ready

index() { ip -n "$NS-$1" -o link show dev "$2" | cut -d: -f1; }

# The rules match echo requests and replies only, so that other packets of IPv6 do not count.
rule() { # NS NUMBER OPTIONS...
	local ns=$1 number=$2
	shift 2
	n "$ns" ipfw -q flush
	n "$ns" ipfw -q add "$number" divert 2000 icmp from any to any icmptypes 8 "$@"
	n "$ns" ipfw -q add "$number" divert 2000 ipv6-icmp from any to any icmp6types 128 "$@"
}

# address WHAT NS COUNT EXPECTED COMMAND...: runs the command, which must succeed. Meanwhile COUNT
# packets come with an address like EXPECTED.
address() {
	local what=$1 ns=$2 count=$3 expected=$4
	shift 4
	reflect seen "$ns" -v 2000
	works "$what: written back, it works" "$@"
	stop seen
	is "$what: address" "$(sed -n 's/ len=.*//p' "$TMP/seen.out" | sort | uniq -c | sed 's/^ *//')" \
		"$count $expected family=2"
	is "$what: written back without an error" "$(count seen sent)" "$count"
}

# ---- in ----

rule r 100 in
address "in, IPv4" r 3 "tag=100 addr=10.1.0.2 name=r0" ping_ a 10.2.0.1 3
address "in, IPv6" r 3 "tag=100 addr=10.1.0.2 name=r0" ping_ a fd02::1 3
address "in, to the router itself" r 3 "tag=100 addr=10.2.0.2 name=r1" ping_ b 10.2.0.2 3
address "in, IPv6, to the router itself" r 3 "tag=100 addr=10.2.0.2 name=r1" ping_ b fd02::2 3
address "in, to the router's other address" r 3 "tag=100 addr=10.2.0.2 name=r1" ping_ b fd01::2 3
rule r 65534 in
address "in, the last tag" r 2 "tag=65534 addr=10.1.0.2 name=r0" ping_ a 10.2.0.1 2
rule r 1 in
address "in, the first tag" r 2 "tag=1 addr=10.1.0.2 name=r0" ping_ a 10.2.0.1 2
rule r 300 in
address "in, 7 characters" r 2 "tag=300 addr=10.17.0.2 name=seven77" ping_ a 10.17.0.2 2
address "in, first of two addresses" r 2 "tag=300 addr=10.17.0.2 name=seven77" ping_ a 10.27.0.2 2
address "in, 8 characters" r 2 "tag=300 addr=10.18.0.2 name=:$(index r eight888)" \
	ping_ a 10.18.0.2 2
address "in, 15 characters" r 2 "tag=300 addr=10.15.0.2 name=:$(index r fifteen90123456)" \
	ping_ a 10.15.0.2 2
address "in, 15 characters, IPv6" r 2 "tag=300 addr=10.15.0.2 name=:$(index r fifteen90123456)" \
	ping_ a fd15::2 2
address "in, no IPv4 address, IPv6" r 2 "tag=300 addr=255.255.255.255 name=bare" ping_ a fd0a::2 2
address "in, no IPv4 address, IPv4" r 2 "tag=300 addr=255.255.255.255 name=bare" \
	ping_ a 10.1.0.2 2

# the interface loses its last address while the socket is there
reflect seen r -v 2000
works "before the address goes" ping_ a fd15::2
ip -n "$NS-r" addr del 10.15.0.2/24 dev fifteen90123456
works "the address is gone" ping_ a fd15::2
ip -n "$NS-r" addr add 10.25.0.2/24 dev fifteen90123456
works "there is a new one" ping_ a fd15::2
stop seen
is "addresses as they were at the time" \
	"$(sed -n 's/.*addr=\([^ ]*\).*/\1/p' "$TMP/seen.out" | paste -sd' ')" \
	"10.15.0.2 255.255.255.255 10.25.0.2"
ip -n "$NS-r" addr del 10.25.0.2/24 dev fifteen90123456
ip -n "$NS-r" addr add 10.15.0.2/24 dev fifteen90123456

# ---- out ----

rule r 400 out
address "forwarded" r 3 "tag=400 addr=0.0.0.0 name=r0" ping_ a 10.2.0.1 3
address "forwarded, IPv6" r 3 "tag=400 addr=0.0.0.0 name=r0" ping_ a fd02::1 3
address "forwarded the other way" r 3 "tag=400 addr=0.0.0.0 name=r1" ping_ b 10.1.0.1 3
address "out, own packet" r 3 "tag=400 addr=0.0.0.0 name=" ping_ r 10.2.0.1 3
address "out, own packet, IPv6" r 3 "tag=400 addr=0.0.0.0 name=" ping_ r fd02::1 3
address "out, own packet, a long name" r 3 "tag=400 addr=0.0.0.0 name=" ping_ r 10.15.0.1 3
ip -n "$NS-a" route add 10.2.0.1/32 via 10.17.0.2
address "forwarded from 7 characters" r 2 "tag=400 addr=0.0.0.0 name=seven77" ping_ a 10.2.0.1 2
ip -n "$NS-a" route replace 10.2.0.1/32 via 10.18.0.2
address "forwarded from 8 characters" r 2 "tag=400 addr=0.0.0.0 name=:$(index r eight888)" \
	ping_ a 10.2.0.1 2
ip -n "$NS-a" route replace 10.2.0.1/32 via 10.15.0.2
address "forwarded from 15 characters" r 2 "tag=400 addr=0.0.0.0 name=:$(index r fifteen90123456)" \
	ping_ a 10.2.0.1 2
ip -n "$NS-a" route del 10.2.0.1/32
ip -n "$NS-a" -6 route add fd02::1/128 via fd0a::2
address "forwarded from no IPv4 address" r 2 "tag=400 addr=0.0.0.0 name=bare" ping_ a fd02::1 2
ip -n "$NS-a" -6 route del fd02::1/128

# a packet that a divert socket wrote back inbound is forwarded as usual
rule r 500 out
r ipfw -q add 450 divert 2001 ip from any to any in
reflect in r 2001
address "forwarded, after it was put back inbound" r 2 "tag=500 addr=0.0.0.0 name=r0" \
	ping_ a 10.2.0.1 2
stop in

# ---- loopback ----

rule r 600 in
address "lo, in" r 2 "tag=600 addr=127.0.0.1 name=lo" ping_ r 127.0.0.1 2
address "lo, in, IPv6" r 2 "tag=600 addr=127.0.0.1 name=lo" ping_ r ::1 2
address "lo, in, an own address" r 2 "tag=600 addr=127.0.0.1 name=lo" ping_ r 10.15.0.2 2
rule r 601 out
address "lo, out" r 2 "tag=601 addr=0.0.0.0 name=" ping_ r 127.0.0.1 2
address "lo, out, IPv6" r 2 "tag=601 addr=0.0.0.0 name=" ping_ r ::1 2
address "lo, out, an own address" r 2 "tag=601 addr=0.0.0.0 name=" ping_ r 10.15.0.2 2

# ---- tun: no link header ----

if [ -c /dev/net/tun ] && r ip tuntap add dev tun0 mode tun; then
	ip -n "$NS-r" addr add 10.8.0.1/24 dev tun0
	ip -n "$NS-r" addr add fd08::1/64 dev tun0 nodad
	ip -n "$NS-r" link set tun0 up
	r divertctl attach tun0
	tun() {
		[ "$(r python3 "$HERE/tunping.py" tun0 "$1" "$2" 2)" = "sent 2 answered 2" ]
	}
	ip -n "$NS-b" -6 route add fd08::/64 via fd02::2
	rule r 700 in
	address "tun, in" r 2 "tag=700 addr=10.8.0.1 name=tun0" tun 10.8.0.2 10.8.0.1
	address "tun, in, IPv6" r 2 "tag=700 addr=10.8.0.1 name=tun0" tun fd08::2 fd08::1
	address "tun, in, to be forwarded" r 2 "tag=700 addr=10.8.0.1 name=tun0" tun 10.8.0.2 10.2.0.1
	rule r 701 out
	address "tun, forwarded" r 2 "tag=701 addr=0.0.0.0 name=tun0" tun 10.8.0.2 10.2.0.1
	address "tun, forwarded, IPv6" r 2 "tag=701 addr=0.0.0.0 name=tun0" tun fd08::2 fd02::1
	r ipfw -q flush
	r ipfw -q add 702 divert 2000 icmp from any to any out xmit tun0
	address "tun, out, the router's answer" r 2 "tag=702 addr=0.0.0.0 name=" tun 10.8.0.2 10.8.0.1
	address "tun, out, from b" r 2 "tag=702 addr=0.0.0.0 name=r1" tun 10.8.0.2 10.2.0.1
	r ipfw -q flush
	r ipfw -q add 703 divert 2000 ipv6-icmp from any to any out xmit tun0 icmp6types 129
	address "tun, out, IPv6, the router's answer" r 2 "tag=703 addr=0.0.0.0 name=" \
		tun fd08::2 fd08::1
else
	echo "skip tun: no /dev/net/tun"
fi
