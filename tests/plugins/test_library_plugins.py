"""Networks and losses of libraries, named as they are, without a function around them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import monai.losses
import monai.networks.nets
import pytest
import torch
from cut_short import cut_short

import sweep
from sweep.analysis.figures.sweep_results import read_results
from sweep.report.takeaway.methods import methods
from sweep.spec.settings.loss_settings import LossSettings
from sweep.spec.settings.network_settings import NetworkSettings
from sweep.spec.settings.trial_settings import OptimizerSettings
from sweep.trainer.losses.main_losses import build_main_loss
from sweep.trainer.networks.networks import build_network
from sweep.trainer.networks.optimizers import build_optimizer
from sweep.trial.checkpoints import Checkpoints
from sweep.trial.fit import fit
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import TrainerError

FEATURES = (2, 2, 2, 2, 2, 2)


@pytest.mark.parametrize("axes", [2, 3])
def test_network_gets_channels_and_classes_by_the_names_it_has_for_them(axes: int) -> None:
    """Its first parameter is neither: the number of axes."""
    settings = NetworkSettings(
        name="monai.networks.nets:BasicUNet", options={"features": list(FEATURES)}
    )
    torch.manual_seed(0)
    found = build_network(settings, 3, 5, spatial_dims=axes)
    torch.manual_seed(0)
    images = torch.ones(1, 3, *[32] * axes)
    expected = monai.networks.nets.BasicUNet(axes, 3, 5, FEATURES)
    assert torch.equal(found.eval()(images), expected.eval()(images))


def refused(**more: Any) -> str:
    with pytest.raises(sweep.InputError) as caught:
        sweep.check({"name": "x", "space": {"optimizer.lr": {"uniform": [0.1, 1]}}, **more})
    return "; ".join(mistake.message for mistake in caught.value.mistakes)


def test_what_a_network_needs_besides_is_said() -> None:
    assert refused(network={"name": "monai.networks.nets:UNet"}).endswith(
        "must take (spatial_dims, in_channels, out_channels): missing a required argument:"
        " 'channels'"
    )


def loss_of(**settings: Any) -> Any:
    [(_, term)] = build_main_loss(LossSettings(**settings)).items()
    return term.value


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 8, 8, generator=random)
    return logits, torch.randint(3, (2, 1, 8, 8), generator=random).byte()


def test_class_of_losses_is_made_with_its_options(
    batch: tuple[torch.Tensor, torch.Tensor],
) -> None:
    options = {"to_onehot_y": True, "softmax": True, "alpha": 0.3, "beta": 0.7}
    found = loss_of(main="monai.losses:TverskyLoss", main_options=options)
    assert found(*batch) == monai.losses.TverskyLoss(**options)(*batch)


def test_function_gets_its_options_with_class_indices_of_64_bits(
    batch: tuple[torch.Tensor, torch.Tensor], tmp_path: Path
) -> None:
    file = tmp_path / "loss.py"
    file.write_text(
        "import torch\n\n\n"
        "def half(logits, target, share):\n"
        "    assert target.dtype == torch.int64\n"
        "    return share * torch.nn.functional.cross_entropy(logits, target[:, 0])\n"
    )
    logits, target = batch
    expected = torch.nn.functional.cross_entropy(logits, target[:, 0].long())
    assert loss_of(main=f"{file}:half", main_options={"share": 0.25})(*batch) == 0.25 * expected
    assert "missing a required argument: 'share'" in refused(loss={"main": f"{file}:half"})


def test_loss_that_takes_targets_of_another_shape_fails_with_the_shapes(
    batch: tuple[torch.Tensor, torch.Tensor],
) -> None:
    told = (
        r"`torch\.nn:CrossEntropyLoss` fails with logits \[2, 3, 8, 8\] and class indices"
        r" \[2, 1, 8, 8\]: RuntimeError: only batches of spatial targets"
    )
    with pytest.raises(TrainerError, match=told):
        loss_of(main="torch.nn:CrossEntropyLoss")(*batch)


def swept(folder: Path, **more: Any) -> sweep.SweepResults:
    values: dict[str, Any] = {
        "name": "library",
        "trials": 3,
        "searcher": "grid",
        "scheduler": "none",
        "presets": [],
        "data": {"source": "shapes", "count": 6, "size": 32},
        "trainer": {"epochs": 1, "batch_size": 2, "device": "cpu"},
        "network": {"name": "unet", "channels": [4, 8]},
    }
    return sweep.run(values | more, results=folder, executor="local", progress=False)


def test_option_of_a_loss_is_searched_and_told_among_the_methods(tmp_path: Path) -> None:
    results = swept(
        tmp_path,
        network={"name": "monai.networks.nets:BasicUNet", "options": {"features": list(FEATURES)}},
        loss={
            "main": "monai.losses:TverskyLoss",
            "main_options": {"to_onehot_y": True, "softmax": True, "alpha": 0.5},
        },
        space={"loss.main_options.alpha": {"grid": [0.1, 0.5, 0.9]}},
    )
    found = {one: results[one].config.loss.main_options["alpha"] for one in results}
    assert sorted(found.values()) == [0.1, 0.5, 0.9]
    losses = {results[one].history["train_loss"].iloc[0] for one in results}
    assert len(losses) == 3
    told = str(methods(read_results(results.folder)))
    assert "parameters, features [2, 2, 2, 2, 2, 2])" in told
    assert "`monai.losses:TverskyLoss` (to_onehot_y true, softmax true, alpha searched)" in told


def test_option_without_a_value_is_not_searched() -> None:
    loss = {"main": "monai.losses:TverskyLoss", "main_options": {"alpha": 0.5}}
    assert "`loss.main_options` has no `beta`: give it a value there to search it" in refused(
        loss=loss, space={"loss.main_options.beta": {"uniform": [0.1, 0.9]}}
    )


def test_optimizer_of_torch_is_named_searched_and_resumed_bit_for_bit(tmp_path: Path) -> None:
    results = swept(
        tmp_path,
        trainer={"epochs": 4, "batch_size": 2, "device": "cpu"},
        optimizer={"name": "torch.optim:RAdam", "lr": 0.01, "options": {"eps": 1e-8}},
        loss={"warmup_epochs": 2, "rampup_epochs": 0},
        early_stopping={"patience": None},
        space={"optimizer.options.eps": {"grid": [1e-8, 1e-4, 1e-2]}},
    )
    assert results.best.status.value == "completed"
    told = str(methods(read_results(results.folder)))
    assert "The optimizer was `torch.optim:RAdam` (learning rate 0.01, eps searched;" in told
    losses = {tuple(results[one].history["train_loss"]) for one in results}
    assert len(losses) == 3
    config, epochs = results["t0001"].config, list[EpochMetrics]()
    cut_short(config, 2, checkpoint=Checkpoints(tmp_path))
    fit(config, report=epochs.append, checkpoint=Checkpoints(tmp_path))
    assert [one.train_loss for one in epochs] == list(results["t0001"].history["train_loss"])


def test_optimizer_that_the_guard_cannot_step_fails_its_trial_in_words() -> None:
    settings = OptimizerSettings(name="torch.optim:LBFGS")
    with pytest.raises(TrainerError, match=r"`torch\.optim:LBFGS` evaluates the loss"):
        build_optimizer(settings, torch.nn.Linear(1, 1).parameters())


def test_value_that_a_library_does_not_take_is_told_with_its_option() -> None:
    settings = OptimizerSettings(name="torch.optim:RAdam", options={"weight_decay": "none"})
    told = (
        r"the optimizer `torch\.optim:RAdam` cannot be made with \(weight_decay='none'\): TypeError"
    )
    with pytest.raises(TrainerError, match=told):
        build_optimizer(settings, torch.nn.Linear(1, 1).parameters())
    loss = {"main": "monai.losses:TverskyLoss", "main_options": {"reduction": "middle"}}
    with pytest.raises(TrainerError, match=r"cannot be made with \(reduction='middle'\)"):
        loss_of(**loss)


@pytest.mark.parametrize("key", ["momentum", "weight_decay"])
def test_settings_of_our_optimizers_are_refused_beside_another(key: str) -> None:
    optimizer = {"name": "torch.optim:RAdam", key: 0.5}
    assert "a plug-in is set by `optimizer.options`" in refused(optimizer=optimizer)


@pytest.mark.parametrize(
    ("settings", "name", "option"),
    [
        ({"optimizer": {"name": "torch.optim:RAdam", "options": {"lr": 1}}}, "RAdam", "lr"),
        (
            {"network": {"name": "monai.networks.nets:BasicUNet", "options": {"in_channels": 3}}},
            "BasicUNet",
            "in_channels",
        ),
    ],
)
def test_what_a_plugin_gets_anyway_is_no_option(
    settings: dict[str, Any], name: str, option: str
) -> None:
    """A schedule sets the learning rate, and the data have their channels."""
    assert refused(**settings).endswith(
        f"{name}` is called with `{option}` anyway: it cannot be an option"
    )


def test_name_like_none_of_ours_is_told_how_plugins_are_named() -> None:
    assert refused(optimizer={"name": "Lion"}) == (
        'must be `sgd` or `adamw`, or a plug-in as my_package.module:MyOptimizer, but is "Lion"'
    )


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            {"choice": ["sgd", "torch.optim:RAdam"]},
            "searched (learning rate 0.01, momentum searched, weight decay 3e-5,"
            " where it is not ours: eps 1e-8; ",
        ),
        (
            {"choice": ["torch.optim:NAdam", "torch.optim:RAdam"]},
            "searched (learning rate 0.01, where it is not ours: eps 1e-8; ",
        ),
    ],
)
def test_methods_of_a_searched_optimizer_say_what_each_has(
    name: dict[str, Any], told: str, tmp_path: Path
) -> None:
    optimizer = {"name": "torch.optim:RAdam", "lr": 0.01, "options": {"eps": 1e-8}}
    space = {"optimizer.name": name}
    if "sgd" in name["choice"]:
        space["optimizer.momentum"] = {"choice": [0.9], "when": {"optimizer.name": "sgd"}}
    results = swept(tmp_path, trials=1, searcher="random", optimizer=optimizer, space=space)
    assert f"The optimizer was {told}" in str(methods(read_results(results.folder)))


def test_options_beside_a_loss_of_our_own_are_refused() -> None:
    assert "only a plug-in has options" in refused(loss={"main_options": {"alpha": 0.5}})


def test_class_that_is_called_while_training_must_be_made_by_its_options() -> None:
    loss = {"main": "monai.losses:TverskyLoss", "main_options": {"alfa": 1}}
    assert refused(loss=loss) == (
        "`monai.losses:TverskyLoss` is a class, so it is made before it is called: it must take"
        " (alfa=…): got an unexpected keyword argument 'alfa'"
    )
