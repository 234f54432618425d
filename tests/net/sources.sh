#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# divert(4): "Sources for the BSDs": what they include, name and look up, with the flags of
# `pkg-config libdivert-socket`; ualarm(3) of a second and more; the names natd and divert, unless
# the system's files define them. "Plugins": a plugin that is compiled and linked with these flags
# diverts in a program that knows nothing of divert sockets.
. "$(dirname "$0")/lib.sh"
make_router

export PKG_CONFIG_PATH=$STAGE/lib/pkgconfig
read -ra headers < <(pkg-config --cflags libdivert-socket)
read -ra flags < <(pkg-config --cflags --libs libdivert-socket)

# ---- headers ----

for with in -O0 -D__FreeBSD__ -D__FreeBSD__=14 -D__OpenBSD__ "-O2 -D_FORTIFY_SOURCE=2" -D_FILE_OFFSET_BITS=64 \
	"-std=c99 -D_DEFAULT_SOURCE"; do
	read -ra more <<<"$with"
	works "bsd_headers.c with $with: compiles" cc -Wall -Wextra -Werror "${more[@]}" "${headers[@]}" \
		-o "$TMP/headers" "$HERE/bsd_headers.c"
	is "bsd_headers.c with $with: what it says" "$("$TMP/headers")" "$(case $with in
	*BSD*) echo "sa_len 28 16" ;;
	*) : ;;
	esac)"
done

# ---- natd ----

works "bsd_natd.c: compiles" cc -Wall -Wextra -Werror -D__FreeBSD__=14 -o "$TMP/natd" "$HERE/bsd_natd.c" "${flags[@]}"
r ipfw -q add 100 divert natd icmp from any to any via r1
libs="LD_LIBRARY_PATH=$STAGE/lib"
start natd r timeout 20 env "$libs" "$TMP/natd" -interface r1
wait_for 10 "natd is bound" grep -q "^bound" "$TMP/natd.out"
is "natd -interface r1: names and addresses" "$(cat "$TMP/natd.out")" "link of 6 bytes, index right
address 10.2.0.2
bound port 8668 of natd/divert, protocol 258"
works "natd: ping works" ping_ a 10.2.0.1 3
began=$(date +%s%N)
kill -TERM "$(pgrep -P "${pid_natd:-}")"
works "natd told SIGTERM: it goes on for a while" ping_ a 10.2.0.1 1
wait "${pid_natd:-}"
is "natd told SIGTERM: it ends" $? 0
took=$((($(date +%s%N) - began) / 1000000))
is "natd told SIGTERM: ualarm(3) of more than a second" "$((took >= 1200 && took < 6000))" 1
is "natd: packets" "$(tail -1 "$TMP/natd.out")" "8 packets, 0 wrong"
r ipfw -q flush

# ---- udpbench ----

# bench HOW COMMAND...: reads 30 packets and does not pass them on
bench() {
	local how=$1
	shift
	r ipfw -q flush
	r ipfw -q add 100 divert 12345 udp from any to 10.2.0.1 9 in
	r ipfw -q add 200 count udp from any to any 9
	start bench r timeout 20 "$@"
	wait_for 10 "udpbench $how is bound" grep -q "^sockname: 0.0.0.0 12345" "$TMP/bench.out"
	a python3 "$HERE/numbered.py" send 10.2.0.1 9 30 --size 100 >"$TMP/sent"
	wait "${pid_bench:-}"
	is "udpbench $how: ends with 0" $? 0
	is "udpbench $how: nothing is said" "$(cat "$TMP/bench.err")" ""
	is "udpbench $how: none goes on" "$(packets r 200)" 0
}

works "bsd_udpbench.c: compiles" cc -Wall -Wextra -Werror -o "$TMP/udpbench" "$HERE/bsd_udpbench.c" "${flags[@]}"
bench "linked, recv" env "$libs" "$TMP/udpbench" -b 262144 -t 10 100
is "udpbench, recv: packets" "$(tail -1 "$TMP/bench.out")" "recv: 30 packets, idle"
bench "under divert-run, recvmmsg" divert-run "$PROGS/bsd_udpbench" -i 0 -t 1 -m 8 100 0.0.0.0
is "udpbench, recvmmsg: packets, until SIGALRM" "$(tail -1 "$TMP/bench.out")" "recv: 30 packets, alarm"
r ipfw -q flush

