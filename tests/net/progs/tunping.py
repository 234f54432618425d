#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Pings from behind a tun device: tunping.py DEVICE SOURCE DESTINATION COUNT

It writes each echo request to the device, as a VPN program does, so that it arrives there. It waits
up to a second until the reply is sent there. It prints "sent N answered N".
"""

import fcntl
import ipaddress
import os
import select
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 1, 0x1000


def fold(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def echo(src, dst, kind, number):
    data = struct.pack("!BBHHH", kind, 0, 0, 0x7475, number) + bytes(range(56))
    if src.version == 6:
        pseudo = src.packed + dst.packed + struct.pack("!II", len(data), 58)
        data = data[:2] + struct.pack("!H", fold(pseudo + data)) + data[4:]
        return struct.pack("!IHBB", 6 << 28, len(data), 58, 64) + src.packed + dst.packed + data
    data = data[:2] + struct.pack("!H", fold(data)) + data[4:]
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), number, 0, 64, 1, 0)
    head += src.packed + dst.packed
    return head[:10] + struct.pack("!H", fold(head)) + head[12:] + data


def main():
    device, count = sys.argv[1], int(sys.argv[4])
    src, dst = ipaddress.ip_address(sys.argv[2]), ipaddress.ip_address(sys.argv[3])
    request, reply, at = (128, 129, 40) if src.version == 6 else (8, 0, 20)
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN | IFF_NO_PI))
    time.sleep(0.05)  # now the device has a carrier
    answered = 0
    for number in range(count):
        os.write(tun, echo(src, dst, request, number))
        end = time.monotonic() + 1
        while select.select([tun], [], [], max(0, end - time.monotonic()))[0]:
            got = os.read(tun, 65536)
            if len(got) > at + 8 and got[0] >> 4 == src.version and got[at] == reply:
                answered += 1
                break
    print(f"sent {count} answered {answered}")


main()
