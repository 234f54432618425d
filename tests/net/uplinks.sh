#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A router with two uplinks, and other cases where a packet is more than its bytes: hairpin, NAT, a
# time to leave at, sockets bound to devices, children of an interface. Each case runs first without
# divert, then in, out, and both. Other hosts must get the same packets, by the same interface, with
# the same link addresses. The network is lib.sh's, a second link from r to b, and a second LAN
# behind r:
#
#	                          r1 10.2.0.2 --- 10.2.0.1 b0
#	a 10.1.0.1 --- 10.1.0.2 r0                            b (10.9.9.9, fd09::9)
#	                          u2 10.4.0.2 --- 10.4.0.1 u2
#	c c0 10.6.0.1 ---+
#	                 w ------ r3 10.6.0.2
#	d d0 10.6.0.3 ---+
#	(10.5.0.5, fd05::5)
#
# The main routes to 10.9.9.9 lead by r1; those of table 7 lead by u2.
# long: many kinds of links, each in each mode
. "$(dirname "$0")/lib.sh"
make_router
for x in c d w; do make_ns $x; done
q sysctl -qw net.ipv4.fib_multipath_hash_policy=1 net.ipv6.fib_multipath_hash_policy=1
n w ip link add br0 type bridge
n w ip link set br0 up
link c c0 10.6.0.1/24 fd06::1/64 -- w wc
link d d0 10.6.0.3/24 fd06::3/64 10.5.0.5/32 fd05::5/128 -- w wd
link r r3 10.6.0.2/24 fd06::2/64 -- w wr
for i in wc wd wr; do n w ip link set $i master br0; done
n b ip addr add 10.9.9.9/32 dev lo
n b ip -6 addr add fd09::9/128 dev lo nodad
n r ip route add 10.9.9.9 via 10.2.0.1
n r ip -6 route add fd09::9 via fd02::1
for x in c d; do
	n $x ip route add default via 10.6.0.2
	n $x ip -6 route add default via fd06::2
	for i in all ${x}0; do n $x sysctl -qw net.ipv4.conf.$i.accept_redirects=0 net.ipv6.conf.$i.accept_redirects=0; done
done
n r ip route add 10.5.0.0/24 via 10.6.0.3
# an IPv6 redirect names a link-local address
n r ip -6 route add fd05::/64 via "$(ip -n "$NS-d" -6 -br addr show dev d0 scope link | grep -o 'fe80[^/]*')" dev r3
for x in r b; do
	n $x bash -c 'for i in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$i; done'
done

# ---- the packets that arrive ----

sends() { n "$1" "$PROGS/way" "${@:2}"; }
has_lines() { [ "$(grep -vc "$ignore" "$TMP/seen")" -ge "$1" ]; }

# counted: prints the counters of the engine and of the kernel's queues
# is_same WHAT GOT EXPECTED BEFORE: if they differ, it prints what was counted since BEFORE, which
# shows where packets were lost
counted() {
	local dropped
	nq $at divertctl stat -a 2000
	while read -r _ dropped _; do echo "dropped by the backlog $dropped"; done </proc/net/softnet_stat
}
is_same() {
	is "$1" "$2" "$3"
	[ "$2" = "$3" ] || diff <(echo "$4") <(counted) | sed -n 's/^[<>]/#&/p'
}

# sees NAME N PATTERN COMMAND...: in the first mode that has this case, N packets arrive, and all
# match PATTERN. In the other modes the same packets arrive, and some were diverted. The address $as
# is kept as FROM; lines that match $ignore do not count.
as=FROM
sees() {
	local name=$1 number=$2 pattern=$3 before=0 kept was
	shift 3
	kept=$TMP/kept.${name//[^a-zA-Z0-9]/_}
	[ "$mode" = plain ] || before=$(all_diverted)
	was=$(counted)
	: >"$TMP/seen"
	"$@" >"$TMP/said" 2>&1 || cat "$TMP/said"
	wait_for 5 "$name, $mode: arrival" has_lines "$number"
	sed "s/\<$as>/FROM>/; s/>$as\>/>FROM/" <(saw) | sort >"$TMP/now"
	if [ ! -e "$kept" ]; then
		cp "$TMP/now" "$kept"
		is "$name, $mode" "$(grep -cE "$pattern" "$TMP/now") of $(wc -l <"$TMP/now")" "$number of $number"
		return
	fi
	is_same "$name, $mode" "$(cat "$TMP/now")" "$(cat "$kept")" "$was"
	case $mode in
	plain | in | out) ;; # not all cases have packets that pass on one side
	*) works "$name, $mode: it was diverted" test "$(all_diverted)" -gt "$before" ;;
	esac
}

