"""Optimizers and learning-rate schedules that a user's class makes itself."""

from __future__ import annotations

import copy
import inspect
import json
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from cut_short import cut_short
from foreign import trial, write_trainer

from sweep.store.layout import TrialPaths
from sweep.trainer.custom.entry_point import load_entry
from sweep.trainer.networks.optimizers import takes_flag
from sweep.trial.checkpoints import Checkpoints
from sweep.trial.fit import fit
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import TrainerError
from sweep.vocabulary.record import Stage, Status

AFTER = "def __init__(self, settings):\n    super().__init__(settings)\n    {}\n"
HOOK = "def build_optimizer(self):\n    return {}\n"
SCHEDULE = """\
def build_scheduler(self, optimizer):
    from torch.optim import lr_scheduler as s
    return {}
"""
# A batch of NaN in epoch 1 that no reading of the loss could foresee.
BROKEN = """\
def compute_loss(self, batch, factor):
    loss, terms = super().compute_loss(batch, factor)
    self.done = getattr(self, "done", 0) + 1
    return (loss * float("nan"), terms) if self.done == 5 else (loss, terms)
"""

OPTIMIZERS = {
    name: found
    for name, found in vars(torch.optim).items()
    if inspect.isclass(found) and found is not torch.optim.Optimizer
}
REFUSED = {"LBFGS": "needs a closure", "SparseAdam": "takes sparse gradients"}
TAKEN = sorted(OPTIMIZERS.keys() - REFUSED.keys())


def made(name: str) -> str:
    """A call that makes one of torch's optimizers over what it can step."""
    only = "if p.ndim == 2" if name == "Muon" else ""
    return f"torch.optim.{name}([p for p in self.model.parameters() {only}], lr=0.01)"


def history(entry: str, **changes: Any) -> list[EpochMetrics]:
    where = {key: changes.pop(key) for key in ("checkpoint", "provenance") if key in changes}
    epochs: list[EpochMetrics] = []
    outcome = fit(trial(entry, **changes), report=epochs.append, **where)
    assert outcome.status is Status.COMPLETED, outcome
    return epochs


def weights(run: Any) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in run.model.parameters()]


def refusal(tmp_path: Path, methods: str, before: str = "") -> str:
    with pytest.raises(TrainerError) as caught:
        history(write_trainer(tmp_path, methods, before))
    return re.sub(r"^\S*mine\.py", "mine.py", str(caught.value))


LINEAR = """\
def build_model(self):
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 32), nn.Unflatten(1, (2, 4, 4)))
"""


@pytest.mark.parametrize("name", TAKEN)
def test_every_optimizer_of_torch_takes_its_steps_and_never_one_that_is_not_finite(
    tmp_path: Path, name: str
) -> None:
    entry = write_trainer(tmp_path, LINEAR + HOOK.format(made(name)) + BROKEN)
    run: Any = load_entry(entry)(trial(entry))  # type: ignore[call-arg, arg-type]
    before = weights(run)
    run.run_epoch(0)
    assert any(not torch.equal(a, b) for a, b in zip(before, weights(run), strict=True))
    outcome = fit(trial(entry))
    assert outcome.divergence is not None
    verdict = outcome.divergence
    assert (verdict.cause, verdict.stage) == ("nonfinite", Stage.LOSS)
    assert (verdict.epoch, verdict.step) == (1, 1)
    assert verdict.weights_finite


def test_class_may_use_the_options_of_the_settings_in_its_own_optimizer(tmp_path: Path) -> None:
    """Nobody but the class knows whether it does: they are not read back."""
    hook = HOOK.format(
        "torch.optim.RAdam(self.model.parameters(), **self.settings.optimizer.options)"
    )
    optimizer = {"name": "torch.optim:RAdam", "options": {"eps": 1e-4}}
    entry, provenance = write_trainer(tmp_path, hook), tmp_path / "provenance.json"
    history(entry, optimizer=optimizer, provenance=provenance)
    [run] = json.loads(provenance.read_text())["runs"]
    assert run["effective"]["optimizer.groups"][0]["eps"] == 1e-4


