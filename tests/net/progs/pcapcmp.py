#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Compares the IP packets of two pcap files: the same ones, byte for byte, in the same order.

Link headers, padding behind a packet, frames that hold no IP and timestamps do not count.
Prints the differences. Exit status: 0 equal, 1 different, 2 a file cannot be read.
"""

import argparse
import collections
import ipaddress
import struct
import sys

ETHERNET, RAW, SLL, SLL2, NULL = 1, (12, 14, 101, 228, 229), 113, 276, (0, 108)


class Unreadable(Exception):
    pass


def ip_of(link, frame):
    """The bytes that follow the link header, or nothing if that is no IP packet."""
    if link in RAW:
        return frame
    if link in NULL:
        return frame[4:]
    if link == ETHERNET:
        at = 12
        while frame[at : at + 2] in (b"\x81\x00", b"\x88\xa8"):
            at += 4
        kind, rest = frame[at : at + 2], frame[at + 2 :]
    elif link == SLL:
        kind, rest = frame[14:16], frame[16:]
    elif link == SLL2:
        kind, rest = frame[0:2], frame[20:]
    else:
        raise Unreadable(f"link type {link} is not known")
    return rest if kind in (b"\x08\x00", b"\x86\xdd") else b""


def trim(packet):
    """The packet without what follows its end, by its own length field."""
    if len(packet) >= 20 and packet[0] >> 4 == 4:
        return packet[: struct.unpack_from("!H", packet, 2)[0] or len(packet)]
    if len(packet) >= 40 and packet[0] >> 4 == 6:
        length = struct.unpack_from("!H", packet, 4)[0]
        return packet[: 40 + length] if length else packet
    return packet


def read(path):
    with open(path, "rb") as f:
        data = f.read()
    order = {  # microseconds, nanoseconds
        b"\xd4\xc3\xb2\xa1": "<",
        b"\x4d\x3c\xb2\xa1": "<",
        b"\xa1\xb2\xc3\xd4": ">",
        b"\xa1\xb2\x3c\x4d": ">",
    }
    if data[:4] not in order or len(data) < 24:
        raise Unreadable("no pcap file (pcapng is not read)")
    e = order[data[:4]]
    link = struct.unpack_from(e + "I", data, 20)[0] & 0xFFFF
    at, packets = 24, []
    while at < len(data):
        if at + 16 > len(data):
            raise Unreadable("cut off within a header")
        held, length = struct.unpack_from(e + "II", data, at + 8)
        at += 16
        if at + held > len(data):
            raise Unreadable("cut off within a packet")
        packet = trim(ip_of(link, data[at : at + held]))
        if held < length and packet and len(packet) < declared(packet):
            raise Unreadable(f"packet {len(packets) + 1} was not captured whole (tcpdump -s 0)")
        at += held
        if packet:
            packets.append(packet)
    return packets


def declared(packet):
    if packet[0] >> 4 == 4:
        return struct.unpack_from("!H", packet, 2)[0]
    return 40 + struct.unpack_from("!H", packet, 4)[0]


def header_sum(head):
    total = sum(struct.unpack(f"!{len(head) // 2}H", head))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def with_sum(packet):
    """Corrects its IPv4 header checksum."""
    size = (packet[0] & 15) * 4
    head = packet[:10] + b"\0\0" + packet[12:size]
    return packet[:10] + struct.pack("!H", header_sum(head)) + packet[12:]


def forwarded(packet):
    """The packet as a router forwards it: with a TTL one lower."""
    if packet[0] >> 4 == 6:
        return packet[:7] + bytes((packet[7] - 1,)) + packet[8:]
    size = (packet[0] & 15) * 4
    right = header_sum(packet[:size]) == 0
    packet = packet[:8] + bytes((packet[8] - 1,)) + packet[9:]
    return with_sum(packet) if right else packet


def fragment4(p):
    """(key, offset, more, header, data) of an IPv4 fragment, or None."""
    field = struct.unpack_from("!H", p, 6)[0]
    if not field & 0x3FFF:
        return None
    size = (p[0] & 15) * 4
    key = p[12:20] + p[4:6] + p[9:10]
    return key, (field & 0x1FFF) * 8, bool(field & 0x2000), p[:size], p[size:]


def fragment6(p):
    kind, at, back = p[6], 40, 6
    while kind in (0, 43, 60):
        kind, back, at = p[at], at, at + 8 + p[at + 1] * 8
    if kind != 44:
        return None
    field, ident = struct.unpack_from("!HI", p, at + 2)
    head = p[:back] + p[at : at + 1] + p[back + 1 : at]
    return p[8:40] + struct.pack("!I", ident), field & ~7, bool(field & 1), head, p[at + 8 :]


def whole(version, pieces):
    """The packet that these fragments make, or None if some are missing."""
    data, head, end = b"", None, False
    for at, more, header, piece in sorted(pieces, key=lambda f: f[0]):
        if at != len(data):
            return None
        if at == 0:
            head = header
        data += piece
        end = not more
    if not end or head is None:
        return None
    if version == 6:
        return head[:4] + struct.pack("!H", (len(head) - 40 + len(data)) & 0xFFFF) + head[6:] + data
    flags = struct.unpack_from("!H", head, 6)[0] & 0xC000
    size = struct.pack("!H", (len(head) + len(data)) & 0xFFFF)
    return with_sum(head[:2] + size + head[4:6] + struct.pack("!H", flags) + head[8:] + data)


def reassemble(packets):
    """Replaces fragments by whole packets, at the place of their last one. Incomplete ones stay."""
    result, waiting = [], collections.OrderedDict()
    for p in packets:
        version = p[0] >> 4
        parts = fragment4(p) if version == 4 else fragment6(p)
        if parts is None:
            result.append(p)
            continue
        key, *rest = parts
        held = waiting.setdefault((version, key), [])
        held.append((rest, p))
        packet = whole(version, [f for f, _ in held])
        if packet is not None:
            result.append(packet)
            del waiting[version, key]
    for held in waiting.values():
        result += [p for _, p in held]
    return result


def identity(p):
    """The key that a packet of assorted.py and a changed copy of it have in common."""
    if p[0] >> 4 == 4 and len(p) >= 20:
        return p[12:20] + p[4:6] + bytes((p[6] & 0x1F,)) + p[7:8]
    at = fragment6(p) if len(p) >= 48 else None
    return p[1:4] + p[8:40] + struct.pack("!H", at[1] if at else 0)


def describe(p):
    if p[0] >> 4 == 4 and len(p) >= 20:
        total, ident, frag = struct.unpack_from("!HHH", p, 2)
        src, dst = ipaddress.ip_address(p[12:16]), ipaddress.ip_address(p[16:20])
        text = f"IPv4 {src} > {dst} proto={p[9]} id={ident} ttl={p[8]} len={total}"
        if frag & 0x3FFF:
            text += f" offset={(frag & 0x1FFF) * 8}{'+' if frag & 0x2000 else ''}"
        return text
    if p[0] >> 4 == 6 and len(p) >= 40:
        src, dst = ipaddress.ip_address(p[8:24]), ipaddress.ip_address(p[24:40])
        label = struct.unpack_from("!I", p)[0] & 0xFFFFF
        return f"IPv6 {src} > {dst} next={p[6]} label={label} hops={p[7]} len={len(p)}"
    return f"no IP packet, len={len(p)}"


def show(p):
    return f"{describe(p)}\n      {p[:64].hex()}{'...' if len(p) > 64 else ''}"


def changed(a, b):
    """The first bytes that differ."""
    at = [n for n in range(min(len(a), len(b))) if a[n] != b[n]]
    said = [f"byte {n}: {a[n]:02x} is {b[n]:02x}" for n in at[:6]]
    if len(at) > 6:
        said.append(f"and {len(at) - 6} more")
    if len(a) != len(b):
        said.append(f"length {len(a)} is {len(b)}")
    return ", ".join(said)


class Report:
    def __init__(self, most):
        self.left, self.more = most, 0

    def say(self, text):
        if self.left > 0:
            self.left -= 1
            print(text)
        else:
            self.more += 1

    def end(self):
        if self.more:
            print(f"and {self.more} more differences")


def compare(a, b, any_order, most):
    count_a, count_b = collections.Counter(a), collections.Counter(b)
    only_a, only_b = list((count_a - count_b).elements()), list((count_b - count_a).elements())
    report = Report(most)
    partner = collections.defaultdict(list)
    for p in only_b:
        partner[identity(p)].append(p)
    for p in only_a:
        twins = partner[identity(p)]
        if twins:
            q = twins.pop(0)
            report.say(f"changed: {describe(p)}: {changed(p, q)}")
        else:
            report.say(f"only in the first: {show(p)}")
    for twins in partner.values():
        for p in twins:
            again = ", once more than in the first" if p in count_a else ""
            report.say(f"only in the second{again}: {show(p)}")
    different = bool(only_a or only_b)
    if not different and not any_order and a != b:
        n = next(n for n in range(len(a)) if a[n] != b[n])
        report.say(f"order: packet {n + 1} of the first is {show(a[n])}")
        report.say(f"order: packet {n + 1} of the second is {show(b[n])}")
        different = True
    report.end()
    return different


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("first")
    p.add_argument("second")
    p.add_argument(
        "--forwarded",
        action="store_true",
        help="between the first and the second there is a router: TTLs of the first count one less",
    )
    p.add_argument("--any-order", action="store_true", help="the order does not count")
    p.add_argument("--reassemble", action="store_true", help="nor how packets were fragmented")
    p.add_argument(
        "--src", action="append", default=[], metavar="ADDR", help="packets from there only"
    )
    p.add_argument("--most", type=int, default=20, help="differences to print (%(default)s)")
    args = p.parse_args()
    wanted = {ipaddress.ip_address(s).packed for s in args.src}
    sides = []
    for path in (args.first, args.second):
        try:
            packets = read(path)
        except (OSError, Unreadable) as e:
            print(f"pcapcmp.py: {path}: {e}", file=sys.stderr)
            return 2
        if wanted:
            packets = [q for q in packets if (q[12:16] if q[0] >> 4 == 4 else q[8:24]) in wanted]
        sides.append(packets)
    if args.forwarded:
        sides[0] = [forwarded(q) for q in sides[0]]
    if args.reassemble:
        sides = [reassemble(s) for s in sides]
    if compare(*sides, args.any_order, args.most):
        print(f"different: {len(sides[0])} and {len(sides[1])} packets")
        return 1
    print(f"equal: {len(sides[0])} packets")
    return 0


if __name__ == "__main__":
    sys.exit(main())
