"""``trainer.kind: custom``: a user's own PyTorch loop in a sweep.

A class that says what the network, the batches and the validation are is enough; see
`CustomTraining`, docs/trainers.md and examples/custom_trainer.py. Naming a class in a sweep file
runs its file, as every command does that trains; `sweep.check` and `sweep.rank` never do.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from torch import Tensor, nn

from sweep.diagnosis import StepValues
from sweep.errors import InputError
from sweep.record import ParameterValue, last_line
from sweep.spec.settings import TrialSettings
from sweep.spec.trainer import CustomTrainer
from sweep.spec.wording import did_you_mean, near_miss
from sweep.trainer.device import choose_device, make_deterministic, seed_everything
from sweep.trainer.guard import Guard
from sweep.trainer.guarded import GuardedRun
from sweep.trainer.losses import TrainingLoss
from sweep.trainer.networks import as_outputs
from sweep.trainer.optimizers import build_optimizer, set_learning_rate
from sweep.trainer.protocol import Run

NEEDED = tuple(name for name in vars(Run) if not name.startswith("_"))
"""The methods without which a class is no run."""


class CustomTraining(GuardedRun):
    """A run of a user's own loop, complete but for three methods.

    `build_model`, `batches` and `validate` have to be there. Optimizer, schedule, gradient clip,
    guard, loss with its geometric terms, precision and seeds are those of the settings, as with our
    own trainer. `compute_loss` may be replaced.

    What a method draws at random it takes from Python's, NumPy's or torch's global generators:
    they are seeded before each call, with (seed, epoch).

    Args:
        settings: the whole configuration; `options` are ``trainer.options``.
    """

    loss: TrainingLoss
    geometric_class = 1
    """Channel of the output that the geometric terms act on."""

    def __init__(self, settings: TrialSettings) -> None:
        assert isinstance(settings.trainer, CustomTrainer)
        self.settings = settings
        self.trainer = settings.trainer
        self.options = Options(settings.trainer.options)
        self.device = choose_device(settings)
        make_deterministic(settings)
        seed_everything(settings.seed, 0)
        self.model = self.build_model().to(self.device)
        self.loss = TrainingLoss(settings.loss, self.geometric_class)
        self.optimizer = build_optimizer(settings.optimizer, self.model.parameters())
        self.guard = Guard(
            self.model,
            self.optimizer,
            settings.optimizer.gradient_clip,
            settings.guard,
            fp16=settings.trainer.amp == "fp16",
        )
        self._steps = 0
        self._recent: deque[tuple[int, int, Any]] = deque(maxlen=self.guard.interval)

    @abstractmethod
    def build_model(self) -> nn.Module:
        """The network, with its first weights; called once, by ``__init__``."""

    @abstractmethod
    def batches(self, epoch: int) -> Iterable[Any]:
        """The batches of an epoch, in their order: ``(images, labels)``, or what `compute_loss`
        takes. With ``trainer.steps_per_epoch`` as many as that, again from the first if need be.
        """

    def compute_loss(self, batch: Any, factor: float) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The loss of a batch (scalar), and its terms before their weights, by name.

        Args:
            batch: one of `batches`; here images ``[B, C, H, W]`` and labels ``[B, 1, H, W]``.
            factor: g(epoch), the geometric factor.
        """
        images, labels = batch
        distances = self.loss.distances(labels.cpu(), factor)
        with self.autocast():
            outputs = as_outputs(self.model(images.to(self.device)))
        return self.loss(
            [output.float() for output in outputs],
            labels.to(self.device),
            factor,
            None if distances is None else distances.to(self.device),
        )

    @property
    def steps_per_epoch(self) -> int:
        """As many as are asked for, or as the last epoch had: 0 before the first."""
        return self.trainer.steps_per_epoch or self._steps

    def train_steps(self, epoch: int, stop: int | None) -> list[StepValues]:
        set_learning_rate(self.optimizer, self.rate(epoch))
        self.guard.start_epoch(epoch, self.factor(epoch))
        self.model.train()
        done: list[StepValues] = []
        count = 0
        for step, batch in enumerate(self._epoch(epoch)):
            if step == stop:
                break
            self._recent.append((epoch, step, batch))
            loss, terms = self.compute_loss(batch, self.factor(epoch))
            done += self.guard.step(loss, terms)
            count += 1
        if stop is None:
            self._steps = count
        return done + self.guard.read()

    def terms_again(self, epoch: int, step: int) -> Mapping[str, Tensor] | None:
        kept = (batch for *place, batch in self._recent if place == [epoch, step])
        batch = next(kept, None)
        return None if batch is None else self.compute_loss(batch, self.factor(epoch))[1]

    def warnings(self, epoch: int) -> tuple[str, ...]:
        """Options that nothing has read by the end of the first epoch."""
        unread = sorted(self.options.keys() - self.options.read) if epoch == 0 else ()
        return tuple(f"`trainer.options.{name}` has no effect: nothing reads it" for name in unread)

    def effective(self) -> dict[str, Any]:
        return {"trainer.entry": entry_of(type(self)), "trainer.options": dict(self.options)}

    def expected(self) -> dict[str, Any]:
        where, _, name = self.trainer.entry.rpartition(":")
        return {"trainer.entry": f"{Path(where).resolve()}:{name}"} if where.endswith(".py") else {}

    def _epoch(self, epoch: int) -> Iterator[Any]:
        """The batches of an epoch, as many as are asked for."""
        wanted, count = self.trainer.steps_per_epoch, 0
        while True:
            before = count
            for batch in self.batches(epoch):
                yield batch
                count += 1
                if count == wanted:
                    return
            if count == before:
                raise ValueError(f"{type(self).__name__}.batches({epoch}) has no batch")
            if wanted is None:
                return


