#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A program that has nothing to do with divert sockets, and must not notice divert-run.

It uses the socket calls that are interposed, on ordinary descriptors over 127.0.0.1 (lo must be up;
no privilege), and prints a transcript that is the same each time: no ports, no descriptor numbers,
no times.
"""

import array
import contextlib
import errno
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import termios
import threading

HOST = "127.0.0.1"


def say(*what):
    print(*what, flush=True)


def fails(call, *args):
    """The name of the error that a call ends with."""
    try:
        call(*args)
    except OSError as error:
        return errno.errorcode.get(error.errno, type(error).__name__)
    return "no error"


def read_all(sock):
    return b"".join(iter(lambda: sock.recv(4096), b""))


def tcp():
    with socket.create_server((HOST, 0)) as server:
        address = server.getsockname()
        say("tcp: listens on", address[0], address[1] > 0)

        def serve():
            peer, _ = server.accept()
            with peer:
                peer.sendall(read_all(peer)[::-1])

        thread = threading.Thread(target=serve)
        thread.start()
        with socket.create_connection(address, 5) as client:
            say("tcp: peer is the server", client.getpeername() == address)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            say("tcp: TCP_NODELAY", client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0)
            client.sendall(bytes(range(256)) * 256)
            client.shutdown(socket.SHUT_WR)
            data = read_all(client)
        thread.join()
        say("tcp:", len(data), "bytes back, reversed", data == bytes(range(255, -1, -1)) * 256)
    with socket.socket() as client:
        say("tcp: connect to nobody:", fails(client.connect, address))


def udp():
    with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as two:
        for sock in (one, two):
            sock.bind((HOST, 0))
            sock.settimeout(5)
        for size in (0, 1, 1472, 20000):
            sent = one.sendto(b"u" * size, two.getsockname())
            data, source = two.recvfrom(65535)
            say("udp:", sent, len(data), source == one.getsockname())
        one.connect(two.getsockname())
        one.send(b"0123456789")
        say("udp: peek", two.recv(4, socket.MSG_PEEK), "then", two.recv(99))
        one.sendmsg([b"gather", b"ed"])
        parts = [bytearray(4), bytearray(8)]
        size, _, flags, source = two.recvmsg_into(parts)
        say("udp: recvmsg", size, parts, flags, source == one.getsockname())
        one.send(b"truncated")
        _, _, flags, _ = two.recvmsg(4)
        say("udp: MSG_TRUNC", flags == socket.MSG_TRUNC)
        one.send(b"waiting")
        select.select([two], [], [], 5)
        size = array.array("i", [0])
        fcntl.ioctl(two, termios.FIONREAD, size)
        say("udp: FIONREAD", size[0], two.recv(99))
        two.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 20000))
        two.setblocking(True)
        say("udp: SO_RCVTIMEO:", fails(two.recv, 1))
        two.setblocking(False)
        say("udp: nonblocking:", fails(two.recv, 1))
        say("udp: same port:", fails(one.bind, two.getsockname()))


def pairs():
    for kind in ("SOCK_STREAM", "SOCK_DGRAM", "SOCK_SEQPACKET"):
        left, right = socket.socketpair(type=getattr(socket, kind))
        with left, right:
            left.send(b"first")
            right.send(b"second")
            say("socketpair:", kind, right.recv(99), left.recv(99))
    left, right = socket.socketpair()
    with left, right:
        reader, writer = os.pipe()
        socket.send_fds(left, [b"take this"], [writer])
        os.close(writer)
        message, received, _, _ = socket.recv_fds(right, 99, 4)
        os.write(received[0], b"through a passed descriptor")
        os.close(received[0])
        say("socketpair:", message, len(received), os.read(reader, 99), os.read(reader, 99))
        os.close(reader)


def pipes():
    reader, writer = os.pipe()
    os.write(writer, b"in the pipe")
    say("pipe: readv", os.readv(reader, [bytearray(3), bytearray(50)]))
    os.writev(writer, [b"a", b"bc"])
    say("pipe: read", os.read(reader, 50))
    say("pipe: recv:", fails(lambda: socket.socket(fileno=reader)))
    os.set_blocking(reader, False)
    say("pipe: empty:", fails(os.read, reader, 1))
    os.close(writer)
    say("pipe: end", os.read(reader, 1))
    os.close(reader)
    say("pipe: closed:", fails(os.read, reader, 1), fails(os.close, reader))


def dups():
    left, right = socket.socketpair()
    with left, right:
        copy = os.dup(left.fileno())
        say("dup: inheritable", os.get_inheritable(copy))
        spare = os.open("/dev/null", os.O_RDONLY)
        os.dup2(left.fileno(), spare)
        high = fcntl.fcntl(left, fcntl.F_DUPFD_CLOEXEC, 100)
        say("dup: F_DUPFD", high >= 100, fcntl.fcntl(high, fcntl.F_GETFD) == fcntl.FD_CLOEXEC)
        for fd in (copy, spare, high):
            os.write(fd, b"copy ")
        left.close()
        say("dup: arrives", right.recv(99))
        for fd in (copy, spare):
            os.close(fd)
        right.send(b"still open")
        say("dup: the last one", os.read(high, 99))
        os.close(high)
        say("dup: all closed", right.recv(99))


def ready():
    left, right = socket.socketpair()
    with left, right, select.epoll() as epoll:
        poll = select.poll()
        poll.register(right, select.POLLIN)
        epoll.register(right, select.EPOLLIN)
        say("ready: nothing", select.select([right], [], [], 0)[0], poll.poll(0), epoll.poll(0))
        left.send(b"x")
        found = select.select([right], [left], [], 5)
        say("ready: select", [len(part) for part in found])
        say("ready: poll", [events for _, events in poll.poll(5000)])
        say("ready: epoll", [events for _, events in epoll.poll(5)])
        right.recv(1)
        left.close()
        say("ready: hung up", poll.poll(5000)[0][1] & select.POLLIN, right.recv(1))


def threads():
    total = 8
    results = [None] * total
    lock = threading.Barrier(total)

    def work(number):
        left, right = socket.socketpair()
        with left, right:
            lock.wait()
            count = 0
            for turn in range(200):
                left.send(bytes((number, turn % 256)))
                copy = os.dup(right.fileno())
                count += os.read(copy, 9) == bytes((number, turn % 256))
                os.close(copy)
            results[number] = count

    workers = [threading.Thread(target=work, args=(n,)) for n in range(total)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    say("threads:", results)


def processes():
    left, right = socket.socketpair()
    with left, right:
        child = os.fork()
        if child == 0:
            left.close()
            right.sendall(read_all(right).upper())
            os._exit(7)
        right.close()
        left.sendall(b"to the child")
        left.shutdown(socket.SHUT_WR)
        say("fork:", read_all(left), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    done = subprocess.run(["cat"], input=b"through cat", capture_output=True, check=False)
    say("exec:", done.stdout, done.stderr, done.returncode)


def errors():
    with contextlib.closing(socket.socket(type=socket.SOCK_DGRAM)) as sock:
        say("errors: connect", fails(sock.connect, (HOST, 0)), "send", fails(sock.send, b"x"))
        say("errors: peer", fails(sock.getpeername), "listen", fails(sock.listen))
        say("errors: option", fails(sock.getsockopt, socket.IPPROTO_IP, 9999))
        say("errors: too long", fails(sock.sendto, bytes(70000), (HOST, 9)))
    say("errors: family", fails(socket.socket, 99, socket.SOCK_DGRAM, 0))
    say("errors: type", fails(socket.socket, socket.AF_INET, 77, 0))
    say("errors: protocol", fails(socket.socket, socket.AF_INET, socket.SOCK_STREAM, 17))
    sock = socket.socket()
    os.close(sock.fileno())
    say("errors: closed", fails(sock.listen))
    sock.detach()


def main():
    for part in (tcp, udp, pairs, pipes, dups, ready, threads, processes, errors):
        part()
    say("done", sys.argv[1:])


main()
