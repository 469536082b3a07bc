"""The methods text: every fact of the records that a reviewer asks for, and no other."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from finalists import CLEAR, TIE, confirmed, finalist
from synthetic import SWEEP_YAML, WARMUP, diverged_at, drawn, results_of, trial, write_sweep

from sweep.analysis.figures.sweep_results import Results, read_results
from sweep.report.page_trials import page_trials
from sweep.report.sections.settings_section import settings_section
from sweep.report.takeaway.latex_ranking import top_of_ranking
from sweep.report.takeaway.methods import Methods, methods
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.store.case_table import write_cases
from sweep.vocabulary.class_scores import ClassScore
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.objective import DICE
from sweep.vocabulary.record import (
    Enqueued,
    Outcome,
    RealValidation,
    Replicate,
    Status,
    TrialRecord,
)

PROVENANCE = {
    "cases": {"training": 76, "validation": 20},
    "network": {"class": "monai.networks.nets.dynunet.DynUNet", "parameters": 29_500},
    "effective": {"data.fold": 1, "data.folds": 5, "data.spacing": [1.5, 0.5]},
    "versions": {"torch": "9.9", "ray": "8.8", "nnunetv2": "7.7", "monai": None},
    "machine": {"device": "abacus", "cuda": "1.2"},
    "code": {"version": "0.1.0", "commit": "0123456789abcdef", "diff": "x"},
}


def found(results: Results) -> Methods:
    text = methods(results)
    assert text is not None
    return text


def passage(results: Results, title: str) -> str:
    return next(one.text for one in found(results).passages if one.title == title)


def sweep_with(yaml: str) -> Results:
    return results_of(trial(0, Status.COMPLETED, [0.5]), yaml=yaml)


def sweep_started_with(folder: Path, yaml: str = SWEEP_YAML, **changes: object) -> Results:
    """A sweep of one trial whose provenance has these changes."""
    folder = write_sweep(folder / "x", [trial(0, Status.COMPLETED, [0.5])], yaml=yaml)
    runs = [PROVENANCE | changes]
    (folder / "trials/t0000/provenance.json").write_text(json.dumps({"runs": runs}))
    return read_results(folder)


def test_sweep_without_a_result_has_no_methods_text() -> None:
    assert methods(results_of()) is None


def test_space_is_named_with_range_scale_and_both_ends() -> None:
    text = passage(results_of(drawn(1), trial(2, Status.COMPLETED, [0.5])), "Search space")
    assert text == (
        "4 parameters were searched: `loss.warmup_epochs` (2 to 7; whole numbers, uniform);"
        " `loss.weights.compactness` (0.001 to 1; log-uniform); `loss.sqrt_epsilon`"
        " (0, 1e-8, 1e-6 or 1e-4; listed); `early_stopping.patience` (3, 5 or 8; listed). No run"
        " was trained for `early_stopping.patience`: the recorded curves of runs with the most"
        " patient value were replayed."
    )


def test_conditions_and_steps_of_the_space_are_said() -> None:
    yaml = """\
name: x
trials: {trials}
space:
  optimizer.name: {{choice: [sgd, adamw]}}
  optimizer.momentum: {{quniform: [0.5, 0.9, 0.1], when: {{optimizer.name: sgd}}}}
