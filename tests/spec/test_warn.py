"""What is told of a sweep that runs but is hardly meant."""

import pytest

from sweep.machine.hardware import Machine
from sweep.spec.checks.doubtful_settings import trial_warnings, warnings
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.trial_settings import TrialSettings

QUIET = {
    "name": "x",
    "space": {"loss.warmup_epochs": {"randint": [2, 9]}},
    "trainer": {"epochs": 100},
    "early_stopping": {"patience": 20},
    "presets": [],
}
ASHA_5 = {"name": "asha", "grace_period": 5, "reduction_factor": 3}
EPSILON = (
    "`loss.sqrt_epsilon` 0 can diverge in any step after the warm-up: the gradient of a square root"
    " is NaN where the prediction is exactly flat. A saturated network meets that at once,"
    " another one after hundreds of steps or never. With 1e-6 the gradient is finite"
)

BIAS = (
    "`loss.sqrt_epsilon` 0.01 with `loss.sqrt_mode` clamp adds up to 410 pixels to a perimeter, "
    "where even the largest disc has 201: the compactness term hardly sees the mask; "
    "`loss.sqrt_mode: centered` adds none"
)


def told(machine: Machine | None = None, **values) -> list[str]:
    return warnings(SweepSpec.model_validate(QUIET | values), machine)


@pytest.mark.parametrize(
    "loss",
    [
        {"sqrt_mode": "centered", "sqrt_epsilon": 1e-2},
        {"sqrt_mode": "offset", "sqrt_epsilon": 1e-6},
        {"sqrt_mode": "clamp", "sqrt_epsilon": 1e-2, "weights": {"compactness": 0.0}},
    ],
)
def test_epsilon_that_hardly_moves_a_perimeter_gives_no_warning(loss: dict[str, object]) -> None:
    assert told(loss=loss) == []


def test_a_sound_sweep_gives_no_warning() -> None:
    assert told() == []
    assert told(Machine(cpus=1, gpus=0)) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"scheduler": ASHA_5}, "1 rung (5 trained epochs) inside the longest warm-up of 8 epochs, "
         "where the geometric loss of some trials does not act yet; `scheduler.grace_period: 19` "
         "lies after it"),
        ({"scheduler": ASHA_5, "loss": {"warmup_epochs": 50},
          "space": {"guard.learnt_dice": {"choice": [0.1]}}},
         "3 rungs (5, 15, 45 trained epochs) inside the longest warm-up of 50 epochs, where the "
         "geometric loss of some trials does not act yet; `scheduler.grace_period: 61` lies after "
         "it"),
        ({"scheduler": ASHA_5, "loss": {"rampup_epochs": 95},
          "early_stopping": {"patience": None}},
         "1 rung (5 trained epochs) inside the longest warm-up of 8 epochs, where the geometric "
         "loss of some trials does not act yet; train for more than 100 epochs, or warm up less"),
        ({"scheduler": {"name": "median", "grace_period": 5}},
         "4 rungs (5 to 8 trained epochs) inside the longest warm-up of 8 epochs, where the "
         "geometric loss of some trials does not act yet; `scheduler.grace_period: 19` lies after "
         "it"),
        ({"scheduler": {"grace_period": 100}}, "a trial of 100 epochs is first judged after 100 "
         "(`scheduler.grace_period`), at its end: the scheduler prunes no trial"),
        ({"scheduler": {"grace_period": 98, "clock": "activation"}, "presets": ["baseline"]},
         "a trial of 100 epochs counts at most 25 by `scheduler.clock: activation`, but is first "
         "judged after 98 (`scheduler.grace_period`): the scheduler prunes no trial"),
        ({"loss": {"sqrt_epsilon": 0}}, EPSILON),
        ({"space": {"loss.sqrt_epsilon": {"choice": [0, 1e-6]}}}, EPSILON),
        ({"loss": {"sqrt_mode": "clamp"},
          "space": {"loss.sqrt_epsilon": {"choice": [1e-6, 1e-2]}}}, BIAS),
        ({"space": {"loss.warmup_epochs": {"randint": [2, 102]}}, "scheduler": "none"},
         "`loss.warmup_epochs` reaches 101 of 100 epochs: the geometric loss switches on in some "
         "configurations only"),
        ({"loss": {"warmup_epochs": 100},
          "space": {"guard.learnt_dice": {"choice": [0.1]}}, "scheduler": "none",
          "early_stopping": {"patience": 5, "counts_from": "start"}},
         "`loss.warmup_epochs` reaches 100 of 100 epochs: the geometric loss switches on in no "
         "configuration"),
        ({"early_stopping": {"patience": 88}}, "`early_stopping.patience` 88, counted from epoch "
         "12, never stops a trial of 100 epochs"),
        ({"early_stopping": {"patience": 100, "counts_from": "start"}},
         "`early_stopping.patience` 100 never stops a trial of 100 epochs"),
        ({"space": {"early_stopping.patience": {"choice": [5, 200]}}},
         "`early_stopping.patience` 200 never stops a trial of 100 epochs"),
        ({"searcher": {"name": "gp", "startup_trials": 30}, "scheduler": "none"},
         "`searcher: gp` learns from trial 30 on, but the sweep has 20 trials: all are random"),
        ({"searcher": "cmaes", "space": {"loss.warmup_epochs": {"randint": [2, 9]},
                                         "trainer.batch_size": {"choice": [1, 2]}}},
         "`searcher: cmaes` searches numbers; the listed values of `trainer.batch_size` are left "
         "to a TPE for each"),
        ({"searcher": "random", "time_budget": "1h"},
         "the scheduler first trains most trials up to the first rung (`scheduler.pause`). If "
         "`time_budget` ends the sweep then, no trial has trained to its end; `pause: false` "
         "judges each at once"),
        ({"scheduler": {"name": "asha", "pause": True}},
         "`scheduler.pause` with `searcher: tpe`: most trials are proposed when of the others only "
         "the score at the first rung is known"),
        ({"trials": 8}, "`searcher: tpe` learns from trial 10 on, but the sweep has 8 trials: all"
         " are random"),
    ],
)  # fmt: skip
def test_a_setting_that_is_hardly_meant_is_told(values, message) -> None:
    assert told(**values) == [message]


