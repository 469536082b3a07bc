"""Data sources: from nnU-Net's raw layout or a generator to samples shared by all trials."""
