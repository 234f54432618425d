#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# divert-run(1): "All other sockets and files are left alone": programs without divert sockets
# behave the same under it as without it. The test also covers its exit status, warnings and
# options. "The descriptors that it uses inside must survive programs that close everything"
# (interpose/descriptor.c).
. "$(dirname "$0")/lib.sh"
make_router

# ---- programs that know nothing of divert sockets ----

nq a python3 "$HERE/py_plain.py" one two >"$TMP/plain" 2>&1
rc=$?
nq a divert-run python3 "$HERE/py_plain.py" one two >"$TMP/diverted" 2>&1
is "py_plain.py: same status" $? $rc
is "py_plain.py: it came to its end" "$(tail -1 "$TMP/plain")" "done ['one', 'two']"
works "py_plain.py: same transcript" diff "$TMP/plain" "$TMP/diverted"

mkdir "$TMP/www"
head -c 3000000 /dev/urandom >"$TMP/www/file"
listens() { nq b ss -Hnlt "sport = :$1" | grep -q .; }
for with in "" divert-run; do
	# shellcheck disable=SC2086
	start www b $with python3 -m http.server --bind :: -d "$TMP/www" 8080
	wait_for 10 "the web server" listens 8080
	works "${with:-plain} http.server: curl" nq a curl -sS -m 20 -o "$TMP/got" http://10.2.0.1:8080/file
	works "${with:-plain} http.server: curl, same bytes" cmp "$TMP/www/file" "$TMP/got"
	works "${with:-plain} http.server: curl under divert-run" \
		nq a divert-run curl -sS -m 20 -o "$TMP/got" http://10.2.0.1:8080/file -o "$TMP/got6" "http://[fd02::1]:8080/file"
	works "${with:-plain} http.server: curl under divert-run, same bytes" cmp "$TMP/www/file" "$TMP/got"
	works "${with:-plain} http.server: curl under divert-run, IPv6, same bytes" cmp "$TMP/www/file" "$TMP/got6"
	stop www
done

start nc b timeout 20 divert-run nc -l -p 8081
wait_for 10 "nc" listens 8081
nq a timeout 20 divert-run nc -N -w 5 10.2.0.1 8081 <"$TMP/www/file" >/dev/null
is "nc under divert-run, both ends: status" $? 0
wait "${pid_nc:-}"
works "nc under divert-run, both ends: same bytes" cmp "$TMP/www/file" "$TMP/nc.out"

start socat b divert-run socat TCP6-LISTEN:8082,fork EXEC:"tr a-z A-Z"
wait_for 10 "socat" listens 8082
is "socat under divert-run, with a child for each peer" \
	"$(echo hello | nq a timeout 20 divert-run socat -t5 - "TCP6:[fd02::1]:8082")" HELLO
stop socat
works "ping under divert-run" a divert-run ping -q -n -c1 -W2 10.2.0.1 >/dev/null

# ---- what divert-run itself prints ----

# status WHAT EXPECTED COMMAND...: checks its exit status; its output is in $TMP/out and $TMP/err
status() {
	local rc
	nq a "${@:3}" >"$TMP/out" 2>"$TMP/err"
	rc=$?
	is "$1: status" $rc "$2"
}
status "a program's own status" 42 divert-run sh -c "exit 42"
status "a program that a signal ends" 143 bash -c 'divert-run sh -c "kill -TERM \$\$"; exit $?'
status "no such program" 127 divert-run no-such-program
like "no such program: it is named" "$(cat "$TMP/err")" "^divert-run: no-such-program: .*No such file"
: >"$TMP/not-executable"
status "not executable" 126 divert-run "$TMP/not-executable"
like "not executable: it is named" "$(cat "$TMP/err")" "not-executable: Permission denied"
status "a directory" 126 divert-run "$TMP"
status "no program" 125 divert-run
like "no program: usage" "$(cat "$TMP/err")" "usage: divert-run"
status "an unknown option" 125 divert-run --nonsense ls
like "an unknown option: it is named" "$(cat "$TMP/err")" "--nonsense"
status "an unknown letter" 125 divert-run -Z ls
like "an unknown letter: it is named" "$(cat "$TMP/err")" "-Z"
status "--help" 0 divert-run --help
like "--help: on stdout" "$(cat "$TMP/out")" "usage: divert-run .*program"
is "--help: nothing on stderr" "$(cat "$TMP/err")" ""
status "options behind the program are the program's" 0 divert-run echo --help -v
is "options behind the program: printed" "$(cat "$TMP/out")" "--help -v"
status "-v" 0 divert-run -v true
like "-v: what is preloaded" "$(cat "$TMP/err")" "LD_PRELOAD=.*/libdivert-socket.so.0 .*/true"
status "another LD_PRELOAD" 0 env LD_PRELOAD="$STAGE/lib/libdivert.so" divert-run sh -c "echo \$LD_PRELOAD"
like "another LD_PRELOAD stays, behind ours" "$(cat "$TMP/out")" \
	"libdivert-socket.so.0:$STAGE/lib/libdivert.so$"
