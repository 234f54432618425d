#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Tries frames on the engine that it takes from divert sockets only (engine/layout.h).

forge.py raw ADDRESS: sends on a packet socket of its own, with every mark that it reads from
    standard input; prints "refused N": how many sends failed
forge.py inner PORT OTHER: as a divert socket on PORT, tries to change settings of port OTHER by its
    inner packet socket; prints "marks N..."
"""

import os
import socket
import struct
import sys

FRAME, OUT, COUNT, QUERY, SET = 1 << 1, 1 << 2, 1 << 5, 1 << 6, 1 << 7
SET_FLAGS, SET_LIMIT, SET_BYPASS = 0, 1, 3
DIVERTED = 0


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(destination):
    udp = struct.pack("!HHHH", 9, 9, 18, 0) + b"x" * 10
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0,
                       socket.inet_aton("10.1.0.1"), socket.inet_aton(destination))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + udp


def frame(flags, tag=0, ifindex=0, mark=0, body=b""):
    back = struct.pack("=BBHBBBBIIIIII", 0, FRAME | flags, tag, 1, 0, 59, 0, ifindex, 0, mark, 0, 0, 0)
    return bytes(12) + b"\x08\x00" + back + body


def frames(destination):
    body = packet(destination)
    yield frame(OUT, tag=65534, body=body)
    yield frame(0, tag=65534, ifindex=socket.if_nametoindex("r0"), body=body)
    yield frame(COUNT, ifindex=DIVERTED, mark=1000)
    yield frame(SET, tag=SET_BYPASS, ifindex=2000, mark=1)
    yield frame(COUNT | QUERY, tag=1, body=struct.pack("=H", len(body)) + frame(OUT, tag=65534)[14:] + bytes(12) +
                b"\x08\x00" + body)


def raw(destination):
    refused = 0
    for mark in sys.stdin.read().split():
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
            sock.bind(("lo", 0))
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, int(mark, 0))
            except PermissionError:
                pass
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 1)
            for data in frames(destination):
                try:
                    sock.send(data)
                except OSError:
                    refused += 1
    print("refused", refused)


def inner(port, other):
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, 258)
    sock.bind(("0.0.0.0", port))
    numbers = [int(name) for name in os.listdir("/proc/self/fd")]
    os.setgid(65534)
    os.setuid(65534)
    marks = []
    for fd in numbers:
        try:
            copy = socket.socket(fileno=os.dup(fd))
        except OSError:
            continue
        if copy.family != socket.AF_PACKET:
            continue
        marks.append(copy.getsockopt(socket.SOL_SOCKET, socket.SO_MARK))
        for what, value in ((SET_BYPASS, 1), (SET_FLAGS, 12), (SET_LIMIT, 1)):
            for of in (other, 0, 1, 2):
                try:
                    copy.send(frame(SET, tag=what, ifindex=of, mark=value))
                except OSError:
                    pass
    print("marks", *sorted(set(marks)), flush=True)


if sys.argv[1] == "raw":
    raw(sys.argv[2])
else:
    inner(int(sys.argv[2]), int(sys.argv[3]))
