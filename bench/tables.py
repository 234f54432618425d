# SPDX-License-Identifier: BSD-2-Clause
"""Tables of the results, for a terminal and for Markdown."""

import ratios
from suites import SUITES


class Table:
    def __init__(self, name, title, header, rows):
        self.name, self.title, self.header, self.rows = name, title, header, rows

    def text(self):
        widths = [max(map(len, column)) for column in zip(self.header, *self.rows)]
        lines = ["  ".join(w.ljust(n) if i == 0 else w.rjust(n) for i, (w, n) in enumerate(zip(row, widths))).rstrip()
                 for row in (self.header, *self.rows)]
        return "\n".join([self.title, *lines])

    def markdown(self):
        align = ["---"] + ["---:"] * (len(self.header) - 1)
        lines = ["| " + " | ".join(row) + " |" for row in (self.header, align, *self.rows)]
        return "\n".join([f"**{self.title}**", "", *lines])


def count(number):
    return f"{number:,.0f}"


def mega(number):
    return f"{number / 1e6:,.0f} M"


def spread(values, form, empty="-"):
    if not values:
        return empty
    return f"{form(values.median)} ({form(values.least)} to {form(values.most)})"


def two(number):
    return f"{number:.2f}"


def make(results):
    """All tables, of the suites that have figures."""
    labels = results.about["labels"]
    tables = [ratio_table(results)]
    for suite in SUITES:
        for case in results.cases(suite):
            tables.append(MAKERS[suite](results, case, labels))
    return tables


def ratio_table(results):
    rows = []
    for row in ratios.judge(results):
        parts = row["parts"]
        measured = [f"{p['median']:.2f} ({p['min']:.2f} to {p['max']:.2f})" if p["median"] is not None else "-"
                    for p in parts]
        holds = [p["holds"] for p in parts]
        verdict = "no" if False in holds else "not measured" if None in holds else "yes"
        names = " / ".join(p["part"] for p in parts)
        bounds = [unique([f"{p[k]:g}" for p in parts]) for k in ("floor", "aim")]
        rows.append([f"{row['what']}{', ' + names if names else ''}", f"{row['bound']} {bounds[0]}", bounds[1],
                     " / ".join(measured), verdict])
    return Table("ratios", "Ratios: median of the rounds (least to most)",
                 ["what", "bound", "aim", "measured", "holds"], rows)


def unique(words):
    return words[0] if len(set(words)) == 1 else " / ".join(words)


def against(results, suite, case, name, quantity):
    return [
        spread_or_dash(results.ratio((suite, case, name, quantity), (suite, case, base, quantity)))
        for base in ("nfqueue", "undiverted")
    ]


def spread_or_dash(values):
    return two(values.median) if values else "-"


def goodput(results, suite, case, labels, unit, quantity="goodput", form=count, more=()):
    header = [unit, "median (least to most)", *more, "/NFQUEUE", "/undiverted"]
    rows = [
        [labels[name], spread(results.of(suite, case, name, quantity), form),
         *(count(results.of(suite, case, name, q).median) for q in more),
         *against(results, suite, case, name, quantity)]
        for name in results.subjects(suite, case)
    ]
    return header, rows


def overload_table(results, case, labels):
    header, rows = goodput(results, "overload", case, labels, "packets a second", more=("offered",))
    return Table(f"overload_{case}", f"Overload, packets of {case} bytes", header, rows)


def loss_table(results, case, labels):
    header, rows = goodput(results, "loss", case, labels, "packets a second", "rate")
    return Table("loss", f"Highest rate without loss, packets of {case} bytes", header, rows)


def tcp_table(results, case, labels, suite="tcp"):
    header, rows = goodput(results, suite, case, labels, "bits a second", form=mega)
    return Table(f"{suite}_{case}", SUITES[suite].label(case), header, rows)


def flows_table(results, case, labels):
    header, rows = goodput(results, "flows", case, labels, "packets a second")
    return Table("flows", f"Long flows, packets of {case} bytes", header, rows)


def flows_tcp_table(results, case, labels):
    return tcp_table(results, case, labels, "flows_tcp")


def latency_table(results, case, labels):
    quantities = ("p50", "p99", "p99.9")
    rows = []
    for name in results.subjects("latency", case):
        row = [labels[name]] + [spread(results.of("latency", case, name, q), micro) for q in quantities]
        for q in quantities[:2]:
            extra = results.paired(lambda a, b: a - b, ("latency", case, name, q), ("latency", case, "undiverted", q))
            row.append(micro(extra.median) if extra and name != "undiverted" else "-")
        rows.append(row)
    return Table(f"latency_{case}", f"Round trip in microseconds, {int(case):,} other packets a second",
                 ["", *quantities, "added p50", "added p99"], rows)


