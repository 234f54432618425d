#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Many packets at a time, inbound (divertctl(8), "Trains: the bulk path"). A program finds many
# packets waiting and writes them back one by one; they go to the kernel together. Each packet
# arrives at b once, in order, whole, with its fwmark, and meets the rules above its tag. Packets
# that cannot take the bulk path go as usual. The reader is stopped while a sends, so all packets
# wait for it. The network is lib.sh's: a -- r -- b.
# alone: packets take the bulk path only if the machine keeps up
. "$(dirname "$0")/lib.sh"
make_router
N=600

diverted() { [ "$(stat_of r "$1" diverted)" = "$2" ]; }
stopped() { grep -q '^State:.*stopped' "/proc/$1/status"; }

# burst NAME TRAINS ADDRESS OPTIONS...: sends N packets from a; TRAINS is a pattern for how many
# take the bulk path.
# sees has NS INTERFACE, where they arrive, and options for reflect.
sees=(b b0)
times=1 # how often each packet is seen there
cases=0
burst() {
	local name=$1 trains=$2

	thrice by-train "$trains" send_burst "$@"
	like "$name: in trains" "$(stat_of r "$port" by-train)" "$trains"
}
send_burst() {
	local name=$1 to=$3 key=4 runs="" p i
	port=$((3000 + ++cases))
	shift 3
	case $to in *:*) key=6 ;; esac
	wire=wire$cases
	sniffs "${sees[@]:0:2}"
	r ipfw -q flush
	r ipfw -q add 100 count udp from any to any 9 in recv r0
	r ipfw -q add 200 divert "$port" udp from any to any 9 in recv r0
	r ipfw -q add 300 count udp from any to any 9 in recv r0
	r ipfw -q add 400 count udp from any to any 9 in recv r0 fwmark 7
	reflect x r -k 7 "${sees[@]:2}" "$port"
	p=$(cat "$TMP/x.ready")
	kill -STOP "$p"
	wait_for 5 "$name: stopped" stopped "$p"
	a python3 "$HERE/numbered.py" send "$to" 9 "$N" "$@" >/dev/null
	wait_for 5 "$name: all wait" diverted "$port" "$N"
	kill -CONT "$p"
	wait_for 5 "$name: they arrive" has_arrived $((N * times))
	kill -TERM "$p"
	wait "$pid"
	stop "$wire"
	for ((i = 0; i < times; i++)); do runs+=" 0-$((N - 1))"; done
	is "$name: each once, in order" "$(numbers "$key")" "${runs# }"
	is "$name: whole" "$(whole)" "$N"
	is "$name: the rule below the tag, above it, and by fwmark" \
		"$(packets r 100) $(packets r 300) $(packets r 400)" "$N $N $N"
	is "$name: counted" "$(stat_of r "$port" written-in) $(stat_of r "$port" entered)" "$N $N"
}
# Some packets wait too long to take the bulk path, and on an emulated machine all may.
most='^([6-9][0-9]|[1-9][0-9][0-9])$'
[ "$SLOW" = 1 ] || most='^[0-9]+$'

ping_ a 10.2.0.1
ping_ a fd02::1

burst "64 bytes" "$most" 10.2.0.1 --size 36
burst "32 to 221 bytes" "$most" 10.2.0.1 --size 4 --vary 190
burst "1400 bytes" "$most" 10.2.0.1 --size 1372
burst "IPv6" "$most" fd02::1 --size 100
sees=(b b0 -m)
burst "sendmsg" "$most" 10.2.0.1
sees=(b b0 -D -C / -U)
burst "a daemon, nobody, in a chroot" "$most" 10.2.0.1
sees=(b b0)

is "status: trains" "$(q divertctl status | grep '^trains')" "trains: on"

# packets that do not take the bulk path
sees=(r r0)
# They are seen as they came, with checksums that are left to the card, and again when they are
# written.
times=2
burst "to this host" '^0$' 10.1.0.2
sees=(b b0)
times=1
r divertctl set trains off
burst "trains off" '^0$' 10.2.0.1
is "status: trains off" "$(q divertctl status | grep '^trains')" "trains: off"
r divertctl set trains on
with_sys r sh -c 'echo 1 >/sys/class/net/r0/queues/rx-0/rps_cpus'
# Nor do they if the bulk path's program cannot be loaded. Here it needs a privilege that divertctl
# status does not.
q setpriv --bounding-set -net_admin --inh-caps -net_admin divertctl status >"$TMP/status"
like "status: the program of trains cannot be loaded" "$(cat "$TMP/status")" \
	"trains: on, but their program cannot be loaded \\(Operation not permitted\\)"
