"""Presets in trial and sweep files."""

import pytest
from test_load import told

from sweep.spec.checks.doubtful_settings import warnings
from sweep.spec.load import load_sweep, load_trial, to_yaml
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.space.presets import PRESETS
from sweep.spec.tree.setting_tree import names_in, value_of

SPACE = "space: {loss.warmup_epochs: {randint: [0, 5]}}\n"
NAMES = "`baseline`, `geometric-v2.3`, `geometric-v2.4`, `geometric-recommended` or `logcosh-2024`"


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_valid_trial_with_its_settings_and_defaults_elsewhere(
    write, name: str
) -> None:
    trial = load_trial(write(f"preset: {name}"))
    preset = PRESETS[name].settings
    for key in names_in(trial):
        assert value_of(trial, key) == preset.get(key, value_of(TrialSettings(), key)), key


def test_presets_have_the_figures_of_the_post_mortems() -> None:
    v2_3, v2_4 = (PRESETS[f"geometric-v2.{n}"].settings for n in (3, 4))
    assert [v2_3[f"loss.weights.{name}"] for name in ("compactness", "boundary", "aspect")] == [
        0.01, 0.005, 0.005
    ]  # fmt: skip
    assert (v2_3["loss.warmup_epochs"], v2_3["loss.rampup_epochs"]) == (20, 0)
    assert (v2_3["loss.sqrt_mode"], v2_3["loss.sqrt_epsilon"]) == ("clamp", 1e-4)
    assert {key for key in v2_3 if v2_3[key] != v2_4[key]} == {"loss.sqrt_epsilon"}
    assert v2_4["loss.sqrt_epsilon"] == 1e-2
    fixed = PRESETS["logcosh-2024"].settings
    assert (fixed["early_stopping.patience"], fixed["early_stopping.min_delta"]) == (50, 1e-4)


def test_the_accidental_warmup_of_v2_3_is_written_beside_the_preset(write) -> None:
    trial = load_trial(write("preset: geometric-v2.3\nloss: {warmup_epochs: 5}"))
    assert trial.loss.warmup_epochs == 5
    assert trial.loss.sqrt_epsilon == 1e-4


def test_own_keys_win_over_the_preset_wherever_they_stand(write) -> None:
    text = "loss: {weights: {aspect: 0.5}}\npreset: geometric-v2.3\nearly_stopping: {patience: 7}"
    trial = load_trial(write(text), ["loss.sqrt_epsilon=1e-3"])
    assert trial.loss.weights.aspect == 0.5
    assert trial.loss.weights.compactness == 0.01
    assert trial.early_stopping.patience == 7
    assert (trial.loss.sqrt_epsilon, trial.loss.sqrt_mode) == (1e-3, "clamp")


def test_a_preset_can_be_given_as_an_override(write) -> None:
    trial = load_trial(write("preset: baseline"), ["preset=geometric-v2.4"])
    assert trial.loss.sqrt_epsilon == 1e-2


def test_the_effective_settings_do_not_name_the_preset(write) -> None:
    trial = load_trial(write("preset: logcosh-2024"))
    text = to_yaml(trial)
    assert "preset" not in text
    assert load_trial(write(text)) == trial


def test_a_sweep_file_may_have_a_preset_as_its_base(write) -> None:
    spec = load_sweep(write("preset: geometric-v2.4\n" + SPACE))
    assert spec.loss.sqrt_epsilon == 1e-2
    assert "geometric-v2.4" not in spec.presets
    assert load_sweep(write(to_yaml(spec))) == spec


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: 1\npreset: geometric-v23", f"x.yaml:2: preset: must be {NAMES}, but is "
         '"geometric-v23"; did you mean `geometric-v2.3`?'),
        ("preset: [baseline]", f'x.yaml:1: preset: must be {NAMES}, but is ["baseline"]'),
        ("preset:", f"x.yaml:1: preset: must be {NAMES}, but is null"),
        ("preset: !!binary MQ==", "x.yaml:1: preset: the tag `!!binary` is not allowed; write a "
         "plain value"),
        ("network: {name: unet}\npreset: logcosh-2024", "x.yaml:2: network.deep_supervision: "
         "`unet` has no deep supervision: must be false or null, but is true"),
        ("loss: 3\npreset: baseline", "x.yaml:1: loss: must be a mapping of settings, but is 3"),
        ("presets: [baseline]", "x.yaml: this file has `presets`, so it describes a sweep; "
         "run it with `python -m sweep.run x.yaml`"),
    ],
)  # fmt: skip
def test_a_wrong_preset_is_told_at_its_line(write, text: str, message: str) -> None:
    assert told(load_trial, write(text)) == [message]


