"""What `sweep.rank` says of the changes in a running sweep."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.console.last_look import Look, changes, since_last_look


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (("t1", "t2"), ("t1", "t2"), "no trial has ended."),
        (
            ("t1", "t2"),
            ("t1", "t4", "t2"),
            "2 more trials ended; new in the first 10: t4 (2); t1 still leads.",
        ),
        (
            ("t1", "t2"),
            ("t4", "t1", "t3", "t2"),
            "2 more trials ended; new in the first 10: t4 (1) and t3 (3); t4 leads, before it t1.",
        ),
        (
            ("t1", "t2", "t3"),
            ("t3", "t1", "t2"),
            "2 more trials ended; risen: t3 (3 → 1); t3 leads, before it t1.",
        ),
        ((), ("t1",), "2 more trials ended; new in the first 10: t1 (1)."),
        (("t1",), ("t1",), "2 more trials ended; t1 still leads."),
    ],
)
def test_changes_name_who_entered_who_rose_and_who_leads(
    before: tuple[str, ...], now: tuple[str, ...], told: str
) -> None:
    more = 0 if told.startswith("no") else 2
    sentence = changes(Look(1000.0, 5, before), Look(1725.0, 5 + more, now))
    assert sentence == f"Since your last look, 12 min 05 s ago: {told}"


def test_look_is_remembered_outside_the_results_and_a_lost_one_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, results = tmp_path / "cache", tmp_path / "results"
    results.mkdir()
    monkeypatch.setenv("MEDICAL_SWEEP_CACHE", str(cache))
    assert since_last_look(results, ["t1"], 1) == ""
    assert since_last_look(results, ["t2", "t1"], 2).endswith("t2 leads, before it t1.")
    assert list(results.iterdir()) == []
    assert since_last_look(results, ["t1"], 1) == ""  # another sweep in the same place
    [kept] = (cache / "looks").iterdir()
    kept.write_text("{")
    assert since_last_look(results, ["t1"], 3) == ""


def test_look_of_another_folder_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDICAL_SWEEP_CACHE", str(tmp_path))
    assert since_last_look(tmp_path / "a", ["t1"], 1) == ""
    assert since_last_look(tmp_path / "b", ["t2"], 2) == ""
