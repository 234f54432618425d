#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""segments.py DEVICE MAC SOURCE DESTINATION PROTO N BYTES HOW

Sends N segments of TCP or UDP to port 9, with that many bytes each, from DEVICE. PROTO is "tcp" or
"udp". HOW is "large", as packets of up to 64 KiB as the kernel has them, or "single", one by
one."""

import array
import ipaddress
import socket
import struct
import sys

SOL_PACKET, PACKET_VNET_HDR, NEEDS_CSUM, TCPV4, TCPV6, UDP_L4 = 263, 15, 1, 1, 4, 5
OPTIONS = struct.pack("!BBBBII", 1, 1, 8, 10, 1000, 2000)  # timestamps

device, mac, source, destination, proto, count, size, how = sys.argv[1:9]
count, size = int(count), int(size)
source, destination = (ipaddress.ip_address(a) for a in (source, destination))
v6, udp = source.version == 6, proto == "udp"
sum_at = 6 if udp else 16


def total(data):
    words = array.array("H", data + b"\0" * (len(data) % 2))
    words.byteswap()
    n = sum(words)
    while n >> 16:
        n = (n & 0xFFFF) + (n >> 16)
    return n


def packet(number, payload, partial):
    """The packet with this payload, number bytes behind the first one."""
    length = (8 if udp else 32) + len(payload)
    pseudo = source.packed + destination.packed + struct.pack("!II", length, 17 if udp else 6)
    head = struct.pack("!HHHH", 4000, 9, length, 0)
    if not udp:
        head = struct.pack("!HHIIBBHHH", 4000, 9, 100000 + number, 5000, 8 << 4, 0x10, 1000, 0, 0) + OPTIONS
    check = total(pseudo) if partial else 0xFFFF ^ total(pseudo + head + payload)
    transport = head[:sum_at] + struct.pack("!H", check) + head[sum_at + 2:]
    if v6:
        head = struct.pack("!IHBB", 6 << 28 | 0x12345, length, 17 if udp else 6, 64)
    else:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 65530 + number // size & 0xFFFF, 0x4000, 64,
                           17 if udp else 6, 0)
        head += source.packed + destination.packed
        head = head[:10] + struct.pack("!H", 0xFFFF ^ total(head)) + head[12:20]
    if v6:
        head += source.packed + destination.packed
    return head + transport + payload


link = bytes.fromhex(mac.replace(":", "")) + b"\2\0\0\0\0\1" + (b"\x86\xdd" if v6 else b"\x08\0")
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
s.bind((device, 0))
parts = [struct.pack("!I", i) * (size // 4) for i in range(count)]
if how == "large":
    s.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    start = 14 + (40 if v6 else 20)
    kind = UDP_L4 if udp else TCPV6 if v6 else TCPV4
    large = struct.pack("=BBHHHH", NEEDS_CSUM, kind, start + (8 if udp else 32), size, start, sum_at)
    most = 65000 // size
    for i in range(0, count, most):
        s.send(large + link + packet(i * size, b"".join(parts[i:i + most]), True))
else:
    for i, part in enumerate(parts):
        s.send(link + packet(i * size, part, False))