serve http b 80
fetched=$(nq b curl -s http://127.0.0.1/1000000 | sha256sum)
who() { is "$1, $mode" "$(nq "$2" curl -s -m 5 "http://$3/who")" "$4"; }
fetches() {
	is "$1, $mode: a megabyte" "$(nq "$2" curl -s -m 10 "http://$3/1000000" | sha256sum)" "$fetched"
}
pings() { n "$1" ping -q -n -i 0.05 -W 1 -c 3 "${@:2}"; }

watch a a
watch b b
watch c c
watch d d

# ---- two uplinks ----

# by V RULE...: adds an ip rule that leads to table 7, for the next case; no_rules: removes these
# rules
rules=()
by() {
	rules+=("$*")
	q ip "-$1" rule add "${@:2}" table 7
}
no_rules() {
	local rule
	for rule in "${rules[@]}"; do
		# shellcheck disable=SC2086 # words
		q ip -${rule%% *} rule del ${rule#* } table 7
	done
	rules=()
}
# nft_rules TYPE HOOK RULE: adds a rule in a table of its own, for the next case
nft_rules() {
	q nft add table inet "$2"
	q nft add chain inet "$2" c "{ type $1 hook $2 priority -150; }"
	q nft add rule inet "$2" c "$3"
}

uplinks() { # KIND V
	local what="$1, v$2" v=$2 to=10.9.9.9 own=10.4.0.2 lan=10.1.0.0/24 inner=10.1.0.1
	local one="^b b0 " two="^b u2 " bound=
	[ "$1" != vrf ] || bound=device=u2 # the other kinds have no such address
	if [ "$v" = 6 ]; then
		to=fd09::9 own=fd04::2 lan=fd01::/64 inner=fd01::1
	fi
	sees "$what, main route" 6 "$one" eval 'sends r 3 $to 9 sport=5001; sends a 3 $to 9 sport=5001'
	by $v from $lan
	sees "$what, by source, forwarded" 3 "$two" sends a 3 $to 9 sport=5002
	no_rules
	by $v from $own
	sees "$what, by source, own" 3 "$two" sends r 3 $to 9 sport=5003 source=$own $bound
	no_rules
	by $v fwmark 7
	sees "$what, by SO_MARK" 3 "$two" sends r 3 $to 9 sport=5004 mark=7
	nft_rules filter prerouting "iifname r0 udp dport 9 meta mark set 7"
	sees "$what, by mark, forwarded" 3 "$two" sends a 3 $to 9 sport=5005
	q nft delete table inet prerouting
	nft_rules route output "udp dport 9 meta mark set 7"
	sees "$what, by mark, own, routed once more" 3 "$two" sends r 3 $to 9 sport=5006
	q nft delete table inet output
	no_rules
	by $v iif r0
	sees "$what, by incoming interface" 3 "$two" sends a 3 $to 9 sport=5007
	no_rules
	by $v oif u2
	sees "$what, by outgoing interface" 3 "$two" sends r 3 $to 9 sport=5008 device=u2
	no_rules
	# the ports are in the same order, so that rules by port can tell them apart
	by $v ipproto udp sport 5009
	sees "$what, by port, own" 6 "^b (b0 .* 5010|u2 .* 5009)>" eval \
		'for port in 5010 5009; do sends r 3 $to 9 sport=$port; done'
	no_rules
	# An answer leaves by the uplink that its request came by. The link below an ipvlan gets
	# packets to be forwarded, since an ipvlan takes only packets to its own addresses.
	nft_rules filter prerouting "iifname { u2, x2 } ct mark set 7"
	q nft add rule inet prerouting c iifname r0 meta mark set ct mark
	nft_rules route output "meta mark set ct mark"
	by $v fwmark 7
	sees "$what, an answer by connection mark, own" 3 "$two.*reply" n b ping -q -n -i 0.05 -W 1 -c 3 -I $to $own
	n b ip -$v route add $inner via $own
	sees "$what, an answer by connection mark, forwarded" 6 "($two.*reply|^a a0 .*echo)" \
		n b ping -q -n -i 0.05 -W 1 -c 3 -I $to $inner
	n b ip -$v route del $inner
	no_rules
	q nft delete table inet prerouting
	q nft delete table inet output
}

# both uplinks at once: each flow keeps its uplink
multipath() { # KIND V
	local what="$1, v$2" v=$2 to=10.9.9.9 one="via 10.2.0.1 dev r1" two="via 10.4.0.1 dev u2" from
	[ "$v" = 4 ] || to=fd09::9 one="via fd02::1 dev r1" two="via fd04::1 dev u2"
	q ip -$v route del $to
	# shellcheck disable=SC2086 # words
	q ip -$v route add $to nexthop $one nexthop $two
	for from in r a; do
		# IPv6 then goes by the flow label
		[ $from$v != a6 ] || q sysctl -qw net.ipv6.fib_multipath_hash_policy=0
		sees "$what, two ways at once, from $from" 32 "^b (b0|u2) " sends $from 2 $to 9 sport=5101-5116
		[ $mode != plain ] || is "$what, two ways at once, from $from: both are used" \
			"$(cut -d' ' -f2 "$TMP/now" | sort -u | paste -sd' ')" "b0 u2"
	done
	q sysctl -qw net.ipv6.fib_multipath_hash_policy=1
	# by the hash that came with the packet: IPv6 senders and network cards give one
	[ $v = 4 ] || sees "$what, two ways at once, by the packet's hash, from a" 32 "^b (b0|u2) " \
		sends a 2 $to 9 sport=5101-5116
	q ip -$v route del $to
	# shellcheck disable=SC2086 # words
	q ip -$v route add $to $one
}

# child KIND: the words for ip link; an ipvlan in its default mode, l3, has no neighbours
child() { if [ "$1" = ipvlan ]; then echo ipvlan mode l2; else echo "$1"; fi; }
# second KIND: makes the link u2, and the routes by it; status 77: the kernel lacks something
second() {
	case $1 in
	veth | tbf | netem | fq | fq_codel) link r u2 -- b u2 ;;
	vlan)
		q ip link add u2 link r1 type vlan id 7 || return
		n b ip link add u2 link b0 type vlan id 7
		;;
	macvlan | ipvlan)
		link r x2 -- b u2
		# shellcheck disable=SC2046 # words
		q ip link add u2 link x2 type $(child "$1") || { q ip link del x2 && return 1; }
		;;
	vrf)
		q ip link add blue type vrf table 7 || return
		q ip link set blue up
		link r u2 -- b u2
		q ip link set u2 master blue
		q ip route add 10.1.0.0/24 dev r0 table 7
		q ip -6 route add fd01::/64 dev r0 table 7
		;;
	wireguard)
		command -v wg || return
		q ip link add u2 type wireguard || return
		n b ip link add u2 type wireguard
		for x in r b; do (umask 77 && wg genkey >"$TMP/key.$x"); done
		q wg set u2 listen-port 5555 private-key "$TMP/key.r" peer "$(wg pubkey <"$TMP/key.b")" \
			allowed-ips 0.0.0.0/0,::/0 endpoint 10.2.0.1:5555
		n b wg set u2 listen-port 5555 private-key "$TMP/key.b" peer "$(wg pubkey <"$TMP/key.r")" \
			allowed-ips 0.0.0.0/0,::/0 endpoint 10.2.0.2:5555
		;;
	esac
	for x in r b; do
		n $x sysctl -qw net.ipv4.conf.u2.rp_filter=0
		n $x ip link set u2 up
	done
	add_addr r u2 10.4.0.2/24
	add_addr r u2 fd04::2/64
	add_addr b u2 10.4.0.1/24
	add_addr b u2 fd04::1/64
	q ip route replace default via 10.4.0.1 dev u2 table 7
	q ip -6 route replace default via fd04::1 dev u2 table 7
	case $1 in
	tbf) q tc qdisc add dev u2 root tbf rate 100mbit burst 64k limit 1000000 || return ;;
	netem) q tc qdisc add dev u2 root netem delay 20ms || return ;;
	fq | fq_codel) q tc qdisc add dev u2 root "$1" || return ;;
	esac
}
end_second() {
	q ip link del u2 2>/dev/null
	n b ip link del u2 2>/dev/null
	for i in blue x2; do q ip link del $i 2>/dev/null; done
	q ip route flush table 7
	q ip -6 route flush table 7
}
# carries ADDRESS: if u2 is in a VRF, no other table leads there
carries() { n r ping -q -n -c 1 -W 1 -I u2 "$1"; }
q divertctl attach >/dev/null
ping_ r 10.2.0.1
ping_ r fd02::1
ping_ a 10.1.0.2
ping_ a fd01::2

