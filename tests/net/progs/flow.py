#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""flow.py udp|tcp|NUMBER SOURCE PORTS DESTINATION PORTS [BYTES|FLAGS [ACK]]

Sends a packet from each of the source's ports to each of the destination's ports (PORTS is 53 or
1000-1009): a UDP datagram with that many BYTES (1), or a TCP segment with these FLAGS, some of FSRA
("S"), and this acknowledgement (with A: 1000). It needs no socket on the ports of a TCP flow, and
nothing answers for it."""

import ipaddress
import socket
import struct
import sys

proto, source, sources, destination, destinations, *more = sys.argv[1:]
family = socket.AF_INET6 if ":" in source else socket.AF_INET
BITS = {"F": 1, "S": 2, "R": 4, "A": 16}


def ports(text):
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def segment(sport, dport):
    flags = more[0] if more else "S"
    ack = int(more[1]) if len(more) > 1 else 1000 if "A" in flags else 0
    head = struct.pack("!HHIIBBHHH", sport, dport, 1, ack, 5 << 4, sum(BITS[f] for f in flags), 1000, 0, 0)
    pseudo = b"".join(ipaddress.ip_address(a).packed for a in (source, destination))
    total = sum(struct.unpack("!%dH" % (len(pseudo) // 2 + 10), pseudo + head)) + len(head) + socket.IPPROTO_TCP
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return head[:16] + struct.pack("!H", 0xFFFF ^ total) + head[18:]


for sport in ports(sources):
    if proto != "udp":
        sock = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP if proto == "tcp" else int(proto))
        sock.bind((source, 0))
    else:
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((source, sport))
    for dport in ports(destinations):
        if proto == "tcp":
            sock.sendto(segment(sport, dport), (destination, 0))
        elif proto != "udp":
            sock.sendto(struct.pack("!HHI", sport, dport, 0), (destination, 0))
        else:
            sock.sendto(b"x" * int(more[0] if more else 1), (destination, dport))