def test_nothing_is_said_of_epsilon_and_warmup_where_no_geometric_loss_is_used() -> None:
    weights = {"compactness": 0, "boundary": 0, "aspect": 0}
    loss = {"weights": weights, "sqrt_epsilon": 0, "warmup_epochs": 30}
    assert told(loss=loss, space={"guard.learnt_dice": {"choice": [0.1]}}, scheduler=ASHA_5) == []


def test_nothing_is_said_of_epsilon_where_only_terms_without_a_root_are_used() -> None:
    weights = {"compactness": 0, "boundary": 1, "aspect": 0, "kervadec": 1}
    assert told(loss={"weights": weights, "sqrt_epsilon": 0}) == []


def test_a_patience_of_87_just_stops_a_trial_of_100_epochs_that_counts_from_12() -> None:
    assert told(early_stopping={"patience": 87}) == []
    assert told(early_stopping={"patience": None}) == []


def test_more_concurrent_trials_than_the_machine_has_room_for_are_told() -> None:
    values = {"max_concurrent": 5, "resources": {"cpu": 2, "gpu": 0.25}}
    assert told(Machine(cpus=10, gpus=2), **values) == []
    assert told(Machine(cpus=10, gpus=1), **values) == [
        "`max_concurrent` is 5, but this machine has room for 4 trials at a time"
    ]
    assert told(Machine(cpus=3, gpus=2), **values) == [
        "`max_concurrent` is 5, but this machine has room for 1 trial at a time"
    ]
    packed = {"max_concurrent": 5, "resources": {"cpu": 2, "trials_per_gpu": 3}}
    assert told(Machine(cpus=4, gpus=0), **packed) == []
    assert told(Machine(cpus=2, gpus=0), **packed) == [
        "`max_concurrent` is 5, but this machine has room for 3 trials at a time"
    ]


