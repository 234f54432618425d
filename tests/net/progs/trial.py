#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
#
# trial.py send IF MAC SRC DST PORT ID ORDER: sends a UDP packet onto the link, as three fragments
# in this order: "201"
# trial.py flow IF MAC SRC DST PORT ID N MS: sends the first fragment of N such packets, one each MS
# trial.py receive FAMILY PORT...: receives one such packet at each port, whole; prints the port, or
# "wrong"
import ipaddress
import socket
import struct
import sys
import time

BODY = bytes(i * 7 & 255 for i in range(2400))
CUTS = [0, 1000, 1800, 2408]


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def fragments(src, dst, port, ident):
    src, dst = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    udp = struct.pack("!HHHH", 4000, port, 8 + len(BODY), 0) + BODY
    total = checksum(src.packed + dst.packed + struct.pack("!II", 17, len(udp)) + udp)
    udp = udp[:6] + struct.pack("!H", total or 0xFFFF) + udp[8:]
    for at, end in zip(CUTS, CUTS[1:]):
        part, more = udp[at:end], end < CUTS[-1]
        if src.version == 4:
            field = at >> 3 | more << 13
            head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(part), ident, field, 64, 17, 0)
            head += src.packed + dst.packed
            head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        else:
            head = struct.pack("!IHBB", 6 << 28, 8 + len(part), 44, 64) + src.packed + dst.packed
            head += struct.pack("!BBHI", 17, 0, at | more, ident)
        yield src.version, head + part


def send(iface, mac, src, dst, port, ident, order):
    link = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
    parts = list(fragments(src, dst, int(port), int(ident)))
    for i in order:
        version, packet = parts[int(i)]
        kind = 0x0800 if version == 4 else 0x86DD
        link.sendto(packet, (iface, kind, 0, 0, bytes.fromhex(mac.replace(":", ""))))


def flow(iface, mac, src, dst, port, ident, count, ms):
    for i in range(int(count)):
        send(iface, mac, src, dst, port, int(ident) + i, "0")
        time.sleep(int(ms) / 1000)


def receive(family, *ports):
    sockets = []
    for port in ports:
        s = socket.socket(socket.AF_INET6 if family == "6" else socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(10)
        s.bind(("", int(port)))
        sockets.append((port, s))
    print("ready", flush=True)
    for port, s in sockets:
        try:
            print(port if s.recv(65535) == BODY else "wrong", flush=True)
        except TimeoutError:
            print("none", flush=True)


{"send": send, "flow": flow, "receive": receive}[sys.argv[1]](*sys.argv[2:])
