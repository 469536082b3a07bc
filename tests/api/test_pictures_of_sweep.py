"""Pictures of a real sweep: drawn at its end, and on request."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import sweep
from sweep.api.results import SweepResults
from sweep.cli import app
from sweep.store.case_table import read_cases
from sweep.store.layout import Layout
from sweep.store.pictures.picture_index import TrialPictures, picture_bytes, read_pictures
from sweep.trial.pictures.case_choice import dice_of_cases, extreme_cases

SPACE = {
    "name": "drawn",
    "trials": 3,
    "presets": ["baseline"],
    "searcher": {"name": "random"},
    "scheduler": {"name": "none"},
    "data": {"source": "shapes", "difficulty": 0.3, "size": 32, "count": 15},
    "trainer": {"epochs": 4, "batch_size": 4, "device": "cpu"},
    "network": {"name": "unet", "channels": [4, 8, 16]},
    "loss": {"warmup_epochs": 2, "rampup_epochs": 0, "sqrt_epsilon": 1e-6},
    "optimizer": {"lr": 0.1, "momentum": 0.95},
    "tracking": ["tensorboard"],
    "space": {"loss.weights.compactness": {"uniform": [0.01, 0.1]}},
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> SweepResults:
    folder = tmp_path_factory.mktemp("results")
    return sweep.run(SPACE, results=folder, executor="local", progress=False)


def pictures_of(results: SweepResults, name: str) -> TrialPictures:
    found = read_pictures(Layout(results.folder).trial(name))
    assert found is not None
    return found


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["pictures", *map(str, arguments)])
    return done.exit_code, done.output


def test_the_leader_has_its_worst_median_and_best_case_by_the_recorded_dice(
    results: SweepResults,
) -> None:
    best = results.best
    recorded = read_cases(Layout(results.folder).trial(best.trial_id).cases)
    dice = dice_of_cases(recorded)
    found = pictures_of(results, best.trial_id)
    by_reason = {case.reasons[0]: case for case in found.cases if case.reasons[0] != "differs"}
    assert {case.case: reason for reason, case in by_reason.items()} == extreme_cases(dice)
    for case in found.cases:
        assert case.dice == pytest.approx(dice[case.case])
        (row,) = (one for one in recorded if one.case == case.case)
        assert case.nsd == row.values["nsd"]


def test_leader_and_baseline_show_the_cases_on_which_they_differ(results: SweepResults) -> None:
    leader, baseline = (pictures_of(results, name) for name in (results.best.trial_id, "t0000"))
    assert results.best.trial_id != "t0000"
    assert (leader.compared_with, baseline.compared_with) == ("t0000", results.best.trial_id)
    shown = [{c.case for c in one.cases if "differs" in c.reasons} for one in (leader, baseline)]
    assert shown[0] == shown[1]
    assert shown[0]
    trial = Layout(results.folder).trial
    case = next(iter(shown[0]))
    images = [
        picture_bytes(trial(name), c.planes[0].first.image)
        for name, one in ((results.best.trial_id, leader), ("t0000", baseline))
        for c in one.cases
        if c.case == case
    ]
    assert images[0] == images[1]  # only the marks differ


def test_every_finalist_is_drawn_and_tensorboard_has_the_pictures(results: SweepResults) -> None:
    assert all(pictures_of(results, name).cases for name in results)
    events = Layout(results.folder).tensorboard / results.best.trial_id
    assert any(b"segmentations/worst" in path.read_bytes() for path in events.iterdir())


def test_drawn_again_the_bytes_are_the_same_and_an_asked_case_is_added(
    results: SweepResults, tmp_path: Path
) -> None:
    copy = Layout(Path(shutil.copytree(results.folder, tmp_path / "copy")))
    trial = copy.trial(results.best.trial_id)
    before = {path.name: path.read_bytes() for path in trial.pictures.iterdir()}
    assert run(copy.folder, results.best.trial_id)[0] == 0
    assert {path.name: path.read_bytes() for path in trial.pictures.iterdir()} == before
    drawn = {case.case for case in pictures_of(results, results.best.trial_id).cases}
    other = next(c for c in dice_of_cases(read_cases(trial.cases)) if c not in drawn)
    code, output = run(copy.folder, results.best.trial_id, "--cases", other)
    assert (code, f"{other} (asked)" in output) == (0, True)
    found = read_pictures(trial)
    assert found is not None
    assert found.compared_with == "t0000"


def test_a_folder_of_before_gets_its_pictures_from_the_weights(
    results: SweepResults, tmp_path: Path
) -> None:
    copy = Layout(Path(shutil.copytree(results.folder, tmp_path / "old")))
    for name in results:
        shutil.rmtree(copy.trial(name).pictures)
        copy.trial(name).cases.unlink()
    assert run(copy.folder)[0] == 0
    for name in (results.best.trial_id, "t0000"):
        assert read_pictures(copy.trial(name)) == pictures_of(results, name)


def test_wrong_requests_are_told_with_what_would_be_right(
    results: SweepResults, tmp_path: Path
) -> None:
    assert "has no trial t0042; it has t0000 to t0002" in run(results.folder, "t0042")[1]
    code, output = run(results.folder, "t0001", "--cases", "nobody")
    assert code == 2
    assert "must be a validation case of t0001" in output
    assert "--channel" in run(results.folder, "t0001", "--channel", "T2")[1]
    copy = Layout(Path(shutil.copytree(results.folder, tmp_path / "copy")))
    copy.trial("t0001").best_checkpoint.unlink()
    code, output = run(copy.folder, "t0001")
    assert code != 0
    assert "best.pt" in output


def test_the_batch_of_a_divergence_is_drawn_with_its_soft_masks(tmp_path: Path) -> None:
    loss = {"loss.sqrt_epsilon": 0, "loss.sqrt_mode": "offset", "trials": 1, "presets": []}
    space = {"loss.weights.compactness": {"uniform": [5.0, 10.0]}}
    data = {"data.difficulty": 0, "name": "nan", "tracking": []}
    results = sweep.run(
        {**SPACE, "space": space},
        {**loss, **data},
        results=tmp_path,
        executor="local",
        progress=False,
    )
    verdict = results["t0000"].divergence
    assert verdict is not None
    assert verdict.diagnosis is not None
    batch = pictures_of(results, "t0000").batch
    assert batch is not None
    assert (batch.epoch, batch.step) == (verdict.epoch, verdict.step)
    assert {one.case for one in batch.samples} <= set(verdict.diagnosis.cases)
    areas = [area for area in verdict.diagnosis.soft_areas if area is not None]
    assert [one.soft_area for one in batch.samples] == pytest.approx(sorted(areas))


def test_a_sweep_without_space_for_pictures_draws_none(tmp_path: Path) -> None:
    few = {"trials": 1, "presets": [], "trainer.epochs": 1, "tracking": []}
    results = sweep.run(
        SPACE,
        {**few, "pictures.megabytes": 0},
        results=tmp_path,
        executor="local",
        progress=False,
    )
    assert not Layout(results.folder).trial("t0000").pictures.exists()
