"""A geometric term is one field and one line: a fifth is added to a copy of the sources, and found
wherever terms are asked for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sweep
from sweep.spec.settings.geometric_terms import ROOT_TERMS, TERMS, GeometricWeights
from sweep.trainer.losses.geometric import SHAPE_TERMS
from sweep.trainer.losses.geometric_loss import REFERENCE_TERMS

FIELD = '''
    roughness: Annotated[float, GeometricTerm(has_root=True, in_volumes={in_volumes})] = Field(
        default=0.25, ge=0
    )
    """Sum of the roots of the soft mask."""
'''
LINES = """
    "roughness": ShapeTerm(
        lambda p, epsilon, mode, _: guarded_sqrt(p, epsilon, mode).flatten(1).sum(dim=1)
    ),
"""


def with_a_fifth(root: Path, *, in_volumes: bool) -> Path:
    """Folder of a copy of the package whose two files have a term more."""
    package = Path(sweep.__file__).parent
    shutil.copytree(package, root / "sweep", ignore=shutil.ignore_patterns("__pycache__"))
    described = FIELD.format(in_volumes=in_volumes)
    _insert(root / "sweep/spec/settings/geometric_terms.py", "\n    @property\n", described)
    _insert(root / "sweep/trainer/losses/geometric.py", '    "aspect": ShapeTerm(', LINES)
    return root


def _insert(file: Path, before: str, text: str) -> None:
    parts = file.read_text(encoding="utf-8").partition(before)
    assert parts[1]
    file.write_text(parts[0] + text + parts[1] + parts[2], encoding="utf-8")


IN_COPY = """
import json, sys, traceback
import sweep

root, *codes = json.load(sys.stdin)
assert sweep.__file__.startswith(root)
for code in codes:
    try:
        exec(code, {})
        print(json.dumps(""))
    except Exception:
        print(json.dumps(traceback.format_exc()))
"""


def in_copy(root: Path, *codes: str) -> list[str]:
    """The tracebacks of assertions that run with the copied package, "" of those that hold."""
    done = subprocess.run(
        [sys.executable, "-c", IN_COPY],
        input=json.dumps([str(root), *codes]),
        capture_output=True,
        text=True,
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


SETTING = """\
import json
from sweep.spec.reference.json_schema import trial_schema
from sweep.spec.tree.setting_tree import after_switch_on_keys, setting_names
from sweep.spec.settings.loss_settings import LossSettings
from sweep.spec.settings.trial_settings import NO_GEOMETRY, TrialSettings
from sweep.spec.space.presets import PRESETS

key = "loss.weights.roughness"
assert key in setting_names() and key in after_switch_on_keys()
assert TrialSettings().loss.weights.roughness == 0.25
assert "Sum of the roots" in json.dumps(trial_schema())
for name in ("baseline", "logcosh-2024", "geometric-v2.3", "geometric-recommended"):
    assert PRESETS[name].settings[key] == 0
assert not LossSettings.model_validate(NO_GEOMETRY).ramp.acts
alone = {"weights": dict.fromkeys(("compactness", "boundary", "aspect"), 0)}
assert LossSettings.model_validate(alone).ramp.acts
"""
COMPUTED = """\
import torch
from sweep.spec.settings.loss_settings import LossSettings
from sweep.trainer.losses.geometric_loss import geometric_terms

settings = LossSettings(min_area=0, sqrt_epsilon=0, sqrt_mode="offset")
found = geometric_terms(settings, torch.full((2, 8, 8), 0.25))
assert list(found) == ["compactness", "boundary", "aspect", "roughness"]
assert found["roughness"] == 32
volume = torch.full((2, 4, 8, 8), 0.25)
assert geometric_terms(settings, volume, spacing=(2, 1, 1))["roughness"] == 128

from types import SimpleNamespace
from sweep.trainer.runs.readers import READERS

parts = SimpleNamespace(loss=SimpleNamespace(settings=LossSettings()))
assert READERS["loss.weights.roughness"](parts) == 0.25
"""
ROOT = """\
from sweep.spec.checks.doubtful_settings import warnings
from sweep.spec.checks.inactive_settings import inactive_in
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.divergence.advice import Case
from sweep.trainer.divergence.verdicts import advise
from sweep.trainer.runs.explain import epsilon_of
from sweep.vocabulary.record import Divergence, Stage