@pytest.mark.parametrize("name", TAKEN)
def test_skipped_step_changes_neither_weights_nor_state(tmp_path: Path, name: str) -> None:
    entry = write_trainer(tmp_path, LINEAR + HOOK.format(made(name)))
    run: Any = load_entry(entry)(trial(entry, guard={"on_nonfinite": "skip"}))  # type: ignore[call-arg, arg-type]
    run.run_epoch(0)
    before = repr((weights(run), run.optimizer.state_dict()))
    loss = sum(p.sum() for p in run.model.parameters())
    [values] = run.guard.step(loss * math.nan, {"own": loss})
    assert values.skipped
    assert repr((weights(run), run.optimizer.state_dict())) == before
    [values] = run.guard.step(loss := sum(p.sum() for p in run.model.parameters()), {"own": loss})
    assert not values.skipped
    assert repr((weights(run), run.optimizer.state_dict())) != before


@pytest.mark.parametrize("name", TAKEN)
def test_resumed_trial_of_every_optimizer_is_bit_for_bit_the_whole_one(
    tmp_path: Path, name: str
) -> None:
    entry = write_trainer(tmp_path, LINEAR + HOOK.format(made(name)))
    require_same_when_resumed(tmp_path, entry)


def require_same_when_resumed(tmp_path: Path, entry: str) -> list[EpochMetrics]:
    whole = history(entry, epochs=4)
    cut_short(trial(entry, epochs=4), 2, checkpoint=Checkpoints(tmp_path))
    resumed = history(entry, epochs=4, checkpoint=(kept := Checkpoints(tmp_path)))
    assert kept.damaged == ()
    assert [e.to_json() | {"seconds": 0} for e in resumed] == [
        e.to_json() | {"seconds": 0} for e in whole
    ]
    return whole


def test_optimizer_that_cannot_be_guarded_is_refused_in_words(tmp_path: Path) -> None:
    for name, said in REFUSED.items():
        sentence = refusal(tmp_path, HOOK.format(made(name)))
        assert sentence.startswith(f"mine.py:Mine: its optimizer, a {name}, ")
        assert said in sentence
    wrapper = "class Lookahead:\n    def __init__(self, inner):\n        self.inner = inner\n"
    assert refusal(tmp_path, HOOK.format("Lookahead(None)"), wrapper) == (
        "mine.py:Mine: its optimizer, a Lookahead, is no torch.optim.Optimizer: derive its class"
        " from that"
    )
    assert "its optimizer, None, is no torch" in refusal(tmp_path, HOOK.format("None"))


INCOMPLETE = """\
class Look(torch.optim.Optimizer):
    def __init__(self, inner):
        self.inner, self.param_groups, self.state = inner, inner.param_groups, {}

class Asks(torch.optim.SGD):
    def step(self, fn, *, more=1, **rest): ...

class Takes(torch.optim.SGD):
    def step(self, *given, **named):
        return super().step()
"""


def test_optimizer_that_is_none_without_more_is_refused_in_words(tmp_path: Path) -> None:
    parameters = "self.model.parameters(), lr=0.1"
    assert refusal(tmp_path, HOOK.format(f"Look(torch.optim.SGD({parameters}))"), INCOMPLETE) == (
        "mine.py:Mine: its optimizer, a Look, does not call super().__init__(params, defaults):"
        " without it, it is no optimizer"
    )
    assert refusal(tmp_path, HOOK.format(f"Asks({parameters})"), INCOMPLETE) == (
        "mine.py:Mine: its optimizer, an Asks, has a `step` that needs `fn`, which nothing"
        " passes to it: use one without"
    )
    history(write_trainer(tmp_path, HOOK.format(f"Takes({parameters})"), INCOMPLETE))


DISTANCE = """\
def validate(self, epoch):
    return Validation(dice=None, metrics={"mm": 3.0 + epoch})
"""


