"""Cause × stage × term × settings → the setting that most often cures it."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.divergence.advice import Case
from sweep.trainer.divergence.verdicts import VERDICTS, advise, still_falling
from sweep.trainer.runs.explain import divides_by_zero, geometric_share, size_of
from sweep.trainer.runs.watched_network import watched
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Divergence, Stage

NONFINITE, EXPLODED, COLLAPSED, ZOMBIE = (
    "nonfinite",
    "exploded",
    "collapsed",
    "zombie",
)
LOSS, GRADIENT, WEIGHTS = Stage.LOSS, Stage.GRADIENT, Stage.WEIGHTS
LATE, EARLY = 30, 3
"""Epochs after and before the default switch-on at 20."""

ROOT = {"loss": {"sqrt_epsilon": 0.0}}
TINY = {"loss": {"sqrt_epsilon": 1e-14}}
HALF = {"trainer": {"amp": "fp16"}}
UNCLIPPED = {"optimizer": {"gradient_clip": None}}
FAST = {"optimizer": {"gradient_clip": None, "lr": 30.0}}
SKIP = {"guard": {"on_nonfinite": "skip"}}
PLAIN = {"loss": {"weights": {"compactness": 0.0, "boundary": 0.0, "aspect": 0.0}}}
HEAVY = {"loss": {"weights": {"aspect": 5.0}}}


def case(
    cause: str,
    stage: Stage | None,
    term: str | None,
    epoch: int,
    settings: dict[str, Any],
    **facts: Any,
) -> Case:
    verdict = Divergence(cause=cause, epoch=epoch, step=0, message="", stage=stage, term=term)
    return Case(verdict=verdict, settings=TrialSettings.model_validate(settings), **facts)


@pytest.mark.parametrize(
    ("cause", "stage", "term", "epoch", "settings", "setting"),
    [
        (NONFINITE, GRADIENT, "compactness", LATE, ROOT, "loss.sqrt_epsilon"),
        (NONFINITE, GRADIENT, "aspect", LATE, ROOT, "loss.sqrt_epsilon"),
        (ZOMBIE, GRADIENT, "compactness", LATE, ROOT | SKIP, "loss.sqrt_epsilon"),
        (ZOMBIE, GRADIENT, "compactness", LATE, ROOT | HALF, "loss.sqrt_epsilon"),
        (NONFINITE, GRADIENT, "compactness", LATE, TINY, "loss.sqrt_epsilon"),
        (NONFINITE, GRADIENT, "compactness", LATE, {}, "loss.weights.compactness"),
        (NONFINITE, GRADIENT, "boundary", LATE, ROOT, "loss.weights.boundary"),
        (NONFINITE, LOSS, "dice", LATE, HALF, "trainer.amp"),
        (ZOMBIE, GRADIENT, None, EARLY, HALF, "trainer.amp"),
        (NONFINITE, LOSS, "ce", EARLY, {}, "optimizer.lr"),
        (NONFINITE, LOSS, "ce", EARLY, UNCLIPPED, "optimizer.gradient_clip"),
        (NONFINITE, GRADIENT, "ce", LATE, UNCLIPPED, "optimizer.gradient_clip"),
        (NONFINITE, GRADIENT, "ce", LATE, FAST, "optimizer.lr"),
        (EXPLODED, LOSS, "ce", EARLY, FAST, "optimizer.lr"),
        (NONFINITE, WEIGHTS, None, EARLY, {}, "optimizer.lr"),
        (NONFINITE, WEIGHTS, None, EARLY, UNCLIPPED, "optimizer.gradient_clip"),
        (EXPLODED, LOSS, "ce", EARLY, {}, "optimizer.lr"),
        (EXPLODED, LOSS, "ce", EARLY, UNCLIPPED, "optimizer.gradient_clip"),
        (EXPLODED, LOSS, "ce", LATE, HEAVY, "loss.weights.aspect"),
        (EXPLODED, LOSS, "ce", LATE, PLAIN, "optimizer.lr"),
        (COLLAPSED, None, None, LATE, HEAVY, "loss.weights.aspect"),
        (COLLAPSED, None, None, LATE, PLAIN, "optimizer.lr"),
        (COLLAPSED, None, None, EARLY, HEAVY, "optimizer.lr"),
        (ZOMBIE, LOSS, "ce", EARLY, SKIP, "guard.on_nonfinite"),
    ],
)
def test_each_cause_has_its_cure(
    cause: str,
    stage: Stage | None,
    term: str | None,
    epoch: int,
    settings: dict[str, Any],
    setting: str,
) -> None:
    advice = advise(case(cause, stage, term, epoch, settings, gradient=100.0))
    assert advice.setting == setting
    assert setting in advice.cure
    assert advice.cause.endswith(".")


@pytest.mark.parametrize(
    ("epsilon", "mode", "cure"),
    [
        (0.0, "centered", "Set loss.sqrt_epsilon to 1e-6."),
        (0.0, "clamp", "Set loss.sqrt_epsilon to 1e-6 with loss.sqrt_mode: centered."),
        (1e-14, "centered", "Raise loss.sqrt_epsilon to 1e-6."),
        (
            1e-14,
            "offset",
            "Raise loss.sqrt_epsilon to 1e-6, with loss.sqrt_mode: centered so that it adds no"
            " bias.",
        ),
    ],
)
def test_nothing_is_advised_that_is_set_already(epsilon: float, mode: str, cure: str) -> None:
    settings = {"loss": {"sqrt_epsilon": epsilon, "sqrt_mode": mode}}
    assert advise(case(NONFINITE, GRADIENT, "compactness", LATE, settings)).cure == cure


def test_nnunet_is_advised_a_precision_that_it_has() -> None:
    """It takes float16 on a GPU, unless it is told otherwise, and knows no bfloat16."""
    nnunet = {"trainer": {"kind": "nnunet", "dataset": 502}}
    advice = advise(case(ZOMBIE, GRADIENT, None, EARLY, nnunet, scaled=True))
    assert (advice.cure, advice.change) == ("Set trainer.amp to off.", {"trainer.amp": "off"})


def test_only_a_cure_that_acts_within_the_step_can_be_tried_on_it() -> None:
    for cause, term, change in [
        (NONFINITE, None, {"loss.weights.aspect": 0.5}),  # the weighted sum overflowed
        (NONFINITE, "ce", {}),  # steps before it ruined the weights
        (NONFINITE, "aspect", {}),  # broken before its weight
        (EXPLODED, None, {}),
    ]:
        advice = advise(case(cause, LOSS, term, LATE, HEAVY, geometric_share=0.9))
        assert (advice.setting, advice.change) == ("loss.weights.aspect", change)


def test_pixels_that_are_not_finite_come_before_every_setting() -> None:
    broken = case(NONFINITE, GRADIENT, "compactness", LATE, ROOT | HALF, batch_finite=False)
    assert advise(broken).setting == "data.source"


@pytest.mark.parametrize(
    ("facts", "setting"),
    [
        ({}, "optimizer.lr"),  # nothing is known of its answers
        ({"largest_logit": 9.0, "weight_size": 0.2}, "trainer.entry"),
        ({"largest_logit": 9.0, "weight_size": 40.0}, "optimizer.lr"),
        ({"largest_logit": math.inf, "weight_size": 0.2}, "optimizer.lr"),
        ({"largest_logit": math.inf, "batch_finite": False}, "trainer.entry"),
    ],
)
def test_loss_of_a_users_loop_is_at_fault_where_batch_answers_and_weights_are_as_usual(
    facts: dict[str, Any], setting: str
) -> None:
    own = {"trainer": {"kind": "custom", "entry": "mine.py:Mine"}}
    for stage in (LOSS, GRADIENT):
        assert advise(case(NONFINITE, stage, "ce", EARLY, own, **facts)).setting == setting
    assert advise(case(EXPLODED, LOSS, "ce", EARLY, own, largest_logit=9.0)).setting != (
        "trainer.entry"
    )


@pytest.mark.parametrize("cause", [NONFINITE, EXPLODED, COLLAPSED])
def test_weight_decay_that_no_loss_can_hold_against_is_blamed_before_the_rate(cause: str) -> None:
    """SGD with 1, which collapsed with a tenth of its rate too."""
    for decay, lr, setting in [
        (1.0, 0.01, "optimizer.weight_decay"),
        (1.0, 10.0, "optimizer.lr"),
        (0.1, 0.01, "optimizer.lr"),
    ]:
        optimizer = {"optimizer": {"weight_decay": decay, "lr": lr}}
        assert advise(case(cause, LOSS, "ce", EARLY, optimizer | PLAIN)).setting == setting


def test_optimizer_that_divides_by_zero_is_not_told_of_its_rate() -> None:
    adam = {"optimizer": {"name": "torch.optim:Adam", "options": {"eps": 0.0}}}
    broken = case(NONFINITE, WEIGHTS, None, 0, adam, divides_by_zero=True)
    assert advise(broken).setting == "optimizer.options.eps"
    assert advise(case(EXPLODED, LOSS, "ce", 0, adam, divides_by_zero=True)).setting == (
        "optimizer.lr"
    )


@pytest.mark.parametrize(
    ("epsilon", "kind", "divides"),
    [
        (1e-8, torch.float32, False),
        (0.0, torch.float32, True),
        (1e-8, torch.float16, True),  # which rounds it to 0
        (1e-8, torch.bfloat16, False),
        (1e-4, torch.float16, False),
    ],
)
def test_epsilon_of_an_optimizer_is_that_of_the_type_of_its_weights(
    epsilon: float, kind: torch.dtype, divides: bool
) -> None:
    weights = nn.Linear(2, 1).to(kind).parameters()
    assert divides_by_zero(torch.optim.Adam(weights, eps=epsilon)) is divides
    assert not divides_by_zero(torch.optim.SGD(nn.Linear(2, 1).parameters()))


@pytest.mark.parametrize(
    ("facts", "is_blamed"),
    [
        ({"first_gradient": 1e5}, True),
        ({"first_gradient": 100.0}, False),
        # The steps of such a rate are too long for any network.
        ({"first_gradient": 1e5, "own_rate": 1e3}, False),
    ],
)
def test_own_network_that_was_out_of_proportion_before_any_step_is_blamed_for_it(
    facts: dict[str, Any], is_blamed: bool
) -> None:
    said = "The untrained network has a gradient of norm 1e+05"
    own = {"trainer": {"kind": "custom", "entry": "mine.py:train"}} | UNCLIPPED
    facts |= {"gradient": 1e7, "optimizer_is_own": True}
    for cause, stage in ((NONFINITE, LOSS), (NONFINITE, WEIGHTS), (EXPLODED, LOSS)):
        advice = advise(case(cause, stage, "ce", EARLY, own, **facts))
        assert advice.cause.startswith(said) is is_blamed
        ours = advise(case(cause, stage, "ce", EARLY, UNCLIPPED, **facts))
        assert not ours.cause.startswith(said)
    for logit, blamed in ((5e4, True), (5.0, False), (math.inf, False)):
        first = advise(case(NONFINITE, LOSS, "exp", 0, own, largest_logit=logit))
        assert first.cause.startswith("The untrained network answers with values of up to 5") is (
            blamed
        )


@pytest.mark.parametrize(
    ("where", "who"), [(True, "are: the loss divides"), (False, "enters it: the network divides")]
)
def test_gradient_is_blamed_on_the_side_of_the_answers_on_which_it_broke(
    where: bool, who: str
) -> None:
    own = {"trainer": {"kind": "custom", "entry": "mine.py:Mine"}}
    facts = {"largest_logit": 9.0, "weight_size": 0.2, "breaks_at_answers": where}
    assert who in advise(case(NONFINITE, GRADIENT, "ce", EARLY, own, **facts)).cause


def test_module_that_breaks_on_usual_values_is_blamed_unless_the_weights_have_grown() -> None:
    own = {"trainer": {"kind": "custom", "entry": "mine.py:Mine"}}
    plugin = {"network": {"name": "mine.py:Net"}} | PLAIN
    for settings, setting in ((own, "trainer.entry"), (plugin, "network.name")):
        broken = {"largest_logit": math.inf, "breaker": "'norm' (Norm)", "weight_size": 0.2}
        advice = advise(case(NONFINITE, LOSS, "ce", EARLY, settings, **broken))
        assert advice.setting == setting
        assert advice.cause.startswith("The network's module 'norm' (Norm) answers usual values")
        fast = {"optimizer": {"lr": 5.0}} | HALF if settings is plugin else {}
        for wrong, changes in ({"weight_size": 9}, {}), ({}, fast):
            blamed = advise(
                case(NONFINITE, LOSS, "ce", EARLY, settings | changes, **broken | wrong)
            )
            assert (blamed.setting == "optimizer.lr") is bool(wrong or changes)


class Holder(nn.Module):
    """Passes on what it is given inside an object."""

    def forward(self, held: SimpleNamespace) -> torch.Tensor:
        return held.values


class Outer(nn.Module):
    def __init__(self, held_values: torch.Tensor) -> None:
        super().__init__()
        self.held, self.inner = SimpleNamespace(values=held_values), Holder()

    def forward(self, images: torch.Tensor, graph: torch.Tensor) -> torch.Tensor:
        return images + (graph @ self.inner(self.held))


def test_only_a_module_whose_inputs_are_seen_is_blamed() -> None:
    images, graph, nan = torch.ones(2, 2), torch.eye(2).to_sparse(), torch.full((2, 2), torch.nan)
    for values, sparse, blamed in (
        (images, graph, None),
        (nan, graph, "Outer"),  # not the inner one, which only passes it on
        (images, nan.to_sparse(), None),
    ):
        model = Outer(values)
        with watched(model) as network:
            model(images, sparse)
        assert network.breaker == blamed


class Parts(nn.Module):
    """Its loss calls its parts by themselves, as a training_step of Lightning may."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.heads = (
            nn.Linear(2, 3),
            nn.ModuleList([nn.Linear(3, 1), nn.Linear(3, 1)]),
        )
        self.distance = nn.MSELoss()


