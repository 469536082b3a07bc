"""Mistakes in the space: all of one line at once, each with what would be right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sweep.spec.checks.doubtful_settings import warnings
from sweep.spec.load import load_sweep
from sweep.spec.space.distribution_yaml import parse_distribution
from sweep.vocabulary.errors import InputError


def told(file: Path, yaml: str) -> list[str]:
    """Each mistake of a sweep's file, with its key."""
    file.write_text(yaml)
    with pytest.raises(InputError) as caught:
        load_sweep(file)
    return [f"{one.key}: {one.message}" for one in caught.value.mistakes]


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (
            {"uniform": [1, 0], "when": {"optimizer.name": {"abov": 1}}},
            ["needs low < high", "numbers for `above` and `below`, but has"],
        ),
        ({"uniform": "0 to 1", "when": 5}, ["takes [low, high]", "`when` takes the values"]),
        (
            {"uniform": [0, 1], "when": {"data.folds": []}, "prior": 7},
            ["`data.folds` takes a value, a list of different values", "7"],
        ),
        (
            {"uniform": [0, 1], "when": {"data.folds": [], "loss.sqrt_epsilon": {}}},
            ["`data.folds` takes a value", "`loss.sqrt_epsilon` takes a value"],
        ),
        ({"loguniform": [0, -1]}, ["low > 0 and low < high"]),
    ],
)
def test_all_that_is_wrong_with_one_setting_is_told_at_once(
    value: dict[str, Any], parts: list[str]
) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_distribution(value)
    assert [part for part in parts if part not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("value", "cure"),
    [
        ({"loguniform": [0, 1]}, "give a small positive bound, or list the values with 0 in a `ch"),
        ({"loguniform": [-1, 1]}, "a negative number has no logarithm: `uniform` takes it"),
        ({"lograndint": [0, 9]}, "list the values with 0 in a `choice`"),
        ({"lograndint": [-3, 9]}, "a negative number has no logarithm: `randint` takes it"),
    ],
)
def test_cure_of_a_bound_without_a_logarithm_fits_the_bound(
    value: dict[str, Any], cure: str
) -> None:
    with pytest.raises(ValueError, match=cure):
        parse_distribution(value)


SPACE = """
space:
  optimizer.name: {choice: [sgd, adamw]}
  optimizer.momentum: {uniform: [0.8, 0.99], when: {WHEN}}
"""


@pytest.mark.parametrize("on", ["name", "nam", "optimizer.nam", "optimiser.name"])
def test_condition_on_a_name_that_is_nearly_a_searched_one_proposes_it(
    on: str, tmp_path: Path
) -> None:
    [mistake] = told(tmp_path / "x.yaml", SPACE.replace("WHEN", f"{on}: sgd"))
    assert mistake.startswith(f"space.optimizer.momentum.when.{on}: ")
    assert mistake.endswith("did you mean `optimizer.name`?")


@pytest.mark.parametrize("word", ["when: {optimizer.name: sgd}", "prior: 0.9"])
def test_what_stands_beside_a_distribution_is_shown_its_place(word: str, tmp_path: Path) -> None:
    beside = "such as `optimizer.momentum: {uniform: [0.8, 0.99], when: {optimizer.name: sgd}}`"
    good = SPACE.replace("WHEN", "optimizer.name: sgd")
    [above] = told(tmp_path / "x.yaml", good + word)
    assert above.endswith(
        f"is not a setting of the top level; it stands beside a distribution, {beside}"
    )
    if word.startswith("when"):
        [inside] = told(tmp_path / "x.yaml", good + f"  {word}")
        assert inside.endswith(f"`when` and `prior` stand beside one, {beside}")


@pytest.mark.parametrize(("budget", "is_told"), [(6, False), (7, True), (50, True)])
def test_budget_that_no_race_can_spend_is_a_warning(
    budget: int, is_told: bool, tmp_path: Path
) -> None:
    confirm = f"{{top: 2, seeds: 3, race: true, budget: {budget}}}"
    yaml = f"trials: 30\npresets: []\nconfirm: {confirm}\n" + SPACE.replace(
        "WHEN", "optimizer.name: sgd"
    )
    (tmp_path / "x.yaml").write_text(yaml)
    spec = load_sweep(tmp_path / "x.yaml")
    sentence = f"`confirm.budget` {budget} is more than the 6 trainings"
    assert any(one.startswith(sentence) for one in warnings(spec)) == is_told


OWN_SPACE = """
space:
  trainer.options.kind: {choice: [a, b]}
  trainer.options.rate: {uniform: [0, 1], when: {trainer.options.kind: a}}
  trainer.options.decay: {uniform: [0, 1], when: {trainer.options.rate: {above: 0.5}}}
"""


@pytest.mark.parametrize(
    ("trainer", "mistake"),
    [
        ("{epochs: 5}", "space.trainer.options.rate: "),
        ("{kind: custom, entry: loop.py:train}", "space.trainer.options.rate: "),
        ("{kind: custum, entry: loop.py:train, options: {rate: 1}}", "trainer.kind: "),
        (
            "{kind: custom, entry: loop.py:train, options: {kind: a, rate: {}, decay: 0}}",
            "trainer.options.rate: ",
        ),
    ],
)
def test_conditions_on_options_that_the_trainer_lacks_are_mistakes_in_words(
    trainer: str, mistake: str, tmp_path: Path
) -> None:
    found = told(tmp_path / "x.yaml", f"trainer: {trainer}\n{OWN_SPACE}")
    assert any(one.startswith(mistake) for one in found), found