def test_plateau_follows_what_trials_are_judged_by(tmp_path: Path) -> None:
    asked = {"objective": {"metric": "mm", "mode": "min"}, "epochs": 4}
    plateau = SCHEDULE.format("s.ReduceLROnPlateau(optimizer, '{}', patience=0, factor=0.5)")
    entry = write_trainer(tmp_path, plateau.replace("{}", "min") + DISTANCE)
    rates = [epoch.learning_rate for epoch in history(entry, **asked)]
    assert rates == [0.05, 0.05, 0.025, 0.0125]  # the first epoch is the best
    with pytest.raises(TrainerError) as caught:
        history(write_trainer(tmp_path, plateau.replace("{}", "max") + DISTANCE), **asked)
    assert str(caught.value).endswith(
        'its ReduceLROnPlateau has mode="max", but it is stepped by the objective, mm (min): give'
        ' it mode="min"'
    )


OWN = """\
class Own(torch.optim.SGD):
    calls = 0

    def step(self, closure=None):
        type(self).calls += 1
        return super().step(closure)
"""


@pytest.mark.parametrize(
    "methods",
    [
        HOOK.format("Own(self.model.parameters(), lr=0.1)"),
        AFTER.format("self.optimizer = Own(self.model.parameters(), lr=0.1)"),
        AFTER.format("self.optimizer = Own(self.model.parameters(), lr=0.1, fused=True)"),
        "def build_model(self):\n    model = nn.Conv2d(1, 2, 1)\n"
        "    self.optimizer = Own(model.parameters(), lr=0.1)\n    return model\n",
        "def batches(self, epoch):\n    if epoch == 0:\n"
        "        self.optimizer = Own(self.model.parameters(), lr=0.1)\n"
        "    yield from [(torch.randn(2, 1, 4, 4), torch.ones(2, 1, 4, 4).long())] * 3\n",
    ],
)
def test_step_of_the_optimizer_that_the_class_holds_is_what_trains(
    tmp_path: Path, methods: str
) -> None:
    entry = write_trainer(tmp_path, methods, OWN)
    run: Any = load_entry(entry)(trial(entry))  # type: ignore[call-arg, arg-type]
    run.run_epoch(0)
    run.run_epoch(1)
    late = "def batches" in methods  # from the next epoch on
    assert type(run.optimizer).calls == (3 if late else 6)


def test_step_of_a_fused_subclass_is_withheld_by_not_calling_it(tmp_path: Path) -> None:
    entry = write_trainer(
        tmp_path, HOOK.format("Own(self.model.parameters(), lr=0.1, fused=True)") + BROKEN, OWN
    )
    own = vars(sys.modules[load_entry(entry).__module__])["Own"]
    assert fit(trial(entry)).status is Status.DIVERGED
    assert own.calls == 4


@pytest.mark.parametrize(
    ("make", "takes"),
    [
        (lambda p: torch.optim.AdamW(p, fused=True), True),
        (lambda p: torch.optim.SGD(p, lr=0.1, fused=True), True),
        (lambda p: torch.optim.AdamW(p), False),  # it would step through a NaN
        (
            lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, fused=True),
            False,
        ),  # see the docstring
        (lambda p: type("Own", (torch.optim.AdamW,), {})(p, fused=True), False),
        (lambda p: hooked(torch.optim.AdamW(p, fused=True)), False),
        (lambda p: scheduled(torch.optim.AdamW(p, fused=True)), True),
        (lambda p: torch.optim.RMSprop(p), False),
    ],
)
def test_flag_on_the_device_is_trusted_to_those_that_honour_it(
    make: Callable[[Any], torch.optim.Optimizer], takes: bool
) -> None:
    assert takes_flag(make([torch.nn.Parameter(torch.ones(2))])) is takes


