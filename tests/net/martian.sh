#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A packet that is written inbound arrives, or it is counted as martian. A martian packet has an
# address that the stack takes from no interface, above all an address of the host itself. Each case
# writes one packet, and the test sees one of the two results. FreeBSD tests these: a ping from a
# neighbour to this host is answered, and a packet from outside with an own address as its source is
# refused. net/unhooked runs this test once more, without a hook where the packets come in. The
# network is lib.sh's: a -- r -- b.
. "$(dirname "$0")/lib.sh"
make_router
add_addr r r0 10.1.0.3/24
conf() { nq r sysctl -qw "$@"; }
rp_filter() { conf net.ipv4.conf.{all,r0,r1,lo}.rp_filter="$1"; }
# One process writes all packets. inject OPTIONS...: prints its result.
mkfifo "$TMP/orders"
exec 3<>"$TMP/orders"
coproc INJECT { exec "$PROGS/within" "$NS-r" divert-run "$PROGS/inject" -b <&3 2>&1; }
pids+=("$INJECT_PID")
inject() {
	local said=""
	echo "$*" >&3
	read -r -t 10 said <&"${INJECT[0]}"
	echo "$said"
}
count_of() { nq r divertctl stat -a | awk -v c="$1" '$2 == c { n += $1 } END { print n + 0 }'; }

# All of its sockets append to one file: 16 bytes for each packet that arrived.
touch "$TMP/got"
gets() { start "socat$1" r socat -u "$2" OPEN:"$TMP/got",creat,append; }
gets 4 UDP4-RECV:9,ip-add-membership=239.9.9.9:r0
gets 6 UDP6-RECV:9,ipv6only,ipv6-join-group=[ff02::99]:r0,ipv6-join-group=[ff05::99]:r0
wait_for 5 "the UDP receivers" bash -c \
	"[ \$($PROGS/within $NS-r ss -Hnlu 'sport = :9' | wc -l) = 2 ]"
r ipfw -q add 100 count udp from any to any 9 out xmit r1
hooked=${hooked:-1} # the number of hooks that r0 has on the way in
[ $hooked = 0 ] || r ipfw -q add 110 deny ip from any to any 10 in
r ping -q -c1 -W2 10.2.0.1 >/dev/null # now the neighbours are known
r ping -q -c1 -W2 fd02::1 >/dev/null

# seen: the numbers of packets that arrived, that were forwarded, and that were martian
seen() { echo "$(($(stat -c %s "$TMP/got") / 16)) $(packets r 100) $(count_of martian)"; }
is_seen() {
	now=$(seen)
	[ "$now" = "$expected" ]
}
# meets WHAT EXPECTED INJECT'S OPTIONS...: EXPECTED is "arrives", "forwarded", "martian" or
# "nothing"
arrived=0 forwarded=0 martians=0
meets() {
	local what=$1
	case $2 in
	arrives) arrived=$((arrived + 1)) ;;
	forwarded) forwarded=$((forwarded + 1)) ;;
	martian) martians=$((martians + 1)) ;;
	esac
	expected="$arrived $forwarded $martians"
	like "$what: sendto" "$(inject "${@:3}")" "^ok "
	wait_for 2 "$what: $2" is_seen
	is "$what: $2" "$now" "$expected"
	# one unexpected result makes no later case fail
	read -r arrived forwarded martians <<<"$now"
}
r ipfw -q zero

# ---- FreeBSD's ----

r ipfw -q add 200 count icmp from 10.1.0.2 to 10.1.0.1 out icmptypes 0
r ipfw -q add 210 count icmp from 10.1.0.1 to 10.1.0.2 in icmptypes 0
is_answered() { [ "$(packets r "$1")" = 1 ]; }
is "in, a neighbour's ping to this host" "$(inject -a 10.1.0.2 -i -4 10.1.0.1 10.1.0.2)" "ok 44"
wait_for 2 "in: answered" is_answered 200
is "in, a neighbour's ping to this host: answered" "$(packets r 200)" 1
is "out, a ping to a neighbour" "$(inject -i -4 10.1.0.2 10.1.0.1)" "ok 44"
wait_for 2 "out: answered" is_answered 210
is "out, a ping to a neighbour: answered" "$(packets r 210)" 1
r ipfw -q delete 200 210
r divertctl attach
hooks_in() { is "hooks on the way in" "$(hooks_of r0 in | wc -l)" "$hooked"; }
hooks_in

