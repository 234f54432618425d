#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# ThreadSanitizer finds no data race in the libraries while several threads use a socket. The
# programs are those of other suites, linked with libraries that are built for it. They call
# libdivert-socket by the names that --wrap gives, since ThreadSanitizer's runtime must be the first
# library that is preloaded. The network:
#
#	r  x0 10.9.0.1/24 --- x1, with no host on it: 10.9.0.2 has a fixed link address
#
# long: it builds the libraries, and its programs are slow
. "$(dirname "$0")/lib.sh"
cat >"$TMP/racy.c" <<-END
	#include <pthread.h>
	static int n;
	static void *counts(void *arg) { n++; return arg; }
	int main(int argc, char **argv)
	{
		pthread_t thread;
		(void)argv;
		pthread_create(&thread, NULL, counts, NULL);
		if (argc > 1)
			counts(NULL);
		return pthread_join(thread, NULL);
	}
END
{ cc -g -fsanitize=thread -pthread -o "$TMP/racy" "$TMP/racy.c" && "$TMP/racy"; } 2>"$TMP/said" ||
	skip_all "no ThreadSanitizer: $(tail -1 "$TMP/said")"
fails "a race is found" "$TMP/racy" races
make_ns r
q ip link add x0 type veth peer name x1
for i in lo x0 x1; do q ip link set $i up; done
add_addr r x0 10.9.0.1/24
q ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:09 dev x0

# ---- the libraries and programs ----

B=build/races
# A reader of a metacache entry copies it although another thread may be changing it. The reader
# drops the copy if the entry's sequence number has changed (lib/core/metacache.c). That is no
# fault, but ThreadSanitizer cannot know that.
printf 'race:find_flow\nrace:guess\n' >"$TMP/known"
export TSAN_OPTIONS="suppressions=$TMP/known exitcode=66"
mkdir -p "$TOP/$B/engine"
cp -p "$TOP"/build/engine/*.bpf.o "$TOP/$B/engine/" && cp -p "$TOP"/build/*.skel.h "$TOP/$B/"
# ThreadSanitizer does not know atomic_thread_fence(), either: -Wno-tsan turns off the warning
works "the libraries build" env -u MAKEFLAGS -u MAKELEVEL make -s -C "$TOP" B=$B \
	CFLAGS="-O1 -g -fsanitize=thread -Wno-tsan" LDFLAGS=-fsanitize=thread $B/lib/libdivert.so.0 $B/lib/libdivert-socket.so.0
for lib in libdivert libdivert-socket; do ln -sf $lib.so.0 "$TOP/$B/lib/$lib.so"; done
# shellcheck disable=SC2054 # commas
links=(-pthread "-L$TOP/$B/lib" "-Wl,-rpath,$TOP/$B/lib" -Wl,--no-as-needed -ldivert-socket -ldivert)
read -ra wrap < <(grep -o -- '-Wl,--wrap[^ ]*' "$STAGE/lib/pkgconfig/libdivert-socket.pc" | paste -sd' ')
for name in threads lib_borrow; do
	works "$name builds" cc -D_GNU_SOURCE -O1 -g -fsanitize=thread "-I$STAGE/include" -o "$TMP/$name" \
		"$HERE/$name.c" "${wrap[@]}" "${links[@]}" || exit
done

# ---- without a race ----

# no_race NAME FILE: checks ThreadSanitizer's output in FILE, and prints the races
no_race() {
	is "$1: no race" "$(grep -c 'WARNING: ThreadSanitizer' "$2")" 0
	grep -E 'SUMMARY|^    #[0-3]' "$2" | sed 's/^/# /' | head -40
}
sends() { nq r python3 -c 'import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(int(sys.argv[1])):
    s.sendto(b"x" * 36, ("10.9.0.2", 9))' "$1"; }
diverted() { [ "$(stat_of r "$1" diverted)" = "$2" ]; }
written() { [ "$(stat_of r "$1" written-out)" -ge "$2" ]; }

N=3000 MORE=100 port=3000
# fork() is left out: ThreadSanitizer loses track of locks that are held over it
for how in idle asks turns ends hands writer many exits; do
	port=$((port + 1))
	q ipfw -q -f flush
	q ipfw -q add 200 divert $port udp from any to any 9 out xmit x0
	rm -f "$TMP/go"
	start x r "$TMP/threads" $how $port $N "$TMP/go"
	wait_for 20 "$how: a program" grep -q ready "$TMP/x.out"
	sends $((N + MORE))
	wait_for 20 "$how: all wait" diverted $port $((N + MORE))
	touch "$TMP/go"
	wait_for 60 "$how: they are written" written $port $N
	stop x
	no_race "$how" "$TMP/x.err"
done
q ipfw -q -f flush
q ipfw -q add 100 divert 3100 udp from any to any 3109 out via lo
q "$TMP/lib_borrow" 3100 3109 >"$TMP/borrow" 2>"$TMP/borrow.err"
is "borrowed by several threads: all of it works" $? 0
no_race "borrowed by several threads" "$TMP/borrow.err"