def hooked(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    optimizer.register_step_post_hook(lambda *_: None)
    return optimizer


def scheduled(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    torch.optim.lr_scheduler.StepLR(optimizer, 1)
    return optimizer


def test_optimizer_of_another_network_is_refused_in_words(tmp_path: Path) -> None:
    other = AFTER.format("self.model = nn.Conv2d(1, 2, 1)")
    assert refusal(tmp_path, other).startswith(
        "mine.py:Mine: its optimizer holds no parameter of self.model; after replacing self.model"
    )
    unused = AFTER.format(
        "self.model.extra = nn.Parameter(torch.ones(1))\n"
        "    self.optimizer = torch.optim.SGD([self.model.extra], lr=0.1)"
    )
    assert "no parameter that its optimizer holds has a gradient" in refusal(tmp_path, unused)


def test_network_and_optimizer_that_are_both_replaced_train(tmp_path: Path) -> None:
    both = AFTER.format(
        "self.model = nn.Conv2d(1, 2, 1)\n"
        "    self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.1)"
    )
    losses = [e.train_loss for e in history(write_trainer(tmp_path, both), epochs=6)]
    assert losses[-1] < losses[0]  # type: ignore[operator]


GROUPS = """\
torch.optim.RMSprop([
        {"params": self.model[0].parameters(), "lr": 0.25},
        {"params": self.model[2].parameters(), "lr": 0.5},
    ], momentum=0.125, weight_decay=0.0)"""


def test_schedule_of_the_settings_scales_the_rate_of_each_group(tmp_path: Path) -> None:
    entry = write_trainer(tmp_path, HOOK.format(GROUPS))
    run: Any = load_entry(entry)(trial(entry, epochs=4))  # type: ignore[call-arg, arg-type]
    seen = []
    for epoch in range(3):
        metrics = run.run_epoch(epoch)
        seen.append([group["lr"] for group in run.optimizer.param_groups])
        assert metrics.learning_rate == seen[-1][0]
    shares = [(1 - epoch / 4) ** 0.9 for epoch in range(3)]  # poly, as nnU-Net has it
    assert seen == [[0.25 * share, 0.5 * share] for share in shares]


def test_provenance_shows_the_optimizer_that_steps(tmp_path: Path) -> None:
    paths = TrialPaths(tmp_path)
    [epoch] = history(
        write_trainer(tmp_path, HOOK.format(GROUPS)),
        epochs=1,
        optimizer={"lr": 0.5, "momentum": 0.5, "gradient_clip": 3.0},
        provenance=paths.provenance,
    )
    [run] = json.loads(paths.provenance.read_text())["runs"]
    effective = run["effective"]
    assert effective["optimizer.name"] == "torch.optim.rmsprop.RMSprop"
    assert effective["optimizer.lr"] == [0.25, 0.5]
    assert effective["optimizer.gradient_clip"] == 3.0
    first, second = effective["optimizer.groups"]
    assert (first["parameters"], second["parameters"]) == (8, 10)  # 4 weights and biases; 2 × 4 + 2
    assert (first["lr"], second["lr"]) == (0.25, 0.5)
    assert first["momentum"] == 0.125
    assert run["not_read_back"]["optimizer.lr"] == "the class makes its own optimizer"
    assert epoch.warnings == (
        "`optimizer.momentum` is 0.5 in the configuration, but torch.optim.rmsprop.RMSprop has"
        " 0.125",
        "2 parameter tensors of the network are not in its optimizer and stay as they are:"
        " 1.weight, 1.bias",
    )


def test_frozen_parameters_stay_and_thawed_ones_are_stepped(tmp_path: Path) -> None:
    methods = (
        "def build_model(self):\n"
        "    model = nn.Sequential(nn.Conv2d(1, 4, 1), nn.Conv2d(4, 2, 1))\n"
        "    model[0].requires_grad_(False)\n    return model\n"
        "def batches(self, epoch):\n    self.model[0].requires_grad_(epoch > 0)\n"
        "    yield torch.randn(2, 1, 4, 4), torch.ones(2, 1, 4, 4).long()\n"
    )
    entry = write_trainer(tmp_path, methods)
    run: Any = load_entry(entry)(trial(entry))  # type: ignore[call-arg, arg-type]
    first = [weights(run)]
    for epoch in range(2):
        run.run_epoch(epoch)
        first.append(weights(run))
    assert torch.equal(first[0][0], first[1][0])
    assert not torch.equal(first[0][2], first[1][2])
    assert not torch.equal(first[1][0], first[2][0])


SCHEDULERS = [
    "s.StepLR(optimizer, 2)",
    "s.MultiStepLR(optimizer, [1, 3])",
    "s.ConstantLR(optimizer, total_iters=2)",
    "s.LinearLR(optimizer, total_iters=2)",
    "s.ExponentialLR(optimizer, 0.5)",
    "s.PolynomialLR(optimizer, 4)",
    "s.CosineAnnealingLR(optimizer, 4)",
    "s.CosineAnnealingWarmRestarts(optimizer, 2)",
    "s.LambdaLR(optimizer, lambda epoch: 0.5**epoch)",
    "s.MultiplicativeLR(optimizer, lambda epoch: 0.5)",
    "s.CyclicLR(optimizer, 0.001, 0.1, 2)",
    "s.OneCycleLR(optimizer, 0.1, total_steps=5)",
    "s.SequentialLR(optimizer, [s.LinearLR(optimizer), s.StepLR(optimizer, 1)], [2])",
    "s.ChainedScheduler([s.ConstantLR(optimizer), s.ExponentialLR(optimizer, 0.9)])",
    "s.ReduceLROnPlateau(optimizer, mode='max', patience=0)",
]


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_schedule_of_torch_is_stepped_once_an_epoch_and_resumed(
    tmp_path: Path, scheduler: str
) -> None:
    rates = [
        epoch.learning_rate
        for epoch in require_same_when_resumed(
            tmp_path, write_trainer(tmp_path, SCHEDULE.format(scheduler))
        )
    ]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.05, momentum=0.99)
    oracle = eval(scheduler, {"s": torch.optim.lr_scheduler, "optimizer": optimizer})
    expected = []
    for _ in range(4):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        oracle.step(*([0.5] if "Plateau" in scheduler else []))
    assert rates == expected


OWN_STEP = (
    "\ndef validate(self, epoch):\n    self.scheduler.step()\n    return Validation(dice=0.5)\n"
)


@pytest.mark.parametrize("stepped_by_the_class", [False, True])
def test_schedule_that_the_class_keeps_itself_is_stepped_once_an_epoch(
    tmp_path: Path, stepped_by_the_class: bool
) -> None:
    kept = AFTER.format(
        "self.scheduler = torch.optim.lr_scheduler.ExponentialLR(self.optimizer, 0.5)"
    )
    methods = kept + (OWN_STEP if stepped_by_the_class else "")
    epochs = history(write_trainer(tmp_path, methods), epochs=3)
    assert [epoch.learning_rate for epoch in epochs] == [0.05, 0.025, 0.0125]


@pytest.mark.parametrize(("first", "then"), [(True, False), (False, True)])
def test_schedule_that_was_added_or_dropped_since_the_checkpoint_is_told(
    tmp_path: Path, first: bool, then: bool
) -> None:
    own = SCHEDULE.format("s.StepLR(optimizer, 1)")
    history(write_trainer(tmp_path, own * first), epochs=1, checkpoint=Checkpoints(tmp_path))
    with pytest.raises(TrainerError) as caught:
        history(write_trainer(tmp_path, own * then), epochs=2, checkpoint=Checkpoints(tmp_path))
    said = "no state of self.scheduler" if then else "has no self.scheduler, but its checkpoint has"
    assert said in str(caught.value)


def test_rates_that_the_class_sets_by_hand_are_left_alone(tmp_path: Path) -> None:
    methods = (
        "def batches(self, epoch):\n    self.optimizer.param_groups[0]['lr'] = 0.5 ** (epoch + 1)\n"
        "    yield torch.randn(2, 1, 4, 4), torch.ones(2, 1, 4, 4).long()\n"
    )
    epochs = history(write_trainer(tmp_path, methods), epochs=3)
    assert [epoch.learning_rate for epoch in epochs] == [0.5, 0.25, 0.125]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "self.sched = s.StepLR(self.optimizer, 1)",
            "keeps a learning-rate scheduler as self.sched",
        ),
        ("self.scheduler = 0.5", "its scheduler, 0.5, a float, is no torch.optim.lr_scheduler"),
        (
            "self.scheduler = s.StepLR(torch.optim.SGD(self.model.parameters()), 1)",
            "its scheduler acts on another optimizer than self.optimizer",
        ),
        ("self.scheduler = s.ReduceLROnPlateau(self.optimizer)", 'give it mode="max"'),
    ],
)
def test_schedule_that_would_be_lost_or_not_act_is_refused_in_words(
    tmp_path: Path, line: str, said: str
) -> None:
    sentence = refusal(tmp_path, AFTER.format(line), "from torch.optim import lr_scheduler as s")
    assert sentence.startswith("mine.py:Mine: ")
    assert said in sentence


