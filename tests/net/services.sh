#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The network's usual services, HOWTO 4: "reinjecting them back as if nothing happened". Ping, DNS,
# HTTP, mDNS, DHCP, router advertisements, traceroute and path MTU discovery work over IPv4 and
# IPv6. Meanwhile one rule, "divert 8668 ip from any to any", sends every packet of r, in and out,
# through a reflecting program. This includes neighbour discovery, IGMP and MLD.
#
#	a  a0 veth -----+
#	t  t0 tun ------+-- r -- r1 10.2.0.0/24 -- b0 b b1 -- 10.4.0.0/24 -- d
#	g  g0 bridge ---+    (lo, too)                MTU to d: 1400
#	v  v0.7 VLAN ---+
#
# The clients are a, t, g, v and r itself. The servers are d, two routers away, and r.
. "$(dirname "$0")/lib.sh"
for tool in dnsmasq busybox; do
	command -v $tool >/dev/null || skip_all "no $tool"
done
make_router
make_ns d
link b b1 10.4.0.2/24 fd04::2/64 -- d d0 10.4.0.1/24 fd04::1/64
ip -n "$NS-d" route add default via 10.4.0.2
ip -n "$NS-d" -6 route add default via fd04::2
nq b sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
ip -n "$NS-b" route add 10.0.0.0/8 via 10.2.0.2
ip -n "$NS-b" -6 route add fd00::/8 via fd02::2
ip -n "$NS-r" route add 10.4.0.0/24 via 10.2.0.1
ip -n "$NS-r" -6 route add fd04::/64 via fd02::1
# behind b only 1400 bytes fit: b reports that to the senders of longer packets
ip -n "$NS-b" route add 10.4.0.1/32 dev b1 mtu lock 1400
ip -n "$NS-b" -6 route add fd04::1/128 dev b1 mtu lock 1400
# the kernel sends an error for every packet that calls for one
for x in r b d; do
	nq "$x" sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
done

# client NS IF NET: gives it the addresses 10.NET.0.1 and fd0NET::1; its router is r, which has 2
client() {
	add_addr "$1" "$2" "10.$3.0.1/24"
	add_addr "$1" "$2" "fd0$3::1/64"
	ip -n "$NS-$1" link set "$2" up
	ip -n "$NS-$1" route replace default via "10.$3.0.2"
	ip -n "$NS-$1" -6 route replace default via "fd0$3::2"
}
router() { # IF NET
	add_addr r "$1" "10.$2.0.2/24"
	add_addr r "$1" "fd0$2::2/64"
	ip -n "$NS-r" link set "$1" up
}

links="veth"
if [ -c /dev/net/tun ]; then
	make_ns t
	start tun r python3 "$HERE/tunpair.py" "$NS-r" tun0 "$NS-t" t0 "$TMP/tun.ready"
	wait_for 5 "tun devices" test -s "$TMP/tun.ready"
	router tun0 5
	client t t0 5
	links+=" tun"
else
	echo "skip tun: no /dev/net/tun"
fi
if r ip link add br0 type bridge 2>/dev/null; then
	make_ns g
	link r port0 -- g g0
	r ip link set port0 master br0
	router br0 6
	client g g0 6
	links+=" bridge"
else
	echo "skip bridge: this kernel has none"
fi
link r vport -- a vport
if r ip link add link vport name vport.7 type vlan id 7 2>/dev/null; then
	make_ns v
	a ip link set vport netns "$NS-v"
	ip -n "$NS-v" link set vport up
	ip -n "$NS-v" link add link vport name v0.7 type vlan id 7
	router vport.7 7
	client v v0.7 7
	links+=" vlan"
else
	echo "skip vlan: this kernel has none"
fi

# ---- the servers ----

www4() { [ "$1" = d ] && echo 10.99.0.1 || echo 10.99.0.2; } # how each server answers for www.test
www6() { [ "$1" = d ] && echo fd99::1 || echo fd99::2; }

