#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes diverted packets back with Python's own socket module: py_reflect.py PORT COUNT.

It prints one line for each packet: its length, the rule, the direction, the IP version, protocol,
source and destination. Python keeps only the port and the IP address of the address, not the
interface's name. It swaps the port's bytes: the rule's number, which is in host order, comes as if
it were in network order.
"""

import ipaddress
import select
import socket
import sys

IPPROTO_DIVERT = 258


def describe(packet):
    if packet[0] >> 4 == 4:
        protocol, source, dest = packet[9], packet[12:16], packet[16:20]
    else:
        protocol, source, dest = packet[6], packet[8:24], packet[24:40]
    addresses = f"{ipaddress.ip_address(source)} > {ipaddress.ip_address(dest)}"
    return f"IPv{packet[0] >> 4} protocol {protocol} {addresses}"


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: py_reflect.py PORT COUNT")
    port, left = int(sys.argv[1]), int(sys.argv[2])

    with socket.socket(socket.AF_INET, socket.SOCK_RAW, IPPROTO_DIVERT) as divert:
        divert.bind(("0.0.0.0", port))
        print(f"bound port {divert.getsockname()[1]}", flush=True)
        while left > 0:
            select.select([divert], [], [])
            packet, address = divert.recvfrom(65535)
            host, swapped = address
            where = "out" if host == "0.0.0.0" else f"in {host}"
            rule = socket.htons(swapped)
            print(f"{len(packet)} bytes rule {rule} {where} {describe(packet)}", flush=True)
            sent = divert.sendto(packet, address)
            if sent != len(packet):
                sys.exit(f"sendto: {sent} of {len(packet)} bytes")
            left -= 1


main()
