# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Sourced by each network test. What it makes:
#
#	+--------- a ---------+      +---------- r ----------+      +--------- b ---------+
#	| a0  10.1.0.1/24     |------| r0  10.1.0.2/24       |      |                     |
#	|     fd01::1/64      |      |     fd01::2/64        |      |                     |
#	|                     |      | r1  10.2.0.2/24       |------| b0  10.2.0.1/24     |
#	|                     |      |     fd02::2/64        |      |     fd02::1/64      |
#	+---------------------+      +-----------------------+      +---------------------+
#
# r forwards. a, r and b run a command there; each is echoed. Namespaces have
# unique names; all that a test starts ends with it, also after Ctrl-C.
set -u

STAGE=${STAGE:?run it by tests/net/run}
export PATH=$STAGE/bin:$STAGE/sbin:$PATH
SLOW=${TEST_SLOW:-1} # how many times as long as elsewhere what is waited for may take
HERE=$(cd "$(dirname "$0")/progs" && pwd) # the programs that tests run
# shellcheck disable=SC2034 # in some of them
TOP=$(cd "$HERE/../../.." && pwd) # of the sources
TMP=$(mktemp -d)
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
		# what a test started in the background of something else, too
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

# For how long a ping waits for its answer, where all is slow: one in PATH before the real one
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
	ip netns exec "$NS-$ns" "$@"
}
a() { n a "$@"; }
r() { n r "$@"; }
b() { n b "$@"; }
# The same without the echo, for where the output is looked at: nq NAME COMMAND..., q: as r
nq() { ip netns exec "$NS-$1" "${@:2}"; }
q() { nq r "$@"; }

# build NAME VERSION [FILE SED-SCRIPT]: this tree, with FILE edited, into build/variants/NAME, from copies that keep
# their times. by_build NAME COMMAND...: run in r, by its tools and its library
build() {
	local dir=$TOP/build/variants/$1 sources
	sources=(Makefile LICENSE README.md CHANGELOG.md engine rules lib interpose tools include man packaging examples)
	mkdir -p "$dir"
	(cd "$dir" && rm -rf "${sources[@]}") || return
	(cd "$TOP" && cp -pR "${sources[@]}" "$dir") || return
	if [ $# = 4 ]; then
		sed -E -i "$4" "$dir/$3" || return
		# as old as when it last was another one
		cmp -s "$dir/$3" "$dir/edited" || cp "$dir/$3" "$dir/edited" || return
		touch -r "$dir/edited" "$dir/$3"
	fi
	# nothing of the make that may have started us
	env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -s -C "$dir" -j"$(nproc)" VERSION="$2" CFLAGS=-O1 stage
}
by_build() {
	local stage=$TOP/build/variants/$1/build/stage
	PATH=$stage/bin:$stage/sbin:$PATH q "${@:2}"
}

# hooks_of IFACE in|out: id and name of each program of an engine there, wherever it hangs
hooks_of() {
	local side=egress
	[ "$2" = out ] || side=ingress
	q "$PROGS/chain" list "$1" "$2" | grep " divert_$2\$"
	q tc filter show dev "$1" "$side" 2>/dev/null |
		sed -n "s/.* \(divert_$2\).* id \([0-9]*\) .*/\2 \1/p"
}

# make_ns NAME: a namespace with lo up
make_ns() {
	ip netns add "$NS-$1"
	ip -n "$NS-$1" link set lo up
}

# link NAME IF ADDR... -- NAME IF ADDR...: a veth pair with addresses, up at both ends
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

# The network drawn above, ready: link-local addresses are no longer tentative.
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
	ip netns exec "$NS-r" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	wait_for 5 "no tentative address" all_ready
}

all_ready() {
	local x
	for x in a r b; do
		[ -z "$(ip -n "$NS-$x" -6 addr show tentative)" ] || return 1
	done
}

# wait_for SECONDS WHAT COMMAND...: until it succeeds; a test that waits in vain has failed
wait_for() {
	local end=$((SECONDS + $1 * SLOW)) what=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		if [ $SECONDS -ge $end ]; then
			not_ok "waiting for: $what"
			return 1
		fi
		sleep 0.02
	done
}

# start NAME NS COMMAND...: in the background, output in $TMP/NAME.out and .err, pid in $pid
start() {
	local name=$1 ns=$2
	shift 2
	echo "# $ns: $* &" >&2
	: >"$TMP/$name.out" # now: what one of that name said before is not to be taken for this one's
	ip netns exec "$NS-$ns" "$@" >"$TMP/$name.out" 2>"$TMP/$name.err" &
	pid=$!
	pids+=("$pid")
	eval "pid_$name=$pid"
}

