#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Divert on a host like one that runs containers. r translates a's addresses (masquerade) and
# publishes a port of a's (dnat). It forwards only connections that a began (ct state), and sends
# marked packets by another route (policy routing by fwmark). "Packets pass netfilter and conntrack
# once; NAT and stateful rules stay right". The rules of r divert nothing, then in, out, and both.
# Each time the connections, the addresses seen from outside, and the counts in nftables are the
# same. They stay so if the rule comes and goes in the middle of a connection.
#
#	a 10.1.0.1 ---- r0 r r1 10.2.0.2 ---- b 10.2.0.1, 10.99.0.1: no route to 10.1.0.0/24
#	                     r2 10.3.0.2 ---- b 10.3.0.1 (by mark 7)
. "$(dirname "$0")/lib.sh"
make_router
link r r2 10.3.0.2/24 fd03::2/64 -- b b2 10.3.0.1/24 fd03::1/64
ip -n "$NS-b" route del default
ip -n "$NS-b" -6 route del default
ip -n "$NS-b" addr add 10.99.0.1/32 dev lo
ip -n "$NS-b" addr add fd99::1/128 dev lo
r ip route add 10.99.0.1/32 via 10.2.0.1
r ip -6 route add fd99::1/128 via fd02::1
for family in -4 -6; do r ip $family rule add fwmark 7 lookup 100; done
r ip route add default via 10.3.0.1 table 100
r ip -6 route add default via fd03::1 table 100
r sysctl -qw net.ipv4.conf.all.rp_filter=2 net.ipv4.conf.r2.rp_filter=2
wait_for 5 "no tentative address" all_ready
quiet() { "$@" >/dev/null 2>&1; }

cat >"$TMP/nft" <<'NFT'
table ip nat {
	chain pre {
		type nat hook prerouting priority -100
		iifname "r1" tcp dport 8080 dnat to 10.1.0.1:80
	}
	chain out {
		type nat hook output priority -100
		ip daddr 10.2.0.1 tcp dport 81 dnat to 10.2.0.1:80
	}
	chain post {
		type nat hook postrouting priority 100
		oifname { "r1", "r2" } masquerade
	}
}
table ip6 nat {
	chain pre {
		type nat hook prerouting priority -100
		iifname "r1" tcp dport 8080 dnat to [fd01::1]:80
	}
	chain out {
		type nat hook output priority -100
		ip6 daddr fd02::1 tcp dport 81 dnat to [fd02::1]:80
	}
	chain post {
		type nat hook postrouting priority 100
		oifname { "r1", "r2" } masquerade
	}
}
table inet fw {
	counter began { }
	counter known { }
	counter invalid { }
	counter pings { }
	chain marks {
		type filter hook prerouting priority -150
		iifname "r0" meta mark set ct mark
		iifname "r0" meta mark 0 tcp dport 7001 meta mark set 7
		iifname "r0" ct mark set meta mark
	}
	chain ours {
		type route hook output priority -150
		tcp dport 7002 meta mark set 7
	}
	chain forw {
		type filter hook forward priority 0; policy drop
		meta l4proto { icmp, ipv6-icmp } counter name pings
		ct state invalid counter name invalid drop
		ct state established,related counter name known accept
		ct state new iifname "r0" counter name began accept
		ct status dnat counter name began accept
	}
	chain inp {
		type filter hook input priority 0; policy drop
		ct state established,related accept
		ip6 nexthdr icmpv6 icmpv6 type { 133, 134, 135, 136 } accept
		iifname "lo" accept
	}
}
NFT
r nft -f "$TMP/nft" 2>"$TMP/nft.err" || skip_all "nftables here lacks something: $(head -1 "$TMP/nft.err")"

for x in a b; do
	for port in 80 7001 7002; do
		serve "http$x$port" $x $port
	done
done
head -c 1000000 /dev/urandom >"$TMP/data"
sum=$(sha256sum <"$TMP/data" | cut -d' ' -f1)
fetched=$(python3 -c 'import hashlib, random; print(hashlib.sha256(random.Random(1).randbytes(1000000)).hexdigest())')

