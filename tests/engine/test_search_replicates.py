"""Replicates inside the search: the same in any order, after any kill, by any workers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from scripted import write_scripted
from test_raced_replicates import run
from test_replicates import blocks, execute, go_on
from test_sweep_controller import (  # the last one is a fixture for the whole module
    ASHA,
    HALVING,
    MEMORY,
    _no_text_is_parsed_or_written_twice,  # noqa: F401
    spec_of,
    trial_of,
)

import sweep
from sweep.analysis.confirm.search_replicates import SearchReplicates
from sweep.analysis.figures.runs_on_folds import runs_on_folds
from sweep.analysis.figures.sweep_results import read_results
from sweep.analysis.ranking.finalists import Planned, finalists
from sweep.analysis.ranking.ranking_frame import ranking_frame
from sweep.analysis.ranking.sweep_state import SweepState
from sweep.api.results import SweepResults
from sweep.engine.decisions.sweep_controller import SweepController
from sweep.report.headline import counts, headline, state
from sweep.search.searchers.optuna_search import OptunaSearch
from sweep.spec.load import to_yaml
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.session_changes import extended
from sweep.spec.words.phrases import plural
from sweep.store.journal import TrialStarted, read_journal
from sweep.store.layout import Layout, is_replicate
from sweep.store.store import Store
from sweep.vocabulary.record import Status, TrialRecord, searched

TPE = {"name": "tpe", "startup_trials": 4}


@pytest.fixture(autouse=True, scope="module")
def _no_configuration_is_read_twice() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("test_replicates.load_trial", lambda path: trial_of(path.read_text()))
        yield


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In memory where that is possible: a disk takes milliseconds for each durable write."""
    with TemporaryDirectory(dir=MEMORY) as made:
        yield Path(made)


def replicated(**changes: Any) -> SweepSpec:
    """Two runs on each of two folds: in the second on the first fold, half diverge."""
    values = {"trials": 9, "seed": 1, "replicate": {"folds": 2, "seeds": 2}, "scheduler": "none"}
    return spec_of(**values | changes)


def started(folder: Path) -> list[str]:
    events = read_journal(Layout(folder).journal)
    return [event.trial_id for event in events if isinstance(event, TrialStarted)]


def in_search(records: list[TrialRecord]) -> list[tuple[str, int, int]]:
    """Trial, seed and fold of each replicate of the search."""
    found = [record.replicate for record in records if record.replicate is not None]
    return [(one.of, *one.block) for one in found if one.in_search]


@pytest.mark.parametrize("scheduler", ["none", HALVING], ids=["none", "halving"])
@pytest.mark.parametrize(("seed", "workers", "kills"), [(1, 1, 2), (2, 3, 0), (4, 9, 4)])
def test_replicates_are_the_same_in_any_order_after_any_kill_and_by_any_workers(
    tmp_path: Path, scheduler: Any, seed: int, workers: int, kills: int
) -> None:
    spec = replicated(scheduler=scheduler, trials=12)
    undisturbed = run(spec, tmp_path / "a", 0, 1)
    other = run(spec, tmp_path / "b", seed, workers, kills)
    assert sorted(in_search(other)) == sorted(in_search(undisturbed)) != []
    frames = [ranking_frame(records, list(spec.space), spec) for records in (undisturbed, other)]
    assert frames[0].equals(frames[1])
    assert len(in_search(other)) < 12 * 3


@pytest.mark.parametrize("kills", [1, 4])
def test_search_that_learns_and_is_killed_trains_what_the_undisturbed_one_does(
    tmp_path: Path, kills: int
) -> None:
    spec = replicated(searcher=TPE)
    undisturbed = run(spec, tmp_path / "a", 0, 1)
    assert run(spec, tmp_path / "b", kills, 1, kills) == undisturbed
    assert started(tmp_path / "b") == started(tmp_path / "a")


def test_searcher_that_learns_has_its_replicates_before_the_proposals_that_learn_from_them(
    tmp_path: Path,
) -> None:
    run(replicated(searcher=TPE), tmp_path / "x", 0, 1)
    order = started(tmp_path / "x")
    first = next(n for n, name in enumerate(order) if is_replicate(name))
    assert order[:first] == ["t0000", "t0001", "t0002", "t0003"]
    assert not all(is_replicate(name) for name in order[first:])


