"""A whole sweep whose cases are of patients: what it trains on, records, says, and resumes with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sweep
from sweep.analysis.confirm.conclusions import on_test_split
from sweep.analysis.figures.sweep_results import read_results
from sweep.analysis.provenance_facts import last_start
from sweep.data.nnunet_raw.pixels import RawCase, write_raw
from sweep.report.takeaway.methods import methods
from sweep.store.layout import Layout
from sweep.vocabulary.errors import ResultsError

PATTERN = "(patient[0-9]+)"


def values(folder: Path, groups: str) -> dict[str, Any]:
    return {
        "name": "grouped",
        "trials": 2,
        "searcher": {"name": "grid"},
        "scheduler": "none",
        "presets": [],
        "data": {
            "source": "nnunet_raw",
            "folder": str(folder / "raw"),
            "groups": groups,
            "test": 0.55,
            "folds": 2,
        },
        "trainer": {"epochs": 1, "batch_size": 8, "device": "cpu"},
        "network": {"name": "dynunet", "channels": [4, 8, 8]},
        "evaluation": {"metrics": []},
        "space": {"optimizer.lr": {"choice": [0.01, 0.02]}},
    }


def patients(cases: Any) -> set[str]:
    return {str(case).partition("_")[0] for case in cases}


def test_sweep_over_patients_keeps_them_apart_and_says_so(tmp_path: Path) -> None:
    label = np.zeros((16, 16), np.uint8)
    label[4:11, 4:11] = 1
    names = [f"patient{n:02d}_{time}" for n in range(12) for time in "abc"]
    write_raw(
        tmp_path / "raw",
        [RawCase(name, label[None] * (100 + n), label) for n, name in enumerate(names)],
        name="raw", channel_names=["grey"], labels={"background": 0, "square": 1},
        file_ending=".png",
    )  # fmt: skip
    where = {"results": tmp_path / "results", "executor": "local", "progress": False}
    results = sweep.run(values(tmp_path, PATTERN), **where)  # type: ignore[arg-type]

    cases = results.best.cases
    assert set(cases["group"]) == patients(cases["case"])
    test = results.test
    assert test is not None
    assert set(test["group"]) == patients(test["case"])
    assert not set(test["group"]) & set(cases["group"])
    paths = Layout(results.folder).trial("t0000")
    assert json.loads(paths.test.read_text())["cases"][0]["group"].startswith("patient")
    found = last_start(paths).cases
    assert (found.training, found.validation) == (6, 9)
    assert (found.training_groups, found.validation_groups, found.groups_in_both) == (2, 3, 0)

    read = read_results(results.folder)
    assert read.held_out is not None
    told = on_test_split(read.held_out)
    assert told.startswith("On 21 test cases of 7 groups that were used for nothing else")
    assert "Only the 7 groups are independent" in told
    written = methods(read)
    assert written is not None
    text = " ".join(passage.text for passage in written.passages)
    assert "6 cases of 2 groups were used for training and 9 of 3 groups for vali" in text
    assert (
        f"Groups of cases, such as those of one patient, follow from names, by `{PATTERN}`." in text
    )
    assert "No group had cases in both training and validation." in text
    assert "The test split has 21 further cases of 7 groups" in text
    assert "over groups of cases, with the jackknife's standard error (MacKinnon et al.," in text
    assert "Kish, L. (1965). Survey sampling. Wiley, New York." in text

    table = tmp_path / "groups.csv"
    table.write_text("case,group\n" + "".join(f"{c},{c.partition('_')[0]}\n" for c in names))
    again = values(tmp_path, str(table)) | {"trials": 2}
    assert sweep.run(again, resume=True, **where).is_finished  # type: ignore[arg-type]
    table.write_text(table.read_text().replace("patient03_a,patient03", "patient03_a,patient04"))
    with pytest.raises(ResultsError, match=r"data\.fingerprint|data\.groups"):
        sweep.run(again, resume=True, **where)  # type: ignore[arg-type]
