#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Multicast DNS between two hosts of a link, with 224.0.0.251 and ff02::fb, port 5353.

mdns.py answer 4|6 INTERFACE NAME ADDRESS READY-FILE    answers questions for NAME.local until killed
mdns.py ask 4|6 INTERFACE NAME          asks up to ten times; prints the address, or "no answer"
"""

import ipaddress
import socket
import struct
import sys
import time

GROUP = {4: "224.0.0.251", 6: "ff02::fb"}
PORT = 5353


def join(version, interface):
    index = socket.if_nametoindex(interface)
    if version == 4:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        request = struct.pack("=4s4si", socket.inet_aton(GROUP[4]), bytes(4), index)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        s.bind((GROUP[4], PORT))
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, request)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
    else:
        s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        group = socket.inet_pton(socket.AF_INET6, GROUP[6])
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        s.bind((GROUP[6], PORT, 0, index))
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, struct.pack("=16si", group, index))
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    return s


def to_group(version, interface):
    if version == 4:
        return GROUP[4], PORT
    return GROUP[6], PORT, 0, socket.if_nametoindex(interface)


def name_of(text):
    return b"".join(bytes((len(w),)) + w.encode() for w in (text, "local")) + b"\0"


def question(name):
    return struct.pack("!6H", 0, 0, 1, 0, 0, 0) + name_of(name) + struct.pack("!HH", 255, 1)


def answer(name, address):
    kind = 1 if address.version == 4 else 28
    head = struct.pack("!6H", 0, 0x8400, 0, 1, 0, 0) + name_of(name)
    return head + struct.pack("!HHIH", kind, 0x8001, 120, len(address.packed)) + address.packed


def main():
    command, version, interface, name = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
    s = join(version, interface)
    if command == "answer":
        address = ipaddress.ip_address(sys.argv[5])
        with open(sys.argv[6], "w", encoding="ascii") as ready:
            ready.write("ready\n")
        while True:
            if s.recv(9000) == question(name):
                s.sendto(answer(name, address), to_group(version, interface))
    head = answer(name, ipaddress.ip_address(0))[: 12 + len(name_of(name))]
    for _ in range(10):
        s.sendto(question(name), to_group(version, interface))
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            s.settimeout(max(0.001, end - time.monotonic()))
            try:
                got = s.recv(9000)
            except TimeoutError:
                break
            if got.startswith(head):
                print(ipaddress.ip_address(got[len(head) + 10 :]))
                return
    print("no answer")


main()
