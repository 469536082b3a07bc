"""The modules of users, which are run again for each trial that a worker takes up.

A module keeps what a trial does to it: a counter, a generator, a network that it trains. What it
does when it is run, such as to set torch's default dtype, is undone after the trial. A module that
is run again is as in a fresh process.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from functools import cache
from importlib.metadata import packages_distributions

from sweep.plugins.entry_names import module_of
from sweep.plugins.user_files import BELOW, FILE_MARK
from sweep.vocabulary.error_lines import is_users, last_line


def run_again(before: Collection[str]) -> tuple[str, ...]:
    """Run all modules of users again that were imported since.

    Those of Python and of installed packages stay as they are: many cannot be imported twice. A
    package whose files lie elsewhere (``pip install -e``) is an installed one too.

    Args:
        before: the names of the modules that were there.
    Returns:
        a sentence if a module cannot be run again. All then are as they were.
    """
    own = {
        name: module
        for name, module in sys.modules.items()
        if name not in before and _is_own(name, getattr(module, "__file__", None))
    }
    others = sys.modules.keys() - own.keys()
    for name in own:
        del sys.modules[name]
    try:
        # First the files that a sweep names: others are found because they lie beside them.
        for name in sorted(own, key=lambda name: not name.startswith(BELOW)):
            module_of(getattr(own[name], FILE_MARK, name))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a user's module raises
        for name in sys.modules.keys() - others:
            if _is_own(name, getattr(sys.modules[name], "__file__", None)):
                del sys.modules[name]
        sys.modules.update(own)
        return (f"a module of the trial before cannot be run again: {last_line(error)}",)
    return ()


def _is_own(name: str, file: str | None) -> bool:
    is_named = name.startswith(BELOW)  # by a sweep, as a file
    return is_named or (is_users(file or "") and name.partition(".")[0] not in _installed())


@cache
def _installed() -> Mapping[str, list[str]]:
    """Packages of all distributions, by the name that is imported; reading them takes 0.3 s."""
    return packages_distributions()
