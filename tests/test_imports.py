"""The architecture as imports: what each layer may load, and that arrows run one way."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import sweep

PACKAGE = Path(sweep.__file__).parent
HEAVY = {"torch", "monai", "ray", "pandas", "optuna"}


def loaded(code: str) -> set[str]:
    """Top-level modules that ``code`` loads in a fresh interpreter, beyond those of its start."""
    measure = f"import sys; before = set(sys.modules)\n{code}\nprint(*set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-c", measure], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}


@pytest.mark.parametrize(
    "module",
    ["sweep.record", "sweep.objective", "sweep.errors", "sweep.stopping", "sweep.codebase"],
)
def test_vocabulary_needs_nothing_but_the_standard_library(module: str) -> None:
    assert loaded(f"import {module}") - sys.stdlib_module_names == {"sweep"}


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("sweep.trainer.fit", {"ray"}),  # MONAI itself loads Optuna and pandas
        ("sweep.analysis.ranking", {"torch", "ray"}),
        ("sweep.analysis.exhibits", {"torch", "ray", "monai"}),
        ("sweep.report.notebook", {"torch", "ray", "monai"}),
        ("sweep.report.page", {"torch", "ray", "monai"}),
        ("sweep.nnunet.trainer", {"ray"}),
        ("sweep.data.prepare", {"ray"}),
        ("sweep.search.searcher", {"torch", "ray", "pandas"}),
        ("sweep.search.optuna_search", {"torch", "ray", "pandas"}),
        ("sweep.engine.conductor", {"torch", "ray", "pandas"}),
        ("sweep.store.store", HEAVY),
        ("sweep.spec.load", HEAVY),
        ("sweep.console.live", HEAVY),
        ("sweep.tracking.make", HEAVY | {"tensorboard", "mlflow"}),
        ("sweep.tracking.tensorboard_tracker", HEAVY | {"mlflow"}),
        ("sweep.tracking.study_file", {"torch", "ray", "pandas", "tensorboard", "mlflow"}),
        ("sweep.tracking.mlflow_tracker", {"torch", "ray", "optuna", "tensorboard"}),
        ("sweep.console.tables", HEAVY),
        ("sweep.console.watching", HEAVY),
        ("sweep.export", HEAVY | {"numpy", "plotly"}),
        ("sweep.watch", HEAVY | {"numpy"}),
        ("sweep.run", HEAVY | {"numpy"}),
        ("sweep.train", HEAVY | {"numpy"}),
        ("sweep.shapes", HEAVY | {"numpy"}),
    ],
)
def test_layer_is_usable_without_what_it_does_not_need(module: str, absent: set[str]) -> None:
    assert loaded(f"import {module}") & absent == set()


def test_ranking_a_folder_loads_pandas_but_neither_torch_nor_ray() -> None:
    code = "from sweep.analysis.ranking import ranking_frame; ranking_frame([], [])"
    assert loaded(code) & HEAVY == {"pandas"}


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["train", "--help"]])
def test_help_is_answered_without_anything_heavy(arguments: list[str]) -> None:
    code = (
        f"import sys; sys.argv = ['sweep', *{arguments}]\n"
        "from sweep.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code"
    )
    assert loaded(code) & (HEAVY | {"numpy"}) == set()


# The sources themselves.


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


def at_import_time(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when a module is imported: not in functions, not for type checkers."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from at_import_time(child)


def names_of(top_level: str, tree: ast.Module) -> set[str]:
    return {name for name in imported(ast.walk(tree)) if name.partition(".")[0] == top_level}


def test_only_the_engine_imports_ray() -> None:
    users = {name for name, tree in modules().items() if names_of("ray", tree)}
    assert users
    assert all(name.startswith("sweep.engine.") for name in users), users


def test_only_trainers_and_data_import_torch_and_monai() -> None:
    users = {
        name
        for name, tree in modules().items()
        if names_of("torch", tree) or names_of("monai", tree)
    }
    assert all(
        name.startswith(("sweep.trainer.", "sweep.data.", "sweep.nnunet.")) for name in users
    ), users


def test_no_module_takes_part_in_an_import_cycle() -> None:
    trees = modules()
    graph = {
        name: {target for target in imported(at_import_time(tree)) if target in trees} - {name}
        for name, tree in trees.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError with the cycle


LAYERS = [
    {"errors", "record", "objective", "diagnosis", "strict_json", "stopping", "codebase"}
    | {"interrupted", "identity"},
    {"spec"},
    {"store", "data", "search"},
    {"trainer", "nnunet", "analysis"},
    {"engine", "console", "tracking", "report"},
    {"handover"},
    {"run", "check", "rank", "export", "train", "schema", "shapes", "watch", "cli", "__main__"},
]
"""From the bottom up; a layer may import those below and itself."""


def layer_of(module: str) -> int:
    parts = module.split(".")
    return next(level for level, names in enumerate(LAYERS) if parts[1] in names)


def test_arrows_between_layers_point_downward_even_inside_functions() -> None:
    trees = {name: tree for name, tree in modules().items() if name != "sweep"}
    upward = {
        (name, target)
        for name, tree in trees.items()
        for target in imported(ast.walk(tree))
        if target in trees and layer_of(target) > layer_of(name)
    }
    assert upward == set()
