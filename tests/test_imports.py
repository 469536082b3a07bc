"""The architecture as imports: what each layer may load, and that arrows run one way."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from synthetic import drawn, write_sweep

import sweep
from sweep.cli import COMMANDS

PACKAGE = Path(sweep.__file__).parent
HEAVY = {"torch", "monai", "ray", "pandas", "optuna"}


def loaded(code: str) -> set[str]:
    """Top-level modules that ``code`` loads in a fresh interpreter, beyond those of its start."""
    measure = f"import sys; before = set(sys.modules)\n{code}\nprint(*set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-c", measure], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}


def test_vocabulary_needs_nothing_but_the_standard_library() -> None:
    files = sorted((PACKAGE / "vocabulary").glob("[a-z]*.py"))
    names = ", ".join(f"sweep.vocabulary.{file.stem}" for file in files)
    assert loaded(f"import {names}, sweep.machine.codebase") - sys.stdlib_module_names == {"sweep"}


@pytest.mark.parametrize(
    ("absent", "modules"),
    [
        # Our trainer for nnU-Net without Ray and MONAI: tests/nnunet/test_command.py.
        (
            {"torch", "ray", "monai"},
            ["report.report_figures", "report.notebook", "report.page", "page_server.page_app"],
        ),
        (
            {"torch", "ray", "pandas"},
            [
                "search.searchers.searcher",
                "search.searchers.optuna_search",
                "engine.decisions.sweep_controller",
            ],
        ),
        (
            HEAVY | {"tensorboard", "mlflow", "wandb"},
            [
                "store.store",
                "store.read_results",
                "spec.load",
                "analysis",
                "analysis.ranking.ranking_frame",
                "console.live_view",
                "console.ranking_table",
                "console.watch_view",
                "tracking.make_trackers",
            ],
        ),
        (HEAVY | {"mlflow"}, ["tracking.tensorboard_tracker"]),
        (HEAVY | {"scipy"}, ["trainer.custom.entry_point"]),
        ({"torch", "ray", "pandas", "tensorboard", "mlflow"}, ["tracking.study_file"]),
        ({"torch", "ray", "optuna", "tensorboard"}, ["tracking.mlflow_tracker"]),
        ({"torch", "ray", "optuna", "mlflow"}, ["tracking.wandb_tracker"]),
        (
            HEAVY | {"numpy", "plotly", "starlette", "uvicorn"},
            [
                "export",
                "serve",
                "page_server.page_process",
                "watch",
                "run",
                "train",
                "shapes",
                "predict",
                "pictures",
                "init",
            ],
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_layers_are_usable_without_what_they_do_not_need(
    absent: set[str], modules: list[str]
) -> None:
    """In one process: what none of them loads is loaded by none of them."""
    imports = ", ".join(f"sweep.{module}" for module in modules)
    assert loaded(f"import {imports}") & absent == set()


def test_function_of_the_user_and_pixels_are_prepared_with_torch_alone() -> None:
    """What a worker needs for the one, and a driver and each node for the other. MONAI takes
    three times as long as torch, and itself loads Optuna and pandas."""
    code = (
        "import numpy, sweep.trial.fit\n"
        "from sweep.trial.kinds.kind_table import KINDS\n"
        "for module in KINDS['custom'].imports: __import__(module)\n"
        "import sweep.data.prepared.prepare\n"
        "from sweep.data.files.normalize import normalize\n"
        "normalize(numpy.eye(2, dtype=numpy.float32)[None], 'zscore')"
    )
    assert loaded(code) & (HEAVY | {"scipy"}) == {"torch"}


@pytest.mark.parametrize(("options", "heavy"), [([], set()), (["--format", "csv"], {"pandas"})])
def test_ranking_of_a_folder_is_printed_without_anything_heavy(
    options: list[str], heavy: set[str], tmp_path: Path
) -> None:
    """Pandas takes as long to load as the histories of 5,000 trials to read."""
    folder = write_sweep(tmp_path / "synthetic", map(drawn, range(3)))
    code = (
        f"import sweep.rank; sys.argv = ['rank', {str(folder)!r}, *{options}]\n"
        "try: sweep.rank.run_alone(sweep.rank.command)\n"
        "except SystemExit as end: assert not end.code"
    )
    assert loaded(code) & (HEAVY | {"http", "ssl"}) == heavy


def test_sweep_file_is_read_without_the_sources_of_its_settings() -> None:
    """Their docstrings are in them, which only the reference needs. To parse them took a third."""
    code = (
        "import linecache, sweep\n"
        "sweep.load({'name': 'toy', 'space': {'seed': {'choice': [0, 1]}}})\n"
        "assert not [file for file in linecache.cache if 'settings' in file], linecache.cache"
    )
    assert "pydantic" in loaded(code)


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["train", "--help"]])
def test_help_is_answered_without_anything_heavy(arguments: list[str]) -> None:
    code = (
        f"import sys; sys.argv = ['sweep', *{arguments}]\n"
        "from sweep.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code"
    )
    assert loaded(code) & (HEAVY | {"numpy"}) == set()


def test_help_loads_what_draws_it_and_nothing_else() -> None:
    """Of all that is installed; so the answer takes a fraction of a second everywhere."""
    assert loaded("import sweep") - sys.stdlib_module_names == {"sweep"}
    drawn_by = {"typer", "annotated_doc", "shellingham", "click", "typing_extensions"}
    assert loaded("import sweep.cli") - sys.stdlib_module_names <= {"sweep", *drawn_by}


# The sources themselves.


@functools.cache
def modules() -> dict[str, ast.Module]:
    """Every module of the package by its dotted name."""
    found = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = ["sweep", *file.relative_to(PACKAGE).with_suffix("").parts]
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(file.read_text(encoding="utf-8"))
    return found


def imported(nodes: Iterator[ast.AST]) -> Iterator[str]:
    """Dotted names that import statements ask for, each of ``from a import b`` as ``a.b`` too."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@functools.cache
