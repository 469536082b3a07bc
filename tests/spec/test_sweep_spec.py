"""The model of a sweep: defaults that are derived, names, times, and the settings of a trial."""

import pytest
from pydantic import ValidationError

from sweep.spec.load import load_sweep, to_yaml
from sweep.spec.search.search_strategy import AshaScheduler, NoScheduler
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.vocabulary.errors import InputError


def sweep(**values) -> SweepSpec:
    space = {"loss.warmup_epochs": {"randint": [2, 9]}}
    defaults = {"name": "x", "space": space, "presets": []}
    return SweepSpec.model_validate(defaults | values)


def wrong(**values) -> str:
    """The message of the only thing that is wrong."""
    with pytest.raises(ValidationError) as caught:
        sweep(**values)
    consequence = "default_factory_not_called"  # of `trials`, which derives from the others
    [message] = [r["msg"] for r in caught.value.errors() if r["type"] != consequence]
    return str(message)


def test_a_bare_name_stands_for_a_mapping_with_that_name() -> None:
    assert sweep(searcher="grid").searcher == sweep(searcher={"name": "grid"}).searcher
    assert sweep(scheduler="none").scheduler == NoScheduler()


def test_a_mapping_without_a_name_is_one_of_the_default() -> None:
    assert sweep(scheduler={"reduction_factor": 2}).scheduler == AshaScheduler(
        grace_period=19, reduction_factor=2, rung_factor=2, clock="epochs", pause=False
    )
    assert sweep(searcher={"seed": 4}).searcher.name == "tpe"


def test_the_searcher_takes_the_seed_of_the_sweep_unless_it_has_its_own() -> None:
    assert sweep(seed=7).searcher.seed == 7
    assert sweep(seed=7, searcher={"name": "random", "seed": 8}).searcher.seed == 8


def test_trials_default_to_20_and_for_a_grid_to_its_size() -> None:
    space = {"loss.warmup_epochs": {"grid": [1, 2, 3]}, "seed": {"choice": [0, 1]}}
    assert sweep().trials == 20
    assert sweep(searcher="grid", space=space).trials == 6
    assert sweep(searcher="grid", space=space, trials=4).trials == 4


@pytest.mark.parametrize(
    ("values", "grace_period"),
    [
        ({}, 8 + 10 + 1),
        ({"loss": {"rampup_epochs": 0}}, 8 + 1),
        ({"loss": {"rampup_epochs": 30}, "trainer": {"epochs": 24}}, 24),
        ({"loss": {"weights": {"compactness": 0, "boundary": 0, "aspect": 0}}}, 1),
        ({"space": {"seed": {"choice": [0, 1]}}, "loss": {"warmup_epochs": 4}}, 4 + 10 + 1),
        ({"space": {"loss.rampup_epochs": {"choice": [0, 3]}}}, 20 + 3 + 1),
    ],
)
def test_the_default_grace_period_lies_past_the_longest_rampup(values, grace_period) -> None:
    assert sweep(**values).scheduler.grace_period == grace_period


@pytest.mark.parametrize(
    ("weight", "boundary", "past"),
    [
        ({"choice": [0, 0.1]}, 0, 4 + 3 + 1),
        ({"uniform": [0, 1]}, 0, 4 + 3 + 1),
        ({"choice": [0, 0.1]}, 0.1, 20 + 10 + 1),  # the loss acts where the warm-up is not drawn
    ],
)
def test_a_warmup_that_acts_only_where_it_is_drawn_has_its_drawn_values_alone(
    weight, boundary, past
) -> None:
    drawn = {"when": {"loss.weights.compactness": {"above": 0}}}
    space = {
        "loss.weights.compactness": weight,
        "loss.warmup_epochs": {"randint": [1, 5]} | drawn,
        "loss.rampup_epochs": {"randint": [0, "loss.warmup_epochs"]} | drawn,
    }
    weights = {"boundary": boundary, "aspect": 0}
    found = sweep(space=space, loss={"weights": weights}, scheduler={"name": "asha"})
    assert found.scheduler.grace_period == past