"""
    text = passage(sweep_with(yaml), "Search space")
    assert "(0.5 to 0.9 in steps of 0.1; uniform; drawn where `optimizer.name` is sgd)" in text


def test_configurations_are_counted_by_how_they_ended() -> None:
    results = results_of(*(drawn(n) for n in range(30)), trial(30, None, [0.5]))
    text = passage(results, "Search")
    counts = [sum(r.status is s for r in results.records) for s in Status if s.is_final]
    completed, _, pruned, diverged, _ = counts
    assert text.startswith("31 configurations were tried: 31 proposed by a tree-structured Parzen")
    assert f"{completed} completed, {pruned} pruned, {diverged} diverged and 1 not ended" in text
    assert "asynchronous successive halving (ASHA; Li et al., 2020; the best 1 / 3" in text


def test_a_searcher_that_never_came_to_learn_is_not_named_as_the_one_that_proposed() -> None:
    text = passage(results_of(*(drawn(n) for n in range(10))), "Search")
    assert text.startswith(
        "10 configurations were tried: 10 proposed by random draws, seed 0, too few for the"
        " searcher `tpe`, which learns after 10."
    )
    assert "Parzen" not in text
    assert "the first 10 at random" in passage(results_of(*(drawn(n) for n in range(11))), "Search")


def test_what_users_did_while_it_ran_is_said() -> None:
    """Who stopped a trial, and that a configuration lies outside the space."""
    inside = {name: drawn(0).parameters[name] for name in drawn(0).parameters}
    stopped = Outcome(status=Status.PRUNED, cause="stopped by the user after 1 epoch")
    by = Enqueued("q", "me@here")
    text = passage(
        results_of(
            trial(0, Status.COMPLETED, [0.5], inside),
            trial(1, stopped, [0.4], inside),
            replace(trial(2, Status.PRUNED, [0.4], inside), enqueued=by),
            replace(trial(3, Status.COMPLETED, [0.4], inside | {WARMUP: 100}), enqueued=by),
        ),
        "Search",
    )
    assert "beside 2 enqueued by hand while it ran (1 of them outside the ranges)." in text
    assert "Of these, 2 completed, 1 pruned and 1 stopped by hand." in text


def test_replicates_of_a_search_are_counted_with_how_they_ended() -> None:
    yaml = SWEEP_YAML + "replicate: {{folds: 3}}\n"
    lost = replace(
        trial(0, diverged_at(1), []),
        trial_id="t0000r1",
        replicate=Replicate("t0000", 0, 1, in_search=True),
    )
    first = trial(0, Status.PRUNED, [0.5, 0.9]).with_runs([lost])
    results = replace(results_of(first, yaml=yaml), replicates=(lost,))
    assert "1 further run of these configurations was trained on other folds or seeds during" in (
        passage(results, "Search")
    )
    assert passage(results, "Selection").endswith(
        "Its run in the search was pruned after 2 epochs."
    )
    assert "(in epoch 1 of 2, counted from 0)" in passage(results, "Result")
    assert "1 more run of it diverged." in passage(results, "Result")


@pytest.mark.parametrize(
    ("scheduler", "words"),
    [
        (
            "{{name: asha, grace_period: 2, clock: epochs}}",
            "after 2, 6 and 18 epochs, by their validation Dice in that epoch, and",
        ),
        (
            "{{name: asha, grace_period: 2, clock: activation}}",
            "after 2 and 4 epochs in which the run's geometric loss acted in full, but not before 8"
            " and 16 trained epochs, by their projected gain",
        ),
        ("{{name: hyperband, grace_period: 2, clock: epochs}}", "after 2, 6 and 18 epochs, by"),
        (
            "{{name: median, grace_period: 3, clock: epochs}}",
            "after 3 or more epochs, by their best validation Dice so far, and",
        ),
    ],
)
def test_rungs_are_told_by_the_clock_that_counts_them(scheduler: str, words: str) -> None:
    yaml = re.sub("scheduler: .*", f"scheduler: {scheduler}", SWEEP_YAML)
    assert f"Runs were compared {words}" in passage(sweep_with(yaml), "Search")


def test_objectives_of_the_rungs_are_all_named_with_the_rule_that_compares_them() -> None:
    scheduler = "scheduler: {{name: asha, grace_period: 2, clock: epochs}}"
    yaml = re.sub("scheduler: .*", scheduler, SWEEP_YAML) + "objective: [val_dice, hd95]\n"
    results = sweep_with(yaml)
    words = "by validation Dice and HD95 in their best epoch so far, front by front (Schmucker et"
    assert words in passage(results, "Search")
    ranked = "front by front, by validation Dice (higher is better) and HD95 (lower is better)"
    assert f"ranked {ranked}" in passage(results, "Selection")
    assert f"Ranking of synthetic {ranked}." in top_of_ranking(results)
    assert "Multi-objective asynchronous successive halving" in found(results).plain


def test_values_by_the_further_objectives_stand_beside_the_first() -> None:
    best = EpochMetrics(epoch=0, val_dice=0.5, metrics={"hd95": 3.25})
    worse = EpochMetrics(epoch=1, val_dice=0.4, metrics={"hd95": 1.5})
    results = sweep_with(SWEEP_YAML + "objective: [val_dice, hd95, epochs]\n")
    results = replace(
        results, records=tuple(replace(one, history=(best, worse)) for one in results.records)
    )
    assert "By the other objectives it had HD95 3.2500 and epochs 2." in passage(results, "Result")


def test_means_of_finalists_are_told_by_every_objective_and_by_which_they_are_ranked() -> None:
    def with_distance(one: TrialRecord, hd95: float | None) -> TrialRecord:
        metrics = {} if hd95 is None else {"hd95": hd95}
        return replace(one, history=tuple(replace(e, metrics=metrics) for e in one.history))

    def of(*distances: float | None) -> Results:
        first, *runs = finalist(0, 0.9, 0.8, 0.81, 0.83)
        own = tuple(with_distance(run, mm) for run, mm in zip(runs, distances, strict=True))
        yaml = SWEEP_YAML + "objective: [val_dice, hd95, epochs]\nconfirm: {{top: 1, seeds: 3}}\n"
        return replace(results_of(first, yaml=yaml), replicates=own)

    told = "Over 3 further runs its mean validation Dice was 0.8133"
    others = "By the other objectives, which decided nothing here, it was"
    text = passage(of(3.0, 4.0, 5.0), "Result")
    assert told in text
    assert f"{others} HD95 4.0000 and epochs 3." in text
    assert f"{others} epochs 3." in passage(of(3.0, None, 5.0), "Result")
    assert "ranked by the mean validation Dice over these runs" in passage(of(3, 4, 5), "Selection")


def test_setting_that_is_searched_is_not_said_to_have_the_value_of_the_file() -> None:
    yaml = SWEEP_YAML + (
        "  optimizer.schedule: {{choice: [poly, constant]}}\n"
        "  optimizer.gradient_clip: {{choice: [null, 12.0]}}\n"
    )
    training = passage(sweep_with(yaml), "Network and training")
    assert "learning rate schedule: searched, gradients clipped at norm searched)" in training


@pytest.mark.parametrize(
    ("setting", "values", "words"),
    [
        ("trainer.epochs", [10, 20], "at most a searched number of epochs of 1 step with batches"),
        ("trainer.steps_per_epoch", [1, 9], "20 epochs of a searched number of steps with batches"),
        ("network.filters", [[8, 16], [16, 32]], "The selected network is a 2D DynUNet ("),
        ("data.spacing", [[1, 1], [2, 2]], "spacing to which images were resampled was searched."),
    ],
)
def test_what_was_searched_is_not_told_as_the_first_had_it(
    tmp_path: Path, setting: str, values: list[object], words: str
) -> None:
    shown = {"data.spacing": [2, 2], "trainer.steps_per_epoch": 1, "trainer.batch_size": 4}
    shown |= {"data.spatial": "slices"}
    alike = sweep_started_with(tmp_path / "alike", effective=shown)
    yaml = f"{SWEEP_YAML}  {setting}: {{{{choice: {values}}}}}\n"
    results = sweep_started_with(tmp_path / "searched", yaml, effective=shown)
    assert words in found(results).plain
    assert words not in found(alike).plain


@pytest.mark.parametrize("field", [*PROVENANCE, "started", "first_epoch", "classes"])
def test_what_a_provenance_has_as_null_is_left_out_of_methods_and_page(
    tmp_path: Path, field: str
) -> None:
    results = sweep_started_with(tmp_path, **{field: None})
    shown_runs = repr(page_trials(results)["t0000"]["runs"])
    text = found(results).plain + settings_section(results).html + shown_runs
    shown = {name: name in text for name in ("torch 9.9", "abacus", "DynUNet", "76 cases")}
    assert shown == {
        "torch 9.9": field != "versions",
        "abacus": field != "machine",
        "DynUNet": field != "network",
        "76 cases": field != "cases",
    }
    assert "None" not in text


def test_data_and_effort_come_from_the_provenance_of_the_first(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path / "x", [trial(0, Status.COMPLETED, [0.5, 0.6])])
    (folder / "trials/t0000/provenance.json").write_text(json.dumps({"runs": [{}, PROVENANCE]}))
    results = read_results(folder)
    data, effort = passage(results, "Data"), passage(results, "Software and effort")
    assert "76 cases were used for training and 20 for validation (fold 1 of 0 to 4)." in data
    assert "resampled to a spacing of 1.5 × 0.5 mm" in data
    assert "No test split was held out." in data
    training = passage(results, "Network and training")
    assert "The network is a 2D DynUNet (29,500 parameters" in training
    assert effort.startswith(
        "Software: medical-sweep 0.1.0, commit 0123456789, with local changes; PyTorch 9.9."
        " t0000 was trained on: abacus, CUDA 1.2. The one run trained 2 epochs in 4 s"
    )


@pytest.mark.parametrize(
    ("spatial", "dimensions", "seen"),
    [
        ("volumes", "3D", "three-dimensional volumes"),
        ("slices", "2D", "two-dimensional images, and volumes as their slices"),
    ],
)
def test_what_the_network_sees_its_classes_and_its_spacing_are_said(
    tmp_path: Path, spatial: str, dimensions: str, seen: str
) -> None:
    yaml = f"{SWEEP_YAML}data: {{{{source: nnunet_raw, folder: /x, spatial: {spatial}}}}}\n"
    folder = write_sweep(tmp_path / "x", [trial(0, Status.COMPLETED, [0.5])], yaml=yaml)
    kept = PROVENANCE | {"effective": {"data.spacing": None}}
    (folder / "trials/t0000/provenance.json").write_text(json.dumps({"runs": [kept]}))
    scores = [
        ClassScore(case=case, label=label, n_reference=1, n_prediction=1, values={"dice": 0.5})
        for case in ("a", "b")
        for label in ("liver", "tumour")
    ]
    write_cases(folder / "trials/t0000/cases.csv", scores)
    results = read_results(folder)
    assert f"is a {dimensions} DynUNet" in passage(results, "Network and training")
    data = passage(results, "Data")
    assert f"The network sees {seen}." in data
    assert "2 foreground classes were segmented: liver and tumour." in data
    assert "Images kept the spacing of their files." in data


@pytest.mark.parametrize(
    ("patch", "spatial", "words"),
    [
        (96, "slices", "patches of 96 × 96."),
        (96, "volumes", "patches of 96 × 96 × 96."),
        ([64, 96], "slices", "patches of 64 × 96."),
    ],
)
def test_patches_are_said_also_where_they_are_square(
    tmp_path: Path, patch: int | list[int], spatial: str, words: str
) -> None:
    effective = {"data.patch_size": patch, "data.spatial": spatial}
    assert words in passage(sweep_started_with(tmp_path, effective=effective), "Data")


def test_patches_that_were_searched_are_not_said_to_have_the_size_of_the_first(
    tmp_path: Path,
) -> None:
    yaml = f"{SWEEP_YAML}  data.patch_size: {{{{choice: [32, 64]}}}}\n"
    results = sweep_started_with(tmp_path, yaml, effective={"data.patch_size": 32})
    assert "size of the patches for training was searched" in passage(results, "Data")


def test_regions_and_the_label_to_ignore_are_said(tmp_path: Path) -> None:
    results = sweep_started_with(tmp_path, classes={"regions": True, "ignore": 3})
    assert "regions, which may overlap. Voxels with the label 3 counted" in passage(results, "Data")
    training = passage(results, "Network and training")
    assert "Dice plus cross-entropy, of each region under a sigmoid." in training


def test_a_function_whose_network_nobody_sees_has_a_methods_text(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path / "x", [trial(0, Status.COMPLETED, [0.5])])
    of_function = PROVENANCE | {"network": None, "cases": {}}
    (folder / "trials/t0000/provenance.json").write_text(json.dumps({"runs": [of_function]}))
    assert "The network is" not in found(read_results(folder)).plain


def test_what_is_not_recorded_is_not_said() -> None:
    text = found(results_of(trial(0, Status.COMPLETED, [0.5]))).plain
    for word in ("commit", "trained on:", "spacing", "used for training", "The network is", "None"):
        assert word not in text
    assert "There is no second configuration with a result to compare with." in text
    assert "no result on cases that were not used for the selection" in text


def test_winner_is_named_only_where_it_was_told_apart(tmp_path: Path) -> None:
    clear = read_results(write_sweep(tmp_path / "x", CLEAR))
    tied = read_results(write_sweep(tmp_path / "y", TIE))
    assert "The selected configuration is t0001" in passage(clear, "Selection")
    assert passage(clear, "Statistics").endswith("t0001 was named the best.")
    assert "two-sided paired t-tests over 4 units (one a seed)" in passage(clear, "Statistics")
    assert "The first of the ranking is t0000" in passage(tied, "Selection")
    assert "cannot be told apart from 1 other finalist" in passage(tied, "Selection")
    assert passage(tied, "Statistics").endswith("no configuration was named the best.")
    # By hand: s = 0.00854, t(0.975, 3) = 3.182.
    mean = "mean validation Dice was 0.9087 (95 % confidence interval 0.8952 to 0.9223"
    assert mean in passage(clear, "Result")


def test_best_value_is_called_the_highest_of_all_only_where_it_is(tmp_path: Path) -> None:
    first, second = trial(0, Status.COMPLETED, [0.4, 0.5]), trial(1, Status.COMPLETED, [0.3])
    highest = passage(results_of(first, second), "Result")
    assert "it is the highest of all epochs and configurations, on the cases" in highest
    clear = read_results(write_sweep(tmp_path / "x", CLEAR))  # t0001 leads, t0000 had the highest
    assert "it is the highest of all epochs of this configuration" in passage(clear, "Result")


def test_nothing_is_said_of_what_only_a_custom_trainer_knows() -> None:
    yaml = "name: x\ntrials: {trials}\nspace: {{optimizer.lr: {{uniform: [0.1, 0.2]}}}}\n"
    results = sweep_with(yaml + "trainer: {{kind: custom, entry: 'my.py:My', epochs: 3}}\n")
    assert "test split" not in passage(results, "Data")
    assert "averaged over" not in passage(results, "Selection")


def test_mean_that_a_search_chose_by_is_called_that() -> None:
    yaml = SWEEP_YAML + "replicate: {{folds: 3}}\n"
    first = replace(trial(0, Status.COMPLETED, [0.9]), replicated=(0.8, 0.7))
    results = results_of(first, trial(1, Status.COMPLETED, [0.95]), yaml=yaml)
    assert "trained on up to 3 folds with 1 seed each" in passage(results, "Network and training")
    assert "mean over its 3 runs of the search, by which it was chosen, was 0.8000." in passage(
        results, "Result"
    )
    assert passage(results, "Statistics").endswith(
        "the runs that chose a configuration cannot test it."
    )


def test_real_validations_of_all_runs_of_a_search_are_averaged() -> None:
    def validated(record: TrialRecord, dice: float) -> TrialRecord:
        return replace(record, real=RealValidation(dice=dice, cases={}), objective=DICE)

    yaml = SWEEP_YAML + "replicate: {{folds: 2}}\n"
    own = validated(trial(0, Status.COMPLETED, [0.9]), 0.8)
    second = Replicate("t0000", 0, 1, in_search=True)
    further = replace(validated(own, 0.6), trial_id="t0000r1", replicate=second)
    results = replace(results_of(own, yaml=yaml), replicates=(further,))
    words = "cases was 0.8000. That is of its own run; the mean over 2 runs was 0.7000."  # by hand
    assert words in passage(results, "Result")


def test_works_that_are_named_are_listed_and_no_others() -> None:
    results = results_of(*(drawn(n) for n in range(11)))
    text = passage(results, "References")
    assert "Bergstra, J. et al. (2011)" in text
    assert "Li, L. et al. (2020)" in text
    assert "Golovin" not in text
    bibtex = found(results).bibtex
    keys = re.findall(r"^@\w+\{(\w+),$", bibtex, re.MULTILINE)
    assert keys[:2] == ["medicalsweep", "liaw2018tune"]
    assert {"bergstra2011algorithms", "li2020asha"} <= {*keys}
    assert "golovin2017vizier" not in keys
    assert bibtex.count("{") == bibtex.count("}")


def test_test_split_is_reported_with_what_it_is_worth(tmp_path: Path) -> None:
    every = confirmed()
    yaml = SWEEP_YAML + "objective: [val_dice, hd95, epochs]\n"
    results = replace(
        results_of(*(one for one in every if one.replicate is None), yaml=yaml),
        replicates=tuple(one for one in every if one.replicate is not None),
    )
    text = passage(results, "Result")
    first = results.held_out.tested[0] if results.held_out else None
    assert first is not None
    assert f"a mean Dice of {first.mean:.4f} (no interval, which takes 20 cases" in text
    assert "mean over 2 runs). There it had HD95 2.0000. Its mean" in text


@pytest.mark.parametrize(
    ("yaml", "words"),
    [
        ("data: {{source: nnunet_raw, folder: /a/Dataset007_A}}", "the dataset Dataset007_A."),
        ("data: {{source: shapes, count: 30, size: 48}}", "30 synthetic images of 48 × 48 pixels"),
        ("trainer: {{kind: custom, entry: '/a/my.py:My', epochs: 3}}", "the trainer `my.py:My`."),
    ],
)
def test_source_of_the_data_is_named(yaml: str, words: str) -> None:
    base = "name: x\ntrials: {trials}\nspace: {{optimizer.lr: {{uniform: [0.1, 0.2]}}}}\n"
    assert words in passage(sweep_with(base + yaml + "\n"), "Data")


def test_settings_that_all_trials_share_are_those_of_the_file_whoever_won() -> None:
    yaml = SWEEP_YAML.replace("boundary: 0", "boundary: 0.25") + "presets: [baseline]\n"
    first = trial(0, Status.COMPLETED, [0.9], preset="baseline")
    text = passage(results_of(first, drawn(1), yaml=yaml), "Network and training")
    assert "compactness (searched) and boundary (0.25)" in text
    assert "the configuration `baseline` without geometric loss" in passage(
        results_of(first, drawn(1), yaml=yaml), "Selection"
    )


def test_latex_has_no_character_that_latex_would_take_for_a_command(tmp_path: Path) -> None:
    hostile = replace(drawn(1), preset="a_b & 100% {x} #1 $y^2~")
    results = results_of(hostile, trial(2, Status.COMPLETED, [0.5]))
    text = found(results).latex
    line_of_its_own = next(
        line for line in text.splitlines() if r"\resizebox" in line
    )  # ends in `%`
    body = re.sub(
        r"\\[A-Za-z]+|\\[&%$#_{}]|\$\\?[a-z<>=+−-]+\$|\\\\", "", text.replace(line_of_its_own, "{")
    )
    table = re.sub(r"(?m)^    .* $|&", "", body)  # its ampersands divide cells
    assert not set("#$%^~_\\") & set(table)
    assert body.count("{") == body.count("}")
    assert text.isascii()


def test_every_setting_of_a_spec_can_be_described() -> None:
    spec = SweepSpec(name="toy", space={"optimizer.lr": {"choice": [0.1, 0.2]}})
    assert "learning rate searched" in passage(
        replace(results_of(trial(0, Status.COMPLETED, [0.5])), spec=spec), "Network and training"
    )


def test_normalisation_by_the_names_of_channels_is_said() -> None:
    yaml = "name: x\ntrials: {trials}\ndata: {{source: shapes, normalization: nnunet}}\n"
    yaml += "space:\n  loss.warmup_epochs: {{randint: [2, 8]}}\n"
    text = passage(sweep_with(yaml), "Data")
    assert "rule for the name of each channel (Isensee et al., 2021): CT is clipped to" in text
