#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Everything at once, for SOAK seconds:
# - paced UDP with fragments, TCP as bulk, pings and floods, over IPv4 and IPv6, diverted on the way
#   in and out, in both directions;
# - readers of each kind, some of which are killed and restarted;
# - rules that change, and commands that only look;
# - other programs that take all CPUs in bursts, or attach XDP programs.
#
# SOAK=3600 tests/net/run -v soak is the long run. SEED=N does the same things again, in the same
# order.
#
#	a -- r -- b	a lane for each reader of r: packets of two addresses of b's,
#	 \  /		10.2.0.LANE and fd02::LANE, are diverted to port 2000 + LANE
#	 link		two tun devices and a program between them; it waits for a CPU as readers do
#
# A ping in a lane may take longer than one over the link or one that is not diverted, but not much:
# divert is to blame for the rest.
# alone: it takes all CPUs
. "$(dirname "$0")/lib.sh"
SOAK=${SOAK:-20}
SEED=${SEED:-$RANDOM}
RANDOM=$SEED
echo "# SOAK=$SOAK SEED=$SEED"

# Before a ping, a reader finds at most this: two floods of FLOOD packets, what TCP has under way,
# and paced UDP. At 10 us each, with a tenth of a CPU, that is half a second. The stalls that this
# test looks for took some seconds.
FLOOD=$((2000 / SLOW))
LONGER=$((1000 * SLOW)) # ms
# Datagrams a second of each flow of the paced UDP. A lane has four flows.
RATE=$((250 / SLOW))
BULK=$((5000000 / SLOW)) # bytes a second of each TCP connection

# The lanes and their readers, by progs/lib_soak. These readers stay, and each ping there is
# answered:
declare -A stays=([101]="one" [102]="epoll -c" [103]="edge" [104]="batch" [105]="borrow" [106]="one -s")
# These readers are ended by a signal, and restarted, each time as another kind:
declare -A ends=([111]=TERM [112]=USR1 [113]=KILL [114]=KILL)
kinds=(one epoll edge batch borrow)
declare -A shares=([106]=2 [114]=2) # lanes with several readers
bulk=(102 104 105 111 113)	    # lanes with TCP
mapfile -t lanes < <(printf '%s\n' "${!stays[@]}" "${!ends[@]}" | sort)
enders=(111 112 113 114 114)

make_router
start link r python3 "$HERE/tunpair.py" "$NS-a" t0 "$NS-r" t1 "$TMP/link.ready"
wait_for 10 "the link" test -s "$TMP/link.ready"
for x in a:t0:10.9.0.1 r:t1:10.9.0.2; do
	IFS=: read -r ns dev address <<<"$x"
	add_addr "$ns" "$dev" "$address/24"
	ip -n "$NS-$ns" link set "$dev" up
done
for lane in "${lanes[@]}"; do
	add_addr b b0 "10.2.0.$lane/24"
	add_addr b b0 "fd02::$lane/64"
done

# ---- rules ----

# rules LANE: a lane whose readers end has its rules twice, in two sets, one of which is off
rules() {
	local end set sets=0 port=$((2000 + $1)) number=$((1000 + $1))
	[ -z "${ends[$1]-}" ] || sets="1 2"
	for set in $sets; do
		for end in 10.2.0 fd02:; do
			[ $end = fd02: ] && end=fd02::$1 || end=10.2.0.$1
			echo "add $number set $set divert $port ip from any to $end"
			echo "add $number set $set divert $port ip from $end to any"
		done
	done
}
for lane in "${lanes[@]}"; do rules "$lane"; done >"$TMP/rules"
r ipfw -q set disable 2
r ipfw -q "$TMP/rules"
changes_rules() {
	local number=$((100 + RANDOM % 50)) lane=${enders[RANDOM % ${#enders[@]}]}
	case $((RANDOM % 6)) in
	0) q ipfw -q set swap 1 2 ;;
	1) q ipfw -q add $number set 3 count udp from any to any ;;
	2) q ipfw -q delete set 3 ;;
	3) q ipfw -q add $number set 4 skipto $((number + 1)) ip from 10.2.0.0/24 to any in ;;
	4) q ipfw -q set disable 4 enable 3 ;;
	5) # so for a moment nothing is diverted there
		q ipfw -q delete $((1000 + lane))
		rules "$lane" >"$TMP/again"
		q ipfw -q "$TMP/again"
		;;
	esac
}
looks() {
	case $((RANDOM % 4)) in
	0) q divertctl stat ;;
	1) q divertctl status ;;
	2) q divertctl attach ;;
	3) q ipfw -S show ;;
	esac >/dev/null
}

