"""Lists as searched values: what check says of them, and that they are read back as drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.spec.load import load_sweep, to_yaml
from sweep.spec.search.shared_warmup import trunk_key
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.store.warm_start_file import read_earlier, write_earlier
from sweep.vocabulary.errors import InputError, Mistake
from sweep.vocabulary.objective import DICE
from sweep.vocabulary.parameter_values import as_text
from sweep.vocabulary.record import Outcome, Status, TrialRecord

BASE = {"name": "x", "data": {"source": "shapes", "size": 64}, "network": {"name": "unet"}}
WIDTHS = {"network.channels": {"choice": [[8, 16, 32], [16, 32, 64, 128]]}}


def told(space: dict[str, object], **base: object) -> list[str]:
    try:
        load_sweep({**BASE, **base, "space": space})
    except InputError as error:
        return [f"{mistake.key}: {mistake.message}" for mistake in error.mistakes]
    return []


@pytest.mark.parametrize(
    ("space", "base"),
    [
        (WIDTHS, {}),
        ({"data.patch_size": {"choice": [[32, 64], 48, None]}}, {}),
        ({"data.spacing": {"choice": [[1, 2.5], None, "median"]}}, {"data": {"source": "brain"}}),
        ({"data.geometric_class": {"choice": [["grey", "white"], 1]}}, {"data": {
            "source": "brain"}}),
        ({"network.channels": {"grid": [[8, 16], [8, 16, 32]]}}, {"searcher": "grid"}),
        ({"network.channels": {"grid_search": [[8, 16], [8, 16, 32]]}}, {"searcher": "grid"}),
    ],
)  # fmt: skip
def test_settings_that_are_lists_can_be_searched(
    space: dict[str, object], base: dict[str, object]
) -> None:
    assert told(space, **base) == []


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"optimizer.lr": {"choice": [[0.1, 0.2]]}}, "space.optimizer.lr: `optimizer.lr` takes "
         "single values, but `choice` has the list [0.1, 0.2]; did you mean `{choice: [0.1, 0.2]}`"
         "?"),
        ({"trainer.batch_size": {"choice": [[2, 4], 8]}}, "space.trainer.batch_size: "
         "`trainer.batch_size` takes single values, but `choice` has the list [2, 4]"),
        ({"network.channels": {"choice": [[8], [8, 16]]}}, "space.network.channels: must be a "
         "list of at least 2, but is [8]"),
        ({"data.patch_size": {"choice": [[32, 32, 32]]}}, "space.data.patch_size: must be one "
         "number, or a list of 2 for images and slices, but is [32, 32, 32]"),
        ({"evaluation.metrics": {"choice": [["hd95"], ["nsd"]]}}, "space.evaluation.metrics: "
         "cannot be searched: it must be the same for all trials"),
        ({"network.channels": {"choice": [[8, 16], [4, 8, 16, 32, 64]]},
          "data.patch_size": {"choice": [[16, 16], [64, 64]]}},
         "space.data.patch_size: `network.channels` [4, 8, 16, 32, 64] with `data.patch_size` "
         "[16, 16]: 5 levels leave a single pixel of 16, too few for `unet` to normalise: must be "
         "at most 4 levels, or images and patches of more than 16 pixels"),
        ({"network.channels": {"choice": [[8, 16], [8, 16, 32]]},
          "network.name": {"choice": ["unet", "dynunet"]}},
         "space.network.channels: `network.name` \"dynunet\" with `network.channels` [8, 16]: "
         "`dynunet` has at least 3 levels, but is [8, 16]"),
    ],
)  # fmt: skip
def test_a_list_that_cannot_be_trained_is_told_before_any_training(
    space: dict[str, object], message: str
) -> None:
    assert message in told(space)


def test_an_option_of_a_users_own_trainer_can_be_a_searched_list() -> None:
    own = {"kind": "custom", "entry": "loop.py:train", "options": {"widths": [8, 16], "lr": 0.1}}
    space = {
        "trainer.options.widths": {"choice": [[8, 16], [16, 8], [[1, 1], [2]], None]},
        "trainer.options.lr": {"uniform": [0, 1], "when": {"trainer.options.widths": [[16, 8]]}},
    }
    spec = load_sweep({"name": "x", "trainer": own, "space": space})
    drawn = spec.as_drawn({"trainer.options.widths": (16, 8), "trainer.options.lr": 0.5})
    assert spec.trial(drawn).trainer.options == {"widths": (16, 8), "lr": 0.5}  # type: ignore[union-attr]
    assert spec.as_drawn({"trainer.options.widths": (8, 16), "trainer.options.lr": 0.5}).keys() == {
        "trainer.options.widths"
    }


@pytest.mark.parametrize("value", [{"a": 1}, [{"a": 1}], [[[1]]], float("nan")])
def test_an_option_of_a_wrong_kind_is_one_mistake_under_its_own_name(value: object) -> None:
    own = {"kind": "custom", "entry": "loop.py:train", "options": {"widths": value, "lr": 0.1}}
    [mistake] = told({"trainer.options.lr": {"uniform": [0, 1]}}, trainer=own, network={})
    assert mistake.startswith("trainer.options.widths: must be ")


def test_each_searched_list_is_checked_with_the_data() -> None:
    def look(settings: TrialSettings) -> list[Mistake]:
        levels = len(settings.network.channels)
        return [Mistake("too deep for the data", key="network.channels")] * (levels > 3)

    with pytest.raises(InputError, match="too deep for the data") as caught:
        load_sweep({**BASE, "network": {"channels": [8, 8, 8]}, "space": WIDTHS}, check_data=look)
    assert [mistake.key for mistake in caught.value.mistakes] == ["space.network.channels"]


def test_a_list_is_searched_by_an_override_too(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("space: {seed: {randint: [0, 3]}}\n")
    spec = load_sweep(tmp_path / "x.yaml", ["space.data.patch_size={choice: [[32, 64], [64, 32]]}"])
    assert spec.values_of("data.patch_size") == ((32, 64), (64, 32))


def test_a_sweep_with_lists_is_the_same_when_it_is_read_back(tmp_path: Path) -> None:
    space = {**WIDTHS, "data.spacing": {"choice": [[1, 2], [0.1, 1e-3], None]}}
    spec = load_sweep({"name": "x", "data": {"source": "brain"}, "space": space})
    (tmp_path / "sweep.yaml").write_text(to_yaml(spec))
    again = load_sweep(tmp_path / "sweep.yaml")
    assert again == spec
    assert repr(again.space) == repr(spec.space)
    assert "choice: [[8, 16, 32], [16, 32, 64, 128]]" in to_yaml(spec)
    assert type(spec).model_validate(spec.model_dump()) == spec


def test_an_earlier_trial_has_the_list_as_this_space_writes_it() -> None:
    spec = load_sweep({"name": "x", "data": {"source": "brain"}, "space": {
        "data.spacing": {"choice": [[1, 2], [2, 2]]}}})  # fmt: skip
    trained = spec.trial({"data.spacing": (1, 2)})
    assert repr(spec.parameters_of(trained)) == "{'data.spacing': (1, 2)}"


def test_lists_survive_the_file_of_a_warm_start(tmp_path: Path) -> None:
    parameters = {"network.channels": (8, 16), "network.options.strides": ((1, 1), (2.0, 1e-300))}
    record = TrialRecord(
        trial_id="t0003",
        number=3,
        parameters=parameters,
        outcome=Outcome(status=Status.DIVERGED),
    )
    write_earlier(tmp_path / "w.jsonl", [record], DICE)
    [again] = read_earlier(tmp_path / "w.jsonl", DICE)
    assert repr(again.parameters) == repr(parameters)


def test_trials_of_other_widths_or_patches_share_no_warm_up() -> None:
    spec = load_sweep({**BASE, "space": {**WIDTHS, "data.patch_size": {
        "choice": [[32, 32], [32, 64]]}}})  # fmt: skip
    first, second = spec.space["network.channels"].arguments
    settings = [
        spec.trial({"network.channels": first, "data.patch_size": (32, 32)}),
        spec.trial({"network.channels": second, "data.patch_size": (32, 32)}),
        spec.trial({"network.channels": first, "data.patch_size": (32, 64)}),
    ]
    keys = {trunk_key(one) for one in settings}
    assert len(keys) == 3
    again = spec.trial({"network.channels": first, "data.patch_size": (32, 32)})
    assert trunk_key(again) in keys


def test_a_list_is_written_with_all_digits() -> None:
    assert as_text((0.1, (1, None), "a", True)) == '[0.1, [1, null], "a", true]'
    assert as_text(0.1) == 0.1
