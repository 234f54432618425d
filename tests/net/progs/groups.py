#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Sends and logs packets of all kinds that are not just unicast UDP, always the same ones.

groups.py frames IF MAC         sends them as frames: from 10.1.0.1 and fd01::1 to the host with MAC
groups.py raw IF                sends them by raw sockets, from 10.1.0.2 and fd01::2
groups.py log IF READY-FILE     at SIGTERM prints those that arrived, as the stack gets them (behind
                                the ingress hook): how they were addressed, a name, and a hash of
                                all bytes
groups.py strange IF N          sends N packets from 192.0.2.1, which nobody has, to 255.255.255.255
groups.py refused 4|6 ADDRESS   sends to a UDP port that is closed; prints the error that comes back
groups.py member IF READY-FILE  joins 239.1.2.3 and ff05::1:3 and binds port 7000; at SIGTERM prints
                                how many datagrams came by each, by broadcast, and to own addresses
"""

import errno
import hashlib
import ipaddress
import select
import signal
import socket
import struct
import sys

ETH_P_IP, ETH_P_IPV6 = 0x0800, 0x86DD
GROUP4, GROUP6 = "239.1.2.3", "ff05::1:3"
IP_HDRINCL, IPV6_HDRINCL, IP_MULTICAST_ALL = 3, 36, 49
KINDS = {0: "host", 1: "broadcast", 2: "multicast", 3: "other", 4: "outgoing"}
MARK = b"ipdivert"


def fold(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp(pseudo, number, size=32):
    data = (MARK + struct.pack("!I", number)).ljust(size, b"g")
    head = struct.pack("!HHHH", 4000, 7000, 8 + len(data), 0)
    check = fold(pseudo + struct.pack("!HH", 17, 8 + len(data)) + head + data) or 0xFFFF
    return head[:6] + struct.pack("!H", check) + data


def ip4(src, dst, proto, data, number, options=b"", ttl=7, flags=0):
    head = struct.pack("!BBHHHBBH", 0x45 + len(options) // 4, 0x20, 20 + len(options) + len(data),
                       1000 + number, flags, ttl, proto, 0)  # fmt: skip
    head += src + dst + options
    return head[:10] + struct.pack("!H", fold(head)) + head[12:] + data


def ip6(src, dst, proto, data, number, hops=7):
    return struct.pack("!IHBB", 6 << 28 | 0x20 << 20 | number, len(data), proto, hops) + src + dst + data


def packets(own4, own6, to4, to6):
    """(name, packet) of each. Each has a number of its own in the IPv4 id or the IPv6 flow
    label."""
    src4, src6 = ipaddress.ip_address(own4).packed, ipaddress.ip_address(own6).packed
    result = []

    def four(name, dst, proto=17, data=None, **more):
        dst = ipaddress.ip_address(dst).packed
        n = len(result) + 1
        data = udp(src4 + dst, n) if data is None else data
        result.append((name, ip4(src4, dst, proto, data, n, **more)))

    def six(name, dst, proto=17, data=None, before=None):
        dst = ipaddress.ip_address(dst).packed
        n = len(result) + 1
        data = udp(src6 + dst, n) if data is None else data
        if before:
            proto, data = before[0], bytes((proto,)) + before[1] + data
        result.append((name, ip6(src6, dst, proto, data, n)))

    for name, dst in (("group", GROUP4), ("all hosts", "224.0.0.1"), ("subnet broadcast", "10.1.0.255"),
                      ("broadcast", "255.255.255.255"), ("unicast", to4)):  # fmt: skip
        four(name, dst)
    four("group, router alert", GROUP4, options=b"\x94\x04\x00\x00")
    four("unicast, options", to4, options=b"\x01\x01\x82\x0b" + bytes(9) + b"\x88\x04\x12\x34" + b"\0" * 3)
    four("unicast, DF", to4, flags=0x4000)
    for proto in (2, 47, 50, 89, 132, 253, 254, 255):
        data = MARK + bytes((proto,)) * 50
        if proto == 2:  # IGMPv2 report, which has a checksum
            data = b"\x16\0\0\0" + ipaddress.ip_address(GROUP4).packed
            data = data[:2] + struct.pack("!H", fold(data)) + data[4:]
        four(f"protocol {proto}", GROUP4 if proto in (2, 89) else to4, proto, data)
    six("group, IPv6", GROUP6)
    six("all nodes, IPv6", "ff02::1")
    six("unicast, IPv6", to6)
    six("group, hop-by-hop router alert", GROUP6, before=(0, b"\0\x05\x02\0\0\x01\0"))
    six("unicast, destination options", to6, before=(60, b"\x01\x1e\x0c" + bytes(12)))
    six("unicast, routing header", to6, before=(43, b"\0\xfd\0" + bytes(4)))
    for proto in (47, 132, 253, 254):
        six(f"IPv6 protocol {proto}", to6, proto, MARK + bytes((proto,)) * 50)
    return result


def mac_of(dst, unicast):
    if dst.version == 6 and dst.is_multicast:
        return b"\x33\x33" + dst.packed[-4:]
    if dst.version == 4 and dst.is_multicast:
        low = dst.packed[1:]
        return b"\x01\x00\x5e" + bytes((low[0] & 0x7F,)) + low[1:]
    if str(dst) in ("255.255.255.255", "10.1.0.255"):
        return b"\xff" * 6
    return unicast


def destination(p):
    return ipaddress.ip_address(p[16:20] if p[0] >> 4 == 4 else p[24:40])


def frames(interface, mac):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    s.bind((interface, 0))
    own, mac = s.getsockname()[4], bytes.fromhex(mac.replace(":", ""))
    for _, p in packets("10.1.0.1", "fd01::1", "10.1.0.2", "fd01::2"):
        kind = ETH_P_IP if p[0] >> 4 == 4 else ETH_P_IPV6
        s.send(mac_of(destination(p), mac) + own + struct.pack("!H", kind) + p)


def raw(interface):
    index = socket.if_nametoindex(interface)
    four = socket.socket(socket.AF_INET, socket.SOCK_RAW, 255)
    four.setsockopt(socket.IPPROTO_IP, IP_HDRINCL, 1)
    four.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    four.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
    six = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 255)
    six.setsockopt(socket.IPPROTO_IPV6, IPV6_HDRINCL, 1)
    six.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
    for _, p in packets("10.1.0.2", "fd01::2", "10.1.0.1", "fd01::1"):
        dst = destination(p)
        if dst.version == 4:
            four.sendto(p, (str(dst), 0))
        else:
            six.sendto(p, (str(dst), 0, 0, index))


def stopper():
    """Readable after SIGTERM came."""
    r, w = socket.socketpair()
    signal.signal(signal.SIGTERM, lambda *_: w.send(b"x"))
    return r


def ready(path):
    with open(path, "w", encoding="ascii") as f:
        f.write("ready\n")


def log(interface, path):
    socks = []
    for proto in (ETH_P_IP, ETH_P_IPV6):
        s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(proto))
        s.bind((interface, proto))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        socks.append(s)
    own = packets("10.1.0.1", "fd01::1", "10.1.0.2", "fd01::2")
    own += packets("10.1.0.2", "fd01::2", "10.1.0.1", "fd01::1")
    # Without the fields that a router would change; here none changes them.
    names = {p: name for name, p in own}
    stop, seen = stopper(), []
    ready(path)
    while True:
        readable = select.select([stop, *socks], [], [])[0]
        for s in socks:
            if s in readable:
                p, address = s.recvfrom(65536)
                if address[2] == 4:
                    continue
                said = struct.unpack_from("!H", p, 2)[0] if p[0] >> 4 == 4 else 40 + struct.unpack_from("!H", p, 4)[0]
                p = p[:said]
                known = p[20:28] == MARK or MARK in p[:120] or p in names
                if known:
                    digest = hashlib.sha256(p).hexdigest()[:12]
                    seen.append(f"{KINDS[address[2]]}: {names.get(p, 'changed')} {digest}")
        if readable == [stop]:
            break
    print("\n".join(sorted(seen)))


def strange(interface, count):
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 255)
    s.setsockopt(socket.IPPROTO_IP, IP_HDRINCL, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
    src, dst = bytes((192, 0, 2, 1)), b"\xff" * 4
    for n in range(count):
        data = udp(src + dst, int.from_bytes(hashlib.sha256(f"{interface}{n}".encode()).digest()[:4], "big"))
        s.sendto(ip4(src, dst, 17, data, n), ("255.255.255.255", 0))


def refused(version, address):
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.connect((address, 9))
    s.send(b"x")
    s.settimeout(2)
    try:
        s.recv(100)
        print("an answer")
    except TimeoutError:
        print("nothing")
    except OSError as e:
        print(errno.errorcode[e.errno])


def member(interface, path):
    index = socket.if_nametoindex(interface)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                 struct.pack("=4s4si", socket.inet_aton(GROUP4), bytes(4), index))  # fmt: skip
    s.bind(("0.0.0.0", 7000))
    t = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    t.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    t.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    t.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                 struct.pack("=16si", socket.inet_pton(socket.AF_INET6, GROUP6), index))  # fmt: skip
    t.bind(("::", 7000))
    stop, seen = stopper(), {}
    ready(path)
    while True:
        readable = select.select([stop, s, t], [], [])[0]
        for sock in (s, t):
            if sock in readable:
                control = sock.recvmsg(2000, 100)[1][0][2]
                dst = ipaddress.ip_address(control[8:12] if sock is s else control[:16])
                seen[dst] = seen.get(dst, 0) + 1
        if readable == [stop]:
            break
    print(*(f"{dst}={n}" for dst, n in sorted(seen.items(), key=lambda i: (i[0].version, i[0]))))


def main():
    command, args = sys.argv[1], sys.argv[2:]
    if command == "frames":
        frames(*args)
    elif command == "raw":
        raw(*args)
    elif command == "log":
        log(*args)
    elif command == "strange":
        strange(args[0], int(args[1]))
    elif command == "refused":
        refused(int(args[0]), args[1])
    else:
        member(*args)


main()
