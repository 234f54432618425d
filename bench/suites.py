# SPDX-License-Identifier: BSD-2-Clause
"""The suites: what is measured of a subject.

A suite measures one subject in one case, once, in a network that is up already. The runner calls it
for each subject in turn, several times.
"""

import json
import os
import re
import shutil
import signal
import tempfile
import time

import search
from network import BYTES, HOST_A, HOST_B, PROGRAMS, Failed, call
from subjects import DIVERTCTL, RULES

IPERF_PORT, ECHO_PORT, DISCARD_PORT = 5201, 7, 9
SIZES = (64, 512, 1400, 8900)
PATIENCE = 10  # seconds until something has to arrive


class Suite:
    """times: the mode's times, by name."""

    drop = "tc"  # how host B drops the packets that arrive
    title = ""
    subjects = {}  # by mode

    def __init__(self, times):
        self.times = times
        self.mode = times["mode"]

    def cases(self):
        """(case, its subjects) for each case. The subjects are measured in turn, round after round.
        A case is the size of packets, unless a suite says otherwise."""
        return [("64", self.subjects[self.mode])]

    def mtu(self, case):
        return 1500

    def size(self, case):
        return 64

    def measure(self, net, case, name, program):
        """Measure once and return {quantity: number}."""
        raise NotImplementedError

    def window(self, sample, start):
        """Take sample(), (packets, when, ...), at the beginning and at the end of the measurement.
        It begins when the first packets beyond start have arrived. More must arrive during it."""
        patience = time.monotonic() + PATIENCE
        while sample()[0] == start[0]:
            if time.monotonic() > patience:
                raise Failed("nothing arrived")
            time.sleep(0.01)
        time.sleep(self.times["warm"])
        before = after = sample()
        while after[0] == before[0]:
            if time.monotonic() > patience + self.times["measure"]:
                raise Failed("nothing arrived any more")
            time.sleep(self.times["measure"])
            after = sample()
        return before, after

    def generator(self, net, size, *options):
        return net.start("r", None, PROGRAMS / "generator", "-c", net.generator_cpu, "-i", "r0",
                         "-s", HOST_A, "-d", HOST_B, "-l", size, *options)

    def iperf(self, net, server_cpu, *options):
        server = net.start("b", server_cpu, "iperf3", "-s", "-1", "-p", IPERF_PORT, "--forceflush")
        server.wait_for("listening")
        return net.start("a", net.generator_cpu, "iperf3", "-c", HOST_B, "-p", IPERF_PORT, "-J", *options)

    def sender(self, net, rate, burst):
        return net.start("a", net.generator_cpu, PROGRAMS / "sender", "-r", rate, "-b", burst, HOST_B, DISCARD_PORT)


def rate_between(before, after):
    return (after[0] - before[0]) / (after[1] - before[1])


def sent(said):
    """Packets and seconds, as a generator or a sender reports them at its end."""
    for line in said.splitlines():
        words = line.split()
        if words[:1] == ["sent"]:
            return int(words[1]), float(words[4])
    raise Failed(f"the generator did not say what it has sent: {said!r}")


def passed(program):
    """(packets that have gone through it, when), by its own count."""
    program.signal(signal.SIGUSR1)
    _, count, _, when = program.line().split()
    return int(count), float(when)


