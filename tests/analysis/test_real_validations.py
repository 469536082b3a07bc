"""Finalists by their real validation, with values that can be computed by hand."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from finalists import finalist
from rich.console import Console
from synthetic import trial

from sweep.analysis.confirm.conclusions import caution, reservations, verdict
from sweep.analysis.confirm.confirmation import confirmation
from sweep.analysis.confirm.real_validations import on_whole_cases
from sweep.analysis.ranking.ranking_columns import divider
from sweep.analysis.ranking.ranking_frame import ranking, ranking_frame, write_ranking
from sweep.console.sweep_summary import Summary, print_results
from sweep.spec.load import to_yaml
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.store.store import Store
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.objective import Objective
from sweep.vocabulary.record import Outcome, RealValidation, Replicate, Status, TrialRecord

PSEUDO = Objective(dice="pseudo")
SPEC = SweepSpec.model_validate(
    {
        "name": "toy",
        "trials": 3,
        "trainer": {"kind": "nnunet", "dataset": 502},
        "space": {"optimizer.lr": {"choice": [0.1, 0.2]}},
    }
)


def real(record: TrialRecord, dice: float | None) -> TrialRecord:
    found = RealValidation(dice=dice, cases={"a": {"circle": dice}})
    return replace(record, real=found, objective=PSEUDO)


def searched(*values: tuple[float, float | None]) -> list[TrialRecord]:
    """Trials with a pseudo Dice and, unless None, a real one."""
    records = [trial(n, Status.COMPLETED, [pseudo]) for n, (pseudo, _) in enumerate(values)]
    return [
        replace(one, objective=PSEUDO) if dice is None else real(one, dice)
        for one, (_, dice) in zip(records, values, strict=True)
    ]


def ids(records: Sequence[TrialRecord]) -> list[str]:
    return list(ranking_frame(records, []).trial_id)


def test_leader_is_a_candidate_only_until_its_real_validation() -> None:
    records = searched((0.9, 0.6), (0.8, None))
    assert caution(["nnunet"], records, "t0001").endswith(
        "The leader is only a candidate until its real validation."
    )
    assert caution(["nnunet"], records, "t0000").endswith(
        "In its real validation the leader, t0000, has Dice 0.6000."
    )
    assert caution(["monai"], records, "t0000") == ""


def test_real_validations_of_the_leaders_folds_are_told_as_their_mean() -> None:
    records = searched((0.9, 0.6), (0.8, None))
    folds = [
        replace(trial(0, Status.COMPLETED, [0.8]), trial_id=f"t0000r{n}", objective=PSEUDO,
                replicate=Replicate(of="t0000", seed=0, fold=n, in_search=True))
        for n in (1, 2)
    ]  # fmt: skip
    folds[0] = real(folds[0], 0.7)
    assert caution(["nnunet"], [*records, *folds], "t0000").endswith(
        "has Dice 0.6500 on average over 2 of 3 runs."
    )


def test_validated_trials_come_first_by_it_and_the_others_follow_by_the_pseudo_dice() -> None:
    records = searched((0.9, 0.6), (0.8, 0.7), (0.7, None), (0.75, None))
    table = ranking(records, [])
    assert table["trial_id"] == ["t0001", "t0000", "t0003", "t0002"]
    assert table["real_dice"] == [0.7, 0.6, None, None]
    assert divider(table) == 2
    assert on_whole_cases(records) == (
        "Of 2 finalists t0001 has the highest real validation Dice, 0.7000, 0.1000 ahead of the"
        " next; the search had t0000 first. One run each, on one fold."
    )


def test_of_equals_the_search_decides_and_that_is_told() -> None:
    records = searched((0.8, 0.7), (0.9, 0.7), (0.95, 0.5))
    assert ids(records) == ["t0001", "t0000", "t0002"]
    assert on_whole_cases(records).startswith(
        "t0000 and t0001 have the same real validation Dice, 0.7000; the search had t0002 first"
    )


def test_without_a_real_validation_there_is_no_column_of_it() -> None:
    frame = ranking_frame(searched((0.9, None), (0.8, None)), [])
    assert "real_dice" not in frame
    assert on_whole_cases(searched((0.9, 0.5), (0.8, None))) == ""  # nobody to compare with


def test_the_only_one_with_a_real_validation_is_not_said_to_lead_by_its_pseudo_dice() -> None:
    records = searched((0.9, None), (0.8, 0.7))
    assert ids(records)[0] == "t0001"
    assert on_whole_cases(records).startswith(
        "t0001 alone has a real validation, with Dice 0.7000; the search had t0000 first."
    )
    assert on_whole_cases([real(trial(0, Status.COMPLETED, [None]), 0.7)]) == ""  # no pseudo Dice


def test_objective_other_than_dice_is_what_ranks() -> None:
    loss = Objective("train_loss", "min")
    records = [replace(one, objective=loss) for one in searched((0.9, 0.1), (0.8, 0.9))]
    assert "real_dice" not in ranking_frame(records, [])


def confirmed(*real_dice: Sequence[float | None]) -> list[TrialRecord]:
    """Finalists of three replicates with falling pseudo Dice, and these real ones."""
    records = []
    for number, values in enumerate(real_dice):
        own, *runs = finalist(number, 0.9, *(0.8 - 0.1 * number for _ in values))
        records.append(replace(own, objective=PSEUDO))
        records += [
            replace(run, objective=PSEUDO) if value is None else real(run, value)
            for run, value in zip(runs, values, strict=True)
        ]
    return records


def test_replicates_are_compared_by_their_real_validation() -> None:
    records = confirmed([0.50, 0.52, 0.51], [0.70, 0.73, 0.71])
    found = confirmation(records)
    assert found is not None
    assert [one.trial_id for one in found.finalists] == ["t0001", "t0000"]
    assert found.finalists[0].mean == pytest.approx((0.70 + 0.73 + 0.71) / 3)
    assert "mean real validation Dice 0.7133" in verdict(found)
    assert "in its run of the search" not in reservations(found)  # that had the pseudo Dice
    frame = ranking_frame(records, [])
    assert list(frame.mean_of) == ["real validation Dice"] * 2


def test_seed_on_which_one_finalist_lacks_the_validation_counts_for_nobody() -> None:
    """Else a finalist could lead because its validation on a hard fold is missing."""
    found = confirmation(confirmed([0.50, None, 0.51], [0.70, 0.10, 0.71]))
    assert found is not None
    assert [(one.trial_id, len(one.scores)) for one in found.finalists] == [
        ("t0001", 2),
        ("t0000", 2),
    ]
    assert found.finalists[0].mean == pytest.approx((0.70 + 0.71) / 2)
    told = reservations(found)
    assert "t0000: 1 of 3 replicates without a real validation; their seeds and folds" in told


def test_finalist_without_any_validation_makes_the_pseudo_dice_decide() -> None:
    found = confirmation(confirmed([None, None], [0.70, 0.73]))
    assert found is not None
    assert [one.trial_id for one in found.finalists] == ["t0000", "t0001"]
    assert "mean pseudo Dice 0.8000" in verdict(found)


def test_where_no_replicate_was_validated_they_are_compared_by_the_pseudo_dice() -> None:
    records = confirmed([None, None, None], [None, None, None])
    found = confirmation(records)
    assert found is not None
    assert [one.trial_id for one in found.finalists] == ["t0000", "t0001"]
    assert "mean pseudo Dice 0.8000" in verdict(found)
    assert list(ranking_frame(records, []).mean_of) == ["pseudo Dice"] * 2


def test_table_and_best_yaml_call_each_dice_by_its_name(tmp_path: Path) -> None:
    with Store.create(tmp_path / "toy", to_yaml(SPEC)) as store:
        for number, (pseudo, dice) in enumerate([(0.9, 0.6), (0.8, 0.7), (0.7, None)]):
            values = {"optimizer.lr": 0.1}
            name = store.start_trial(number, values, to_yaml(SPEC.trial(values)))
            store.append_epoch(name, EpochMetrics(epoch=0, val_dice=pseudo))
            store.end_trial(name, Outcome(status=Status.COMPLETED))
            if dice is not None:
                found = RealValidation(dice=dice, cases={"a": {"circle": dice}})
                store.record_real_validation(name, found)
        ranking = write_ranking(store.layout.folder)
        head = store.layout.best_yaml.read_text()
    assert "# pseudo Dice 0.8 at epoch 0\n" in head
    assert "# real validation Dice 0.7000\n" in head
    out = io.StringIO()
    summary = Summary(
        title="toy", rows=ranking.table, records=ranking.records, objective=SPEC.judged_by
    )
    print_results(Console(file=out, width=120), summary)
    assert "pseudo Dice" in out.getvalue()
    assert "real Dice" in out.getvalue()
    assert "val Dice" not in out.getvalue()
    assert "by their real validation Dice. Below: the others, by their pseudo Dice." in (
        " ".join(out.getvalue().split())
    )
