# SPDX-License-Identifier: BSD-2-Clause
"""Prints the error that a sender gets.

connect ADDR PORT          prints the errno, and whether it came at once; ETIMEDOUT after 2.5 s
serve ADDR PORT            accepts one connection, reads it to its end
midst ADDR PORT COMMAND... connects, runs COMMAND, sends; prints the errno
udp ADDR PORT              sends a datagram; prints the errno that follows within 1 s, or nothing
raw ADDR WHAT              sends an IP packet: icmp-error, icmp6-error, fragment, rst, or options
                           (a TCP SYN, 5 bytes)
"""
import errno
import socket
import struct
import subprocess
import sys
import time


def family(addr):
    return socket.AF_INET6 if ":" in addr else socket.AF_INET


def connect(addr, port):
    with socket.socket(family(addr), socket.SOCK_STREAM) as s:
        s.settimeout(2.5)
        begin = time.monotonic()
        try:
            s.connect((addr, int(port)))
        except TimeoutError:
            return "ETIMEDOUT"
        except OSError as e:
            # a lost first packet is sent again after a second
            soon = " at once" if time.monotonic() - begin < 0.9 else ""
            return errno.errorcode[e.errno] + soon
    return "connected"


def serve(addr, port):
    with socket.create_server((addr, int(port))) as s:
        print("listens", flush=True)
        c, _ = s.accept()
        try:
            while c.recv(100):
                pass
        except OSError:
            pass
    return ""


def midst(addr, port, *command):
    with socket.create_connection((addr, int(port))) as s:
        s.settimeout(2)
        subprocess.run(command, check=True)
        try:
            # Large packets, from which the answer is made.
            s.sendall(bytes(60000))
            s.recv(1)
        except OSError as e:
            return errno.errorcode[e.errno] if e.errno else "ETIMEDOUT"
    return "nothing"


def udp(addr, port):
    with socket.socket(family(addr), socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        s.settimeout(1)
        if family(addr) == socket.AF_INET6:
            s.setsockopt(socket.IPPROTO_IPV6, 25, 1)  # IPV6_RECVERR: all of them
        else:
            s.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR
        try:
            if addr.startswith("224.") or addr.endswith(".255"):
                s.sendto(bytes(1000), (addr, int(port)))
                return "sent"
            s.connect((addr, int(port)))
            s.send(bytes(1000))
            s.recv(1)
        except TimeoutError:
            return "nothing"
        except OSError as e:
            return errno.errorcode[e.errno]
    return "an answer"


def raw(addr, what):
    v6 = what == "icmp6-error"
    proto, frag, options = 1, 0, b""
    if v6:
        # the kernel fills the checksum in
        with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as s:
            s.sendto(struct.pack("!BBHI", 1, 4, 0, 0) + bytes(48), (addr, 0))
        return "sent"
    if what == "icmp-error":
        data = struct.pack("!BBHI", 3, 3, 0, 0) + bytes(28)
    elif what == "fragment":
        proto, frag, data = 17, 8, bytes(40)
    elif what == "options":
        options = bytes(40)
        data = struct.pack("!HHIIBBHHH", 5000, 83, 7000, 0, 0x50, 2, 100, 0, 0) + bytes(5)
        proto = 6
    else:
        proto, data = 6, struct.pack("!HHIIBBHHH", 5000, 80, 1, 0, 0x50, 4, 0, 0, 0)
    head = struct.pack("!BBHHHBBHII", 0x45 + len(options) // 4, 0, 0, 1, frag, 64, proto, 0, 0,
                       struct.unpack("!I", socket.inet_aton(addr))[0])
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
        s.sendto(head + options + data, (addr, 0))
    return "sent"


print(globals()[sys.argv[1]](*sys.argv[2:]))