# ---- readers ----

declare -A reader # pid, by LANE.MEMBER
began=0
# begins LANE.MEMBER KIND OPTIONS...: starts a reader; it is bound when this returns
begins() {
	local who=$1 kind=$2 lane=${1%.*}
	shift 2
	: >"$TMP/$who.out"
	"$PROGS/within" "$NS-r" divert-run "$PROGS/lib_soak" "$@" "$kind" $((2000 + lane)) "$TMP/$who.tally" \
		>"$TMP/$who.out" 2>>"$TMP/$who.err" &
	reader[$who]=$!
	pids=("${others[@]}" "${reader[@]}")
	wait_for 30 "$who, $kind: bound" grep -q ready "$TMP/$who.out"
	began=$((began + 1))
	cat "/proc/${reader[$who]}/fdinfo/"* 2>/dev/null | awk '/^(map|prog)_id:/ { print $1, $2 }' >>"$TMP/ids"
}
# ended LANE.MEMBER SIGNAL: ends a reader
ended() {
	kill "-$2" "${reader[$1]}"
	wait "${reader[$1]}" 2>/dev/null
	unset "reader[$1]"
}
# again LANE.MEMBER: starts a reader that takes fragments as they come. lib_soak.c says why: a
# killed one may have taken some.
again() {
	local options=(-w)
	[ "${shares[${1%.*}]-1}" = 1 ] || options+=(-s)
	begins "$1" "${kinds[RANDOM % ${#kinds[@]}]}" "${options[@]}"
}
restarts() {
	local lane=${enders[RANDOM % ${#enders[@]}]} who
	who=$lane.$((RANDOM % ${shares[$lane]-1}))
	ended "$who" "${ends[$lane]}"
	sleep "0.0$((RANDOM % 10))"
	again "$who"
}
others=("${pids[@]}")
for lane in "${lanes[@]}"; do
	for ((member = 0; member < ${shares[$lane]-1}; member++)); do
		# shellcheck disable=SC2086 # kind and options
		if [ -n "${ends[$lane]-}" ]; then again $lane.$member; else begins $lane.$member ${stays[$lane]}; fi
	done
done

# ---- traffic ----

there=() back=()
for lane in "${lanes[@]}"; do
	ping_ a "10.2.0.$lane" || not_ok "lane $lane: a ping"
	ping_ a "fd02::$lane" || not_ok "lane $lane: a ping by IPv6"
	there+=("any-10.2.0.$lane" "any-fd02::$lane")
	back+=("10.2.0.$lane-10.1.0.1" "fd02::$lane-fd01::1")
done
start there a python3 "$HERE/paced.py" $RATE 10 "$TMP/there.ready" "${there[@]}"
start back b python3 "$HERE/paced.py" $RATE 10 "$TMP/back.ready" "${back[@]}"
for ns in a b; do
	start sink_$ns $ns socat -u TCP6-LISTEN:5000,fork,reuseaddr,ipv6only=0,rcvbuf=262144 OPEN:/dev/null
done
listening() { nq "$1" ss -Hltn "sport = 5000" | grep -q .; }
for ns in a b; do wait_for 10 "TCP" listening $ns; done
# sends LANE NS: starts a TCP sender
sends() {
	local to=TCP6:[fd02::$1]:5000
	[ "$2" = a ] || to=TCP4:10.1.0.1:5000,bind=10.2.0.$1
	start "tcp_$2_$1" "$2" socat -u -b 65536 OPEN:/dev/zero "$to,setsockopt-int=1:47:$BULK"
}
for lane in "${bulk[@]}"; do sends "$lane" a; sends "$lane" b; done
# pings NAME ADDRESS: ten a second, until the load is over, since ping does not wait long for the
# last answer
PINGS=$((10 * SOAK + 50))
pings() { start "ping_$1" a ping -n -D -i 0.1 -c $PINGS -W 60 "$2"; }
pings link 10.9.0.2
pings plain 10.2.0.1
for lane in "${!stays[@]}"; do
	pings "$lane" "10.2.0.$lane"
	pings "${lane}_6" "fd02::$lane"
done
floods() {
	local lane=${lanes[RANDOM % ${#lanes[@]}]} many=$FLOOD
	[ -n "${stays[$lane]-}" ] || many=$((15 * FLOOD))
	nq a python3 "$HERE/numbered.py" send "10.2.0.$lane" 9 $many --connect >/dev/null &
}
takes_processors() {
	local loops=$(($(nproc) * (1 + RANDOM % 6))) seconds=$((1 + RANDOM % 3))
	while [ $((loops--)) -gt 0 ]; do
		timeout $seconds bash -c 'while :; do :; done' &
	done
}
# attaches: the bulk path waits for this, on the whole host
attaches() { timeout $((1 + RANDOM % 3)) "$PROGS/within" "$NS-b" "$PROGS/engine_attaches" >/dev/null & }

# ---- everything at once ----

others=("${pids[@]}")
does() {
	date "+%s.%N $*" >>"$TMP/done"
	"$@"
}
echo "# the soak begins" >&2
n=0 until=$((SECONDS + SOAK)) minute=$((SECONDS + 60))
while [ $SECONDS -lt $until ]; do
	if [ $SECONDS -ge $minute ]; then
		echo "# $(((until - SECONDS) / 60 + 1)) minutes are left; readers so far: $began" >&2
		minute=$((minute + 60))
	fi
	sleep "0.$((RANDOM % 4))$((RANDOM % 10))"
	case $((n++ % 16)) in
	0) does takes_processors ;;
	4 | 12) does floods ;;
	8) does attaches ;;
	*) case $((RANDOM % 3)) in
		0) does restarts ;;
		1) does changes_rules ;;
		2) does looks ;;
		esac ;;
	esac
