# SPDX-License-Identifier: BSD-2-Clause
"""The subjects: the ways in which the router can be set up.

To add one, add it to SUBJECTS, and to the suites in suites.py that should measure it.
"""

import functools
import os
import tempfile

from network import PROGRAMS, STAGE, Failed, Network

PORT = 2000
IPFW = STAGE / "sbin/ipfw"
DIVERTCTL = STAGE / "sbin/divertctl"
DIVERT_RUN = STAGE / "bin/divert-run"


class Subject:
    """Plain forwarding. The others derive from it."""

    def __init__(self, label):
        self.label = label

    def missing(self):
        """Why it cannot run here; None if it can."""
        return None

    def start(self, net, size):
        """Set it up in the router, for packets of this size. Returns the program that they go
        through, or None."""
        return None

    def stop(self, net):
        """Take it away again, if that itself should be tested. Everything goes with the network
        anyway."""


class Empty(Subject):
    """A program that does nothing, on every hook that the engine has: the cost of any program."""

    def start(self, net, size):
        for device in ("r0", "r1"):
            net.pass_all("r", device)


class Nfqueue(Subject):
    def __init__(self, label, program, *options):
        super().__init__(label)
        self.program, self.options = PROGRAMS / program, options

    def missing(self):
        if not os.access(self.program, os.X_OK):
            return f"{self.program.name} was not built (libnetfilter-queue-dev?)"
        return self.refused()

    @functools.cache
    def refused(self):
        """Why the kernel cannot queue packets, tried in a network made for it; None if it can."""
        try:
            with Network() as net:
                self.queue(net)
        except Failed as reason:
            return str(reason)
        return None

    def start(self, net, size):
        program = net.consumer(self.program, *self.options, 0)
        self.queue(net)
        return program

    def queue(self, net):
        """Add the rule with nft, or else with iptables: a kernel may have been built without nft's
        queue."""
        rules = "table ip bench { chain forward { type filter hook forward priority 0; queue num 0; }; }\n"
        tries = (
            (("nft", "-f", "-"), rules),
            (("iptables", "-A", "FORWARD", "-j", "NFQUEUE", "--queue-num", "0"), None),
            (("iptables-legacy", "-A", "FORWARD", "-j", "NFQUEUE", "--queue-num", "0"), None),
        )
        reasons = []
        for words, text in tries:
            try:
                net.call("r", *words, text=text)
                return
            except Failed as reason:
                reasons.append(str(reason).splitlines()[0])
        raise Failed(f"no queue rule could be made: {'; '.join(reasons)}")


class NfqueueFirst(Nfqueue):
    """The first six packets of each connection only."""

    def queue(self, net):
        net.call("r", "sysctl", "-qw", "net.netfilter.nf_conntrack_acct=1")
        first = ("-A", "FORWARD", "-m", "connbytes", "--connbytes", "0:6", "--connbytes-dir", "both",
                 "--connbytes-mode", "packets", "-j", "NFQUEUE", "--queue-num", "0")
        try:
            net.call("r", "iptables", *first)
        except Failed:
            net.call("r", "iptables-legacy", *first)


class Divert(Subject):
    """rules: lines for ipfw. program: in build/bench, with its options and the port, or None."""

    def __init__(self, label, rules, *program, run=True):
        super().__init__(label)
        self.rules, self.program, self.run = rules, program, run

    def missing(self):
        for path in (IPFW, DIVERTCTL, DIVERT_RUN):
            if not os.access(path, os.X_OK):
                return f"{path} is not there (make stage)"
        return None

    def start(self, net, size):
        if self.rules:
            with tempfile.NamedTemporaryFile("w", suffix=".rules") as file:
                file.write("\n".join(self.rules) + "\n")
                file.flush()
                net.call("r", IPFW, "-q", file.name)
        else:
            net.call("r", DIVERTCTL, "attach")
        if not self.program:
            return None
        name, *options = self.program
        if "-m" in options and "-b" not in options and size > 2048:
            options += ["-b", size + 100]
        words = [PROGRAMS / name, *options, PORT]
        return net.consumer(*([DIVERT_RUN] if self.run else []), *words)

    def stop(self, net):
        net.call("r", DIVERTCTL, "unload")


