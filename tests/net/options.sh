#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Socket options and control messages: divert(4), "Options". Each is set and read, its errors are
# provoked, and its effect is seen: by progs/options.c itself, by counters, and by Python. EDGES:
# the number of packets that come while a program sleeps and wakes (200000).
. "$(dirname "$0")/lib.sh"
make_router

# ---- a program that checks itself ----

a ipfw -q add 100 divert 3000 udp from any to any 3009 out via lo
a divert-run "$PROGS/options" 3000 3009 >"$TMP/options"
rc=$?
cat "$TMP/options"
is "options: all of them" $rc 0

# ---- a packet that was cut is counted; a look at it (MSG_PEEK) is not ----

before=$(stat_of a 3000 truncated)
works "cut: three packets" a divert-run "$PROGS/options" 3000 3009 cut
is "cut: two of three were" $(($(stat_of a 3000 truncated) - before)) 2

# ---- descriptors, without the interposer ----

a "$PROGS/lib_descriptors" >"$TMP/descriptors"
rc=$?
cat "$TMP/descriptors"
is "descriptors: all of it" $rc 0

# ---- DIVERT_BYPASS belongs to the port, and stays when the socket has been closed ----

quick() { n a ping -q -n -i 0.05 -W 0.2 -c 3 10.2.0.1 >/dev/null; }
r ipfw -q add 100 divert 2000 icmp from any to 10.2.0.1 in icmptypes 8
fails "DIVERT_BYPASS: at first nothing passes" quick
works "DIVERT_BYPASS on, before bind" r divert-run "$PROGS/options" 2000 0 bypass
works "DIVERT_BYPASS: passes, its process has ended" ping_ a 10.2.0.1 3
is "DIVERT_BYPASS: counted as passed" "$(stat_of r 2000 passed)" 3
works "DIVERT_BYPASS: another socket reads it" r divert-run "$PROGS/options" 2000 0 bypassed
works "DIVERT_BYPASS: and leaves it as it is" ping_ a 10.2.0.1 3
works "DIVERT_BYPASS off, while bound" r divert-run "$PROGS/options" 2000 0 not-bypass
fails "DIVERT_BYPASS off: nothing passes" quick
is "DIVERT_BYPASS off: not counted as passed" "$(stat_of r 2000 passed)" 6
r ipfw -q flush

# ---- SO_MARK: packets written have it, whatever mark they had; no other option needs privilege
# ----

for m in 3 5; do a ipfw -q add 200 count udp from any to any 3009 out fwmark $m; done
a divert-run "$PROGS/options" 3000 3009 mark >"$TMP/mark"
rc=$?
cat "$TMP/mark"
is "SO_MARK: all of it" $rc 0
is "SO_MARK: the packet's own, then the socket's" \
	"$(nq a ipfw show 200 | awk '{print $2}' | xargs)" "1 2"
a ipfw -q delete 200

# ---- IP_MULTICAST_IF and IPV6_MULTICAST_IF: where multicast leaves ----

link a d0 10.9.0.1/24 fd09::1/64 -- r d1 10.9.0.2/24
cat >"$TMP/multicast.py" <<'END'
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 258)
udp = struct.pack("!HHHH", 4000, 4009, 12, 0) + b"abcd"
def four(to):
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 5, 17, 0,
                       socket.inet_aton("10.1.0.1"), socket.inet_aton(to)) + udp
six = struct.pack("!IHBB16s16s", 6 << 28, len(udp), 17, 5, socket.inet_pton(socket.AF_INET6, "fd01::1"),
                  socket.inet_pton(socket.AF_INET6, "ff05::99")) + udp