def test_searcher_that_learns_nothing_has_its_replicates_after_all_trials(tmp_path: Path) -> None:
    run(replicated(), tmp_path / "x", 0, 3)
    are = [is_replicate(name) for name in started(tmp_path / "x")]
    assert are == sorted(are)


def test_tpe_learns_from_the_mean_and_random_search_does_not(tmp_path: Path) -> None:
    for searcher, is_same in ((TPE, False), ("random", True)):
        spec = replicated(searcher=searcher, trials=14)
        with_replicates = searched(run(spec, tmp_path / f"a{is_same}", 0, 1))
        plain = spec.model_copy(update={"replicate": None})
        without = run(plain, tmp_path / f"b{is_same}", 0, 1)
        drawn = [[r.parameters for r in records] for records in (with_replicates, without)]
        assert (drawn[0] == drawn[1]) is is_same
        assert drawn[0][:4] == drawn[1][:4]


def test_searcher_is_told_the_runs_that_diverged_as_the_ranking_counts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = dict[int, tuple[Any, ...]]()
    monkeypatch.setattr(
        OptunaSearch, "replicate", lambda _, number, *runs: told.update({number: runs})
    )
    records = searched(run(replicated(searcher=TPE, trials=14), tmp_path / "x", 0, 1))
    ranked = {one.number: (one.replicated, len(one.diverged_runs)) for one in records}
    assert told.items() <= ranked.items()
    assert any(diverged for _, diverged in told.values())


def test_pruned_and_diverged_trials_are_trained_on_no_further_fold(tmp_path: Path) -> None:
    records = run(replicated(scheduler=ASHA, trials=12), tmp_path / "x", 0, 2)
    by_id = {record.trial_id: record for record in records}
    of = {name for name, _, _ in in_search(records)}
    assert {by_id[name].status for name in of} == {Status.COMPLETED}
    assert Status.PRUNED in {record.status for record in records if not record.replicate}
    for name in of:  # a run without a score is the last of its trial
        own = [r for r in records if r.replicate and r.replicate.of == name]
        assert all(run.status.has_result for run in own[:-1])


def test_replicates_have_their_own_fold_and_the_confirmation_further_seeds(tmp_path: Path) -> None:
    spec = replicated(confirm={"top": 2, "seeds": 2, "folds": 1}, presets=["baseline"])
    records = run(spec, tmp_path / "x", 0, 2)
    runs = in_search(records)
    assert {(seed, fold) for _, seed, fold in runs} == {(1001, 1), (2, 0), (1002, 1)}
    confirmed = {block for block in blocks(records) if block not in runs}
    assert {(seed, fold) for _, seed, fold in confirmed} == {(3, 0), (4, 0)}
    chosen = [record.trial_id for record in finalists(spec, records)]
    assert {of for of, _, _ in confirmed} == set(chosen)
    most = max(len(one.replicated) for one in searched(records))
    assert most == len(next(r for r in searched(records) if r.trial_id == chosen[0]).replicated)


def test_planned_trials_and_live_ranking_are_those_of_the_records(tmp_path: Path) -> None:
    for confirm in (None, {"top": 2, "seeds": 2, "folds": 1}):
        spec = replicated(confirm=confirm)
        planned = Planned(spec)
        progress = SweepState(planned.total, planned=planned)
        folder = tmp_path / str(confirm is None)
        with Store.create(folder, to_yaml(spec)) as store:
            execute(SweepController(spec, store, [progress]), at_a_time=2)
            records = store.records()
        assert progress.trials == progress.finished_trials == len(records)
        frame = ranking_frame(searched(records), list(spec.space), spec)
        assert [one.trial_id for one in progress.ranking.ranked] == list(frame["trial_id"])
        assert progress.best is not None
        assert progress.best.trial_id == frame["trial_id"][0]
        assert progress.best.value == pytest.approx(frame["mean_of_runs"][0])
        assert SweepResults(folder).is_finished


