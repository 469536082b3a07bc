"""The ranking of a sweep: by the best of its objective, with the diverged and the failed last."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.analysis.confirm.real_validations import as_real, by_real_dice, runs_frame
from sweep.analysis.confirm.real_validations import cases_frame as real_cases
from sweep.analysis.confirm.test_scores import cases_frame, held_out
from sweep.analysis.effective_settings import idle, read_known_spec
from sweep.analysis.own_texts import OwnTexts, own_texts, with_texts
from sweep.analysis.patience.patience_replay import Tradeoff, tradeoff
from sweep.analysis.patience.sufficient_patience import enough_columns, enough_words
from sweep.analysis.ranked_table import (
    Column,
    RankedTable,
    number_column,
    setting_column,
    text_column,
    typed,
)
from sweep.analysis.ranking import ranking_columns as columns
from sweep.analysis.ranking.finalists import best_first, confirmation_of
from sweep.analysis.ranking.pareto_ranks import objective_words, pareto_ranks
from sweep.analysis.ranking.since_switch_on import BEFORE_WORDS, is_marked, switch_on_columns
from sweep.analysis.report_words import listed
from sweep.analysis.shown_columns import (
    MEAN_OF,
    MEAN_OF_RUNS,
    REAL,
    RUNS,
    RUNS_DIVERGED,
    confirmed_names,
)
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.objective_settings import PARETO_RANK
from sweep.spec.words.phrases import counted
from sweep.store.at_uri.local_results import as_given
from sweep.store.at_uri.remote_folder import below_uri
from sweep.store.files import atomic_write_text, read_text
from sweep.store.layout import Layout
from sweep.store.read_results import (
    edits_of_run,
    read_objective,
    read_parameter_names,
    read_records,
    read_sweep,
)
from sweep.vocabulary.errors import InputError, one_line
from sweep.vocabulary.objective import Objective
from sweep.vocabulary.parameter_values import as_text
from sweep.vocabulary.record import TrialRecord, objective_of, searched
from sweep.vocabulary.strict_json import finite_or_none

if TYPE_CHECKING:
    import pandas as pd

    from sweep.trial.kinds.kind import Kind


@dataclass(frozen=True, slots=True)
class Ranking:
    """What `write_ranking` wrote.

    Args:
        table: the rows of ranking.csv.
        winner: trial whose configuration stands in best.yaml; None where no trial has a result.
        records: of all trials, the unfinished included.
        patience: what each replayed patience costs; None where none is replayed, or no curve
            answers for all.
        texts: of the user's own files, where trials ran with several.
    """

    table: RankedTable
    winner: str | None
    records: list[TrialRecord]
    patience: Tradeoff | None
    texts: OwnTexts


def ranking(
    records: Iterable[TrialRecord], parameters: Sequence[str], spec: SweepSpec | None = None
) -> RankedTable:
    """One row per finished trial of the search, best first; the order of ``records`` is irrelevant.

    Confirmed leaders come first, by their replicates. The column ``confirmed`` divides them from
    the others: a mean over further seeds is not compared with the best of one run, which the search
    chose. Then come trials with a result by the best of the objective, which is validation Dice
    unless the sweep says otherwise (of equals the one with the higher Dice, then with fewer epochs,
    then the earlier one). With several objectives, trials come front by front
    (`sweep.analysis.ranking.pareto_ranks`), and within a front by the first objective.
    Trials without any value follow, then the diverged, then the failed. Where leaders were not
    trained again but have a real validation, these come first by it, and the column ``real_dice``
    divides them from the others. In a search with replicates (``replicate:``), trials with more
    runs come before those with fewer, of as many those of which no further run diverged, and then
    the better mean decides.

    Args:
        records: of one sweep; unfinished trials are left out.
        parameters: dotted names of the searched parameters, in the order of their columns.
        spec: of the sweep, if it is known. It says which parameters have no effect in a trial and
            an empty cell, which settings are replayed, and when the geometric loss switched on.

    Returns:
        Columns `columns_of`; ``pareto``, the front, with several objectives; ``preset`` where any
        trial is one; those of
        `sweep.analysis.ranking.since_switch_on` where any has a geometric loss; ``delta_PRESET``
        for each preset with a result, the objective minus that of the preset (of a pruned trial,
        minus what the preset had reached after as many epochs); the further metrics at the best
        epoch; for finalists those of `sweep.analysis.confirm.confirmation` where there are
        replicates, and what they reach on the test split; ``runs``, ``runs_diverged`` and
        ``mean_of_runs`` where the search has replicates of its own; then one per parameter; then
        `enough_columns` where settings are replayed.

        ``val_dice``, the objective and its other columns are empty for diverged and failed trials,
        so that no sort puts them first; ``val_dice_before_end`` has what they had reached.
        ``best_epoch`` counts from 0, ``epochs`` is a number of epochs.
    """
    records = list(records)
    objective = spec.judged_by if spec and not records else objective_of(records)
    ranked, confirmed = best_first(searched(records)), confirmation_of(records, spec)
    if confirmed is None:
        ranked = by_real_dice(ranked)
    else:
        means = {one.trial_id: n for n, one in enumerate(confirmed.finalists)}
        ranked.sort(key=lambda record: means.get(record.trial_id, len(means)))
    results = columns.own_columns(ranked, objective) | {"rank": [*range(1, len(ranked) + 1)]}
    found = typed(results, columns.columns_of(objective))
    if objective.others:
        found[PARETO_RANK] = Column(pareto_ranks(ranked), "Int64")
    presets = [record.preset for record in ranked]
    if any(presets):
        found["preset"] = text_column(presets)
    found |= {name: setting_column(own) for name, own in switch_on_columns(ranked, spec).items()}
    for name, values in (columns.deltas(ranked, spec) | columns.metrics(ranked)).items():
        found.setdefault(name, number_column(values))
    if confirmed is not None:
        found |= columns.confirmed_columns(ranked, confirmed)
    found |= columns.run_columns(ranked, spec)
    found |= columns.real_columns(ranked)
    if (tested := held_out(records, [record.trial_id for record in ranked])) is not None:
        found |= columns.test_columns(ranked, tested)
    drawn = [(record.parameters, idle(spec, record)) for record in ranked]
    own = {
        name: [None if name in without else values.get(name) for values, without in drawn]
        for name in parameters
    }
    for name, chosen in (own | enough_columns(ranked, spec)).items():
        found.setdefault(name, setting_column(chosen))
    return RankedTable(found)


def ranking_frame(
    records: Iterable[TrialRecord], parameters: Sequence[str], spec: SweepSpec | None = None
) -> pd.DataFrame:
    """`ranking` as a frame of pandas."""
    return ranking(records, parameters, spec).frame()


def unfinished(records: Iterable[TrialRecord]) -> int:
    """Number of trials that a ranking leaves out: they run, or were interrupted."""
    return sum(not record.status.is_final for record in searched(records))


def with_result(table: RankedTable) -> list[str]:
    """Ids of the trials with a result, in the order of the rows."""
    pairs = zip(table["trial_id"], table["best_epoch"], strict=True)
    return [trial_id for trial_id, epoch in pairs if epoch is not None]


def winner(table: RankedTable) -> str | None:
    """The first trial of a ranking as `ranking` sorts it, where it has a result."""
    return next(iter(with_result(table)), None)


def ranking_json(table: RankedTable) -> str:
    """The rows of ranking.csv as strict JSON; empty cells are null."""
    return json.dumps(finite_or_none(table.rows()), indent=2, allow_nan=False)


def ranking_markdown(table: RankedTable) -> str:
    """The ranking as a Markdown table, numbers rounded for reading."""
    header = list(table)
    body = [[_short(cell) for cell in row.values()] for row in table.rows()]
    lines = [header, ["---"] * len(header), *body]
    escaped = ([one_line(" ".join(c.replace("|", "\\|").split())) for c in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)


def write_ranking(folder: Path, uri: str | None = None) -> Ranking:
    """Writes ranking.csv and, where a trial has a result, best.yaml into a results folder.

    Args:
        uri: of the results, where the folder is a copy of them.

    Raises:
        ResultsError: ``folder`` is not a results folder, or a file in it is broken.
        SweepFailed: the files cannot be written.
    """
    layout, records, spec = Layout(folder), read_records(folder), read_known_spec(folder)
    edited = own_texts(folder)
    table = with_texts(ranking(records, read_parameter_names(folder), spec), edited)
    ranked = list(table["trial_id"])
    write_csv(layout.ranking_csv, table.frame())
    if len(repeated := columns.replicates_table(records, ranked)):
        write_csv(layout.replicates_csv, repeated.frame())
    if len(validated := runs_frame(records, ranked)):
        write_csv(layout.nnunet_validation, validated)
        write_csv(layout.nnunet_cases, real_cases(records, ranked))
    if (tested := held_out(records, ranked)) is not None:
        write_csv(layout.test_csv, cases_frame(tested))
    path = layout.best_yaml if uri is None else below_uri(uri, layout.best_yaml.name)
    if (text := best_yaml(folder, table, edited, path, uri)) is not None:
        atomic_write_text(layout.best_yaml, text)
    patience = tradeoff(spec, records) if spec and spec.replayed else None
    return Ranking(table, winner(table), records, patience, edited)


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Writes a frame as one of the CSV files of a results folder."""
    atomic_write_text(path, csv_text(frame))


