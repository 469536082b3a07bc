"""What a sweep takes over from earlier ones."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sweep.api.checked_spec import load_checked
from sweep.engine.decisions.sweep_controller import SweepController
from sweep.engine.decisions.trial_queue import best_of
from sweep.search.schedulers.scheduler import Decision
from sweep.search.searchers.earlier_trials import (
    check_warm_start,
    read_earlier_sweep,
    read_warm_start,
)
from sweep.spec.load import load_sweep, to_yaml
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.store.store import Store
from sweep.testing.searcher_contract import record_of
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import InputError, ResultsError
from sweep.vocabulary.record import Outcome, ParameterValue, Status

SPACE: dict[str, Any] = {
    "loss.weights.compactness": {"loguniform": [1e-3, 1]},
    "loss.sqrt_epsilon": {"choice": [0, 1e-8, 1e-4]},
}


def spec_of(name: str = "now", **changes: Any) -> SweepSpec:
    values = {"name": name, "trials": 10, "space": SPACE, "scheduler": "none"}
    searcher = {"name": "tpe", "startup_trials": 3}
    return SweepSpec.model_validate(values | {"searcher": searcher} | changes)


def dice_of(parameters: Mapping[str, ParameterValue]) -> float:
    weight = float(str(parameters["loss.weights.compactness"]))
    return 0.9 - 0.1 * math.log10(weight / 0.01) ** 2


def execute(controller: SweepController, store: Store, trials: int = 10**9) -> list[dict[str, Any]]:
    """Run trials to their ends; those with ε = 0 diverge. Returns their parameters."""
    executed = []
    while len(executed) < trials and (folder := controller.next_trial()) is not None:
        [record] = [r for r in store.records() if r.trial_id == folder.name]
        executed.append(dict(record.parameters))
        dice = dice_of(record.parameters)
        for epoch, value in enumerate((dice / 2, dice)):
            assert controller.report(
                folder.name, EpochMetrics(epoch=epoch, val_dice=value)
            ) is Decision.CONTINUE  # fmt: skip
        diverged = record.parameters["loss.sqrt_epsilon"] == 0
        controller.end(
            folder.name, Outcome(status=Status.DIVERGED if diverged else Status.COMPLETED)
        )
    return executed


def run(folder: Path, spec: SweepSpec, trials: int = 10**9) -> list[dict[str, Any]]:
    """A session of a new sweep, or of one that is there."""
    new = not folder.exists()
    with Store.create(folder, to_yaml(spec)) if new else Store.open(folder) as store:
        return execute(SweepController(spec, store), store, trials)


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """The results folder of a sweep of 20 trials over the same space."""
    run(tmp_path / "earlier", spec_of("earlier", trials=20, searcher="random"))
    return tmp_path / "earlier"


def test_trials_of_an_earlier_sweep_teach_the_searcher_but_are_none_of_the_new_one(
    earlier: Path, tmp_path: Path
) -> None:
    """Three startup trials are spared, and ε = 0 is known to diverge."""
    cold = run(tmp_path / "cold", spec_of())
    warm = run(tmp_path / "warm", spec_of(warm_start=str(earlier)))
    assert cold[0] != warm[0]
    assert sum(parameters["loss.sqrt_epsilon"] == 0 for parameters in warm) <= 1
    with Store.open(tmp_path / "warm") as store:
        assert [record.trial_id for record in store.records()] == [f"t{n:04d}" for n in range(10)]


def test_scheduler_and_ranking_know_nothing_of_earlier_trials(
    earlier: Path, tmp_path: Path
) -> None:
    """The first of them all is never stopped, however good the earlier ones were."""
    asha = {"name": "asha", "grace_period": 1, "reduction_factor": 3}
    spec = spec_of(warm_start=str(earlier), scheduler=asha)
    with Store.create(tmp_path / "warm", to_yaml(spec)) as store:
        controller = SweepController(spec, store)
        folder = controller.next_trial()
        assert folder is not None
        metrics = EpochMetrics(epoch=0, val_dice=0.01)
        assert controller.report(folder.name, metrics) is Decision.CONTINUE


@pytest.mark.parametrize("searcher", [{"name": "tpe", "startup_trials": 3}, "cmaes", "qmc"])
@pytest.mark.parametrize("fate", ["changed", "gone"])
def test_resumed_sweep_proposes_the_same_though_the_earlier_results_are_not_what_they_were(
    earlier: Path, tmp_path: Path, searcher: Any, fate: str
) -> None:
    warm_start = {"results": str(earlier), "enqueue": 2}
    spec = spec_of(warm_start=warm_start, searcher=searcher)
    whole = run(tmp_path / "whole", spec)
    parts = run(tmp_path / "parts", spec, trials=4)
    if fate == "gone":
        shutil.rmtree(earlier)
    else:
        run(earlier, spec_of("earlier", trials=25, searcher="random"))
    assert parts + run(tmp_path / "parts", spec) == whole


def test_patience_of_an_earlier_trial_is_not_looked_at_where_it_is_replayed(
    earlier: Path, tmp_path: Path
) -> None:
    patience = {"early_stopping.patience": {"choice": [3, 9]}}
    told = read_warm_start(spec_of(space=SPACE | patience, warm_start=str(earlier)))
    assert len(told) == 20
    assert {record.parameters["early_stopping.patience"] for record in told} == {9}
    drawn = spec_of(space=SPACE | patience, warm_start=str(earlier), replay_patience=False)
    assert read_warm_start(drawn) == []  # it was 50, which this space cannot draw
    warm_start = {"results": str(earlier), "enqueue": 1}
    parameters = run(tmp_path / "warm", spec_of(space=SPACE | patience, warm_start=warm_start))
    best = best_of(told, 1)[0]
    assert parameters[0] == best == {**best, "early_stopping.patience": 9}


def test_sweep_that_was_killed_before_it_copied_them_reads_the_earlier_results_again(
    earlier: Path, tmp_path: Path
) -> None:
    spec = spec_of(warm_start=str(earlier))
    whole = run(tmp_path / "whole", spec)
    Store.create(tmp_path / "killed", to_yaml(spec)).close()
    assert run(tmp_path / "killed", spec) == whole


def test_copy_that_is_lost_after_proposals_were_made_is_told(earlier: Path, tmp_path: Path) -> None:
    spec = spec_of(warm_start=str(earlier))
    run(tmp_path / "now", spec, trials=2)
    (tmp_path / "now" / "warm_start.jsonl").unlink()
    with pytest.raises(ResultsError, match=r"warm_start\.jsonl is lost"):
        run(tmp_path / "now", spec)


def test_best_earlier_configurations_are_evaluated_first_after_the_presets(
    earlier: Path, tmp_path: Path
) -> None:
    warm_start = {"results": [str(earlier)], "enqueue": 3}
    # Without sharing, since all five are started at once here.
    spec = spec_of(warm_start=warm_start, presets=["baseline"], trials=5, share_warmup=False)
    with Store.open(earlier) as store:
        completed = [r.parameters for r in store.records() if r.status is Status.COMPLETED]
    best = sorted(completed, key=dice_of, reverse=True)[:3]
    spec_folder = tmp_path / "now"
    with Store.create(spec_folder, to_yaml(spec)) as store:
        controller = SweepController(spec, store)
        started = [controller.next_trial() for _ in range(5)]
        assert all(started)
        records = store.records()
    assert [record.preset for record in records] == ["baseline", None, None, None, None]
    assert [record.parameters for record in records[1:4]] == best
    assert records[4].parameters not in best


def test_grid_is_walked_from_its_start_after_the_enqueued(earlier: Path, tmp_path: Path) -> None:
    space = {
        "loss.weights.compactness": {"grid": [0.01, 0.1]},
        "loss.sqrt_epsilon": {"grid": [1e-8, 1e-4]},
    }
    run(tmp_path / "first", spec_of(searcher="grid", space=space, trials=4))
    warm_start = {"results": [str(tmp_path / "first"), str(earlier)], "enqueue": 2}
    values = {"name": "now", "space": space, "searcher": "grid", "warm_start": warm_start}
    spec = SweepSpec.model_validate(values | {"scheduler": "none"})
    assert spec.trials == 6
    weights = [p["loss.weights.compactness"] for p in run(tmp_path / "now", spec)]
    assert weights == [0.01, 0.01, 0.01, 0.01, 0.1, 0.1]


def test_best_configurations_are_distinct_and_never_diverged_ones() -> None:
    records = [
        record_of(0, {"x": 1}, Status.COMPLETED, 0.5),
        record_of(1, {"x": 2}, Status.DIVERGED, 0.99),
        record_of(2, {"x": 3}, Status.PRUNED, 0.8, None),
        record_of(3, {"x": 3}, Status.COMPLETED, 0.7),
        record_of(4, {"x": 1.0}, Status.EARLY_STOPPED, 0.6),
        record_of(5, {"x": 4}, Status.COMPLETED, 0.5),
    ]
    assert best_of(records, 9) == [{"x": 3}, {"x": 1.0}, {"x": 1}, {"x": 4}]
    assert best_of(records, 1) == [{"x": 3}]
    assert best_of(records, 0) == []


def test_trials_outside_the_space_and_without_a_result_are_counted_and_passed_over(
    earlier: Path,
) -> None:
    with Store.open(earlier) as store:
        spec = spec_of("earlier", trials=23, searcher="random")
        controller = SweepController(spec, store)
        for status in (Status.FAILED, Status.COMPLETED):  # of which nothing was measured
            folder = controller.next_trial()
            assert folder is not None
            controller.end(folder.name, Outcome(status=status))
        controller.next_trial()
        records = store.records()
    narrow = {**SPACE, "loss.weights.compactness": {"loguniform": [1e-3, 0.05]}}
    spec = spec_of(space=narrow, warm_start=str(earlier))
    found = read_earlier_sweep(spec, str(earlier))
    weights = [float(str(r.parameters["loss.weights.compactness"])) for r in records[:20]]
    inside = [record for record, weight in zip(records[:20], weights, strict=True) if weight < 0.05]
    assert [record.trial_id for record in found.usable] == [record.trial_id for record in inside]
    assert (found.outside, found.silent) == (20 - len(inside), 3)
    told: list[str] = []
    assert list(check_warm_start(spec, told.append)) == []
    assert told == [
        f"`warm_start`: the searcher learns from {len(inside)} trials of {earlier}; skipped: "
        f"{20 - len(inside)} outside this space, 3 without a result"
    ]


def test_setting_that_was_fixed_in_the_earlier_sweep_has_the_value_it_was_trained_with(
    earlier: Path,
) -> None:
    space = {**SPACE, "optimizer.lr": {"loguniform": [1e-3, 1]}}
    told = read_warm_start(spec_of(space=space, warm_start=str(earlier)))
    assert len(told) == 20
    assert {record.parameters["optimizer.lr"] for record in told} == {0.01}
    elsewhere = {**SPACE, "optimizer.lr": {"loguniform": [0.1, 1]}}
    assert read_warm_start(spec_of(space=elsewhere, warm_start=str(earlier))) == []


# The sweep file.


def mistakes(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "now.yaml"
    path.write_text("space: {loss.weights.compactness: {loguniform: [1e-3, 1]}}\n" + text)
    try:
        load_sweep(path, check_earlier=lambda spec: check_warm_start(spec, print))
    except InputError as error:
        return [str(mistake).removeprefix(f"{path}:") for mistake in error.mistakes]
    return []


@pytest.mark.parametrize(
    "text",
    [
        "warm_start: {earlier}\n",
        "warm_start: [{earlier}]\n",
        "warm_start: {{results: {earlier}, enqueue: 2}}\n",
        "warm_start:\n  results: [{earlier}, {earlier}]\n",
        "searcher: random\nwarm_start: {{results: {earlier}, enqueue: 1}}\n",
    ],
)
def test_earlier_results_are_named_by_a_folder_or_several(
    earlier: Path, tmp_path: Path, text: str
) -> None:
    assert mistakes(tmp_path, text.format(earlier=earlier)) == []


def test_wrong_folders_are_mistakes_with_file_line_and_key(earlier: Path, tmp_path: Path) -> None:
    instead = "; name the results folder of an earlier sweep"
    folders = (earlier, f"{tmp_path}/no", tmp_path)
    text = "warm_start:\n  results:\n" + "".join(f"  - {folder}\n" for folder in folders)
    assert mistakes(tmp_path, text) == [
        f"5: warm_start.results.1: {tmp_path}/no does not exist{instead}",
        f"6: warm_start.results.2: {tmp_path} is not a results folder: it has no sweep.yaml"
        + instead,
    ]
    assert mistakes(tmp_path, f"warm_start: {tmp_path}/no\n") == [
        f"2: warm_start.results.0: {tmp_path}/no does not exist{instead}"
    ]
    name = "x" * 5000
    [message] = mistakes(tmp_path, f"warm_start: {name}\n")
    assert message.startswith("2: warm_start.results.0: ")
    if sys.version_info < (3, 14):
        assert "2: warm_start.results.0: cannot read" in message
    else:  # there, such a name is one of a file that does not exist
        assert message.endswith(f"does not exist{instead}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("warm_start: {enqueue: 3}", "2: warm_start.results: is missing"),
        ("warm_start: {from: x}", "2: warm_start.from: `from` is not a setting of `warm_start`"),
        ("warm_start: []", "2: warm_start.results: must be a list of at least 1, but is []"),
        ("warm_start: 3", "2: warm_start: must be a mapping of settings or null, but is 3"),
        ("trials: 3\nwarm_start: {results: x, enqueue: 4}",
         "2: trials: must be at least 4, one for each preset and enqueued one, but is 3"),
        ("searcher: qmc\nwarm_start: x",
         "3: warm_start: `searcher: qmc` learns from no trial, so this has no effect; use `tpe` or "
         "`gp`, or `enqueue` the best earlier configurations"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_a_mistake(tmp_path: Path, text: str, expected: str) -> None:
    assert any(message.startswith(expected) for message in mistakes(tmp_path, text + "\n"))


def test_only_a_sweep_that_begins_looks_at_the_earlier_results(tmp_path: Path) -> None:
    path = tmp_path / "now.yaml"
    path.write_text(
        "space: {loss.weights.aspect: {uniform: [0, 1]}}\ndata: {source: shapes}\n"
        f"warm_start: {tmp_path}/gone\n"
    )
    with pytest.raises(InputError, match="gone does not exist"):
        load_checked(path, [])
    spec, _ = load_checked(path, [], begins=lambda _: False)
    assert spec.warm_start is not None


def test_folder_that_teaches_nothing_is_a_mistake(earlier: Path, tmp_path: Path) -> None:
    narrow = f"warm_start: {earlier}\n"
    path = tmp_path / "now.yaml"
    path.write_text("space: {loss.weights.compactness: {uniform: [2, 3]}}\n" + narrow)
    with pytest.raises(InputError) as caught:
        load_sweep(path, check_earlier=lambda spec: check_warm_start(spec, print))
    assert str(caught.value) == (
        f"{path}:2: warm_start.results.0: no trial of {earlier} has usable results for this space: "
        "20 outside this space, 0 without a result"
    )