done
echo "# the soak ends; readers: $began" >&2

# ---- the end: first of the traffic, then of the readers ----

names=()
for lane in "${!stays[@]}"; do names+=("$lane" "${lane}_6"); done
is_over() { ! kill -0 "$1"; }
for name in link plain "${names[@]}"; do
	eval "p=\$pid_ping_$name"
	# The interval of the pings grows with the load.
	wait_for $((90 + SOAK / 10)) "pings of $name end" is_over "$p"
done
for name in there back "${bulk[@]/#/tcp_a_}" "${bulk[@]/#/tcp_b_}"; do stop "$name"; done
quiet() {
	local was=${now-}
	now=$(q divertctl stat | grep -E ' (diverted|written-in|written-out|entered) ')
	[ "$now" = "$was" ] || { sleep 0.5; return 1; }
}
wait_for 60 "no packet is on its way" quiet
for who in "${!reader[@]}"; do
	kill -TERM "${reader[$who]}"
	wait "${reader[$who]}"
	is "reader $who: ends well" $? 0
done
is "readers say nothing" "$(cat "$TMP"/*.*.err | sort | uniq -c)" ""
r divertctl stat >"$TMP/stat"

# ---- pings ----

# within WHAT NUMBER MIN MAX: checks that the number is within these bounds
within() {
	local what="$1: $2"
	[ "$3" = "$4" ] || what+=", of $3 to $4"
	[ "$2" -ge "$3" ] && [ "$2" -le "$4" ] && ok "$what" && return
	not_ok "$what"
	return 1
}
# longest NAME: the longest round trip, in ms
longest() { sed -n 's,^rtt .* = [0-9.]*/[0-9.]*/\([0-9]*\).*,\1,p' "$TMP/ping_$1.out"; }
# around NAME: prints what was done around that time
around() {
	awk -F '[][ =]' -v longest="$(longest "$1")" '/ time=/ && int($(NF - 1)) == longest { print $2; exit }' \
		"$TMP/ping_$1.out" | while read -r when; do
		echo "# lane $1: answered at $when"
		awk -v t="$when" '$1 > t - 5 && $1 < t + 1 { print "#", $0 }' "$TMP/done"
	done
}
undiverted=$(printf '%s\n' "$(longest link)" "$(longest plain)" | sort -n | tail -1)
for name in "${names[@]}"; do
	lane=${name%_6}
	what="lane $name, ${stays[$lane]}"
	is "$what: each ping is answered, once" "$(sed -n '/transmitted/s/, time.*//p' "$TMP/ping_$name.out")" \
		"$PINGS packets transmitted, $PINGS received, 0% packet loss"
	within "$what: none waits for long, ms" "$(longest "$name")" 0 $((undiverted + LONGER)) || around "$name"
