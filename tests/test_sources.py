"""What must not stand in the sources of a package whose input may come from anybody."""

from __future__ import annotations

import ast

import pytest

from sweep.machine.codebase import PACKAGE

MODULES = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "code", "runpy"}
"""None is imported: what they read, they run."""
FUNCTIONS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}
METHODS = {"read_pickle", "unsafe_load", "full_load", "load_all"}
SAFE_LOADS = {("torch.load", "weights_only=True"), ("np.load", "allow_pickle=False")}
"""Of all `….load(…)` only these, with this argument written down."""
SAFE = {
    "nibabel.load",
    "YAML(typ='safe', pure=True).load",
    "trial.checkpoint.load",
    "self._trial.checkpoint.load",
}
"""And these: they read numbers, and plain values; a trial's checkpoint was read by the first."""


def unsafe(source: str) -> list[str]:
    """What in a source could run code that comes from elsewhere."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module if isinstance(node, ast.ImportFrom) else None
            names = [module or "", *(alias.name for alias in node.names)]
            found += [name for name in names if name.partition(".")[0] in MODULES]
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            last = name.rpartition(".")[2]
            arguments = {ast.unparse(keyword) for keyword in node.keywords}
            is_safe = any((name, argument) in SAFE_LOADS for argument in arguments)
            is_load = name.endswith(".load") and name not in SAFE and not is_safe
            if name in FUNCTIONS or last in METHODS or is_load:
                found.append(name)
    return found


def test_nothing_that_is_read_can_be_run() -> None:
    found = {str(file): unsafe(file.read_text(encoding="utf-8")) for file in PACKAGE.rglob("*.py")}
    assert found
    assert {file: names for file, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "def f(x): return eval(x)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "numpy.load(path, allow_pickle=True)",
        "yaml.load(text, Loader=yaml.UnsafeLoader)",
        "pandas.read_pickle(path)",
    ],
)
def test_what_could_be_run_is_found(source: str) -> None:
    assert unsafe(source) != []
