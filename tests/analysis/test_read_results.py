from __future__ import annotations

from pathlib import Path

import pytest
from finalists import CLEAR
from synthetic import (
    COMPACTNESS,
    EPSILON,
    PATIENCE,
    SWEEP_YAML,
    WARMUP,
    drawn,
    results_of,
    trial,
    write_sweep,
)

from sweep.analysis.effective_settings import settings_of
from sweep.analysis.figures.learning_curves import learning_curves
from sweep.analysis.figures.sweep_results import read_results
from sweep.store.store import Store
from sweep.vocabulary.errors import ResultsError
from sweep.vocabulary.record import Status


def test_setting_is_the_searched_one_then_the_presets_then_the_sweeps() -> None:
    results = results_of()
    searched = trial(0, Status.COMPLETED, [], {WARMUP: 3})
    preset = trial(1, Status.COMPLETED, [], {WARMUP: 3}, preset="geometric-v2.3")
    assert settings_of(results.spec, searched)(WARMUP) == 3
    assert settings_of(results.spec, searched)("loss.rampup_epochs") == 2  # of SWEEP_YAML
    assert settings_of(results.spec, preset)(WARMUP) == 3
    assert settings_of(results.spec, preset)("loss.rampup_epochs") == 0  # of V2.3


def test_trial_without_a_geometric_weight_has_no_switch_on() -> None:
    results = results_of()
    parameters = {WARMUP: 3, COMPACTNESS: 0.5}
    assert results.switch_on(trial(0, None, [], parameters)) == 3
    assert results.switch_on(trial(0, None, [], parameters | {COMPACTNESS: 0.0})) is None
    baseline = trial(0, None, [], {WARMUP: 3, COMPACTNESS: 0.0}, preset="baseline")
    assert results.switch_on(baseline) is None


def test_parameter_with_one_value_has_not_varied() -> None:
    parameters = {WARMUP: 3, COMPACTNESS: 0.5, EPSILON: 0, PATIENCE: 3}
    results = results_of(
        trial(0, Status.COMPLETED, [0.5], parameters),
        trial(1, Status.COMPLETED, [0.5], parameters | {EPSILON: 1e-6}),
        trial(2, None, [0.5], parameters | {WARMUP: 4}),
    )
    assert results.varied == [EPSILON]


def test_folder_is_in_use_while_somebody_writes_to_it(tmp_path: Path) -> None:
    with Store.create(tmp_path / "x", SWEEP_YAML.format(trials=1, epochs=20)):
        assert read_results(tmp_path / "x").in_use
    assert not read_results(tmp_path / "x").in_use


def test_dice_is_that_of_the_ranking_best_first(tmp_path: Path) -> None:
    results = read_results(write_sweep(tmp_path / "x", [drawn(n) for n in range(30)]))
    assert list(results.scores) == [record.trial_id for record in results.ranked]
    values = list(results.scores.values())
    assert values == sorted(values, reverse=True)
    assert all(r.best is not None and r.best.val_dice == results.scores[r.trial_id]
               for r in results.ranked)  # fmt: skip


def test_spec_that_is_not_possible_is_an_error_that_names_the_key(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path / "x", [], yaml=SWEEP_YAML + "seed: minus one\n")
    with pytest.raises(ResultsError, match=r"sweep\.yaml: seed: "):
        read_results(folder)


def test_first_of_the_figures_is_the_first_of_the_ranking_also_where_the_search_had_another(
    tmp_path: Path,
) -> None:
    results = read_results(write_sweep(tmp_path / "x", CLEAR))  # the search had t0000 first
    assert [one.trial_id for one in results.ranked] == ["t0001", "t0000"]
    assert results.leader is results.ranked[0]
    shown = learning_curves(results)
    assert shown.figure is not None
    assert [trace.name for trace in shown.figure.data] == ["1. t0001", "2. t0000"]
    assert shown.finding.startswith("t0001 reached ")