for kind in tbf netem fq fq_codel vlan macvlan ipvlan vrf wireguard veth; do
	if ! second $kind >"$TMP/said" 2>&1; then
		echo "skip second uplink, $kind: $(tail -1 "$TMP/said")"
		end_second
		continue
	fi
	wait_for 5 "$kind: no tentative address" all_ready
	q divertctl attach >/dev/null
	wait_for 10 "$kind: it carries" carries 10.4.0.1
	wait_for 10 "$kind: it carries IPv6" carries fd04::1
	modes=(plain both)
	# veth is the last kind; its link stays
	[ $kind != veth ] || modes=(plain in out both batches)
	for m in "${modes[@]}"; do
		in_mode "$m"
		for v in 4 6; do
			uplinks $kind $v
			[ $kind = vrf ] || multipath $kind $v # the next hops would be in two tables
		done
		end_mode "$kind"
	done
	[ $kind = veth ] || end_second
done

# ---- NAT on both uplinks: by nftables, whose packets are diverted, and by natd on each uplink ----

natd() { # NAME ARGUMENTS...
	start "$1" r divert-run python3 "$HERE/natd.py" "${@:2}"
	wait_for 10 "$1" grep -q bound "$TMP/$1.out"
}
nat_way() { # WHAT SPORT UPLINK PUBLIC
	sees "NAT, $1" 3 "^b $3 .* $4>" sends a 3 10.9.9.9 9 sport="$2"
	sees "NAT, $1, answered" 6 "^b $3 .* $4>.*echo|^a a0 .* 10.9.9.9>10.1.0.1 .*reply" pings a 10.9.9.9
	who "NAT, $1, TCP" a 10.9.9.9 "$4"
	fetches "NAT, $1" a 10.9.9.9
}
cat >"$TMP/snat" <<-NFT
	table ip nat {
		chain post {
			type nat hook postrouting priority 100
			oifname "r1" snat to 10.2.0.2
			oifname "u2" snat to 10.4.0.2
		}
	}
