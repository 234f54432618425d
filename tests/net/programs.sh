#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# divert(4): "Nothing after bind(2) needs any [capability]: a program may then change its root and
# its user." "The descriptor is a real one": each way to wait for, read and write packets works as
# on any socket. Programs written for FreeBSD, for Linux 2.2 (the HOWTO's interceptor) and in Python
# run unchanged with divert-run(1) and the flags of `pkg-config libdivert-socket`.
. "$(dirname "$0")/lib.sh"
make_router

# daemon NAME NS OPTIONS...: starts reflect as a daemon, as nobody, in an empty root; its pid is in
# $daemon
daemon() {
	local name=$1
	mkdir "$TMP/$name.root"
	reflect "$name" "$2" -D -C "$TMP/$name.root" -U "${@:3}"
	daemon=$(cat "$TMP/$name.ready")
	pids+=("$daemon")
}

# end_daemon NAME: does what stop does, for a process that is no child of ours
end_daemon() {
	kill -TERM "$daemon"
	wait_for 5 "the daemon's last words" grep -q received "$TMP/$1.out"
}

# is_nobody NAME: checks its user, capabilities and root
is_nobody() {
	is "$1: uid, all four" "$(awk '/^Uid:/ {print $2, $3, $4, $5}' "/proc/$daemon/status")" \
		"65534 65534 65534 65534"
	is "$1: no capability" "$(awk '/^CapEff:/ {print $2}' "/proc/$daemon/status")" \
		0000000000000000
	is "$1: its root" "$(readlink "/proc/$daemon/root")" "$TMP/$1.root"
	is "$1: which is empty" "$(ls -A "$TMP/$1.root")" ""
	isnt_child "$1"
}
isnt_child() {
	wait_for 5 "$1: the one that was started ends" \
		bash -c "! kill -0 $(eval "echo \$pid_$1") || grep -q Z /proc/$(eval "echo \$pid_$1")/stat"
	wait "$(eval "echo \$pid_$1")"
	is "$1: daemon(3), the one that was started ended with 0" "$?" 0
}

for family in 4 6; do
	if [ $family = 4 ]; then to=10.2.0.1 near=10.1.0.2 proto=icmp types=(icmptypes 8); else
		to=fd02::1 near=fd01::2 proto=ipv6-icmp types=(icmp6types 128); fi
	for dir in in out; do
		name=nobody_$family$dir
		r ipfw -q flush
		r ipfw -q add 100 divert 2000 $proto from any to $to $dir "${types[@]}"
		daemon "$name" r 2000
		[ $family$dir != 4in ] || is_nobody "$name"
		works "v$family $dir: a daemon, chrooted, nobody: ping works" ping_ a $to 3
		end_daemon "$name"
		is "v$family $dir: nobody received and sent" "$(cat "$TMP/$name.out")" \
			"received 3 sent 3 failed 0"
	done
	# a local destination, first inbound, then out over lo: the route look-up needs no privilege
	name=nobody_${family}local
	r ipfw -q flush
	r ipfw -q add 100 divert 2000 $proto from any to $near "${types[@]}"
	daemon "$name" r 2000
	works "v$family to the host itself, inbound: ping works" ping_ a $near 2
	works "v$family to the host itself, over lo: ping works" ping_ r $near 2
	end_daemon "$name"
	# over lo the program reads a packet on its way out and on its way in
	is "v$family to the host itself: nobody received and sent" "$(cat "$TMP/$name.out")" \
		"received 6 sent 6 failed 0"
	# zero address and zero tag, from a socket without privileges: the packet is routed anew
	name=nobody_${family}zero
	r ipfw -q flush
	r ipfw -q add 100 divert 2000 $proto from any to $to in "${types[@]}"
	daemon "$name" r -z 2000
	works "v$family in, written back outbound by nobody: ping works" ping_ a $to 2
	end_daemon "$name"
	is "v$family in, written back outbound" "$(cat "$TMP/$name.out")" "received 2 sent 2 failed 0"
done
r ipfw -q flush

# ---- each call, in a program that checks itself ----

a ipfw -q add 100 divert 3000 udp from any to any 3009 out via lo
works "calls: all of them" a divert-run "$PROGS/calls" 3000 3009
a ipfw -q flush

# ---- the forms of reflect ----

