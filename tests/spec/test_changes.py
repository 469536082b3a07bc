"""What a resumed sweep may have changed, and what an extension makes of it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from sweep.spec.load import load_sweep, to_yaml
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.session_changes import FREE, continued, edits, extended
from sweep.spec.space.presets import PRESETS
from sweep.vocabulary.errors import InputError, ResultsError
from sweep.vocabulary.record import Replicate, TrialRecord

RATE = {"optimizer.lr": {"uniform": [0.1, 0.2]}}


def spec_of(**changes: Any) -> SweepSpec:
    values = {"name": "toy", "trials": 9, "space": RATE}
    return SweepSpec.model_validate(values | changes)


def test_what_changes_no_result_is_free() -> None:
    assert set(FREE) == {
        "confirm",
        "resources",
        "max_concurrent",
        "tracking",
        "pictures",
        "time_budget",
    }


@pytest.mark.parametrize(
    "change",
    [
        {"time_budget": "2h"},
        {"max_concurrent": 3},
        {"resources": {"cpu": 2, "gpu": 0}},
        {"resources": {"trials_per_gpu": 4}},
        {"resources": {"trials_per_gpu": "auto"}},
        {"tracking": ["tensorboard"]},
    ],
)
def test_free_key_is_taken_from_what_is_asked_for(change: dict[str, Any]) -> None:
    assert continued([spec_of()], spec_of(**change)) == spec_of(**change)


def test_refusal_names_the_options_that_ask_for_the_recorded_values_again(tmp_path: Path) -> None:
    recorded = spec_of(scheduler={"grace_period": 5}, early_stopping={"patience": None})
    with pytest.raises(ResultsError) as caught:
        continued([recorded], spec_of())
    _, _, options = str(caught.value).splitlines()[0].partition("To go on as recorded: ")
    flags, overrides = shlex.split(options)[::2], shlex.split(options)[1::2]
    assert flags == ["--set"] * 2
    (file := tmp_path / "toy.yaml").write_text(to_yaml(spec_of()))
    assert continued([recorded], load_sweep(file, overrides)) == recorded


@pytest.mark.parametrize(
    "change", [{"space": {"seed": {"randint": [0, 3]}}}, {"searcher": "random"}]
)
def test_refusal_names_no_options_where_space_or_kind_has_changed(change: dict[str, Any]) -> None:
    with pytest.raises(ResultsError) as caught:
        continued([spec_of()], spec_of(**change))
    assert "To go on as recorded" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"trials": 10}, ["-trials: 9", "+trials: 10"]),
        ({"seed": 1}, ["-seed: 0", "+seed: 1"]),
        ({"trainer": {"epochs": 7}}, ["-  epochs: 100", "+  epochs: 7"]),
        ({"searcher": "random"}, ["-  name: tpe", "+  name: random"]),
    ],
)
def test_all_else_is_refused_with_the_difference(change: dict[str, Any], told: list[str]) -> None:
    with pytest.raises(ResultsError, match="toy holds a sweep with another spec") as caught:
        continued([spec_of()], spec_of(**change, max_concurrent=3))
    lines = str(caught.value).splitlines()
    assert set(told) <= set(lines)
    assert not any("max_concurrent" in line for line in lines[1:])


def test_folder_of_before_every_fold_had_its_own_seeds_goes_on_unless_the_file_asks() -> None:
    recorded = spec_of(seed_per_fold=False)
    assert continued([recorded], spec_of()) == recorded
    assert continued([spec_of()], spec_of()) == spec_of()
    with pytest.raises(ResultsError, match=r"--set seed_per_fold=false"):
        continued([recorded], spec_of(seed_per_fold=True))


def test_the_spec_before_an_extension_still_resumes_the_extended_sweep() -> None:
    before, after = spec_of(), spec_of(trials=29)
    assert continued([before, after], before) == after
    assert continued([before, after], after) == after
    with pytest.raises(ResultsError, match="trials: 20"):
        continued([before, after], spec_of(trials=20))


@pytest.mark.parametrize(
    ("assignments", "trials", "seconds"),
    [
        (["trials=+20"], 29, 600.0),
        (["trials=29"], 29, 600.0),
        (["trials=9"], 9, 600.0),
        (["time_budget=4h"], 9, 14400.0),
        (["time_budget=+1h"], 9, 4200.0),
        (["time_budget=90"], 9, 90.0),
        (["trials=+1", "time_budget=1d"], 10, 86400.0),
        ([], 9, 600.0),
    ],
)
def test_extension_gives_more(assignments: list[str], trials: int, seconds: float) -> None:
    more = extended(spec_of(time_budget="10m"), assignments)
    assert more == spec_of(trials=trials, time_budget=seconds)
    assert to_yaml(more) == to_yaml(spec_of(trials=trials, time_budget=seconds))


def test_time_is_added_to_no_limit_as_to_nothing() -> None:
    assert extended(spec_of(), ["time_budget=+1h"]).time_budget == 3600.0


@pytest.mark.parametrize(
    ("assignment", "told"),
    [
        ("trials=8", "the sweep has 9 trials already, not 8"),
        ("trials=-1", 'must read like `trials=\\+20`, but is "-1"'),
        ("trials=+1.5", "must read like"),
        ("trials", "must read like"),
        ("trials=+999999999", "must be"),
        ("time_budget=soon", "must be a time such as"),
        ("time_budget=0", "time_budget: must be"),
        ("trainer.epochs=+5", "only `trials` and `time_budget` can be extended"),
    ],
)
def test_wrong_extension_is_an_input_error(assignment: str, told: str) -> None:
    with pytest.raises(InputError, match=told) as caught:
        extended(spec_of(), [assignment])
    assert "--extend" in str(caught.value)


def test_every_wrong_extension_is_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        extended(spec_of(), ["trials=8", "epochs=3"])
    assert len(caught.value.mistakes) == 2


@pytest.mark.parametrize("replicate", [None, Replicate(of="t0000", seed=1, fold=0)])
def test_replicate_of_a_preset_that_had_the_patience_of_the_file_was_not_edited(
    replicate: Replicate | None, tmp_path: Path
) -> None:
    """As earlier versions trained it, where patience is searched by replay."""
    spec = spec_of(space={**RATE, "early_stopping.patience": {"choice": [3, 8]}})
    trial = TrialRecord(
        trial_id="t0009", number=0, parameters={}, preset="baseline", replicate=replicate
    )
    earlier = spec.trial(
        {**PRESETS["baseline"].settings, "seed": replicate.seed if replicate else 0}
    )
    (config := tmp_path / "config.yaml").write_text(to_yaml(earlier))
    found = [mistake.key for mistake in edits(config, spec, trial)]
    assert found == ([] if replicate else ["early_stopping.patience"])
    config.write_text(to_yaml(earlier).replace("lr: 0.01", "lr: 0.02"))
    assert "optimizer.lr" in [mistake.key for mistake in edits(config, spec, trial)]


def test_grid_cannot_be_extended_past_its_combinations() -> None:
    grid = {"optimizer.lr": {"grid": [0.1, 0.2, 0.3]}}
    with pytest.raises(InputError, match="the size of the grid"):
        extended(spec_of(trials=3, space=grid, searcher="grid"), ["trials=+1"])