def loss(roughness):
    none = dict.fromkeys(("compactness", "boundary", "aspect"), 0)
    return {"sqrt_epsilon": 0, "weights": none | {"roughness": roughness}}

space = {"early_stopping.patience": {"choice": [3, 5]}}
for weight in (0, 1):
    values = {"loss": loss(weight)}
    settings = TrialSettings.model_validate(values)
    spec = SweepSpec.model_validate(values | {"name": "x", "space": space})
    assert any("`loss.sqrt_epsilon` 0" in told for told in warnings(spec)) == bool(weight)
    idle = {"loss.sqrt_epsilon", "loss.min_area", "trainer.geometric_class"}
    assert (idle & inactive_in(settings).keys() == set()) == bool(weight)
    assert (epsilon_of(settings.loss, 100, None) is not None) == bool(weight)
broken = Divergence(
    cause="nonfinite", epoch=30, step=0, stage=Stage.GRADIENT, term="roughness", message="NaN"
)
assert advise(Case(verdict=broken, settings=settings)).setting == "loss.sqrt_epsilon"
"""
REFUSED = """\
from pathlib import Path
from sweep.spec.load import load_sweep
from sweep.spec.settings.geometric_terms import TERMS
from sweep.vocabulary.errors import InputError

def told(text):
    Path("x.yaml").write_text(text)
    try:
        load_sweep("x.yaml")
    except InputError as error:
        return [(mistake.key, mistake.message) for mistake in error.mistakes]
    return []

trainer = "trainer: {kind: nnunet, dataset: 1, configuration: %s, geometry: %s}\\n"
space = "space: {loss.warmup_epochs: {randint: [0, 9]}}\\n"
key = "loss.weights.roughness"
for configuration, geometry, text in (
    ("3d_fullres", "slices", space), ("2d", "volume", space),
    ("3d_fullres", "volume", space + "loss: {weights: {roughness: 0}}\\n"),
):
    found = told(trainer % (configuration, geometry) + text)
    assert not any("whole volumes" in message for _, message in found), found
volume = trainer % ("3d_fullres", "volume")
searched = "space: {loss.weights.roughness: {uniform: [0.5, 1]}}\\n"
searched += "loss: {weights: {roughness: 0}}\\n"
for text, where in ((volume + space, key), (volume + searched, f"space.{key}")):
    found = {key for key, message in told(text) if "on whole volumes: must be 0" in message}
    assert found == (set() if TERMS["roughness"].in_volumes else {where}), told(text)
"""


@pytest.fixture(scope="module")
def fifth(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What went wrong in a copy with a fifth term, of each piece of code."""
    root = with_a_fifth(tmp_path_factory.mktemp("fifth"), in_volumes=True)
    codes = (SETTING, COMPUTED, ROOT, REFUSED)
    return dict(zip(codes, in_copy(root, *codes), strict=True))


def test_fifth_term_is_a_setting_that_switches_on_late_and_weighs_nothing_in_the_baseline(
    fifth: dict[str, str],
) -> None:
    assert fifth[SETTING] == ""


def test_fifth_term_is_computed_in_images_and_volumes_and_read_back_from_the_loss(
    fifth: dict[str, str],
) -> None:
    assert fifth[COMPUTED] == ""


def test_root_of_the_fifth_term_is_known_to_warnings_advice_and_post_mortems(
    fifth: dict[str, str],
) -> None:
    assert fifth[ROOT] == ""


def test_fifth_term_is_refused_with_its_key_where_volumes_need_what_it_has_not(
    fifth: dict[str, str], tmp_path: Path
) -> None:
    assert fifth[REFUSED] == ""
    assert in_copy(with_a_fifth(tmp_path, in_volumes=False), REFUSED) == [""]


def test_every_term_is_described_and_computed() -> None:
    assert TERMS.keys() == GeometricWeights.model_fields.keys()
    assert {name for name, term in TERMS.items() if term.compares} == REFERENCE_TERMS.keys()
    assert {name for name, term in TERMS.items() if not term.compares} == SHAPE_TERMS.keys()


def test_terms_with_a_root_are_those_that_epsilon_changes() -> None:
    import torch

    p = torch.rand(1, 9, 9, generator=torch.Generator().manual_seed(0))
    changed = {
        name
        for name, term in SHAPE_TERMS.items()
        if term.of_masks(p, 0.0, "offset", ()) != term.of_masks(p, 1.0, "offset", ())
    }
    assert changed == set(ROOT_TERMS)
