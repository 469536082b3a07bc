"""A sweep without a geometric loss is told nothing about one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from synthetic import trial

from sweep.analysis.figures.sweep_results import Results
from sweep.console.console_words import make_console
from sweep.console.divergence_panel import diagnosis_panel
from sweep.report.report_figures import figures_of
from sweep.spec.checks.doubtful_settings import trial_warnings, warnings
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.divergence.advice import Case
from sweep.trainer.divergence.verdicts import advise
from sweep.trainer.runs.explain import diagnose
from sweep.vocabulary.record import Divergence, Outcome, Stage, Status

NONE = "loss: {weights: {compactness: 0, boundary: 0, aspect: 0}}"
FUNCTION = "trainer: {kind: custom, entry: plain.py:train, epochs: 8, options: {lr: 0.1}}"
OWN_LOSS = "trainer: {kind: custom, entry: plain.py:Mine, epochs: 8, options: {lr: 0.1}}"
NNUNET = "trainer: {kind: nnunet, dataset: 502, epochs: 8}"
PLAIN = """\
def train(config, trial): ...


class Mine:
    def compute_loss(self, batch, factor): ...


class Ours:
    def compute_loss(self, batch, factor):
        return self.loss(batch, factor)


class Further(Ours):
    def compute_loss(self, batch, factor):
        return super().compute_loss(batch, factor)
"""
TRAINERS = {
    "monai": f"{NONE}\ntrainer: {{epochs: 8}}",
    "nnunet": f"{NONE}\n{NNUNET}",
    "a function": FUNCTION,
    "a class with a loss of its own": OWN_LOSS,
}


@pytest.fixture(params=TRAINERS)
def spec(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SweepSpec:
    (tmp_path / "plain.py").write_text(PLAIN)
    monkeypatch.chdir(tmp_path)
    return spec_of(TRAINERS[request.param])


def spec_of(text: str) -> SweepSpec:
    space = "space: {optimizer.lr: {loguniform: [1.0e-4, 1.0]}}"
    return SweepSpec.model_validate(
        YAML(typ="safe", pure=True).load(f"name: x\ntrials: 6\n{text}\n{space}")
    )


def verdict(settings: TrialSettings) -> Divergence:
    bare = Divergence(
        cause="nonfinite", stage=Stage.LOSS, term="ce", epoch=2, step=1, message="NaN."
    )
    case = Case(verdict=bare, settings=settings)
    return Divergence(
        cause=bare.cause,
        epoch=2,
        step=1,
        message="NaN.",
        diagnosis=diagnose(case, advise(case), 4, None),
    )


def results(spec: SweepSpec, diverged: Iterable[int]) -> Results:
    rates = [10.0**-n for n in range(6)]
    records = tuple(
        trial(
            n,
            Outcome.diverged(verdict(spec)) if n in diverged else Status.COMPLETED,
            [0.25, 0.5 + n / 100, 0.5],
            {"optimizer.lr": rate},
        )
        for n, rate in enumerate(rates)
    )
    return Results(folder=Path("x"), spec=spec, records=records, in_use=False, replicates=())


def speaks_of_geometry(text: str) -> bool:
    return any(word in text.lower() for word in ("geometric", "switch", "warm-up", "warmup"))


@pytest.mark.parametrize("diverged", [(), (0, 1), range(6)])
def test_report_of_a_sweep_without_geometry_says_nothing_of_one(
    spec: SweepSpec, diverged: Iterable[int]
) -> None:
    for exhibit in figures_of(results(spec, diverged)):
        texts = [exhibit.title, exhibit.finding]
        if exhibit.figure is not None:  # else nothing is read of how it was made
            texts += [exhibit.reading, str(exhibit.figure.to_json())]
        assert not [text for text in texts if speaks_of_geometry(text)], exhibit.name


def test_diagnosis_of_a_trial_without_geometry_says_nothing_of_one(
    spec: SweepSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    make_console().print(diagnosis_panel(verdict(spec)))
    assert not speaks_of_geometry(capsys.readouterr().out)


def test_warnings_of_a_sweep_without_geometry_say_nothing_of_one(spec: SweepSpec) -> None:
    assert not [text for text in warnings(spec) if speaks_of_geometry(text)]
    assert trial_warnings(spec.trial({"optimizer.lr": 0.5})) == []


def test_scheduler_of_a_sweep_without_geometry_judges_from_the_first_epoch_on(
    spec: SweepSpec,
) -> None:
    assert spec.rungs()[0] == 1


def test_class_that_uses_our_loss_keeps_its_geometric_terms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plain.py").write_text(PLAIN)
    monkeypatch.chdir(tmp_path)
    for name in ("Ours", "Further", "Unknown"):
        loss = spec_of(OWN_LOSS.replace("Mine", name)).loss
        assert (loss.warmup_epochs, loss.weights.compactness) == (20, 0.01)
    loss = spec_of(OWN_LOSS).loss
    assert (loss.warmup_epochs, loss.weights.compactness) == (0, 0)
    asked = spec_of(f"{OWN_LOSS}\nloss: {{warmup_epochs: 5, weights: {{boundary: 0.5}}}}").loss
    assert (asked.warmup_epochs, asked.weights.boundary, asked.weights.compactness) == (5, 0.5, 0)


def test_curves_of_a_sweep_with_geometry_still_show_where_it_switches_on() -> None:
    spec = spec_of("trainer: {epochs: 8}\nloss: {warmup_epochs: 1}")
    readings = [exhibit.reading for exhibit in figures_of(results(spec, ()))]
    assert any("geometric loss switches on" in text for text in readings)
