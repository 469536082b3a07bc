"""Shared by all tests: no clock decides a test, no test touches the user's cache."""

import os
import tempfile

from hypothesis import settings

# Before anything imports sweep.data: generated datasets are shared by the whole test session.
_cache = tempfile.TemporaryDirectory(prefix="sweep-tests-")
os.environ["MEDICAL_SWEEP_CACHE"] = _cache.name

settings.register_profile("sweep", deadline=None, derandomize=True)
settings.load_profile("sweep")