def test_answers_of_parts_that_are_called_by_themselves_are_those_that_no_part_takes() -> None:
    model = Parts()
    with watched(model) as network:
        features = model.encoder(torch.ones(2, 2))
        first, second = (head(features) for head in model.heads)
        model.distance(first, second)
    assert [id(one) for one in network.answers] == [id(first), id(second)]


def test_rate_that_a_scheduler_has_raised_is_told_as_it_was() -> None:
    own = {"trainer": {"kind": "custom", "entry": "mine.py:Mine"}} | UNCLIPPED
    advice = advise(case(NONFINITE, WEIGHTS, None, EARLY, own, own_rate=1e6, gradient=1e9))
    assert advice.setting == "trainer.entry"
    assert advice.cause == "The learning rate had risen to 1e+06, from an optimizer.lr of 0.01."


def test_network_that_never_learnt_is_not_blamed_on_the_geometric_loss() -> None:
    never = case(COLLAPSED, None, None, LATE, HEAVY, had_learnt=False)
    assert advise(never).setting == "optimizer.lr"
    # Its loss may still fall, because the shape is all that it follows.
    drowned = {"had_learnt": False, "still_falling": True, "geometric_share": 0.9}
    assert advise(case(COLLAPSED, None, None, LATE, HEAVY, **drowned)).setting == (
        "loss.weights.aspect"
    )
    assert advise(case(COLLAPSED, None, None, EARLY, HEAVY, **drowned)).setting == (
        "trainer.epochs"
    )


