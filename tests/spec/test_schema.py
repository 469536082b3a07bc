"""JSON Schemas for editors: they accept what the check accepts, and refuse the usual mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from ruamel.yaml import YAML
from test_load_laws import LOSS, SWEEP, TRIAL

from sweep.schema import FILES, What, text_of
from sweep.spec.checks.contradictions import check_space
from sweep.spec.load import load_sweep, load_trial
from sweep.spec.reference.json_schema import sweep_schema, trial_schema
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.settings_base import Settings
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.tree.setting_tree import (
    WITH_OWN_KEYS,
    choosing_keys,
    setting_names,
    unsearched_keys,
)
from sweep.vocabulary.errors import InputError

ROOT = Path(__file__).parent.parent.parent
SPACE = "space: {loss.warmup_epochs: {randint: [0, 5]}}\n"
SWEEPS, TRIALS = Draft7Validator(sweep_schema()), Draft7Validator(trial_schema())
ALTERNATIVES: list[dict[str, Any]] = [
    {"data": {"source": "shapes"}},
    {"data": {"source": "brain"}},
    {"data": {"source": "nnunet_raw", "folder": "x"}},
    {"data": {"source": "custom", "entry": "my.data:phantoms"}},
    {"trainer": {"kind": "nnunet", "dataset": 502}},
]
SEARCHED = SWEEPS.schema["properties"]["space"]["properties"]


def values_of(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def is_accepted(folder: Path, text: str) -> bool:
    (folder / "x.yaml").write_text(text)
    try:
        load_sweep(folder / "x.yaml")
    except InputError:
        return False
    return True


@pytest.mark.parametrize("what", FILES)
def test_published_files_are_current(what: What) -> None:
    """`python -m sweep.schema --write docs` writes them anew."""
    assert (ROOT / "docs" / FILES[what]).read_text(encoding="utf-8") == text_of(what)


@pytest.mark.parametrize("validator", [SWEEPS, TRIALS], ids=["sweep", "trial"])
def test_schemas_are_schemas(validator: Draft7Validator) -> None:
    Draft7Validator.check_schema(validator.schema)


SHIPPED = [*sorted(ROOT.glob("search_spaces/*.yaml")), ROOT / "examples" / "custom.yaml"]


@pytest.mark.parametrize("space", SHIPPED, ids=lambda p: p.stem)
def test_every_shipped_search_space_names_the_schema_and_fits_it(space: Path) -> None:
    text = space.read_text(encoding="utf-8")
    file = text.partition("\n")[0].removeprefix("# yaml-language-server: $schema=")
    schema = json.loads((space.parent / file).read_text(encoding="utf-8"))
    assert list(Draft7Validator(schema).iter_errors(values_of(text))) == []


@settings(max_examples=50)
@given(st.fixed_dictionaries(SWEEP | {"loss": LOSS}, optional=TRIAL))
def test_every_possible_sweep_fits_its_schema_as_written_and_as_effective(
    values: dict[str, Any],
) -> None:
    spec = SweepSpec.model_validate(values)
    effective = json.loads(spec.model_dump_json())
    assert [*SWEEPS.iter_errors(values), *SWEEPS.iter_errors(effective)] == []
    trial = {key: effective[key] for key in TrialSettings.model_fields}
    assert list(TRIALS.iter_errors(trial)) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name: x.2",
        "searcher: random",
        "searcher: {startup_trials: 4}",
        "searcher: {name: gp, seed: 3}",
        "scheduler: none",
        "scheduler: {grace_period: 30}",
        "scheduler: {name: median, min_trials: 2}",
        "time_budget: 1.5d",
        "time_budget: 90",
        "time_budget: null",
        "tracking: mlflow",
        "tracking: [mlflow, tensorboard]",
        "warm_start: earlier",
        "warm_start: [earlier, another]",
        "warm_start: {results: earlier, enqueue: 3}",
        "presets: [baseline]",
        "preset: geometric-v2.4",
        "expect: {epoch: 3, val_dice: 0.4}",
        "expect: [{epoch: 3, val_dice: 0.4}, {max_gap: 0.1}]",
        "evaluation: {metrics: all}",
        "evaluation: {metrics: [hd95]}",
        "data: {source: nnunet_raw, folder: x}",
        "data: {source: my.data:phantoms, options: {count: 3}}\n"
        "space: {data.options.count: {choice: [1, 2]}}",
        "searcher: {name: my.search:Mine, options: {draws: 3}, seed: 1}",
        "searcher: my.search:Mine",
        "scheduler: {name: my.search:Threshold, clock: epochs}",
        "evaluation: {metrics: [hd95, my.metrics:nsd]}",
        "loss: {terms: my.losses:rough, weights: {rough: 0.1}}\n"
        "space: {loss.weights.rough: {uniform: [0, 1]}}",
        "resources: {cpu: 0.5, gpu: auto}",
        "trainer: {kind: nnunet, dataset: 502, fold: all}",
        "trainer: {epochs: 1e1}\nspace: {seed: {grid_search: [1]}}\nsearcher: grid",
        "space: {loss.main: {categorical: [dice_ce, dice_focal]}}",
        "space: {data.slice_axis: {randint: [0, 3]}}\ndata: {source: nnunet_raw, folder: x}",
        "space: {early_stopping.patience: {choice: [3, null]}}",
        "space: {loss.sqrt_epsilon: {randint: [0, 2]}}",
    ],
)
def test_schema_and_check_accept(tmp_path: Path, text: str) -> None:
    text += "\n" + SPACE * ("space:" not in text)
    accepted = is_accepted(tmp_path, text)
    fits = list(SWEEPS.iter_errors(values_of(text))) == []
    assert accepted <= fits
    assert fits


@pytest.mark.parametrize(
    "text",
    [
        "trails: 3",
        "trials: 0",
        "trials: many",
        "space: {data.test: {uniform: [0, 0.5]}}",
        "name: a/b",
        "searcher: tpee",
        "searcher: {name: random, startup_trials: 4}",
        "searcher: {seed: -1}",
        "searcher: {name: tpee}",
        "data: {source: shape}",
        "data: {source: custom}",
        "searcher: {name: custom}",
        "loss: {weights: {rough: -0.1}}",
        "scheduler: {name: none, grace_period: 5}",
        "scheduler: {reduction_factor: 1}",
        "time_budget: 2 hours",
        "tracking: [neptune]",
        "presets: [base]",
        "preset: base",
        "warm_start: {enqueue: 3}",
        "expect: {epoch: 3, dice: 0.4}",
        "data: {size: 64}",
        "data: {source: nnunet_raw}",
        "data: {source: brain, size: 64}",
        "trainer: {epoch: 10}",
        "trainer: 10",
        "trainer: {kind: nnunet}",
        "trainer: {kind: nnunet, dataset: 502, entry: mine.py:Mine}",
        "trainer: {kind: custom}",
        "space: {trainer.options: {choice: [1]}}",
        "loss: {weights: {compactness: -1}}",
        "loss: {sqrt_epsilon: small}",
        "evaluation: {metrics: [hd]}",
        "space: {}",
        "space: {loss: {warmup_epochs: {randint: [0, 5]}}}",
        "space: {loss.warmup: {randint: [0, 5]}}",
        "space: {loss.warmup_epochs: [0, 5]}",
        "space: {loss.warmup_epochs: {uniform: [0, 5]}}",
        "space: {loss.warmup_epochs: {randint: [0, 5], choice: [1]}}",
        "space: {loss.warmup_epochs: {randint: [0]}}",
        "space: {loss.warmup_epochs: {randint: [-3, 5]}}",
        "space: {loss.sqrt_epsilon: {loguniform: [0, 1]}}",
        "space: {loss.main: {choice: [dice]}}",
        "space: {loss.main: {choice: []}}",
        "space: {data.source: {choice: [shapes, brain]}}",
        "space: {network.dropout: {uniform: [0, 1]}}",
    ],
)
def test_schema_and_check_refuse(tmp_path: Path, text: str) -> None:
    text += "\n" + SPACE * ("space:" not in text)
    assert not is_accepted(tmp_path, text)
    assert list(SWEEPS.iter_errors(values_of(text))) != []


def test_single_settings_that_can_be_searched_are_in_the_schema_of_the_space() -> None:
    mappings = {name for name in WITH_OWN_KEYS if name != "loss.weights"}
    assert set(SEARCHED) | choosing_keys() | unsearched_keys() | mappings >= set(setting_names())
    assert set(SEARCHED) <= set(setting_names()) - choosing_keys() - unsearched_keys()
    assert {"network.channels", "data.spacing"} <= set(SEARCHED)


@pytest.mark.parametrize("key", [key for key, found in SEARCHED.items() if "examples" in found])
def test_proposed_distribution_draws_what_the_setting_takes(key: str) -> None:
    if key == "network.name":
        pytest.skip("each needs other levels")
    values: dict[str, Any] = {"name": "x", "space": {key: SEARCHED[key]["examples"][0]}}
    values["loss"] = {"main": "dice_focal"}  # has a gamma
    found = [
        list(check_space(SweepSpec.model_validate({**values, **others}))) for others in ALTERNATIVES
    ]
    assert [] in found, found[0]


def test_settings_whose_source_is_not_there_have_a_schema_without_descriptions() -> None:
    names = {"__module__": __name__, "__annotations__": {"rate": float}, "rate": 0.1}
    typed = type("Typed", (Settings,), names)
    schema = typed.model_json_schema()  # type: ignore[attr-defined]
    assert schema["properties"] == {"rate": {"default": 0.1, "title": "Rate", "type": "number"}}


def test_reference_explains_every_setting() -> None:
    page = (ROOT / "docs" / FILES["settings"]).read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    explained = {row[0].strip("| ▲■").strip("`"): row[3] for row in rows if len(row) > 4}
    assert explained.keys() >= set(setting_names()) - choosing_keys()
    assert [key for key, meaning in explained.items() if not meaning.strip()] == []
    assert "`loss.sqrt_epsilon` ▲" in page
    assert "`early_stopping.patience` ■" in page


def test_a_trial_that_is_told_to_be_fine_fits_the_schema(tmp_path: Path) -> None:
    text = "preset: geometric-v2.3\ndata: {source: brain, gap: 4}\nseed: 3\n"
    (tmp_path / "x.yaml").write_text(text)
    load_trial(tmp_path / "x.yaml")
    assert list(TRIALS.iter_errors(values_of(text))) == []
