"""A preprocessed dataset is known by what it is, wherever it lies."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sweep.data.nnunet_raw.splits import split
from sweep.nnunet.dataset.preprocessed_fingerprint import fingerprint
from sweep.spec.settings.trainer_settings import NnunetTrainer
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trial.kinds.kind_table import make_ready, pinned
from sweep.vocabulary.errors import InputError


def of(folder: Path, recorded: str | None = None) -> NnunetTrainer:
    return NnunetTrainer(kind="nnunet", dataset=502, preprocessed=str(folder), fingerprint=recorded)


def test_moved_dataset_is_the_same_and_another_is_refused(
    preprocessed: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(preprocessed, tmp_path / "copy")
    recorded = fingerprint(of(preprocessed))
    assert recorded is not None
    assert fingerprint(of(copy)) == recorded
    settings = TrialSettings(trainer=of(copy, recorded))
    assert make_ready(settings) is None
    assert pinned(TrialSettings(trainer=of(copy)), None) == settings

    plans = next(copy.glob("Dataset502*/")) / "nnUNetPlans.json"
    plans.write_text(plans.read_text().replace('"batch_size"', '"batch_size" '))
    with pytest.raises(InputError) as caught:
        make_ready(settings)
    assert str(caught.value).startswith("trainer.fingerprint: dataset 502 in ")
    assert "(nnUNetPlans.json differ)" in str(caught.value)


def copy_without_folds(preprocessed: Path, to: Path) -> tuple[Path, Path]:
    """A copy of nnU-Net's folder, and the dataset in it."""
    copy = shutil.copytree(preprocessed, to / "copy")
    folder = next(copy.glob("Dataset502*/"))
    (folder / "splits_final.json").unlink(missing_ok=True)
    return copy, folder


def test_hidden_files_that_a_file_manager_leaves_are_no_part_of_the_dataset(
    preprocessed: Path, tmp_path: Path
) -> None:
    copy, folder = copy_without_folds(preprocessed, tmp_path)
    asked = of(copy).model_copy(update={"groups": "(\\d+)$"})
    recorded = fingerprint(asked)
    case = next((folder / "gt_segmentations").iterdir()).name
    for path in (".DS_Store", f"gt_segmentations/._{case}", "gt_segmentations/.DS_Store"):
        (folder / path).touch()
    (folder / "nnUNetPlans_2d" / "._x.pkl").touch()
    assert fingerprint(asked) == recorded
    make_ready(TrialSettings(trainer=asked))
    dealt = json.loads((folder / "splits_final.json").read_text())
    assert not [name for one in dealt for name in one["val"] if name.startswith(".")]


def test_folds_of_groups_are_written_once_and_known_by_the_fingerprint(
    preprocessed: Path, tmp_path: Path
) -> None:
    copy, folder = copy_without_folds(preprocessed, tmp_path)
    cases = sorted(path.stem for path in (folder / "gt_segmentations").iterdir())
    groups = {case: f"patient{n // 2}" for n, case in enumerate(cases)}
    file = tmp_path / "groups.json"
    file.write_text(json.dumps(groups))
    asked = of(copy).model_copy(update={"groups": str(file)})
    settings = TrialSettings(trainer=asked)
    make_ready(settings)
    entries = json.loads((folder / "splits_final.json").read_text())
    assert [(tuple(one["train"]), tuple(one["val"])) for one in entries] == [
        split(cases, 5, fold, groups) for fold in range(5)
    ]
    recorded = fingerprint(asked)
    pinned_ = asked.model_copy(update={"fingerprint": recorded})
    make_ready(TrialSettings(trainer=pinned_))

    (folder / "splits_final.json").write_text(json.dumps(entries[:2]))  # the file there counts
    make_ready(settings)
    assert json.loads((folder / "splits_final.json").read_text()) == entries[:2]
    (folder / "splits_final.json").unlink()
    make_ready(TrialSettings(trainer=pinned_))  # elsewhere, where it is missing
    file.write_text(json.dumps(groups | {cases[0]: "patient1"}))
    with pytest.raises(InputError, match=r"\(trainer\.groups differ\)"):
        make_ready(TrialSettings(trainer=pinned_))


def test_too_few_groups_for_the_folds_are_refused_unless_all_cases_train(
    preprocessed: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(preprocessed, tmp_path / "copy")
    splits = next(copy.glob("Dataset502*/")) / "splits_final.json"
    splits.unlink(missing_ok=True)
    few = of(copy).model_copy(update={"groups": "(one)"})
    with pytest.raises(InputError, match=r"trainer\.groups: 1 group cannot be split into 5 folds"):
        make_ready(TrialSettings(trainer=few))
    make_ready(TrialSettings(trainer=few.model_copy(update={"fold": "all"})))
    assert not splits.exists()


def test_splits_that_nnunet_deals_itself_are_none_and_others_are_told(
    preprocessed: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(preprocessed, tmp_path / "copy")
    folder = next(copy.glob("Dataset502*/"))
    splits = folder / "splits_final.json"
    splits.unlink(missing_ok=True)
    before = fingerprint(of(copy))
    cases = [path.stem for path in (folder / "gt_segmentations").iterdir()]
    dealt = [split(cases, 5, fold) for fold in range(5)]  # tests/data holds them to nnU-Net's
    splits.write_text(json.dumps([{"train": train, "val": val} for train, val in dealt]))
    assert fingerprint(of(copy)) == before
    splits.write_text(json.dumps([{"train": dealt[0][1], "val": dealt[0][0]}]))
    assert fingerprint(of(copy)) != before