class Overload(Suite):
    """How much arrives while the generator offers as much as it can."""

    name = "overload"
    title = "Goodput under overload, packets a second"

    subjects = {
        "full": ("undiverted", "empty", "loaded", "nfqueue", "nfqueue_best", "nfqueue_same", "divert_in", "divert_out",
                 "divert_both", "select_in", "select_out", "many_in", "many_out", "many_both", "borrow_in",
                 "borrow_out", "drop_in", "drop_many_in", "thread_in", "group_in"),
        "quick": ("undiverted", "loaded", "nfqueue", "nfqueue_best", "divert_in", "divert_out", "many_in", "many_out",
                  "drop_in"),
        "smoke": ("undiverted", "empty", "loaded", "nfqueue", "nfqueue_best", "nfqueue_same", "divert_in", "divert_out",
                  "divert_both", "select_in", "many_in", "borrow_in", "drop_in", "group_in"),
    }
    larger = {
        "full": ("undiverted", "nfqueue", "nfqueue_best", "divert_in", "divert_out", "many_in", "many_out"),
        "quick": (),
        "smoke": ("many_in",),
    }

    def cases(self):
        sizes = self.times.get("sizes")
        if sizes:
            return [(str(size), self.subjects[self.mode]) for size in sizes]
        if self.mode == "smoke":
            return [("64", self.subjects["smoke"]), (str(SIZES[-1]), self.larger["smoke"])]
        return [(str(size), (self.subjects if size == 64 else self.larger)[self.mode]) for size in SIZES]

    def size(self, case):
        return int(case)

    def mtu(self, case):
        return 9000 if int(case) > 1500 else 1500

    def measure(self, net, case, name, program):
        sample = (lambda: passed(program)) if name.startswith("drop") else net.received
        start = sample()
        generator = self.generator(net, case, "-r", self.times.get("rate", 0), "-t", 600)
        before, after = self.window(sample, start)
        count, seconds = sent(generator.end())
        if program:
            check_passed(program, after[0] - before[0])
        return {"goodput": rate_between(before, after), "offered": count / seconds}


def check_passed(program, least):
    """Check that the packets that arrived came through the program."""
    count, _ = passed(program)
    if count < 0.98 * least:
        raise Failed(f"the program passed {count} packets, and {least} arrived")


class NoLoss(Suite):
    """The highest rate at which nothing is lost, found as RFC 2544, 26.1, describes."""

    name = "loss"
    title = "Highest rate without loss, packets a second"
    subjects = {
        "full": ("undiverted", "nfqueue", "nfqueue_best", "divert_in", "divert_out", "divert_both", "many_in"),
        "quick": ("nfqueue", "divert_in", "divert_out"),
        "smoke": ("nfqueue", "divert_in"),
    }

    def __init__(self, times):
        super().__init__(times)
        self.guess = {}

    def measure(self, net, case, name, program):
        def trial(rate):
            before = net.received()[0]
            count = max(1, int(rate * self.times["trial"]))
            generator = self.generator(net, case, "-r", rate, "-n", count, "-t", 30)
            offered, seconds = sent(generator.finish(40))
            arrived = settled(net, before + offered) - before
            return offered / seconds, arrived >= offered

        start = self.guess.get(name, self.times["start"])
        self.guess[name] = search.highest(trial, start, self.times["precision"], self.times["trials"])
        return {"rate": self.guess[name]}


def settled(net, expected):
    """How many packets host B has received, when no more are on their way."""
    last, since = net.received()
    while last < expected:
        time.sleep(0.01)
        now, when = net.received()
        if now != last:
            last, since = now, when
        elif when - since > 0.2:
            break
    return last


class Tcp(Suite):
    """iperf3 from host A to host B. The subject has both directions of each connection. A case is
    the number of flows; "_near" is added if host B's iperf3 shares host A's CPU."""

    name = "tcp"
    title = "TCP by iperf3, bits a second"
    drop = None
    subjects = {
        "full": ("undiverted", "nfqueue", "nfqueue_best", "nfqueue_same", "divert_in", "gso_in"),
        "quick": ("undiverted", "nfqueue", "divert_in", "gso_in"),
        "smoke": ("undiverted", "nfqueue", "nfqueue_best", "divert_in", "gso_in"),
    }

    near = ("undiverted", "nfqueue_same", "divert_in", "gso_in")

    def cases(self):
        cases = [(flows, self.subjects[self.mode]) for flows in (("1",) if self.mode == "smoke" else ("1", "4"))]
        return cases + [("4_near", self.near)] if self.mode == "full" else cases

    @staticmethod
    def label(case):
        flows, _, near = case.partition("_")
        return f"TCP, {flows} flow{'s' * (flows != '1')}{', both hosts on one processor' if near else ''}"

    def size(self, case):
        return 1500

    def measure(self, net, case, name, program):
        flows, _, near = case.partition("_")
        amount = ("-n", "2M") if self.mode == "smoke" else ("-t", self.times["seconds"])
        client = self.iperf(net, net.generator_cpu if near else None, "-P", flows, *amount)
        said = json.loads(client.finish(self.times.get("seconds", 0) + 20))
        if "error" in said:
            raise Failed(f"iperf3: {said['error']}")
        if program and passed(program)[0] < 10:
            raise Failed("it did not go through the program")
        return {"goodput": said["end"]["sum_received"]["bits_per_second"],
                "retransmits": said["end"]["sum_sent"].get("retransmits", 0)}


