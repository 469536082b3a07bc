"""Mistakes that only the whole of a sweep shows."""

from importlib.machinery import ModuleSpec

import pytest

from sweep.machine.hardware import Machine
from sweep.spec.checks.contradictions import MOST_REPORTED
from sweep.spec.load import load_sweep
from sweep.vocabulary.errors import InputError

BASE = """\
trainer: {epochs: 24}
space:
  early_stopping.patience: {choice: [4, 8]}
"""


def told(tmp_path, text: str) -> list[str]:
    """What is said of a sweep, without the name of the file; empty where nothing is wrong."""
    path = tmp_path / "x.yaml"
    path.write_text(text)
    try:
        load_sweep(path)
    except InputError as error:
        return [str(mistake).removeprefix(f"{path}:") for mistake in error.mistakes]
    return []


def test_a_good_sweep_has_no_mistakes(tmp_path) -> None:
    assert told(tmp_path, BASE) == []


def test_a_searched_setting_may_be_fixed_as_well_and_the_space_wins(tmp_path) -> None:
    assert told(tmp_path, BASE + "early_stopping: {patience: 3}\n") == []


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("loss.warmup_epoch: {randint: [0, 5]}", "loss.warmup_epoch: `loss.warmup_epoch` is not a "
         "setting; did you mean `loss.warmup_epochs`?"),
        ("warmup_epochs: {randint: [0, 5]}", "warmup_epochs: `warmup_epochs` is not a setting; "
         "did you mean `loss.warmup_epochs`?"),
        ("loss.weights: {uniform: [0, 1]}", "loss.weights: `loss.weights` is a group of settings; "
         "name one of them, such as `loss.weights.compactness`"),
        ("loss: {weights.aspect: {uniform: [0, 1]}}", "loss: `weights.aspect` is not a "
         "distribution; the settings of a group are searched by their dotted names, such as "
         "`loss.warmup_epochs: {randint: [0, 20]}`"),
        ("data.gap: {randint: [0, 5]}", "data.gap: `data.gap` is not a setting of `data` with "
         "source `shapes`"),
        ("data.source: {choice: [shapes]}", "data.source: `data.source` cannot be searched: it "
         "decides which other settings there are"),
        ("loss.warmup_epochs: {uniform: [0, 5]}", "loss.warmup_epochs: `uniform` draws fractions, "
         "which `loss.warmup_epochs` does not take; use `randint`"),
        ("trainer.batch_size: {loguniform: [1, 5]}", "trainer.batch_size: `loguniform` draws "
         "fractions, which `trainer.batch_size` does not take; use `lograndint`"),
        ("optimizer.name: {uniform: [0, 5]}", "optimizer.name: `uniform` draws fractions, which "
         "`optimizer.name` does not take; use a `choice`"),
        ("optimizer.name: {randint: [0, 1]}", "optimizer.name: must be `sgd` or `adamw`, "
         "but is 0"),
        ("network.name: {choice: [dynunet, dynunt]}", "network.name: must be `dynunet`, "
         "`residual_dynunet`, `unet`, `attention_unet`, `basic_unet_plus_plus`, `segresnet` or "
         '`segresnet_ds`, but is "dynunt"; did you mean `dynunet`?'),
        ("loss.weights.aspect: {uniform: [-1, 1]}", "loss.weights.aspect: must be at least 0, "
         "but is -1.0"),
        ("network.dropout: {quniform: [0, 1, 0.5]}", "network.dropout: must be less than 1, "
         "but is 1.0"),
        ("data.fold: {randint: [0, 6]}", "data.fold: must be below `folds`, which is 5, but is 5"),
        ("network.channels: {choice: [8]}", "network.channels: must be a list, but is 8"),
        ("loss.weights.aspect: {choice: [true]}", "loss.weights.aspect: must be a number, "
         "but is true"),
        ("optimizer.lr: {choice: [1, 1.0]}", "optimizer.lr: `choice` lists the same value twice: "
         "`optimizer.lr` takes 1 and 1.0 alike"),
        ("loss.weights.aspect: {choice: [0.5, 0, -0.0]}", "loss.weights.aspect: `choice` lists the "
         "same value twice: `loss.weights.aspect` takes 0 and -0.0 alike"),
        ("optimizer.gradient_clip: {choice: [null, 12, 12.0]}", "optimizer.gradient_clip: `choice` "
         "lists the same value twice: `optimizer.gradient_clip` takes 12 and 12.0 alike"),
        ("loss.min_area: {grid: [1, 2]}", "loss.min_area: `grid` needs `searcher: grid`; "
         "for `tpe` use `choice`"),
    ],
)  # fmt: skip
def test_a_searched_setting_must_be_one_and_take_every_value(tmp_path, entry, message) -> None:
    assert told(tmp_path, f"{BASE}  {entry}\n") == [f"4: space.{message}"]


