"""Whether two results folders hold the same: ``python benchmarks/slurm/compare.py ONE OTHER``."""

from __future__ import annotations

import sys

from pandas.testing import assert_frame_equal

import sweep

one, other = map(sweep.open, sys.argv[1:])
for table in ("frame", "replicates", "test"):
    frames = (getattr(results, table) for results in (one, other))
    assert_frame_equal(*(frame.drop(columns="seconds", errors="ignore") for frame in frames))
for trial in other:
    histories = (results[trial].history.drop(columns="seconds") for results in (one, other))
    assert_frame_equal(*histories, check_exact=True)
print(f"{len(other)} trials: ranking, replicates, test and histories are the same, bit for bit")
