#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A link without link headers: tunpair.py NETNS1 DEVICE1 NETNS2 DEVICE2 READY-FILE

It makes a tun device in each of two network namespaces (names of ip netns) and carries each packet
from one to the other. When it is killed, both devices disappear.
"""

import ctypes
import fcntl
import os
import select
import struct
import sys

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 1, 0x1000


def tun_in(netns, device):
    with open(f"/run/netns/{netns}", "rb") as ns:
        if ctypes.CDLL(None, use_errno=True).setns(ns.fileno(), CLONE_NEWNET):
            sys.exit(f"tunpair.py: {netns}: {os.strerror(ctypes.get_errno())}")
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN | IFF_NO_PI))
    return fd


def main():
    one, two = tun_in(sys.argv[1], sys.argv[2]), tun_in(sys.argv[3], sys.argv[4])
    with open(sys.argv[5], "w", encoding="ascii") as ready:
        ready.write("ready\n")
    while True:
        for fd in select.select([one, two], [], [])[0]:
            try:
                packet = os.read(fd, 65536)
                os.write(two if fd == one else one, packet)
            except OSError:  # the device is down
                pass


main()