dnsmasq=(-k --conf-file=/dev/null --user=root --pid-file --no-resolv --no-hosts)
dnsmasq+=(--no-ping --dhcp-authoritative "--dhcp-leasefile=$TMP/leases")
leases=()
for x in 1 5 6 7; do
	leases+=("--dhcp-range=10.$x.0.50,10.$x.0.99,1h" "--dhcp-range=fd0$x::,ra-only")
done
for x in d r; do
	serve "http$x" $x 80
	start "dns$x" $x dnsmasq "${dnsmasq[@]}" --enable-ra "${leases[@]}" --local=/test/ --address=/www.test/"$(www4 $x)" --address=/www.test/"$(www6 $x)"
	wait_for 5 "name server" bash -c "$PROGS/within $NS-$x ss -Hnlu 'sport = :53' | grep -q ."
done
head -c 1000000 /dev/urandom >"$TMP/data"
sum=$(sha256sum <"$TMP/data" | cut -d' ' -f1)
fetched=$(python3 -c 'import hashlib, random; print(hashlib.sha256(random.Random(1).randbytes(1000000)).hexdigest())')

# ---- one rule, one program ----

quiet() { "$@" >/dev/null 2>&1; }
r ipfw -q add 100 divert 8668 ip from any to any
fails "without the program nothing works" quiet n a ping -q -n -W 0.2 -c 1 10.4.0.1
reflect back r 8668
# these rules count the packets that came back to each side of r behind the divert rule
r ipfw -q add 200 count ipv6-icmp from any to any in icmp6types 135
r ipfw -q add 210 count ipv6-icmp from any to any out icmp6types 135
r ipfw -q add 220 count igmp from any to any in
r ipfw -q add 230 count igmp from any to any out
r ipfw -q add 240 count ipv6-icmp from any to any in icmp6types 143
r ipfw -q add 250 count ipv6-icmp from any to any out icmp6types 143
r ipfw -q add 260 count icmp from any to any in icmptypes 3
r ipfw -q add 270 count icmp from any to any out icmptypes 11
r ipfw -q add 280 count ipv6-icmp from any to any out icmp6types 3
r ipfw -q add 290 count ipv6-icmp from any to any in icmp6types 2

# services LINK NS V4 V6 HOST [HOPS]: checks that host's services for a client; HOPS routers are
# between them
services() {
	local name=$1 ns=$2 host=$5 hops=${6:-0} to url got v
	for to in "$3" "$4"; do
		v=v4 url=$to
		[[ $to != *:* ]] || v=v6 url="[$to]"
		what="$name, $v, $host"
		works "$what: ping" ping_ "$ns" "$to" 5
		works "$what: ping of 1400 bytes" quiet n "$ns" ping -q -n -c 2 -i 0.05 -W 1 -s 1300 "$to"
		got=$(nq "$ns" busybox nslookup -type=a www.test "$to" | awk '/^Address/ {print $2}' | tail -1)
		is "$what: DNS, A" "$got" "$(www4 "$host")"
		got=$(nq "$ns" busybox nslookup -type=aaaa www.test "$to" | awk '/^Address/ {print $2}' | tail -1)
		is "$what: DNS, AAAA" "$got" "$(www6 "$host")"
		got=$(nq "$ns" curl -s -g -m 10 "http://$url/1000000" | sha256sum | cut -d' ' -f1)
		is "$what: HTTP, 1 MB there" "$got" "$fetched"
		got=$(nq "$ns" curl -s -g -m 10 --data-binary "@$TMP/data" -H Expect: "http://$url/")
		is "$what: HTTP, 1 MB back" "$got" "$sum"
		got=$(nq "$ns" traceroute -n -q 1 -N 1 -w 2 -m 5 "$to" | awk 'NR > 1 {print $2}' | paste -sd' ')
		is "$what: traceroute" "$got" "$(hops "$v" "$ns" "$hops")$to"
		is "$what: traceroute by ping" "$(trace_ping "$ns" "$to")" "$(hops "$v" "$ns" "$hops")$to"
	done
}
# trace_ping shows what "traceroute -I" shows, with a socket for each probe. traceroute has one raw
# socket for all. The kernel notes an error in it after it has woken the reader. A quick reader then
# finds an error that stays, and reads nothing any more (1 in 1,000 probes from one CPU to another,
# also without ipdivert).
trace_ping() { # NS TO
	local ttl hop
	for ttl in 1 2 3 4 5; do
		hop=$(nq "$1" ping -n -c 1 -W 2 -t $ttl "$2" |
			sed -En 's/^(From|[0-9]+ bytes from) ([0-9a-f.:]*[0-9a-f]):? .*/\2/p')
		printf '%s' "${hop:-*}"
		[ "$hop" != "$2" ] || break
		printf ' '
	done
}
hops() { # VERSION NS HOPS: what traceroute shows before the destination
	local net
	net=$(nq "$2" ip -o -4 addr show scope global | sed -n 's/.* 10\.\([0-9]*\)\..*/\1/p' | head -1)
	case $1$3 in
	v41) printf '10.2.0.1 ' ;;
	v61) printf 'fd02::1 ' ;;
	v42) printf '10.%s.0.2 10.2.0.1 ' "$net" ;;
	v62) printf 'fd0%s::2 fd02::1 ' "$net" ;;
	esac
}

