# SPDX-License-Identifier: BSD-2-Clause
"""The network that is measured on, and the programs in it.

     -a                       -r                        -b
  +--------+         +-------------------+         +--------+
  |   a0   |---------| r0     router  r1 |---------|   b0   |
  | .0.2   |         | .0.1         .1.1 |         |   .1.2 |   10.77.x.x/24
  +--------+         +-------------------+         +--------+

Each box is a network namespace. Closing the network removes it, with all that runs in it.
"""

import json
import os
import pathlib
import select
import signal
import subprocess
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
PROGRAMS = TOP / "build/bench"
STAGE = TOP / "build/stage"

HOST_A, ROUTER_A, ROUTER_B, HOST_B = "10.77.0.2", "10.77.0.1", "10.77.1.1", "10.77.1.2"
MAC = {"a0": "02:00:00:00:00:0a", "r0": "02:00:00:00:00:01", "r1": "02:00:00:00:00:02", "b0": "02:00:00:00:00:0b"}
READY_SECONDS = 20


class Failed(Exception):
    """A subject or a program did not do its work; the text says what went wrong."""


def processors():
    """(the generator's CPU, the consumer's): two CPUs that this process may use."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        raise Failed(f"two processors are needed, here is {len(cpus)}")
    return cpus[0], cpus[1]


def call(*words, text=None):
    """Run a command to its end and return its output."""
    done = subprocess.run([str(w) for w in words], input=text, capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"{' '.join(map(str, words))}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


class Program:
    """A program in the background. Its output is read line by line."""

    def __init__(self, words):
        self.words = [str(w) for w in words]
        self.errors = tempfile.TemporaryFile()
        self.rest = b""
        # in a session of its own: Ctrl-C goes to us, and we end the program
        self.process = subprocess.Popen(
            self.words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.errors, start_new_session=True
        )

    def failed(self, what):
        self.errors.seek(0)
        said = self.errors.read().decode(errors="replace").strip()
        return Failed(f"{' '.join(self.words)}: {what}{': ' + said if said else ''}")

    def line(self, seconds=READY_SECONDS):
        """The next line of its output."""
        end = time.monotonic() + seconds
        out = self.process.stdout.fileno()
        while b"\n" not in self.rest:
            left = end - time.monotonic()
            if left <= 0 or not select.select([out], [], [], left)[0]:
                raise self.failed(f"said nothing for {seconds} s")
            part = os.read(out, 65536)
            if not part:
                raise self.failed(f"has ended ({self.process.wait()})")
            self.rest += part
        line, _, self.rest = self.rest.partition(b"\n")
        return line.decode()

    def wait_for(self, word):
        while word not in self.line():
            pass

    def signal(self, number):
        if self.process.poll() is None:
            self.process.send_signal(number)

    def finish(self, seconds):
        """Wait until it ends by itself; return the rest of its output."""
        try:
            out, _ = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise self.failed(f"has not ended after {seconds} s") from None
        if self.process.returncode:
            raise self.failed(f"status {self.process.returncode}: {out.decode(errors='replace').strip()}")
        return (self.rest + out).decode()

    def end(self):
        """End it, by force if necessary; return the rest of its output."""
        self.signal(signal.SIGTERM)
        try:
            out, _ = self.process.communicate(timeout=3)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, _ = self.process.communicate()
        self.errors.close()
        return (self.rest + (out or b"")).decode(errors="replace")


BYTES, PACKETS = 0, 1  # columns of /proc/net/dev


class Network:
    """mtu: of all links. drop: None, or the section of filters.bpf.o that drops the packets that
    arrive at host B."""

    def __init__(self, mtu=1500, drop=None):
        self.prefix = f"ipdivert-bench-{os.getpid()}"
        self.programs = []
        self.namespaces = []
        self.mtu, self.drop = mtu, drop
        self.generator_cpu, self.consumer_cpu = processors()
        self.there = None

    def __enter__(self):
        try:
            self.make()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def name(self, host):
        return f"{self.prefix}-{host}"

    def make(self):
        for host in "arb":
            call("ip", "netns", "add", self.name(host))
            self.namespaces.append(self.name(host))
            # no packets but those that are measured
            settings = ["net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"]
            if not os.path.exists("/proc/sys/net/ipv6"):
                settings = []
            if host == "r":
                settings.append("net.ipv4.ip_forward=1")
            if settings:
                self.call(host, "sysctl", "-qw", *settings)
        self.ip("a", f"link add a0 address {MAC['a0']} mtu {self.mtu} type veth "
                     f"peer name r0 address {MAC['r0']} mtu {self.mtu} netns {self.name('r')}",
                f"addr add {HOST_A}/24 dev a0")
        self.ip("b", f"link add b0 address {MAC['b0']} mtu {self.mtu} type veth "
                     f"peer name r1 address {MAC['r1']} mtu {self.mtu} netns {self.name('r')}",
                f"addr add {HOST_B}/24 dev b0")
        self.ip("r", f"addr add {ROUTER_A}/24 dev r0", f"addr add {ROUTER_B}/24 dev r1", "link set lo up",
                "link set r0 up", "link set r1 up", neighbour(HOST_A, "a0", "r0"), neighbour(HOST_B, "b0", "r1"))
        self.ip("a", "link set lo up", "link set a0 up", f"route add default via {ROUTER_A}",
                neighbour(ROUTER_A, "r0", "a0"))
        self.ip("b", "link set lo up", "link set b0 up", f"route add default via {ROUTER_B}",
                neighbour(ROUTER_B, "r1", "b0"))
        if self.drop:
            self.filter("b", "b0", ("ingress",), self.drop)

    def pass_all(self, host, device):
        """Attach to both hooks a program that lets every packet go on: by TCX (Linux 6.6), or as a
        classic filter."""
        chain = PROGRAMS / "chain"
        looked = subprocess.run(["ip", "netns", "exec", self.name(host), chain, "list", device, "in"])
        if looked.returncode == 77:
            self.filter(host, device, ("ingress", "egress"), "tc/empty")
            return
        for side in ("in", "out"):
            self.call(host, chain, "attach", device, side, "-1")

    def filter(self, host, device, sides, section):
        """Attach a program of filters.bpf.o to a device's hooks."""
        call("tc", "-n", self.name(host), "qdisc", "add", "dev", device, "clsact")
        for side in sides:
            call("tc", "-n", self.name(host), "filter", "add", "dev", device, side, "bpf", "da",
                 "obj", PROGRAMS / "filters.bpf.o", "sec", section)

    def ip(self, host, *lines):
        call("ip", "-n", self.name(host), "-batch", "-", text="\n".join(lines) + "\n")

    def call(self, host, *words, text=None):
        return call("ip", "netns", "exec", self.name(host), *words, text=text)

    def start(self, host, cpu, *words):
        """Start a program in the background; cpu: None for any."""
        pin = () if cpu is None else ("taskset", "-c", cpu)
        program = Program(("ip", "netns", "exec", self.name(host), *pin, *words))
        self.programs.append(program)
        return program

    def consumer(self, *words):
        """Start the subject's program in the router, on its CPU; return when it is ready."""
        program = self.start("r", self.consumer_cpu, *words)
        program.wait_for("ready")
        return program

    def received(self, column=PACKETS):
        """(packets or bytes that host B has received, when)"""
        if not self.there:
            self.there = self.start("b", None, "sleep", "86400")
        path = f"/proc/{self.there.process.pid}/net/dev"
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            # Until the program is in its namespace, its /proc shows another one's interfaces.
            with open(path, encoding="ascii") as lines:
                now = time.monotonic()
                for line in lines:
                    name, _, numbers = line.partition(":")
                    if name.strip() == "b0":
                        return int(numbers.split()[column]), now
        raise Failed("host B has no interface")

    def hooks(self):
        """Ids of the router's BPF programs: for incoming packets, and for outgoing ones. lo always
        has them. Other interfaces have them if a rule can match there."""
        ids = []
        for device, side, way in (("lo", "ingress", "in"), ("lo", "egress", "out")):
            chain = subprocess.run(["ip", "netns", "exec", self.name("r"), PROGRAMS / "chain", "list", device, way],
                                   capture_output=True, text=True, check=False).stdout
            ids += [int(line.split()[0]) for line in chain.splitlines()]
            shown = json.loads(call("tc", "-j", "-n", self.name("r"), "filter", "show", "dev", device, side) or "[]")
            ids += [f["options"]["prog"]["id"] for f in shown if "prog" in f.get("options", {})]
        return ids

    def close(self):
        for program in reversed(self.programs):
            if program.process.poll() is None or not program.errors.closed:
                program.end()
        self.programs = []
        for name in self.namespaces:
            subprocess.run(["ip", "netns", "del", name], check=False)
        self.namespaces = []


def neighbour(address, there, here):
    return f"neigh replace {address} lladdr {MAC[there]} dev {here} nud permanent"
