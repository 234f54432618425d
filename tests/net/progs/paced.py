#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""UDP to and from many addresses, paced: paced.py RATE EVERY READY-FILE SOURCE-DESTINATION...

Each source ("any": any) sends RATE datagrams a second to port 9 of each destination. They have 100
to 1,300 bytes; one in EVERY has 3,000 and goes in fragments. The program takes the datagrams that
come to port 9 here, and drops them. It runs until SIGTERM.
"""

import signal
import socket
import sys
import time


def sink(family):
    sock = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind(("", 9))
    return sock  # nobody reads them, so they are dropped


def flow(source, destination):
    family = socket.AF_INET6 if ":" in destination else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    if source != "any":
        sock.bind((source, 0))
    sock.connect((destination, 9))
    return sock


def main():
    rate, every = int(sys.argv[1]), int(sys.argv[2])
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    sinks = [sink(socket.AF_INET), sink(socket.AF_INET6)]
    flows = [flow(*pair.split("-")) for pair in sys.argv[4:]]
    with open(sys.argv[3], "w", encoding="ascii") as ready:
        ready.write("ready\n")
    data = bytes(i & 255 for i in range(3000))
    number, due = 0, time.monotonic()
    while not stop:
        # If the program was held up, it does not catch up.
        due = max(due + 1 / rate, time.monotonic())
        time.sleep(max(0, due - time.monotonic()))
        number += 1
        size = 3000 if number % every == 0 else 100 + number * 37 % 1200
        for sock in flows:
            try:
                sock.send(data[:size])
            except OSError:  # refused, or no route at the moment
                pass
    for sock in sinks:
        sock.close()


if __name__ == "__main__":
    main()
