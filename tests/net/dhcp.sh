#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# DHCP on a router that diverts, as the server and as a relay, and on a client that diverts. h asks
# r, or asks b by way of r. Each lease is taken, renewed and released, first without divert, and
# then with in, out, and both. The client is told the same, and all hosts get the same packets. The
# network is lib.sh's, and a LAN behind r, in which c hears all broadcasts:
#
#	a 10.1.0.1 --- 10.1.0.2 r0  r1 10.2.0.2 --- 10.2.0.1 b0
#	h h0 ------------+
#	                 w ------ r3 10.6.0.2
#	c c0 10.6.0.1 ---+
. "$(dirname "$0")/lib.sh"
for tool in dnsmasq busybox; do
	command -v $tool >/dev/null || skip_all "no $tool"
done
make_router
for x in c h w; do make_ns $x; done
n w ip link add br0 type bridge
n w ip link set br0 up
link c c0 10.6.0.1/24 -- w wc
link h h0 -- w wh
link r r3 10.6.0.2/24 -- w wr
for i in wc wh wr; do n w ip link set $i master br0; done
n h ip link set h0 address 02:00:00:00:00:68
cat >"$TMP/lease" <<-'SCRIPT'
	#!/bin/sh
	case $1 in
	bound | renew)
		ip addr replace "$ip/$mask" dev "$interface"
		ip route replace default via "$router"
		;;
	deconfig) ip addr flush dev "$interface" ;;
	esac
	echo "$1 $ip $router $serverid $lease"
SCRIPT
chmod +x "$TMP/lease"
dnsmasq=(dnsmasq -k --conf-file=/dev/null --user=root --pid-file --no-resolv --no-hosts --port=0)
range=(--no-ping --dhcp-authoritative "--dhcp-leasefile=$TMP/leases")
range+=("--dhcp-range=10.6.0.50,10.6.0.99,255.255.255.0,1h" "--dhcp-option=3,10.6.0.2")
serves() { nq "$1" ss -Hnlu 'sport = :67' | grep -q .; }
said() { grep -q "^$1 " "$TMP/client.out"; }
leased() { [ -s "$TMP/leases" ]; }
released() { ! leased; }
dhcp() { # WHAT OPTION... of udhcpc
	local what=$1 ip
	shift
	# the client asks again after three seconds, and broadcasts more
	: >"$TMP/leases"
	start client h busybox udhcpc -f -n -t 10 -T 3 -i h0 -s "$TMP/lease" "$@"
	wait_for 10 "$what: a lease" said bound
	ip=$(sed -n 's/^bound \([^ ]*\) .*/\1/p' "$TMP/client.out")
	wait_for 5 "$what: the server's lease" leased
	works "$what, $mode: the server knows it" grep -q " 02:00:00:00:00:68 $ip " "$TMP/leases"
	kill -USR1 "${pid_client:-}"
	wait_for 10 "$what: renewed" said renew
	kill -USR2 "${pid_client:-}"
	wait_for 10 "$what: released" released
	stop client
}
# twice WHAT: runs with the flag for broadcast answers, and without it
twice() {
	local flag
	for flag in "" -B; do
		: >"$TMP/seen"
		# if a request is broadcast again, the relay answers it to one host
		[ -z "$flag" ] || ignore+='\|10.6.0.2>10.6.0.[0-9]* 64 192'
		# shellcheck disable=SC2086 # none, or one
		dhcp "$1${flag:+, $flag}" $flag
		is "$1${flag:+, $flag}, $mode: what the client was told" "$(sort -u "$TMP/client.out")" \
			"$(kept "$1$flag.told" sort -u "$TMP/client.out")"
		is "$1${flag:+, $flag}, $mode: what was seen" "$(saw | sort -u)" \
			"$(kept "$1$flag.seen" eval 'saw | sort -u')"
		[ "$mode" = plain ] || works "$1${flag:+, $flag}, $mode: it was diverted" test "$(all_diverted)" -gt 0
	done
	ignore=$again
}
# kept NAME COMMAND: prints what the command printed the first time
kept() {
	local file=$TMP/kept.${1//[^a-zA-Z0-9]/_}
	[ -e "$file" ] || "${@:2}" >"$file"
	cat "$file"
}
# packets that are sent again if an answer takes long
again='10.6.0.[0-9]*>255.255.255.255 64 0 ' ignore=$again
for x in a b c h; do watch $x $x; done
for who in server relay client; do
	case $who in
	server) start dhcpd r "${dnsmasq[@]}" "${range[@]}" --interface=r3 ;;
	relay)
		start dhcpd b "${dnsmasq[@]}" "${range[@]}" --interface=b0
		start relay r "${dnsmasq[@]}" --dhcp-relay=10.6.0.2,10.2.0.1
		wait_for 10 "DHCP server" serves b
		;;
	client) at=h ;;
	esac
	wait_for 10 "DHCP $who" serves r
	for m in plain in out both batches; do
		[ "$at$m" != hbatches ] || continue
		in_mode "$m"
		twice "DHCP $who"
		end_mode "DHCP $who"
	done
	[ $who != server ] || stop dhcpd
done