status "the program's environment and descriptors" 0 divert-run sh -c "ls /proc/self/fd | wc -l"
is "no descriptor of ours in it" "$(cat "$TMP/out")" "$(sh -c "ls /proc/self/fd | wc -l" </dev/null)"

# ---- warnings ----

echo 'int main(void) { return 7; }' >"$TMP/static.c"
cc -static -o "$TMP/static" "$TMP/static.c"
status "a static program is run" 7 divert-run "$TMP/static"
like "a static program: warning" "$(cat "$TMP/err")" "static: it is statically linked"
cc -o "$TMP/dynamic" "$TMP/static.c"
status "a dynamic program is run" 7 divert-run "$TMP/dynamic"
is "a dynamic program: no warning" "$(cat "$TMP/err")" ""
for section in .go.buildinfo .note.go.buildid; do
	echo "char go[64] __attribute__((section(\"$section\"))) = {1}; int main(void) { return 7; }" >"$TMP/go.c"
	cc -o "$TMP/go" "$TMP/go.c"
	strip "$TMP/go"
	status "a dynamic program with $section is run" 7 divert-run "$TMP/go"
	like "a dynamic program with $section: warning" "$(cat "$TMP/err")" "go: it is a Go program"
done
if command -v go >/dev/null; then
	printf 'package main\nimport "os"\nfunc main() { os.Exit(7) }\n' >"$TMP/real.go"
	for with in "-buildmode=pie" "-buildmode=pie -trimpath -ldflags=-s=true" \
		"-buildmode=pie -ldflags=-linkmode=external"; do
		# shellcheck disable=SC2086
		GOCACHE=$TMP/gocache GO111MODULE=off go build $with -o "$TMP/real" "$TMP/real.go"
		status "a program of Go's, $with, is run" 7 divert-run "$TMP/real"
		like "a program of Go's, $with: warning" "$(cat "$TMP/err")" "real: it is a Go program"
	done
else
	echo "skip programs of Go's own compiler: no go"
fi
chmod 755 "$TMP"
chmod 4755 "$TMP/dynamic"
status "a set-uid program is run" 7 setpriv --reuid 65534 --regid 65534 --clear-groups divert-run "$TMP/dynamic"
like "a set-uid program: warning" "$(cat "$TMP/err")" "dynamic: it is a set-uid program"
printf '#!/bin/sh\nexit 8\n' >"$TMP/script"
chmod 755 "$TMP/script"
status "a script is run" 8 divert-run "$TMP/script"
is "a script: no warning" "$(cat "$TMP/err")" ""

# ---- programs that pass NULL ----

works "nowhere: all of it" a divert-run "$PROGS/nowhere" 3000

# ---- programs with a divert socket that close and start anything ----

a ipfw -q add 100 divert 3000 udp from any to any 3009 out via lo
a ip route del default
works "closes: all of it" a divert-run "$PROGS/closes" 3000 3009
a ipfw -q flush
a ip route add default via 10.1.0.2

r ipfw -q add 100 divert 2000 icmp from any to 10.2.0.1 in icmptypes 8
cat >"$TMP/spawner.py" <<'END'
import os, socket, subprocess, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 258)
s.bind(("0.0.0.0", 2000))
print("bound", flush=True)
for i in range(6):
    packet, address = s.recvfrom(65535)
    if i % 3 == 0:
        out = subprocess.run(["sh", "-c", "echo child; exit 3"], capture_output=True, close_fds=True)
    elif i % 3 == 1:
        out = subprocess.run("echo child; exit 3", shell=True, capture_output=True, close_fds=False)
    else:
        out = subprocess.run(["sh", "-c", "ls /proc/self/fd | wc -l >&2; echo child; exit 3"],
                             capture_output=True, preexec_fn=os.getpid)
    print(out.stdout.decode().strip(), out.returncode, s.sendto(packet, address), flush=True)
pid = os.fork()
if pid == 0:
    os.execvp("sh", ["sh", "-c", "exit 9"])
print("exec", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
END
start spawner r timeout 20 divert-run python3 "$TMP/spawner.py"
wait_for 10 "spawner.py is bound" grep -q bound "$TMP/spawner.out"
works "Python's subprocess while a divert socket is open: ping works" ping_ a 10.2.0.1 6
wait "${pid_spawner:-}"
is "Python's subprocess: status" $? 0
is "Python's subprocess: each child, each packet" "$(uniq -c "$TMP/spawner.out" | sed 's/^ *//')" \
	"1 bound
6 child 3 84
1 exec 9"

# a child that holds nothing of the socket keeps nothing alive
cat >"$TMP/leaver.py" <<'END'
import socket, subprocess
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 258)
s.bind(("0.0.0.0", 2000))
child = subprocess.Popen(["sleep", "30"])
print(child.pid, flush=True)
END
r divert-run python3 "$TMP/leaver.py" >"$TMP/leaver.out"
pids+=("$(cat "$TMP/leaver.out")")
works "the child is there still" kill -0 "$(cat "$TMP/leaver.out")"
reflect again r 2000
works "a child that lives on does not hold the port" ping_ a 10.2.0.1
stop again
