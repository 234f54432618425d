#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# "Errors name the object, the value and the way out". The tools say why a socket cannot be made or
# bound, from divert_error(). They also report rules that drop or never match.
. "$(dirname "$0")/lib.sh"
make_ns r

# says WHAT STATUS REGEX COMMAND...: checks the status of a command in r, and what it prints on
# stderr
says() {
	local rc
	q "${@:4}" >"$TMP/out" 2>"$TMP/err" </dev/null
	rc=$?
	is "$1: status" $rc "$2"
	like "$1" "$(cat "$TMP/err")" "$3"
}
# told WHAT LINE COMMAND...: the command succeeds, and prints just this on stderr
told() {
	q "${@:3}" >"$TMP/out" 2>"$TMP/err" </dev/null
	is "$1: status" $? 0
	is "$1" "$(cat "$TMP/err")" "$2"
}
root="Operation not permitted: needs root \(CAP_NET_ADMIN, .*\)"

# ---- no socket ----

says "not root" 1 "^interceptor: a divert socket: $root$" \
	setpriv --reuid 65534 --regid 65534 --clear-groups interceptor 2000
says "a capability is missing" 1 "$root; this process lacks CAP_NET_ADMIN$" \
	setpriv --bounding-set -net_admin --inh-caps -net_admin interceptor 2000
says "root in a user namespace" 1 "$root; capabilities count in the initial user namespace only" \
	unshare -Urn interceptor 2000
says "root in a user namespace: the way out" 1 "docker run --userns=host" unshare -Urn interceptor 2000
for tool in "ipfw add allow ip from any to any" "divertctl attach" "ipchains -A input -j ACCEPT"; do
	# shellcheck disable=SC2086 # words
	q unshare -Urn $tool >/dev/null 2>"$TMP/err"
	like "root in a user namespace: $tool" "$(cat "$TMP/err")" "^${tool%% *}: $root.*initial user namespace only"
done
says "no BTF" 1 "^interceptor: a divert socket: /sys/kernel/btf/vmlinux: No such file.*CONFIG_DEBUG_INFO_BTF=y" \
	unshare -m sh -c "mount -t tmpfs none /sys/kernel/btf && exec interceptor 2000"
says "/proc/sys is read-only" 1 "/proc/sys/net/ipv4/route/flush.*: Read-only file system: remount it \('mount -o remount,bind,rw /proc/sys'\)" \
	unshare -m sh -c "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec interceptor 2000"
q unshare -m sh -c "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys &&
	exec divert-run $PROGS/reflect 2000" >"$TMP/out" 2>&1
is "/proc/sys is read-only: errno" "$(cat "$TMP/out")" "reflect: socket: EROFS"
for n in 10 20 30 40; do
	says "too few descriptors, $n" 1 \
		"Too many open files: this process may have $n \(RLIMIT_NOFILE\); 'ulimit -n NUMBER'" \
		prlimit --nofile=$n interceptor 2000
done
says "with -v of divert-run a program tells it, too" 1 "libdivert: socket: .*Too many open files.* 20 " \
	prlimit --nofile=20 divert-run -v "$PROGS/reflect" 2000
is "nothing of these was left" "$(q divertctl status)" "engine: not loaded"
q prlimit --memlock=0 divert-run "$PROGS/reflect" -S 0 2000 >"$TMP/out" 2>&1
is "locked memory is not needed" "$(cat "$TMP/out")" "received 0 sent 0 failed 0"

# ---- no port ----

reflect busy r 2000
q unshare -m sh -c "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys &&
	exec divert-run $PROGS/reflect 2001" >"$TMP/out" 2>&1
is "/proc/sys is read-only, the engine loaded: errno" "$(cat "$TMP/out")" "reflect: bind: EROFS"
q unshare -m sh -c "mount -t tmpfs none /proc && exec $PROGS/lib_reflect 2001" >"$TMP/out" 2>&1
like "/proc is not mounted: errno" "$(cat "$TMP/out")" "^lib_reflect: .*: No such device$"
for command in "divertctl unload" "divertctl set trains on"; do
	says "/proc is not mounted: $command" 1 \
		"/proc/sys/net/ipv4/route/flush is not there: 'mount -t proc proc /proc'$" \
		unshare -m sh -c "mount -t tmpfs none /proc && exec $command"
