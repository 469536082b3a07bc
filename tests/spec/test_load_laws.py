"""Laws of reading and writing: the identity, and no text that is answered with a traceback."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sweep.spec.load import load_sweep, load_trial, to_yaml
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.vocabulary.errors import InputError

GOOD = """\
name: quickstart   # a comment
trials: 20
searcher: {name: tpe, seed: 7, startup_trials: 8}
scheduler: {name: asha, grace_period: 8, reduction_factor: 3}
resources: {cpu: 1, gpu: 0}
max_concurrent: 2
time_budget: 10m
trainer: {epochs: 24, batch_size: 8}
data:
  source: shapes
  kind: one_circle
  difficulty: 0.25
space:
  loss.warmup_epochs: {randint: [2, 8]}
  loss.weights.compactness: {loguniform: [1e-3, 1]}
  loss.weights.aspect: {quniform: [0, 1, 0.1]}
  loss.sqrt_epsilon: {choice: [0, 1e-8, 1e-6, 1e-4]}
  optimizer.name: {choice: [sgd, "adamw"]}
  early_stopping.patience:
    choice: [4, 8, null]
"""
TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
POSITIVE = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
COUNT = st.integers(1, 2**63 - 1)

DATA = st.one_of(
    st.fixed_dictionaries(
        {"source": st.just("shapes")}, optional={"difficulty": st.floats(0, 1), "seed": st.just(3)}
    ),
    st.fixed_dictionaries({"source": st.just("brain")}, optional={"gap": st.integers(0, 99)}),
    st.fixed_dictionaries(
        {"source": st.just("nnunet_raw"), "folder": TEXT},
        optional={
            "geometric_class": st.none() | TEXT | COUNT | st.lists(TEXT | COUNT, min_size=1),
            "slice_axis": st.integers(0, 2),
        },
    ),
)
PROBABILITY = st.floats(0, 1)
AUGMENTATION = st.fixed_dictionaries(
    {},
    optional={
        "flips": st.fixed_dictionaries({"probability": PROBABILITY}),
        "rotation": st.fixed_dictionaries({"probability": PROBABILITY, "degrees": st.just(30)}),
        "noise": st.fixed_dictionaries({}, optional={"std": POSITIVE}),
        "gamma": st.fixed_dictionaries({"probability": PROBABILITY}),
    },
)
TRIAL: dict[str, st.SearchStrategy[Any]] = {
    "seed": st.integers(0, 2**31 - 1),
    "data": DATA,
    "augmentation": AUGMENTATION,
    "evaluation": st.fixed_dictionaries({"tta": st.sampled_from(["none", "flips"])}),
    "trainer": st.fixed_dictionaries({"epochs": COUNT}),
    "network": st.fixed_dictionaries(
        {"name": st.sampled_from(["unet", "dynunet"])},
        optional={"channels": st.lists(COUNT, min_size=3, max_size=6)},
    ),
    "optimizer": st.fixed_dictionaries({"gradient_clip": st.none() | POSITIVE}),
}
LOSS = st.fixed_dictionaries({"sqrt_epsilon": POSITIVE, "warmup_epochs": st.just(0)})
BOUNDS = st.lists(POSITIVE, min_size=2, max_size=2, unique=True).map(sorted)
DISTRIBUTIONS = {
    "loss.weights.compactness": BOUNDS.map(lambda pair: {"loguniform": pair}),
    "optimizer.lr": BOUNDS.map(lambda pair: {"uniform": pair}),
    "early_stopping.patience": st.lists(st.none() | COUNT, min_size=1, max_size=4, unique=True).map(
        lambda values: {"choice": values}
    ),
    "loss.warmup_epochs": st.integers(1, 9).map(lambda high: {"randint": [0, high]}),
    "trainer.batch_size": st.integers(2, 2**62).map(lambda high: {"lograndint": [1, high]})
    | st.integers(1, 2**30).map(lambda q: {"qrandint": [3, 3 + 7 * q, q]}),
    "loss.min_area": st.integers(1, 99).map(lambda steps: {"quniform": [0, steps / 4, 0.25]}),
}
SWEEP = {
    "name": st.from_regex(r"[A-Z][A-Za-z0-9_-]{5,20}", fullmatch=True),
    # Something beside patience: of one configuration, whose curve is replayed, one trial is enough.
    "space": st.fixed_dictionaries({}, optional=DISTRIBUTIONS).filter(
        lambda space: space.keys() - {"early_stopping.patience"}
    ),
    "replay_patience": st.booleans(),
    "trials": st.integers(1, 1000),
    "searcher": st.sampled_from(["random", "tpe", {"name": "tpe", "startup_trials": 3}]),
    "scheduler": st.sampled_from(["asha", "none", {"reduction_factor": 2}]),
    "max_concurrent": st.none() | COUNT,
    "time_budget": st.none() | POSITIVE | st.sampled_from(["90s", "10m", "2h", "1.5d"]),
    "resources": st.fixed_dictionaries({}, optional={"gpu": st.floats(0, 1), "cpu": st.just(2)}),
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("laws") / "x.yaml"


@given(st.fixed_dictionaries({}, optional=TRIAL | {"loss": LOSS}))
def test_a_trial_written_and_read_back_is_the_same(path: Path, values: dict[str, Any]) -> None:
    trial = TrialSettings.model_validate(values)
    path.write_text(to_yaml(trial), encoding="utf-8", newline="")
    again = load_trial(path)
    assert again == trial
    assert repr(again) == repr(trial)  # holds 1 and 1.0 apart, which are equal


@given(st.fixed_dictionaries(SWEEP | {"loss": LOSS}, optional=TRIAL))
def test_a_sweep_written_and_read_back_is_the_same(path: Path, values: dict[str, Any]) -> None:
    sweep = SweepSpec.model_validate(values)
    path.write_text(to_yaml(sweep), encoding="utf-8", newline="")
    again = load_sweep(path)
    assert again == sweep
    assert repr(again) == repr(sweep)


def test_the_best_trial_of_a_sweep_runs_as_a_trial_file(path: Path) -> None:
    path.write_text(GOOD)
    trial = load_sweep(path).trial({"loss.warmup_epochs": 3, "optimizer.name": "adamw"})
    path.write_text(to_yaml(trial))
    assert load_trial(path) == trial


def refusal(path: Path, load: Callable[..., object], overrides: list[str]) -> InputError | None:
    """The only error that reading a file may end in."""
    try:
        load(path, overrides)
    except InputError as error:
        return error
    return None


def answered(path: Path, content: bytes, overrides: list[str]) -> None:
    """Reads a file both ways and looks at the message, if it is refused."""
    path.write_bytes(content)
    for load in (load_sweep, load_trial):
        error = refusal(path, load, overrides)
        lines = str(error).splitlines() if error else []
        assert len(lines) == (len(error.mistakes) if error else 0)
        assert all(line.isprintable() for line in lines)


SNIPPETS = st.sampled_from(
    [*"{}[]:,#&*!|>'\"%@`-?\t\n \0\\~", "- ", ": ", "&a ", "*a", "<<: *a", "!!set ", "!!int ",
     "---\n", "...", ".nan", ".inf", "1e999", "-1", "0", "1.5", "null", "true", "0x", "9" * 5000,
     "2001-01-01", "[" * 30, '"\\ud800"', "\u2028", "é", "\ufeff", "%YAML 1.1\n---\n",
     "{randint: [0, 1]}"]
)  # fmt: skip


@st.composite
def mutated_texts(draw: st.DrawFn) -> bytes:
    """The good file with some pieces cut out, put in or said twice."""
    text = GOOD
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        text = (
            text[:start] + draw(st.just("") | SNIPPETS | st.just(text[start:end] * 2)) + text[end:]
        )
    content = text.encode()
    return content[: draw(st.integers(0, len(content)))] if draw(st.booleans()) else content


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(mutated_texts())
@example(b'"\\ud800": "\\ud800"\nspace: {"\\ud800": {choice: ["\\ud800"]}}\nname: "\\udfff"')
@example(b'data: {source: nnunet_raw, folder: "\\ud800"}\nspace: {seed: {choice: [1]}}')
def test_no_mutation_of_a_file_is_answered_with_a_traceback(path: Path, content: bytes) -> None:
    answered(path, content, [])


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)
)


def paths_of(values: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(values, dict):
        for key, value in values.items():
            yield from paths_of(value, (*path, key))


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_override_is_answered_with_a_traceback(path: Path, data: st.DataObject) -> None:
    spec = SweepSpec.model_validate({"name": "x", "space": {"seed": {"choice": [1]}}})
    paths = sorted(".".join(p) for p in paths_of(spec.model_dump(mode="json")))
    keys = st.sampled_from(paths) | TEXT
    value = st.builds(str, ANYTHING) | SNIPPETS
    overrides = data.draw(st.lists(st.builds("{}={}".format, keys, value) | TEXT, max_size=3))
    answered(path, GOOD.encode(), overrides)


@pytest.mark.parametrize("folder", ["\x85", "a\u2028b", "\ufeffx", "\n x", "a\tb", "é", "\x7f"])
def test_a_text_with_characters_that_yaml_folds_or_drops_is_read_back_as_it_was(
    path: Path, folder: str
) -> None:
    trial = TrialSettings.model_validate({"data": {"source": "nnunet_raw", "folder": folder}})
    path.write_text(to_yaml(trial), encoding="utf-8", newline="")
    assert load_trial(path) == trial