@pytest.mark.parametrize("entry", ["loss.warmup_epochs: {randint: [0, 6]}",
                                   "loss.weights.aspect: {randint: [0, 2]}",
                                   "optimizer.gradient_clip: {choice: [12, null]}",
                                   "data.fold: {randint: [0, 5]}"])  # fmt: skip
def test_an_upper_bound_that_is_excluded_need_not_be_possible(tmp_path, entry) -> None:
    assert told(tmp_path, f"{BASE}  {entry}\n") == []


def test_two_searched_settings_that_limit_each_other_are_checked_together(tmp_path) -> None:
    space = "  data.folds: {choice: [3, 5]}\n  data.fold: {randint: [0, 4]}\n"
    assert told(tmp_path, BASE + space) == [
        "5: space.data.fold: `data.folds` 3 with `data.fold` 3: must be below `folds`, which is 3, "
        "but is 3"
    ]
    space = "  data.folds: {choice: [8, 10]}\n  data.fold: {randint: [0, 8]}\n"
    assert told(tmp_path, BASE + space) == []  # although there are 5 folds by default
    assert told(tmp_path, BASE + space.replace("0, 8", "0, 20")) == [
        "5: space.data.fold: must be below `folds`, which is 8, but is 19"
    ]
    space = "  loss.main: {choice: [dice_ce, dice_focal]}\n"
    both = space + "  loss.focal_gamma: {choice: [null, 3.0]}\n"
    assert told(tmp_path, BASE + space) == []
    assert told(tmp_path, BASE + both) == [
        '5: space.loss.focal_gamma: `loss.main` "dice_ce" with `loss.focal_gamma` 3.0: `dice_ce` '
        "has no focal term: must be null, but is 3"
    ]
    space = "  network.name: {choice: [dynunet, segresnet_ds]}\n"
    both = space + "  network.dropout: {uniform: [0, 0.5]}\n"
    assert told(tmp_path, BASE + both) == [
        '5: space.network.dropout: `network.name` "segresnet_ds" with `network.dropout` 0.5: '
        "`segresnet_ds` has no dropout: must be 0, but is 0.5"
    ]
    space = "  network.name: {choice: [dynunet, unet]}\n"
    both = space + "  network.deep_supervision: {choice: [true, null]}\n"
    assert told(tmp_path, BASE + space) == []
    assert told(tmp_path, BASE + both) == [
        '5: space.network.deep_supervision: `network.name` "unet" with `network.deep_supervision` '
        "true: `unet` has no deep supervision: must be false or null, but is true"
    ]


