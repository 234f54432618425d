#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Holds a TCP connection open: connect.py ADDRESS PORT [SOURCE]. It prints "connected", or why it
is not after a second, and ends when the other side closes, or at a signal."""

import socket
import sys

address, port, *source = sys.argv[1:]
try:
    sock = socket.create_connection(
        (address, int(port)), 1, (source[0], 0) if source else None
    )
except OSError as e:
    sys.exit(f"{address} port {port}: {e}")
print("connected", flush=True)
sock.settimeout(None)
sock.recv(1)