r ipfw -q add 100 divert 2000 icmp from any to 10.2.0.1 in icmptypes 8
r ipfw -q add 110 divert 2000 ipv6-icmp from any to fd02::1 in icmp6types 128
for options in "" "-m" "-s" "-e" "-m -e" "-P 254" "-P 254 -s" "-b 1518"; do
	# shellcheck disable=SC2086
	reflect form r $options 2000
	works "reflect $options: v4" ping_ a 10.2.0.1 2
	works "reflect $options: v6 through the same socket" ping_ a fd02::1 2
	stop form
	is "reflect $options: received, sent" "$(tail -1 "$TMP/form.out")" "received 4 sent 4 failed 0"
done
for options in "-6" "-6 -m" "-6 -P 254"; do
	# shellcheck disable=SC2086
	reflect form r $options 2000
	works "reflect $options: v6" ping_ a fd02::1 2
	fails "reflect $options: v4 is not for a socket of AF_INET6" ping_ a 10.2.0.1
	stop form
	is "reflect $options: received, sent" "$(tail -1 "$TMP/form.out")" "received 2 sent 2 failed 0"
done
# read and write give no address, so no tag: rules must not divert again what was written
r ipfw -q flush
r ipfw -q add 100 divert 2000 icmp from any to 10.2.0.1 in icmptypes 8
reflect rw r -r 2000
works "read and write: ping works" ping_ a 10.2.0.1 2
stop rw
is "read and write: received, sent" "$(tail -1 "$TMP/rw.out")" "received 2 sent 2 failed 0"

# ---- built as a user would, against the installed tree ----

export PKG_CONFIG_PATH=$STAGE/lib/pkgconfig
read -ra flags < <(pkg-config --cflags --libs libdivert-socket)
works "pkg-config --cflags --libs libdivert-socket: compiles" \
	cc -Wall -Werror -o "$TMP/bsd" "$HERE/bsd_reflect.c" "${flags[@]}"
works "howto.c: compiles, linked" \
	cc -w -DREINJECT -o "$TMP/howto" "$HERE/howto.c" "${flags[@]}"
read -ra headers < <(pkg-config --cflags libdivert-socket)
works "howto.c: compiles, with the headers only" \
	cc -w -DREINJECT -o "$TMP/howto_plain" "$HERE/howto.c" "${headers[@]}"
libs="LD_LIBRARY_PATH=$STAGE/lib"

# running NAME GREP: waits until it says that it is bound
running() { wait_for 10 "$1 is bound" grep -q "$2" "$TMP/$1.out"; }

start bsd r timeout 20 env "$libs" "$TMP/bsd" 2000 3
running bsd "^bound PF_DIVERT port 2000"
works "bsd_reflect, linked: ping works" ping_ a 10.2.0.1 3
wait "${pid_bsd:-}"
is "bsd_reflect, linked: ends with 0 after 3" $? 0
is "bsd_reflect, linked: what it saw" "$(sed 1d "$TMP/bsd.out" | sort -u)" \
	"84 bytes rule 100 in 10.1.0.2 r0"

start howto r env "$libs" "$TMP/howto" 2000
running howto "Waiting for data"
works "howto, linked: ping works" ping_ a 10.2.0.1 2
is "howto, linked: reinjected" "$(grep -c ' 84 bytes reinjected' "$TMP/howto.out")" 2
like "howto, linked: the interface's address" "$(cat "$TMP/howto.out")" \
	"Receiving IF address: 10.1.0.2"
stop howto

start howto_plain r divert-run "$TMP/howto_plain" 2000
running howto_plain "Waiting for data"
works "howto under divert-run: ping works" ping_ a 10.2.0.1 2
is "howto under divert-run: reinjected" "$(grep -c ' 84 bytes reinjected' "$TMP/howto_plain.out")" 2
stop howto_plain

start python r timeout 20 divert-run python3 "$HERE/py_reflect.py" 2000 2
running python "^bound port 2000"
works "Python under divert-run: ping works" ping_ a 10.2.0.1 2
wait "${pid_python:-}"
is "Python under divert-run: ends with 0 after 2" $? 0
is "Python under divert-run: what it saw" "$(sed 1d "$TMP/python.out" | sort -u)" \
	"84 bytes rule 100 in 10.1.0.2 IPv4 protocol 1 10.1.0.1 > 10.2.0.1"
