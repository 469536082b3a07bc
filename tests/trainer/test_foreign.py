"""What a trainer of somebody else's may return, and what is said of what cannot be taken."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from foreign import trial, write_trainer

from sweep.trial.checkpoints import Checkpoints
from sweep.trial.fit import fit
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import InputError, TrainerError
from sweep.vocabulary.record import Status

VALIDATE = "def validate(self, epoch):\n    return {}\n"
LOSS = """\
def compute_loss(self, batch, factor):
    loss = self.model(batch[0]).mean()
    return {}
"""
BATCHES = """\
def batches(self, epoch):
    images, labels = torch.randn(2, 1, 4, 4), torch.ones(2, 1, 4, 4).long()
    return {}
"""


def trained(tmp_path: Path, methods: str, epochs: int = 1) -> list[EpochMetrics]:
    history: list[EpochMetrics] = []
    settings = trial(write_trainer(tmp_path, methods), epochs=epochs)
    outcome = fit(settings, report=history.append, checkpoint=Checkpoints(tmp_path))
    assert outcome.status is Status.COMPLETED
    return history


def refusal(tmp_path: Path, methods: str, epochs: int = 1) -> str:
    """What is said, without the folder of the trainer's file."""
    with pytest.raises(TrainerError) as caught:
        trained(tmp_path, methods, epochs)
    [sentence] = str(caught.value).splitlines()
    return re.sub(r"^\S*mine\.py", "mine.py", sentence)


NUMBERS = {
    "0.75": 0.75,
    "np.float32(0.75)": 0.75,
    "np.float64(0.75)": 0.75,
    "np.float16(0.75)": 0.75,
    "np.array(0.75)": 0.75,
    "np.array([0.75])": 0.75,
    "torch.tensor(0.75)": 0.75,
    "torch.tensor([[0.75]])": 0.75,
    "torch.tensor(0.75, dtype=torch.bfloat16)": 0.75,
    "torch.tensor(0.75, requires_grad=True)": 0.75,
    "nn.Parameter(torch.tensor(0.75))": 0.75,
    "Fraction(3, 4)": 0.75,
    "Decimal('0.75')": 0.75,
    "np.int64(1)": 1.0,
    "1": 1.0,
    "1 + 2**-23": 1.0,  # the next float32 above 1
    "None": None,
}


@pytest.mark.parametrize(("returned", "taken"), NUMBERS.items())
def test_number_of_any_library_is_taken_as_a_plain_one(
    tmp_path: Path, returned: str, taken: float | None
) -> None:
    values = f"Validation(dice={returned} if epoch else 0.5, metrics={{'own': {returned}}})"
    *_, last = trained(tmp_path, VALIDATE.format(values), epochs=2)
    assert (last.val_dice, last.metrics) == (
        taken,
        {"own": 1 + 2**-23 if "23" in returned else taken},
    )
    assert {type(last.val_dice), *map(type, last.metrics.values())} <= {float, type(None)}


def test_dice_that_is_no_number_in_some_epochs_hides_none(tmp_path: Path) -> None:
    values = "Validation(dice=torch.tensor(float('nan') if epoch in (0, 2) else 0.1 * epoch))"
    trained(tmp_path, VALIDATE.format(values), epochs=4)
    best = Checkpoints(tmp_path).load_best()
    assert best is not None
    assert best["epoch"] == 3


