#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""progs/waits.c in Python: py_waits.py HOW PORT PORT6. HOW: asyncio, or a class of selectors."""

import asyncio
import os
import selectors
import signal
import socket
import sys

how, ports = sys.argv[1], [int(port) for port in sys.argv[2:]]
signal.signal(signal.SIGINT, signal.SIG_DFL)
sockets = []
for family, port in zip((socket.AF_INET, socket.AF_INET6), ports):
    s = socket.socket(family, socket.SOCK_RAW, 258)
    s.bind(("", port))
    sockets.append((s, 6 if family == socket.AF_INET6 else 4))


def serve(s, number):
    packet, address = s.recvfrom(65535)
    s.sendto(packet, address)
    print(number, flush=True)


async def by_asyncio():
    for s, number in sockets:
        asyncio.get_running_loop().add_reader(s, serve, s, number)
    print("ready", os.getpid(), flush=True)
    await asyncio.Event().wait()


if how == "asyncio":
    asyncio.run(by_asyncio())
selector = getattr(selectors, how)()
for s, number in sockets:
    selector.register(s, selectors.EVENT_READ, number)
print("ready", os.getpid(), flush=True)
while True:
    for key, _ in selector.select():
        serve(key.fileobj, key.data)