done

# ---- sums ----

# counters LANE: prints NAME COUNT for counters that are not 0
counters() {
	awk -v port="port $((2000 + $1))" '!/^ / { on = index($0, port) == 1 } /^ / && on { print $2, $1 }' "$TMP/stat"
}
counter() { counters "$1" | awk -v c="$2" '$1 == c { n = $2 } END { print n + 0 }'; }
# tally LANE: the sums of all its readers; lib_soak.c has the fields
tally() {
	read -r read sent failed unsure_read unsure_sent unsure_left <<<"$(
		for t in "$TMP/$1".*.tally; do od -An -v -t u8 -w72 "$t"; done |
			awk '{ for (i = 1; i <= 6; i++) n[i] += $i } END { print n[1], n[2], n[3], n[4], n[5], n[6] }'
	)"
}
# These counters may rise in a lane whose reader stays. A lane whose readers end may have more of
# them.
may="diverted written-in written-out entered by-train joined"
may_too="$may unread no-listener buffer-full"
for lane in "${lanes[@]}"; do
	tally "$lane"
	got=$(($(counter $lane diverted) - $(counter $lane unread)))
	written=$(($(counter $lane written-in) + $(counter $lane written-out)))
	allowed=$may
	[ -n "${stays[$lane]-}" ] || allowed=$may_too
	echo "# lane $lane: $(counters $lane | xargs)"
	if [[ ${stays[$lane]-} = *-c ]]; then
		works "lane $lane: what was diverted, $got, was read, in $read pieces" test $got -le "$read"
	else
		within "lane $lane: diverted, and not unread: was read" $got $read $((read + unsure_read))
	fi
	within "lane $lane: was sent: written" $written $((sent - unsure_left)) $((sent + unsure_sent))
	is "lane $lane: written: entered" "$(counter $lane entered)" $written
	is "lane $lane: read: sent, none refused" $failed 0
	# shellcheck disable=SC2086 # words
	is "lane $lane: nothing else" "$(counters $lane | cut -d' ' -f1 | grep -vxF "$(printf '%s\n' $allowed)")" ""
done
for ns in a b; do
	is "$ns: no checksum was wrong" \
		"$(nq $ns nstat -asz | awk '/InCsumErrors|InHdrErrors/ && $2 != 0 { print $1, $2 }')" ""
done

# ---- memory ----

is "no memory is held for $began readers" "$(q "$PROGS/engine_slots" look)" 0
# ids of the programs and maps of the engine and of the readers
for dev in lo r0 r1 t1; do
	hooks_of $dev in
	hooks_of $dev out
done | sort -u | while read -r id _; do
	echo "prog_id: $id"
	bpftool -j prog show id "$id" | grep -o '"map_ids":\[[0-9,]*' | grep -o '[0-9]*' | sed 's/^/map_id: /'
done >>"$TMP/ids"
for kind in map prog; do sed -n "s/^${kind}_id: //p" "$TMP/ids" | sort -u >"$TMP/$kind"; done
left() {
	local kind
	for kind in map prog; do
		bpftool $kind list | sed -n 's/^\([0-9]*\): .*/\1/p' | sort | comm -12 - "$TMP/$kind"
	done
}
none_left() { [ -z "$(left)" ]; }
works "a ring of each was seen" test "$(wc -l <"$TMP/map")" -gt $began
like "the programs and maps of the engine are there" "$(left | wc -l)" '^[1-9]'
r divertctl unload
wait_for 30 "no program, no map and no ring is left" none_left && ok "no program, no map and no ring is left"