# ---- IPv4 ----

for rp in 0 1 2; do
	rp_filter $rp
	v="v4, rp_filter $rp"
	meets "$v, a neighbour to this host" arrives -I r0 -4 10.1.0.1 10.1.0.2
	meets "$v, a neighbour to another interface's address" arrives -I r0 -4 10.1.0.1 10.2.0.2
	meets "$v, a neighbour to a group" arrives -I r0 -4 10.1.0.1 239.9.9.9
	meets "$v, a neighbour to the link's broadcast" arrives -I r0 -4 10.1.0.1 10.1.0.255
	meets "$v, a neighbour to all" arrives -I r0 -4 10.1.0.1 255.255.255.255
	meets "$v, a neighbour to another host" forwarded -I r0 -4 10.1.0.1 10.2.0.1
	for src in 10.1.0.2 10.1.0.3 10.2.0.2 127.0.0.1; do
		meets "$v, $src to this host" martian -I r0 -4 $src 10.1.0.2
		meets "$v, $src to another host" martian -I r0 -4 $src 10.2.0.1
	done
	for dst in 239.9.9.9 10.1.0.255 255.255.255.255; do
		meets "$v, this host to $dst" martian -I r0 -4 10.1.0.2 $dst
	done
	# like a packet that leaves over lo and comes back
	for src in 10.1.0.2 10.2.0.2 127.0.0.1; do
		meets "$v, $src to this host, on lo" arrives -I lo -4 $src 10.1.0.2
		meets "$v, $src to another host, on lo" forwarded -I lo -4 $src 10.2.0.1
	done
	meets "$v, loopback to loopback, on lo" arrives -I lo -4 127.0.0.1 127.0.0.2
done
rp_filter 0
meets "v4, 127.9.9.9 to this host" martian -I r0 -4 127.9.9.9 10.1.0.2
meets "v4, no source, to all" arrives -I r0 -4 0.0.0.0 255.255.255.255
meets "v4, no source, to this host" martian -I r0 -4 0.0.0.0 10.1.0.2
meets "v4, to no host" martian -I r0 -4 10.1.0.1 0.0.0.0
meets "v4, to loopback" martian -I r0 -4 10.1.0.1 127.0.0.1
meets "v4, from a group" martian -I r0 -4 239.1.1.1 10.1.0.2
meets "v4, from all" martian -I r0 -4 255.255.255.255 10.1.0.2
meets "v4, from 240.0.0.1" arrives -I r0 -4 240.0.0.1 10.1.0.2
meets "v4, behind its tag" martian -I r0 -t 65534 -4 10.1.0.2 10.1.0.3
[ $hooked = 0 ] || meets "v4, denied by a rule" nothing -I r0 -p 10 -4 10.1.0.2 10.1.0.3
meets "v4, by the address of the interface" martian -a 10.1.0.2 -4 10.1.0.2 10.1.0.3

# a changed setting takes effect at once, of one interface or of all
for x in r0 all; do
	conf net.ipv4.conf.$x.accept_local=1
	meets "$x accept_local: this host to this host" arrives -I r0 -4 10.2.0.2 10.1.0.2
	meets "$x accept_local: this host to a group" arrives -I r0 -4 10.2.0.2 239.9.9.9
	meets "$x accept_local: this host to another" forwarded -I r0 -4 10.2.0.2 10.2.0.1
	meets "$x accept_local: loopback" martian -I r0 -4 127.0.0.1 10.1.0.2
	conf net.ipv4.conf.$x.route_localnet=1
	meets "$x route_localnet: loopback to this host" arrives -I r0 -4 127.0.0.1 10.1.0.2
	meets "$x route_localnet: to loopback" arrives -I r0 -4 10.1.0.1 127.0.0.1
	conf net.ipv4.conf.$x.accept_local=0
	meets "$x route_localnet: its own" martian -I r0 -4 127.0.0.1 10.1.0.2
	conf net.ipv4.conf.$x.route_localnet=0