def test_trial_whose_geometric_loss_never_acts_is_told() -> None:
    def told_of(**loss: object) -> list[str]:
        values = {"trainer": {"epochs": 3}, "loss": loss}
        return trial_warnings(TrialSettings.model_validate(values))

    weightless = {"compactness": 0, "boundary": 0, "aspect": 0}
    assert told_of(warmup_epochs=2) == []
    assert told_of(warmup_epochs=3, weights=weightless) == []
    assert told_of(warmup_epochs=6) == [
        "`loss.warmup_epochs` reaches 6 of 3 epochs: the geometric loss never switches on"
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"space": {"seed": {"randint": [0, 5]}}, "scheduler": "none"},
         "`seed` is searched: a `seed` is not a choice: the best one was lucky, which says nothing"
         " about the next training; `confirm: {top: 5, seeds: 5, folds: 1}` trains the leaders"
         " with "
         "several of them"),
        ({"space": {"data.difficulty": {"uniform": [0, 1]}}, "scheduler": "none"},
         "`data.difficulty` is searched: trials of different values are validated on different "
         "data, so their Dice cannot be compared, and the easiest data win"),
        ({"trainer": {"epochs": 100, "batch_size": 100}},
         "`trainer.batch_size` is 100, but there are 64 training images: a step takes all of them"),
        ({"data": {"source": "shapes", "size": 64, "patch_size": 96}},
         "`data.patch_size` is 96, but the largest image has 64 pixels a side: what is missing is "
         "filled with zeros"),
    ],
)  # fmt: skip
def test_what_a_search_is_not_about_and_what_is_cut_down_is_told(values, message) -> None:
    assert told(**values) == [message]


def test_patch_that_is_bounded_by_the_images_of_its_own_trial_is_not_padded() -> None:
    space = {
        "data.size": {"choice": [32, 64]},
        "data.patch_size": {"randint": [16, "data.size"]},
    }
    assert not any("filled with zeros" in one for one in told(space=space))
    space["data.patch_size"] = {"randint": [16, 64]}
    assert any("filled with zeros" in one for one in told(space=space))


def test_settings_for_a_gpu_are_fine_where_there_may_be_one() -> None:
    fast = {"epochs": 100, "tf32": True, "channels_last": True, "compile": True}
    assert told(Machine(4, 2), trainer=fast) == []
    assert told(Machine.any(), trainer=fast) == []


def test_searched_setting_for_a_gpu_is_told_too() -> None:
    space = {"trainer.compile": {"choice": [False, True]}}
    [warning] = [one for one in told(Machine(4, 0), space=space) if "compile" in one]
    assert "no trial trains on one here" in warning


def test_single_training_is_told_of_settings_for_a_gpu() -> None:
    settings = TrialSettings.model_validate({"trainer": {"tf32": True}})
    assert trial_warnings(settings, Machine(4, 2)) == []
    [warning] = trial_warnings(settings, Machine(4, 0))
    assert "`trainer.tf32` has no effect" in warning


@pytest.mark.parametrize(
    ("machine", "values", "message"),
    [
        (Machine(4, 0), {"trainer": {"epochs": 100, "amp": "fp16"}},
         "`trainer.amp` fp16 is for GPUs: on a CPU it is slower than `off`, and less precise"),
        (Machine(4, 0), {"trainer": {"epochs": 100, "tf32": False}},
         "`trainer.tf32` has no effect: no trial trains on a GPU here"),
        (Machine(4, 2), {"trainer": {"epochs": 100, "device": "cpu", "channels_last": True}},
         "`trainer.channels_last` is meant for GPUs, and no trial trains on one here: it may be"
         " slower, and the last bits of the results differ"),
        (Machine(4, 0), {"trainer": {"epochs": 100, "compile": True}},
         "`trainer.compile` is meant for GPUs, and no trial trains on one here: it takes minutes"
         " before the first step, which a CPU may not win back"),
        (Machine(4, 2, cuda=False), {}, "this machine has 2 GPUs, but the installed torch is built "
         "without CUDA: trials train on the CPU"),
        (Machine(4, 2), {"resources": {"gpu": 0}}, "`resources.gpu` 0 reserves no GPU and hides "
         "none: trials train on it side by side; `trainer.device: cpu` keeps them off"),
        (Machine(4, 2), {"resources": {"gpu": 1}, "trainer": {"epochs": 100, "device": "cpu"}},
         "`resources.gpu` 1 with `trainer.device` cpu: the GPU that is reserved idles"),
        (Machine(4, 0), {"trainer": {"epochs": 100, "threads": 4}}, "a trial computes with 4 "
         "threads, but reserves `resources.cpu` 1: trials that run at once slow one another"),
    ],
)  # fmt: skip
def test_what_the_machine_does_otherwise_than_is_meant_is_told(machine, values, message) -> None:
    assert told(machine, **values) == [message]
