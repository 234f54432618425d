#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Sockets that are bound to devices, one to each, all with the same address and port.

bound.py send COUNT SOURCE DESTINATION PORT DEVICE...: sends datagrams that name their device, in
    turn
bound.py receive COUNT ADDRESS PORT READY DEVICE...: prints "N of N DEVICE" for each device: how
    many of all datagrams that its socket got named it
"""

import select
import socket
import sys
import time

SO_RCVBUFFORCE = 33


def bound(device, address, port):
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    sock.bind((address, int(port)))
    return sock


def send(count, source, destination, port, *devices):
    socks = [bound(device, source, port) for device in devices]
    for _ in range(int(count)):
        for device, sock in zip(devices, socks):
            sock.sendto(device.encode(), (destination, int(port)))


def receive(count, address, port, ready, *devices):
    socks = [bound(device, address, port) for device in devices]
    # The kernel may charge each packet with the whole frame that it was written in.
    for sock in socks:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
    with open(ready, "w", encoding="ascii") as f:
        f.write("ready\n")
    got = {sock: [] for sock in socks}
    end = time.monotonic() + 20
    while sum(map(len, got.values())) < int(count) * len(devices) and time.monotonic() < end:
        for sock in select.select(socks, [], [], 0.1)[0]:
            got[sock].append(sock.recv(64).decode())
    for device, sock in zip(devices, socks):
        print(got[sock].count(device), "of", len(got[sock]), device)


{"send": send, "receive": receive}[sys.argv[1]](*sys.argv[2:])
