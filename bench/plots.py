# SPDX-License-Identifier: BSD-2-Clause
"""Plots of the results, drawn by gnuplot, each as SVG and as PNG."""

import subprocess

from network import Failed
from suites import SUITES

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#777777")
NFQUEUE, PLAIN, MANY, NONE = COLOURS[1], COLOURS[2], COLOURS[0], COLOURS[6]
COMMON = """
set encoding utf8
set key outside bottom center horizontal
set bmargin 6
set grid ytics lc rgb "#dddddd"
set border 3
set tics nomirror
set style line 1 lw 2
"""


class Plot:
    """script: what follows the terminal setting. blocks: data of the script's $names, a list of
    lines each."""

    def __init__(self, name, title, script, blocks, size=(800, 420)):
        self.name, self.title, self.script, self.blocks, self.size = name, title, script, blocks, size

    def draw(self, folder):
        data = "\n".join("$%s << EOD\n%s\nEOD" % (name, "\n".join(lines)) for name, lines in self.blocks.items())
        for kind, terminal in (("svg", "svg background rgb 'white' font 'sans,13'"),
                               ("png", "pngcairo background rgb 'white' font 'sans,10'")):
            path = folder / f"{self.name}.{kind}"
            text = (f"set terminal {terminal} size {self.size[0]},{self.size[1]}\n"
                    f"set output {quoted(path)}\nset title {quoted(self.title)}\n{COMMON}{data}\n{self.script}\nset output\n")
            done = subprocess.run(["gnuplot", "-"], input=text, capture_output=True, text=True, check=False)
            if done.returncode or not path.exists():
                raise Failed(f"gnuplot: {self.name}: {done.stderr.strip()}")
            yield path


def quoted(text):
    return '"' + str(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def colour(name):
    if name.startswith("nfqueue"):
        return NFQUEUE
    if name in ("undiverted", "loaded"):
        return NONE
    return PLAIN if name.startswith("divert") else MANY


def bars(results, name, title, unit, rows, scale):
    """One bar for each (label, colour, spread), from top to bottom, with minimum and maximum."""
    lines = [f"{-i} {s.median * scale:.6g} {s.least * scale:.6g} {s.most * scale:.6g} {int(c[1:], 16)} {quoted(label)}"
             for i, (label, c, s) in enumerate(rows)]
    script = f"""
set xlabel {quoted(unit)}
set xrange [0:*]
set yrange [{-len(rows) + 0.4}:0.6]
unset key
unset grid
set grid xtics lc rgb "#dddddd"
set ytics nomirror scale 0
set bmargin 3
plot $bars using ($2/2):1:($2/2):(0.35):5:ytic(6) with boxxyerror fs solid 0.8 noborder lc rgb variable, \\
     $bars using 2:1:3:4 with xerrorbars pt -1 lw 1.5 lc rgb "#222222"
"""
    return Plot(name, title, script, {"bars": lines}, (800, 110 + 26 * len(rows)))


def bar_plot(results, name, title, unit, suite, case, quantity, scale, base=None):
    """base: the subject whose figures are subtracted, round by round."""
    labels = results.about["labels"]
    rows = []
    for subject in results.subjects(suite, case):
        if subject == base:
            continue
        key = (suite, case, subject, quantity)
        spread = results.paired(lambda a, b: a - b, key, (suite, case, base, quantity)) if base else results.of(*key)
        if spread:
            rows.append((labels[subject], colour(subject), spread))
    return [bars(results, name, title, unit, rows, scale)] if rows else []


def lines_plot(results, name, title, script, series, legend):
    """series: for each entry of legend, (x, spread) of its points."""
    blocks, parts = {}, []
    for i, (label, points) in enumerate(zip(legend, series)):
        if not points:
            continue
        blocks[f"s{i}"] = [f"{x} {s.median:.6g} {s.least:.6g} {s.most:.6g}" for x, s in points]
        parts.append(f"$s{i} using 1:2:3:4 with yerrorlines lw 2 pt 7 ps 0.6 lc rgb {quoted(COLOURS[i % 7])} "
                     f"title {quoted(label)}")
    if not parts:
        return []
    return [Plot(name, title, f"{script}\nplot {', '.join(parts)}\n", blocks)]


def sizes(results):
    names = ("undiverted", "nfqueue", "nfqueue_best", "divert_in", "divert_out", "many_in", "many_out")
    series = [[(int(case), results.of("overload", case, name, "goodput"))
               for case in results.cases("overload") if results.of("overload", case, name, "goodput")]
              for name in names]
    script = ('set logscale xy\nset xlabel "bytes of a packet"\nset ylabel "packets a second"\n'
              'set xtics (64, 512, 1400, 8900)\nset xrange [50:12000]\nset format y "%.0s%c"')
    return lines_plot(results, "sizes", "Goodput under overload, by the size of packets", script, series,
                      [results.about["labels"][n] for n in names])


def rules(results):
    case = next(iter(results.cases("rules")), "64")
    counts = sorted(int(n[6:]) for n in results.subjects("rules", case) if n[6:].isdigit())
    series = []
    for quantity in ("packet", "programs"):
        points = []
        for n in counts:
            spread = results.of("rules", case, f"rules_{n}", quantity)
            if spread:
                points.append((max(n, 0.3), spread))  # 0 has no place on a logarithmic scale
        series.append(points)
    script = ('set logscale xy\nset xlabel "rules that do not match"\nset ylabel "ns a packet"\n'
              'set xrange [0.2:10000]\nset xtics ("0" 0.3, 1, 10, 100, 1000, 5000)')
    return lines_plot(results, "rules", "Undiverted forwarding past rules", script, series,
                      ["the whole way of a packet", "of it, in the engine's programs"])


def make(results):
    """All plots that there are figures for."""
    plots = bar_plot(results, "overload", "Goodput under overload, packets of 64 bytes", "million packets a second",
                     "overload", "64", "goodput", 1e-6)
    plots += sizes(results)
    plots += bar_plot(results, "loss", "Highest rate without loss, packets of 64 bytes", "million packets a second",
                      "loss", "64", "rate", 1e-6)
    for case in results.cases("tcp"):
        plots += bar_plot(results, f"tcp-{case.replace('_', '-')}", SUITES["tcp"].label(case), "Gbit/s", "tcp", case,
                          "goodput", 1e-9)
    for case in results.cases("latency"):
        for quantity in ("p50", "p99"):
            plots += bar_plot(results, f"latency-{case}-{quantity}",
                              f"Added round trip, {quantity}, {int(case):,} other packets a second", "microseconds",
                              "latency", case, quantity, 1e-3, base="undiverted")
    for case in results.cases("cpu"):
        plots += bar_plot(results, "cpu", f"Processor time beyond undiverted, at {int(case):,} packets a second",
                          "ns a packet", "cpu", case, "busy", 1, base="undiverted")
    return plots + rules(results)