def csv_text(frame: pd.DataFrame) -> str:
    """A frame as CSV, with lists as ``[16, 32, 64]``."""
    import pandas as pd

    # As objects: pandas would make 0.0 of a whole number beside others.
    lists = {
        str(name): pd.Series([*map(as_text, column)], column.index, dtype=object)
        for name, column in frame.select_dtypes(object).items()
    }
    text: str = frame.assign(**lists).to_csv(index=False, lineterminator="\n")
    return text


def best_yaml(
    folder: Path, table: RankedTable, edited: OwnTexts, path: Path | str, uri: str | None = None
) -> str | None:
    """The winner's configuration under a comment that says where it comes from.

    Args:
        folder: the results folder.
        table: its ranking.
        edited: the texts of the user's own files.
        path: the file to which the text will be written, or its URI; the comment names it.
        uri: of the results, where the folder is a copy of them.

    Returns:
        None where no trial has a result.
    """
    best = winner(table)
    if best is None:
        return None
    row, name = table.head(1).rows()[0], read_sweep(folder).get("name", folder.name)
    objective = read_objective(folder)
    run = Layout(folder).trial(best)
    header = [
        f"Best of the sweep {name}: {best} ({row['status']})",
        *(f"NOT as it was trained: {edit.key} {edit.message}" for edit in edits_of_run(run)),
        f"{objective.label} {row[objective.metric]} at epoch {row['best_epoch']}",
        *objective_words(row, objective),
        *([f"that epoch {BEFORE_WORDS}"] if is_marked(row) else []),
        *enough_words(row, objective),
        *_means(row, objective),
        *([sentence] if (sentence := edited.words(best)) else []),
    ]
    if "group" in table:
        groups = [set(letters or "") for letters in table["group"]]
        tied = [n for n, group in enumerate(groups) if n and group & groups[0]]
        others = listed([table["trial_id"][n] for n in tied])
        header += [f"cannot be told apart from {others}"] if tied else []
    header.append(f"python -m sweep.train {shlex.quote(str(path))}")
    kind = _kind(folder)
    if kind is not None and not isinstance(kind.predictor, str):
        place = shlex.quote(as_given(folder, uri))
        header.append(f"python -m sweep.predict {place} IMAGES -o OUTPUT")
    # A name with a line break in it must not end the comment.
    comment = "".join(f"# {one_line(line)}\n" for line in header)
    own = path if isinstance(path, Path) else Path(Layout(folder).best_yaml.name)  # once copied
    return comment + _commands(kind, run.config, own) + read_text(run.config)


