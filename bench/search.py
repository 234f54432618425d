# SPDX-License-Identifier: BSD-2-Clause
"""The search for the highest rate without loss."""

STEP = 1.5


def highest(trial, start, precision, trials):
    """Find the highest rate without loss, to within a factor of precision; 0 if there is none.

    trial(rate) returns (the rate that was really offered, whether nothing was lost). The search
    begins at start. It goes in the direction that the first trial shows, in steps that grow, and
    then halves the range. It makes no more trials than the limit.
    """
    good, bad, rate, step = 0, None, start, STEP
    for _ in range(trials):
        offered, all_arrived = trial(int(rate))
        if all_arrived:
            good = max(good, min(offered, rate))
            if offered < 0.9 * rate:
                return good  # the generator can offer no more
        else:
            bad = min(bad or rate, rate)
        if bad and good and bad <= good * precision:
            break
        if bad and good:
            rate = (bad * good) ** 0.5
        else:
            rate = rate * step if good else rate / step
            step *= STEP
    return good