done
says "port in use: by whom" 1 "^interceptor: port 2000: reflect \(${pid_busy:-}\) is bound to it: end it" \
	interceptor 2000
says "port in use: with divert-run -v" 1 "libdivert: bind: port 2000: reflect \(${pid_busy:-}\)" \
	divert-run -v "$PROGS/reflect" 2000
stop busy
works "lib_error: the library's own sentences" r "$PROGS/lib_error"

# ---- rules that drop ----

dropped() { echo "ipfw: nobody listens on divert $1: packets that match are dropped until a program does; 'bypass' in the rule lets them pass"; }
told "divert, nobody listens" "$(dropped "port 2000")" ipfw add 100 divert 2000 ip from any to 10.9.9.9
is "divert, nobody listens: stdout is as ever" "$(cat "$TMP/out")" "00100 divert 2000 ip from any to 10.9.9.9"
told "divert, nobody listens, -q" "" ipfw -q add 101 divert 2000 ip from any to 10.9.9.9
told "divert with bypass" "" ipfw add 102 divert 2000 ip from any to 10.9.9.9 bypass
told "tee" "" ipfw add 103 tee 2000 ip from any to 10.9.9.9
printf 'add divert 200%s ip from any to 10.9.9.9\n' 3 2 3 1 >"$TMP/rules"
told "a file: once, for all ports" "$(dropped "ports 2001, 2002, 2003")" ipfw "$TMP/rules"
for ((n = 0; n < 12; n++)); do echo "add divert $((3000 + n)) ip from any to 10.9.9.9"; done >"$TMP/rules"
told "a file with many ports" "$(dropped "ports 3000, 3001, 3002, 3003, 3004, 3005, 3006, 3007 and 4 more")" \
	ipfw "$TMP/rules"
told "-n" "" ipfw -n "$TMP/rules"
r ipfw disable firewall
told "while the firewall is disabled" "" ipfw add 104 divert 2000 ip from any to 10.9.9.9
r ipfw enable firewall
r divertctl set pass-through on
told "with pass-through" "" ipfw add 104 divert 2000 ip from any to 10.9.9.9
r divertctl set pass-through off
reflect there r 2000
told "somebody listens" "" ipfw add 104 divert 2000 ip from any to 10.9.9.9
stop there
reflect six r -6 2000
told "an AF_INET6 socket listens" "" ipfw add 104 divert 2000 ip6 from any to any
stop six
told "ipchains -j DIVERT, nobody listens" "ipchains: nobody listens on divert port 2004: packets that match are \
dropped until a program does; 'divertctl set pass-through on' lets them pass" \
	ipchains -A input -p icmp -d 10.9.9.9 -j DIVERT 2004
told "ipchains -D" "" ipchains -D input -p icmp -d 10.9.9.9 -j DIVERT 2004

start plain r python3 -c 'import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 258)
print("made", flush=True)
time.sleep(1000)'
wait_for 10 "a raw socket" grep -q made "$TMP/plain.out"
told "a program without divert-run" "$(dropped "port 2005")
ipfw: python3 (${pid_plain:-}) has an ordinary raw socket of protocol 258 or 254: start it with 'divert-run' to have it listen" \
	ipfw add 105 divert 2005 ip from any to 10.9.9.9
start plain2 r python3 -c 'import socket, time
s = [socket.socket(socket.AF_INET, socket.SOCK_RAW, p) for p in (258, 254)]
print("made", flush=True)
time.sleep(1000)'
wait_for 10 "raw sockets" grep -q made "$TMP/plain2.out"
if [ "${pid_plain:-}" -lt "${pid_plain2:-}" ]; then set -- "$pid_plain" "$pid_plain2"; else set -- "$pid_plain2" "$pid_plain"; fi
told "two programs without divert-run" "$(dropped "port 2005")
ipfw: python3 ($1), python3 ($2) have ordinary raw sockets of protocol 258 or 254: start them with 'divert-run' to have them listen" \
	ipfw add 106 divert 2005 ip from any to 10.9.9.9