@pytest.mark.parametrize(
    ("only_with_sgd", "past"),
    [(False, 4 + 1), (True, 20 + 1)],  # with AdamW, trials with a weight have the file's warm-up
)
def test_a_warmup_has_the_value_of_the_file_where_a_trial_with_a_weight_does_not_draw_it(
    only_with_sgd, past
) -> None:
    drawn = {"loss.weights.compactness": {"above": 0}}
    drawn |= {"optimizer.name": "sgd"} if only_with_sgd else {}
    space = {
        "optimizer.name": {"choice": ["sgd", "adamw"]},
        "loss.weights.compactness": {"choice": [0, 0.1]},
        "loss.weights.boundary": {"uniform": [0, 1], "when": {"loss.weights.compactness": 0.1}},
        "loss.warmup_epochs": {"randint": [1, 5], "when": drawn},
    }
    loss = {"weights": {"boundary": 0, "aspect": 0}, "warmup_epochs": 20, "rampup_epochs": 0}
    found = sweep(space=space, loss=loss, scheduler={"name": "asha"})
    assert found.scheduler.grace_period == past


def test_a_weight_of_null_beside_a_conditional_warmup_is_a_mistake_of_the_weight() -> None:
    space = {
        "loss.weights.compactness": {"choice": [None, 0.1]},
        "loss.warmup_epochs": {"randint": [1, 5], "when": {"loss.weights.compactness": 0.1}},
    }
    with pytest.raises(InputError, match=r"loss\.weights\.compactness: must be a number"):
        load_sweep({"name": "null", "space": space})


@pytest.mark.parametrize(
    ("values", "clock", "pause", "grace_period"),
    [
        ({"searcher": "tpe"}, "activation", False, 4),
        ({"searcher": "random"}, "activation", True, 4),
        ({"searcher": "file.py:Mine"}, "activation", False, 4),
        ({"searcher": "tpe", "scheduler": {"pause": True}}, "activation", True, 5),
        ({"searcher": "gp", "scheduler": {"pause": True}}, "activation", True, 5),
        ({"searcher": "tpe", "scheduler": {"clock": "epochs"}}, "epochs", False, 19),
        ({"searcher": "random", "scheduler": {"clock": "epochs"}}, "epochs", True, 19),
    ],
)
def test_trials_wait_by_default_unless_the_searcher_learns_and_then_for_a_later_first_rung(
    values, clock, pause, grace_period
) -> None:
    space = {"loss.warmup_epochs": {"randint": [1, 9]}}
    scheduler = sweep(presets=None, trainer={"epochs": 100}, space=space, **values).scheduler
    assert (scheduler.clock, scheduler.pause, scheduler.grace_period) == (
        clock,
        pause,
        grace_period,
    )


def test_rungs_lie_at_powers_of_the_reduction_factor_before_the_last_epoch() -> None:
    asha = {"name": "asha", "grace_period": 2, "reduction_factor": 3}
    assert sweep(scheduler=asha, trainer={"epochs": 54}).rungs() == [2, 6, 18]
    assert sweep(scheduler=asha, trainer={"epochs": 55}).rungs() == [2, 6, 18, 54]
    closer = asha | {"rung_factor": 2}
    assert sweep(scheduler=closer, trainer={"epochs": 54}).rungs() == [2, 4, 8, 16, 32]
    assert sweep(scheduler="none").rungs() == []


def test_hyperband_has_the_rungs_of_asha_and_a_bracket_for_each() -> None:
    hyperband = {"name": "hyperband", "grace_period": 2, "reduction_factor": 3}
    spec = sweep(scheduler=hyperband, trainer={"epochs": 54})
    assert spec.rungs() == [2, 6, 18]
    assert spec.scheduler.brackets == 3
    assert sweep(scheduler=hyperband, trainer={"epochs": 2}).scheduler.brackets == 1
    assert sweep(scheduler={**hyperband, "brackets": 2}).scheduler.brackets == 2


def test_median_judges_after_each_epoch_from_the_grace_period_to_the_last_but_one() -> None:
    assert sweep(scheduler="median", trainer={"epochs": 22}).rungs() == [19, 20, 21]
    assert sweep(scheduler={"name": "median", "grace_period": 98}).rungs() == [98, 99]


def test_the_longest_warmup_is_that_of_the_space_else_of_the_base() -> None:
    assert sweep().ranges.latest_ramp.off_until == 8
    assert sweep(space={"seed": {"choice": [0, 1]}}).ranges.latest_ramp.off_until == 20


