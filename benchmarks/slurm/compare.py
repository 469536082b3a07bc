"""Whether two results folders hold the same: ``python benchmarks/slurm/compare.py ONE OTHER``."""

from __future__ import annotations

import sys

from pandas.testing import assert_frame_equal

import sweep

one, other = map(sweep.open, sys.argv[1:])
assert_frame_equal(one.frame.drop(columns="seconds"), other.frame.drop(columns="seconds"))
for trial in other:
    histories = (results[trial].history.drop(columns="seconds") for results in (one, other))
    assert_frame_equal(*histories, check_exact=True)
print(f"{len(list(other))} trials: ranking and histories are the same, bit for bit")