def micro(ns):
    return f"{ns / 1000:.1f}"


def cpu_table(results, case, labels):
    rows = []
    for name in results.subjects("cpu", case):
        busy, none = ("cpu", case, name, "busy"), ("cpu", case, "undiverted", "busy")
        extra = results.paired(lambda a, b: a - b, busy, none)
        arrived = results.of("cpu", case, name, "arrived").median / int(case)
        rows.append([labels[name], spread(results.of(*busy), count),
                     spread(extra, count) if name != "undiverted" else "-", f"{100 * arrived:.1f} %"])
    return Table("cpu", f"Processor time in ns for each packet, at {int(case):,} packets a second",
                 ["", "both processors", "beyond undiverted", "arrived"], rows)


def stages_table(results, case, labels):
    quantities = ("packet", "user", "system", "softirq", "outgoing", "incoming")
    rows = [[labels[name], *(spread(results.of("stages", case, name, q), count) for q in quantities)]
            for name in results.subjects("stages", case)]
    return Table("stages", "The program's processor under overload, packets of 64 bytes: ns a packet",
                 ["", "all", "user", "system", "softirq", "of these, engine, out", "a run of engine, in"], rows)


def profile_table(results, case, labels):
    quantities = ("packet", "user", "programs", "hooks", "queue", "memory", "ip", "devices", "rest")
    rows = [[labels[name], *(count(results.of("profile", case, name, q).median) for q in quantities)]
            for name in results.subjects("profile", case)]
    return Table("profile", "The busiest processor under overload, packets of 64 bytes: ns a packet, by function",
                 ["", "all", "program, library", "BPF programs", "the way to them", "queue, netlink", "memory", "IP",
                  "devices", "rest"], rows)


def tcp_profile_table(results, case, labels):
    groups = ("idle", "copies", "wakes", "user", "programs", "tcp", "memory", "network", "rest")
    rows = []
    for name in results.subjects("tcp_profile", case):
        for where, whose in (("hosts", "the hosts'"), ("program", "the program's")):
            spent = [results.of("tcp_profile", case, name, q) for q in ("all", *(f"{where}_{g}" for g in groups))]
            if all(spent):
                rows.append([f"{labels[name]}: {whose}", *(micro(s.median) for s in spent)])
    return Table("tcp_profile", "Four TCP flows: what each processor does for 64 KiB, microseconds, by function",
                 ["", "all", "idle, looking", "copies, checksums", "wake-ups, timers", "programs, library",
                  "BPF, hooks, queue", "TCP, sockets", "memory", "IP, devices", "rest"], rows)


def rules_table(results, case, labels):
    rows = []
    for name in results.subjects("rules", case):
        extra = results.paired(lambda a, b: a - b, ("rules", case, name, "packet"),
                               ("rules", case, "undiverted", "packet"))
        rows.append([labels[name], spread(results.of("rules", case, name, "goodput"), count),
                     spread(extra, count) if name != "undiverted" else "-",
                     spread(results.of("rules", case, name, "programs"), count)])
    return Table("rules", "Rules that do not match, met on the way in and on the way out: ns a packet",
                 ["", "packets a second", "beyond undiverted", "in the engine's programs"], rows)


def memory_table(results, case, labels):
    rows = [[labels[name], *(spread(results.of("memory", case, name, q), count) for q in ("kernel", "process"))]
            for name in results.subjects("memory", case)]
    return Table("memory", "Memory, bytes", ["", "in the kernel, each socket", "the process's own, in all"], rows)


def states_table(results, case, labels):
    names = (("made", "made, ns"), ("found", "found, ns"), ("bytes", "bytes"))
    rows = [[title, spread(results.of("states", case, "keep_state", quantity), count)] for quantity, title in names]
    return Table(f"states_{case}", f"States of {int(case):,} flows", ["", "median (least to most)"], rows)


MAKERS = {"overload": overload_table, "loss": loss_table, "tcp": tcp_table, "flows": flows_table,
          "flows_tcp": flows_tcp_table, "latency": latency_table,
          "cpu": cpu_table, "stages": stages_table, "profile": profile_table,
          "tcp_profile": tcp_profile_table, "rules": rules_table, "memory": memory_table,
          "states": states_table}