NFT
q nft -f "$TMP/snat"
n b ip route del default
for m in plain in out both natd "natd in" "natd out" "natd both"; do
	in_mode "$m"
	case $m in natd*)
		q nft delete table ip nat 2>/dev/null
		# the natd rules stand before the divert rule, or behind it
		if [ "$m" = "natd out" ]; then where=50; else where=150; fi
		natd natd1 8668 10.2.0.2
		natd natd2 8669 10.4.0.2
		q ipfw -q add $where divert 8668 ip4 from any to any via r1
		q ipfw -q add $where divert 8669 ip4 from any to any via u2
		;;
	esac
	nat_way "main route" 5201 b0 10.2.0.2
	by 4 from 10.1.0.0/24
	nat_way "by source" 5202 u2 10.4.0.2
	no_rules
	by 4 fwmark 7
	nft_rules filter prerouting "iifname r0 meta mark set 7"
	nat_way "by mark" 5203 u2 10.4.0.2
	q nft delete table inet prerouting
	no_rules
	by 4 iif r0
	nat_way "by interface" 5204 u2 10.4.0.2
	no_rules
	by 4 ipproto udp dport 9
	sees "NAT, two ways at once" 6 "^b (b0 .* 10.2.0.2>.*echo|u2 .* 10.4.0.2>.*9)|^a a0 .*reply" eval \
		'sends a 1 10.9.9.9 9 sport=5205; n a ping -q -c1 -W1 10.9.9.9; sends a 1 10.9.9.9 9 sport=5206
		n a ping -q -c1 -W1 10.9.9.9'
	no_rules
	end_mode NAT
	case $m in natd*) stop natd1 && stop natd2 ;; esac
