#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Prints the fwmark of each ICMP packet that leaves an interface, behind its queue: marks.py NAME

It prints "ready" when it looks.
"""

import socket
import struct
import sys

IP, ICMP, OUTGOING = 0x0800, 1, 4
SO_MARK, SO_RCVMARK = 36, 75
ETH_P_ALL = 3  # only such a socket is shown what leaves

s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
s.setsockopt(socket.SOL_SOCKET, SO_RCVMARK, 1)
s.bind((sys.argv[1], ETH_P_ALL))
print("ready", flush=True)
while True:
    packet, extra, _, where = s.recvmsg(64, 256)
    if where[2] == OUTGOING and where[1] == IP and packet[9] == ICMP:
        marks = [struct.unpack("=I", value)[0] for level, kind, value in extra if kind == SO_MARK]
        print(*marks, flush=True)
