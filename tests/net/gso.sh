#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# "TSO/GSO packets handled": with DIVERT_GSO large packets come whole and go back whole, and reach the
# card as such; without it no packet is longer than the MTU. In both cases what arrives is what
# was sent: TCP through a router that diverts in and out, and from and to the diverting host
# itself, and UDP with UDP_SEGMENT, v4 and v6. The network is lib.sh's: a -- r -- b.
. "$(dirname "$0")/lib.sh"
make_router
SIZE=$((64 << 20))

head -c $SIZE /dev/urandom >"$TMP/data"
sum=$(sha256sum <"$TMP/data")

# lib_reflect NAME OPTIONS... PORT: on r, bound when it returns
lib_reflect() {
	local name=$1
	shift
	rm -f "$TMP/$name.ready"
	start "$name" r "$PROGS/lib_reflect" -p "$TMP/$name.ready" "$@"
	wait_for 10 "lib_reflect $*" test -s "$TMP/$name.ready"
}
longest() { sed -n 's/.*longest //p' "$TMP/$1.out"; }
listening() { ip netns exec "$NS-$1" ss -Hltn "sport = 5000" | grep -q .; }

# transfer WHAT FROM TO-NS ADDRESS
transfer() {
	start recv "$3" bash -c 'socat -b 262144 -u TCP6-LISTEN:5000,ipv6only=0,reuseaddr STDOUT | sha256sum'
	wait_for 5 "TCP receiver" listening "$3"
	works "$1: sender ends well" n "$2" timeout 20 socat -b 262144 -u "OPEN:$TMP/data" \
		"TCP:${4/*:*/[$4]}:5000"
	wait_for 5 "$1: receiver ends" test -s "$TMP/recv.out"
	is "$1: $SIZE bytes the same" "$(cat "$TMP/recv.out")" "$sum"
	wait "$pid"
}

# sniff NS IF: the longest IP packet of TCP, by its link's frames, that tcpdump saw meanwhile
sniff() {
	start sniff "$1" tcpdump -nn -q -s 80 -B 8192 -i "$2" -Q "$3" -w "$TMP/sniff.pcap" tcp
	wait_for 5 "tcpdump" grep -q 'listening on' "$TMP/sniff.err"
}
sniffed() {
	stop sniff
	tcpdump -nn -r "$TMP/sniff.pcap" -e 2>/dev/null |
		sed -n 's/.*, length \([0-9]*\): .*/\1/p' | sort -n | tail -1
}

# run WHAT LIB_REFLECT-OPTION FROM TO-NS ADDRESS IF DIRECTION: the interface of r where it is looked
run() {
	local what=$1 option=$2 from=$3 to=$4 addr=$5 dev=$6 dir=$7 seen
	lib_reflect in $option 2001
	lib_reflect out $option 2002
	sniff r "$dev" "$dir"
	transfer "$what" "$from" "$to" "$addr"
	seen=$(sniffed)
	stop in
	stop out
	is "$what: all that was read was written back" \
		"$(count in sent) $(count in failed) $(count out sent) $(count out failed)" \
		"$(count in received) 0 $(count out received) 0"
	if [ "$option" = -g ]; then
		works "$what: long packets were read ($(longest in), $(longest out))" \
			test $(($(longest in) > 3000 || $(longest out) > 3000)) = 1
		[ -z "$seen" ] || works "$what: and were sent as such ($seen on $dev)" test "$seen" -gt 3000
	else
		is "$what: no packet was longer than the MTU" \
			"$(($(longest in) <= 1500 && $(longest out) <= 1500))" 1
	fi
}

r ipfw -q add 100 divert 2001 tcp from any to any in
r ipfw -q add 200 divert 2002 tcp from any to any out
for option in -g -n1; do
	for v in 4 6; do
		case $v in
		4) at_a=10.1.0.1 at_b=10.2.0.1 at_r=10.1.0.2 lo=127.0.0.1 ;;
		6) at_a=fd01::1 at_b=fd02::1 at_r=fd01::2 lo=::1 ;;
		esac
		[ $option = -g ] && w="DIVERT_GSO, IPv$v" || w="without, IPv$v"
		run "$w, forwarded" $option a b $at_b r1 out
		run "$w, from the host" $option r a $at_a r0 out
		run "$w, to the host" $option a r $at_r r0 in
		[ $option != -g ] || run "$w, over lo" $option r r $lo lo in
	done
done
is "nothing was lost" \
	"$(r divertctl stat | grep -c 'full\|too\|malformed\|bad\|no-\|lost')" 0
