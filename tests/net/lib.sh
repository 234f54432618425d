# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Each network test sources this file. It makes this network:
#
#	+--------- a ---------+      +---------- r ----------+      +--------- b ---------+
#	| a0  10.1.0.1/24     |------| r0  10.1.0.2/24       |      |                     |
#	|     fd01::1/64      |      |     fd01::2/64        |      |                     |
#	|                     |      | r1  10.2.0.2/24       |------| b0  10.2.0.1/24     |
#	|                     |      |     fd02::2/64        |      |     fd02::1/64      |
#	+---------------------+      +-----------------------+      +---------------------+
#
# r forwards. The functions a, r and b run a command in the namespace of that name, and echo it.
# Namespaces have unique names. Everything that a test starts ends with it, also after Ctrl-C.
set -u

STAGE=${STAGE:?run it by tests/net/run}
export PATH=$STAGE/bin:$STAGE/sbin:$PATH
SLOW=${TEST_SLOW:-1} # how many times longer than usual a test waits for something
HERE=$(cd "$(dirname "$0")/progs" && pwd) # the programs that tests run
# shellcheck disable=SC2034 # in some of them
TOP=$(cd "$HERE/../../.." && pwd) # the top of the sources
TMP=$(mktemp -d)
mkfifo "$TMP/never" # nobody writes to it
NS=dt$$
pids=()
failures=0

cleanup() {
	local n p
	trap - EXIT INT TERM
	for p in "${pids[@]+"${pids[@]}"}"; do
		kill -KILL "$p" 2>/dev/null
	done
	wait 2>/dev/null
	for n in $(ip netns list | cut -d' ' -f1 | grep "^$NS-"); do
		# This also ends programs that another program of the test has started in the
		# background.
		ip netns pids "$n" | xargs -r kill -KILL 2>/dev/null
		ip netns del "$n"
	done
	rm -rf "$TMP"
}
trap 'exit 130' INT TERM
trap 'finish $?' EXIT

# The exit status says whether a case failed, however the test ended.
finish() {
	local rc=$1
	if [ $failures != 0 ]; then
		[ "$rc" != 0 ] || rc=1
		[ -z "${TEST_SHELL:-}" ] || debug_shell
	fi
	cleanup
	exit "$rc"
}

debug_shell() {
	echo "# namespaces: $NS-a $NS-r $NS-b; files: $TMP; exit ends the test"
	bash -i </dev/tty >/dev/tty 2>&1
}

# On a slow machine, pings wait longer for their answers: a ping of ours stands in PATH before the
# real one.
if [ "$SLOW" != 1 ]; then
	mkdir "$TMP/slow"
	cat >"$TMP/slow/ping" <<-END
		#!/bin/bash
		for arg; do
			[[ "\$last \$arg" =~ ^(.* )?-W[\ ]?([0-9.]+)\$ ]] &&
				wait=\$(awk "BEGIN {print \${BASH_REMATCH[2]} * $SLOW}") && arg=\${arg/[0-9]*/\$wait}
			args+=("\$arg")
			last=\$arg
		done
		exec $(type -P ping) "\${args[@]}"
	END
	chmod +x "$TMP/slow/ping"
	PATH=$TMP/slow:$PATH
fi

skip_all() { echo "skip all: $*"; exit 77; }

# n NAME COMMAND...: run in a namespace
n() {
	local ns=$1
	shift
	echo "# $ns: $*" >&2
	"$PROGS/within" "$NS-$ns" "$@"
}
a() { n a "$@"; }
r() { n r "$@"; }
b() { n b "$@"; }
# The same without the echo, for commands whose output is examined: nq NAME COMMAND... runs in a
# namespace, and q runs in r.
nq() { "$PROGS/within" "$NS-$1" "${@:2}"; }
q() { nq r "$@"; }
# with_sys NAME COMMAND...: the same for commands that need /sys, where the namespace's interfaces
# are. It takes longer: it mounts another /sys.
with_sys() { ip netns exec "$NS-$1" "${@:2}"; }