def test_levels_that_some_searched_images_are_too_small_for_are_a_mistake(tmp_path) -> None:
    space = "  data.size: {lograndint: [32, 65]}\n"
    network = "network: {name: NAME, channels: [8, 16, 32, 64, 128, 256]}\n"
    wrong = (
        "6 levels leave a single pixel of 32, too few for `segresnet_ds` to normalise: must be at "
        "most 5 levels, or images and patches of more than 32 pixels"
    )
    assert told(tmp_path, BASE + space + network.replace("NAME", "segresnet")) == []
    assert told(tmp_path, BASE + space + network.replace("NAME", "segresnet_ds")) == [
        f"4: space.data.size: `network.channels`: {wrong}"
    ]
    space += "  network.name: {choice: [segresnet, segresnet_ds]}\n"
    assert told(tmp_path, BASE + space + network.replace("NAME", "segresnet")) == [
        '4: space.data.size: `network.name` "segresnet_ds" with `data.size` 32: '
        f"`network.channels`: {wrong}"
    ]


def test_a_value_is_right_where_it_is_with_any_of_the_values_beside_it(tmp_path) -> None:
    text = BASE + (
        "  network.name: {choice: [dynunet, segresnet_ds]}\n"
        "  network.dropout: {choice: [0]}\n"
        "network: {dropout: 0.1}\n"
    )
    assert told(tmp_path, text) == []


def test_of_a_long_list_of_wrong_values_the_first_are_told(tmp_path) -> None:
    values = ", ".join(str(-number) for number in range(1, 1001))
    assert (
        len(told(tmp_path, BASE + f"  trainer.threads: {{choice: [{values}]}}\n")) == MOST_REPORTED
    )


def test_a_fixed_setting_limits_a_searched_one(tmp_path) -> None:
    text = BASE + "  network.name: {choice: [dynunet, unet]}\nnetwork: {deep_supervision: true}\n"
    assert told(tmp_path, text) == [
        "4: space.network.name: `network.deep_supervision`: `unet` has no deep supervision: must "
        "be false or null, but is true"
    ]


def test_the_grid_searcher_needs_listed_values(tmp_path) -> None:
    text = BASE + "  seed: {randint: [0, 5]}\nsearcher: grid\ntrials: 100\n"
    assert told(tmp_path, text) == [
        "4: space.seed: the searcher `grid` needs listed values: use `grid` or `choice` here"
    ]


def test_the_grid_searcher_is_told_the_list_of_whole_numbers_with_a_step(tmp_path) -> None:
    text = BASE + "  seed: {qrandint: [0, 9, 3]}\nsearcher: grid\ntrials: 100\n"
    assert told(tmp_path, text) == [
        "4: space.seed: the searcher `grid` needs listed values: use `grid` or `choice` here, such "
        "as `{grid: [0, 3, 6, 9]}`"
    ]


def test_more_trials_than_the_grid_has_points_is_a_mistake(tmp_path) -> None:
    text = BASE + "  seed: {grid: [0, 1, 2]}\nsearcher: grid\ntrials: "
    # of seeds alone: patience, which BASE searches too, is replayed
    assert told(tmp_path, text + "3\n") == []
    assert told(tmp_path, text + "4\n") == [
        "6: trials: must be at most 3, the size of the grid, but is 4"
    ]


def test_a_grid_beyond_all_bounds_is_a_mistake(tmp_path) -> None:
    values = ", ".join(map(str, range(1, 200)))
    keys = ("seed", "trainer.threads", "trainer.batch_size")
    text = BASE + "".join(f"  {key}: {{grid: [{values}]}}\n" for key in keys) + "searcher: grid"
    # 199³; there is no line, since the number is a default
    assert told(tmp_path, text) == [" trials: must be at most 1000000, but is 7880599"]
    # 2 · 199³ where patience is not replayed
    text += "\nreplay_patience: false"
    assert told(tmp_path, text) == [" trials: must be at most 1000000, but is 15761198"]


def test_a_grace_period_over_the_epochs_is_a_mistake(tmp_path) -> None:
    text = BASE + "scheduler: {grace_period: 25}\n"
    assert told(tmp_path, text) == [
        "4: scheduler.grace_period: must be at most 24, the epochs of a trial, but is 25"
    ]
    assert told(tmp_path, text.replace("choice: [4, 8]}", "choice: [4, 8]}\n  trainer.epochs: "
                                       "{choice: [10, 25]}")) == []  # fmt: skip