def test_a_trial_has_the_settings_of_the_sweep_with_its_parameters_in_place() -> None:
    spec = sweep(seed=3, optimizer={"lr": 0.5})
    trial = spec.trial({"loss.warmup_epochs": 5, "loss.weights.aspect": 1, "seed": 9})
    assert type(trial) is TrialSettings
    assert (trial.loss.warmup_epochs, trial.loss.weights.aspect, trial.seed) == (5, 1.0, 9)
    assert trial.optimizer == spec.optimizer
    assert spec.seed == 3


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("loss.warmup_epoch", "`loss.warmup_epoch` is not a setting; did you mean "
         "`loss.warmup_epochs`?"),
        ("warmup_epochs", "`warmup_epochs` is not a setting; did you mean `loss.warmup_epochs`?"),
        ("loss.warmup_epochs.x", "`loss.warmup_epochs.x` is not a setting; did you mean "
         "`loss.warmup_epochs`?"),
        ("loss", "`loss` is a group of settings; name one of them, such as `loss.main`"),
        ("data.gap", "`data.gap` is not a setting of `data` with source `shapes`"),
        ("zzz", "`zzz` is not a setting"),
        ("", "`` is not a setting"),
    ],
)  # fmt: skip
def test_an_unknown_parameter_is_an_error_with_the_near_miss(key: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        sweep().trial({key: 1})
    [mistake] = caught.value.mistakes
    assert (mistake.key, mistake.message) == (key, message)


def test_an_impossible_value_of_a_parameter_is_an_error() -> None:
    with pytest.raises(InputError) as caught:
        sweep().trial({"loss.warmup_epochs": -1, "optimizer.lr": "x"})
    assert str(caught.value) == (
        "loss.warmup_epochs: must be at least 0, but is -1\n"
        'optimizer.lr: must be a number, but is "x"'
    )


@pytest.mark.parametrize("name", ["a", "A-1_b.c", "0", "x" * 100, "console", "com"])
def test_a_name_may_have_letters_digits_dots_and_dashes(name: str) -> None:
    assert sweep(name=name).name == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../../x", "/abs", "a/b", "a\\b", ".hidden", "-x", "a b", "a\n", "ä", "x.",
     "x" * 101, "con", "NUL.txt", "com1", "a\0", "~", "$HOME", "٣"],
)  # fmt: skip
def test_a_hostile_name_is_refused_with_what_is_allowed(name: str) -> None:
    assert "must be 1 to 100 letters (a-z), digits, `.`, `_` or `-`" in wrong(name=name)


@pytest.mark.parametrize(
    ("written", "seconds", "again"),
    [
        ("90s", 90, "90s"), ("10m", 600, "10m"), ("2h", 7200, "2h"), ("1d", 86400, "1d"),
        ("1.5h", 5400, "90m"), ("10 m", 600, "10m"), (3600, 3600, "1h"), (0.5, 0.5, 0.5),
        (None, None, None),
    ],
)  # fmt: skip
def test_a_time_budget_is_read_in_seconds_and_written_readably(written, seconds, again) -> None:
    spec = sweep(time_budget=written)
    assert spec.time_budget == seconds
    assert spec.model_dump()["time_budget"] == again
    assert sweep(time_budget=again).time_budget == seconds


@pytest.mark.parametrize("written", ["10", "10 minutes", "1h30m", "-5m", "", "١m", "9" * 400 + "d"])
def test_a_time_that_cannot_be_understood_is_told_with_examples(written: str) -> None:
    assert "must be a time such as `90s`, `10m`, `2h` or `1d`" in wrong(time_budget=written)


@pytest.mark.parametrize("written", [0, -1, "0s"])
def test_a_time_budget_is_positive(written) -> None:
    assert wrong(time_budget=written) == "Input should be greater than 0"


@pytest.mark.parametrize("gpu", [0, 0.25, 1, 2, 4.0, "auto"])
def test_gpus_may_be_a_fraction_of_one_or_whole(gpu) -> None:
    assert sweep(resources={"gpu": gpu}).resources.gpu == gpu


def test_an_empty_space_is_refused() -> None:
    assert "must name a setting" in wrong(space={})


def test_the_same_spec_is_written_the_same() -> None:
    assert to_yaml(sweep()) == to_yaml(sweep())
