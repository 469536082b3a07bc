"""Settings files: what is said of each mistake, where, and what overrides do."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.machine.hardware import Machine
from sweep.spec.load import load_sweep, load_trial, to_yaml
from sweep.spec.reading.yaml_document import MERGE_MESSAGE
from sweep.spec.settings.data_settings import BrainData
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.vocabulary.errors import InputError

TOP_LEVEL = ", ".join(f"`{name}`" for name in TrialSettings.model_fields)
TOO_MUCH = (
    "x.yaml: the text holds more than 20000 keys and values, or 256 KiB of them, counting what "
    "aliases repeat"
)
SPACE = "space: {loss.warmup_epochs: {randint: [0, 5]}}\n"


def told(load, *args, **kwargs) -> list[str]:
    """The lines of the InputError that a call raises."""
    with pytest.raises(InputError) as caught:
        load(*args, **kwargs)
    return str(caught.value).splitlines()


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(write) -> None:
    text = """\
trials: 0
searcher: tpee
resources: {cpu: 1, gpu: 1.5}
trainer: {epoch: 24, device: gpu}
loss:
  warmup_epoch: 3
  weights: {compactness: -1}
seed: 1
seed: 2
space:
  loss.warmup_epochs: {randint: [8, 8]}
  loss.rampup: {randint: [2, 8]}
  optimizer.name: {choice: [sgd, adam]}
