#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""natd's redirect_address with both ends inside: redirect.py PORT PUBLIC SERVER ROUTER, under
divert-run.

IPv4 packets that come in for PUBLIC go to SERVER, with ROUTER as their source, so that answers come
back here. Answers go to the client, from PUBLIC. Other packets are written back unchanged.
"""

import socket
import sys

from natd import IPPROTO_DIVERT, change, key


def main():
    public, server, router = map(socket.inet_aton, sys.argv[2:])
    asked = {}
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, IPPROTO_DIVERT) as divert:
        divert.bind(("0.0.0.0", int(sys.argv[1])))
        print("bound", flush=True)
        while True:
            packet, where = divert.recvfrom(65535)
            packet = bytearray(packet)
            source, destination = bytes(packet[12:16]), bytes(packet[16:20])
            incoming = where[0] != "0.0.0.0"
            if incoming and destination == public:
                change(packet, 16, server)
            elif not incoming and destination == server:
                asked[key(packet, True)] = source
                change(packet, 12, router)
            elif incoming and source == server and destination == router:
                # Packets of a connection from before this program started belong to the router.
                change(packet, 16, asked.get(key(packet, False), router))
            elif not incoming and source == server:
                change(packet, 12, public)
            divert.sendto(packet, where)


main()