RETURNED = {
    "0.83": "returned 0.83, a float, but must return Validation(dice=…), of sweep",
    "None": "returned None, but must return",
    "(0.8, {})": "returned a tuple of 2, but must return",
    "{'dice': 0.8}": "returned a dict of 'dice', but must return",
    "Validation": "returned the class Validation, but must return",
    "torch.tensor(0.8)": "returned a Tensor of shape [], but must return",
    "Validation(dice=87.3)": (
        "returned a Dice of 87.3, but it must lie in [0, 1]: 0.873, if it is in percent"
    ),
    "Validation(dice=-0.1)": "returned a Dice of -0.1, but it must lie in [0, 1]",
    "Validation(dice=float('inf'))": "returned a Dice of inf, but it must lie in [0, 1]",
    "Validation(dice='0.8')": "returned '0.8', a str as a Dice, but it must be one number",
    "Validation(dice=True)": "returned True, a bool as a Dice, but it must be one number",
    "Validation(dice=1j)": "returned 1j, a complex as a Dice, but it must be one number",
    "Validation(dice=np.bool_(True))": "as a Dice, but it must be one number",
    "Validation(dice=[0.8])": "returned a list of 1 as a Dice, but it must be one number",
    "Validation(dice=torch.rand(4))": "returned a Tensor of shape [4] as a Dice, but it must be",
    "Validation(dice=torch.rand(0))": "returned a Tensor of shape [0] as a Dice, but it must be",
    "Validation(dice=np.ones(2))": "returned a ndarray of shape [2] as a Dice, but it must be",
    "Validation(dice=10**400)": "as a Dice, but it must be one number",
    "Validation(dice=0.8, metrics={1: 2.0})": "names a metric 1, an int, but a name must be",
    "Validation(dice=0.8, metrics={'a': 'b'})": "returned 'b', a str as the metric 'a', but it",
    "Validation(dice=0.8, metrics={'a': {}})": "returned a dict that is empty as the metric 'a'",
    "Validation(dice=0.8, metrics=[0.5])": "returned a list of 1 as metrics, but they must be",
    "Validation(dice=0.8, predicted_classes=1.5)": "as `predicted_classes`, but it must be",
    "Validation(dice=float('nan'))": "gave no validation Dice in any of the 1 epochs",
    "Validation(dice=None)": "gave no validation Dice in any of the 1 epochs, only None or NaN",
}


@pytest.mark.parametrize(("returned", "said"), RETURNED.items())
def test_validation_that_cannot_be_taken_is_told_with_file_class_and_value(
    tmp_path: Path, returned: str, said: str
) -> None:
    sentence = refusal(tmp_path, VALIDATE.format(returned))
    assert re.match(r"mine\.py:\d+: Mine\.validate ", sentence)
    assert said in sentence


def test_line_that_is_named_is_that_of_the_method(tmp_path: Path) -> None:
    sentence = refusal(tmp_path, VALIDATE.format("None"))
    number = int(sentence.split(":")[1])
    text = (tmp_path / "mine.py").read_text().splitlines()[number - 1]
    assert text == "    def validate(self, epoch):"
    assert number > 20  # the one that was written last