def test_geometric_loss_that_is_slight_is_not_blamed_for_an_explosion_of_the_main_loss() -> None:
    """Found with a rate of 1: cross-entropy rose to 57 beside 0.005 times compactness."""
    slight = case(EXPLODED, LOSS, "ce", LATE, {}, geometric_share=0.004)
    assert advise(slight).setting == "optimizer.lr"
    heavy = case(EXPLODED, LOSS, "ce", LATE, HEAVY, geometric_share=0.4)
    assert advise(heavy).setting == "loss.weights.aspect"
    itself = case(NONFINITE, GRADIENT, "boundary", LATE, {}, geometric_share=0.004)
    assert advise(itself).setting == "loss.weights.boundary"
    assert "weighs much" in advise(heavy).cause
    assert "weighs much" not in advise(itself).cause


def test_share_of_the_geometric_loss_is_that_of_its_heaviest_step() -> None:
    """By hand: 0.5 · (0.2 · 4) = 0.4 of 1.6 in epoch 1, and all of 1.2 is main loss in epoch 0."""
    loss = TrialSettings.model_validate(
        {
            "loss": {"warmup_epochs": 1, "rampup_epochs": 1}
            | {"weights": {"aspect": 0.2, "compactness": 0.0, "boundary": 0.0}}
        }
    ).loss
    steps = [
        (0, 1.2, {"ce": 1.2}),
        (1, 1.6, {"ce": 1.2, "aspect": 4.0}),
        (1, math.inf, {"aspect": 4.0}),
    ]
    assert geometric_share(loss, steps) == pytest.approx(0.25)
    assert geometric_share(loss, steps[:1]) is None
    # Weighted, it overflows: it is all of the loss.
    assert geometric_share(loss, [(1, math.inf, {"aspect": math.inf})]) == 1