done

# natd runs before the route look-up: the source that it gives chooses the uplink
n b ip route add 10.77.0.1 via 10.4.0.2
for m in natd "natd in" "natd out" "natd both"; do
	in_mode "$m"
	natd natd1 8668 10.77.0.1 10.1.0.2
	q ipfw -q add 150 divert 8668 ip4 from 10.1.0.0/24 to 10.9.9.9 in recv r0
	q ipfw -q add 150 divert 8668 ip4 from any to 10.77.0.1 in recv u2
	by 4 from 10.77.0.1
	nat_way "before the look-up" 5207 u2 10.77.0.1
	no_rules
	end_mode "NAT before the look-up"
	stop natd1
done
n b ip route del 10.77.0.1
n b ip route add default via 10.2.0.2

# ---- hairpin: a packet leaves by the interface that it came in by ----

hairpin() { # V NUMBER
	local v=$1 to=10.5.0.5 inner=10.6.0.3
	as=10.6.0.$2
	[ "$v" = 4 ] || { to=fd05::5 inner=fd06::3 as=fd06::$2; }
	add_addr c c0 "$as"
	q sysctl -qw net.ipv4.conf.all.send_redirects=1 net.ipv4.conf.r3.send_redirects=1
	sees "hairpin, v$v, and the sender is told" 2 "^(d d0 .* FROM>$to .*9|c c0 .*>FROM .*redirect)" \
		sends c 1 $to 9 source="$as" sport=5301
	q sysctl -qw net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.r3.send_redirects=0
	[ "$v" = 6 ] || sees "hairpin, v$v, answered" 6 "^d d0 .*echo|^c c0 .*reply" pings c -I "$as" $to
	n c ip addr del "$as" dev c0
	as=FROM
}
number=100
for m in plain in out both batches; do
	in_mode "$m"
	number=$((number + 1))
	hairpin 4 $number
	hairpin 6 $number
	end_mode hairpin
done

# with NAT: a client inside asks a service inside by its outside address
serve httpd d 80
hairpin_nat() { # V
	local v=$1 public=10.2.0.2 inner=10.6.0.3 router=10.6.0.2
	[ "$v" = 4 ] || { public=fd02::2 inner=fd06::3 router=fd06::2; }
	sees "hairpin NAT, v$v" 6 "^d d0 .* $router>$inner .*echo|^c c0 .* $public>.*reply" pings c $public
	[ "$v" = 4 ] || public="[$public]"
	who "hairpin NAT, v$v, TCP" c "$public" $router
	fetches "hairpin NAT, v$v" c "$public"
}
cat >"$TMP/hairpin" <<-NFT
	table ip nat {
		chain pre { type nat hook prerouting priority -100; iifname "r3" ip daddr 10.2.0.2 dnat to 10.6.0.3; }
		chain post { type nat hook postrouting priority 100; iifname "r3" oifname "r3" masquerade; }
	}
	table ip6 nat {
		chain pre { type nat hook prerouting priority -100; iifname "r3" ip6 daddr fd02::2 dnat to fd06::3; }
		chain post { type nat hook postrouting priority 100; iifname "r3" oifname "r3" masquerade; }
	}
