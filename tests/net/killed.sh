#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A command that is killed while it loads or removes the engine leaves a part of it. The next
# command removes that part, whichever command it is. A command that gets no memory fails and leaves
# nothing. The network is x0, beside lo, with a filter of somebody else's.
# long: it kills many commands
. "$(dirname "$0")/lib.sh"
command -v strace >/dev/null || skip_all "no strace"
# The number of kills of each kind. If there are more system calls, or allocations, the kills are
# spread over them.
KILLS=${KILLS:-9}

# x has lo and one interface more; somebody else has changed settings of both
make_ns x
x() { nq x "$@"; }
make_ns y
link x x0 -- y y0
x sysctl -qw net.ipv4.conf.lo.accept_local=1 net.ipv6.conf.lo.forwarding=0
x tc qdisc add dev x0 clsact 2>/dev/null && x tc filter add dev x0 egress pref 77 protocol all bpf bytecode '1,6 0 0 0'

traces() {
	local i
	for i in lo x0; do
		x tc -d qdisc show dev $i
		x tc filter show dev $i ingress 2>/dev/null
		x tc filter show dev $i egress 2>/dev/null
		x "$PROGS/chain" list $i in
		x "$PROGS/chain" list $i out
	done
	x sysctl net.ipv4.conf.lo net.ipv6.conf.lo 2>/dev/null
}
before=$(traces)
# as_before WHAT: prints nothing if all is as before
as_before() {
	local now
	now=$(traces)
	[ "$now" = "$before" ] || not_ok "$1: $(diff <(echo "$before") <(echo "$now"))"
}
# wholly WHAT: checks that the engine works, if there is one
wholly() {
	[ -z "$(x "$PROGS/chain" list lo in; x tc filter show dev lo ingress 2>/dev/null)" ] && as_before "$1" && return
	x divertctl status >"$TMP/status" || not_ok "$1: $(cat "$TMP/status")"
	{ grep -q '^  lo  *in, out$' "$TMP/status" && ! grep -q warning "$TMP/status"; } || not_ok "$1: $(cat "$TMP/status")"
}
# Only calls that can change something are counted. A kill at any other call leaves the same as a
# kill at the next counted one.
CALLS=bpf,openat,write,pwrite64,sendto,ioctl,clone,clone3
traced() { x strace -qq -e trace=$CALLS "$@"; }
# calls FROM COMMAND...: sets $total, the number of its calls, and $first, the number of the first
# one that matches FROM
calls() {
	traced -o "$TMP/calls" "${@:2}" >/dev/null 2>&1
	first=$(grep -n -m 1 -e "$1" "$TMP/calls" | cut -d: -f1)
	total=$(wc -l <"$TMP/calls")
}
# places: sets $places: some calls before $first, and each one from there on, or KILLS of them
# spread evenly
places() {
	step=$(((total - first) / KILLS + 1))
	places=$({ seq 5 $((first / 5 + 1)) "$first"; seq $((first - 1)) $step "$total"; } | sort -nu)
}
# killed NUMBER COMMAND...: kills it at that system call, and counts it in $hits
killed() {
	(traced -o /dev/null -e inject=$CALLS:signal=KILL:when="$1" "${@:2}") >/dev/null 2>&1
	[ $? != 137 ] || hits=$((hits + 1))
}

# kills WHAT FROM COMMAND...: kills a command that loads the engine; then another command, of one
# kind or another, cleans up
kills() {
	local what=$1 n k=0 was=$failures hits=0
	calls "$2" "${@:3}"
	x divertctl unload 2>/dev/null
	places
	for n in $places; do
		killed "$n" "${@:3}"
		case $((k++ % 3)) in
		0) x ipfw list >/dev/null && wholly "$what, killed at call $n, ipfw list" ;;
		1) x divertctl status >/dev/null; wholly "$what, killed at call $n, divertctl status" ;;
		esac
		x divertctl unload 2>/dev/null || not_ok "$what, killed at call $n: unload"
		as_before "$what, killed at call $n, unload"
	done
	[ $failures = $was ] && ok "$what: killed $hits times, from call $first to $total at each $step"
}
# kills_unload FROM: kills divertctl unload
kills_unload() {
	local n k=0 was=$failures hits=0
	x ipfw -q add 100 divert 2000 ip from any to any in
	calls "$1" divertctl unload
	places
	for n in $places; do
		x ipfw -q add 100 divert 2000 ip from any to any in
		killed "$n" divertctl unload
		if [ $((k++ % 2)) = 0 ]; then
			x ipfw list >/dev/null && wholly "unload, killed at call $n, ipfw list"
		fi
		x divertctl unload || not_ok "unload, killed at call $n: unload"
		as_before "unload, killed at call $n, unload"
	done
	[ $failures = $was ] && ok "unload: killed $hits times, from call $first to $total at each $step"
}

