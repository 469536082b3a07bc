from __future__ import annotations

import pytest

from sweep.spec.words.short_names import label, words
from sweep.vocabulary.record import ParameterValue, Replicate


def test_label_is_every_parameter_by_its_last_name_unless_two_share_it() -> None:
    parameters: dict[str, ParameterValue] = {
        "loss.weights.compactness": 0.03125,
        "trainer.epochs": 20,
        "loss.warmup.epochs": 5,
        "early_stopping.patience": None,
        "share_warmup": True,
    }
    assert label(parameters) == (
        "compactness=0.0312 trainer.epochs=20 loss.warmup.epochs=5 patience=null share_warmup=true"
    )


def test_preset_is_labelled_by_its_name() -> None:
    assert label({"loss.weights.aspect": 0.5}, preset="baseline") == "baseline"


def test_replicate_is_labelled_by_whose_it_is_and_by_what_chance_it_has() -> None:
    replicate = Replicate(of="t0003", seed=7, fold=1)
    assert label({"loss.weights.aspect": 0.5}, None, replicate) == (
        "replicate of t0003 seed=7 fold=1 aspect=0.5"
    )


@pytest.mark.parametrize(
    ("value", "text"), [(1e-8, "1e-8"), (0.25, "0.25"), (1234.5, "1.23e+3"), ("unet", "unet")]
)
def test_numbers_have_three_digits(value: ParameterValue, text: str) -> None:
    assert words(value) == text