def test_checkpoint_without_the_rates_that_groups_began_with_is_gone_on_from(
    tmp_path: Path,
) -> None:
    """Version 0.1 kept none."""
    entry = write_trainer(tmp_path)
    whole: Any = load_entry(entry)(trial(entry))  # type: ignore[call-arg, arg-type]
    whole.run_epoch(0)
    state = copy.deepcopy(whole.state_dict())
    del state["optimizer"]["param_groups"][0]["initial_lr"]
    resumed: Any = load_entry(entry)(trial(entry))  # type: ignore[call-arg, arg-type]
    resumed.load_state_dict(state)
    assert resumed.run_epoch(1).learning_rate == whole.run_epoch(1).learning_rate


# What else the class holds, and what an epoch changes.

HELD = {
    "a second optimizer and its schedule": """\
def __init__(self, settings):
    super().__init__(settings)
    self.second = torch.optim.SGD([self.model[2].weight], lr=0.1, momentum=0.9)
    self.others = {"schedules": [torch.optim.lr_scheduler.StepLR(self.second, 1, 0.5)]}
    rest = [*self.model[0].parameters(), *self.model[1].parameters(), self.model[2].bias]
    self.optimizer = torch.optim.SGD(rest, lr=0.05, momentum=0.9)

def batches(self, epoch):
    for _ in range(3):
        labels = torch.rand(2, 1, 4, 4).round().long()
        self.second.zero_grad()
        yield labels + 0.1 * torch.randn(labels.shape), labels
        self.second.step()
    self.others["schedules"][0].step()
""",
    "an average of the weights": """\
def __init__(self, settings):
    super().__init__(settings)
    self.average = (torch.optim.swa_utils.AveragedModel(self.model),)

def validate(self, epoch):
    self.average[0].update_parameters(self.model)
    sums = [float(p.detach().sum()) for p in self.average[0].parameters()]
    return Validation(dice=0.5, metrics={"n": self.average[0].n_averaged, "sum": sum(sums)})
""",
    "a generator": """\
def __init__(self, settings):
    super().__init__(settings)
    self.random = torch.Generator().manual_seed(1)

def batches(self, epoch):
    labels = torch.rand(2, 1, 4, 4, generator=self.random).round().long()
    yield labels + 0.1, labels
""",
    "a group that is added": """\
def build_optimizer(self):
    return torch.optim.Adam(self.model[0].parameters(), lr=0.01)

def batches(self, epoch):
    if epoch == 1:
        self.optimizer.add_param_group({"params": self.model[2].parameters(), "lr": 0.5})
    labels = torch.rand(2, 1, 4, 4).round().long()
    yield labels + 0.1, labels
""",
}