TRAINED = {
    LOSS.format(
        "loss"
    ): "compute_loss returned a Tensor of shape [], but must return (loss, terms)",
    LOSS.format("loss.item(), {}"): "a float, but must return (loss, terms)",
    LOSS.format("loss, loss"): "the terms must be a dict",
    LOSS.format(
        "loss, {'ce': 0.25}"
    ): "returned 0.25, a float as the term 'ce', but it must be a te",
    LOSS.format("loss, {0: loss}"): "names a term 0, an int, but a name must be",
    LOSS.format(
        "loss.expand(2, 3), {}"
    ): "returned a Tensor of shape [2, 3], but the loss must be a",
    LOSS.format("loss.detach(), {}"): "returned a loss without a graph",
    LOSS.format("None"): "compute_loss returned None, but must return (loss, terms)",
    BATCHES.format("None"): "batches returned None, but must return the batches of the epoch",
    BATCHES.format("[]"): "batches returned no batch for epoch 0",
    BATCHES.format(
        "[None]"
    ): "batches returned None, but without a compute_loss of its own a class",
    BATCHES.format("[images]"): "batches returned a Tensor of shape [2, 1, 4, 4], but without",
    BATCHES.format(
        "[{'image': images}]"
    ): "batches returned a dict of 'image', but without a compute",
    BATCHES.format("[(images, labels.numpy())]"): "batches returned a tuple of 2, but without",
    BATCHES.format("[(images, labels[:, 0])]"): (
        "batches returned labels of shape [2, 4, 4], but they must be of shape [2, 1, 4, 4]: class"
        " indices with one channel, for an output of [2, 2, 4, 4]; labels.unsqueeze(1) adds"
    ),
    BATCHES.format("[(images, labels.repeat(1, 2, 1, 1))]"): "labels.argmax(1, keepdim=True) makes",
    BATCHES.format(
        "[(images, labels[..., :3])]"
    ): "of shape [2, 1, 4, 3], but they must be of shape",
    BATCHES.format("[(images, 2 * labels)]"): (
        "returned labels from 2 to 2, but the network has 2 outputs: labels must lie in 0 to 1"
    ),
    BATCHES.format("[(images, -labels)]"): "returned labels from -1 to -1, but the network has 2",
    "def build_model(self):\n    pass\n": (
        "build_model returned None, but must return a torch.nn.Module"
    ),
    "def build_model(self):\n    return nn.Conv2d\n": "build_model returned the class Conv2d, but",
    "def build_model(self):\n    return nn.ReLU()\n": "returned a ReLU without a parameter that",
    "def build_model(self):\n    return nn.Conv2d(1, 2, 1).requires_grad_(False)\n": "without a",
    "def state_dict(self):\n    return {'mine': self.model}\n": (
        "state_dict returned a Sequential at ['mine'], which a checkpoint cannot hold: it takes"
    ),
    "def state_dict(self):\n    return {'a': [{'b': np.ones(2)}]}\n": "at ['a'][0]['b']",
    BATCHES.format("[(images.double(), labels)]"): (
        "batches returned images of shape [2, 1, 4, 4] and float64, with which the network, a"
        " Sequential, fails (its weights are float32: images.to(torch.float32) is like them): "
    ),
    BATCHES.format("[((255 * images).byte(), labels)]"): "images.to(torch.float32) is like them",
    BATCHES.format("[(images.repeat(1, 3, 1, 1), labels)]"): (
        "batches returned images of shape [2, 3, 4, 4] and float32, with which the network, a"
        " Sequential, fails: RuntimeError: Given groups=1"
    ),
    BATCHES.format("[(images[0, 0], labels)]"): "images of shape [4, 4] and float32, with which",
    BATCHES.format("[(images[:0], labels[:0])]"): "batches returned a batch of 0 images",
    BATCHES.format("[(images.to('meta'), labels)]"): "sparse or without values (`meta`)",
    BATCHES.format("[(images, labels.to('meta'))]"): "sparse or without values (`meta`)",
    BATCHES.format("[(images, labels.to_sparse())]"): "sparse or without values (`meta`)",
    BATCHES.format("[(images, labels.cfloat())]"): "returned labels of complex64, but they must be",
    BATCHES.format(
        "[(images, 0.5 * labels)]"
    ): "returned labels such as 0.5, but they must be whole",
    BATCHES.format("[(images, labels.float() / 0)]"): "returned labels from inf to inf, but the",
    "def build_model(self):\n    return nn.LazyConv2d(2, 1)\n": (
        "build_model returned a LazyConv2d, which has lazy modules, whose weights do not exist yet:"
        " pass it one batch before"
    ),
    "def build_model(self):\n    return nn.Conv2d(1, 2, 1, device='meta')\n": (
        "build_model returned a Conv2d, which lies on the device `meta`"
    ),
    "def build_model(self):\n    model = nn.Conv2d(1, 2, 1)\n    model.bias.data[1] = torch.inf\n"
    "    return model\n": (
        "build_model returned a Conv2d, which has weights that are not finite before it is trained,"
        " in bias"
    ),
    "def __init__(self, settings):\n    pass\n": "__init__ does not call super().__init__(",
    "def validate(self, epoch):\n    return Validation(dice=torch.rand((), device='meta'))\n": (
        "returned a Tensor of shape [] as a Dice, but it must be one number"
    ),
    "class Odd:\n    def __float__(self):\n        raise RuntimeError('no')\n"
    "def validate(self, epoch):\n    return Validation(dice=self.Odd())\n": (
        "returned an Odd as a Dice, but it must be one number"
    ),
    "def weights(self):\n    return self.model\n": "weights returned a Sequential, but must return",
    "def judge(self, history):\n    return True\n": "judge returned True, a bool, but must",
    "def measured(self, metrics, *, best):\n    pass\n": "measured returned None, but must",
    "def effective_configuration(self, loop):\n    pass\n": (
        "effective_configuration returned None, but must return an EffectiveConfiguration"
    ),
    "def run_epoch(self, epoch):\n    return {'dice': 0.5}\n": "run_epoch returned a dict of",
}


