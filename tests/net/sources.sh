#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# divert(4): "Sources for the BSDs": what they include, name and look up, with the flags of `pkg-config
# libdivert-socket`; ualarm(3) of a second and more; the names natd and divert, which files have first. "Plugins":
# what is compiled and linked with these flags diverts in a program that knows nothing of it.
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
END
none="service/proto not found
port/proto not found
service/proto not found
protocol not found"
is "names: natd, divert" "$(q divert-run python3 "$TMP/names.py")" "8668 8668 258
natd 53
$none"
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
# a program that is linked with the flags and a plugin that is, too
works "both linked: compiles" cc -o "$TMP/plug" "$HERE/plug.c" "${flags[@]}"
works "both linked: it makes and binds a divert socket" r env "$libs" "$TMP/plug" "$TMP/cxx.so"
