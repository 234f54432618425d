# SPDX-License-Identifier: BSD-2-Clause
"""The ratios that a run is judged by: what each compares, and its lower or upper bound."""


class Row:
    """parts: (name, spread of results, floor, aim). With most set, the floors are upper bounds."""

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
    """What one subject adds to undiverted forwarding, divided by what the other adds."""
    return lambda results: results.paired(
        lambda x, y, zero: (x - zero) / (y - zero) if y > zero else None,
        *((suite, case, name, quantity) for name in (subject, base, none)),
    )


# of the packets offered: if fewer arrived, the loads differ and CPU times cannot be compared
ALL = 0.98


def cpu(subject, base="nfqueue", none="undiverted"):
    """The ratio at each rate that was measured, from the rounds in which all subjects reached that
    rate."""

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


def in_out(suite, program, base, floors, aims, quantity="goodput"):
    """Ratios for both directions, with packets of 64 bytes."""
    return [(way, over(suite, "64", f"{program}_{way}", base, quantity), floor, aim)
            for way, floor, aim in zip(("in", "out"), floors, aims)]


def flows(subject, base, floor, aim, suite="tcp"):
    return [(name, over(suite, case, subject, base), floor, aim) for case, name in (("1", "1 flow"), ("4", "4 flows"))]


def percentiles(rate, floor, aim):
    return [(p, added("latency", rate, "divert_in", p), floor, aim) for p in ("p50", "p99")]


ROWS = (
    Row("overload: recvfrom/sendto against NFQUEUE's plain loop",
        in_out("overload", "divert", "nfqueue", (2.5, 3), (3.5, 4.5))),
    Row("overload: recvmmsg/sendmmsg against NFQUEUE's plain loop",
        in_out("overload", "many", "nfqueue", (3.2, 4), (4.5, 5.5))),
    Row("overload: recvfrom/sendto against NFQUEUE at its best",
        in_out("overload", "divert", "nfqueue_best", (2, 2), (3, 3))),
    Row("no loss: recvfrom/sendto against NFQUEUE's plain loop",
        in_out("loss", "divert", "nfqueue", (1.8, 1.8), (3, 3), "rate")),
    Row("overload: recvmmsg/sendmmsg against undiverted",
        in_out("overload", "many", "undiverted", (0.35, 0.45), (0.5, 0.6))),
    Row("overload: read and dropped against undiverted",
        [("in", over("overload", "64", "drop_in", "undiverted"), 0.9, 1.1)]),
    Row("overload: one rule that does not match against none",
        [("", over("overload", "64", "loaded", "undiverted"), 0.97, 0.99)]),
    Row("TCP: recvfrom/sendto against NFQUEUE's plain loop", flows("divert_in", "nfqueue", 1.5, 3)),
    Row("TCP: DIVERT_GSO and recvmmsg/sendmmsg against undiverted", flows("gso_in", "undiverted", 0.6, 0.85)),
    Row("64-byte UDP, first 6 packets of each flow, against undiverted",
        [(name, over("flows", "64", subject, "undiverted"), 0.8, 0.95)
         for name, subject in (("first 6", "first_in"), ("released", "release_in"))]),
    Row("TCP, first 6 packets of each flow, against undiverted",
        [(f"{name}, {part}", spread, floor, aim)
         for name, subject in (("first 6", "first_in"), ("released", "release_in"), ("DIVERT_GSO", "release_gso"))
         for part, spread, floor, aim in flows(subject, "undiverted", 0.9, 0.97, "flows_tcp")]),
    Row("added round trip at 1,000 packets/s against NFQUEUE's", percentiles("1000", 1.1, 0.8), most=True),
    Row("added round trip at 50,000 packets/s against NFQUEUE's", percentiles("50000", 0.7, 0.4), most=True),
    Row("processor time a packet against NFQUEUE's plain loop", [("in", cpu("divert_in"), 0.5, 0.3)], most=True),
)


def judge(results):
    return [row.judge(results) for row in ROWS]
