# SPDX-License-Identifier: BSD-3-Clause
"""What a few pairs of measurements say: medians, and how far to trust them."""

import math


def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def interval(values, trust=0.95):
    """(low, high, coverage) of the median by order statistics: no assumption about how values spread.

    The k-th smallest and k-th largest, k as great as trust allows. Below 6 values nothing reaches
    95 %: then it is the range, and coverage says what that is worth.
    """
    ordered = sorted(values)
    n = len(ordered)
    best = 1
    for k in range(1, (n + 1) // 2 + 1):
        if coverage(n, k) >= trust:
            best = k
    return ordered[best - 1], ordered[n - best], coverage(n, best)


def coverage(n, k):
    """How likely the true median lies between the k-th smallest and the k-th largest of n."""
    return max(0.0, 1 - 2 * sum(math.comb(n, i) for i in range(k)) / 2**n)


def ratio_of(ours, theirs):
    """Of percentages both may be nothing."""
    if theirs:
        return ours / theirs
    return 1e9 if ours else 1.0


class Summary:
    """Pairs of (ours, theirs), taken one after the other."""

    def __init__(self, pairs):
        self.pairs = len(pairs)
        self.ours = median([ours for ours, _ in pairs])
        self.theirs = median([theirs for _, theirs in pairs])
        ratios = [ratio_of(ours, theirs) for ours, theirs in pairs]
        self.ratio = median(ratios)
        self.low, self.high, self.coverage = interval(ratios)
        differences = [ours - theirs for ours, theirs in pairs]
        self.difference = median(differences)


def geometric_mean(values):
    return math.exp(sum(math.log(v) for v in values) / len(values))


def self_test():
    assert median([3, 1, 2]) == 2 and median([4, 1, 2, 3]) == 2.5
    assert abs(coverage(9, 2) - (1 - 20 / 512)) < 1e-12
    low, high, sure = interval([9, 8, 7, 6, 5, 4, 3, 2, 1])
    assert (low, high) == (2, 8) and 0.96 < sure < 0.962
    assert interval(list(range(1, 21)))[:2] == (6, 15)  # the table in every textbook
    assert interval([5, 1, 3])[:2] == (1, 5) and interval([5, 1, 3])[2] == 0.75
    assert interval([7]) == (7, 7, 0.0)
    pairs = [(2.0 * drift, 4.0 * drift) for drift in (1, 5, 1, 5, 1, 5, 1, 5, 1)]
    s = Summary(pairs)  # a machine that drifts fivefold leaves the ratio alone
    assert s.ratio == s.low == s.high == 0.5 and (s.ours, s.theirs, s.pairs) == (2, 4, 9)
    s = Summary(pairs[:8] + [(400.0, 4.0)])  # and one stray pair hardly moves anything
    assert s.ratio == s.high == 0.5
    assert abs(Summary([(0.08, 0.07)] * 9).difference - 0.01) < 1e-12
    assert ratio_of(0, 0) == 1 and ratio_of(5, 0) > 1e6 and ratio_of(0, 5) == 0
    assert abs(geometric_mean([1, 4]) - 2) < 1e-12
