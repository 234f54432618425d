#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes diverted packets back with libdivert: ctypes_reflect.py LIBRARY PORT COUNT.

Two threads load the library at run time, one after the other. The second one diverts."""

import ctypes
import struct
import sys
import threading


def divert(library, port, left):
    lib = ctypes.CDLL(library, use_errno=True)
    lib.divert_recvfrom.restype = lib.divert_sendto.restype = ctypes.c_ssize_t
    lib.divert_sendto.argtypes = [
        ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_uint]
    fd = lib.divert_socket(2, 0)
    address = struct.pack("=H", 2) + struct.pack("!H", port) + bytes(12)
    if fd < 0 or lib.divert_bind(fd, address, 16):
        sys.exit(f"errno {ctypes.get_errno()}")
    print(f"bound port {port}", flush=True)
    packet = ctypes.create_string_buffer(65535)
    where = ctypes.create_string_buffer(16)
    while left > 0:
        length = ctypes.c_uint(16)
        n = lib.divert_recvfrom(fd, packet, 65535, 0, where, ctypes.byref(length))
        rule, host, name = struct.unpack("=2xH4s8s", where.raw)
        print(f"{n} bytes rule {rule} {'.'.join(map(str, host))} {name.rstrip(bytes(1)).decode()}")
        if lib.divert_sendto(fd, packet, n, 0, where, length) != n:
            sys.exit(f"divert_sendto: errno {ctypes.get_errno()}")
        left -= 1
    lib.divert_close(fd)


def main():
    if len(sys.argv) != 4:
        sys.exit("usage: ctypes_reflect.py LIBRARY PORT COUNT")
    loader = threading.Thread(target=ctypes.CDLL, args=(sys.argv[1],))
    loader.start()
    loader.join()
    reader = threading.Thread(target=divert, args=(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
    reader.start()
    reader.join()


main()
