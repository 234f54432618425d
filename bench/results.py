# SPDX-License-Identifier: BSD-2-Clause
"""The results, kept by suite, case, subject and quantity, round by round, and written as JSON."""

import json
import os
import platform
import statistics
import time


class Spread:
    """The median of some rounds' figures, and their minimum and maximum."""

    def __init__(self, values):
        self.values = list(values)

    def __bool__(self):
        return bool(self.values)

    median = property(lambda self: statistics.median(self.values))
    least = property(lambda self: min(self.values))
    most = property(lambda self: max(self.values))


class Results:
    def __init__(self, about):
        self.about = about
        self.figures = {}  # (suite, case, subject, quantity): {round: number}
        self.not_run = []  # (suite, case, subject, reason)

    def add(self, suite, case, subject, number, figures):
        for quantity, figure in figures.items():
            self.figures.setdefault((suite, case, subject, quantity), {})[number] = figure

    def fail(self, suite, case, subject, reason):
        self.not_run.append((suite, case, subject, reason))

    def of(self, *key):
        return Spread(self.figures.get(key, {}).values())

    def paired(self, function, *keys):
        """Apply function to the figures of each round that has all of them."""
        rounds = [self.figures.get(key, {}) for key in keys]
        common = sorted(set(rounds[0]).intersection(*rounds[1:]))
        values = [function(*(r[number] for r in rounds)) for number in common]
        return Spread(v for v in values if v is not None)

    def ratio(self, key, of):
        return self.paired(lambda a, b: a / b if b else None, key, of)

    def cases(self, suite):
        return list(dict.fromkeys(key[1] for key in self.figures if key[0] == suite))

    def subjects(self, suite, case):
        return list(dict.fromkeys(key[2] for key in self.figures if key[:2] == (suite, case)))

    def as_json(self, ratios):
        figures = [
            {"suite": s, "case": c, "subject": n, "quantity": q, "median": spread.median, "min": spread.least,
             "max": spread.most, "rounds": {str(k): v for k, v in rounds.items()}}
            for (s, c, n, q), rounds in self.figures.items()
            for spread in [Spread(rounds.values())]
        ]
        missing = [dict(zip(("suite", "case", "subject", "reason"), m)) for m in self.not_run]
        return json.dumps({**self.about, "ratios": ratios, "figures": figures, "not_run": missing}, indent=1) + "\n"


def load(path):
    with open(path, encoding="utf-8") as file:
        read = json.load(file)
    results = Results({k: v for k, v in read.items() if k not in ("figures", "not_run", "ratios")})
    for f in read["figures"]:
        for number, figure in f["rounds"].items():
            results.add(f["suite"], f["case"], f["subject"], int(number), {f["quantity"]: figure})
    for m in read["not_run"]:
        results.fail(m["suite"], m["case"], m["subject"], m["reason"])
    return results


def about(mode, settings, version, labels):
    """The machine and the settings of this run."""
    model = ""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
        for line in lines:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    with open("/proc/sys/net/ipv4/tcp_congestion_control", encoding="ascii") as file:
        congestion = file.read().strip()
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "version": version,
        "kernel": f"{platform.system()} {platform.release()}",
        "cpu": model or platform.machine(),
        "processors": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "congestion": congestion,
        "mode": mode,
        "settings": settings,
        "labels": labels,
    }
