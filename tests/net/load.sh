#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# libdivert(3): "It can be loaded at run time, dlopen(3), by any thread, unloaded and loaded again".
# A C program does that in threads; Python's ctypes, Ruby's Fiddle and a plugin do it, too. They run
# once as usual, and once without any room for thread-local variables in the blocks that threads
# start with.
. "$(dirname "$0")/lib.sh"
make_router

lib=$STAGE/lib/libdivert.so.0
is "libdivert has no static thread-local storage" \
	"$(readelf -dW "$lib" "$STAGE/lib/libdivert-socket.so.0" | grep -c STATIC_TLS)" 0

a ipfw -q add 100 divert 3000 udp from any to any 9 out via lo
for bytes in 512 0; do
	works "load, room for $bytes bytes of thread-local variables" \
		a env GLIBC_TUNABLES=glibc.rtld.optional_static_tls=$bytes "$PROGS/load" "$lib" 3000
done
a ipfw -q flush

r ipfw -q add 100 divert 2000 icmp from any to 10.2.0.1 in icmptypes 8
# bound NAME: waits until the program is bound
bound() { wait_for 10 "$1 is bound" grep -q "^bound" "$TMP/$1.out"; }

start ctypes r timeout 20 python3 "$HERE/ctypes_reflect.py" "$lib" 2000 3
bound ctypes
works "Python's ctypes: ping works" ping_ a 10.2.0.1 3
wait "${pid_ctypes:-}"
is "Python's ctypes: ends with 0 after 3" $? 0
is "Python's ctypes: what it saw" "$(sed 1d "$TMP/ctypes.out" | sort -u)" \
	"84 bytes rule 100 10.1.0.2 r0"

if command -v ruby >/dev/null; then
	start ruby r timeout 20 ruby "$HERE/fiddle_reflect.rb" "$lib" 2000 3
	bound ruby
	works "Ruby's Fiddle: ping works" ping_ a 10.2.0.1 3
	wait "${pid_ruby:-}"
	is "Ruby's Fiddle: ends with 0 after 3" $? 0
	is "Ruby's Fiddle: what it saw" "$(sed 1d "$TMP/ruby.out" | sort -u)" "84 bytes"
else
	echo "skip Ruby's Fiddle: no ruby here"
fi

export PKG_CONFIG_PATH=$STAGE/lib/pkgconfig
read -ra flags < <(pkg-config --cflags --libs libdivert)
works "a plugin of libdivert: compiles" cc -shared -fPIC -D_GNU_SOURCE -Dmain=plugin \
	-o "$TMP/plugin.so" "$HERE/lib_reflect.c" "${flags[@]}"
start plugin r "$PROGS/plug" "$TMP/plugin.so" -p "$TMP/plugin.ready" 2000
wait_for 10 "the plugin is bound" test -s "$TMP/plugin.ready"
works "a plugin of libdivert: ping works" ping_ a 10.2.0.1 3
stop plugin
is "a plugin of libdivert: received, sent" "$(count plugin received) $(count plugin sent)" "3 3"
