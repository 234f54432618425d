#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes the packets that a host receives into a file, a line for each: saw.py NAME FILE [TAP]

It looks at UDP, echoes and redirects of all interfaces, or at those that a macvtap device hands to
its guest. A line has the host's NAME, interface, link addresses, IP addresses, TTL, TOS, "don't
fragment", and ports and data, or the kind of ICMP. It prints "ready" when it looks.
"""

import ipaddress
import os
import socket
import struct
import sys

ETHER = 1
SO_RCVBUFFORCE = 33
SOL_PACKET, PACKET_AUXDATA = 263, 8
TAGGED = 0x10  # TP_STATUS_VLAN_VALID: the VLAN's interface has it, too
UDP, ICMP, ICMP6 = 17, 1, 58
CARRIERS = {4789, 5555}  # VXLAN and WireGuard, which have packets of their own, too
KINDS = {(ICMP, 8): "echo", (ICMP, 0): "reply", (ICMP, 5): "redirect",
         (ICMP6, 128): "echo", (ICMP6, 129): "reply", (ICMP6, 137): "redirect"}


def transport(protocol, data):
    """None: this packet does not count."""
    if protocol == UDP:
        source, destination, length = struct.unpack_from("!HHH", data)
        if CARRIERS & {source, destination}:
            return None
        # longer data has times and other changing numbers in it
        text = data[8:length].decode("ascii", "replace") if length <= 32 else ""
        return f"{source}>{destination} {length} {text}"
    kind = KINDS.get((protocol, data[0])) if protocol in (ICMP, ICMP6) else None
    return kind and (kind if kind == "redirect" else f"{kind} {struct.unpack_from('!H', data, 6)[0]}")


def line(name, link, packet):
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= 28:
        addresses, ttl, tos, fragment = packet[12:20], packet[8], packet[1], packet[6] >> 6 & 1
        rest = transport(packet[9], packet[(packet[0] & 15) * 4 :])
    elif version == 6 and len(packet) >= 48:
        tos = (packet[0] & 15) << 4 | packet[1] >> 4
        addresses, ttl, fragment = packet[8:40], packet[7], 0
        rest = transport(packet[6], packet[40:])
    else:
        return None
    half = len(addresses) // 2
    source, destination = (ipaddress.ip_address(a) for a in (addresses[:half], addresses[half:]))
    macs = f"{link[6:12].hex(':')}>{link[:6].hex(':')}" if link else "-"
    return rest and f"{name} {macs} {source}>{destination} {ttl} {tos} {fragment} {rest}"


def frames(tap):
    """(interface, frame, length of its link header) of each frame."""
    if tap:
        fd = os.open(tap, os.O_RDWR)
        print("ready", flush=True)
        while True:
            yield "tap", os.read(fd, 65536)[10:], 14  # a virtio_net_hdr is before it
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    # Room for a burst, however busy we are.
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
    print("ready", flush=True)
    while True:
        frame, [(_, _, auxiliary)], _, (interface, _, kind, hardware, _) = sock.recvmsg(65536, 256)
        tagged = struct.unpack_from("=I", auxiliary)[0] & TAGGED
        if kind != socket.PACKET_OUTGOING and interface != "lo" and not tagged:
            yield interface, frame, 14 if hardware == ETHER else 0


name, path, *tap = sys.argv[1:]
with open(path, "a", encoding="ascii", errors="replace", buffering=1) as out:
    for interface, frame, head in frames(tap[0] if tap else None):
        said = line(f"{name} {interface}", frame[:head], frame[head:])
        if said:
            print(said, file=out)