NFT
q nft -f "$TMP/hairpin"
ignore=redirect # Linux sends IPv6 redirects as it likes
for m in plain in out both natd "natd in" "natd out" "natd both"; do
	in_mode "$m"
	case $m in
	natd*)
		q nft delete table ip nat 2>/dev/null
		q nft delete table ip6 nat 2>/dev/null
		start natd1 r divert-run python3 -B "$HERE/redirect.py" 8668 10.2.0.2 10.6.0.3 10.6.0.2
		wait_for 10 "redirect" grep -q bound "$TMP/natd1.out"
		q ipfw -q add 150 divert 8668 ip4 from any to any via r3
		hairpin_nat 4
		;;
	*)
		hairpin_nat 4
		hairpin_nat 6
		;;
	esac
	end_mode "hairpin NAT"
	case $m in natd*) stop natd1 2>/dev/null ;; esac
done
ignore='^$'

# ---- a time to leave at ----

# if nothing holds packets until their time, it changes nothing
for m in plain in out both batches; do
	in_mode "$m"
	for v in 4 6; do
		to=10.9.9.9 direct=10.4.0.1
		[ $v = 4 ] || to=fd09::9 direct=fd04::1
		for clock in 1 11; do # CLOCK_MONOTONIC, CLOCK_TAI
			for later in -1000 0 200; do
				sees "v$v, SO_TXTIME, clock $clock, $later ms" 3 "^b b0 " sends r 3 $to 9 \
					sport=5401 txtime=$clock:$later
			done
		done
		sees "v$v, SO_TXTIME, by device" 3 "^b u2 " sends r 3 $direct 9 sport=5402 txtime=1:50
	done
	end_mode SO_TXTIME
done
# etf needs a time: it refuses packets without one, and that is reported. It takes packets long
# before their time, as it drops those that are late.
later=$((200 * SLOW))
if q tc qdisc add dev r1 root etf clockid CLOCK_TAI delta $((later * 500000)) 2>"$TMP/said"; then
	in_mode plain
	sees "etf" 3 "^b b0 " sends r 3 10.9.9.9 9 sport=5403 txtime=11:$later
	q ipfw -q add 100 divert 2001 udp from any to any 9 out
	reflect back r 2001
	sends r 3 10.9.9.9 9 sport=5403 txtime=11:$later
	refused() { [ "$(stat_of r 2001 queue-full)" = 3 ]; }
	wait_for 5 "etf: what has no time is counted" refused
	stop back
	is "etf: it was told" "$(count back received) $(count back failed)" "3 3"
	q tc qdisc del dev r1 root
else
	echo "skip etf: $(head -1 "$TMP/said")"
fi

# ---- sockets bound to devices, with one address and port ----

