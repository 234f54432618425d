#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# An IPsec tunnel between r and b. Packets from a to 10.7.0.1 go through it. r's rules divert them
# at different places:
#
#	a 10.1.0.1 --- 10.1.0.2 r 10.2.0.2 === ESP === 10.2.0.1 b (10.7.0.1)
#
# The packets of the tunnel, and packets on their way into it, are diverted as others. A packet that
# is diverted after it has come out of the tunnel has lost the mark that it came through it. So r's
# policies drop it, and it is counted.
. "$(dirname "$0")/lib.sh"
make_router
n b ip addr add 10.7.0.1/32 dev lo
n b ip route replace 10.1.0.0/24 via 10.2.0.2
n r ip route add 10.7.0.0/24 via 10.2.0.1

null=(enc 'ecb(cipher_null)' '' auth 'hmac(sha1)' 0x0102030405060708090a0b0c0d0e0f1011121314)
# tunnel SOURCE DESTINATION NUMBER: adds a state
# policy NS SOURCE-NET DESTINATION-NET DIRECTION SOURCE DESTINATION NUMBER: adds a policy
tunnel() {
	for at in r b; do
		n $at ip xfrm state add src "$1" dst "$2" proto esp spi "$3" reqid "$3" mode tunnel "${null[@]}" \
			2>"$TMP/said" || skip_all "ESP: $(cat "$TMP/said")"
	done
}
policy() { n "$1" ip xfrm policy add src "$2" dst "$3" dir "$4" tmpl src "$5" dst "$6" proto esp reqid "$7" mode tunnel; }
tunnel 10.2.0.2 10.2.0.1 1
tunnel 10.2.0.1 10.2.0.2 2
policy r 10.1.0.0/24 10.7.0.0/24 out 10.2.0.2 10.2.0.1 1
policy b 10.7.0.0/24 10.1.0.0/24 out 10.2.0.1 10.2.0.2 2
for dir in in fwd; do
	policy r 10.7.0.0/24 10.1.0.0/24 $dir 10.2.0.1 10.2.0.2 2
	policy b 10.1.0.0/24 10.7.0.0/24 $dir 10.2.0.2 10.2.0.1 1
done

works "the tunnel, not diverted" ping_ a 10.7.0.1 3
for rule in "ip from any to any out" "ip from any to any in recv r0" "esp from any to any"; do
	q ipfw -q -f flush
	# shellcheck disable=SC2086 # words
	q ipfw -q add 100 divert 2000 $rule
	reflect back r 2000
	works "divert $rule" ping_ a 10.7.0.1 3
	stop back
done
is "none of these is counted as ipsec" "$(stat_of r 2000 ipsec)" 0

q ipfw -q -f flush
q ipfw -q add 100 divert 2001 icmp from any to any in recv r1
for how in "" -m; do
	# shellcheck disable=SC2086 # none, or one
	reflect back r $how 2001
	was=$(stat_of r 2001 ipsec)
	for to in a r; do # forwarded, and for this host
		from=()
		[ $to = a ] || from=(-I 10.1.0.2)
		n $to ping -q -n -c 2 -i 0.1 -W 1 "${from[@]}" 10.7.0.1 >/dev/null
	done
	is "behind the tunnel${how:+, $how}: counted" "$(($(stat_of r 2001 ipsec) - was))" 4
	stop back
done

n r sysctl -qw net.ipv4.conf.r1.disable_policy=1
was=$(stat_of r 2001 ipsec)
reflect back r 2001
works "behind the tunnel, disable_policy" ping_ a 10.7.0.1 3
stop back
is "disable_policy: none is counted" "$(($(stat_of r 2001 ipsec) - was))" 0
