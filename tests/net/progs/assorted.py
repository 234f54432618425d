#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Sends assorted IP packets through a router, the same ones for the same seed.

The packets that arrive behind the router in two runs, say with and without divert, can then be
compared byte for byte (pcapcmp.py). Every packet is distinct: IPv4 by its identification field,
IPv6 by its flow label, and both by the number in the payload if there is room for it. A router
forwards all of them and changes only TTL and IPv4 header checksum (but see --router-writes). TTLs
are above 2.
"""

import argparse
import ipaddress
import random
import socket
import struct
import sys
import time

UDP, TCP, ICMP, ICMP6 = 17, 6, 1, 58
HOP, ROUTING, FRAGMENT, DEST, NONE = 0, 43, 44, 60, 59
# The last header of IPv6 is none of these: they are extension headers, or need one's layout.
NOT_LAST6 = {HOP, ROUTING, FRAGMENT, DEST, 50, 51, 135, 139, 140}
# A packet without that many bytes is dropped before the rules.
HEADER = {ICMP: 4, TCP: 20, UDP: 8, 33: 12, ICMP6: 8, 132: 12, 136: 8}


def fold(data):
    """The Internet checksum of data."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Maker:
    def __init__(self, args):
        self.rng = random.Random(args.seed)
        self.mtu = args.mtu
        self.fragments = args.fragments
        self.lone = args.lone
        self.no_df = args.no_df
        self.router_writes = args.router_writes
        self.address = {}
        for version, src, dst in ((4, args.src4, args.dst4), (6, args.src6, args.dst6)):
            if src and dst:
                self.address[version] = (
                    ipaddress.ip_address(src).packed,
                    ipaddress.ip_address(dst).packed,
                )
        self.index = 0
        self.packets = []  # (bytes of IP, bytes of padding behind it)

    # ---- headers ----

    def add(self, packet, pad=0):
        self.packets.append((packet, bytes(self.rng.randrange(256) for _ in range(pad))))
        self.index += 1

    def ip4(self, proto, data, options=b"", ident=None, flags=None, offset=0, tos=None, ttl=None):
        src, dst = self.address[4]
        rng = self.rng
        # DF, no flag, and now and then the reserved bit.
        if flags is None:
            flags = rng.choice((0x4000, 0x4000, 0, 0, 0, 0x8000))
        head = struct.pack(
            "!BBHHHBBH4s4s",
            0x45 + len(options) // 4,
            rng.randrange(256) if tos is None else tos,
            20 + len(options) + len(data),
            (self.index if ident is None else ident) & 0xFFFF,
            flags | offset // 8,
            rng.randrange(3, 256) if ttl is None else ttl,
            proto,
            0,
            src,
            dst,
        )
        head += options
        return head[:10] + struct.pack("!H", fold(head)) + head[12:] + data

    def ip6(self, proto, data, label=None, tclass=None, hops=None):
        src, dst = self.address[6]
        rng = self.rng
        tclass = rng.randrange(256) if tclass is None else tclass
        label = (self.index + 1 if label is None else label) & 0xFFFFF
        hops = rng.randrange(3, 256) if hops is None else hops
        first = 6 << 28 | tclass << 20 | label
        return struct.pack("!IHBB", first, len(data), proto, hops) + src + dst + data

    def room(self, version, extra=0):
        return self.mtu - (20 if version == 4 else 40) - extra

    def payload(self, room, least=0):
        """Up to room bytes: its number, then noise. All sizes occur, the edges often."""
        rng = self.rng
        size = rng.choice(
            (
                rng.randrange(least, min(room, 40) + 1),
                rng.randrange(least, min(room, 300) + 1),
                rng.randrange(least, room + 1) | 1,
                room,
                room - 1,
                rng.randrange(least, min(room, 64) + 1),
            )
        )
        return self.noise(max(least, min(size, room)))

    def noise(self, size):
        data = b"ipdivert" + struct.pack("!I", self.index)
        return (data + self.rng.randbytes(max(0, size - len(data))))[:size]

    def pseudo(self, version, proto, length):
        src, dst = self.address[version]
        if version == 4:
            return src + dst + struct.pack("!BBH", 0, proto, length)
        return src + dst + struct.pack("!IHBB", length, 0, 0, proto)

    # ---- transports: mode is "right", "wrong" or (UDP over IPv4) "zero" ----

    def finish(self, version, proto, segment, at, mode):
        """Writes the checksum at its place in the segment."""
        covered = segment
        if proto != ICMP:
            covered = self.pseudo(version, proto, len(segment)) + segment
        check = fold(covered)
        if proto == UDP and check == 0:
            check = 0xFFFF
        if mode == "wrong":
            check = (check ^ self.rng.randrange(1, 0xFFFF)) or 0x1234
        elif mode == "zero":
            check = 0
        return segment[:at] + struct.pack("!H", check) + segment[at + 2 :]

    def udp(self, version, mode, data):
        rng = self.rng
        source, dest = rng.randrange(1, 65536), rng.randrange(1, 65536)
        head = struct.pack("!HHHH", source, dest, 8 + len(data), 0)
        return self.finish(version, UDP, head + data, 6, mode)

    def tcp(self, version, mode, data):
        rng = self.rng
        options = rng.choice(
            (
                b"",
                b"\x02\x04\x05\xb4",
                b"\x01\x01\x08\x0a" + rng.randbytes(8),
                b"\x02\x04\x05\xb4\x04\x02\x08\x0a" + rng.randbytes(8) + b"\x01\x03\x03\x07",
            )
        )
        data = data[: max(0, self.room(version, 20 + len(options)))]
        head = struct.pack(
            "!HHIIBBHHH",
            rng.randrange(1, 65536),
            rng.randrange(1, 65536),
            rng.randrange(1 << 32),
            rng.randrange(1 << 32),
            (5 + len(options) // 4) << 4,
            rng.choice((0x02, 0x10, 0x18, 0x11, 0x04, 0x12, 0xC2, 0x00, 0x3F)),
            rng.randrange(65536),
            0,
            rng.randrange(65536),
        )
        return self.finish(version, TCP, head + options + data, 16, mode)

    def icmp(self, version, mode, data):
        kind = self.rng.choice((8, 0, 3, 11) if version == 4 else (128, 129, 1, 3))
        head = struct.pack("!BBHHH", kind, 0, 0, self.index & 0xFFFF, self.rng.randrange(65536))
        return self.finish(version, ICMP if version == 4 else ICMP6, head + data, 2, mode)

    def transport(self, version, extra=0, least=0):
        """Returns a protocol number and its header and data, with extra bytes left free before
        it."""
        mode = self.rng.choice(("right", "right", "wrong"))
        kind = self.rng.choice((UDP, TCP, ICMP))
        room = self.room(version, extra)
        if kind == TCP:
            return TCP, self.tcp(version, mode, self.payload(room - 56, least))
        data = self.payload(room - 8, least)
        if kind == UDP:
            if version == 4 and self.rng.randrange(6) == 0:
                mode = "zero"
            return UDP, self.udp(version, mode, data)
        return (ICMP if version == 4 else ICMP6), self.icmp(version, mode, data)

    # ---- kinds of packets ----

    def plain4(self):
        proto, data = self.transport(4)
        packet = self.ip4(proto, data)
        # Ethernet padding behind the packet, which is no part of it
        short = len(packet) + 20 <= self.mtu and self.rng.randrange(10) == 0
        self.add(packet, self.rng.randrange(1, 20) if short else 0)

    def plain6(self):
        proto, data = self.transport(6)
        packet = self.ip6(proto, data)
        short = len(packet) + 20 <= self.mtu and self.rng.randrange(10) == 0
        self.add(packet, self.rng.randrange(1, 20) if short else 0)

    def proto4(self, number):
        self.add(self.ip4(number, self.payload(self.room(4), HEADER.get(number, 0))))

    def proto6(self, number):
        self.add(self.ip6(number, self.payload(self.room(6), HEADER.get(number, 0))))

    def options4(self):
        """IPv4 options, up to all 40 bytes of them."""
        rng = self.rng
        choices = [
            b"\x01",  # no operation
            b"\x94\x04\x00\x00",  # router alert
            b"\x88\x04" + rng.randbytes(2),  # stream identifier
            b"\x82\x0b" + rng.randbytes(9),  # security
            b"\x9e\x06" + rng.randbytes(4),  # experimental
            b"\x07\x07\x08" + rng.randbytes(4),  # record route, full
            b"\x5e\x0a" + rng.randbytes(8),  # experimental, not copied
        ]
        if self.router_writes:
            choices += [b"\x07\x0f\x04" + bytes(12), b"\x44\x0c\x0d\x00" + rng.randbytes(8)]
        options, seen = b"", set()
        for _ in range(rng.randrange(1, 8)):
            option = rng.choice(choices)
            # A router accepts each of these only once.
            if option[0] != 1 and option[0] in seen or len(options) + len(option) > 40:
                continue
            seen.add(option[0])
            options += option
        options += b"\0" * (-len(options) % 4)
        proto, data = self.transport(4, len(options))
        self.add(self.ip4(proto, data, options))

    def tlv(self, options):
        """Hop-by-hop or destination options, padded to a multiple of 8; without the first byte."""
        pad = -(len(options) + 2) % 8
        if pad == 1:
            options += b"\0"
        elif pad:
            options += bytes((1, pad - 2)) + bytes(pad - 2)
        return bytes(((len(options) + 2) // 8 - 1,)) + options

    def extended6(self):
        """IPv6 extension headers in the order that RFC 8200 recommends; each is there or not."""
        rng = self.rng
        unknown = b"\x1e" + struct.pack("!B", 4) + rng.randbytes(4)  # to be skipped if not known
        chain = []
        if rng.randrange(2):
            chain.append((HOP, self.tlv(rng.choice((b"", b"\x05\x02\x00\x00", unknown)))))
        if rng.randrange(2):
            long = b"\x3e\x0b" + rng.randbytes(11)
            chain.append((DEST, self.tlv(rng.choice((b"", unknown, long)))))
        if rng.randrange(3) == 0:  # nothing left to visit; the addresses in it are noise
            chain.append((ROUTING, b"\x02" + b"\xfd\x00" + bytes(4) + rng.randbytes(16)))
        if not chain or rng.randrange(3) == 0:
            chain.append((DEST, self.tlv(unknown)))
        extra = sum(1 + len(body) for _, body in chain)
        if rng.randrange(10) == 0:
            proto, data = NONE, self.payload(min(64, self.room(6, extra)))
        else:
            proto, data = self.transport(6, extra)
        for kind, body in reversed(chain):
            data, proto = bytes((proto,)) + body + data, kind
        self.add(self.ip6(proto, data))

    def cut(self, data, room, left):
        """[(offset, piece, more)]: cut at the edges of the MTU as routers do, or anywhere."""
        room &= ~7
        if self.fragments == "all" and self.rng.randrange(2):
            least = max(8, -(-len(data) // max(2, min(left, 6))) + 7 & ~7)
            room = min(room, self.rng.randrange(least, max(least, 512) + 1) & ~7)
        pieces = [
            (at, data[at : at + room], at + room < len(data)) for at in range(0, len(data), room)
        ]
        if self.lone and self.rng.randrange(4) == 0 and len(pieces) > 1:
            del pieces[self.rng.randrange(len(pieces))]
        if self.fragments == "all" and self.rng.randrange(3) == 0:
            self.rng.shuffle(pieces)
        return pieces

    def datagram(self, version, left):
        """A protocol number and its data, long enough for 2 to 4 fragments."""
        full = self.room(version, 0 if version == 4 else 8) & ~7
        size = self.rng.randrange(full + 1, full * min(left, 4) - 40)
        mode = self.rng.choice(("right", "right", "wrong"))
        if self.rng.randrange(3):
            return UDP, self.udp(version, mode, self.noise(size))
        return (ICMP if version == 4 else ICMP6), self.icmp(version, mode, self.noise(size))

    def fragments4(self, left):
        rng = self.rng
        proto, data = self.datagram(4, left)
        df = rng.choice((0, 0x4000)) & (0 if self.no_df else 0x4000)
        ident, tos, ttl = self.index, rng.randrange(256) & 0xFC, rng.randrange(3, 256)
        options = b"\x94\x04\x00\x00" if rng.randrange(4) == 0 else b""
        for at, piece, more in self.cut(data, self.room(4, len(options)), left):
            flags = df | (0x2000 if more else 0)
            self.add(self.ip4(proto, piece, options, ident, flags, at, tos, ttl))

    def fragments6(self, left):
        rng = self.rng
        proto, data = self.datagram(6, left)
        label, tclass, hops = self.index + 1, rng.randrange(256) & 0xFC, rng.randrange(3, 256)
        ident = self.index + 0x10000
        before = b"" if rng.randrange(4) else self.tlv(b"\x05\x02\x00\x00")
        room = self.room(6, 8 + (1 + len(before) if before else 0))
        for at, piece, more in self.cut(data, room, left):
            body = struct.pack("!BBHI", proto, 0, at | more, ident) + piece
            if before:
                body = bytes((FRAGMENT,)) + before + body
            self.add(self.ip6(HOP if before else FRAGMENT, body, label, tclass, hops))

    def make(self, count):
        """Exactly count packets: half of them go through all protocols in turn, the others are
        random."""
        rng = self.rng
        protocols = [(self.proto4, n) for n in range(256) if 4 in self.address]
        protocols += [
            (self.proto6, n) for n in range(256) if 6 in self.address and n not in NOT_LAST6
        ]
        rng.shuffle(protocols)
        others = []
        if 4 in self.address:
            others += [self.plain4, self.plain4, self.options4]
        if 6 in self.address:
            others += [self.plain6, self.extended6]
        trains = []
        if self.fragments != "none":
            trains = [(4, self.fragments4), (6, self.fragments6)]
            trains = [f for version, f in trains if version in self.address]
        done = 0
        while self.index < count:
            left = count - self.index
            if done < len(protocols) and (rng.randrange(2) or left <= len(protocols) - done):
                make, number = protocols[done]
                make(number)
                done += 1
            elif trains and left >= 8 and rng.randrange(6) == 0:
                rng.choice(trains)(left)
            else:
                rng.choice(others)()
        return self.packets[:count]


# ---- sending ----


def mac_of(address):
    """The gateway's MAC address, from the neighbour table; asks for it if necessary."""
    for _ in range(20):
        with open("/proc/net/arp", encoding="ascii") as f:
            for line in f.readlines()[1:]:
                fields = line.split()
                if fields[0] == address and fields[3] != "00:00:00:00:00:00":
                    return fields[3]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"", (address, 9))
        time.sleep(0.1)
    sys.exit(f"assorted.py: {address}: no MAC address known")


def send(packets, interface, mac, pps):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.bind((interface, 0))
    link = bytes.fromhex(mac.replace(":", "")) + sock.getsockname()[4]
    due = time.monotonic()
    for packet, pad in packets:
        kind = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
        sock.send(link + kind + packet + pad)
        due += 1 / pps
        wait = due - time.monotonic()
        if wait > 0:
            time.sleep(wait)


def write_pcap(path, packets):
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 101))
        for n, (packet, _) in enumerate(packets):
            f.write(struct.pack("<IIII", n // 1000, n % 1000 * 1000, len(packet), len(packet)))
            f.write(packet)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("-i", "--interface", help="where they leave")
    p.add_argument("--mac", help="MAC address of the router")
    p.add_argument("--gw", help="or its IPv4 address, to be looked up")
    p.add_argument("--src4", help="IPv4 addresses of sender and receiver")
    p.add_argument("--dst4")
    p.add_argument("--src6", help="IPv6 addresses of both")
    p.add_argument("--dst6")
    p.add_argument("-n", type=int, default=1000, help="packets, up to 60000 (%(default)s)")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--mtu", type=int, default=1500, help="at least 576 (%(default)s)")
    p.add_argument("--pps", type=float, default=4000, help="(%(default)s)")
    p.add_argument(
        "--fragments",
        choices=("all", "natural", "none"),
        default="all",
        help="all: cut anywhere, in any order; natural: in order, each as long as the MTU lets",
    )
    p.add_argument("--no-df", action="store_true", help="no fragments that must not be fragmented")
    p.add_argument("--lone", action="store_true", help="some fragments are missing")
    p.add_argument(
        "--router-writes",
        action="store_true",
        help="also options that a router writes into (record route, timestamp)",
    )
    p.add_argument("--write", metavar="FILE", help="what is sent, as pcap")
    p.add_argument("--dry-run", action="store_true", help="send nothing")
    args = p.parse_args()
    if not 1 <= args.n <= 60000 or args.mtu < 576 or args.pps <= 0:
        p.error("-n from 1 to 60000, --mtu from 576 on, --pps above 0")
    if not (args.src4 and args.dst4) and not (args.src6 and args.dst6):
        p.error("--src4 and --dst4, or --src6 and --dst6, or all four")
    if not args.dry_run and not (args.interface and (args.mac or args.gw)):
        p.error("-i and --mac or --gw")

    packets = Maker(args).make(args.n)
    if args.write:
        write_pcap(args.write, packets)
    if not args.dry_run:
        send(packets, args.interface, args.mac or mac_of(args.gw), args.pps)
    print(f"sent {0 if args.dry_run else len(packets)} of {len(packets)}")


if __name__ == "__main__":
    main()