@pytest.mark.parametrize("methods", HELD.values(), ids=HELD)
@pytest.mark.parametrize("last", [0, 1, 2])
def test_resumed_trial_has_whatever_else_the_class_holds(
    tmp_path: Path, methods: str, last: int
) -> None:
    entry = write_trainer(tmp_path, methods)
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole, parts = Checkpoints(tmp_path / "whole"), Checkpoints(tmp_path / "parts")
    epochs = history(entry, epochs=4, checkpoint=whole)
    cut_short(trial(entry, epochs=4), last + 1, checkpoint=parts)
    resumed = history(entry, epochs=4, checkpoint=parts)
    assert [e.to_json() | {"seconds": 0, "warnings": []} for e in resumed] == [
        e.to_json() | {"seconds": 0, "warnings": []} for e in epochs
    ]
    first, second = whole.load_last(), parts.load_last()
    assert repr(first and first["training"]) == repr(second and second["training"])


PAIR = """\
def __init__(self, settings):
    super().__init__(settings)
    class Pair:
        sums = (torch.zeros(1), torch.zeros(1))
        def state_dict(self):
            return {"sums": self.sums}
        def load_state_dict(self, state):
            self.sums = state["sums"]
    self.pair = Pair()

def batches(self, epoch):
    self.pair.sums[0].add_(1)
    yield torch.randn(2, 1, 4, 4), torch.ones(2, 1, 4, 4).long()
"""