def test_main_loss_that_exploded_does_not_hide_the_weight_that_drove_it_there() -> None:
    """By hand: 0.2 · 4 = 0.8 beside a main loss that began at 1.2 and is now 3e7."""
    weights = {"aspect": 0.2, "compactness": 0.0, "boundary": 0.0}
    loss = TrialSettings.model_validate(
        {"loss": {"warmup_epochs": 1, "rampup_epochs": 0, "weights": weights}}
    ).loss
    epochs = [(0, 1.2, {"ce": 1.2}), (1, 3e7, {"ce": 3e7, "aspect": 4.0})]
    assert geometric_share(loss, epochs) == pytest.approx(0.4)


def test_geometric_terms_that_are_most_of_the_loss_are_blamed_for_any_value_that_breaks() -> None:
    """Found with a weight of 3e38: the gradient of no term broke, but that of their sum did."""
    for stage, term in ((GRADIENT, None), (LOSS, "ce")):
        heavy = case(NONFINITE, stage, term, LATE, HEAVY, geometric_share=0.9)
        assert advise(heavy).setting == "loss.weights.aspect"
        lighter = case(NONFINITE, stage, term, LATE, HEAVY, geometric_share=0.4)
        assert advise(lighter).setting == "optimizer.lr"


@pytest.mark.parametrize(("weight", "cure"), [(5.0, "0.5"), (1e6, "1")])
def test_weight_that_is_advised_is_at_most_that_of_a_main_loss(weight: float, cure: str) -> None:
    heavy = {"loss": {"weights": {"boundary": weight}}}
    advice = advise(case(EXPLODED, LOSS, "ce", LATE, heavy))
    assert advice.cure.startswith(f"Lower loss.weights.boundary to {cure}, or let it rise")


