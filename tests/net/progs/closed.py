#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Packets that are wrapped in unusual ways.

closed.py send IF MAC SOURCE DESTINATION KIND...: sends one packet of each kind onto the link;
    prints the kind and the bytes of the packet, without those behind its end
closed.py kinds FAMILY SET: prints the kinds of a set; FAMILY is 4 or 6
closed.py listen FILE: prints the kinds of the packets that arrive for this host, at UDP port 9 and
    by TCP: one line for each packet
closed.py sniff IF SOURCE FILE: the same for all packets that come in on the interface from that
    address, whoever they are for

FILE appears when it listens. "other" is a packet without a name."""

import ipaddress
import re
import select
import socket
import struct
import sys

SOL_PACKET, PACKET_VNET_HDR = 263, 15
TCP, UDP, ICMP, ICMP6, SCTP, UDPLITE, DCCP = 6, 17, 1, 58, 132, 136, 33
HOPOPTS, ROUTING, FRAGMENT, AH, DSTOPTS = 0, 43, 44, 51, 60
NONE = 59


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def mark(kind):
    return f"<{kind}>".encode()


class Packet:
    """The parts of a packet of one kind; a maker below changes some of them."""

    def __init__(self, source, destination, kind):
        self.source, self.destination = ipaddress.ip_address(source), ipaddress.ip_address(destination)
        self.six, self.kind = self.source.version == 6, kind
        self.tags, self.behind, self.large, self.address = [], b"", None, None
        self.chain, self.length, self.first, self.frag, self.version = [], None, None, 0, None
        self.proto, self.data = UDP, self.udp(mark(kind) + bytes(400))

    def udp(self, data):
        pseudo = self.source.packed + self.destination.packed + struct.pack("!II", 8 + len(data), UDP)
        head = struct.pack("!HHHH", 4000, 9, 8 + len(data), 0)
        return head[:6] + struct.pack("!H", checksum(pseudo + head + data) or 0xFFFF) + data

    def tcp(self, data, flags=0x10):
        """The checksum is left to be completed, as in a large packet."""
        pseudo = self.source.packed + self.destination.packed + struct.pack("!II", 20 + len(data), TCP)
        return struct.pack("!HHIIBBHHH", 4000, 9, 1, 1, 5 << 4, flags, 1000, ~checksum(pseudo) & 0xFFFF, 0) + data

    def bytes(self):
        if self.six:
            payload, proto = self.data, self.proto
            for header, fill in reversed(self.chain):
                payload, proto = bytes([proto]) + fill + payload, header
            length = len(payload) if self.length is None else self.length
            head = struct.pack("!IHBB", (self.version or 6) << 28, length, proto, 64)
            return head + self.source.packed + self.destination.packed + payload
        length = 20 + len(self.data) if self.length is None else self.length
        head = struct.pack("!BBHHHBBH", self.first or 0x45, 0, length, 7, self.frag, 64, self.proto, 0)
        head += self.source.packed + self.destination.packed
        return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + self.data


def ext(header, fill=bytes(7)):
    return [(header, fill)]


def routing(kind):
    return ext(ROUTING, bytes([0, kind, 0, 0, 0, 0, 0]))


def atomic():
    return ext(FRAGMENT, bytes(7))


# ---- the sets of kinds: each a list of (family or 0, kind, what is done to the packet) ----


def assign(**fields):
    return lambda p: p.__dict__.update(fields)


def short(proto, n, **fields):
    return lambda p: p.__dict__.update(proto=proto, data=(b"\x0f\xa0\0\x09" + bytes(40))[:n], **fields)


def large(p):
    p.data, p.proto = p.tcp(mark(p.kind) + bytes(4000)), TCP
    p.large = (4 if p.six else 1, 20 + (40 if p.six else 20), 16)
    p.length = 0
    p.chain = ext(HOPOPTS, b"\0\1\4\0\0\0\0") if p.six else []


def many(p, header, least=30):
    """Fills the frame to its end."""
    p.chain = header * ((1400 - len(p.data)) // sum(1 + len(fill) for _, fill in header))
    assert len(p.chain) > least


SETS = {
    # packets that Linux takes, for itself and others
    "taken": [
        (0, "plain", assign()),
        (0, "behind", assign(behind=bytes(50))),
        (0, "8021q", assign(tags=[(0x8100, 0)])),
        (0, "8021q-priority", assign(tags=[(0x8100, 5 << 13)])),
        (0, "8021ad", assign(tags=[(0x88A8, 0)])),
        (0, "8021q-twice", assign(tags=[(0x8100, 0), (0x8100, 3 << 13)])),
        (0, "8021ad-8021q", assign(tags=[(0x88A8, 0), (0x8100, 0)])),
        (0, "8021q-8021ad", assign(tags=[(0x8100, 0), (0x88A8, 0)])),
        (0, "8021q-eight", assign(tags=[(0x8100, 0)] * 8)),
        (0, "large", large),
        (6, "padding", assign(length=0, chain=ext(HOPOPTS, b"\0\1\4\0\0\0\0"))),
        (6, "padding-tagged", assign(length=0, chain=ext(HOPOPTS, b"\0\1\4\0\0\0\0"), tags=[(0x8100, 0)])),
        (6, "hopopts", assign(chain=ext(HOPOPTS))),
        (6, "dstopts-8", assign(chain=ext(DSTOPTS) * 8)),
        (6, "dstopts-9", assign(chain=ext(DSTOPTS) * 9)),
        (6, "dstopts-end", lambda p: many(p, ext(DSTOPTS))),
        (6, "dstopts-long", lambda p: many(p, ext(DSTOPTS, b"\1\x1e\x0c" + bytes(12)))),
        (6, "atomic", assign(chain=atomic())),
        (6, "routing-end", lambda p: many(p, routing(0))),
    ],
    # packets that Linux took before it had a limit of eight tags
    "deep": [
        (0, "8021q-nine", assign(tags=[(0x8100, 0)] * 9)),
        (6, "8021q-nine-padding", assign(length=0, chain=ext(HOPOPTS, b"\0\1\4\0\0\0\0"), tags=[(0x8100, 0)] * 9)),
    ],
    # packets that it forwards, and takes for itself only under some conditions
    "forwarded": [
        (6, "atomic-end", lambda p: many(p, atomic())),
        (6, "mixed-end", lambda p: many(p, ext(DSTOPTS) + atomic() + routing(253), 10)),
        (6, "ah-end", lambda p: many(p, ext(AH))),
        (6, "routing-2", lambda p: many(p, routing(2))),
        (6, "routing-4", lambda p: many(p, routing(4))),
    ],
    # packets of a protocol without ports or types, or just long enough for them
    "harmless": [
        *((0, f"proto-{n}", short(n, 1)) for n in (4, 41, 47, 50, 89, 94, 103, 112, 115, 135, 139, 140, 253, 255)),
        (4, "proto-51", short(51, 1)),
        (6, "proto-59", short(NONE, 0)),
        (6, "proto-59-more", short(NONE, 9)),
        (0, "tcp-20", short(TCP, 20)),
        (0, "udp-8", short(UDP, 8)),
        (0, "udplite-8", short(UDPLITE, 8)),
        (0, "sctp-12", short(SCTP, 12)),
        (0, "dccp-12", short(DCCP, 12)),
        (4, "icmp-4", short(ICMP, 4)),
        (6, "icmp6-8", short(ICMP6, 8)),
        (4, "later-2", short(TCP, 1, frag=2)),
        (4, "later-udp", short(UDP, 1, frag=1)),
        (6, "later-tcp", lambda p: (short(TCP, 1)(p), assign(chain=ext(FRAGMENT, b"\0\0\x08\0\0\0\7"))(p))),
        (4, "first", short(UDP, 8, frag=0x2000)),
    ],
    # packets that cannot be read; a router forwards most of them
    "short": [
        (4, "tiny-first", lambda p: p.__dict__.update(proto=TCP, data=p.tcp(b"", 2)[:8], frag=0x2000)),
        (4, "tiny-second", short(TCP, 12, frag=1)),
        (0, "tcp-0", short(TCP, 0)),
        (0, "tcp-19", short(TCP, 19)),
        (0, "udp-7", short(UDP, 7)),
        (0, "udplite-7", short(UDPLITE, 7)),
        (0, "sctp-11", short(SCTP, 11)),
        (0, "dccp-11", short(DCCP, 11)),
        (4, "icmp-3", short(ICMP, 3)),
        (6, "icmp6-7", short(ICMP6, 7)),
        (0, "tcp-behind", lambda p: (short(TCP, 19)(p), assign(behind=bytes(50))(p))),
        (0, "udp-7-tagged", lambda p: (short(UDP, 7)(p), assign(tags=[(0x8100, 0)])(p))),
        (6, "udp-7-dstopts", lambda p: (short(UDP, 7)(p), assign(chain=ext(DSTOPTS) * 20)(p))),
        (6, "leads-out", assign(chain=ext(DSTOPTS, b"\xff" + bytes(6)))),
        (6, "leads-out-47", assign(chain=ext(DSTOPTS, b"\xff" + bytes(6)), proto=47)),
        (6, "half", short(DSTOPTS, 4)),
        (6, "ends-in-chain", lambda p: (many(p, ext(DSTOPTS)), p.__dict__.update(proto=DSTOPTS, data=b""))),
        (6, "first-ends", lambda p: (assign(chain=ext(FRAGMENT, b"\0\0\1\0\0\0\7"))(p), short(DSTOPTS, 0)(p))),
        (6, "first-ends-later", lambda p: (
            assign(chain=ext(FRAGMENT, b"\0\0\1\0\0\0\7") + ext(DSTOPTS))(p), short(TCP, 16)(p))),
    ],
    # packets that no stack takes
    "wrong": [
        (4, "header-16", assign(first=0x44)),
        (4, "header-long", lambda p: (short(UDP, 8)(p), assign(first=0x4F)(p))),
        (4, "version-5", assign(first=0x55)),
        (6, "version-5", assign(version=5)),
        (4, "length-0", assign(length=0)),
        (4, "length-19", assign(length=19)),
        (0, "length-more", assign(length=5000)),
        (4, "large-udp", lambda p: p.__dict__.update(length=0, large=(5, 28, 6))),
    ],
}


def kinds(family, which):
    return {kind: make for of, kind, make in SETS[which] if of in (0, int(family))}


def send(iface, mac, source, destination, *names):
    # A packet socket puts a header before the frame if it is asked to.
    plain = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    vnet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    vnet.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    for s in plain, vnet:
        s.bind((iface, 0))
    family = ipaddress.ip_address(source).version
    makers = {}
    for which in SETS:
        makers |= kinds(family, which)
    for name in names:
        p = Packet(source, destination, name)
        # a frame to one of a bridge's own addresses: 0 to 15
        address = bytes.fromhex(mac.replace(":", ""))
        if name.isdigit():
            address = bytes.fromhex("0180c20000") + bytes([int(name)])
        else:
            makers.get(name, assign())(p)
        link, packet = address + b"\2\0\0\0\0\1", p.bytes()
        for kind, tag in p.tags:
            link += struct.pack("!HH", kind, tag)
        link += struct.pack("!H", 0x86DD if p.six else 0x0800)
        if p.large:
            kind, head, at = p.large
            start = len(link) + len(packet) - len(p.data)
            head = struct.pack("=BBHHHH", 1, kind, start + head - (40 if p.six else 20), 1000, start, at)
            vnet.send(head + link + packet)
        else:
            plain.send(link + packet + p.behind)
        print(name, len(packet))


def name_in(data):
    found = re.search(rb"<([a-z0-9-]+)>", data)
    return found and found[1].decode()


def tell(ready, sockets, source=b""):
    with open(ready, "w", encoding="ascii") as f:
        f.write("ready\n")
    while True:
        for s in select.select(sockets, [], [])[0]:
            data = s.recv(100000)
            if source in data:
                print(name_in(data) or "other", flush=True)


def listen(ready):
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.bind(("", 9))
    tcp = [socket.socket(f, socket.SOCK_RAW, socket.IPPROTO_TCP) for f in (socket.AF_INET, socket.AF_INET6)]
    tell(ready, [udp, *tcp])


def sniff(iface, source, ready):
    link = [socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) for _ in range(2)]
    # Not all kinds: then outgoing packets would be there, too.
    for s, kind in zip(link, (0x0800, 0x86DD)):
        s.bind((iface, kind))
    tell(ready, link, ipaddress.ip_address(source).packed)


if sys.argv[1] == "kinds":
    print(" ".join(kinds(*sys.argv[2:4])))
else:
    {"send": send, "listen": listen, "sniff": sniff}[sys.argv[1]](*sys.argv[2:])
