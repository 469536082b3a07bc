"""What stands in ``provenance.json``, and that it stands there before anything is trained."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from cut_short import cut_short

import sweep
from sweep.analysis.provenance_facts import Start, last_start
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.store.layout import TrialPaths
from sweep.trainer.readback.provenance import PACKAGES, record
from sweep.trainer.runs.monai_run import MonaiTraining
from sweep.trainer.runs.run_protocol import EffectiveConfiguration
from sweep.trial.checkpoints import Checkpoints
from sweep.trial.fit import fit
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import NotApplied

MakeTrial = Callable[..., TrialSettings]


def runs(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text())["runs"]
    return found


def test_trial_records_what_it_trains_with_which_code_and_where(
    trial: MakeTrial, tmp_path: Path
) -> None:
    path = TrialPaths(tmp_path).provenance
    fit(trial("loss.warmup_epochs=1", "trainer.epochs=1"), provenance=path)
    [run] = runs(path)
    assert run["first_epoch"] == 0
    assert run["effective"]["loss.warmup_epochs"] == 1
    assert run["effective"]["optimizer.momentum"] == 0.95
    assert run["effective"]["data.count"] == 15
    assert run["effective"]["trainer.device"] == "cpu"  # never `auto`: what it came to
    assert run["without_effect"]["optimizer.schedule"] == (
        "a single epoch has a single learning rate"
    )
    assert run["network"]["class"].endswith(".UNet")
    assert run["cases"] == {"training": 12, "validation": 3}
    assert run["classes"] == {"regions": False, "ignore": None}
    assert run["code"]["path"] == str(Path(sweep.__file__).parent)
    assert run["versions"]["torch"] == version("torch")
    assert run["versions"].keys() == {"python", *PACKAGES}
    assert run["machine"]["hostname"] == socket.gethostname()
    assert run["machine"]["threads"] == 1
    assert run["machine"]["device"]


def test_trial_that_is_taken_up_again_records_with_what_and_from_where(
    trial: MakeTrial, tmp_path: Path
) -> None:
    path = TrialPaths(tmp_path).provenance

    cut_short(trial(), 2, checkpoint=Checkpoints(tmp_path), provenance=path)
    fit(trial(), checkpoint=Checkpoints(tmp_path), provenance=path)
    assert [run["first_epoch"] for run in runs(path)] == [0, 2]


def test_what_was_found_is_recorded_even_where_it_is_not_what_was_asked_for(
    trial: MakeTrial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MonaiTraining, "factor", lambda self, epoch: float(epoch >= 3))
    path = TrialPaths(tmp_path).provenance
    with pytest.raises(NotApplied, match=r"loss.warmup_epochs is 2 in the configuration but 3"):
        fit(trial(), provenance=path)
    assert runs(path)[0]["effective"]["loss.warmup_epochs"] == 3


def test_trial_that_goes_on_with_other_code_or_packages_is_warned_about(
    trial: MakeTrial, tmp_path: Path
) -> None:
    path = TrialPaths(tmp_path).provenance
    fit(trial("trainer.epochs=2"), checkpoint=Checkpoints(tmp_path), provenance=path)
    recorded = {"runs": runs(path)}
    recorded["runs"][0]["code"]["sources"] = "0" * 64
    recorded["runs"][0]["versions"]["torch"] = "1.0"
    path.write_text(json.dumps(recorded))
    history: list[EpochMetrics] = []
    fit(trial(), report=history.append, checkpoint=Checkpoints(tmp_path), provenance=path)
    assert [bool(metrics.warnings) for metrics in history] == [False, False, True, False]
    assert history[2].warnings == (
        "from epoch 2 on the trial trains with other code of this package than before",
        f"from epoch 2 on the trial trains with torch {version('torch')}, before with torch 1.0",
    )


def test_trial_that_goes_on_with_an_edited_file_of_the_user_is_warned_about(
    trial: MakeTrial, tmp_path: Path
) -> None:
    term, path = tmp_path / "term.py", TrialPaths(tmp_path).provenance
    term.write_text("def mine(p):\n    return p.mean((1, 2))\n")
    settings = f"loss={{terms: ['{term}:mine'], weights: {{mine: 0.1}}, warmup_epochs: 1}}"
    begun = trial(settings, "trainer.epochs=2")
    fit(begun, checkpoint=Checkpoints(tmp_path), provenance=path)
    term.write_text("def mine(p):\n    return p.sum((1, 2))\n")
    history: list[EpochMetrics] = []
    goes_on = trial(settings, "trainer.epochs=3")
    fit(goes_on, report=history.append, checkpoint=Checkpoints(tmp_path), provenance=path)
    assert [metrics.warnings for metrics in history] == [
        (),
        (),
        ("from epoch 2 on the trial trains with another text of term.py than before",),
    ]


def test_field_that_is_null_or_absent_is_unknown_to_every_reader_and_no_difference(
    trial: MakeTrial, tmp_path: Path
) -> None:
    path = TrialPaths(tmp_path).provenance
    fit(trial("trainer.epochs=1"), provenance=path)
    [whole] = runs(path)
    goes_on = EffectiveConfiguration(effective={"trainer.device": "cpu"}, model=None)

    def written(run: Mapping[str, Any]) -> tuple[Start, tuple[str, ...]]:
        path.write_text(json.dumps({"runs": [run]}))
        return last_start(TrialPaths(tmp_path)), record(path, trial(), goes_on, 1)

    for name in whole:
        absent = {key: value for key, value in whole.items() if key != name}
        assert written(absent) == written(whole | {name: None}) == (ANY, ())
    groups = ("network", "cases", "classes", "code", "machine")
    for group, name in [(outer, key) for outer in groups for key in whole[outer]]:
        inner = {key: value for key, value in whole[group].items() if key != name}
        absent, null = whole | {group: inner}, whole | {group: inner | {name: None}}
        assert written(absent) == written(null) == (ANY, ())


def test_package_that_was_not_installed_before_is_a_difference(
    trial: MakeTrial, tmp_path: Path
) -> None:
    path = TrialPaths(tmp_path).provenance
    path.write_text(json.dumps({"runs": [{"versions": {"torch": None, "of-old": "1.0"}}]}))
    history: list[EpochMetrics] = []
    fit(trial("trainer.epochs=1"), report=history.append, provenance=path)
    assert history[0].warnings == (
        f"from epoch 0 on the trial trains with torch {version('torch')}, before without torch",
    )