def test_rate_far_above_the_usual_is_never_raised_and_comes_before_the_precision() -> None:
    far = {"optimizer": {"lr": 50.0}}
    for facts in ({"had_learnt": False, "still_falling": True}, {"had_learnt": False}):
        advice = advise(case(COLLAPSED, None, None, EARLY, far, **facts))
        assert advice.cure == "Lower optimizer.lr to 0.01."
    assert advise(case(NONFINITE, LOSS, "dice", EARLY, far | HALF)).setting == "optimizer.lr"


@pytest.mark.parametrize(
    ("logit", "setting"),
    [(120.0, "loss.main"), (5e3, "optimizer.lr"), (math.inf, "optimizer.lr")],
)
def test_main_loss_of_a_plugin_is_at_fault_where_the_logits_are_those_of_trained_networks(
    logit: float, setting: str
) -> None:
    plugin = {"loss": {"main": "mine.py:log_of_p"} | PLAIN["loss"]}
    for stage in (LOSS, GRADIENT):
        broken = case(NONFINITE, stage, "log_of_p", EARLY, plugin, largest_logit=logit)
        assert advise(broken).setting == setting


@pytest.mark.parametrize(
    ("cause", "names_the_batch"), [(NONFINITE, True), (EXPLODED, False), (COLLAPSED, False)]
)
def test_batch_of_a_users_loop_is_suspected_only_where_a_value_was_not_finite(
    cause: str, names_the_batch: bool
) -> None:
    advice = advise(case(cause, LOSS, "loss", EARLY, {}, optimizer_is_own=True))
    assert ("The batch holds a value that is not finite" in advice.cause) is names_the_batch
    assert "learning rate of your optimizer" in advice.cure