def test_tensors_in_a_pair_are_taken_back_like_any_other(tmp_path: Path) -> None:
    entry = write_trainer(tmp_path, PAIR)
    run: Any = load_entry(entry)(trial(entry))  # type: ignore[call-arg, arg-type]
    run.run_epoch(0)
    assert run.pair.sums[0] == 1
    assert run.rewind(0, 0)
    assert run.pair.sums[0] == 0


def test_explosion_after_a_group_was_added_is_taken_back_to_before_it(tmp_path: Path) -> None:
    methods = (
        "def build_optimizer(self):\n"
        "    return torch.optim.SGD(self.model[0].parameters(), lr=0.01)\n"
        "def build_scheduler(self, optimizer):\n"
        "    return torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0, 1)\n"
        "def batches(self, epoch):\n    if epoch == 1:\n        {}\n"
        "    return [(100 * torch.randn(2, 1, 4, 4), torch.ones(2, 1, 4, 4).long())] * 3\n"
    )
    for change in (
        "self.optimizer.add_param_group({'params': self.model[2].parameters(), 'lr': 1e38})",
        "self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e30)\n"
        "        self.scheduler = None\n        self.guard.watch(self.model, self.optimizer)",
    ):
        entry = write_trainer(tmp_path, methods.format(change))
        outcome = fit(trial(entry))
        assert outcome.divergence is not None
        assert outcome.divergence.stage in (Stage.WEIGHTS, Stage.LOSS)
        assert outcome.divergence.weights_finite


ONE = "yield torch.randn(2, 1, 4, 4), torch.ones(2, 1, 4, 4).long()"
LATE = {
    "self.optimizer = torch.optim.Adam(self.model.parameters())": (
        "has replaced self.optimizer in an epoch, which a trial that goes on does not have: make it"
        " in build_optimizer, with all its groups"
    ),
    "del self.optimizer.param_groups[0]['params'][0]": (
        "has changed the parameters of self.optimizer in an epoch, which a trial that goes on does"
        " not have: make all groups in build_optimizer, and freeze what is to wait with"
        " requires_grad_(False)"
    ),
    "self.optimizer.add_param_group({'params': [torch.zeros(1, requires_grad=True)]})": (
        "has changed the parameters of self.optimizer in an epoch"
    ),
    "self.average = torch.optim.swa_utils.AveragedModel(self.model)": (
        "has made self.average in an epoch, which a trial that goes on does not have: make it in"
        " __init__, or keep it in state_dict and load_state_dict"
    ),
}


@pytest.mark.parametrize(("change", "said"), LATE.items())
def test_what_only_an_epoch_makes_is_refused_at_its_end(
    tmp_path: Path, change: str, said: str
) -> None:
    methods = f"def batches(self, epoch):\n    if epoch == 1:\n        {change}\n    {ONE}\n"
    told: list[EpochMetrics] = []
    with pytest.raises(TrainerError) as caught:
        fit(
            trial(write_trainer(tmp_path, methods)),
            report=told.append,
            checkpoint=Checkpoints(tmp_path),
        )
    assert f"mine.py:Mine: {said}" in str(caught.value)
    assert len(told) == 1


def test_network_that_an_epoch_has_changed_is_told_when_the_trial_goes_on(tmp_path: Path) -> None:
    methods = (
        "def batches(self, epoch):\n"
        f"    self.model.register_buffer('more', torch.ones(1))\n    {ONE}\n"
    )
    entry = write_trainer(tmp_path, methods)
    history(entry, epochs=1, checkpoint=Checkpoints(tmp_path))
    with pytest.raises(TrainerError, match=r"mine\.py:Mine: the network and the optimizer that it"):
        history(entry, epochs=2, checkpoint=Checkpoints(tmp_path))