def _kind(folder: Path) -> Kind | None:
    """The kind of trainer of a sweep; None for one of a later version."""
    from sweep.trial.kinds.kind_table import KINDS

    trainer = read_sweep(folder).get("trainer")
    return KINDS.get(str(trainer.get("kind"))) if isinstance(trainer, dict) else None


def _commands(kind: Kind | None, config: Path, path: Path) -> str:
    """The commands of the trainer's own tools for the winner, as the comment of a best.yaml."""
    from sweep.spec.load import load_trial

    if kind is None or kind.tools is None:
        return ""
    try:
        settings = load_trial(config)
    except InputError:  # written by a version with other settings
        return ""
    return as_comment(kind.tools.commands(settings, path))


def as_comment(lines: Iterable[str]) -> str:
    """Commands and comments of a shell as the head of a YAML file."""
    plain = map(one_line, lines)
    return "".join(f"{line}\n" if line.startswith("#") else f"#   {line}\n" for line in plain)


def _means(row: Mapping[str, Any], objective: Objective) -> Iterator[str]:
    """What the winner has beside the value of its run, for the comment of a best.yaml."""
    text = objective.text
    if (dice := row.get(REAL)) is not None:
        yield f"{as_real(objective).label} {text(dice)}"
    mean, low, high = (row.get(name) for name in confirmed_names(objective))
    if mean is not None:
        of = f" {row[MEAN_OF]}" if MEAN_OF in row else ""
        lost = f" ({row['replicates_diverged']} diverged)" if row["replicates_diverged"] else ""
        interval = ""
        if low is not None and high is not None:
            interval = f" (95 %: {text(low)} to {text(high)})"
        over = counted(row["replicates"], "replicate")
        yield f"mean{of} over {over} {text(mean)}{lost}{interval}"
    if (mean := row.get(MEAN_OF_RUNS)) is not None:
        diverged = row[RUNS_DIVERGED]
        lost = f" ({diverged} more diverged)" if diverged else ""
        runs = counted(row[RUNS], "run")
        yield f"mean over {runs} of the search {text(mean)}{lost}"


def _short(cell: Any) -> str:
    if cell is None:
        return ""
    return f"{cell:.4g}" if isinstance(cell, float) else str(as_text(cell))
