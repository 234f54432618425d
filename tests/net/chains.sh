#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# ipchains from outside. The test runs the HOWTO's commands as they stand there, and checks what it
# says: "Input chain is traversed by all packets that come into the host", "Output chain by all
# packets originating in the host and by all forwarded packets", "Forward chain only by the
# forwarded packets. The order in which a forwarded packet traverses the chains is: Input, Forward,
# Output".
. "$(dirname "$0")/lib.sh"
make_router

chains_reset() {
	r ipchains -F
	r ipchains -X
	for c in input forward output; do r ipchains -P $c ACCEPT; done
}
# counts CHAIN: the packet counts of its rules
counts() { r ipchains -L "$1" -nvx | sed 1,2d | awk '{print $1}' | tr '\n' ' '; }

# ---- the HOWTO's commands ----

works "ipchains -A input -p ICMP -j DIVERT 1234" r ipchains -A input -p ICMP -j DIVERT 1234
fails "nobody listens: as a DENY rule" ping_ a 10.2.0.1
reflect back r 1234
works "input: to the host" ping_ a 10.1.0.2 2
works "input: forwarded" ping_ a 10.2.0.1 2
stop back
# two requests to the host; two requests through it, and their replies
is "input: what was diverted" "$(count back received)" 6
works "IPv6 is none of ipchains' business" ping_ a fd02::1
r ipchains -F

like "ipchains -A output -p TCP -s -j DIVERT 4321: says what it makes of it" \
	"$(r ipchains -A output -p TCP -s -j DIVERT 4321 2>&1)" "warning: an address is missing: any is meant"
like "and it is there" "$(r ipchains -L output -n)" $'\nDIVERT     tcp .*=> 4321$'
b socat TCP-LISTEN:80,fork,reuseaddr SYSTEM:'echo served' &
pids+=($!)
wait_for 5 "a server" b socat -u TCP:10.2.0.1:80 STDOUT
reflect back r 4321
is "output: TCP from the host" "$(r socat -u TCP:10.2.0.1:80 STDOUT)" served
is "output: TCP forwarded" "$(a socat -u TCP:10.2.0.1:80 STDOUT)" served
stop back
works "output: was diverted" test "$(count back received)" -gt 8
chains_reset

# ---- which chain sees what, and in which order ----

for c in input forward output; do r ipchains -A $c -p icmp -s 10.1.0.1 8 -d 10.2.0.1; done
for c in input forward output; do r ipchains -A $c -p icmp -s 0/0 8 -d 10.1.0.2; done
for c in input forward output; do r ipchains -A $c -p icmp -s 0/0 8 -d 10.1.0.1; done
ping_ a 10.2.0.1 3
ping_ a 10.1.0.2 2
ping_ r 10.1.0.1 1
is "input: forwarded and to the host" "$(counts input)" "3 2 0 "
is "forward: forwarded only" "$(counts forward)" "3 0 0 "
is "output: forwarded and of the host" "$(counts output)" "3 0 1 "
works "-Z of one chain" r ipchains -Z input
is "-Z: it has 0" "$(counts input)" "0 0 0 "
is "-Z: not the others" "$(counts output)" "3 0 1 "
like "-L -Z shows them for the last time" "$(r ipchains -L output -Z -nvx)" " 3 +252 -"
is "-L -Z: then they are 0" "$(counts output)" "0 0 0 "
chains_reset

# ---- flags, fragments, types and codes ----

r ipchains -A input -p tcp -d 10.2.0.1 80 -y
r ipchains -A input -p tcp -d 10.2.0.1 80 ! -y
r ipchains -A input -d 10.2.0.1 -f
r ipchains -A input -p icmp -d 10.2.0.1 ! -f
r ipchains -A output -p icmp -s 10.1.0.2 port-unreachable
r ipchains -A output -p icmp -s 10.1.0.2 3 -d 0/0 ! 3
r ipchains -A output -p icmp -s 10.1.0.2 ! 3
is "a connection" "$(a socat -u TCP:10.2.0.1:80 STDOUT)" served
n a ping -q -c 1 -W 2 -s 4000 10.2.0.1 >/dev/null
a bash -c 'echo >/dev/udp/10.1.0.2/9'
wait_for 5 "the ICMP error" bash -c "$PROGS/within $NS-r ipchains -L output -nvx |
	grep -q ' 1 .*3 ->   3\$'"
like "-y once, ! -y each other one, -f two of three, ! -f one" "$(counts input)" "^1 [0-9]+ 2 1 $"
is "a code, its opposite, another type" "$(counts output)" "1 0 0 "
chains_reset

r ipchains -A forward -p icmp -s 0/0 8 -j DIVERT 2000
r ipchains -A output -p icmp -s 0/0 8 -d 10.2.0.1 -j DIVERT 2001
reflect one r 2000
reflect two r 2001
works "forward, then output: ping works" ping_ a 10.2.0.1 2
stop one
stop two
is "forward, then output: each once" "$(count one received) $(count two received)" "2 2"
r ipchains -P forward DENY
fails "forward: its policy" ping_ a 10.2.0.1
works "forward: not for the host" ping_ a 10.1.0.2
r ipchains -I forward -j ACCEPT
r ipchains -A output -d 10.2.0.1 -j DENY
r ipchains -D output 1
fails "what forward accepts still has output before it" ping_ a 10.2.0.1
chains_reset