def test_a_clip_is_advised_only_where_it_would_have_acted() -> None:
    gentle = case(EXPLODED, LOSS, "ce", EARLY, UNCLIPPED, gradient=2.0)
    assert advise(gentle).setting == "optimizer.lr"


def test_rate_that_is_advised_is_one_that_hardly_ever_diverges() -> None:
    absurd = case(EXPLODED, LOSS, "ce", EARLY, {"optimizer": {"lr": 1e20}})
    assert advise(absurd).cure == "Lower optimizer.lr to 0.01."
    plugin = {"name": "torch.optim:RAdam", "lr": 1e20}
    absurd = case(EXPLODED, LOSS, "ce", EARLY, {"optimizer": plugin | {"gradient_clip": None}})
    assert advise(absurd).cure == "Lower optimizer.lr to 0.1."  # also where a clip is missing


@pytest.mark.parametrize("cause", VERDICTS)
def test_where_no_cure_fits_a_lower_rate_is_advised(cause: str) -> None:
    advice = advise(case(cause, None, None, EARLY, {}))
    assert advice.cure == "Lower optimizer.lr to 0.001."


@pytest.mark.parametrize("stage", [LOSS, GRADIENT])
def test_value_that_breaks_before_any_step_is_not_blamed_on_the_rate(stage: Stage) -> None:
    first = advise(case(NONFINITE, stage, "ce", 0, {}))
    assert first.setting == "loss.main"
    assert first.cause.startswith(f"The {stage} broke in the very first step, before any was taken")
    own = {"trainer": {"kind": "custom", "entry": "mine.py:Mine"}}
    assert advise(case(NONFINITE, stage, "ce", 0, own)).setting == "trainer.entry"
    assert advise(case(NONFINITE, WEIGHTS, None, 0, {})).setting == "optimizer.lr"


def test_total_that_breaks_though_its_terms_are_finite_is_not_blamed_on_the_rate() -> None:
    for terms, setting in [
        ({"dice": "0.5", "ce": "0.1"}, "loss.main"),
        ({"dice": "0.5", "ce": "inf"}, "optimizer.lr"),
        ({}, "optimizer.lr"),
    ]:
        found = case(NONFINITE, LOSS, None, EARLY, {})
        advice = advise(replace(found, verdict=replace(found.verdict, terms=terms)))
        assert advice.setting == setting