# who WHAT NS URL EXPECTED: checks the address by which the server at URL sees the client
who() { is "$1" "$(nq "$2" curl -s -g -m 2 "http://$3/who")" "$4"; }

# both WHAT NS URL: sends a megabyte in each direction
both() {
	is "$1, there" "$(nq "$2" curl -s -g -m 5 "http://$3/1000000" | sha256sum | cut -d' ' -f1)" "$fetched"
	is "$1, back" "$(nq "$2" curl -s -g -m 5 --data-binary "@$TMP/data" -H Expect: "http://$3/")" "$sum"
}
counter() { q nft list counter inet fw "$1" | awk '/packets/ {print $2}'; }
known_bytes() { q nft list counter inet fw known | awk '/packets/ {print $4}'; }

connections() { # WHAT VERSION
	local v=$2 world way host by name
	if [ "$v" = 4 ]; then
		world=10.99.0.1 way=10.2.0.1 host=10.2.0.2 by=10.3.0.2
	else
		world="[fd99::1]" way="[fd02::1]" host="[fd02::2]" by=fd03::2
	fi
	name="$1, v$v"
	r nft reset counters table inet fw >/dev/null
	who "$name: masquerade" a "$world" "${host//[\[\]]/}"
	both "$name: masquerade" a "$world"
	who "$name: published port" b "$host:8080" "${way//[\[\]]/}"
	both "$name: published port" b "$host:8080"
	who "$name: policy routing by fwmark, forwarded" a "$world:7001" $by
	both "$name: policy routing by fwmark, forwarded" a "$world:7001"
	is "$name: conntrack saw each connection begin once" "$(counter began)" 9
	who "$name: policy routing by fwmark, own" r "$world:7002" $by
	both "$name: policy routing by fwmark, own" r "$world:7002"
	who "$name: dnat of the host's own" r "$way:81" "${host//[\[\]]/}"
	both "$name: dnat of the host's own" r "$way:81"
	works "$name: ping, masquerade" ping_ a "${world//[\[\]]/}" 5
	is "$name: netfilter saw each ping once" "$(counter pings)" 10
	fails "$name: what is not published is dropped" quiet n b curl -s -g -m 0.3 "http://$host:80/who"
	is "$name: nothing invalid for conntrack" "$(counter invalid)" 0
}

for mode in plain in out both; do
	r ipfw -q flush
	case $mode in
	in | out) r ipfw -q add 100 divert 8668 ip from any to any $mode ;;
	both) r ipfw -q add 100 divert 8668 ip from any to any ;;
	esac
	[ $mode = plain ] || reflect back r 8668
	connections "diverted $mode" 4
	connections "diverted $mode" 6
	if [ $mode != plain ]; then
		stop back
		all_back "diverted $mode" back
		works "diverted $mode: all of it was" test "$(count back received)" -gt 1000
	fi
done

# POSTs a file in small parts for some seconds. A newer curl with --limit-rate would send once a
# second, all of it.
slowly='
import http.client, os, sys, time
def parts(path):
    with open(path, "rb") as f:
        while part := f.read(15000):
            yield part
            time.sleep(0.02)
host, port, path = sys.argv[1].strip("[]"), int(sys.argv[2]), sys.argv[3]
c = http.client.HTTPConnection(host, port, timeout=20)
c.request("POST", "/", parts(path), {"Content-Length": str(os.path.getsize(path))})
sys.stdout.write(c.getresponse().read().decode())'

# the rule comes and goes while a connection lasts
reflect back r 8668
head -c 3000000 /dev/urandom >"$TMP/data"
sum=$(sha256sum <"$TMP/data" | cut -d' ' -f1)
for to in 10.99.0.1 "[fd99::1]"; do
	r ipfw -q flush
	start slow a python3 -c "$slowly" "$to" 7001 "$TMP/data"
	slow=$pid
	for round in 1 2 3 4; do
		was=$(known_bytes) # segments may go as one packet
		on() { [ "$(known_bytes)" -gt $((was + 100 * 1500)) ]; }
		wait_for 5 "$to: the connection goes on, round $round" on
		case $round in
		1) r ipfw -q add 100 divert 8668 ip from any to any ;;
		2) r ipfw -q add 50 divert 8668 ip from any to any in ;;
		3) r ipfw -q delete 100 ;;
		4) r ipfw -q flush ;;
		esac
	done
	wait "$slow"
	is "a connection to $to outlives that the rule comes and goes" "$(cat "$TMP/slow.out")" "$sum"
done
stop back
all_back "rules that come and go" back