burst "packet steering" '^0$' 10.2.0.1
with_sys r sh -c 'echo 0 >/sys/class/net/r0/queues/rx-0/rps_cpus'
with_sys r sh -c 'echo 32 >/sys/class/net/r0/queues/rx-0/rps_flow_cnt'
burst "flow steering" '^0$' 10.2.0.1
with_sys r sh -c 'echo 0 >/sys/class/net/r0/queues/rx-0/rps_flow_cnt'
clang -O2 -target bpf -x c -c -o "$TMP/pass.o" - <<-'END'
	__attribute__((section("xdp"), used)) int pass(void *ctx) { return 2; }
	__attribute__((section("license"), used)) char _license[] = "GPL";
END
with_sys r ip link set dev r0 xdpgeneric obj "$TMP/pass.o" sec xdp
burst "a generic XDP program" '^0$' 10.2.0.1
r ip link set dev r0 xdpgeneric off
sees=(b b0 -n "/run/netns/$NS-b")
burst "a program that has left the network namespace" '^0$' 10.2.0.1
sees=(b b0)
burst "as at first" "$most" 10.2.0.1

# packets on the bulk path and others keep their order
a ip link set a0 mtu 4000
r ip link set r0 mtu 4000
r ip link set r1 mtu 4000
b ip link set b0 mtu 4000
burst "longer than any in a train" '^0$' 10.2.0.1 --size 3000
burst "some are longer" '^[1-9]' 10.2.0.1 --size 36 --every 50 --other 3000

# a program that is busy with something else in between: the kernel sends the waiting packets, large
# frames, too
wire=thinking
sniffs b b0 ""
r ipfw -q flush
r ipfw -q add 200 divert 3990 udp from any to any 9 in recv r0
start thinker r divert-run "$PROGS/waiting" thinks 3990 "$N" "$TMP/go"
wait_for 5 "thinks: a program" grep -q ready "$TMP/thinker.out"
a python3 "$HERE/numbered.py" send 10.2.0.1 9 "$N" --size 1372 >/dev/null
wait_for 5 "thinks: all wait" diverted 3990 "$N"
touch "$TMP/go"
wait_for 10 "thinks: they arrive" has_arrived "$N"
stop thinker
stop thinking
is "thinks: each once, in order" "$(numbers 4)" "0-$((N - 1))"
is "thinks: whole" "$(whole)" "$N"

# While somebody attaches XDP programs, in any network namespace, the bulk path would wait in the
# kernel each time. So packets do not take it then.
r ipfw -q flush
r ipfw -q add 200 divert 3991 udp from any to any 9 in recv r0
reflect x r 3991
start attaches b "$PROGS/engine_attaches"
wait_for 30 "XDP programs are attached" grep -q ready "$TMP/attaches.out"
start flood a "$TOP/build/bench/sender" -r 60000 -b 32 10.2.0.1 9
written() { [ "$(stat_of r 3991 written-in)" -ge 200000 ]; }
wait_for 30 "XDP programs: packets are written back" written
stop flood
stop attaches
stop x
all_back "XDP programs" x
us=$(sed 's/ .*//' "$TMP/attaches.out")
if [ "$us" -lt 3000 ]; then
	echo "skip XDP programs: attaching one takes $us us here"
else
	trains=$(stat_of r 3991 by-train)
	written=$(stat_of r 3991 written-in)
	works "XDP programs are attached, $us us each: few packets wait for that ($trains of $written)" \
		test "$trains" -lt $((written / 3))
fi

# nothing is left of a program that was killed
reflect x r 3999
# program: finds its BPF program by its open descriptors: others on this machine may have one, too
program() {
	train=$(sed -n 's/^prog_id:[[:space:]]*//p' "/proc/$(cat "$TMP/x.ready")"/fdinfo/*)
	bpftool prog show id "${train:-0}" | grep -q 'name divert_bulk'
}
wait_for 5 "a program" program
kill -KILL "$(cat "$TMP/x.ready")"
gone() { ! bpftool prog show id "$train"; }
wait_for 10 "killed" gone
fails "killed: nothing is left" bpftool prog show id "$train"