# ---- tcpcryptd ----

serve web b 80
# the launcher adds these rules
a ipfw 02 add divert 666 tcp from any to any 80
a ipfw 03 add divert 666 tcp from any 80 to any
# tcpcrypt HOW COMMAND...: fetches a page through it; checks what b has seen, and its counter, by
# its control port
tcpcrypt() {
	local how=$1
	shift
	start crypt a timeout 20 "$@" 666 5005
	wait_for 10 "tcpcryptd $how runs" grep -q Running "$TMP/crypt.out"
	# a RST, or its option behind those that Linux puts into a SYN
	start dump b tcpdump -n -l -i b0 "tcp dst port 80 and (tcp[13] & 4 != 0 or tcp[40:4] = 0x45040001)"
	wait_for 10 "tcpdump" grep -q "listening on" "$TMP/dump.err"
	is "tcpcryptd $how: a page of 100000 bytes" "$(nq a curl -s -m 5 http://10.2.0.1/100000 | wc -c)" 100000
	wait_for 5 "tcpcryptd $how: the segment of the raw socket" \
		grep -q "10.1.0.1.666 > .*Flags \[R" "$TMP/dump.out"
	is "tcpcryptd $how: the SYN with its option, elsewhere" "$(grep -c "Flags \[S\]" "$TMP/dump.out")" 1
	is "tcpcryptd $how: the control port answers" "$(nq a python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.sendto(b"?", ("127.0.0.1", 5005))
print(int(s.recv(64)) > 40)')" True
	stop dump
	kill -TERM "$(pgrep -P "${pid_crypt:-}")"
	wait "${pid_crypt:-}"
	is "tcpcryptd $how: SIGTERM ends it with 0" $? 0
	is "tcpcryptd $how: nothing is said" "$(cat "$TMP/crypt.err")" ""
	like "tcpcryptd $how: packets" "$(tail -1 "$TMP/crypt.out")" "^[0-9]{2,} packets$"
}
works "bsd_tcpcryptd.c: compiles" \
	cc -Wall -Wextra -Werror -D__FreeBSD__=14 -o "$TMP/tcpcryptd" "$HERE/bsd_tcpcryptd.c" "${flags[@]}"
tcpcrypt "linked" env "$libs" "$TMP/tcpcryptd"
tcpcrypt "under divert-run" divert-run "$PROGS/bsd_tcpcryptd"
works "tcpcryptd: its rules are deleted" a ipfw delete 02 03

# ---- dvtws ----

# the fakes have one hop left; r sees them
start fakes r tcpdump -n -l -i r0 "(ip[8] = 1 and ip[9] = 6) or (ip6[7] = 1 and ip6[6] = 6)"
wait_for 10 "tcpdump" grep -q "listening on" "$TMP/fakes.err"
fakes() { echo "$(grep -c " IP " "$TMP/fakes.out") $(grep -c " IP6 " "$TMP/fakes.out")"; }
seen() { [ "$(fakes)" = "$1" ]; }
pages() { # NUMBER...: fetches that many bytes, over both families
	local number
	for number; do
		nq a curl -s -m 5 "http://10.2.0.1/$number" | wc -c
		nq a curl -s -g -m 5 "http://[fd02::1]/$number" | wc -c
	done | xargs
}
# the rule from its documentation
a ipfw add 100 divert 989 tcp from any to any 80,443 out not diverted not sockarg xmit a0
chmod 755 "$TMP"
# dvtws HOW FAKES FAKES COMMAND...: a listed request is preceded by a fake. The two numbers are the
# fakes before and after the list changes.
dvtws() {
	local how=$1 before=$2 after=$3
	shift 3
	echo 11111 >"$TMP/list"
	: >"$TMP/fakes.out"
	start dvtws a "$@" 989 65534 "$TMP/dvtws.pid" "$TMP/list"
	wait_for 10 "dvtws $how is bound" grep -q bound "$TMP/dvtws.out"
	wait "${pid_dvtws:-}"
	is "dvtws $how: a daemon, the one that was started ended with 0" $? 0
	daemon=$(cat "$TMP/dvtws.pid")
	pids+=("$daemon")
	is "dvtws $how: it has another user's identity" "$(awk '/^Uid:/ {print $3}' "/proc/$daemon/status")" 65534
	is "dvtws $how: pages" "$(pages 11111 22222)" "11111 11111 22222 22222"
	wait_for 5 "dvtws $how: fakes elsewhere, v4 and v6" seen "$before"
	echo 22222 >"$TMP/list"
	kill -HUP "$daemon"
	is "dvtws $how, SIGHUP: pages" "$(pages 22222 22222 11111)" "22222 22222 22222 22222 11111 11111"
	wait_for 5 "dvtws $how, SIGHUP: fakes" seen "$after"
	is "dvtws $how: fakes, no more" "$(fakes)" "$after"
	kill -KILL "$daemon"
	wait_for 5 "dvtws $how has ended" gone
}
gone() { ! kill -0 "$daemon" 2>/dev/null; }

