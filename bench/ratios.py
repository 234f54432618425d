# SPDX-License-Identifier: BSD-2-Clause
"""The ratios that a run is judged by: what is compared, and how much it has to be at least or at most."""


class Row:
    """parts: (name, spread of results, floor, aim). With most, floors are upper bounds."""

    def __init__(self, what, parts, most=False):
        self.what, self.parts, self.most = what, parts, most

    def judge(self, results):
        judged = []
        for name, spread_of, floor, aim in self.parts:
            spread = spread_of(results)
            part = {"part": name, "floor": floor, "aim": aim, "median": None, "min": None, "max": None, "holds": None}
            if spread:
                value = spread.median
                part.update(median=value, min=spread.least, max=spread.most,
                            holds=value <= floor if self.most else value >= floor)
            judged.append(part)
        return {"what": self.what, "bound": "at most" if self.most else "at least", "parts": judged}


def over(suite, case, subject, base, quantity="goodput"):
    return lambda results: results.ratio((suite, case, subject, quantity), (suite, case, base, quantity))


def added(suite, case, subject, quantity, base="nfqueue", none="undiverted"):
    """What the subject adds to undiverted forwarding, against what the other one adds."""
    return lambda results: results.paired(
        lambda x, y, zero: (x - zero) / (y - zero) if y > zero else None,
        *((suite, case, name, quantity) for name in (subject, base, none)),
    )


ALL = 0.98  # of the packets offered: with fewer, processor times are not those of the same load


def cpu(subject, base="nfqueue", none="undiverted"):
    """At whatever rate it was measured, in the rounds in which all subjects could do it."""

    def function(x, y, zero, *arrived):
        return (x - zero) / (y - zero) if y > zero and min(arrived) >= 1 else None

    def of(results):
        for case in results.cases("cpu"):
            return results.paired(
                lambda x, y, zero, *arrived: function(x, y, zero, *(a / (ALL * int(case)) for a in arrived)),
                *(("cpu", case, name, quantity) for quantity in ("busy", "arrived") for name in (subject, base, none)),
            )
        return ()

    return of


ROWS = (
    Row("overload: recvfrom/sendto against NFQUEUE's plain loop", (
        ("in", over("overload", "64", "divert_in", "nfqueue"), 2.5, 3.5),
        ("out", over("overload", "64", "divert_out", "nfqueue"), 3, 4.5))),
    Row("overload: recvmmsg/sendmmsg against NFQUEUE's plain loop", (
        ("in", over("overload", "64", "many_in", "nfqueue"), 3.2, 4.5),
        ("out", over("overload", "64", "many_out", "nfqueue"), 4, 5.5))),
    Row("overload: recvfrom/sendto against NFQUEUE at its best", (
        ("in", over("overload", "64", "divert_in", "nfqueue_best"), 2, 3),
        ("out", over("overload", "64", "divert_out", "nfqueue_best"), 2, 3))),
    Row("no loss: recvfrom/sendto against NFQUEUE's plain loop", (
        ("in", over("loss", "64", "divert_in", "nfqueue", "rate"), 1.8, 3),
        ("out", over("loss", "64", "divert_out", "nfqueue", "rate"), 1.8, 3))),
    Row("overload: recvmmsg/sendmmsg against undiverted", (
        ("in", over("overload", "64", "many_in", "undiverted"), 0.35, 0.5),
        ("out", over("overload", "64", "many_out", "undiverted"), 0.45, 0.6))),
    Row("overload: read and dropped against undiverted", (
        ("in", over("overload", "64", "drop_in", "undiverted"), 0.9, 1.1),)),
    Row("overload: one rule that does not match against none", (
        ("", over("overload", "64", "loaded", "undiverted"), 0.97, 0.99),)),
    Row("TCP: recvfrom/sendto against NFQUEUE's plain loop", (
        ("1 flow", over("tcp", "1", "divert_in", "nfqueue"), 1.5, 3),
        ("4 flows", over("tcp", "4", "divert_in", "nfqueue"), 1.5, 3))),
    Row("TCP: DIVERT_GSO and recvmmsg/sendmmsg against undiverted", (
        ("1 flow", over("tcp", "1", "gso_in", "undiverted"), 0.6, 0.85),
        ("4 flows", over("tcp", "4", "gso_in", "undiverted"), 0.6, 0.85))),
    Row("added round trip at 1,000 packets/s against NFQUEUE's", (
        ("p50", added("latency", "1000", "divert_in", "p50"), 1.1, 0.8),
        ("p99", added("latency", "1000", "divert_in", "p99"), 1.1, 0.8)), most=True),
    Row("added round trip at 50,000 packets/s against NFQUEUE's", (
        ("p50", added("latency", "50000", "divert_in", "p50"), 0.7, 0.4),
        ("p99", added("latency", "50000", "divert_in", "p99"), 0.7, 0.4)), most=True),
    Row("processor time a packet against NFQUEUE's plain loop", (
        ("in", cpu("divert_in"), 0.5, 0.3),), most=True),
)


def judge(results):
    return [row.judge(results) for row in ROWS]
