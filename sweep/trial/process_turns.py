"""Several trials that use one process in turn, each as if it were alone there.

What a trial sets for its process is its own: the random generators, the switches of torch, the
hooks, the environment, the working directory (`sweep.trial.process_state`). All of that is noted at
the end of its turn, and is in effect again at the beginning of the next one.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from sweep.trial.process_state import GENERATORS, HOOKS, SETTINGS, CleanProcess

Started = threading.Thread | multiprocessing.process.BaseProcess
SWITCHES = HOOKS | SETTINGS


class OwnProcess:
    """A process as one of the trials that share it leaves and finds it.

    Args:
        clean: as its first turn finds it.
        switches: as its first turn finds them, by the names of `SWITCHES`; None: as
            in ``clean``.

    Attributes:
        switches: what it has set, by the names of `SWITCHES`.
        generators: their states, by the names of `GENERATORS`.
        started: the threads and processes that appeared in its turns.
        stream: the CUDA stream of its turns; None: the one of the process.
    """

    def __init__(self, clean: CleanProcess, switches: Mapping[str, Any] | None = None) -> None:
        self.switches: Mapping[str, Any] = switches or clean.hooks | clean.settings
        self.generators: Mapping[str, Any] = clean.generators
        self.started: set[Started] = set()
        self.stream: torch.cuda.Stream | None = None

    def take_own_stream(self) -> None:
        """Launch on a stream of its own, if there is a GPU, which computes beside other streams.

        Call it before the first turn: memory belongs to the stream for which it was reserved.
        """
        if torch.cuda.is_available():
            self.stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def finish(self) -> None:
        """Wait for what the trial has launched: its memory is then free for others."""
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            (self.stream or torch.cuda.default_stream()).synchronize()


class Turns:
    """Turns of trials, one after the other; see `round_of_turns`.

    Attributes:
        now: the switches that are in effect.
    """

    def __init__(self) -> None:
        self.look()

    def look(self) -> None:
        """Read the switches, after other code may have changed them."""
        self.now = {name: switch.read() for name, switch in SWITCHES.items()}

    @contextmanager
    def of(self, own: OwnProcess) -> Iterator[None]:
        """The turn of one trial."""
        self.put(own.switches, own.generators)
        before = _running()
        try:
            with torch.cuda.stream(own.stream):  # without a stream it does nothing
                yield
        finally:
            self.look()
            own.switches, own.generators = self.now, _states()
            own.started |= _running() - before

    def put(self, switches: Mapping[str, Any], generators: Mapping[str, Any]) -> None:
        """Put into effect what differs of the switches, and the generators."""
        for name, value in switches.items():
            if self.now[name] != value:
                SWITCHES[name].write(value)
        self.now = dict(switches)
        for name, state in generators.items():
            GENERATORS[name].write(state)


@contextmanager
def round_of_turns() -> Iterator[Turns]:
    """Turns of several trials. After them the process is as it was before."""
    turns, generators = Turns(), _states()
    switches = turns.now
    try:
        yield turns
    finally:
        turns.look()  # an interrupt may have come in the middle of a change
        turns.put(switches, generators)


def _states() -> dict[str, Any]:
    return {name: generator.read() for name, generator in GENERATORS.items()}


def _running() -> set[Started]:
    return {*threading.enumerate(), *multiprocessing.active_children()}