stop plain2
like "a program without divert-run: divertctl status" "$(q divertctl status)" \
	"ordinary raw sockets of protocol 258 or 254: python3 \(${pid_plain:-}\)
  nothing is diverted to them: start the program with 'divert-run'"
stop plain
is "then there is none: divertctl status" "$(q divertctl status | grep -c "raw sockets")" 0

# ended NAME ARGUMENTS: what interceptor prints at its end, without the summary
ended() {
	start "$1" r interceptor "${@:2}" 2000
	wait_for 10 "interceptor" grep -q "listening on" "$TMP/$1.err"
	stop "$1"
	sed '/listening on/d; /packets received/d' "$TMP/$1.err"
}
r ipfw -q -f flush
r ipfw -q add 100 divert 2000 ip from any to 10.9.9.9 bypass
is "interceptor ends: with bypass" "$(ended passes 2>/dev/null)" ""
r ipfw -q add 200 divert 2000 ip from any to 10.9.9.9
is "interceptor ends: a rule is left" "$(ended drops 2>/dev/null)" "interceptor: rule 200 diverts to port 2000 still: packets \
that match are dropped from now on; 'ipfw delete 200' removes it"
is "interceptor ends: -q" "$(ended quiet -q 2>/dev/null)" ""

# ---- unload ----

reflect one r 2000
reflect two r 2001
told "unload while sockets are bound" "divertctl: sockets were bound to ports 2000, 2001: whatever receives or \
sends by them fails from now on (Network is down): restart reflect (${pid_one:-}), reflect (${pid_two:-})" divertctl unload
is "unload while sockets are bound: it is done" "$(q divertctl status)" "engine: not loaded"
stop one
stop two
r ipfw -q add 100 count ip from any to any
told "unload while none is" "" divertctl unload

# ---- rules that never match ----

told "an interface that is not there, -q" "ipfw: nosuch0: no such interface; 'ip link' lists them" \
	ipfw -q add 300 count ip from any to any via nosuch0
printf 'add count ip from any to any %s\n' "in recv nosuch0" "out xmit nosuch0" "via nosuch1" "via lo" \
	>"$TMP/rules"
told "a file: each interface once, -q" "ipfw: nosuch0: no such interface; 'ip link' lists them
ipfw: nosuch1: no such interface; 'ip link' lists them" ipfw -q "$TMP/rules"
told "ipchains -i, an interface that is not there" "ipchains: nosuch0: no such interface; 'ip link' lists them" \
	ipchains -A input -i nosuch0 -j DENY
told "ipchains -i, a pattern" "" ipchains -A input -i nosuch+ -j DENY
told "ipchains -D -i" "" ipchains -D input -i nosuch0 -j DENY
told "a pattern is no interface" "" ipfw -q add 300 count ip from any to any via 'nosuch*'
r ip link add v0 type veth peer name v1
if r ip link add br0 type bridge 2>/dev/null; then
	r ip link set v0 master br0
	for words in "in recv v0" "out xmit v0" "via v0"; do
		# shellcheck disable=SC2086 # words
		told "a bridge's port: $words" \
			"ipfw: v0: no packet is ever seen on it, as it is a port of br0: name that in the rule" \
			ipfw -q add 300 count ip from any to any $words
	done
	told "ipchains -i, a bridge's port" \
		"ipchains: v0: no packet is ever seen on it, as it is a port of br0: name that in the rule" \
		ipchains -A input -i v0 -j DENY
	told "the bridge, and what is no port" "" ipfw -q add 300 count ip from any to any via br0 xmit v1
else
	echo "skip this kernel has no bridges"
fi
