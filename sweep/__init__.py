"""Ray Tune sweeps for medical-segmentation trainers that know what divergence is."""

__version__ = "0.1.0"