@pytest.mark.parametrize(
    ("stage", "facts", "setting", "said"),
    [
        # Weights beyond any that are trained: the steps were too long, whatever broke then.
        (LOSS, {"weight_size": 700.0, "own_rate": 3e5}, "trainer.entry", "The learning rate is"),
        (GRADIENT, {"weight_size": 3.1}, "trainer.entry", "The learning rate is too high"),
        (WEIGHTS, {"own_rate": 1e10}, "trainer.entry", "The learning rate is too high"),
        # A clip would not have kept the steps of such a rate short, but those of a usual one.
        (
            LOSS,
            {"weight_size": 700.0, "own_rate": 1e3, "gradient": 1e6},
            "trainer.entry",
            "The learning rate is too high",
        ),
        (
            LOSS,
            {"weight_size": 700.0, "own_rate": 0.1, "gradient": 1e6},
            "optimizer.gradient_clip",
            "A gradient of norm 1e+06 was applied",
        ),
        # Weights as they are trained: the batch, or the loss on it.
        (LOSS, {"weight_size": 0.2, "own_rate": 0.1}, "trainer.entry", "The batch holds a value"),
        (LOSS, {}, "trainer.entry", "The batch holds a value"),
    ],
)
def test_own_optimizer_whose_weights_have_grown_is_told_of_its_rate_first(
    stage: Stage, facts: dict[str, Any], setting: str, said: str
) -> None:
    own = UNCLIPPED | {"trainer": {"kind": "custom", "entry": "mine.py:Mine"}}
    found = case(NONFINITE, stage, None, EARLY, own, optimizer_is_own=True, **facts)
    advice = advise(found)
    assert advice.setting == setting
    assert advice.cause.startswith(said)


@pytest.mark.parametrize("weight", [0.5, 1e25, 1e38])
def test_size_of_weights_is_known_as_far_as_they_are_finite(weight: float) -> None:
    network = nn.Linear(3, 2)
    for parameter in network.parameters():
        nn.init.constant_(parameter, -weight)
    assert size_of(network) == pytest.approx(weight)
    nn.init.constant_(network.bias, math.inf)
    assert size_of(network) is None
    assert size_of(nn.ReLU()) is None


@pytest.mark.parametrize(
    ("losses", "falls"),
    [
        ([1.5, 1.14, 1.10, 1.05, 1.00], True),  # hippocampi, a sixth of the steps that they take
        ([1.5, 1.6, 1.10, 1.05, 1.00], True),  # only the second half counts
        ([1.5, 1.14, 1.10, 1.095, 1.05], False),
        ([1.42, 1.36, 1.35, 1.34, 1.343, 1.31], False),
        ([1.5, 1.14, None, 1.05, 1.00], False),
        ([1.5, 1.0], False),
        ([-0.2, -0.3, -0.4, -0.5, -0.6], True),  # minus a Dice, as of nnU-Net
        ([-0.6, -0.599, -0.598, -0.597, -0.596], False),
    ],
)
def test_training_is_too_short_if_its_loss_fell_in_each_epoch_of_the_second_half(
    losses: list[float | None], falls: bool
) -> None:
    history = [
        EpochMetrics(epoch=n, val_dice=0.0, train_loss=loss) for n, loss in enumerate(losses)
    ]
    assert still_falling(history) is falls


@pytest.mark.parametrize(
    ("own", "cure"),
    [
        (False, "Try trainer.epochs at 16, or optimizer.lr at 0.1."),
        (True, "Try trainer.epochs at 16."),
    ],
)
def test_network_that_was_still_learning_is_told_to_train_longer(own: bool, cure: str) -> None:
    short = {"trainer": {"epochs": 8}}
    facts = {"had_learnt": False, "still_falling": True, "optimizer_is_own": own}
    advice = advise(case(COLLAPSED, None, None, EARLY, short, **facts))
    assert (advice.setting, advice.cure) == ("trainer.epochs", cure)
    assert (
        advice.cause == "The training was too short: its loss still fell in the last of 8 epochs."
    )
    before = advise(case(COLLAPSED, None, None, EARLY, short, **facts | {"had_learnt": True}))
    assert before.setting != "trainer.epochs"
