"""Ray Tune sweeps for medical-segmentation trainers that know what divergence is."""

import sys

from sweep.machine.interrupted import expect_interruption

__version__ = "0.1.0"

if sys.argv[:1] == ["-m"]:  # `python -m sweep.…`, before it imports anything
    expect_interruption()