works "bsd_dvtws.c for OpenBSD: compiles" \
	cc -Wall -Wextra -Werror -D__OpenBSD__ -o "$TMP/dvtws6" "$HERE/bsd_dvtws.c" "${flags[@]}"
dvtws "for OpenBSD, linked" "1 1" "3 3" env "$libs" "$TMP/dvtws6"
is "dvtws for OpenBSD: nothing is said" "$(cat "$TMP/dvtws.err")" ""
works "bsd_dvtws.c for FreeBSD: compiles, with the headers only" \
	cc -Wall -Wextra -Werror -D__FreeBSD__=14 -o "$TMP/dvtws4" "$HERE/bsd_dvtws.c" "${headers[@]}"
dvtws "for FreeBSD, under divert-run" "0 1" "0 3" divert-run "$TMP/dvtws4"
is "dvtws for FreeBSD: a raw socket has no SO_USER_COOKIE" "$(sort -u "$TMP/dvtws.err")" \
	"dvtws4: fake: SO_USER_COOKIE: Protocol not available"
stop fakes
a ipfw -q flush

# ---- libdaq ----

works "bsd_daq.c, the program: compiles without any flags" cc -Wall -Werror -o "$TMP/daqtest" "$HERE/bsd_daq.c" -pthread
r ipfw -q add 100 divert 8000 icmp from any to any
# daqtest HOW COMMAND...: no packet of 184 bytes comes through
daqtest() {
	local how=$1
	shift
	start daq r timeout 20 "$@" 8000 184
	wait_for 10 "daqtest $how has started" grep -q started "$TMP/daq.out"
	works "daqtest $how: ping works" ping_ a 10.2.0.1 3
	fails "daqtest $how: a long ping is blocked" a ping -q -n -i 0.05 -W 0.5 -c 2 -s 156 10.2.0.1
	kill -INT "$(pgrep -P "${pid_daq:-}")"
	wait "${pid_daq:-}"
	is "daqtest $how: SIGINT ends it with 0" $? 0
	is "daqtest $how: nothing is said" "$(cat "$TMP/daq.err")" ""
	# on each side of r, in both directions
	is "daqtest $how: what it saw" "$(tail -1 "$TMP/daq.out")" "passed 12 blocked 2"
}
works "bsd_daq.c, the module: compiles" \
	cc -shared -fPIC -DBUILDING_SO -Wall -Wextra -Werror -o "$TMP/daq.so" "$HERE/bsd_daq.c" "${flags[@]}"
daqtest "that knows nothing" env "$libs" "$TMP/daqtest" "$TMP/daq.so"
works "bsd_daq.c, the module: compiles, with the headers only" \
	cc -shared -fPIC -DBUILDING_SO -D__FreeBSD__ -Wall -Wextra -Werror -o "$TMP/daq.so" "$HERE/bsd_daq.c" "${headers[@]}"
daqtest "under divert-run" divert-run "$TMP/daqtest" "$TMP/daq.so"
r ipfw -q flush

# ---- names ----

cat >"$TMP/names.py" <<'END'
import socket
print(socket.getservbyname("natd", "divert"), socket.getservbyname("natd"), socket.getprotobyname("divert"))
print(socket.getservbyport(8668, "divert"), socket.getservbyname("domain", "udp"))
for call, args in ((socket.getservbyname, ("natd", "tcp")), (socket.getservbyport, (8668, "tcp")),
                   (socket.getservbyname, ("nonsense", "divert")), (socket.getprotobyname, ("nonsense",))):
    try:
        print(call(*args))
    except OSError as error:
        print(error)
