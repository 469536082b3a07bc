"""What is wrong with a trainer and its data, told before anything heavy is imported or trained."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.data.prepared.class_presence import class_mistakes
from sweep.data.prepared.image_sizes import side_mistakes
from sweep.data.prepared.prepare import check_pixels
from sweep.data.sources.source_table import check_data, open_source
from sweep.spec.checks.inactive_settings import Rule
from sweep.spec.settings.trainer_settings import CustomTrainer, MonaiTrainer, NnunetTrainer
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.words.phrases import did_you_mean, near_miss
from sweep.vocabulary.errors import Mistake

if TYPE_CHECKING:
    from sweep.data.prepared.samples import PreparedData


def check_trainer(settings: TrialSettings) -> list[Mistake]:
    """Everything that can be told without reading pixels and without running anything.

    A mistake of the settings has a key and no file, one of a dataset names its file.
    """
    match settings.trainer:
        case MonaiTrainer():
            return check_data(settings.data)
        case NnunetTrainer():
            from sweep.nnunet.nnunet_check import check_nnunet

            return check_nnunet(settings)
        case CustomTrainer() as trainer:
            return list(_entry_mistakes(trainer.entry))


def idle_by_look(settings: TrialSettings) -> list[Rule]:
    """What the data and the plans leave without effect, as far as names, plans and headers tell."""
    match settings.trainer:
        case MonaiTrainer():
            return list(open_source(settings.data).idle(getattr(settings, "space", {})))
        case NnunetTrainer():
            from sweep.nnunet.dataset.inactive_nnunet_settings import idle_by_plans

            return list(idle_by_plans(settings))
    return []


def trainer_doubts(settings: TrialSettings) -> list[Mistake]:
    """What names alone show that is allowed but hardly meant, where nothing is wrong."""
    match settings.trainer:
        case MonaiTrainer():
            return open_source(settings.data).doubts()
        case NnunetTrainer():
            from sweep.nnunet.nnunet_check import nnunet_doubts

            return nnunet_doubts(settings)
        case _:
            return []


NOT_READ = {
    "nnunet": "nnU-Net looks at its images itself, when it plans",
    "custom": "only the custom class knows its data",
}
"""Kind of trainer → why its pixels are not looked at here."""


class Look:
    """`check_trainer`, which also reads the pixels where it is told to.

    Args:
        pixels: read them, where nothing else is wrong with the data.

    Attributes:
        data: the first that were read; None where none were.
    """

    def __init__(self, *, pixels: bool) -> None:
        self._pixels = pixels
        self._read: dict[str, tuple[list[Mistake], PreparedData | None]] = {}
        self._told: dict[str, str] = {}
        self.data: PreparedData | None = None

    @property
    def warnings(self) -> list[str]:
        """What names and pixels show that is no mistake; of several folds that of the first."""
        return list(self._told.values())

    def __call__(self, settings: TrialSettings) -> list[Mistake]:
        found = check_trainer(settings)
        if found:
            return found
        for doubt in trainer_doubts(settings):
            self._told.setdefault(doubt.kind, str(doubt))
        if not self._pixels:
            return found
        if not isinstance(settings.trainer, MonaiTrainer):
            told = f"--data reads nothing: {NOT_READ[settings.trainer.kind]}"
            self._told.setdefault(told, told)
            return found
        read = settings.data.model_dump_json()
        if read not in self._read:  # a searched fold asks again and again
            self._read[read] = check_pixels(settings.data)
        mistakes, data = self._read[read]
        if data is None:
            return mistakes
        self.data = self.data or data
        self._told.update({text: text for text in data.warnings})
        return [*side_mistakes(settings, data), *class_mistakes(settings, data)]


def _entry_mistakes(entry: str) -> Iterator[Mistake]:
    """A file, package or class that there is not; read and never imported, which would run it."""
    where, _, name = entry.rpartition(":")
    if where.endswith(".py"):
        if not Path(where).is_file():
            yield Mistake(f"{where} is no file", key="trainer.entry")
            return
        yield from _source_mistakes(Path(where), name)
    elif find_spec(package := where.partition(".")[0]) is None:
        yield Mistake(f"the package {package} is not installed", key="trainer.entry")
    elif (source := _source_of(where)) is not None:  # else compiled: the import will tell
        yield from _source_mistakes(source, name)


def _source_of(module: str) -> Path | None:
    """The file of a module, found without importing the packages that hold it; None: no such."""
    *packages, last = module.split(".")
    found = find_spec(packages[0] if packages else last)
    if not packages:
        origin = found.origin if found else None
        return Path(origin) if origin and origin.endswith(".py") else None
    folders = [Path(place) for place in (found.submodule_search_locations or () if found else ())]
    below = [folder.joinpath(*packages[1:], last) for folder in folders]
    files = [file for path in below for file in (path.with_suffix(".py"), path / "__init__.py")]
    return next((file for file in files if file.is_file()), None)


def _source_mistakes(source: Path, name: str) -> Iterator[Mistake]:
    try:
        tree = ast.parse(source.read_bytes(), str(source))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        message = getattr(error, "msg", str(error))
        yield Mistake(f"is not Python: {message}", file=str(source), line=line)
        return
    except OSError as error:
        yield Mistake(f"{source} cannot be read: {error.strerror}", key="trainer.entry")
        return
    names = set(_bound(tree.body))
    if name not in names and "*" not in names:
        found = names - _modules(tree)
        meant = did_you_mean(near_miss(name, sorted(found), 0.6) or _same(name, found))
        yield Mistake(f"{source} has no `{name}`{meant}", key="trainer.entry")


def _bound(body: Iterable[ast.stmt]) -> Iterator[str]:
    """Names that the statements of a module give to something; ``*`` where nobody can know."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((one.asname or one.name).partition(".")[0] for one in node.names)
        for below in ast.walk(node):  # also in `if` and `try`, where classes may be made too
            if isinstance(below, ast.ClassDef | ast.FunctionDef):
                yield below.name
            elif isinstance(below, ast.alias):
                yield (below.asname or below.name).partition(".")[0]
            elif isinstance(below, ast.Name) and isinstance(below.ctx, ast.Store):
                yield below.id
            elif isinstance(below, ast.Call) and getattr(below.func, "id", "") in DYNAMIC:
                yield "*"


def _modules(tree: ast.Module) -> set[str]:
    """Names that are modules for certain, and so no trainer."""
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.Import))
    return {(one.asname or one.name).partition(".")[0] for node in imports for one in node.names}


def _same(name: str, names: Iterable[str]) -> str | None:
    """The name that differs in case alone."""
    return next((one for one in names if one.lower() == name.lower()), None)


DYNAMIC = ("globals", "exec", "setattr")
"""Calls after which a module may have any name."""
