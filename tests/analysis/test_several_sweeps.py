"""Which sweeps may be compared with each other."""

from typing import Any

import pytest

from sweep.analysis.ranking.several_sweeps import incomparable
from sweep.vocabulary.objective import DICE, Objective

RAW = {"source": "nnunet_raw", "folder": "/x", "fingerprint": "a", "spatial": "slices"}
BRAIN = {"source": "brain", "spatial": "slices"}


def told(one: dict[str, Any], other: dict[str, Any], objective: Objective = DICE) -> list[str]:
    return list(incomparable({"a": one, "b": other}, objective))


@pytest.mark.parametrize(
    "changed", [{"spatial": "volumes"}, {"spacing": "median"}, {"oversample_foreground": 0.5}]
)
def test_slices_and_volumes_are_measured_on_the_same_whole_cases(changed: dict[str, Any]) -> None:
    assert told({"data": RAW}, {"data": {**RAW, **changed}}) == []


def test_groups_are_known_by_the_fingerprint_wherever_their_file_lies() -> None:
    grouped = [{"data": RAW | {"groups": place}} for place in ("/a/groups.csv", "/b/groups.csv")]
    assert told(grouped[0], grouped[1]) == []
    [sentence] = told({"data": RAW}, {"data": {**RAW, "fingerprint": "b", "groups": "(p.)"}})
    assert '`data.fingerprint` "a" and "b"' in sentence


def test_volumes_of_the_brain_are_other_cases_than_its_slices() -> None:
    [sentence] = told({"data": BRAIN}, {"data": {**BRAIN, "spatial": "volumes"}})
    assert '`data.spatial` "slices" and "volumes"' in sentence


def test_tolerance_of_nsd_counts_where_it_is_the_objective() -> None:
    one, other = ({"evaluation": {"nsd_tolerance": limit}} for limit in (1.0, 2.0))
    assert told(one, other) == []
    for metric in ("nsd", "nsd[liver]"):
        [sentence] = told(one, other, Objective(metric, "max"))
        assert "`evaluation.nsd_tolerance` 1.0 and 2.0" in sentence
