#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A divert program that chooses where its packets leave: by.py PORT N READY by=IF | to=ADDRESS. It
reads IPv4 and UDP."""

import socket
import struct
import sys

SOL_DIVERT, DIVERT_INFO = 258, 4
INFO = struct.Struct("=8IQ")


def elsewhere(packet, address):
    packet = bytearray(packet)
    packet[16:20] = socket.inet_aton(address)
    packet[26:28] = b"\0\0"  # no UDP checksum; the IP checksum is corrected
    return bytes(packet)


port, count, ready, what = sys.argv[1:]
word, value = what.split("=")
sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, 258)
sock.setsockopt(SOL_DIVERT, DIVERT_INFO, 1)
sock.bind(("0.0.0.0", int(port)))
open(ready, "w").write("ready")
packets = [sock.recvmsg(65535, 1000) for _ in range(int(count))]  # reads all of them first
for data, control, _, _ in packets:
    info = list(INFO.unpack(next(c[2] for c in control if c[:2] == (SOL_DIVERT, DIVERT_INFO))))
    if word == "by":
        info[1] = socket.if_nametoindex(value)
    else:
        data = elsewhere(data, value)
    sock.sendmsg([data], [(SOL_DIVERT, DIVERT_INFO, INFO.pack(*info))])
