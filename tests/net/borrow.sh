#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The borrow interface of <divert.h>: a program borrows packets in place in the ring, many at a
# time, and returns them in any order or sends them on. progs/lib_borrow.c checks itself. Then 16 MB
# of TCP and pings pass a program that borrows and sends on, in and out, with and without
# DIVERT_GSO. Fragments do so, too, although they are not delivered as they lie in the ring. The
# network is lib.sh's: a -- r -- b.
. "$(dirname "$0")/lib.sh"
make_router
SIZE=$((16 << 20))

a ipfw -q add 100 divert 3000 udp from any to any 3009 out via lo
a "$PROGS/lib_borrow" 3000 3009 >"$TMP/borrow"
rc=$?
cat "$TMP/borrow"
is "lib_borrow: all of it" $rc 0

head -c $SIZE /dev/urandom >"$TMP/data"
sum=$(sha256sum <"$TMP/data")
listening() { nq b ss -Hltn "sport = 5000" | grep -q .; }

large_pings() { n a ping -q -n -i 0.02 -W 1 -c 10 -s 5000 "$1" >/dev/null; }

r ipfw -q add 100 divert 2001 ip from any to any in
r ipfw -q add 200 divert 2002 ip from any to any out
for option in -Bn1 -Bn64 -Bgn64; do
	for to in 10.2.0.1 fd02::1; do
		what="$option, to $to"
		lib_reflect in "$option" 2001
		lib_reflect out "$option" 2002
		works "$what: pings" ping_ a $to 20
		works "$what: pings in fragments" large_pings $to
		start recv b bash -c 'socat -b 262144 -u TCP6-LISTEN:5000,ipv6only=0,reuseaddr STDOUT | sha256sum'
		wait_for 10 "TCP receiver" listening
		works "$what: sender ends well" a timeout 60 socat -b 262144 -u "OPEN:$TMP/data" \
			"TCP:${to/*:*/[$to]}:5000"
		wait_for 10 "$what: receiver ends" test -s "$TMP/recv.out"
		is "$what: $SIZE bytes the same" "$(cat "$TMP/recv.out")" "$sum"
		stop in
		stop out
		all_back "$what" in out
	done
done
is "nothing was lost" \
	"$(r divertctl stat | grep -c 'full\|too\|malformed\|bad\|no-route\|loop\|lost')" 0
