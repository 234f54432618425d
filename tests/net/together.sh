#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A program writes packets one by one while more wait to be read. They go to the kernel together
# (divert(4)). That changes when they leave, by less than a millisecond, and nothing else. In
# lib.sh's network, a sends numbered packets, r's program reads some of them, and b must see what it
# wrote.
. "$(dirname "$0")/lib.sh"
make_router
r ping -q -c 1 10.2.0.1 >/dev/null # now the neighbour is known
r divertctl attach lo
r "$PROGS/chain" attach lo out -1 first # it counts frames

cat >"$TMP/some.py" <<'END'
import ctypes, errno, os, select, signal, socket, sys, threading, time
how, read, written, iface = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
sent = sys.argv[5]
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 258)
s.bind(("0.0.0.0", 2000))
print("ready", flush=True)
if how == "thread":
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
if how == "fork" and os.fork():
    os.wait()
    os._exit(0)
first = []
if how == "heir": # it has written some before it becomes a daemon
    while not os.path.exists(sent):
        time.sleep(0.01)
    first = [s.recvfrom(2000) for i in range(10)]
    for packet, addr in first:
        assert s.sendto(packet, addr) == len(packet)
if how in ("daemon", "heir"):
    for generation in range(2):
        if os.fork():
            os._exit(0)
    with open(sent + ".pid", "w") as f:
        print(os.getpid(), file=f)
else:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL) # a child ends with its parent
while how != "each" and not os.path.exists(sent): # all that a sends wait
    time.sleep(0.01)
packets = [s.recvfrom(2000) for i in range(read - len(first))]
for packet, addr in packets[:written - len(first)]:
    assert s.sendto(packet, addr) == len(packet)
match how:
    case "exit":
        sys.exit(0)
    case "_exit":
        os._exit(0)
    case "close":
        s.close()
    case "spin":
        while True:
            pass
    case "poll":
        select.poll().poll(60000)
    case "read":
        sys.stdin.read()
    case "down": # not on the way any more
        time.sleep(0.05) # what waited has left
        os.system(f"ip link set {iface} down")
        for packet, addr in packets[written:]:
            try:
                s.sendto(packet, addr)
            except OSError as e:
                print(errno.errorcode[e.errno], flush=True)
        os.system(f"ip link set {iface} up")
        print("end", flush=True)
        signal.pause()
    case "system":
        os.system("sleep 60")
    case "exec":
        os.execlp("sleep", "sleep", "60")
    case _:
        signal.pause()
END

# The number of frames that the engine was given on lo: single packets, and many in one. Before
# Linux 6.6 a qdisc counts them.
frames() {
	q "$PROGS/chain" count lo out -1 ||
		q tc -s qdisc show dev lo | awk '/Sent/ {n += $4} END {print n}'
}

cases=0
# writes HOW READ WRITTEN: sends 50 packets; the program reads and writes so many of them
writes() {
	local how=$1 name=${1/-/_}$((++cases)) program
	case $how in
	c-*) program=("$PROGS/waiting" "${how#*-}" 2000 "$3" "$TMP/sent$cases") ;;
	*) program=(python3 "$TMP/some.py" "$how" "$2" "$3" "$iface" "$TMP/sent$cases") ;;
	esac
	start "wire$cases" b tcpdump -n -U -s 128 --immediate-mode -i b0 -w "$TMP/$name.pcap" udp port 9
	wait_for 10 tcpdump grep -q "listening on" "$TMP/wire$cases.err"
	mkfifo "$TMP/in$cases"
	sleep 60 >"$TMP/in$cases" &
	pids+=($!)
	before=$(frames)
	start "$name" r divert-run "${program[@]}" <"$TMP/in$cases"
	wait_for 10 "$name reads" grep -q ready "$TMP/$name.out"
	a python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(50):
    s.sendto(bytes([i]) * 20, ("10.2.0.1", 9))'
	touch "$TMP/sent$cases"
	arrived() { [ "$(tcpdump -n -r "$TMP/$name.pcap" 2>/dev/null | wc -l)" -ge "$want" ]; }
	want=$3
	wait_for 10 "$side, $how, $2 read, $3 written: they arrive" arrived
	is "$side, $how, $2 read, $3 written: once, and in order" \
		"$(tcpdump -n -x -r "$TMP/$name.pcap" 2>/dev/null |
			awk '$1 == "0x0010:" {print substr($8, 1, 2)}' | decimal | tr '\n' ' ')" \
		"$(seq -s ' ' 0 $(($3 - 1))) "
	frames=$(($(frames) - before))
	if [ "$how" = fork ]; then
		# The program before died with unread packets. bind asks whether it lives, and
		# counts them: two frames.
		is "$side, $how: frames, with the two of bind" $frames $(($3 + 2))
	elif [ "$3" -gt 30 ] && [ "$3" -lt "$2" ]; then
		like "$side, $how, $2 read, $3 written: together, in fewer frames" \
			"$([ $frames -lt "$3" ] && echo fewer || echo $frames)" fewer
	fi
	[ ! -e "$TMP/sent$cases.pid" ] || kill "$(cat "$TMP/sent$cases.pid")"
	[ "$how" != down ] || wait_for 10 "all are tried" grep -q end "$TMP/$name.out"
	stop "$name"
	stop "wire$cases"
}

# both RULE-OPTIONS INTERFACE ERROR: runs all cases with this rule
both() {
	side=$1 iface=$3
	r ipfw -q flush
	r ipfw -q add 100 divert 2000 udp from any to any 9 "$1" "$2" "$3"
	for how in pause spin poll read system exec exit _exit close thread fork daemon; do
		writes "$how" 40 2
		writes "$how" 40 37
	done
	writes heir 45 42
	writes pause 50 50

	# in the middle, the program sets up a filter of system calls that ends it at io_uring(7)
	writes c-prctl 50 50
	writes c-seccomp 50 50

	# the sender gets an error for each packet that cannot go
	writes down 40 7
	is "$1, down: told" "$(sort "$TMP/down$cases.out" | uniq -c | xargs)" "33 $4 1 end 1 ready"
}
both in recv r0 ENETDOWN
both out xmit r1 ENETUNREACH

# the program replaces itself by another one
for how in execve execlp fexecve syscall; do # the others: unit/test_interpose_exec.c
	writes c-$how 40 40
done

# the neighbour is not known: the kernel asks for it, and all packets wait
r ip neigh flush dev r1
writes pause 40 37