def divert(label, where, *program, **more):
    """where: "in", "out", or "" for both. With "" a forwarded packet is diverted twice."""
    return Divert(label, [f"add 100 divert {PORT} ip from any to any {where}"], *program, **more)


def no_match(count):
    """Rules that match no packet here."""
    return [
        f"add {100 + i * 10} divert {PORT} udp from 198.51.{i >> 8}.{i & 255} to any"
        if count > 1 else f"add 100 divert {PORT} tcp from 192.0.2.1 to any"
        for i in range(count)
    ]


TABLE = 100000


def table_rules():
    keys = [f"172.{16 + (i >> 16)}.{i >> 8 & 255}.{i & 255}" for i in range(TABLE)]
    lines = ["table far create type addr"]
    lines += ["table far add " + " ".join(f"{key} 1" for key in keys[i:i + 100]) for i in range(0, TABLE, 100)]
    return lines + [f"add 100 divert {PORT} ip from table(far) to any"]


RULES = (0, 1, 10, 100, 1000, 5000)

SUBJECTS = {
    "undiverted": Subject("undiverted, engine not loaded"),
    "empty": Empty("undiverted, a program that does nothing on the hooks"),
    "loaded": Divert("undiverted, one rule that does not match", no_match(1)),
    "nfqueue": Nfqueue("NFQUEUE, plain loop", "nfq_plain"),
    "nfqueue_best": Nfqueue("NFQUEUE at its best, payload replaced", "nfq_best", "-p"),
    "nfqueue_same": Nfqueue("NFQUEUE at its best, unchanged", "nfq_best"),
    "divert_in": divert("divert in, recvfrom/sendto", "in", "reflect"),
    "divert_out": divert("divert out, recvfrom/sendto", "out", "reflect"),
    "divert_both": divert("divert in and out, recvfrom/sendto", "", "reflect"),
    "select_in": divert("divert in, select before each", "in", "reflect", "-s"),
    "select_out": divert("divert out, select before each", "out", "reflect", "-s"),
    "many_in": divert("divert in, recvmmsg/sendmmsg", "in", "reflect", "-m"),
    "many_out": divert("divert out, recvmmsg/sendmmsg", "out", "reflect", "-m"),
    "many_both": divert("divert in and out, recvmmsg/sendmmsg", "", "reflect", "-m"),
    "borrow_in": divert("divert in, borrowed", "in", "borrow", run=False),
    "borrow_out": divert("divert out, borrowed", "out", "borrow", run=False),
    "first_in": divert("divert in, first 6, recvmmsg/sendmmsg", "in first 6", "reflect", "-m"),
    "release_in": divert("divert in, released after 6", "in", "borrow", "-r", 6, run=False),
    "release_gso": divert("divert in, DIVERT_GSO, released after 6", "in", "borrow", "-g", "-r", 6, run=False),
    "nfqueue_first": NfqueueFirst("NFQUEUE, connbytes 0:6", "nfq_plain"),
    "drop_in": divert("divert in, read and dropped", "in", "reflect", "-d"),
    "drop_many_in": divert("divert in, recvmmsg and dropped", "in", "reflect", "-d", "-m"),
    "group_in": divert("divert in, two sockets in a group", "in", "reflect", "-n", 2),
    "thread_in": divert("divert in, a program with threads", "in", "reflect", "-t"),
    "gso_in": divert("divert in, DIVERT_GSO, recvmmsg/sendmmsg", "in", "reflect", "-m", "-g", "-b", 65536),
    **{
        f"rules_{n}": Divert(f"{n} rule{'s' * (n != 1)} that do{'es' * (n == 1)} not match", no_match(n))
        for n in RULES
    },
    "rules_table": Divert(f"a table of {TABLE:,} addresses that does not match", table_rules()),
    "keep_state": Divert("a rule with keep-state", ["add 100 allow ip from any to any keep-state"]),
    "sockets_1": Divert("one socket", [], "reflect"),
    "sockets_8": Divert("8 sockets", [], "reflect", "-n", 8),
}