FIRST = {
    "full": ("undiverted", "many_in", "first_in", "release_in", "release_gso", "nfqueue_first"),
    "quick": (),
    "smoke": ("undiverted", "first_in", "release_in", "release_gso"),
}


class Flows(Suite):
    """Overload by long flows, of which the program sees the first six packets."""

    name = "flows"
    title = "Goodput of flows whose first six packets are diverted, packets a second"
    subjects = FIRST

    def measure(self, net, case, name, program):
        start = net.received()
        generator = self.generator(net, 64, "-r", self.times.get("rate", 0), "-t", 600)
        before, after = self.window(net.received, start)
        generator.end()
        return {"goodput": rate_between(before, after)}


class FlowsTcp(Tcp):
    """The same by iperf3."""

    name = "flows_tcp"
    title = "TCP whose first six packets are diverted, bits a second"
    subjects = FIRST

    def cases(self):
        return [(flows, self.subjects[self.mode]) for flows in (("1",) if self.mode == "smoke" else ("1", "4"))]


class Latency(Suite):
    """A ping-pong of UDP datagrams while other packets pass at some rate. The subject has both
    directions."""

    name = "latency"
    title = "Round trip of a UDP ping-pong, ns"
    drop = "tc/background"
    subjects = {
        "full": ("undiverted", "nfqueue", "nfqueue_best", "divert_in", "select_in", "many_in"),
        "quick": ("undiverted", "nfqueue", "divert_in"),
        "smoke": ("undiverted", "nfqueue", "nfqueue_best", "divert_in"),
    }

    def cases(self):
        return [(rate, self.subjects[self.mode]) for rate in ("1000", "50000")]

    def measure(self, net, case, name, program):
        echo = net.start("b", net.generator_cpu, PROGRAMS / "pingpong", "-e", ECHO_PORT)
        echo.wait_for("ready")
        background = self.sender(net, case, max(1, int(case) // 12500))
        client = net.start("a", net.generator_cpu, PROGRAMS / "pingpong", "-r", self.times["asks"],
                           "-t", self.times["ms"], HOST_B, ECHO_PORT)
        words = client.finish(self.times["ms"] / 1000 + 10).split()
        said = {words[i]: int(words[i + 1]) for i in range(0, len(words), 2)}
        count, seconds = sent(background.end())
        if program and passed(program)[0] < said["samples"]:
            raise Failed("it did not go through the program")
        return {"p50": said["p50"], "p99": said["p99"], "p99.9": said["p99.9"], "lost": said["lost"],
                "background": count / seconds}


class Cpu(Suite):
    """How long the two CPUs are busy for each packet, at a rate that all subjects reach."""

    name = "cpu"
    title = "Processor time a packet, ns: all that the two processors do, sending it included"
    subjects = {
        "full": ("undiverted", "nfqueue", "nfqueue_best", "divert_in", "many_in", "borrow_in"),
        "quick": ("undiverted", "nfqueue", "divert_in"),
        "smoke": ("undiverted", "nfqueue", "nfqueue_best", "divert_in"),
    }

    def cases(self):
        return [(str(self.times["rate"]), self.subjects[self.mode])]

    def measure(self, net, case, name, program):
        cpus = (net.generator_cpu, net.consumer_cpu)
        start = net.received()
        sender = self.sender(net, case, 8)
        before, after = self.window(lambda: (*net.received(), idle_seconds(cpus)), start)
        count, seconds = sent(sender.end())
        arrived = after[0] - before[0]
        if program:
            check_passed(program, arrived)
        busy = len(cpus) * (after[1] - before[1]) - (after[2] - before[2])
        return {"busy": busy / arrived * 1e9, "arrived": rate_between(before, after), "offered": count / seconds}


def processor_times(cpus):
    """Seconds since the start, of these CPUs together: user, system, softirq, idle."""
    columns = {"user": (1, 2), "system": (3,), "softirq": (6, 7), "idle": (4, 5)}
    times = dict.fromkeys(columns, 0)
    with open("/proc/stat", encoding="ascii") as lines:
        for line in lines:
            words = line.split()
            if words[0] in [f"cpu{c}" for c in cpus]:
                for name, indices in columns.items():
                    times[name] += sum(int(words[i]) for i in indices)
    return {name: ticks / os.sysconf("SC_CLK_TCK") for name, ticks in times.items()}


def idle_seconds(cpus):
    """How long the CPUs have been idle. The kernel notes the time when a CPU goes idle and when it
    wakes up, so this is exact, except that it is given in clock ticks."""
    return processor_times(cpus)["idle"]


def program_times(net, seconds):
    """(runs, ns) of the engine's program for incoming packets, and of that for outgoing ones."""
    ids = net.hooks()
    if len(ids) != 2:
        raise Failed("the engine is not at both hooks of lo")
    said = net.start("r", None, PROGRAMS / "bpftime", int(seconds * 1000), *ids).finish(seconds + 20)
    return [(int(words[2]), int(words[4])) for words in map(str.split, said.splitlines())]


class Stages(Suite):
    """The program's CPU time under overload, for each packet that it passes, by kinds of work."""

    name = "stages"
    title = "Where the time goes, ns a packet"
    subjects = {
        "full": ("divert_in", "divert_out", "many_in", "many_out", "borrow_in", "drop_in"),
        "quick": ("divert_in", "divert_out"),
        "smoke": ("divert_in",),
    }

    def measure(self, net, case, name, program):
        generator = self.generator(net, case, "-t", 600)
        before, after = self.window(
            lambda: (*passed(program), processor_times([net.consumer_cpu])), passed(program))
        packets = after[0] - before[0]
        figures = {"packet": (after[1] - before[1]) / packets * 1e9}
        for kind in ("user", "system", "softirq"):
            figures[kind] = (after[2][kind] - before[2][kind]) / packets * 1e9
        count = passed(program)[0]
        incoming, outgoing = program_times(net, self.times["measure"])
        count = passed(program)[0] - count
        figures["incoming"] = incoming[1] / max(1, incoming[0])
        figures["outgoing"] = outgoing[1] / max(1, count)
        generator.end()
        return figures


# The first pattern that fits a kernel function's name gives its group.
GROUPS = (
    ("programs", r"bpf|htab_|lookup_nulls|xdp_(store|load|adjust)|array_map"),
    ("hooks", r"tcf_|tc_run|nf_hook|nft_|xdp_generic"),
    ("queue", r"nfqnl|nfnetlink|netlink|nla_|nf_(queue|reinject)"),
    ("memory", r"page|slab|kmem|kmalloc|kvmalloc|kfree|kvfree|frozen|rmqueue|alloc|build_skb|skb_(clone|release|free|"
               r"condense|expand)|pskb|skb_reason_drop|consume_skb|mem(set|cpy|move)|xdp_(test|return|build|recv)"),
    ("ip", r"^_*(ip6?_|ipv[46]_|fib6?_|rt6?_|neigh|dst_|ipt_)"),
    ("devices", r"veth|netif|^_*dev_|napi|net_rx|backlog|softirq|xmit|eth_type|get_rps_cpu|forward_skb|gro_"),
)


class Profile(Suite):
    """The work of the busiest CPU under overload, sampled by perf(1), which must be installed. In
    undiverted that is the generator's CPU, which does all the work; otherwise it is the
    program's."""

    name = "profile"
    title = "What a packet's time is spent on, by the kernel's functions, ns a packet"
    subjects = {
        "full": ("undiverted", "nfqueue", "divert_in", "divert_out"),
        "quick": (),
        "smoke": ("divert_in",),
    }

    def cases(self):
        return super().cases() if shutil.which("perf") else []

    def measure(self, net, case, name, program):
        cpu = net.consumer_cpu if program else net.generator_cpu
        start = net.received()
        generator = self.generator(net, case, "-t", 600)
        self.window(net.received, start)
        with tempfile.NamedTemporaryFile() as file:
            before = net.received()
            call("perf", "record", "-q", "-C", cpu, "-e", "cpu-clock", "-F", 4999, "-o", file.name,
                 "--", "sleep", self.times["measure"])
            after = net.received()
            said = call("perf", "report", "-q", "-i", file.name, "--sort", "symbol", "--stdio")
        generator.end()
        packet = 1e9 / rate_between(before, after)
        return {"packet": packet, **{group: packet * share for group, share in shares(said).items()}}


def shares(report, groups=GROUPS, anywhere=()):
    """Each group's share of the time in perf's report. "user" is all that is outside the kernel,
    except for functions of the groups that are looked for anywhere."""
    found = dict.fromkeys(["user", *(group for group, _ in (*anywhere, *groups)), "rest"], 0)
    for line in report.splitlines():
        words = line.split()
        if len(words) < 3 or not words[0].endswith("%"):
            continue
        user = words[1] == "[.]"
        known = anywhere if user else (*anywhere, *groups)
        group = next((g for g, names in known if re.search(names, words[2])), "user" if user else "rest")
        found[group] += float(words[0][:-1]) / 100
    return found


class TcpProfile(Suite):
    """The work of both CPUs for 64 KiB that iperf3 moves: the hosts' CPU and the program's. Sampled
    by perf(1), too."""

    name = "tcp_profile"
    title = "What 64 KiB of TCP take, four flows, hosts on one processor, by functions, ns"
    drop = None
    subjects = {
        "full": ("undiverted", "nfqueue_same", "divert_in", "gso_in"),
        "quick": (),
        "smoke": ("gso_in",),
    }
    anywhere = (
        ("idle", r"safe_halt|cpuidle|^do_idle|^look$"),
        ("copies", r"copy_(to|from)_|copy_page|mem(cpy|move)|^checksum_add$"),
    )
    groups = (
        ("wakes", r"spin_unlock_irq|try_to_wake|wake_up|schedule|write_msr|finish_task|sock_def_readable|apic|timer"),
        ("tcp", r"^_*(tcp|inet|sk)_|sock"),
        ("programs", "|".join(names for group, names in GROUPS if group in ("programs", "hooks", "queue"))),
        ("memory", dict(GROUPS)["memory"]),
        ("network", dict(GROUPS)["ip"] + "|" + dict(GROUPS)["devices"]),
    )

    def cases(self):
        return [("4_near", self.subjects[self.mode])] if shutil.which("perf") else []

    def size(self, case):
        return 1500

    def measure(self, net, case, name, program):
        start = net.received(BYTES)
        client = self.iperf(net, net.generator_cpu, "-P", 4, "-t", 60)
        self.window(lambda: net.received(BYTES), start)
        processors = {"hosts": net.generator_cpu, **({"program": net.consumer_cpu} if program else {})}
        with tempfile.NamedTemporaryFile() as file:
            before = net.received(BYTES)
            call("perf", "record", "-q", "-a", "-e", "cpu-clock", "-F", 1999, "-o", file.name,
                 "--", "sleep", self.times["measure"])
            after = net.received(BYTES)
            said = {where: call("perf", "report", "-q", "-i", file.name, "-C", cpu, "--sort", "symbol", "--stdio")
                    for where, cpu in processors.items()}
        client.end()
        unit = (1 << 16) * 1e9 / rate_between(before, after)
        return {"all": unit, **{f"{where}_{group}": unit * share for where, report in said.items()
                                for group, share in shares(report, self.groups, self.anywhere).items()}}


class Rules(Suite):
    """The cost of rules that do not match, on a packet's whole path, in and out."""

    name = "rules"
    title = "Undiverted forwarding past rules"
    subjects = {
        "full": ("undiverted", *(f"rules_{n}" for n in RULES), "rules_table"),
        "quick": ("undiverted", "rules_0", "rules_1", "rules_100", "rules_5000", "rules_table"),
        "smoke": ("undiverted", "rules_0", "rules_table"),
    }

    def measure(self, net, case, name, program):
        start = net.received()
        generator = self.generator(net, case, "-t", 600)
        rate = rate_between(*self.window(net.received, start))
        figures = {"goodput": rate, "packet": 1e9 / rate}
        if name != "undiverted":
            figures["programs"] = sum(ns / max(1, runs) for runs, ns in program_times(net, self.times["measure"]))
        generator.end()
        return figures


class Memory(Suite):
    """The memory that a bound socket takes."""

    name = "memory"
    title = "Memory of a bound socket, bytes"
    drop = None

    subjects = {
        "full": ("sockets_1", "sockets_8"),
        "quick": ("sockets_1", "sockets_8"),
        "smoke": ("sockets_8",),
    }

    def cases(self):
        return [("sockets", self.subjects[self.mode])]

    def measure(self, net, case, name, program):
        sockets = int(name.split("_")[1])
        pid = program.process.pid
        rings, locked = 0, 0
        for fd in os.listdir(f"/proc/{pid}/fdinfo"):
            with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as lines:
                info = dict(line.split(":", 1) for line in lines if ":" in line)
            if info.get("map_type", "").strip() == RINGBUF:
                rings += 1
                locked += int(info["memlock"])
        if rings != sockets:
            raise Failed(f"{rings} rings, and {sockets} sockets")
        with open(f"/proc/{pid}/status", encoding="ascii") as lines:
            status = dict(line.split(":", 1) for line in lines)
        return {"kernel": locked / sockets, "process": int(status["RssAnon"].split()[0]) * 1024}


class States(Suite):
    """The engine's program alone, on packets of so many flows: the first packet makes the flow's
    state, the second finds it. A case is the number of flows. Memory is that of the table."""

    name = "states"
    title = "States of flows: ns a packet to make and to find one, bytes of memory for each"
    subjects = {"full": ("keep_state",), "quick": (), "smoke": ("keep_state",)}

    def cases(self):
        counts = ("1024", "65536", "1048576") if self.mode == "full" else ("1024",)
        return [(count, self.subjects[self.mode]) for count in counts if self.subjects[self.mode]]

    def measure(self, net, case, name, program):
        net.call("r", DIVERTCTL, "set", "dyn_udp_lifetime", 3600)
        net.call("r", DIVERTCTL, "set", "dyn_max", case)
        said = net.start("r", None, PROGRAMS / "flowtime", case, net.hooks()[0]).finish(120).split()
        shown = json.loads(net.call("r", "bpftool", "-j", "map", "show", "name", "flow_states"))
        tables = shown if isinstance(shown, list) else [shown]
        return {"made": float(said[1]), "found": float(said[3]),
                "bytes": max(table["bytes_memlock"] for table in tables) / int(case)}


RINGBUF = "27"  # BPF_MAP_TYPE_RINGBUF

SUITES = {suite.name: suite
          for suite in (Overload, NoLoss, Tcp, Flows, FlowsTcp, Latency, Cpu, Stages, Profile, TcpProfile, Rules, Memory,
                        States)}
