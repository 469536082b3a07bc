"""The kinds of plug-ins, and how one is found by its name, checked and made."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, get_args

from pydantic import BeforeValidator, TypeAdapter

from sweep.plugins.entry_names import PluginName, as_entry, module_of
from sweep.spec.words.phrases import did_you_mean, meant_among, must_be, near_miss, one_of
from sweep.vocabulary.error_lines import blamed, has_own_line, last_line
from sweep.vocabulary.errors import InputError, SweepError, SweepFailed, TrainerError
from sweep.vocabulary.record import ParameterValue

Options = Mapping[str, ParameterValue]


@dataclass(frozen=True, slots=True)
class PluginKind:
    """What plug-ins of one kind have in common.

    A plug-in is a class or a function. It is called with ``given`` and with the options of the
    sweep's file, by name. What is given goes by name too, if the plug-in has a parameter of one of
    the names that libraries use for each; else by position.

    Args:
        word: what it is, in messages and in the name of its group of entry points.
        key: of the setting that names it.
        given: what it is called with before its options.
        methods: what the object that it returns must have.
        names: of each thing that is given, what libraries call it; empty: it goes by position.
        if_taken: what it is called with besides, by name, if it has parameters of these names.
        is_function: whether it is called again and again while a trial trains. A class is then
            made first, with the options, and its object is called with what is given.
    """

    word: str
    key: str
    given: tuple[str, ...]
    methods: tuple[str, ...]
    names: tuple[tuple[str, ...], ...] = ()
    if_taken: tuple[str, ...] = ()
    is_function: bool = False

    @property
    def group(self) -> str:
        """The group of entry points by which packages register short names."""
        plural = f"{self.word}es" if self.word.endswith("s") else f"{self.word}s"
        return f"medical_sweep.{plural.replace(' ', '_')}"

    @property
    def example(self) -> str:
        """How a plug-in of this kind may be named in a file."""
        return f"my_package.module:My{self.word.title().replace(' ', '')}"

    @property
    def registered(self) -> dict[str, EntryPoint]:
        """What installed packages register, by short name; nothing is imported."""
        return _registered(self.group, tuple((place, _changed(place)) for place in sys.path))

    def entry(self, name: object, own: Collection[str]) -> str | None:
        """The name as a plug-in is kept by, with an absolute path; None where it names none.

        Args:
            own: names of this package, which no plug-in replaces.
        Raises:
            ValueError: as of `as_entry`.
        """
        if not isinstance(name, str) or name in own:
            return None
        return as_entry(name) or (name if name in self.registered else None)

    def resolve(self, name: str, options: Options) -> Callable[..., Any]:
        """The class or function of a plug-in that takes these options; importing it runs it.

        Raises:
            InputError: there is none, its module cannot be imported, it lacks a method, or it does
                not take what it will be called with.
        """
        found = self._imported(name)
        if not callable(found):
            raise self.wrong(f"`{name}` is neither a class nor a function")
        if inspect.isclass(found):
            self._require_methods(found, name)
        is_made_first = self._is_made_first(found)
        arguments, keywords = self._arguments(found, self.given, dict.fromkeys(self.if_taken))
        if is_made_first:
            arguments, keywords = (), {}
        if twice := [f"`{option}`" for option in options if option in keywords]:
            raise self.wrong(f"`{name}` is called with {twice[0]} anyway: it cannot be an option")
        try:
            inspect.signature(found).bind(*arguments, **keywords, **options)
        except TypeError as error:
            wanted = ", ".join([*arguments, *keywords, *(f"{option}=…" for option in options)])
            why = "is a class, so it is made before it is called: it " if is_made_first else ""
            raise self.wrong(f"`{name}` {why}must take ({wanted}): {error}") from error
        except ValueError:  # it is written in C: the call will show
            pass
        return found

    def function(self, name: str, options: Options) -> Callable[..., Any]:
        """What is called with what is given alone: the object of a class, or the function.

        Raises:
            InputError: as of `resolve`.
        """
        found = self.resolve(name, options)
        if self._is_made_first(found):
            with self._making(name, options):
                made: Callable[..., Any] = found(**options)
            return made
        return partial(found, **options) if options else found

    def build(self, name: str, options: Options, *given: Any, **if_taken: Any) -> Any:
        """What the plug-in of a trial returns.

        Args:
            given: in the order of the kind.
            if_taken: by the names of the kind.
        Raises:
            InputError: as of `resolve`.
            TrainerError: a library refuses the options. Errors with a line of the user's own code
                pass: they are those of a trial with these options.
        """
        make = self.resolve(name, options)
        arguments, keywords = self._arguments(make, given, if_taken)
        with self._making(name, options):
            return make(*arguments, **keywords, **options)

    def _arguments(
        self, found: Callable[..., Any], given: Sequence[Any], if_taken: Mapping[str, Any]
    ) -> tuple[Sequence[Any], dict[str, Any]]:
        """What a plug-in gets besides its options, by position and by name."""
        taken = _parameters(found)
        keywords = {name: value for name, value in if_taken.items() if name in taken}
        named = [next(filter(taken.__contains__, names), "") for names in self.names]
        if named and all(named):
            return (), {**keywords, **dict(zip(named, given, strict=True))}
        return given, keywords

    def _is_made_first(self, found: object) -> bool:
        return self.is_function and inspect.isclass(found)

    def make(self, name: str, *given: Any, options: Options) -> Any:
        """What the plug-in returns, with all methods of its kind.

        Raises:
            InputError: as of `resolve`, and where it raises or returns anything else.
        """
        make = self.resolve(name, options)
        try:
            made = make(*given, **options)
        except Exception as error:  # whatever a user's code raises
            raise self.wrong(f"`{name}` cannot be made: {blamed(error)}") from error
        self._require_methods(made, name)
        return made

    @contextmanager
    def calling(self, name: str, what: str) -> Iterator[None]:
        """An error in a call of a plug-in, such as of its ``ask(3)``, ends the sweep in words.

        Raises:
            SweepFailed: with the plug-in, the call, the error, and its file and line.
        """
        try:
            yield
        except SweepError:
            raise
        except Exception as error:  # whatever a user's code raises
            raise self.failed(name, f"`{what}` failed: {blamed(error)}") from error

    @contextmanager
    def _making(self, name: str, options: Options) -> Iterator[None]:
        """An error of a library that makes a plug-in fails the trial with the options.

        Raises:
            TrainerError: with the plug-in, the options and the error. One with a line of the user's
                own code passes.
        """
        try:
            yield
        except Exception as error:
            if has_own_line(error):
                raise
            given = ", ".join(f"{option}={value!r}" for option, value in options.items())
            raise TrainerError(
                f"the {self.word} `{name}` cannot be made with ({given}): {last_line(error)}"
            ) from error

    def failed(self, name: str, what: str) -> SweepFailed:
        """The end of a sweep by a plug-in of this kind."""
        return SweepFailed(f"the {self.word} `{name}`: {what}")

    def wrong(self, message: str) -> InputError:
        """The refusal of a plug-in of this kind."""
        return InputError.single(message, key=self.key)

    def _imported(self, name: str) -> object:
        point = self.registered.get(name)
        entry = name if point is None else point.value.partition("[")[0].strip()
        where, _, attribute = entry.rpartition(":")
        if not where:
            known = list(self.registered)
            raise self.wrong(
                f"no installed package registers the {self.word} `{name}` in `{self.group}`"
                f"{did_you_mean(near_miss(name, known))}"
            )
        if where.endswith(".py") and not Path(where).exists():
            raise self.wrong(f"{where} does not exist")
        try:
            module = module_of(where)
        except (Exception, SystemExit) as error:  # whatever a user's module raises
            raise self.wrong(f"{where} cannot be imported: {blamed(error)}") from error
        if not hasattr(module, attribute):
            meant = did_you_mean(near_miss(attribute, vars(module)))
            raise self.wrong(f"{where} has no `{attribute}`{meant}")
        return getattr(module, attribute)

    def _require_methods(self, found: object, name: str) -> None:
        missing = [one for one in self.methods if not callable(getattr(found, one, None))]
        if missing:
            raise self.wrong(
                f"`{name}` lacks {', '.join(f'`{one}`' for one in missing)}, which every"
                f" {self.word} has; see docs/how-to/plugins.md"
            )


def takes(plugin: Callable[..., Any], name: str) -> bool:
    """Whether a class or function has a parameter of this name."""
    return name in _parameters(plugin)


def _parameters(plugin: Callable[..., Any]) -> Collection[str]:
    """Names of the parameters of a class or function, as far as it tells them."""
    try:
        return inspect.signature(plugin).parameters
    except ValueError:  # it is written in C
        return ()


def required_entry(kind: PluginKind, name: str) -> str:
    """A plug-in's name as it is kept; validates the setting ``entry``.

    Raises:
        ValueError: no plug-in can have this name.
    """
    found = kind.entry(name, own=())
    if found is None:
        names = list(kind.registered)
        raise ValueError(must_be(one_of([kind.example, *names]), name, names))
    return found


def own_or_plugin(kind: PluginKind, own: Any) -> BeforeValidator:
    """Validates one of our own names, or keeps the name of a plug-in.

    Args:
        own: a Literal of our names.
    """
    names, adapter = get_args(own), TypeAdapter[str](own)

    def known(name: object) -> str:
        if entry := kind.entry(name, names):
            return entry
        if isinstance(name, str) and name not in names and not meant_among(name, names):
            raise ValueError(must_be(f"{one_of(names)}, or a plug-in as {kind.example}", name))
        return adapter.validate_python(name)

    return BeforeValidator(known, json_schema_input_type=own | PluginName)


@lru_cache(maxsize=32)
def _registered(group: str, _places: tuple[tuple[str, int | None], ...]) -> dict[str, EntryPoint]:
    """The entry points of a group, by name. To look through all that is installed takes 15 ms, and
    each trial names its plug-ins.

    Args:
        _places: where packages lie, and when each of them changed last.
    """
    return {point.name: point for point in entry_points(group=group)}


def _changed(place: str) -> int | None:
    try:
        return Path(place).stat().st_mtime_ns
    except OSError:  # it does not exist
        return None


def short_name(entry: str) -> str:
    """What a plug-in is called in results: the name of its attribute, or its registered name."""
    return entry.rpartition(":")[2]


NETWORK = PluginKind(
    "network",
    "network.name",
    ("channels", "classes"),
    ("forward",),
    names=(("in_channels", "channels"), ("out_channels", "classes", "num_classes")),
    if_taken=("spatial_dims",),
)
OPTIMIZER = PluginKind("optimizer", "optimizer.name", ("params",), ("step",), if_taken=("lr",))
SEARCHER = PluginKind("searcher", "searcher", ("space", "seed"), ("ask", "tell", "learn"))
SCHEDULER = PluginKind(
    "scheduler",
    "scheduler",
    ("grace_period", "max_epochs"),
    ("expect", "start", "report", "end", "let_on", "decided"),
)
TRACKER = PluginKind(
    "tracker",
    "tracking",
    ("tracked",),
    ("trial_started", "epoch_reported", "trial_waits", "trial_ended", "close"),
)
MAIN_LOSS = PluginKind("main loss", "loss.main", ("logits", "target"), (), is_function=True)
LOSS_TERM = PluginKind("loss term", "loss.terms", ("p",), (), is_function=True)
METRIC = PluginKind(
    "metric",
    "evaluation.metrics",
    ("prediction", "reference"),
    (),
    if_taken=("spacing",),
    is_function=True,
)
DATA_SOURCE = PluginKind("data source", "data.source", ("folder",), ())