# mdns WHAT NS IF NS IF [4]: the first host asks, the second one answers
mdns() {
	local v addr
	for v in ${6:-4 6}; do
		addr=10.99.1.1
		[ $v = 4 ] || addr=fd99:1::1
		rm -f "$TMP/mdns.ready"
		start mdns "$4" python3 "$HERE/mdns.py" answer $v "$5" host $addr "$TMP/mdns.ready"
		wait_for 5 "mDNS responder" test -s "$TMP/mdns.ready"
		is "$1, v$v: mDNS" "$(nq "$2" python3 "$HERE/mdns.py" ask $v "$3" host)" "$addr"
		stop mdns
	done
}

# too_big NS: how many ICMP errors came there
too_big() {
	nq "$1" nstat -asz IcmpInDestUnreachs Icmp6InPktTooBigs | awk '/^Icmp/ { n += $2 } END { print n }'
}

# forget NS: removes the path MTUs that it has learned
forget() {
	n "$1" ip route flush cache
	n "$1" ip -6 route flush cache
}

# path_mtu LINK NS: the path to d carries 1400 bytes, and the client is told so
path_mtu() {
	local ns=$2 to url v size got before
	for to in 10.4.0.1 fd04::1; do
		v=v4 url=$to size=1372
		[[ $to != *:* ]] || v=v6 url="[$to]" size=1352
		what="$1, $v"
		# A router on the path reports it by an ICMP error, which r diverts in and out. ping
		# reports that in several ways, depending on its version and on when the error
		# comes.
		forget "$ns" # removes what TCP has learned before
		before=$(too_big "$ns")
		fails "$what: path MTU, too big" \
			quiet n "$ns" ping -n -c 1 -W 2 -M "do" -s $((size + 100)) "$to"
		is "$what: path MTU, too big: it is told so, once" $(($(too_big "$ns") - before)) 1
		like "$what: path MTU, remembered" "$(nq "$ns" ip route get "$to")" 'mtu 1400'
		works "$what: path MTU, what fits passes" \
			quiet n "$ns" ping -q -n -c 1 -W 2 -M "do" -s $size "$to"
		fails "$what: path MTU, one byte more does not" \
			quiet n "$ns" ping -q -n -c 1 -W 0.2 -M "do" -s $((size + 1)) "$to"
		forget "$ns"
		got=$(nq "$ns" curl -s -g -m 10 --data-binary "@$TMP/data" -H Expect: "http://$url/")
		is "$what: path MTU found by TCP, 1 MB the same" "$got" "$sum"
		like "$what: path MTU found by TCP" "$(nq "$ns" ip route get "$to")" 'mtu 1400'
	done
}

# dhcp WHAT NS IF NET: the host asks for an address on that link, and gets one of NET
cat >"$TMP/lease" <<'SCRIPT'
#!/bin/sh
[ "$1" != bound ] || echo "$ip/$mask"
SCRIPT
chmod +x "$TMP/lease"
dhcp() {
	like "$1: DHCP" "$(nq "$2" busybox udhcpc -f -q -n -t 10 -T 1 -i "$3" -s "$TMP/lease" 2>/dev/null)" \
		"^10\\.$4\\.0\\.[5-9][0-9]/24\$"
}