"""
    assert told(load_sweep, write(text), ["data.size=8"]) == [
        "x.yaml:1: trials: must be at least 1, but is 0",
        "x.yaml:2: searcher.name: must be `random`, `grid`, `tpe`, `gp`, `cmaes`, `qmc` or "
        '`custom`, but is "tpee"; '
        "did you mean `tpe`?",
        "x.yaml:3: resources.gpu: must be a fraction of one GPU or a whole number, but is 1.5",
        'x.yaml:4: trainer.device: must be `auto`, `cpu` or `cuda`, but is "gpu"; '
        "did you mean `cuda`?",
        "x.yaml:4: trainer.epoch: `epoch` is not a setting of `trainer` with kind `monai`; "
            "did you mean `epochs`?",
        "x.yaml:6: loss.warmup_epoch: `warmup_epoch` is not a setting of `loss`; "
        "did you mean `warmup_epochs`?",
        "x.yaml:7: loss.weights.compactness: must be at least 0, but is -1",
        "x.yaml:9: seed: `seed` is given twice, first in line 8",
        "x.yaml:11: space.loss.warmup_epochs: `randint` excludes its upper bound, so [8, 8] is "
        "empty; did you mean [8, 9]?",
        "x.yaml:12: space.loss.rampup: `loss.rampup` is not a setting; "
        "did you mean `loss.rampup_epochs`?",
        "x.yaml:13: space.optimizer.name: must be `sgd` or `adamw`, but is \"adam\"; "
        "did you mean `adamw`?",
        "--set data.size=8: data.source: is missing; must be `shapes`, `brain`, "
         "`nnunet_raw` or `custom`; "
        "did you mean `shapes`?",
        "--set data.size=8: data.size: must be at least 32, but is 8",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trainer: {epochs: 1.5}", "trainer.epochs: must be a whole number, but is 1.5"),
        ("trainer: {epochs: '5'}", 'trainer.epochs: must be a whole number, but is "5"; '
         "write 5, without quotes"),
        ("trainer: {epochs: 5.0}", "trainer.epochs: must be a whole number, but is 5.0; write 5"),
        ("optimizer: {lr: '1e-3'}", 'optimizer.lr: must be a number, but is "1e-3"; write 0.001, '
         "without quotes"),
        ("optimizer: {momentum: 90%}", 'optimizer.momentum: must be a number, but is "90%"; '
         "write 0.9"),
        ("optimizer: {lr: '0,01'}", 'optimizer.lr: must be a number, but is "0,01"; write 0.01'),
        ("optimizer: {lr: '0.0012345678'}", 'optimizer.lr: must be a number, but is '
         '"0.0012345678"; write 0.0012345678, without quotes'),
        ("optimizer: {lr: 10^-3}", 'optimizer.lr: must be a number, but is "10^-3"; write 0.001'),
        ("optimizer: {gradient_clip: None}", "optimizer.gradient_clip: must be a number or null, "
         'but is "None"; write null'),
        ("network: unet", 'network: must be a mapping of settings, but is "unet"; '
         "write {name: unet}"),
        ("trainer: {epochs: true}", "trainer.epochs: must be a whole number, but is true"),
        ("trainer: {epochs: }", "trainer.epochs: must be a whole number, but is null"),
        ("trainer: {deterministic: off}", 'trainer.deterministic: must be true or false, '
         'but is "off"; write false'),
        ("trainer: 3", "trainer: must be a mapping of settings, but is 3"),
        ("trainer:", "trainer: must be a mapping of settings, but is null"),
        ("data: shapes", 'data: must be a mapping of settings, but is "shapes"; '
         "write {source: shapes}"),
        ("data: {size: 64}", "data.source: is missing; must be `shapes`, `brain`, "
         "`nnunet_raw` or `custom`; "
         "did you mean `shapes`?"),
        ("data: {source: shape}", "data.source: must be `shapes`, `brain`, `nnunet_raw` or "
         "`custom`, "
         'but is "shape"; did you mean `shapes`?'),
        ("data: {source: [brain]}", "data.source: must be `shapes`, `brain`, `nnunet_raw` or "
         "`custom`, "
         'but is ["brain"]'),
        ("data: {source: nnunet_raw}", "data.folder: is missing"),
        ("data: {source: nnunet_raw, folder: ''}", "data.folder: must be text of at least 1 "
         'character(s), but is ""'),
        ("data: {source: nnunet_raw, folder: x, geometric_class: 1.5}",
         "data.geometric_class: must be text or a whole number or a list or null, but is 1.5"),
        ("data: {source: brain, size: 64}", "data.size: `size` is not a setting of `data` with "
         "source `brain`; it has `source`, `normalization`, `n4`, `folds`, `fold`, `test`, "
         "`patch_size`, `oversample_foreground`, `spatial`, `spacing`, `geometric_class`, "
         "`tissues`, `validation_slices`, `gap`, `step`, `threshold`"),
        ("data: {source: brain, fold: 5}", "data.fold: must be below `folds`, which is 5, "
         "but is 5"),
        ("network: {channels: [8]}", "network.channels: must be a list of at least 2, "
         "but is [8]"),
        ("network: {channels: [8, 0]}", "network.channels.1: must be at least 1, but is 0"),
        ("network: {name: unet, deep_supervision: true}", "network.deep_supervision: `unet` has "
         "no deep supervision: must be false or null, but is true"),
        ("network: {name: attention_unet, channels: [8, 16], deep_supervision: true}",
         "network.deep_supervision: 2 levels leave no lower level to supervise: must be false or "
         "null, but is true"),
        ("network: {name: segresnet_ds, dropout: 0.1}", "network.dropout: `segresnet_ds` has no "
         "dropout: must be 0, but is 0.1"),
        ("network: {name: segresnet_ds, channels: [8, 8, 16]}", "network.channels: `segresnet_ds` "
         "doubles its feature maps at each level: must be [8, 16, 32], but is [8, 8, 16]"),
        ("network: {name: segresnet, channels: [4, 8]}", "network.channels: `segresnet` normalises "
         "8 groups of feature maps: must start with a multiple of 8, but is [4, 8]"),
        ("network: {name: basic_unet_plus_plus, channels: [4, 8]}", "network.channels: "
         "`basic_unet_plus_plus` has 5 levels: must be a list of 5, but is [4, 8]"),
        ("data: {source: shapes, size: 40}\nnetwork: {name: unet, channels: [4, 4, 4, 4, 4, 4, 4]}",
         "network.channels: 7 levels leave a single pixel of 40, too few for `unet` to normalise: "
         "must be at most 6 levels, or images and patches of more than 64 pixels"),
        ("data: {source: brain, patch_size: 16}\nnetwork: {channels: [4, 4, 4, 4, 4]}",
         "network.channels: 5 levels leave a single pixel of 16, too few for `dynunet` to "
         "normalise: must be at most 4 levels, or images and patches of more than 16 pixels"),
        ("data: {source: shapes, size: 32}\ntrainer: {batch_size: 1}\n"
         "network: {name: attention_unet, channels: [4, 4, 4, 4, 4, 4]}",
         "network.channels: 6 levels leave a single pixel of 32, too few for `attention_unet` to "
         "normalise: must be at most 5 levels, or images and patches of more than 32 pixels, or a "
         "`trainer.batch_size` above 1"),
        ("loss: {sqrt_epsilon: .nan}", "loss.sqrt_epsilon: must be a finite number, but is NaN"),
        ("loss: {min_area: 1e999}", "loss.min_area: must be a finite number, but is Infinity"),
        ("early_stopping: {patience: 0}", "early_stopping.patience: must be at least 1 or null, "
         "but is 0"),
        ("seed: 2001-01-01", 'seed: must be a whole number, but is "2001-01-01"'),
        ("seed: 99999999999999999999", "seed: whole numbers go up to 9223372036854775807, but "
         'this is "99999999999999999999"'),
        ("seed: " + "9" * 5000, 'seed: "' + "9" * 59 + "… cannot be read as a number"),
        ("seed: 2147483648", "seed: must be less than 2147483648, but is 2147483648"),
        ("warmup_epochs: 3", "warmup_epochs: `warmup_epochs` is not a setting of the top level; "
         "did you mean `loss.warmup_epochs`?"),
        ("zzz: 3", "zzz: `zzz` is not a setting of the top level; it has " + TOP_LEVEL),
        ("1: 3\nseed: 1", "1: `1` is not a setting of the top level; it has " + TOP_LEVEL),
        ("loss: {null: 1}", "loss.null: `null` is not a setting of `loss`; it has `main`, "
         "`main_options`, "
         "`dice_weight`, `pixel_weight`, `focal_gamma`, `warmup_epochs`, `rampup_epochs`, "
         "`terms`, `weights`, `sqrt_epsilon`, `sqrt_mode`, `min_area`, `components`, `border`"),
        ("loss: {main: dice_fokal}", "loss.main: must be `dice_ce`, `dice_focal` or "
         '`focal_logcosh_dice`, but is "dice_fokal"; did you mean `dice_focal`?'),
        ("loss: {dice_weight: 0, pixel_weight: 0}", "loss.pixel_weight: must be above 0 if"
         " `dice_weight` is 0: no main loss is left"),
        ("loss: {focal_gamma: 2.5}", "loss.focal_gamma: `dice_ce` has no focal term: must be null, "
         "but is 2.5"),
        ("loss: {main: dice_focal, focal_gamma: 0.5}", "loss.focal_gamma: must be at least 1 or "
         "null, but is 0.5"),
        ("? [a, b]\n: 1", "a key must be a text, not a list or a mapping"),
        ('"a\\e[2J": 1', "a\\x1b[2J: `a\\x1b[2J` is not a setting of the top level; it has "
         + TOP_LEVEL),
        ("seed: !!python/object/apply:os.system [true]",
         "seed: the tag `!!python/object/apply:os.system` is not allowed; write a plain value"),
        ("seed: !!binary MQ==", "seed: the tag `!!binary` is not allowed; write a plain value"),
        ("seed: !!int x", 'seed: "x" cannot be read as a number'),
        ("trainer: &t {epochs: 2, batch_size: 1}\n<<: *t", f"<<: {MERGE_MESSAGE}"),
        ("trainer: {<<: {epochs: 2}, batch: 1}", f"trainer.<<: {MERGE_MESSAGE}"),
        ("space: {<<: {optimizer.lr: {choice: [0.1, 0.2]}}}", f"space.<<: {MERGE_MESSAGE}"),
        ("space: {optimizer.lr: {<<: {choice: [0.1, 0.2]}}}",
         f"space.optimizer.lr.<<: {MERGE_MESSAGE}"),
        ("optimizer.lr: 0.1", "optimizer.lr: `optimizer.lr` is not a setting of the top level; "
         "write it nested: `optimizer: {lr: …}`; dotted names are for `space` and `--set`"),
        ("trainer.epochs: 2", "trainer.epochs: `trainer.epochs` is not a setting of the top level; "
         "write it nested: `trainer: {epochs: …}`; dotted names are for `space` and `--set`"),
        ("loss.weights.aspect: 2", "loss.weights.aspect: `loss.weights.aspect` is not a setting of "
         "the top level; write it nested: `loss: {weights: {aspect: …}}`; dotted names are for "
         "`space` and `--set`"),
        ("loss: {weights.aspect: 2}", "loss.weights.aspect: `weights.aspect` is not a setting of "
         "`loss`; write it nested: `loss: {weights: {aspect: …}}`; dotted names are for `space` "
         "and `--set`"),
        ("loss.weights: {aspect: 2}", "loss.weights: `loss.weights` is not a setting of the top "
         "level; write it nested: `loss: {weights: …}`; dotted names are for `space` and `--set`"),
        ("trainer.max_epochs: 2", "trainer.max_epochs: `trainer.max_epochs` is not a setting of "
         "the top level; did you mean `trainer: {epochs: …}`?"),
        ("zzz.qqq: 2", "zzz.qqq: `zzz.qqq` is not a setting of the top level; dotted names are "
         "for `space` and `--set`"),
        ("data: {source: zzz.qqq, x.y: 2}", 'data.source: must be `shapes`, `brain`, '
         '`nnunet_raw` or `custom`, but is "zzz.qqq"'),
        ("space.optimizer.lr: {choice: [0.1, 0.2]}\nspace: {seed: {choice: [1]}}",
         "space.optimizer.lr: `space.optimizer.lr` is not a setting of the top level; write it "
         "nested: `space: {optimizer.lr: …}`"),
        ("scheduler.grace_period: 2\nspace: {seed: {choice: [1]}}", "scheduler.grace_period: "
         "`scheduler.grace_period` is not a setting of the top level; write it nested: "
         "`scheduler: {grace_period: …}`; dotted names are for `space` and `--set`"),
        ("trainer: {kind: custom, entry: a.b:c, options.alpha: 1}", "trainer.options.alpha: "
         "`options.alpha` is not a setting of `trainer` with kind `custom`; write it nested: "
         "`trainer: {options: {alpha: …}}`; dotted names are for `space` and `--set`"),
        ("loss: &l {weights: *l}", "loss.weights: this alias contains itself"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_in_plain_words(write, text: str, message: str) -> None:
    [line] = told(load_sweep if "space:" in text else load_trial, write(text))
    place, _, rest = line.partition(": ")
    assert rest == message
    assert place.startswith("x.yaml:")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x.yaml: the file is empty; it must hold `key: value` lines"),
        ("# nothing\n", "x.yaml: the file is empty; it must hold `key: value` lines"),
        ("- 1\n", "x.yaml: the file is not a mapping; it must hold `key: value` lines"),
        ("seed", "x.yaml: the file is not a mapping; it must hold `key: value` lines"),
        ("!!set {a, b}", "x.yaml:1: the tag `!!set` is not allowed; write a plain value"),
        ("seed: 1\nloss:\n\tmain: x", "x.yaml:3: a tab; YAML is indented with spaces"),
        ("seed: 1\nloss: a: b", "x.yaml:2: a `:` too many, or a line indented too far; "
         "a text that contains `: ` needs quotes"),
        ("seed: 1\n\nloss: 'x\nseed: 2\n", "x.yaml:3: a quote is opened here and never closed"),
        ("seed: [1, 2", "x.yaml:1: a `[` is not closed, or a comma is missing"),
        (
            "loss: {main: x",
            "x.yaml:1: a `{` is not closed, or a comma or the space after a `:` is missing",
        ),
        (
            "space: {seed: {randint:[1, 5]}}",
            "x.yaml:1: a `{` is not closed, or a comma or the space after a `:` is missing",
        ),
        ("loss:\n    main: x\n  seed: 1", "x.yaml:3: the indentation does not match the lines "
         "above"),
        ("a: 1\n---\nb: 2", "x.yaml:2: a second document starts here (`---`); a file holds one"),
        ('seed: "\\ud800"', 'x.yaml:1: seed: "\\ud800" has half of a surrogate pair, which is not '
         "a character"),
        ('"\\ud800": 1', 'x.yaml:1: "\\ud800" has half of a surrogate pair, which is not '
         "a character"),
        ("a: *x", "x.yaml:1: an alias (`*name`) whose anchor (`&name`) does not come before it"),
        ("'a' 'b'", "x.yaml:1: this is not part of a `key: value` line"),
        ("a: @x", "x.yaml:1: a value cannot start with this character; put it in quotes"),
        ("seed: 1\nb: \x07", "x.yaml:2: the character U+0007 is not allowed in YAML"),
        (b"seed: 1\nb: \xff\xfe", "x.yaml:2: the text is not UTF-8; save the file as UTF-8"),
        ("seed: 1".encode("utf-16"), "x.yaml:1: the text is not UTF-8; save the file as UTF-8"),
        ("# a\u00a0b\nseed: 2\ntrials:\u00a04\nb: 1", "x.yaml:3: a key without a `: ` after it; "
         "line 3 has U+00A0, which only looks like a space: type it again"),
        ("a: 1\ntrials\uff1a 4\nb: 1", "x.yaml:2: a key without a `: ` after it; "
         "line 2 has U+FF1A, which only looks like a colon: type it again"),
        ('a: "1\uff1a 2"\ntrials 4\nb: 1', "x.yaml:2: a key without a `: ` after it"),
        ("[" * 1_000, "x.yaml: brackets or lines are nested too deep"),
        ("a: " + "[" * 30 + "]" * 30, "x.yaml:1: " + ".".join(["a"] + ["0"] * 20)
         + ": nested more than 20 levels deep"),
        ("a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
         "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d]",
         TOO_MUCH),
        ("seed: &x " + "x" * 2000 + "\ntracking: [" + "*x," * 200 + "]",
         TOO_MUCH),
        ("#" * 300_000, "x.yaml: the file is larger than 256 KiB, so it holds no settings"),
    ],
)  # fmt: skip
def test_a_broken_text_is_told_with_its_line(write, text: str | bytes, message: str) -> None:
    assert message in told(load_trial, write(text))


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    assert told(load_trial, tmp_path) == [f"{tmp_path}: is a folder; name a YAML file in it"]
    missing = tmp_path / "missing.yaml"
    assert told(load_sweep, missing) == [f"{missing}: there is no such file"]
    assert told(load_trial, "a\0b") == ["a\\x00b: cannot be read: embedded null byte"]


def test_yaml_is_of_version_1_2(write) -> None:
    settings = load_trial(write("data: {source: nnunet_raw, folder: off}\noptimizer: {lr: 1e-4}"))
    assert Path(settings.data.folder).name == "off"
    assert settings.optimizer.lr == 1e-4


def test_a_data_folder_is_the_same_in_whatever_directory_a_trial_runs(write) -> None:
    settings = load_trial(write("data: {source: nnunet_raw, folder: ../raw}"))
    assert settings.data.folder == str(Path.cwd().parent / "raw")


def test_a_byte_order_mark_and_aliases_are_understood(write) -> None:
    text = "\ufeffdata: {source: shapes, seed: &s 7}\nseed: *s\n"
    assert load_trial(write(text)).seed == 7


def test_a_trial_file_given_as_a_sweep_names_the_right_command(write) -> None:
    assert told(load_sweep, write("seed: 1")) == [
        "x.yaml: this file has no `space`, so it describes a single trial; "
        "run it with `python -m sweep.train x.yaml`"
    ]


def test_a_sweep_file_given_as_a_trial_names_the_right_command(write) -> None:
    assert told(load_trial, write(SPACE)) == [
        "x.yaml: this file has `space`, so it describes a sweep; "
        "run it with `python -m sweep.run x.yaml`"
    ]


def test_a_misspelt_space_is_not_taken_for_a_trial(write) -> None:
    assert told(load_sweep, write("spaces: {}")) == [
        "x.yaml: space: is missing",
        "x.yaml:1: spaces: `spaces` is not a setting of the top level; did you mean `space`?",
    ]


def test_a_sweep_is_named_after_its_file(write) -> None:
    assert load_sweep(write(SPACE, "my-space.v2.yaml")).name == "my-space.v2"
    assert load_sweep(write(SPACE + "name: other")).name == "other"


def test_a_file_name_that_cannot_name_a_sweep_asks_for_a_name(write) -> None:
    assert told(load_sweep, write(SPACE, "my space.yaml")) == [
        'my space.yaml: name: the file name "my space" cannot name a sweep; give a `name:`'
    ]


def test_overrides_reach_everything_and_the_last_one_wins(write) -> None:
    spec = load_sweep(
        write(SPACE + "scheduler: asha\ndata: {source: brain, gap: 3}\ntrainer: {epochs: 5}"),
        [
            "trials=4",
            "trials=5",
            "space.loss.warmup_epochs={randint: [0, 2]}",
            "space.optimizer.lr={loguniform: [1e-4, 1]}",
            "scheduler.grace_period=2",
            "data.gap=4",
            "loss.weights.aspect=0",
            "searcher=random",
            "time_budget=10m",
            "early_stopping.patience=",
        ],
    )
    assert spec.trials == 5
    assert [kind.arguments for kind in spec.space.values()] == [[0, 2], [1e-4, 1.0]]
    assert (spec.scheduler.name, spec.scheduler.grace_period) == ("asha", 2)
    assert spec.data == BrainData(source="brain", gap=4)
    assert spec.loss.weights.aspect == 0
    assert spec.searcher.name == "random"
    assert spec.time_budget == 600
    assert spec.early_stopping.patience is None


def test_an_override_may_replace_a_whole_group_and_with_it_its_mistakes(write) -> None:
    path = write(SPACE + "data: {source: shape, size: -1}\nscheduler: {nam: x}")
    spec = load_sweep(path, ["data={source: shapes}", "scheduler=none"])
    assert (spec.data.source, spec.scheduler.name) == ("shapes", "none")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trials", "trials: must read `dotted.key=value`, such as `trainer.epochs=10`"),
        ("=3", "must read `dotted.key=value`, such as `trainer.epochs=10`"),
        ("loss..x=3", "loss..x: must read `dotted.key=value`, such as `trainer.epochs=10`"),
        ("trials=x", 'trials: must be a whole number, but is "x"'),
        ("trials=[", "trials: a value is missing, or a bracket is not closed"),
        ("seed.x=3", "seed.x: cannot reach into `seed`, which is 1"),
        ("loss.warmup_epoch=3", "loss.warmup_epoch: `warmup_epoch` is not a setting of `loss`; "
         "did you mean `warmup_epochs`?"),
        ("space.seed={unifrom: [0, 1]}", "space.seed: `unifrom` is not a distribution; "
         "did you mean `uniform`?"),
    ],
)  # fmt: skip
def test_a_wrong_override_is_told_with_the_override_as_its_place(write, override, message) -> None:
    path = write("seed: 1\n" + SPACE)
    assert told(load_sweep, path, [override]) == [f"--set {override}: {message}"]


def test_resources_are_checked_against_the_machine_that_is_given(write) -> None:
    path = write(SPACE + "resources: {cpu: 64, gpu: 2}")
    assert load_sweep(path).resources.cpu == 64
    assert told(load_sweep, path, machine=Machine(cpus=8, gpus=1)) == [
        "x.yaml:2: resources.cpu: must be at most 8, the CPU cores of this machine, but is 64",
        "x.yaml:2: resources.gpu: must be at most 1, the GPUs of this machine, but is 2",
    ]


@pytest.mark.parametrize("gpu", ["0.25", "2"])
@pytest.mark.parametrize("trials", ["4", "auto"])
def test_trials_of_one_process_share_one_whole_gpu(write, gpu, trials) -> None:
    path = write(SPACE + f"resources: {{gpu: {gpu}, trials_per_gpu: {trials}}}")
    assert told(load_sweep, path) == [
        f"x.yaml:2: resources.trials_per_gpu: is {trials}: the trials of a process share one whole"
        f" GPU, but `resources.gpu` is {gpu}; leave one of the two out"
    ]
    for whole in ("0", "1", "auto"):
        load_sweep(write(SPACE + f"resources: {{gpu: {whole}, trials_per_gpu: {trials}}}"))


def test_the_effective_trial_is_readable_yaml(write) -> None:
    text = to_yaml(TrialSettings())
    assert text.startswith("seed: 0\ndata:\n  source: shapes\n  normalization: zscore\n")
    assert "  channels: [16, 32, 64, 128]\n" in text
    assert "  weight_decay: 3.0e-05\n" in text  # YAML 1.1 reads 3e-05 as a text
    assert load_trial(write(text)) == TrialSettings()


def test_the_effective_sweep_has_what_was_derived(write) -> None:
    text = to_yaml(load_sweep(write(SPACE + "seed: 3\ntime_budget: 5400")))
    assert text.startswith(
        "name: x\nspace:\n  loss.warmup_epochs:\n    randint: [0, 5]\nreplay_patience: true\n"
        "searcher:\n  name: tpe\n  seed: 3\n  startup_trials: 10\n"
        "scheduler:\n  name: asha\n  grace_period: 4\n  clock: activation\n"
        "  reduction_factor: 3\n  rung_factor: 2\n  pause: false\n"
        "presets: [baseline]\nwarm_start: null\ntrials: 20\n"
    )
    assert "time_budget: 90m\n" in text


@pytest.mark.parametrize(
    "values",
    [
        {"space": {"trainer.options.a": {"choice": ["caf\udce9", "b"]}}},
        {"trainer": {"kind": "custom", "entry": "\udce9.py:train"}},
        {"data": {"\udce9": 1}},
    ],
)
def test_python_values_that_no_file_could_hold_are_mistakes(values: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="has half of a surrogate pair, which is not a character"):
        load_sweep({"name": "x", "space": {"seed": {"randint": [0, 3]}}, **values})


@pytest.mark.parametrize("listed", [np.array([1, 2]), range(1, 3), (np.int8(1), np.int64(2))])
def test_lists_of_python_are_lists_of_a_sweep(listed: Any) -> None:
    spec = load_sweep({"name": "x", "space": {"loss.warmup_epochs": {"choice": listed}}})
    assert repr(spec.values_of("loss.warmup_epochs")) == "(1, 2)"


@pytest.mark.parametrize("held", [object(), {1, 2}, "\udce9"])
def test_value_that_cannot_be_read_in_the_space_is_one_mistake(held: object) -> None:
    with pytest.raises(InputError) as caught:
        load_sweep({"name": "x", "space": {"data.kind": {"choice": held}}})
    assert [mistake.key for mistake in caught.value.mistakes] == ["space.data.kind.choice"]
