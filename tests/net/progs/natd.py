#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The parts of a natd that tests need: natd.py PORT ADDRESS [INSIDE], under divert-run.

IPv4 packets that go out get ADDRESS as their source. Answers get their old destination back; they
are known by the port or the echo's number, which does not change. Packets that come in by the
interface with the address INSIDE get ADDRESS, too, before they are routed. Other packets are
written back unchanged. At SIGTERM it prints the numbers of packets: "out N in N other N".
"""

import signal
import socket
import struct
import sys

IPPROTO_DIVERT = 258
ICMP, TCP, UDP = 1, 6, 17
CHECKSUM = {TCP: 16, UDP: 6}  # their places in the header


def fix(packet, at, old, new):
    """The checksum at this place after 4 bytes that it covers have changed (RFC 1624)."""
    total = ~struct.unpack_from("!H", packet, at)[0] & 0xFFFF
    total += sum(~w & 0xFFFF for w in struct.unpack("!HH", old)) + sum(struct.unpack("!HH", new))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    struct.pack_into("!H", packet, at, ~total & 0xFFFF)


def change(packet, at, new):
    """Writes another address at this place of the IP header."""
    header, protocol, old = (packet[0] & 15) * 4, packet[9], bytes(packet[at : at + 4])
    packet[at : at + 4] = new
    fix(packet, 10, old, new)
    if protocol in CHECKSUM:
        where = header + CHECKSUM[protocol]
        if protocol == TCP or packet[where : where + 2] != b"\0\0":
            fix(packet, where, old, new)


def key(packet, out):
    """The key by which an answer is known; None: there is none."""
    header, protocol = (packet[0] & 15) * 4, packet[9]
    if protocol in CHECKSUM:
        return protocol, bytes(packet[header + (0 if out else 2) :][:2])
    if protocol == ICMP and packet[header] == (8 if out else 0):
        return protocol, bytes(packet[header + 4 :][:2])
    return None


def main():
    port, public = int(sys.argv[1]), socket.inet_aton(sys.argv[2])
    counts, inside, stop = {"out": 0, "in": 0, "other": 0}, {}, []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    divert = socket.socket(socket.AF_INET, socket.SOCK_RAW, IPPROTO_DIVERT)
    divert.bind(("0.0.0.0", port))
    print("bound", flush=True)
    divert.settimeout(0.1)
    while not stop:
        try:
            packet, where = divert.recvfrom(65535)
        except TimeoutError:
            continue
        packet, out, kind = bytearray(packet), where[0] in ("0.0.0.0", *sys.argv[3:]), "other"
        known = key(packet, out) if packet[0] >> 4 == 4 else None
        if known and out and packet[12:16] != public:
            inside[known] = bytes(packet[12:16])
            change(packet, 12, public)
            kind = "out"
        elif known in inside and not out:
            change(packet, 16, inside[known])
            kind = "in"
        counts[kind] += 1
        divert.sendto(packet, where)
    print(*(f"{k} {n}" for k, n in counts.items()))


if __name__ == "__main__":
    main()
