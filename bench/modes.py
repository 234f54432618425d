# SPDX-License-Identifier: BSD-2-Clause
"""How long and how often each suite measures: all of it in less than half an hour, quick in less than
two minutes, smoke as briefly as shows that it works."""

MODES = {
    "full": {
        "overload": {"rounds": 9, "warm": 0.2, "measure": 0.7},
        "loss": {"rounds": 5, "trial": 1.0, "start": 200000, "precision": 1.05, "trials": 14},
        "tcp": {"rounds": 5, "seconds": 2},
        "latency": {"rounds": 5, "asks": 2000, "ms": 1500},
        "cpu": {"rounds": 5, "rate": 100000, "warm": 0.2, "measure": 2.0},
        "stages": {"rounds": 5, "warm": 0.3, "measure": 1.0},
        "profile": {"rounds": 5, "warm": 0.2, "measure": 1.0},
        "tcp_profile": {"rounds": 5, "warm": 0.5, "measure": 1.5},
        "rules": {"rounds": 5, "warm": 0.2, "measure": 0.7},
        "memory": {"rounds": 5},
    },
    "quick": {
        "overload": {"rounds": 3, "warm": 0.1, "measure": 0.4},
        "loss": {"rounds": 1, "trial": 1.0, "start": 250000, "precision": 1.2, "trials": 5},
        "tcp": {"rounds": 1, "seconds": 1},
        "latency": {"rounds": 2, "asks": 2000, "ms": 500},
        "cpu": {"rounds": 3, "rate": 100000, "warm": 0.1, "measure": 0.6},
        "stages": {"rounds": 1, "warm": 0.1, "measure": 0.4},
        "profile": {"rounds": 1, "warm": 0.1, "measure": 0.4},
        "tcp_profile": {"rounds": 1, "warm": 0.1, "measure": 0.4},
        "rules": {"rounds": 1, "warm": 0.1, "measure": 0.3},
        "memory": {"rounds": 1},
    },
    "smoke": {
        "overload": {"rounds": 1, "warm": 0.02, "measure": 0.05},
        "loss": {"rounds": 1, "trial": 0.05, "start": 20000, "precision": 4, "trials": 2},
        "tcp": {"rounds": 1},
        "latency": {"rounds": 1, "asks": 2000, "ms": 50},
        "cpu": {"rounds": 1, "rate": 10000, "warm": 0.02, "measure": 0.1},
        "stages": {"rounds": 1, "warm": 0.02, "measure": 0.05},
        "profile": {"rounds": 1, "warm": 0.02, "measure": 0.05},
        "tcp_profile": {"rounds": 1, "warm": 0.02, "measure": 0.05},
        "rules": {"rounds": 1, "warm": 0.02, "measure": 0.05},
        "memory": {"rounds": 1},
    },
}
