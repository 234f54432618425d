#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Answers datagrams with their sender's address: who.py PORT..., or asks for it:
who.py -a ADDRESS PORT SECONDS."""

import select
import socket
import sys


def ask(address, port, seconds):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(seconds)
        sock.connect((address, port))
        sock.send(b"who?")
        try:
            print(sock.recv(100).decode())
        except OSError:
            sys.exit(1)


def answer(ports):
    socks = []
    for port in ports:
        sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("::", port))
        socks.append(sock)
    while True:
        for sock in select.select(socks, [], [])[0]:
            _, sender = sock.recvfrom(100)
            sock.sendto(sender[0].removeprefix("::ffff:").encode(), sender)


if sys.argv[1] == "-a":
    ask(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
else:
    answer([int(port) for port in sys.argv[1:]])