def test_unfinished_replicates_are_told(tmp_path: Path) -> None:
    spec = replicated()
    with Store.create(tmp_path / "x", to_yaml(spec)) as store:
        controller = SweepController(spec, store)
        execute(controller, epochs=9 * 5 + 7)
        assert not controller.finished
    results = read_results(tmp_path / "x")
    due = results.due_in_search
    assert due > 0
    assert state(results).startswith("not running: all trials have ended, with ")
    ended = sum(record.status.is_final for record in results.replicates)
    assert 0 < ended < len(results.replicates)
    told = counts(results)
    assert told[f"{plural(ended, 'replicate')} in the search"] == ended
    assert not any("of the leaders" in name for name in told)
    assert not SweepResults(tmp_path / "x").is_finished
    records = go_on(spec, tmp_path / "x")
    assert not SearchReplicates.of(spec, records).due
    done = read_results(tmp_path / "x")
    assert state(done) == "finished"
    assert " leads with a mean validation Dice of " in headline(done)
    drawn = runs_on_folds(done)
    assert drawn.figure is not None
    runs, means = drawn.figure.data
    best = done.frame[done.frame["runs"] == done.frame["runs"].max()]
    assert list(means.ids) == list(best["trial_id"])
    assert list(means.x) == pytest.approx(list(best["mean_of_runs"]))
    assert {name for name in runs.y if name} >= set(best["trial_id"])


def test_results_without_the_folder_of_a_replicated_trial_are_read(tmp_path: Path) -> None:
    spec = replicated()
    of = in_search(run(spec, tmp_path / "x", 0, 1))[0][0]
    shutil.rmtree(Layout(tmp_path / "x").trial(of).folder)
    results = read_results(tmp_path / "x")
    assert of not in results.scores
    assert results.due_in_search >= 0
    assert state(results).startswith("not running: 8 of 9 trials have ended")


def test_extended_sweep_compares_its_new_trials_with_what_it_had(tmp_path: Path) -> None:
    spec = replicated(trials=6)
    before = run(spec, tmp_path / "x", 0, 1)
    more = extended(spec, ["trials=+6"])
    with Store.open(tmp_path / "x") as store:
        store.change_spec(to_yaml(more))
        controller = SweepController(more, store)
        assert not controller.finished
        execute(controller)
        assert controller.finished
        after = store.records()
    assert {r.trial_id for r in before} < {r.trial_id for r in after}
    assert not SearchReplicates.of(more, after).due
    assert all(record.status.is_final for record in after)


def test_sweep_without_replicate_never_asks_for_one(tmp_path: Path) -> None:
    assert in_search(run(replicated(replicate=None), tmp_path / "x", 0, 1)) == []


def test_real_sweep_ranks_three_folds_over_one_lucky_one(tmp_path: Path) -> None:
    entry = write_scripted(
        tmp_path,
        "rate, seed = self.settings.optimizer.lr, self.settings.seed\n"
        "lucky = 0.02 * (seed == 0 and rate == 0.2)\n"
        "return Validation(dice=0.4 + rate / 10 + lucky)\n",
    )
    file = tmp_path / "folds.yaml"
    file.write_text(
        f"trainer: {{kind: custom, entry: '{entry}', epochs: 1, device: cpu}}\n"
        "loss: {weights: {compactness: 0, boundary: 0, aspect: 0}, warmup_epochs: 0}\n"
        "searcher: grid\nscheduler: none\nreplicate: {folds: 1, seeds: 3}\n"
        "space: {optimizer.lr: {choice: [0.1, 0.2, 0.3]}}\n"
    )
    results = sweep.run(sweep.load(file), results=tmp_path / "results", executor="local")
    frame = results.frame
    assert list(frame["val_dice"].round(3)) == [0.43, 0.44, 0.41]
    assert list(frame["optimizer.lr"]) == [0.3, 0.2, 0.1]  # 0.44 was luck
    assert list(frame["mean_of_runs"].round(3)) == [0.43, 0.427, 0.41]
    assert results.is_finished
    best = (tmp_path / "results" / "folds" / "best.yaml").read_text()
    assert "# mean over 3 runs of the search 0.4300\n" in best
