"""Pictures of a real sweep: drawn at its end, and on request."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from typer.testing import CliRunner

import sweep
from sweep.analysis.ranking.ranking_frame import write_ranking
from sweep.api.handover import draw
from sweep.api.results import SweepResults
from sweep.cli import app
from sweep.console.sweep_view import View, Words
from sweep.engine.session.draw_finalists import _Drawing, draw_finalists
from sweep.engine.session.executor import in_turn
from sweep.store.at_uri.mirrored_results import MirroredStore
from sweep.store.at_uri.remote_folder import Mirror, RemoteFolder, files_below
from sweep.store.case_table import read_cases
from sweep.store.layout import Layout
from sweep.store.pictures.composed_picture import titled_pngs
from sweep.store.pictures.picture_index import TrialPictures, picture_bytes, read_pictures
from sweep.store.store import Store
from sweep.tracking.tracker import Tracked, Tracker
from sweep.trial.pictures.case_choice import dice_of_cases, extreme_cases
from sweep.vocabulary.errors import InputError

SPACE = {
    "name": "drawn",
    "presets": ["baseline"],
    "searcher": {"name": "grid"},
    "scheduler": {"name": "none"},
    "data": {"source": "shapes", "difficulty": 0, "size": 32, "count": 25},
    "trainer": {"epochs": 9, "batch_size": 4, "device": "cpu"},
    "network": {"name": "unet", "channels": [4, 8, 16]},
    "loss": {"warmup_epochs": 2, "rampup_epochs": 1},
    "optimizer": {"lr": 0.1, "momentum": 0.95},
    "tracking": ["tensorboard", f"{__file__}:Heard"],
    "space": {"loss.sqrt_epsilon": {"choice": [0, 1e-6]}},
}
"""The baseline, a trial that diverges in its first step with the geometric loss, and one that does
not."""
DIVERGED = "t0001"


class Heard(Tracker):
    """A plug-in: writes what it hears after the trials."""

    def __init__(self, tracked: Tracked) -> None:
        self._layout, self._heard = tracked.layout, list[str]()

    def ranked(self) -> None:
        assert self._layout.ranking_csv.exists()
        self._heard.append("ranked")

    def pictures_drawn(self, trial_id: str, pictures: Mapping[str, bytes]) -> None:
        assert all(png.startswith(b"\x89PNG") for png in pictures.values())
        self._heard.append(f"{trial_id}: {len(pictures)}")

    def close(self) -> None:
        (self._layout.folder / "heard.txt").write_text("\n".join(self._heard))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> SweepResults:
    folder = tmp_path_factory.mktemp("results")
    return sweep.run(SPACE, results=folder, executor="local", progress=False)


def pair_of(results: SweepResults) -> tuple[str, str]:
    """The leader, and the one that it is compared with."""
    leader = results.best.trial_id
    return leader, next(name for name in ("t0000", "t0002") if name != leader)


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
    pair = pair_of(results)
    leader, baseline = (pictures_of(results, name) for name in pair)
    assert (leader.compared_with, baseline.compared_with) == pair[::-1]
    shown = [{c.case for c in one.cases if "differs" in c.reasons} for one in (leader, baseline)]
    assert shown[0] == shown[1]
    assert shown[0]
    case = next(iter(shown[0]))
    images = [
        picture_bytes(Layout(results.folder).trial(name), c.planes[0].first.image)
        for name, one in zip(pair, (leader, baseline), strict=True)
        for c in one.cases
        if c.case == case
    ]
    assert images[0] == images[1]  # only the marks differ


def test_tensorboard_has_the_pictures(results: SweepResults) -> None:
    events = Layout(results.folder).tensorboard / results.best.trial_id
    assert any(b"segmentations/worst" in path.read_bytes() for path in events.iterdir())


def test_a_plug_in_hears_of_the_ranking_and_gets_the_pictures(results: SweepResults) -> None:
    ranked, *drawn = (results.folder / "heard.txt").read_text().splitlines()
    assert ranked == "ranked"
    counts = {name: len(titled_pngs(Layout(results.folder).trial(name))) for name in results}
    assert {*drawn} == {f"{name}: {count}" for name, count in counts.items() if count}


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
    assert found.compared_with == pair_of(results)[1]
    code, output = run(results.folder, "--cases", "nobody")
    assert (code, "must be a validation case of" in output) == (2, True)
    shutil.rmtree(trial.pictures)
    code, output = run(copy.folder, "--cases", other)  # of the leader and the baseline
    assert (code, output.count(f"{other} (asked)")) == (0, 2)


def test_a_folder_of_before_gets_its_pictures_from_the_weights(
    results: SweepResults, tmp_path: Path
) -> None:
    copy = Layout(Path(shutil.copytree(results.folder, tmp_path / "old")))
    for name in pair_of(results):
        shutil.rmtree(copy.trial(name).pictures)
        copy.trial(name).cases.unlink()
    assert run(copy.folder)[0] == 0
    for name in pair_of(results):
        assert read_pictures(copy.trial(name)) == pictures_of(results, name)


def test_what_the_uri_alone_has_is_drawn_and_sent_there(
    results: SweepResults, object_store: str, tmp_path: Path
) -> None:
    remote = RemoteFolder(f"{object_store}/pictures/drawn")
    without = [file for file in files_below(results.folder) if file.parent.name != "pictures"]
    Mirror(results.folder, remote).send(without)
    code, output = run(remote.uri)
    assert code == 0
    for name in pair_of(results):
        assert f"  {remote.uri}/trials/{name}/pictures  (" in output
    assert f"python -m sweep.export {remote.uri} --format html -o ." in output
    with MirroredStore.open_at(remote, tmp_path / "driver") as store:
        assert not store.layout.trial(DIVERGED).offending.exists()
        leader = results.best.trial_id
        drawn = draw_finalists(results.spec, store, leader, pytest.fail, lambda _: nullcontext())
        assert {*drawn} == {*results}
        for name in results:
            assert read_pictures(store.layout.trial(name)) == pictures_of(results, name)
    assert remote.read(f"trials/{DIVERGED}/pictures/index.json")


def test_wrong_requests_are_told_with_what_would_be_right(
    results: SweepResults, tmp_path: Path
) -> None:
    leader = results.best.trial_id
    assert "has no trial t0042; it has t0000 to t0002" in run(results.folder, "t0042")[1]
    code, output = run(results.folder, leader, "--cases", "nobody")
    assert code == 2
    assert f"must be a validation case of {leader}" in output
    code, output = run(results.folder, leader, "--channel", "T2")
    assert (code, "must be `intensity`" in output) == (2, True)
    copy = Layout(Path(shutil.copytree(results.folder, tmp_path / "copy")))
    copy.trial(leader).best_checkpoint.unlink()
    code, output = run(copy.folder, leader)
    assert (code, "best.pt" in output) == (2, True)


def test_a_channel_that_the_data_lack_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"pictures\.channel: must be `intensity`, but is \"T2\""):
        sweep.run(SPACE, {"pictures.channel": "T2"}, results=tmp_path, executor="local")
    assert not any(tmp_path.iterdir())


def test_the_batch_of_a_divergence_is_drawn_with_its_soft_masks(results: SweepResults) -> None:
    verdict = results[DIVERGED].divergence
    assert verdict is not None
    assert verdict.diagnosis is not None
    batch = pictures_of(results, DIVERGED).batch
    assert batch is not None
    assert (batch.epoch, batch.step) == (verdict.epoch, verdict.step)
    assert {one.case for one in batch.samples} == set(verdict.diagnosis.cases)
    areas = [area for area in verdict.diagnosis.soft_areas if area is not None]
    assert [one.soft_area for one in batch.samples] == pytest.approx(sorted(areas))


def test_a_failure_of_a_library_while_drawing_is_a_warning(
    results: SweepResults, tmp_path: Path
) -> None:
    class BrokenGpu(View):
        def working(self, on: str) -> AbstractContextManager[Words]:
            raise RuntimeError("CUDA error: out of memory")

        def warn(self, *warnings: str) -> None:
            told.extend(warnings)

    told = list[str]()
    copy = Path(shutil.copytree(results.folder, tmp_path / "copy"))
    shutil.rmtree(Layout(copy).trial(results.best.trial_id).pictures)
    with Store.open(copy) as store:
        draw(results.spec, store, write_ranking(copy), BrokenGpu())
    assert told == ["not all pictures are drawn: RuntimeError: CUDA error: out of memory"]


def test_finalists_for_whom_no_time_is_left_are_named_and_drawn_another_time(
    results: SweepResults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(results.folder, tmp_path / "copy"))
    told, first, last = list[str](), *pair_of(results)
    with Store.open(copy) as store:
        for name in (first, last):
            shutil.rmtree(store.layout.trial(name).pictures)
        drawing = _Drawing(store, told.append, nullcontext, in_turn(store), 10**6, None)
        monkeypatch.setattr("sweep.engine.session.draw_finalists.LONGEST", -1.0)
        assert list(drawing.trials([[first], [last]])) == [first]
        assert told == [
            f"no pictures of {last}: drawing the others took more than -1 s; `sweep.pictures` draws"
            " any trial"
        ]
        assert read_pictures(store.layout.trial(last)) is None
        assert list(drawing.trials([[first], [last]])) == [first, last], (
            "what is drawn takes no time"
        )


def test_without_space_nothing_is_drawn_and_what_is_drawn_is_not_drawn_again(
    results: SweepResults, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(results.folder, tmp_path / "copy"))
    spec, leader, busy = results.spec, results.best.trial_id, list[str]()

    def working(on: str) -> AbstractContextManager[None]:
        busy.append(on)
        return nullcontext()

    with Store.open(copy) as store:
        every = draw_finalists(spec, store, leader, pytest.fail, working)
        assert ({*every}, busy) == ({*results}, [])
        shutil.rmtree(store.layout.trial(leader).pictures)
        none = spec.model_copy(update={"pictures": None})
        assert draw_finalists(none, store, leader, pytest.fail, working) == []
        draw_finalists(spec, store, leader, pytest.fail, working)
        assert busy == [f"Drawing segmentations of {' and '.join(pair_of(results))}"]
        assert read_pictures(store.layout.trial(leader)) == pictures_of(results, leader)