class Options(dict[str, ParameterValue]):
    """``trainer.options``, which remember what was read of them."""

    def __init__(self, options: Mapping[str, ParameterValue]) -> None:
        super().__init__(options)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> ParameterValue:
        self.read.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.read.add(name)
        return super().get(name, default)

    def number(self, name: str, default: float | None = None) -> float:
        """An option that is a number; KeyError without one and without a default."""
        value = self[name] if default is None or name in self else default
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"trainer.options.{name} must be a number, but is {value!r}")
        return value


def load_class(entry: str) -> Callable[[TrialSettings], Run]:
    """The class that ``trainer.entry`` names; its module is imported, which runs it.

    Raises:
        InputError: there is no such class, its module cannot be imported, or it is no `Run`.
    """
    where, _, name = entry.rpartition(":")
    try:
        module = (
            _from_file(Path(where)) if where.endswith(".py") else importlib.import_module(where)
        )
    except Exception as error:  # whatever a user's module raises
        raise _wrong(f"{where} cannot be imported: {last_line(error)}") from error
    found = getattr(module, name, None)
    if not inspect.isclass(found):
        classes = [n for n, value in vars(module).items() if inspect.isclass(value)]
        raise _wrong(f"{where} has no class `{name}`{did_you_mean(near_miss(name, classes))}")
    missing = [method for method in NEEDED if not callable(getattr(found, method, None))]
    missing += sorted(getattr(found, "__abstractmethods__", ()))
    if missing:
        raise _wrong(
            f"`{name}` lacks {', '.join(f'`{method}`' for method in missing)}; see docs/trainers.md"
        )
    return cast(Callable[[TrialSettings], Run], found)


def entry_of(cls: type) -> str:
    """Where a class really comes from, as ``trainer.entry`` names it."""
    file = getattr(sys.modules[cls.__module__], _FILE, None)
    return f"{file or cls.__module__}:{cls.__qualname__}"


_FILE = "__sweep_entry__"
"""Marks a module that was imported because a sweep names its file."""


def _from_file(path: Path) -> ModuleType:
    path = path.resolve()
    # By content: a worker that outlives an edit of the file trains with what stands in it now.
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    name = f"sweep_custom_{path.stem}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # what it imports may lie beside it
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    setattr(module, _FILE, str(path))
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _wrong(message: str) -> InputError:
    return InputError.single(message, key="trainer.entry")