# build NAME VERSION [SED-SCRIPT FILE...]: builds this tree, with FILEs edited, in
# build/variants/NAME. It copies the sources and keeps their times, so that make builds only what
# has changed.
# by_build NAME COMMAND...: runs a command in r, with the tools and the library of that build
build() {
	local dir=$TOP/build/variants/$1 sources file was
	sources=(Makefile LICENSE README.md CHANGELOG.md engine rules ruleset lib interpose tools include man packaging examples)
	mkdir -p "$dir"
	(cd "$dir" && rm -rf "${sources[@]}") || return
	(cd "$TOP" && cp -pR "${sources[@]}" "$dir") || return
	for file in "${@:4}"; do
		sed -E -i "$3" "$dir/$file" || return
		# the time of its last change, so that make does not build it again for nothing
		was=$dir/edited-${file##*/}
		cmp -s "$dir/$file" "$was" || cp "$dir/$file" "$was" || return
		touch -r "$was" "$dir/$file"
	done
	# no variables of a make that may have started this test
	env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -s -C "$dir" -j"$(nproc)" VERSION="$2" CFLAGS=-O1 stage
}
by_build() {
	local stage=$TOP/build/variants/$1/build/stage
	PATH=$stage/bin:$stage/sbin:$PATH q "${@:2}"
}

# hooks_of IFACE in|out: name and id of each engine program there, whether on a TCX or a tc hook
hooks_of() {
	local side=egress
	[ "$2" = out ] || side=ingress
	q "$PROGS/chain" list "$1" "$2" | grep " divert_$2\$"
	q tc filter show dev "$1" "$side" 2>/dev/null |
		sed -n "s/.* \(divert_$2\).* id \([0-9]*\) .*/\2 \1/p"
}

# make_ns NAME: makes a namespace with lo up
make_ns() {
	ip netns add "$NS-$1"
	ip -n "$NS-$1" link set lo up
}

# link NAME IF ADDR... -- NAME IF ADDR...: makes a veth pair with addresses, up at both ends
link() {
	local n1=$1 i1=$2 n2 i2 x
	local -a a1=() a2=()
	shift 2
	while [ "$1" != -- ]; do a1+=("$1"); shift; done
	shift
	n2=$1 i2=$2
	shift 2
	a2=("$@")
	ip link add "$i1" netns "$NS-$n1" type veth peer name "$i2" netns "$NS-$n2"
	for x in "${a1[@]+"${a1[@]}"}"; do add_addr "$n1" "$i1" "$x"; done
	for x in "${a2[@]+"${a2[@]}"}"; do add_addr "$n2" "$i2" "$x"; done
	ip -n "$NS-$n1" link set "$i1" up
	ip -n "$NS-$n2" link set "$i2" up
}

add_addr() {
	case $3 in
	*:*) ip -n "$NS-$1" addr add "$3" dev "$2" nodad ;;
	*) ip -n "$NS-$1" addr add "$3" dev "$2" ;;
	esac
}

# make_router: makes the network drawn above. It is ready when no link-local address is tentative.
make_router() {
	make_ns a
	make_ns r
	make_ns b
	link a a0 10.1.0.1/24 fd01::1/64 -- r r0 10.1.0.2/24 fd01::2/64
	link r r1 10.2.0.2/24 fd02::2/64 -- b b0 10.2.0.1/24 fd02::1/64
	ip -n "$NS-a" route add default via 10.1.0.2
	ip -n "$NS-a" -6 route add default via fd01::2
	ip -n "$NS-b" route add default via 10.2.0.2
	ip -n "$NS-b" -6 route add default via fd02::2
	q sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	wait_for 5 "no tentative address" all_ready
}

all_ready() {
	local x
	for x in a r b; do
		[ -z "$(ip -n "$NS-$x" -6 addr show tentative)" ] || return 1
	done
}

# wait_for SECONDS WHAT COMMAND...: waits until the command succeeds; otherwise the test has failed
wait_for() {
	local end=$((SECONDS + $1 * SLOW)) what=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		if [ $SECONDS -ge $end ]; then
			not_ok "waiting for: $what"
			return 1
		fi
		pause 0.02
	done
}

# pause SECONDS: sleeps without a process of its own
pause() { read -rt "$1" <>"$TMP/never" || true; }

# start NAME NS COMMAND...: starts a command in the background. Its output is in $TMP/NAME.out and
# $TMP/NAME.err, its pid in $pid.
start() {
	local name=$1 ns=$2
	shift 2
	echo "# $ns: $* &" >&2
	# Emptied now: nobody may mistake the output of an earlier program of this name for this
	# one's.
	: >"$TMP/$name.out"
	"$PROGS/within" "$NS-$ns" "$@" >"$TMP/$name.out" 2>"$TMP/$name.err" &
	pid=$!
	pids+=("$pid")
	eval "pid_$name=$pid"
}

