"""Several trials that use one process in turn, each as if it were alone there.

What a trial sets for its process is its own: the random generators, the switches of torch, the
working directory (`sweep.trial.process_state`). At the end of its turn it is noted, and at the
beginning of the next one it is in effect again. Only what differs is written.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from sweep.trial.process_state import GENERATORS, HOOKS, SETTINGS, CleanProcess

OWN = HOOKS | SETTINGS


class OwnProcess:
    """A process as one of the trials that share it finds and leaves it.

    Attributes:
        values: what it has set, by the names of `OWN`.
        random: states of the generators.
        started: the threads and processes that appeared in its turns.
    """

    def __init__(self, clean: CleanProcess) -> None:
        self.values = clean.hooks | clean.settings
        self.random: dict[str, Any] = clean.generators
        self.started: set[threading.Thread | multiprocessing.process.BaseProcess] = set()
        self.stream: Any = None

    def has_own_stream(self) -> None:
        """Give the trial a CUDA stream of its own, if there is a GPU.

        The device then computes what several trials have launched side by side.
        """
        if torch.cuda.is_available():
            self.stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def finish(self) -> None:
        """Wait for what the trial has launched; its memory is then free for others."""
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            (self.stream or torch.cuda.default_stream()).synchronize()


class Turns:
    """The turns of a round; `round_of_turns` makes one."""

    def __init__(self) -> None:
        self.look()

    def look(self) -> None:
        """Read what is in effect now."""
        self.now = {name: setting.read() for name, setting in OWN.items()}

    @contextmanager
    def of(self, own: OwnProcess) -> Iterator[None]:
        """The turn of one trial."""
        self.become(own.values, own.random)
        there = _running()
        try:
            with torch.cuda.stream(own.stream):  # no stream: no effect
                yield
        finally:
            self.look()
            own.values, own.random = self.now, _generators()
            own.started |= _running() - there

    def become(self, values: dict[str, Any], random: dict[str, Any]) -> None:
        """Put these values and generators into effect."""
        for name, value in values.items():
            if self.now[name] != value:
                OWN[name].write(value)
        self.now = values
        for name, state in random.items():
            GENERATORS[name].write(state)


@contextmanager
def round_of_turns() -> Iterator[Turns]:
    """Turns of several trials. After them the process is as it was before."""
    turns, random = Turns(), _generators()
    before = turns.now
    try:
        yield turns
    finally:
        turns.become(before, random)


def _generators() -> dict[str, Any]:
    return {name: generator.read() for name, generator in GENERATORS.items()}


def _running() -> set[threading.Thread | multiprocessing.process.BaseProcess]:
    return {*threading.enumerate(), *multiprocessing.active_children()}