def imports() -> dict[str, set[str]]:
    """Module → the dotted names that it imports anywhere: inside functions, and for type checkers
    alone, too.
    """
    return {name: set(imported(ast.walk(tree))) for name, tree in modules().items()}


def users_of(top_level: str) -> set[str]:
    return {
        module
        for module, names in imports().items()
        if any(name.partition(".")[0] == top_level for name in names)
    }


def test_only_the_engine_imports_ray() -> None:
    users = users_of("ray")
    assert users
    assert all(name.startswith("sweep.engine.") for name in users), users


def test_only_trainers_and_data_import_torch_and_monai() -> None:
    users = users_of("torch") | users_of("monai")
    users = {name for name in users if not name.startswith("sweep.testing.")}  # of plug-ins
    assert {name.split(".")[1] for name in users} <= {"trainer", "data", "nnunet", "trial"}, users


@functools.cache
def arrows() -> dict[str, set[str]]:
    """Module → the modules of the package that it imports."""
    ours = modules().keys() - {"sweep"}
    return {name: (imports()[name] & ours) - {name} for name in ours}


@functools.cache
def room_of(module: str) -> str:
    """The folder of a module; a file that lies beside further folders is a room of its own."""
    folder = module if (PACKAGE.parent / module.replace(".", "/")).is_dir() else ""
    folder = folder or module.rpartition(".")[0]
    has_rooms = any(
        path.is_dir() for path in (PACKAGE.parent / folder.replace(".", "/")).glob("[a-z]*")
    )
    return module if has_rooms else folder


def test_no_module_takes_part_in_an_import_cycle() -> None:
    TopologicalSorter(arrows()).prepare()  # raises CycleError with the cycle


def test_no_room_takes_part_in_an_import_cycle() -> None:
    rooms: dict[str, set[str]] = {}
    for name, targets in arrows().items():
        beyond = {room_of(target) for target in targets} - {room_of(name)}
        rooms.setdefault(room_of(name), set()).update(beyond)
    TopologicalSorter(rooms).prepare()


def test_every_file_name_tells_what_it_is_by_itself() -> None:
    names = Counter(file.name for file in PACKAGE.rglob("*.py") if file.name != "__init__.py")
    assert [name for name, count in names.items() if count > 1] == []


def test_no_room_holds_more_than_a_dozen_files() -> None:
    sizes = Counter(file.parent for file in PACKAGE.rglob("*.py") if file.name != "__init__.py")
    del sizes[PACKAGE]  # every command is a file there, since users type its name
    assert {room: size for room, size in sizes.items() if size > 12} == {}


FLOORS = [
    {"vocabulary"},
    {"machine"},
    {"spec", "plugins"},
    {"store", "data", "search"},
    {"trainer"},
    {"nnunet"},
    {"trial", "analysis"},
    {"console", "command_line", "tracking", "report", "starter", "slurm_job"},
    {"engine"},
    {"api", "testing", "lightning"},
    {"page_server"},
    {*COMMANDS, "cli", "__main__"},
]
"""From the bottom up; a package may import those below and, in one direction, its neighbours."""


def floor_of(module: str) -> int:
    return next(level for level, names in enumerate(FLOORS) if module.split(".")[1] in names)


def test_arrows_between_floors_point_downward() -> None:
    upward = {
        (name, target)
        for name, targets in arrows().items()
        for target in targets
        if floor_of(target) > floor_of(name)
    }
    assert upward == set()


def folder_of(module: str) -> str:
    """The folder of a module below the package, as the map writes it."""
    path = PACKAGE.parent / module.replace(".", "/")
    return (path if path.is_dir() else path.parent).relative_to(PACKAGE).as_posix()


def test_map_names_what_each_room_imports_and_nothing_else() -> None:
    text = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.partition("## Rooms")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([\w/]+)` \| .* \| (.*) \|$", table, flags=re.MULTILINE)
    written = {room: set(re.findall(r"`([\w/]+)`", imports)) for room, imports in rows}
    found: dict[str, set[str]] = {folder_of(name): set() for name in modules()}
    for name, targets in arrows().items():
        found[folder_of(name)] |= {folder_of(target) for target in targets}
    del found["."]  # the commands, which import whatever they call
    found = {
        room: folders
        for room, folders in found.items()
        if [*(PACKAGE / room).glob("*.py")] != [PACKAGE / room / "__init__.py"]
    }
    assert written.keys() == found.keys()
    for room, folders in found.items():
        others = folders - {room, "vocabulary", "machine"}
        names = written[room]
        unnamed = {one for one in others if one not in names and one.split("/")[0] not in names}
        unused = {
            name for name in names if not any(f"{one}/".startswith(f"{name}/") for one in others)
        }
        assert (room, unnamed, unused) == (room, set(), set())