@pytest.mark.parametrize(("methods", "said"), TRAINED.items())
def test_other_answer_that_cannot_be_taken_is_told_likewise(
    tmp_path: Path, methods: str, said: str
) -> None:
    sentence = refusal(tmp_path, methods)
    assert re.match(r"mine\.py:\d+: Mine\.\w+ ", sentence)
    assert said in sentence


ANSWER = """\
def build_model(self):
    class Own(nn.Conv2d):
        def forward(self, images):
            logits = super().forward(images)
            return {}
    return Own(1, 2, 1)
"""
ANSWERS = {
    "{'out': logits}": "a dict of 'out', but it must answer logits [B, C, H, W] with their graph,"
    " or a list of them, finest first: its 'out'",
    "None": "None, but it must answer logits",
    "[]": "a list of 0, but",
    "logits.mean()": "a Tensor of shape [] and float32, but",
    "(logits, None)": "a tuple of 2 with a Tensor of shape [2, 2, 4, 4], None, but",
    "(logits, {'aux': 1})": "a Tensor of shape [2, 2, 4, 4], a dict of 'aux', but",
    "[logits, logits[:1]]": "shapes [2, 2, 4, 4] and [1, 2, 4, 4], but all its outputs must be of",
    "logits.detach().numpy()": "a ndarray of shape [2, 2, 4, 4], but",
    "logits.argmax(1, keepdim=True)": "a Tensor of shape [2, 1, 4, 4] and int64, but",
    "logits.detach()": "without a graph: it does not depend on a parameter, or was detached",
}


@pytest.mark.parametrize(("returned", "said"), ANSWERS.items())
def test_answer_of_a_network_that_is_no_logits_is_told_with_the_network(
    tmp_path: Path, returned: str, said: str
) -> None:
    sentence = refusal(tmp_path, ANSWER.format(returned))
    start = "Mine.build_model returned a network, an Own, that answers"
    assert re.match(rf"mine\.py:\d+: {start} ", sentence)
    assert said in sentence


def test_method_that_the_class_inherits_is_named_by_the_place_of_the_class(tmp_path: Path) -> None:
    own = (
        "class Tagged(torch.optim.SGD):\n    def state_dict(self):\n        return {1: object()}\n"
    )
    methods = "def build_optimizer(self):\n    return Tagged(self.model.parameters(), lr=0.1)\n"
    with pytest.raises(TrainerError) as caught:
        fit(trial(write_trainer(tmp_path, methods, own)), checkpoint=Checkpoints(tmp_path))
    text = (tmp_path / "mine.py").read_text().splitlines()
    line = text.index("class Mine(CustomTraining):") + 1
    assert f"mine.py:{line}: Mine.state_dict returned an object at" in str(caught.value)


def test_class_that_cannot_be_made_of_the_settings_is_told_before_anything_is_trained(
    tmp_path: Path,
) -> None:
    with pytest.raises(InputError, match=r"`Mine` must take \(settings\): too many positional"):
        trained(tmp_path, "def __init__(self):\n    pass\n")


@pytest.mark.parametrize("value", ["np.ma.masked", "np.ma.array([0.7], mask=[True])"])
def test_number_that_is_masked_was_not_measured(tmp_path: Path, value: str) -> None:
    values = f"Validation(dice={value} if epoch else 0.5, metrics={{'own': {value}}})"
    *_, last = trained(tmp_path, VALIDATE.format(values), epochs=2)
    assert (last.val_dice, last.metrics) == (None, {"own": None})


@pytest.mark.parametrize("name", ["", "two\nlines", "\ud800"])
def test_metric_whose_name_no_table_can_show_is_refused(tmp_path: Path, name: str) -> None:
    sentence = refusal(
        tmp_path, VALIDATE.format(f"Validation(dice=0.5, metrics={{{name!r}: 1.0}})")
    )
    assert f"names a metric {name!r}, but a name must be one line of text" in sentence