def test_a_searcher_whose_package_is_missing_is_a_mistake_with_the_cure(
    tmp_path, monkeypatch
) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("space: {optimizer.lr: {uniform: [0.1, 1]}}\nsearcher: cmaes\n")
    machine = Machine(cpus=8, gpus=0)
    found = ModuleSpec("cmaes", None, origin="cmaes/__init__.py")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: found)
    assert load_sweep(path, machine=machine).searcher.name == "cmaes"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError) as caught:
        load_sweep(path, machine=machine)
    assert str(caught.value) == (
        f"{path}:2: searcher: `cmaes` needs the package cmaes: pip install 'medical-sweep[cmaes]'"
    )


def test_more_brackets_than_rungs_are_a_mistake(tmp_path) -> None:
    text = BASE + "scheduler: {name: hyperband, grace_period: 4, brackets: 3}\n"
    assert told(tmp_path, text) == [
        "4: scheduler.brackets: must be at most 2, the number of rungs, but is 3"
    ]
    assert told(tmp_path, text.replace("brackets: 3", "brackets: 2")) == []


def test_searched_weights_that_never_act_are_a_mistake(tmp_path) -> None:
    searched = BASE + "  loss.weights.aspect: {uniform: [0, 1]}\n"
    message = (
        "the shortest warm-up is 30 of 24 epochs: the geometric loss never switches on, "
        "so its searched weights have no effect; shorten it, or raise `trainer.epochs`"
    )
    assert told(tmp_path, searched + "loss: {warmup_epochs: 30}\n") == [
        f"5: loss.warmup_epochs: {message}"
    ]
    assert told(tmp_path, searched + "  loss.warmup_epochs: {randint: [30, 40]}\n") == [
        f"5: space.loss.warmup_epochs: {message}"
    ]
    assert told(tmp_path, BASE + "loss: {warmup_epochs: 30}\n") == []


def test_the_space_is_checked_although_something_else_is_wrong(tmp_path) -> None:
    text = """\
data: {source: shape}
trainer: {epochs: 0}
space:
  data.gap: {randint: [0, 5]}
  data.zzz: {randint: [0, 5]}
  trainer.epochs: {choice: [0]}
  loss.weights.aspect: {uniform: [-1, 1]}
  seed: {unifrom: [0, 1]}
"""
    assert told(tmp_path, text) == [
        '1: data.source: must be `shapes`, `brain`, `nnunet_raw` or `custom`, but is "shape"; '
        "did you mean `shapes`?",
        "2: trainer.epochs: must be at least 1, but is 0",
        "4: space.data.gap: `data.gap` is not a setting of `data` with source `shapes`",
        "5: space.data.zzz: `data.zzz` is not a setting",
        "6: space.trainer.epochs: must be at least 1, but is 0",
        "7: space.loss.weights.aspect: must be at least 0, but is -1.0",
        "8: space.seed: `unifrom` is not a distribution; did you mean `uniform`?",
    ]


def test_folder_that_is_written_in_two_ways_is_listed_twice(tmp_path) -> None:
    text = (
        "data: {source: nnunet_raw, folder: /x}\n"
        "space: {data.folder: {choice: [/x/y, /x/../x/y, /x/z]}}\n"
    )
    assert told(tmp_path, text) == [
        "2: space.data.folder: `choice` lists the same value twice: `data.folder` takes "
        '"/x/y" and "/x/../x/y" alike'
    ]


def test_options_of_a_custom_trainer_are_as_many_as_are_written(tmp_path) -> None:
    text = (
        "trainer: {kind: custom, entry: a.b:c, options: {x: 1}}\n"
        'space: {trainer.options.x: {choice: [1, 1.0, "1", true]}}\n'
    )
    assert told(tmp_path, text) == []
