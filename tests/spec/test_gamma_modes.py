"""Gamma that would break the normalisation is refused when the spec is read, with the reason."""

import pytest

from sweep.spec.load import load_sweep, load_trial
from sweep.vocabulary.errors import InputError

CORRECT = "use `before_normalization`, `on_minmax` or `shifted_retained`"
SEARCH = "space:\n  loss.warmup_epochs: {randint: [2, 8]}\n"


def told(tmp_path, load, text: str) -> list[str]:
    """What is said of a file, without its name; empty where nothing is wrong."""
    path = tmp_path / "x.yaml"
    path.write_text(text)
    try:
        load(path)
    except InputError as error:
        return [str(mistake).removeprefix(f"{path}:") for mistake in error.mistakes]
    return []


def gamma(mode: str, normalization: str = "zscore", probability: float = 0.25) -> str:
    return (
        f"data: {{source: shapes, normalization: {normalization}}}\n"
        "augmentation:\n"
        "  gamma:\n"
        f"    mode: {mode}\n"
        f"    probability: {probability}\n"
    )


@pytest.mark.parametrize("probability", [0, 1])
@pytest.mark.parametrize("normalization", ["zscore", "minmax"])
@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("plain", "`plain` is refused: a z-scored image is negative in half of its pixels, and a "
         "power of a negative number is NaN"),
        ("clip", "`clip` is refused: clipping a z-scored image at 0 to make room for gamma moves "
         "its mean from 0 to about 0.4 and undoes the normalisation"),
    ],
)  # fmt: skip
def test_plain_and_clipping_gamma_are_refused_with_the_reason(
    tmp_path, mode, reason, normalization, probability
) -> None:
    text = gamma(mode, normalization, probability)
    expected = [f"4: augmentation.gamma.mode: {reason}; {CORRECT}"]
    assert told(tmp_path, load_trial, text) == expected
    assert told(tmp_path, load_sweep, text + SEARCH) == expected


@pytest.mark.parametrize(
    ("mode", "normalization", "reason"),
    [
        ("on_minmax", "zscore", "needs `data.normalization: minmax`, but that is `zscore`"),
        ("shifted_retained", "minmax", "restores mean and standard deviation, which leaves the "
         "[0, 1] of `minmax`"),
    ],
)  # fmt: skip
def test_a_gamma_that_breaks_the_normalisation_of_the_data_is_refused_at_its_line(
    tmp_path, mode, normalization, reason
) -> None:
    text = gamma(mode, normalization)
    message = f"`{mode}` {reason}; `before_normalization` fits both"
    assert told(tmp_path, load_trial, text) == [f"4: augmentation.gamma.mode: {message}"]
    assert told(tmp_path, load_trial, gamma(mode, normalization, 0)) == []


@pytest.mark.parametrize("mode", ["before_normalization", "on_minmax"])
def test_a_gamma_that_needs_a_case_by_case_normalisation_is_refused_beside_nnunets(
    tmp_path, mode
) -> None:
    [line] = told(tmp_path, load_trial, gamma(mode, "nnunet"))
    assert line.startswith(f"4: augmentation.gamma.mode: `{mode}` needs the mean or the range")
    assert line.endswith("use `shifted_retained`, which is nnU-Net's")
    assert told(tmp_path, load_trial, gamma(mode, "nnunet", 0)) == []


@pytest.mark.parametrize(
    ("mode", "normalization"),
    [
        ("shifted_retained", "nnunet"),
        ("before_normalization", "zscore"),
        ("before_normalization", "minmax"),
        ("on_minmax", "minmax"),
        ("shifted_retained", "zscore"),
    ],
)
def test_a_gamma_that_keeps_the_normalisation_is_taken(tmp_path, mode, normalization) -> None:
    assert told(tmp_path, load_trial, gamma(mode, normalization)) == []


def test_an_unknown_mode_is_told_with_those_there_are(tmp_path) -> None:
    assert told(tmp_path, load_trial, gamma("shifted")) == [
        "4: augmentation.gamma.mode: must be `before_normalization`, `on_minmax` or "
        '`shifted_retained`, but is "shifted"; did you mean `shifted_retained`?'
    ]


def test_a_searched_mode_is_refused_as_a_written_one(tmp_path) -> None:
    text = (
        "augmentation: {gamma: {probability: 0.5}}\n"
        "space:\n"
        "  augmentation.gamma.mode: {choice: [before_normalization, plain]}\n"
    )
    [line] = told(tmp_path, load_sweep, text)
    assert line.startswith("3: space.augmentation.gamma.mode: `plain` is refused")


def test_a_searched_normalisation_must_fit_every_searched_mode(tmp_path) -> None:
    text = (
        "augmentation: {gamma: {probability: 0.5}}\n"
        "space:\n"
        "  data.normalization: {choice: [zscore, minmax]}\n"
        "  augmentation.gamma.mode: {choice: [before_normalization, shifted_retained]}\n"
    )
    [line] = told(tmp_path, load_sweep, text)
    assert '`data.normalization` "minmax" with `augmentation.gamma.mode` "shifted_retained"' in line


def test_a_wrong_normalisation_is_the_only_mistake_told_of_it(tmp_path) -> None:
    [line] = told(tmp_path, load_trial, gamma("on_minmax", "zscor"))
    assert line.startswith("1: data.normalization: must be `zscore`, `minmax` or `nnunet`")
