#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# SCTP with segmentation offload. A large packet is read as packets that fit the link, each with
# whole chunks and a correct checksum. When they are written back, the receiver gets what it would
# have got without divert: no packet is refused, and none is sent again. The test sends from the
# diverting host, to it and through it, with DIVERT_GSO and without. The network is lib.sh's: a -- r
# -- b.
. "$(dirname "$0")/lib.sh"
python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)' 2>/dev/null ||
	skip_all "this kernel has no SCTP"
make_router
mtu=1500

cat >"$TMP/sctp.py" <<'END'
import socket, sys, time
what, addr, ready = sys.argv[1:4]
text = bytes(range(250)) * 12
s = socket.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET, socket.SOCK_STREAM, 132)
if what == "send":
    s.connect((addr, 5000))
    for i in range(100):
        s.sendall(text)
    s.close()
else:
    s.bind((addr, 5000))
    s.listen()
    open(ready, "w").write("ready")
    c = s.accept()[0]
    since, got = time.monotonic(), b""
    while part := c.recv(65536):
        got += part
    print("right" if got == text * 100 else f"wrong {len(got)}", int((time.monotonic() - since) * 1000))
END
# of NS NAME: the counter of all associations there so far
of() { awk -v name="$2" '$1 == name {print $2}' <(nq "$1" cat /proc/net/sctp/snmp); }
diverted() { q divertctl stat -a | awk '$2 == "diverted" {n += $1} END {print n + 0}'; }

# transfer WHAT LIB_REFLECT-OPTION FROM TO-NS ADDRESS: sends 300 KB and checks them
transfer() {
	local what=$1 option=$2 from=$3 to=$4 addr=$5 before read again ms
	before=$(diverted)
	again=$(of "$from" SctpT3Retransmits)
	lib_reflect in "$option" 2001
	lib_reflect out "$option" 2002
	rm -f "$TMP/recv.ready"
	start recv "$to" python3 "$TMP/sctp.py" recv "$addr" "$TMP/recv.ready"
	recv=$pid
	wait_for 10 "SCTP receiver" test -s "$TMP/recv.ready"
	works "$what: sender ends well" n "$from" timeout 60 python3 "$TMP/sctp.py" send "$addr" -
	wait "$recv"
	stop in
	stop out
	ms=$(cut -d' ' -f2 "$TMP/recv.out")
	is "$what: 300 KB the same" "$(cut -d' ' -f1 "$TMP/recv.out")" right
	all_back "$what" in out
	read=$(($(count in received) + $(count out received)))
	works "$what: large packets were cut ($(($(diverted) - before)) into $read)" \
		test "$read" -gt $(($(diverted) - before))
	works "$what: none longer than $mtu ($(count in longest), $(count out longest))" \
		test "$(count in longest)" -le $mtu -a "$(count out longest)" -le $mtu
	is "$what: none came with a wrong checksum" "$(of "$to" SctpChecksumErrors)" 0
	again=$(($(of "$from" SctpT3Retransmits) - again))
	# An emulated machine is late at times.
	works "$what: none was sent again ($again)" test $again -lt "$SLOW"
	works "$what: in less than $SLOW s, or a timer has run out ($ms ms)" \
		test $((again ? 0 : ms)) -lt $((SLOW * 1000))
}

r ipfw -q add 100 divert 2001 132 from any to any in
r ipfw -q add 200 divert 2002 132 from any to any out
for option in -n1 -g; do
	transfer "$option, from the host" $option r b 10.2.0.1
	transfer "$option, from the host, IPv6" $option r b fd02::1
	transfer "$option, to the host" $option a r 10.1.0.2
	transfer "$option, through it" $option a b 10.2.0.1
	transfer "$option, through it, IPv6" $option a b fd02::1
done
is "nothing was lost" "$(r divertctl stat | grep -c 'full\|too\|malformed\|bad\|no-\|lost')" 0
