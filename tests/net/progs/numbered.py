#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Numbered UDP datagrams: sends them, or tells which came.

numbered.py send ADDRESS PORT COUNT     prints "sent N errors N", and the first error's name
numbered.py recv PORT READY-FILE        at SIGTERM prints "received N distinct N first N last N"
"""

import argparse
import errno
import signal
import socket
import struct
import sys
import time

SO_RCVBUFFORCE = 33


def send(args):
    family = socket.AF_INET6 if ":" in args.address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    if args.mark:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, args.mark)
    if args.source:
        sock.bind(("", args.source))
    if args.connect:
        sock.connect((args.address, args.port))
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    sent, errors, first = 0, 0, ""
    due = time.monotonic()
    for n in range(args.count):
        if stop:
            break
        size = args.other if args.every and n % args.every == args.every - 1 else args.size
        data = struct.pack("!I", n).ljust(size, b"n")
        if args.vary:
            data += bytes((n * 31 + i * i) & 255 for i in range(n % args.vary))
        try:
            if args.connect:
                sock.send(data)
            else:
                sock.sendto(data, (args.address, args.port))
            sent += 1
        except OSError as e:
            errors += 1
            first = first or " " + errno.errorcode[e.errno]
        if args.pps:
            due += 1 / args.pps
            time.sleep(max(0, due - time.monotonic()))
    print(f"sent {sent} errors {errors}{first}")


def receive(args):
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 128 << 20)
    sock.bind(("::", args.port))
    seen, received = set(), 0
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    with open(args.ready, "w", encoding="ascii") as f:
        f.write("ready\n")
    sock.settimeout(0.1)
    while True:
        try:
            data = sock.recv(65536)
        except TimeoutError:
            if stop:
                break
            continue
        received += 1
        seen.add(struct.unpack_from("!I", data)[0])
    print(
        f"received {received} distinct {len(seen)}"
        f" first {min(seen, default=-1)} last {max(seen, default=-1)}"
    )


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = p.add_subparsers(dest="command", required=True)
    s = commands.add_parser("send")
    s.add_argument("address")
    s.add_argument("port", type=int)
    s.add_argument("count", type=int)
    s.add_argument("--size", type=int, default=64, help="bytes of payload (%(default)s)")
    s.add_argument("--every", type=int, default=0, help="each so many is of another size:")
    s.add_argument("--other", type=int, default=64, help="(%(default)s)")
    s.add_argument("--vary", type=int, default=0, help="so many sizes in turn, from --size on")
    s.add_argument("--pps", type=float, default=0, help="(as fast as it goes)")
    s.add_argument("--mark", type=int, default=0, help="SO_MARK")
    s.add_argument("--connect", action="store_true", help="connected socket")
    s.add_argument("--source", type=int, default=0, help="port")
    r = commands.add_parser("recv")
    r.add_argument("port", type=int)
    r.add_argument("ready")
    args = p.parse_args()
    if args.command == "send":
        send(args)
    else:
        receive(args)


if __name__ == "__main__":
    sys.exit(main())
