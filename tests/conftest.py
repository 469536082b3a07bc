"""Shared by all tests: no clock decides a test, no test touches the user's cache."""

import os
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import settings

from sweep.codebase import PACKAGE

# Before anything imports sweep.data: generated datasets are shared by the whole test session.
_cache = tempfile.TemporaryDirectory(prefix="sweep-tests-")
os.environ["MEDICAL_SWEEP_CACHE"] = _cache.name

settings.register_profile("sweep", deadline=None, derandomize=True)
# To look further by hand: pytest tests/hostile --hypothesis-profile=long
settings.register_profile("long", deadline=None, max_examples=5_000, print_blob=True)
settings.load_profile("sweep")


@pytest.fixture(autouse=True, scope="session")
def _imported_from_where_it_is_installed() -> Iterator[None]:
    """Not warned about: tests may run on a second checkout beside the installed one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sweep.codebase._location", lambda _: PACKAGE)
        yield