try:
    print(socket.getaddrinfo(None, "natd", type=socket.SOCK_RAW))
except socket.gaierror as error:
    print(error.errno == socket.EAI_SERVICE)
END
none="service/proto not found
port/proto not found
service/proto not found
protocol not found"
is "names: natd, divert" "$(q divert-run python3 "$TMP/names.py")" "8668 8668 258
natd 53
$none
True"
{ cat /etc/services && echo "natd 7777/divert"; } >"$TMP/services"
{ cat /etc/protocols && echo "divert 99 DIVERT"; } >"$TMP/protocols"
# shellcheck disable=SC2016 # for the other shell
is "names: the files win" "$(q unshare -m bash -c '
	mount --bind "$1/services" /etc/services && mount --bind "$1/protocols" /etc/protocols &&
	divert-run python3 "$1/names.py" >"$1/names.out"; head -1 "$1/names.out"' - "$TMP")" "7777 7777 99"

# ---- plugins ----

r ipfw -q add 100 divert 2000 icmp from any to 10.2.0.1 in icmptypes 8
for with in -O0 "-O2 -D_FORTIFY_SOURCE=2" "-O2 -D_FILE_OFFSET_BITS=64"; do
	read -ra more <<<"$with"
	works "a plugin, $with: compiles" cc -shared -fPIC -Wall -Werror "${more[@]}" -Dmain=plugin \
		-o "$TMP/plugin.so" "$HERE/bsd_reflect.c" "${flags[@]}"
	start plugin r timeout 20 "$PROGS/plug" "$TMP/plugin.so" 2000 3
	wait_for 10 "the plugin is bound" grep -q "^bound PF_DIVERT port 2000" "$TMP/plugin.out"
	works "a plugin, $with: ping works in a program that knows nothing" ping_ a 10.2.0.1 3
	wait "${pid_plugin:-}"
	is "a plugin, $with: ends with 0 after 3" $? 0
	is "a plugin, $with: what it saw" "$(sed 1d "$TMP/plugin.out" | sort -u)" \
		"84 bytes rule 100 in 10.1.0.2 r0"
done
# all the ways of calling, and functions by their address
works "calls.c as a plugin: compiles" cc -shared -fPIC -O2 -D_GNU_SOURCE -D_FORTIFY_SOURCE=2 -Dmain=plugin \
	-o "$TMP/calls.so" "$HERE/calls.c" -pthread "${flags[@]}"
a ipfw -q add 100 divert 3000 udp from any to any 3009 out via lo
works "calls.c as a plugin: all of them" a "$PROGS/plug" "$TMP/calls.so" 3000 3009
a ipfw -q flush
cat >"$TMP/cxx.cc" <<'END'
#include <functional>
#include <fstream>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
struct ops { int (*socket)(int, int, int); int (*bind)(int, const sockaddr *, socklen_t); int (*close)(int); };
extern "C" int plugin(int, char **)
{
	const ops o = {socket, ::bind, close};
	sockaddr_in in{};
	std::ifstream("/dev/null").close();
	in.sin_family = AF_INET;
	in.sin_port = htons(2001);
	int fd = o.socket(PF_DIVERT, SOCK_RAW, 0);
	auto call = std::bind(o.bind, fd, reinterpret_cast<sockaddr *>(&in), socklen_t(sizeof(in)));
	return fd < 0 || call() || o.close(fd);
}
END
works "a plugin in C++, by the functions' addresses: compiles" \
	c++ -shared -fPIC -Wall -Wextra -Werror -o "$TMP/cxx.so" "$TMP/cxx.cc" "${flags[@]}"
works "a plugin in C++, by the functions' addresses: it makes and binds a divert socket" \
	r "$PROGS/plug" "$TMP/cxx.so"
# a program and a plugin, both linked with the flags
works "both linked: compiles" cc -o "$TMP/plug" "$HERE/plug.c" "${flags[@]}"
works "both linked: it makes and binds a divert socket" r env "$libs" "$TMP/plug" "$TMP/cxx.so"