# ---- user chains: a packet diverted in one continues there ----

r ipchains -N user
r ipchains -A user -j DIVERT 2000
r ipchains -A user -s 10.1.0.1 -j RETURN
r ipchains -A user -j DENY
r ipchains -A input -p icmp -s 0/0 8 -j user
r ipchains -A input -p icmp -s 0/0 8 -j DIVERT 2001
reflect one r 2000
reflect two r 2001
works "a user chain diverts, returns" ping_ a 10.2.0.1 2
stop one
stop two
is "each once" "$(count one received) $(count two received)" "2 2"
is "counters of a user chain" "$(counts user)" "2 2 0 "
is "and of the rules that lead to it" "$(counts input)" "2 2 "
is "ipfw list" "$(r ipfw list | cut -d' ' -f1-4 | tr '\n' ';')" \
	"50001 skipto 50003 ip4;50002 skipto 50006 ip4;50003 divert 2000 ip4;50004 skipto 50006 ip4;\
50005 deny ip4 from;50006 divert 2001 ip4;54999 allow ip4 from;65535 allow ip from;"
reflect one r 2000
reflect two r 2001
r ipchains -D user 2
fails "without the RETURN it denies" ping_ a 10.2.0.1
is "rules keep their counters where they stay" "$(counts user)" "3 1 "
stop one
stop two

# ---- save, restore ----

r ipchains-save >"$TMP/saved" 2>"$TMP/said"
is "save: names the chains on stderr" "$(sed -n '/^#/!{p;q}' "$TMP/said")" "Saving \`input'."
r ipfw list >"$TMP/rules"
fails "restore: a user chain that is there" r ipchains-restore <"$TMP/saved"
chains_reset
is "flushed: nothing is left" "$(r ipfw list)" "65535 allow ip from any to any"
works "restore" r ipchains-restore <"$TMP/saved"
is "restore: the same rules" "$(r ipfw list)" "$(cat "$TMP/rules")"
is "restore: the same chains" "$(r ipchains-save 2>/dev/null)" "$(cat "$TMP/saved")"
echo "-A input -p tcp -j nowhere" >"$TMP/bad"
is "restore: says where it is wrong" "$(cat "$TMP/bad" | r ipchains-restore 2>&1 >/dev/null |
	grep -v '^#')" "ipchains-restore: line 1: nowhere: no target or chain by that name"
works "restore -p makes it" r ipchains-restore -p <"$TMP/bad"
like "restore -p" "$(r ipchains -L nowhere)" "1 references"
chains_reset

# ---- check, and exit statuses ----

status() { r ipchains "$@" >/dev/null 2>&1; echo $?; }
r ipchains -A input -p tcp -d 10.2.0.1 80 -j DENY
r ipchains -A input -i r0 -p udp -j DIVERT 7
check() { r ipchains -C input -s 10.1.0.1 1024 -d "$1" "$2" -p "$3" -i "$4"; }
is "-C: denied" "$(check 10.2.0.1 80 tcp r0)" denied
is "-C: accepted" "$(check 10.2.0.1 81 tcp r0)" accepted
is "-C: diverted" "$(check 10.2.0.1 80 udp r0)" "diverted to port 7"
is "-C: another interface" "$(check 10.2.0.1 80 udp r1)" accepted
is "-C counts nothing" "$(counts input)" "0 0 "
is "status: ok, a number that is none, a bad word, no chain" \
	"$(status -L) $(status -D input 9) $(status -A input -p what) $(status -F none)" "0 1 2 1"
is "status: without a command" "$(status) $(status -n)" "2 2"
is "MASQ and REDIRECT by name" "$(r ipchains -A forward -j MASQ 2>&1 | grep -v '^#')
$(r ipchains -A input -p tcp -j REDIRECT 80 2>&1 | grep -v '^#')" "ipchains: MASQ: ipdivert does not \
masquerade: use nftables' masquerade, or DIVERT to a natd
ipchains: REDIRECT: ipdivert does not redirect: use nftables' redirect, or DIVERT"
like "-h icmp" "$(r ipchains -h icmp)" "echo-request \(8\)"
like "--version" "$(r ipchains --version)" "^ipchains \(ipdivert\) "

# ---- beside ipfw ----

r ipfw -q add 100 count icmp from any to any in
is "ipfw's next number is not behind the chains" "$(r ipfw add count udp from any to any)" \
	"00200 count udp from any to any"
fails "ipfw does not delete a chain's rule" r ipfw -q delete 50001
works "ipchains leaves ipfw's rules" r ipchains -F
is "what is left" "$(r ipfw list | cut -c1-5 | tr '\n' ' ')" "00100 00200 65535 "
r ipchains -A input -j DENY
r ipfw -q flush
is "ipfw flush is all" "$(r ipchains -L input)" "Chain input (policy ACCEPT):"