# reflect NAME NS [OPTIONS] PORT: progs/reflect under divert-run, bound when this returns
reflect() {
	local name=$1 ns=$2
	shift 2
	rm -f "$TMP/$name.ready"
	start "$name" "$ns" divert-run "$PROGS/reflect" -p "$TMP/$name.ready" "$@"
	wait_for 10 "reflect $*" test -s "$TMP/$name.ready"
}

# lib_reflect NAME OPTIONS... PORT: progs/lib_reflect on r, bound when this returns
lib_reflect() {
	local name=$1
	shift
	rm -f "$TMP/$name.ready"
	start "$name" r "$PROGS/lib_reflect" -p "$TMP/$name.ready" "$@"
	wait_for 10 "lib_reflect $*" test -s "$TMP/$name.ready"
}

# Packets with numbers (progs/numbered.py) to UDP port 9, as they pass somewhere: $wire is the capture's name.
wire=wire
has_arrived() { [ "$(tcpdump -n -r "$TMP/$wire.pcap" 2>/dev/null | wc -l)" -ge "$1" ]; }
# sniffs NS INTERFACE [FILTER]: from now on
sniffs() {
	start "$wire" "$1" tcpdump -n -U -s 0 -B 8192 -i "$2" -w "$TMP/$wire.pcap" -Q in "udp port 9 ${3-}"
	wait_for 10 "tcpdump" grep -q "listening on" "$TMP/$wire.err"
}
# decimal: hexadecimal numbers, one a line; awk is no help, as few of its kinds read them
decimal() {
	local n
	while read -r n; do echo $((16#$n)); done
}
# numbers VERSION: of those that arrived, as FIRST-LAST of each run
numbers() {
	tcpdump -n -x -r "$TMP/$wire.pcap" 2>/dev/null |
		awk -v "line=0x00$(($1 == 6 ? 30 : 10)):" -v "word=$(($1 == 6 ? 3 : 9))" \
			'$1 == line { print $word }' | decimal |
		awk 'NR == 1 { printf "%d", $1 }
			NR > 1 && $1 != last + 1 { printf "-%d %d", last, $1 }
			{ last = $1 }
			END { printf "-%d", last }'
}
# whole: how many have a right checksum
whole() { tcpdump -n -vv -r "$TMP/$wire.pcap" 2>/dev/null | grep -c 'udp sum ok'; }

# had NS: segments that were sent again from there, and that the receiver had
had() {
	n "$1" awk '/^TcpExt:/ && !n++ { split($0, name) }
		/^TcpExt:/ { for (i in name) if (name[i] == "TCPDSACKRecvSegs") had = $i }
		END { print had }' /proc/net/netstat
}

# stop NAME: SIGTERM, wait; its exit status
stop() {
	local p
	eval "p=\$pid_$1"
	kill -TERM "$p" 2>/dev/null
	wait "$p"
}

# count NAME WORD: of "received N sent N failed N", which reflect prints at its end
count() {
	sed -n "s/.*$2 \([0-9]*\).*/\1/p" "$TMP/$1.out" | tail -1
}

# all_back WHAT NAME...: reflectors that have ended wrote back all that they read, and nothing failed
all_back() {
	local name what=$1 got="" wanted=""
	shift
	for name; do
		got+="$(count "$name" sent) $(count "$name" failed) "
		wanted+="$(count "$name" received) 0 "
	done
	is "$what: all that was read was written back" "$got" "$wanted"
}

# serve NAME NS PORT: progs/httpd.py, which says who asks, listening when this returns
serve() {
	start "$1" "$2" python3 "$HERE/httpd.py" "$3" "$TMP/$1.ready"
	wait_for 5 "web server $1" test -s "$TMP/$1.ready"
}

# packets NS RULE: how many packets the rule has counted
packets() {
	nq "$1" ipfw show "$2" | awk '{n += $2} END {print n + 0}'
}

# stat NS PORT CAUSE: a counter of divertctl
stat_of() {
	nq "$1" divertctl stat -a "$2" | awk -v c="$3" '$2 == c {print $1; exit}'
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

# like WHAT GOT REGEX
like() {
	if [[ $2 =~ $3 ]]; then ok "$1"; else not_ok "$1: got '$2', expected /$3/"; fi
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

# ping_ NS ADDR [COUNT]: quick pings, all must be answered
ping_() {
	n "$1" ping -q -n -i 0.05 -W 1 -c "${3:-1}" "$2" >/dev/null
}
