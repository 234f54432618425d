#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Reads the text format of Prometheus on standard input, strictly. Prints a line for each sample:
its name, its labels as Python has them, its value. Ends with what is wrong."""

import re
import sys

NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
HELP = re.compile(rf"# HELP ({NAME}) ((?:[^\\\n]|\\[\\n])+)")
TYPE = re.compile(rf"# TYPE ({NAME}) (counter|gauge)")
SAMPLE = re.compile(rf"({NAME})(?:{{(.*)}})? ([0-9]+(?:\.[0-9]+)?)")
UNITS = "_seconds _bytes _packets _sockets _info _loaded".split()

text = sys.stdin.read()
if not text.endswith("\n"):
    sys.exit("the last line has no end")
helped, types, seen, name = {}, {}, set(), ""
for number, line in enumerate(text.splitlines(), 1):
    if match := HELP.fullmatch(line):
        name = match[1]
        if name in helped:
            sys.exit(f"line {number}: {name} stands in two places")
        helped[name] = match[2]
    elif match := TYPE.fullmatch(line):
        if match[1] != name or name in types:
            sys.exit(f"line {number}: TYPE is not behind its HELP: {line}")
        types[name] = match[2]
        if (match[2] == "counter") != name.endswith("_total"):
            sys.exit(f"line {number}: a {match[2]} of this name: {name}")
        if not any(name.removesuffix("_total").endswith(unit) for unit in UNITS):
            sys.exit(f"line {number}: {name} has no unit")
    elif match := SAMPLE.fullmatch(line):
        if match[1] != name or name not in types:
            sys.exit(f"line {number}: a sample of {match[1]} behind the head of {name}")
        labels, at = {}, 0
        rest = match[2] or ""
        while at < len(rest):
            label = LABEL.match(rest, at)
            if not label or label[1] in labels:
                sys.exit(f"line {number}: labels: {rest[at:]}")
            labels[label[1]] = re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), label[2])
            at = label.end()
        key = name, *sorted(labels.items())
        if key in seen:
            sys.exit(f"line {number}: twice: {line}")
        seen.add(key)
        print(name, *(f"{k}={v}" for k, v in labels.items()), match[3])
    else:
        sys.exit(f"line {number}: {line}")