devices=(x1 x2 x3 x4 x5 x6)
n r ip addr add 10.9.9.8/32 dev lo
n r ip -6 addr add fd09::8/128 dev lo nodad
for i in "${devices[@]}"; do
	k=${i#x}
	link r "$i" "10.20.$k.2/24" "fd20:$k::2/64" -- b "$i" "10.20.$k.1/24" "fd20:$k::1/64"
	q ip route add 10.9.9.9 via "10.20.$k.1" dev "$i" metric "10$k"
	q ip -6 route add fd09::9 via "fd20:$k::1" dev "$i" metric "200$k"
	n b ip route add 10.9.9.8 via "10.20.$k.2" dev "$i" metric "10$k"
	n b ip -6 route add fd09::8 via "fd20:$k::2" dev "$i" metric "200$k"
	ping_ r "10.20.$k.1"
	ping_ r "fd20:$k::1"
done
q divertctl attach >/dev/null
each() { printf '20 of 20 %s\n' "${devices[@]}"; }
bound() { # WHAT FROM SOURCE TO DESTINATION
	local was
	was=$(counted)
	rm -f "$TMP/bound.ready"
	start bound "$4" python3 "$HERE/bound.py" receive 20 "$5" 5500 "$TMP/bound.ready" "${devices[@]}"
	wait_for 10 "$1: sockets" test -s "$TMP/bound.ready"
	n "$2" python3 "$HERE/bound.py" send 20 "$3" "$5" 5500 "${devices[@]}"
	wait "${pid_bound:-}"
	is_same "$1, $mode" "$(cat "$TMP/bound.out")" "$(each)" "$was"
}
for m in plain in out both batches loans; do
	in_mode "$m"
	bound "v4, bound to devices, sent" r 10.9.9.8 b 10.9.9.9
	bound "v6, bound to devices, sent" r fd09::8 b fd09::9
	bound "v4, bound to devices, received" b 10.9.9.9 r 10.9.9.8
	bound "v6, bound to devices, received" b fd09::9 r fd09::8
	end_mode "bound to devices"
done

# ---- children of an interface that is diverted ----

MAC=$(with_sys a cat /sys/class/net/a0/address)
make_ns g
for kind in macvlan ipvlan; do
	# shellcheck disable=SC2046 # words
	if ! q ip link add g0 link r0 netns "$NS-g" type $(child $kind) 2>"$TMP/said"; then
		echo "skip $kind: $(tail -1 "$TMP/said")"
		continue
	fi
	[ $kind = ipvlan ] || n g ip link set g0 address 02:00:00:00:00:77
	n g ip link set g0 up
	add_addr g g0 10.1.0.77/24
	add_addr g g0 fd01::77/64
	wait_for 5 "$kind: no tentative address" all_ready
	watch g g
	for m in plain in out both batches; do
		in_mode "$m"
		for to in 10.1.0.77 fd01::77; do
			sees "$kind, $to" 6 "^(g g0 .*echo|a a0 .*reply)" pings a $to
			sees "$kind, $to, UDP" 3 "^g g0 " sends a 3 $to 9 sport=5601
		done
		sees "$kind, a group" 1 "^g g0 " sends a 1 ff02::1%a0 9 sport=5602 device=a0
		sees "$kind, a frame to all" 1 "^g g0 " sends a frame a0 ff:ff:ff:ff:ff:ff "$MAC" 10.1.0.1 10.1.0.255 9
		end_mode $kind
	done
	stop saw_g
	n g ip link del g0
	n a ip neigh flush dev a0 # the next one has another link address
done
if q ip link add mt0 link r0 type macvtap mode bridge 2>"$TMP/said"; then
	q ip link set mt0 address 02:00:00:00:00:78 up
	IFS=: read -r major minor < <(with_sys r sh -c 'cat /sys/devices/virtual/net/mt0/tap*/dev')
	mknod "$TMP/tap" c "$major" "$minor"
	watch guest r "$TMP/tap"
	n a ip neigh replace 10.1.0.78 lladdr 02:00:00:00:00:78 dev a0
	n a ip neigh replace fd01::78 lladdr 02:00:00:00:00:78 dev a0
	for m in plain in out both batches; do
		in_mode "$m"
		for to in 10.1.0.78 fd01::78; do
			sees "macvtap, $to" 3 "^guest tap $MAC>02:00:00:00:00:78 " sends a 3 $to 9 sport=5601
		done
		sees "macvtap, a group" 1 "^guest tap " sends a 1 ff02::1%a0 9 sport=5602 device=a0
		sees "macvtap, a frame to all" 1 "^guest tap " sends a frame a0 ff:ff:ff:ff:ff:ff "$MAC" 10.1.0.1 10.1.0.255 9
		end_mode macvtap
	done
	stop saw_guest
	q ip link del mt0
else
	echo "skip macvtap: $(tail -1 "$TMP/said")"
fi
