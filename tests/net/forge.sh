#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The engine takes frames from divert sockets only, and each socket acts for its own port only.
# There is no secret that others could guess: a process with CAP_NET_RAW may send any frames on lo,
# and the engine takes none of them and tells it nothing. The network is lib.sh's.
. "$(dirname "$0")/lib.sh"
command -v setpriv >/dev/null || skip_all "no setpriv"
make_router
ping_ a 10.2.0.1
q ipfw -q add 100 divert 2000 icmp from any to any in recv r0
q ipfw -q add 200 deny udp from any to any 9
reflect back r 2000
PATH=/usr/bin:$PATH # another user may be unable to use root's
chmod 755 "$TMP"
cp "$HERE/forge.py" "$TMP"
raw=(setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps "-all,+net_raw" --ambient-caps "-all,+net_raw"
	--bounding-set "-all,+net_raw")
# The hook of lo counts these frames as malformed.
all() { q divertctl stat -a 2>/dev/null | grep -v ' malformed ' | sort; }
sniffs b b0
was=$(all)

{
	echo 0
	echo 1
	seq 1000 1400
} >"$TMP/marks"
n r "${raw[@]}" python3 "$TMP/forge.py" raw 10.2.0.1 <"$TMP/marks" >"$TMP/said"
is "frames with CAP_NET_RAW: none is refused, so nothing is told" "$(cat "$TMP/said")" "refused 0"
is "frames with CAP_NET_RAW: no counter has changed" "$(all)" "$was"
works "the reader goes on" ping_ a 10.2.0.1 3
stop back
is "it had its own packets, and no more" "$(count back received)" 3
stop wire
is "nothing went past a rule" "$(tcpdump -n -r "$TMP/wire.pcap" 2>/dev/null | wc -l)" 0
is "nobody listens: nobody has set bypass" "$(n a ping -q -c1 -W1 10.2.0.1 >/dev/null; echo $?) $(stat_of r 2000 passed)" "1 0"

# a reader that has dropped its privileges has sockets of its own, and they act for its own port
q ipfw -q add 110 divert 2001 icmp from any to any in recv r1
start inner r divert-run python3 "$TMP/forge.py" inner 2001 2000
wait "${pid_inner:-}"
is "there is no mark to be read" "$(cat "$TMP/inner.out")" "marks 0"
was=$(stat_of r 2000 no-listener)
fails "another port's setting is as it was" n a ping -q -c1 -W1 10.2.0.1 >/dev/null
is "another port's packets are dropped as before" "$(($(stat_of r 2000 no-listener) - was)) $(stat_of r 2000 passed)" "1 0"
