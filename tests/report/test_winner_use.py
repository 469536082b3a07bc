"""What is said beside the commands for the winner."""

from __future__ import annotations

from pathlib import Path

from finalists import CLEAR, TIE
from synthetic import SWEEP_YAML, diverged_at, results_of, trial, write_sweep

from sweep.analysis.figures.sweep_results import read_results
from sweep.report.takeaway.winner_use import nnunet_predict_command, winner_use
from sweep.vocabulary.record import Status


def doubts(*records, folder: Path, yaml: str = SWEEP_YAML) -> tuple[str, ...]:  # type: ignore[no-untyped-def]
    use = winner_use(read_results(write_sweep(folder, records, yaml)))
    assert use is not None
    return use.doubts


def test_sweep_without_a_result_has_no_winner() -> None:
    assert winner_use(results_of(trial(0, diverged_at(0), [0.5]))) is None
    assert winner_use(results_of()) is None


def test_winner_that_was_told_apart_has_no_doubt(tmp_path: Path) -> None:
    assert doubts(*CLEAR, folder=tmp_path / "x") == ()


def test_tied_finalists_are_named(tmp_path: Path) -> None:
    assert doubts(*TIE, folder=tmp_path / "x") == (
        "No winner is named: t0000 cannot be told apart from t0001.",
    )


def test_winner_of_one_run_each_is_called_that(tmp_path: Path) -> None:
    others = [trial(n, Status.COMPLETED, [0.5 + n / 10]) for n in range(2)]
    (sentence,) = doubts(*others, folder=tmp_path / "x")
    assert "was trained once. Whether it is better" in sentence


def test_several_objectives_name_the_others_of_the_front(tmp_path: Path) -> None:
    yaml = SWEEP_YAML + "objective: [val_dice, epochs]\n"
    cheap, best = trial(0, Status.COMPLETED, [0.8]), trial(1, Status.COMPLETED, [0.7, 0.9])
    (sentence,) = doubts(cheap, best, folder=tmp_path / "x", yaml=yaml)
    assert sentence.startswith("This sweep has several objectives. t0001 has the highest")
    assert "The other is t0000" in sentence


def test_nnunet_predicts_with_the_fold_that_was_exported(tmp_path: Path) -> None:
    model = tmp_path / "my model"
    (model / "fold_3").mkdir(parents=True)
    assert nnunet_predict_command(model) == (
        f"nnUNetv2_predict_from_modelfolder -i IMAGES -o MASKS -m '{model}' -f 3"
        " -chk checkpoint_best.pth"
    )