done

# so does a changed address
meets "an address that is none here" arrives -I r0 -4 10.2.0.9 10.1.0.2
meets "an address that is none here, again" arrives -I r0 -4 10.2.0.9 10.1.0.2
add_addr r r1 10.2.0.9/24
meets "an address that is new here" martian -I r0 -4 10.2.0.9 10.1.0.2
ip -n "$NS-r" addr del 10.2.0.9/24 dev r1
meets "an address that was here" arrives -I r0 -4 10.2.0.9 10.1.0.2

# ---- IPv6: an own address is as good a source as any ----

for src in fd01::1 fd01::2 fd02::2; do
	meets "v6, $src to this host" arrives -I r0 -6 $src fd01::2
	meets "v6, $src to a link's group" arrives -I r0 -6 $src ff02::99
	meets "v6, $src to a site's group" arrives -I r0 -6 $src ff05::99
	meets "v6, $src to another host" forwarded -I r0 -6 $src fd02::1
done
meets "v6, from loopback" martian -I r0 -6 ::1 fd01::2
meets "v6, to loopback" martian -I r0 -6 fd01::1 ::1
meets "v6, loopback to loopback, on lo" arrives -I lo -6 ::1 ::1
meets "v6, from a group" martian -I r0 -6 ff02::1 fd01::2
meets "v6, to an interface's group" martian -I r0 -6 fd01::1 ff01::99
meets "v6, to a group of no scope" martian -I r0 -6 fd01::1 ff00::99

# ---- an interface without link header, and one of a VRF ----

if ip -n "$NS-r" tuntap add tun9 mode tun 2>/dev/null; then
	add_addr r tun9 10.9.0.2/24
	ip -n "$NS-r" link set tun9 up
	r divertctl attach >/dev/null
	meets "tun, a neighbour to this host" arrives -I tun9 -4 10.9.0.1 10.9.0.2
	meets "tun, this host to itself" martian -I tun9 -4 10.9.0.2 10.1.0.2
	meets "tun, v6, from loopback" martian -I tun9 -6 ::1 fd01::2
	ip -n "$NS-r" link del tun9
else
	echo "skip tun: this kernel has none"
fi
if ip -n "$NS-r" link add blue type vrf table 10 2>/dev/null; then
	ip -n "$NS-r" link set blue up
	link r r3 10.4.0.2/24 10.2.0.2/24 -- b b3 10.4.0.1/24
	ip -n "$NS-r" link set r3 master blue
	r divertctl attach >/dev/null
	conf net.ipv4.udp_l3mdev_accept=1
	meets "VRF, a neighbour to this host" arrives -I r3 -4 10.4.0.1 10.4.0.2
	meets "VRF, the interface's address" martian -I r3 -4 10.4.0.2 10.2.0.2
	meets "VRF, an address outside of it" martian -I r3 -4 10.1.0.2 10.4.0.2
	ip -n "$NS-r" link del r3
	ip -n "$NS-r" link del blue
else
	echo "skip VRF: this kernel has none"
fi

hooks_in

# ---- a spoofed packet from outside, with an own address as its source: divert does not let it in
# ----

add_addr a lo 10.2.0.2/32
r ipfw -q add 50 divert 2000 udp from 10.2.0.2 to any 9 in recv r0
reflect back r 2000
before=$(seen)
for _ in 1 2 3; do
	n a bash -c "printf 0123456789abcdef |
		socat -u - UDP4-SENDTO:10.1.0.2:9,bind=10.2.0.2"
done
spoofed() { [ "$(stat_of r 2000 martian)" = 3 ]; }
wait_for 2 "the spoofed packets" spoofed
stop back
is "spoofed: read and written back" "$(count back sent)" 3
is "spoofed: counted, at the port" "$(stat_of r 2000 martian)" 3
is "spoofed: none arrived" "$(seen)" "${before% *} $((${before##* } + 3))"
is "none was lost otherwise" "$(count_of lost-on-entry)" 0