a0, d0 = socket.if_nametoindex("a0"), socket.if_nametoindex("d0")
s.sendto(four("239.1.2.3"), ("0.0.0.0", 0))  # where its source is: a0
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.9.0.1"))
s.sendto(four("239.1.2.3"), ("0.0.0.0", 0))
s.sendto(four("10.1.0.2"), ("0.0.0.0", 0))  # no multicast: as ever
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("4s4si", bytes(4), bytes(4), a0))
s.sendto(four("239.1.2.3"), ("0.0.0.0", 0))
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, d0)
s.sendto(six, ("0.0.0.0", 0))
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, 0)
s.sendto(six, ("0.0.0.0", 0))
END
a ipfw -q add 300 count udp from any to any 4009 out via a0
a ipfw -q add 301 count udp from any to any 4009 out via d0
works "multicast.py" a divert-run python3 "$TMP/multicast.py"
is "IP_MULTICAST_IF: on a0: unset, by route, by index, unset again" "$(packets a 300)" 4
is "IP_MULTICAST_IF: on d0: by address, and IPv6" "$(packets a 301)" 2

# ---- Python's socket module ----

cat >"$TMP/python.py" <<'END'
import socket, struct
SOL_DIVERT = 258
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 258)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
print(s.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF), s.type == socket.SOCK_RAW, s.proto, s.family == socket.AF_INET)
s.setsockopt(SOL_DIVERT, 4, 1)
s.bind(("0.0.0.0", 3000))
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.sendto(b"hello", ("127.0.0.1", 3009))
packet, control, flags, address = s.recvmsg(65535, socket.CMSG_SPACE(48))
(level, kind, data), = control
print(len(packet), level, kind, struct.unpack("=8IQ", data)[1:4], flags, address)
s.settimeout(0.05)
try:
    s.recv(100)
except TimeoutError:
    print("timeout")
s.shutdown(socket.SHUT_RDWR)
print(s.recv(100), s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
s.close()
END
a divert-run python3 "$TMP/python.py" >"$TMP/python"
is "Python: status" $? 0
is "Python: what it saw" "$(cat "$TMP/python")" "1048576 True 258 True
33 258 4 (1, 100, 0) 0 ('0.0.0.0', 25600)
timeout
b'' 0"

# ---- shutdown: every waiting call wakes ----

cat >"$TMP/shutdown.py" <<'END'
import select, socket, threading, time
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 258)
s.bind(("0.0.0.0", 2100))
poll, epoll = select.poll(), select.epoll()
poll.register(s, select.POLLIN)
epoll.register(s, select.EPOLLIN)
waits = {
    "recv": lambda: s.recv(100) == b"",
    "select": lambda: select.select([s], [], [], 20)[0] == [s],
    "poll": lambda: [e & 1 for _, e in poll.poll(20000)] == [1],
    "epoll": lambda: [e & 1 for _, e in epoll.poll(20)] == [1],
}
woken = {}
threads = [threading.Thread(target=lambda n=n: woken.update({n: waits[n]()})) for n in waits]
for t in threads:
    t.start()
for t in threads: # asleep, each
    while open(f"/proc/self/task/{t.native_id}/stat").read().rsplit(")", 1)[1].split()[0] != "S":
        time.sleep(0.001)
start = time.monotonic()
s.shutdown(socket.SHUT_RD)
for t in threads:
    t.join()
print(sorted(woken.items()), time.monotonic() - start < 10)
END
is "shutdown wakes recv, select, poll and epoll" "$(a divert-run python3 "$TMP/shutdown.py" | tail -n 1)" \
	"[('epoll', True), ('poll', True), ('recv', True), ('select', True)] True"

# ---- select and poll say what a receiving call would find, also if that call did not sleep ----

cat >"$TMP/asks.py" <<'END'
import select, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 258)
s.bind(("0.0.0.0", 2100))
s.setsockopt(socket.SOL_SOCKET, 46, 1000) # SO_BUSY_POLL: longer than it is from packet to packet
poll = select.poll()
poll.register(s, select.POLLIN)
asks = {
    "select": lambda: select.select([s], [], [], 0)[0] == [s],
    "poll": lambda: len(poll.poll(0)) == 1,
}
open(sys.argv[1], "w").write("ready")
wrong, got = [], 0
while got < 1000:
    for name, ask in asks.items():
        s.recv(2000)
        said, there = ask(), True
        try:
            s.recv(2000, socket.MSG_DONTWAIT)
        except BlockingIOError:
            there = False
        got += 1 + there
        if said and not there: # one may come in between
            wrong.append(name)