# reflect NAME NS [OPTIONS] PORT: starts progs/reflect under divert-run; it is bound when this
# returns
reflect() {
	local name=$1 ns=$2
	shift 2
	rm -f "$TMP/$name.ready"
	start "$name" "$ns" divert-run "$PROGS/reflect" -p "$TMP/$name.ready" "$@"
	wait_for 10 "reflect $*" test -s "$TMP/$name.ready"
}

# lib_reflect NAME OPTIONS... PORT: starts progs/lib_reflect on r; it is bound when this returns
lib_reflect() {
	local name=$1
	shift
	rm -f "$TMP/$name.ready"
	start "$name" r "$PROGS/lib_reflect" -p "$TMP/$name.ready" "$@"
	wait_for 10 "lib_reflect $*" test -s "$TMP/$name.ready"
}

# These functions capture numbered packets (progs/numbered.py) to UDP port 9. $wire names the
# capture.
wire=wire
has_arrived() { [ "$(tcpdump -n -r "$TMP/$wire.pcap" 2>/dev/null | wc -l)" -ge "$1" ]; }
# sniffs NS INTERFACE [FILTER]: captures from now on
sniffs() {
	start "$wire" "$1" tcpdump -n -U -s 0 -B 8192 -i "$2" -w "$TMP/$wire.pcap" -Q in "udp port 9 ${3-}"
	wait_for 10 "tcpdump" grep -q "listening on" "$TMP/$wire.err"
}
# decimal: converts hexadecimal numbers, one a line. It does not use awk: few versions of awk read
# them.
decimal() {
	local n
	while read -r n; do echo $((16#$n)); done
}
# numbers VERSION: the numbers of the packets that arrived, as FIRST-LAST of each run
numbers() {
	tcpdump -n -x -r "$TMP/$wire.pcap" 2>/dev/null |
		awk -v "line=0x00$(($1 == 6 ? 30 : 10)):" -v "word=$(($1 == 6 ? 3 : 9))" \
			'$1 == line { print $word }' | decimal |
		awk 'NR == 1 { printf "%d", $1 }
			NR > 1 && $1 != last + 1 { printf "-%d %d", last, $1 }
			{ last = $1 }
			END { printf "-%d", last }'
}
# whole: how many packets have a correct checksum
whole() { tcpdump -n -vv -r "$TMP/$wire.pcap" 2>/dev/null | grep -c 'udp sum ok'; }

# had NS: how many segments NS sent again although the receiver had them
had() {
	n "$1" awk '/^TcpExt:/ && !n++ { split($0, name) }
		/^TcpExt:/ { for (i in name) if (name[i] == "TCPDSACKRecvSegs") had = $i }
		END { print had }' /proc/net/netstat
}

# stop NAME: sends SIGTERM and waits; returns the program's exit status
stop() {
	local p
	eval "p=\$pid_$1"
	kill -TERM "$p" 2>/dev/null
	wait "$p"
}

# count NAME WORD: the number after WORD in "received N sent N failed N", reflect's last output
count() {
	[[ $(<"$TMP/$1.out") =~ .*"$2 "([0-9]+) ]] && echo "${BASH_REMATCH[1]}"
}

# all_back WHAT NAME...: checks that reflectors that have ended wrote back all that they read, and
# that nothing failed
all_back() {
	local name what=$1 got="" wanted=""
	shift
	for name; do
		got+="$(count "$name" sent) $(count "$name" failed) "
		wanted+="$(count "$name" received) 0 "
	done
	is "$what: all that was read was written back" "$got" "$wanted"
}

# serve NAME NS PORT: starts progs/httpd.py, which tells a client its address; it listens when this
# returns
serve() {
	start "$1" "$2" python3 "$HERE/httpd.py" "$3" "$TMP/$1.ready"
	wait_for 5 "web server $1" test -s "$TMP/$1.ready"
}

# packets NS RULE: how many packets the rule has counted
packets() {
	local counted sum=0
	while read -r _ counted _; do sum=$((sum + counted)); done < <(nq "$1" ipfw show "$2")
	echo $sum
}

# stat_of NS PORT CAUSE: a counter of divertctl
stat_of() {
	local counted cause first=
	while read -r counted cause _; do
		[ "$cause" != "$3" ] || first=${first:-$counted}
	done < <(nq "$1" divertctl stat -a "$2")
	echo "$first"
}

ok() { echo "ok $*"; }
not_ok() {
	echo "not ok $*"
	failures=$((failures + 1))
}

# is WHAT GOT EXPECTED
is() {
	if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1: got '$2', expected '$3'"; fi
}

# soon WHAT EXPECTED COMMAND...: what it prints soon is this; packets may still be on their way
soon() {
	local end=$((SECONDS + 5 * SLOW))
	until [ "$("${@:3}")" = "$2" ] || [ $SECONDS -ge $end ]; do sleep 0.02; done
	is "$1" "$("${@:3}")" "$2"
}

# like WHAT GOT REGEX
like() {
	if [[ $2 =~ $3 ]]; then ok "$1"; else not_ok "$1: got '$2', expected /$3/"; fi
}

# thrice COUNTER PATTERN COMMAND...: runs COMMAND, which sets $port, up to three times, until the
# port's COUNTER matches PATTERN. A machine that is busy for a moment may not reach it at once.
# shellcheck disable=SC2154 # the port is COMMAND's
thrice() {
	local counter=$1 pattern=$2 i
	shift 2
	for i in 1 2 3; do
		"$@"
		[[ $(stat_of r "$port" "$counter") =~ $pattern ]] && return
		echo "# attempt $i: $counter $(stat_of r "$port" "$counter")"
	done
}
# works WHAT COMMAND..., fails WHAT COMMAND...
works() {
	local what=$1
	shift
	if "$@"; then ok "$what"; else not_ok "$what: '$*' failed ($?)"; fi
}
fails() {
	local what=$1
	shift
	if "$@"; then not_ok "$what: '$*' succeeded"; else ok "$what"; fi
}

# ping_ NS ADDR [COUNT]: sends quick pings; all must be answered
ping_() {
	n "$1" ping -q -n -i 0.05 -W 1 -c "${3:-1}" "$2" >/dev/null
}

# map_in NAME: the name of the map that lies in r's engine's map of maps with this name; or nothing
map_in() {
	local prog ids id inner
	prog=$(hooks_of r0 in | awk '{print $1; exit}')
	ids=$(bpftool -j prog show id "$prog" | grep -o '"map_ids":\[[0-9,]*' | grep -o '[0-9]*')
	for id in $ids; do
		bpftool map show id "$id" | grep -q "array_of_maps  name $1 " || continue
		inner=$(bpftool map dump id "$id" |
			sed -n 's/.*value: \(..\) \(..\) \(..\) \(..\).*/\4\3\2\1/p' | decimal)
		[ -z "$inner" ] ||
			bpftool map show id "$inner" | sed -n 's/.* name \([a-z_]*\) .*/\1/p'
	done
}

# ---- what other hosts get is the same without divert and with it ----

# watch NAME NS [TAP]: from now on, writes what that host gets into one file for all hosts
# (progs/saw.py)
# saw: prints those lines, except the ones that match $ignore
ignore='^$'
watch() {
	start "saw_$1" "$2" python3 "$HERE/saw.py" "$1" "$TMP/seen" "${@:3}"
	wait_for 10 "who looks at what $1 gets" grep -q ready "$TMP/saw_$1.out"
}
saw() { grep -v "$ignore" "$TMP/seen"; }

# in_mode MODE: adds the rule of that mode on the host $at, and starts the program that reads. In
# the mode natd, the test adds rules of its own.
# end_mode WHAT: ends a mode
# all_diverted: how many packets were diverted there in this mode
mode=plain at=r
in_mode() {
	mode=$1
	nq $at ipfw -q -f flush
	case $mode in
	plain | natd) return ;;
	*in | *out) nq $at ipfw -q add 100 divert 2000 ip from any to any "${mode##* }" ;;
	*) nq $at ipfw -q add 100 divert 2000 ip from any to any ;;
	esac
	case $mode in
	batches) lib_reflect back -n 32 2000 ;;
	loans) lib_reflect back -B -n 32 2000 ;;
	*) reflect back $at 2000 ;;
	esac
}
end_mode() {
	[ "$mode" != plain ] && [ "$mode" != natd ] || return
	stop back
	all_back "$1, $mode" back
	nq $at ipfw -q -f flush # nobody listens
}
all_diverted() {
	local counted action sum=0
	while read -r _ counted _ action _; do
		[ "$action" != divert ] || sum=$((sum + counted))
	done < <(nq $at ipfw show)
	echo $sum
}