kills "ipfw add" conf/lo/ ipfw -q add 100 divert 2000 ip from any to any in
kills_unload BPF_MAP_UPDATE_ELEM
KILLS=$((KILLS / 3))
kills "divertctl attach" conf/lo/ divertctl attach
kills "socket and bind" conf/lo/ divert-run "$PROGS/reflect" -S 0 3000

# This library refuses one allocation, the one numbered STARVE_AT. With STARVE_TELL it prints how
# many there are.
cc -shared -fPIC -O2 -o "$TMP/starve.so" -x c - <<-'END'
	#include <errno.h>
	#include <stdio.h>
	#include <stdlib.h>
	void *__libc_malloc(size_t size);
	void *__libc_calloc(size_t n, size_t size);
	void *__libc_realloc(void *was, size_t size);
	static long n, at = -1;
	static int refused(void)
	{
		if (at < 0)
			at = getenv("STARVE_AT") ? atol(getenv("STARVE_AT")) : 0;
		errno = ENOMEM;
		return ++n == at;
	}
	void *malloc(size_t size) { return refused() ? NULL : __libc_malloc(size); }
	void *calloc(size_t many, size_t size) { return refused() ? NULL : __libc_calloc(many, size); }
	void *realloc(void *was, size_t size) { return refused() ? NULL : __libc_realloc(was, size); }
	__attribute__((destructor)) static void tell(void)
	{
		if (getenv("STARVE_TELL"))
			fprintf(stderr, "%ld\n", n);
	}
END
starved() { x env LD_PRELOAD="$TMP/starve.so" STARVE_AT="$1" "${@:2}" >/dev/null 2>"$TMP/err"; }
# one_rule WHAT STATUS: if the command failed, it has done nothing; otherwise the engine and the
# rule are there
one_rule() {
	wholly "$1"
	[ "$2" -lt 128 ] || not_ok "$1: exit status $2"
	[ "$(x ipfw list | wc -l)" = $((($2 == 0) + 1)) ] || not_ok "$1: exit status $2, rules: $(x ipfw list)"
	[ "$2" = 0 ] || [ -s "$TMP/err" ] || not_ok "$1: no error is told"
	x divertctl unload || not_ok "$1: unload"
	as_before "$1: unload"
}
add=(ipfw -q add 100 count ip from any to any in)
total=$(x env LD_PRELOAD="$TMP/starve.so" STARVE_TELL=1 "${add[@]}" 2>&1 | tail -1)
x divertctl unload
# libbpf makes most of the allocations, before anything is changed
was=$failures
for n in $(seq 1 $((total / 12)) $((total - 90))) $(seq $((total - 80)) $((80 / KILLS + 1)) "$total"); do
	starved "$n" "${add[@]}"
	one_rule "allocation $n is refused" $?
done
[ $failures = $was ] && ok "ipfw add: one of $total allocations is refused"

was=$failures
x "${add[@]}"
total=$(x env LD_PRELOAD="$TMP/starve.so" STARVE_TELL=1 divertctl unload 2>&1 | tail -1)
for n in $(seq 1 "$total"); do
	x "${add[@]}"
	starved "$n" divertctl unload
	rc=$?
	[ $rc != 0 ] || as_before "unload, allocation $n is refused"
	[ $rc = 0 ] || [ -s "$TMP/err" ] || not_ok "unload, allocation $n is refused: no error is told"
	x ipfw list >/dev/null
	wholly "unload, allocation $n is refused, ipfw list"
	x divertctl unload || not_ok "unload after allocation $n was refused"
	as_before "unload after allocation $n was refused"
done
[ $failures = $was ] && ok "divertctl unload: each of $total allocations is refused"

# the kernel has no memory, either: bpf(2) gives ENOMEM
was=$failures
CALLS=bpf
calls BPF_MAP_CREATE "${add[@]}"
x divertctl unload
for n in $(seq 1 $((total / KILLS + 1)) "$total"); do
	traced -o /dev/null -e inject=bpf:error=ENOMEM:when="$n" "${add[@]}" >/dev/null 2>"$TMP/err"
	one_rule "bpf(2) number $n is refused" $?
done
[ $failures = $was ] && ok "ipfw add: ENOMEM from bpf(2), at each $((total / KILLS + 1)) of $total"