print("wrong", len(wrong), *sorted(set(wrong)))
END
a ipfw -q add 110 divert 2100 udp from any to any 3010 out via lo
start asks a divert-run python3 "$TMP/asks.py" "$TMP/asks.ready"
wait_for 5 "the program that asks" test -s "$TMP/asks.ready"
a python3 "$HERE/numbered.py" send 127.0.0.1 3010 1500 --pps 3000 >/dev/null
wait_for 10 "the program that asks has got its packets" test -s "$TMP/asks.out"
is "select and poll do not speak of packets that are not there" "$(cat "$TMP/asks.out" "$TMP/asks.err")" "wrong 0"

# ---- the same with epoll ----

cat >"$TMP/epoll.py" <<'END'
import select, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 258)
s.bind(("0.0.0.0", 2101))
s.setsockopt(socket.SOL_SOCKET, 46, 1000)
epoll = select.epoll()
epoll.register(s, select.EPOLLIN)
open(sys.argv[1], "w").write("ready")
got, wrong, asleep = 0, 0, 0
while got < 1000 and not asleep:
    for _ in range(4):
        got += len(s.recv(2000)) > 0
    asleep += not epoll.poll(2)
    try:
        got += len(s.recv(2000, socket.MSG_DONTWAIT)) > 0
    except BlockingIOError:
        wrong += 1
print("wrong", wrong, "asleep", asleep)
END
a ipfw -q add 111 divert 2101 udp from any to any 3011 out via lo
start epoll a divert-run python3 "$TMP/epoll.py" "$TMP/epoll.ready"
wait_for 5 "the program in epoll" test -s "$TMP/epoll.ready"
a python3 "$HERE/numbered.py" send 127.0.0.1 3011 1500 --pps 3000 >/dev/null
wait_for 10 "the program in epoll has got its packets" test -s "$TMP/epoll.out"
is "epoll does not speak of packets that are not there" "$(cat "$TMP/epoll.out" "$TMP/epoll.err")" "wrong 0 asleep 0"

# with EPOLLET, a missing wake-up means a packet that is never read
start edges a divert-run "$PROGS/edges" 2102
wait_for 5 "the program with edges" grep -q ready "$TMP/edges.out"
a ipfw -q add 112 divert 2102 udp from any to any 3012 out via lo
a python3 -c "import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(('127.0.0.1', 3012))
for i in range(${EDGES:-200000}):
    s.send(b'x' * 20)"
wait "${pid_edges:-}"
is "epoll, edges: all packets are read" \
	"$(($(count edges got) + $(stat_of a 2102 buffer-full))) $(count edges lost)" "${EDGES:-200000} 0"

# ---- IP_DIVERTFL: packets of the other direction do not come to the socket ----

cat >"$TMP/directions.py" <<'END'
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 258)
if sys.argv[1] == "before":
    s.setsockopt(socket.IPPROTO_IP, 0x1022, int(sys.argv[2]))
s.bind(("0.0.0.0", 2000))
if sys.argv[1] == "after":
    s.setsockopt(socket.IPPROTO_IP, 0x1022, int(sys.argv[2]))
print("bound", flush=True)
while True:
    packet, address = s.recvfrom(65535)
    print("out" if address[0] == "0.0.0.0" else "in", flush=True)
    s.sendto(packet, address)
END
r ipfw -q add 100 divert 2000 icmp from any to 10.2.0.1 icmptypes 8
for case in "before 1 in" "after 2 out" "after 3 in out"; do
	read -r when flags which <<<"$case"
	start directions r divert-run python3 "$TMP/directions.py" "$when" "$flags"
	wait_for 10 "directions.py is bound" grep -q bound "$TMP/directions.out"
	works "IP_DIVERTFL $flags, $when bind: ping works" ping_ a 10.2.0.1 3
	stop directions
	is "IP_DIVERTFL $flags, $when bind: what the socket got" \
		"$(grep -v bound "$TMP/directions.out" | sort | uniq -c | awk '{print $1, $2}' | xargs)" \
		"$(for w in $which; do echo 3 "$w"; done | xargs)"
done