def test_a_wrong_preset_in_an_override_is_told_as_the_override(write) -> None:
    [line] = told(load_trial, write("seed: 1"), ("preset=v2.3",))
    assert line.startswith("--set preset=v2.3: preset: must be")


# As trials of a sweep.


def test_a_sweep_lists_presets_and_writes_them_back(write) -> None:
    spec = load_sweep(write(SPACE + "presets: [baseline, geometric-v2.4]"))
    assert spec.presets == ("baseline", "geometric-v2.4")
    assert "presets: [baseline, geometric-v2.4]\n" in to_yaml(spec)
    assert load_sweep(write(to_yaml(spec))) == spec


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("presets:\n- baseline\n- geometrc-v2.3", f"x.yaml:4: presets.1: must be {NAMES}, but is "
         '"geometrc-v2.3"; did you mean `geometric-v2.3`?'),
        ("presets: [baseline, baseline]", "x.yaml:2: presets: `baseline` is listed twice"),
        ("presets: baseline", 'x.yaml:2: presets: must be a list, but is "baseline"'),
        ("presets: [baseline, geometric-v2.3]\ntrials: 1", "x.yaml:3: trials: must be at least 2, "
         "one for each preset, but is 1"),
        ("presets: [baseline, logcosh-2024]\nnetwork: {name: unet, channels: [8, 16]}",
         "x.yaml:2: presets.1: `logcosh-2024` does not fit this sweep: network.deep_supervision: "
         "2 levels leave no lower level to supervise: must be false or null, but is true"),
    ],
)  # fmt: skip
def test_wrong_presets_of_a_sweep_are_told_at_their_line(write, text: str, message: str) -> None:
    assert told(load_sweep, write(SPACE + text)) == [message]


def sweep_with(space: dict[str, object], **values: object) -> SweepSpec:
    return SweepSpec.model_validate({"name": "x", "space": space} | values)


def test_a_presets_trial_is_the_sweeps_where_the_preset_says_nothing() -> None:
    space = {"optimizer.lr": {"loguniform": [1e-3, 1]}}
    spec = sweep_with(space, loss={"sqrt_mode": "offset"}, trainer={"epochs": 7})
    trial = spec.preset_trial("geometric-v2.3")
    assert trial.loss.sqrt_mode == "clamp"
    assert trial.trainer.epochs == 7
    assert trial.optimizer.lr == spec.optimizer.lr


def test_searched_parameters_of_a_preset_are_its_own_even_outside_the_space() -> None:
    space = {
        "loss.weights.aspect": {"loguniform": [0.1, 1]},
        "loss.sqrt_epsilon": {"choice": [1e-2, 1e-4]},
        "early_stopping.patience": {"choice": [5]},
        "optimizer.lr": {"uniform": [0.5, 1]},
    }
    spec = sweep_with(space)
    trial = spec.preset_trial("geometric-v2.3")
    assert spec.parameters_of(trial) == {
        "loss.weights.aspect": 0.005,
        "loss.sqrt_epsilon": 1e-4,
        "early_stopping.patience": None,
        "optimizer.lr": 0.01,
    }


def test_a_presets_value_has_the_type_in_which_the_space_lists_it() -> None:
    space = {"loss.weights.aspect": {"choice": [0, 0.5]}, "loss.min_area": {"randint": [0, 90]}}
    spec = sweep_with(space)
    parameters = spec.parameters_of(spec.preset_trial("baseline"))
    assert repr(parameters) == "{'loss.weights.aspect': 0, 'loss.min_area': 50}"


def test_presets_count_as_trials_and_a_grid_makes_room_for_them() -> None:
    grid = {"seed": {"grid": [0, 1, 2]}}
    presets = ["baseline", "geometric-v2.3"]
    assert sweep_with(grid, presets=presets).trials == 20
    assert sweep_with(grid, presets=presets, searcher="grid").trials == 5


def test_more_trials_than_grid_points_and_presets_is_a_mistake(write) -> None:
    text = "space: {seed: {grid: [0, 1, 2]}}\nsearcher: grid\npresets: [baseline]\ntrials: "
    assert load_sweep(write(text + "4")).trials == 4
    assert told(load_sweep, write(text + "5")) == [
        "x.yaml:4: trials: must be at most 4, the size of the grid plus the presets, but is 5"
    ]


def test_a_preset_whose_geometric_loss_never_switches_on_is_told() -> None:
    spec = sweep_with(
        {"optimizer.lr": {"uniform": [0.5, 1]}},
        presets=["baseline", "geometric-v2.3"],
        trainer={"epochs": 20},
        loss={"warmup_epochs": 2},
        early_stopping={"patience": 3},
        scheduler="none",
    )
    assert warnings(spec) == [
        "the preset `geometric-v2.3` warms up for 20 of 20 epochs: its geometric loss never "
        "switches on"
    ]