# autoconf WHAT NS IF NET: a router advertisement gives the host an address
autoconfigured() {
	nq "$1" ip -6 -o addr show dev "$2" dynamic | grep -q "fd0$3:"
}
autoconf() {
	n "$2" sysctl -qw "net.ipv6.conf.${3/./\/}.accept_ra=2"
	n "$2" ip link set "$3" down # it asks when it comes up
	n "$2" ip link set "$3" up
	wait_for 10 "$1: router advertisement" autoconfigured "$2" "$3" "$4" &&
		ok "$1: router advertisement"
	n "$2" ip route replace default via "10.$4.0.2"
	add_addr "$2" "$3" "fd0$4::1/64" 2>/dev/null # the address is gone with the link
	n "$2" ip -6 route replace default via "fd0$4::2"
}

services "r's own" r 10.4.0.1 fd04::1 d 1
# r itself learns that the path to d is narrow. The packets that it forwards must not suffer from
# that: b reports it to their senders.
path_mtu "r's own" r
services lo r 127.0.0.1 ::1 r
r ip link set lo multicast on
r ip route add 224.0.0.0/4 dev lo
mdns lo r lo r lo 4 # Linux itself sends no IPv6 multicast over lo
r ip route del 224.0.0.0/4 dev lo
for kind in $links; do
	case $kind in
	veth) ns=a if=a0 rif=r0 net=1 ;;
	tun) ns=t if=t0 rif=tun0 net=5 ;;
	bridge) ns=g if=g0 rif=br0 net=6 ;;
	vlan) ns=v if=v0.7 rif=vport.7 net=7 ;;
	esac
	r ipfw -q zero
	# each one asks for the other anew
	for x in "r $rif fd0$net::1" "$ns $if fd0$net::2"; do
		read -r asks dev to <<<"$x"
		n "$asks" ip neigh flush dev "$dev"
		works "$kind: neighbour discovery, $asks asks" ping_ "$asks" "$to"
	done
	services $kind $ns 10.4.0.1 fd04::1 d 2
	path_mtu $kind $ns
	services "$kind, r" $ns 10.$net.0.2 fd0$net::2 r
	if [ $kind != tun ]; then # a tun device has no address requests
		dhcp $kind $ns $if $net
		start other $ns dnsmasq "${dnsmasq[@]}" --port=0 "--dhcp-range=10.$net.0.50,10.$net.0.99,1h"
		wait_for 5 "DHCP server" bash -c "$PROGS/within $NS-$ns ss -Hnlu 'sport = :67' | grep -q ."
		dhcp "$kind, r asks" r $rif $net
		stop other
		autoconf $kind $ns $if $net
	fi
	mdns $kind $ns $if r $rif
	mdns "$kind, r asks" r $rif $ns $if
	is "$kind: IGMP and MLD passed" \
		"$(for i in 220 230 240 250; do [ "$(packets r $i)" -gt 0 ] && echo yes; done | uniq -c | xargs)" "4 yes"
	if [ $kind != tun ]; then
		is "$kind: neighbour discovery passed" \
			"$(for i in 200 210; do [ "$(packets r $i)" -gt 0 ] && echo yes; done | uniq -c | xargs)" "2 yes"
	fi
	is "$kind: errors of traceroute passed" \
		"$(for i in 260 270 280; do [ "$(packets r $i)" -gt 0 ] && echo yes; done | uniq -c | xargs)" "3 yes"
done
stop back
is "each packet that was read was written back" "$(count back failed) $(count back sent)" \
	"0 $(count back received)"
# passed counts copies of r's own multicast on their way in; by-train and joined count ways to come
# back
is "none was lost" "$(q divertctl stat 8668 | awk '/^ / && $2 !~ /by-train|joined/ {print $2}' | paste -sd' ')" \
	"diverted written-in written-out passed no-listener entered"