def test_training_loss_is_what_trials_are_judged_by_where_it_is_asked_for(tmp_path: Path) -> None:
    history: list[EpochMetrics] = []
    asked = trial(write_trainer(tmp_path), objective={"metric": "train_loss", "mode": "min"})
    assert fit(asked, report=history.append).status is Status.COMPLETED
    assert [epoch.metrics for epoch in history] == [
        {"train_loss": epoch.train_loss} for epoch in history
    ]


OWN_STATE = """\
def state_dict(self):
    own = {"best": np.float64(0.5), "seen": {1, 2}, "sizes": (np.int32(3), torch.Size([2]))}
    return super().state_dict() | {"own": own}

def load_state_dict(self, state):
    super().load_state_dict(state)
    self.own = state.get("own")
"""


def test_state_of_plain_numbers_of_any_library_is_kept_and_given_back(tmp_path: Path) -> None:
    trained(tmp_path, OWN_STATE)
    state = Checkpoints(tmp_path).load_last()
    assert state is not None
    own: dict[str, Any] = state["training"]["own"]
    assert own == {"best": 0.5, "seen": {1, 2}, "sizes": (3, (2,))}
    assert type(own["best"]) is float
    assert state["training"]["model"]._metadata["1"] == {"version": 2}  # of torch's batch norm


def test_run_that_shares_nothing_with_ours_is_looked_at_as_well(tmp_path: Path) -> None:
    methods = "def measured(self, metrics, *, best):\n    return replace(metrics, {})\n"
    entry = write_trainer(
        tmp_path, methods.format("grad_norm=np.float32(0.5)"), "from dataclasses import replace"
    )
    history: list[EpochMetrics] = []
    fit(trial(entry, epochs=1), report=history.append)
    assert type(history[0].grad_norm) is float
    entry = write_trainer(tmp_path, methods.format("epoch=3"), "from dataclasses import replace")
    with pytest.raises(
        TrainerError, match="returned metrics of epoch 3, but they must be of epoch 0"
    ):
        fit(trial(entry, epochs=1))


def test_settings_of_a_loss_that_the_class_does_not_use_are_told(tmp_path: Path) -> None:
    own = "def compute_loss(self, batch, factor):\n    return self.model(batch[0]).mean(), {}\n"
    asked = {"warmup_epochs": 1, "weights": {"boundary": 0.5, "aspect": 0.0}}
    history: list[EpochMetrics] = []
    fit(trial(write_trainer(tmp_path, own), loss=asked), report=history.append)
    why = "has no effect: compute_loss does not call self.loss"
    assert [epoch.warnings for epoch in history] == [
        (f"`loss.warmup_epochs` {why}", f"`loss.weights.boundary` {why}"),
        (),
        (),
    ]
    assert history[0].terms.keys() == {"loss"}


MASKED = """\
def build_model(self):
    model = nn.Sequential(nn.Conv2d(1, 2, 1))
    model.register_buffer("mask", torch.full((4, 4), float("-inf")).triu(1), persistent={})
    return model
"""
# What else a network keeps, and a batch that breaks it.
EXTRA = """\
def build_model(self):
    class Extra(nn.Conv2d):
        def get_extra_state(self):
            return {"calls": 1}
        def set_extra_state(self, state):
            pass
    return Extra(1, 2, 1)
def batches(self, epoch):
    yield torch.full((2, 1, 4, 4), float("nan")), torch.ones(2, 1, 4, 4).long()
"""


@pytest.mark.parametrize("persistent", [True, False])
def test_network_with_a_mask_of_minus_infinity_trains(tmp_path: Path, persistent: bool) -> None:
    assert trained(tmp_path, MASKED.format(persistent), epochs=2)[-1].val_dice == 0.5


def test_network_with_a_state_of_its_own_that_diverges_is_told_as_diverged(tmp_path: Path) -> None:
    outcome = fit(trial(write_trainer(tmp_path, EXTRA)), checkpoint=Checkpoints(tmp_path))
    assert outcome.divergence is not None
    assert outcome.divergence.weights_finite
