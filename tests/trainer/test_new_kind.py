"""A kind of trainer and a data source that nobody knows yet: a line in a table, and all ask it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

import sweep
from sweep.analysis.confirm.conclusions import caution
from sweep.analysis.own_texts import OwnTexts
from sweep.analysis.ranking.ranking_columns import own_metrics
from sweep.analysis.ranking.ranking_frame import best_yaml, ranking
from sweep.data.prepared.prepare import prepare
from sweep.data.sources.data_source import DataSource
from sweep.data.sources.shape_images import write_shapes
from sweep.data.sources.source_table import SOURCES, check_data
from sweep.engine.on_ray.node_checks import _look
from sweep.engine.session import train_trial
from sweep.engine.session.evaluate_finalists import evaluate_finalists
from sweep.spec.checks.doubtful_settings import largest_sizes
from sweep.spec.checks.first_look import FirstLook
from sweep.spec.checks.inactive_settings import inactive_in
from sweep.spec.load import to_yaml
from sweep.spec.search.replicate_plan import check_test, most_folds
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.data_settings import DATA_SOURCES, CommonData, ShapesData
from sweep.spec.settings.trainer_settings import TRAINERS, CommonTrainer, TrainerTraits
from sweep.store.store import Store
from sweep.trial.kinds.kind import Kind, Tools
from sweep.trial.kinds.kind_table import KINDS, kind_of, make_ready, pinned
from sweep.trial.trainer_check import TrainerCheck
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import InputError, Mistake
from sweep.vocabulary.record import CaseScore, Outcome, Status

NAMES = {"monai", "nnunet", "custom", "shapes", "brain", "nnunet_raw"}


class ToyTrainer(CommonTrainer):
    traits = TrainerTraits(
        fold_key="trainer.part",
        folds=3,
        is_own_loop=True,
        packages=("no_such_toys",),
        caution="Only a toy.",
        has_test_split=True,
    )
    kind: Literal["toy"] = "toy"
    part: int = 1
    amp: Literal["off"] = "off"
    fingerprint: str | None = None


class ToySpec(SweepSpec):
    """As `SweepSpec` will be once the kind stands in `AnyTrainerSettings`."""

    trainer: ToyTrainer = ToyTrainer()  # type: ignore[assignment]


class Broken(FirstLook):
    def __init__(self, settings: Any) -> None:
        wrong = settings.trainer.part > 2
        super().__init__([Mistake("there is no such part", key="trainer.part")] * wrong)

    def doubts(self) -> list[Mistake]:
        return [Mistake("a toy is no trainer")]


TOY = Kind(
    preparing="Unpacking the toy",
    imports=("toys.box",),
    look=Broken,
    make_ready=lambda settings, show: show("unpacked"),  # type: ignore[arg-type, return-value]
    make_run=lambda *_: "a run",  # type: ignore[arg-type, return-value]
    pixels="a toy has none",
    predictor="a toy foresees nothing",
    segmenter="a toy has no cases",
    recognised=lambda trainer: trainer.model_copy(update={"fingerprint": "toy:1"}),
    test=lambda *_: (CaseScore(case="c", dice=0.5, hd95=None),),
    tools=Tools("toys", lambda *_: None, lambda _, path: ["# Play:", f"play {path.name}"]),
)


@pytest.fixture
def spec(monkeypatch: pytest.MonkeyPatch) -> SweepSpec:
    monkeypatch.setitem(KINDS, "toy", TOY)
    monkeypatch.setitem(TRAINERS, "toy", ToyTrainer)  # type: ignore[arg-type]
    return ToySpec.model_validate(VALUES | {"data": {"source": "shapes", "test": 0.2}})


VALUES = {"name": "toy", "space": {"optimizer.lr": {"choice": [0.1, 0.2]}}}


def with_part(spec: SweepSpec, part: int) -> SweepSpec:
    return spec.model_copy(update={"trainer": ToyTrainer(part=part)})


def test_trainer_of_a_new_kind_is_looked_at_prepared_and_run_by_its_line(spec: SweepSpec) -> None:
    told: list[str] = []
    make_ready(spec, told.append)
    assert told == ["unpacked"]
    assert kind_of(spec).make_run(spec, None) == "a run"  # type: ignore[comparison-overlap]
    assert pinned(spec, None).trainer.fingerprint == "toy:1"  # type: ignore[union-attr]
    look = TrainerCheck(pixels=True)
    assert [m.key for m in look(with_part(spec, 3))] == ["trainer.part"]
    assert look(spec) == []
    assert look.warnings == ["a toy is no trainer", "--data reads nothing: a toy has none"]


def test_spec_asks_a_new_kind_for_its_folds_and_what_it_reads(spec: SweepSpec) -> None:
    assert spec.trainer.traits.fold_key == "trainer.part"
    assert most_folds(spec) == 3
    assert list(check_test(spec)) == []
    assert largest_sizes(spec) == (0, None)
    assert "network.channels" in inactive_in(spec)
    assert "\nnetwork:" not in to_yaml(spec)
    assert "\ndata:" in to_yaml(spec), "its test share is not the default"


def test_ranking_asks_a_new_kind_for_its_words_metrics_and_commands(
    spec: SweepSpec, tmp_path: Path
) -> None:
    assert caution(["monai", "toy"]) == "Only a toy."
    values = spec.model_dump(include={"trainer"})
    with filled(spec, tmp_path) as store:
        records, names = store.records(), list(spec.space)
    assert own_metrics(values, records) == ["giggles"]
    folder, frame = store.layout.folder, ranking(records, names)
    text = best_yaml(folder, frame, OwnTexts(), tmp_path / "best.yaml")
    assert text is not None
    assert "\n# Play:\n#   play best.yaml\n" in text


def test_finalists_of_a_new_kind_are_tested_as_it_says(spec: SweepSpec, tmp_path: Path) -> None:
    with filled(spec, tmp_path) as store:
        evaluate_finalists(spec, store, pytest.fail)
        [record] = store.records()
    assert [score.case for score in record.test] == ["c"]


def filled(spec: SweepSpec, folder: Path) -> Store:
    """Results of one trial of the kind, whose own file a version without it could still read."""
    store = Store.create(folder / "toy", to_yaml(spec))
    trial = to_yaml(SweepSpec.model_validate(VALUES).trial({}))
    name = store.start_trial(0, {"optimizer.lr": 0.1}, trial)
    store.append_epoch(name, EpochMetrics(epoch=0, val_dice=0.5, metrics={"giggles": 3.0}))
    store.end_trial(name, Outcome(status=Status.COMPLETED))
    store.layout.trial(name).best_checkpoint.write_text(name)
    return store


def test_workers_ask_a_new_kind_what_they_need(
    spec: SweepSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported: list[str] = []
    monkeypatch.setattr(train_trial, "import_module", imported.append)
    train_trial.clean_process("toy")
    assert imported[-1] == "toys.box"
    [mistake] = _look("node", "nowhere", "probe", spec)
    assert mistake.message == "cannot train a trial: no_such_toys is not installed"


class ToyData(CommonData):
    has_one_split = True
    source: Literal["toy"] = "toy"
    difficulty: float = 0.0


class ToySource(DataSource):
    packages = ("numpy",)

    def __init__(self, settings: ToyData) -> None:
        wrong = settings.difficulty > 1
        super().__init__(settings, [Mistake("too hard", key="data.difficulty")] * wrong)

    def raw(self, folder: Path) -> Path:
        write_shapes(folder, ShapesData(size=32, count=6))
        return folder


def test_new_data_source_is_checked_and_prepared_by_its_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(SOURCES, "toy", ToySource)
    monkeypatch.setitem(DATA_SOURCES, "toy", ToyData)  # type: ignore[arg-type]
    data: Any = ToyData(folds=3)
    assert [m.key for m in check_data(ToyData(difficulty=2.0))] == ["data.difficulty"]  # type: ignore[arg-type]
    prepared = prepare(data, tmp_path)
    assert (len(prepared.training.cases), len(prepared.validation.cases)) == (4, 2)
    assert [path.name[:4] for path in tmp_path.iterdir() if path.is_dir()] == ["toy-"]
    with pytest.raises(InputError, match="too hard"):
        prepare(ToyData(difficulty=2.0), tmp_path)  # type: ignore[arg-type]
    spec = SweepSpec.model_validate(VALUES).model_copy(update={"data": data})
    assert most_folds(spec) == 1
    assert "data.folds" in inactive_in(spec)


def test_nobody_asks_whether_a_trainer_or_a_source_is_a_certain_one() -> None:
    asking = []
    for file in sorted(Path(sweep.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare) and NAMES & set(texts(node)):
                asking.append(f"{file.name}:{node.lineno}: {ast.unparse(node)}")
    assert asking == []


def texts(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value
