"""How to use the winner of a sweep: commands that train it again and predict with it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.ranking.finalists import runs_of
from sweep.analysis.ranking.pareto_ranks import front
from sweep.analysis.report_words import cut_short, listed, some
from sweep.machine.user_paths import whole_path
from sweep.spec.load import load_trial
from sweep.spec.space.presets import BASELINE
from sweep.spec.tree.setting_tree import is_late
from sweep.spec.words.phrases import counted
from sweep.spec.words.short_names import words
from sweep.store.at_uri.remote_folder import RemoteFolder
from sweep.store.files import read_text
from sweep.store.layout import Layout
from sweep.vocabulary.errors import InputError, ResultsError
from sweep.vocabulary.record import TrialRecord, representing

if TYPE_CHECKING:
    from sweep.trial.kinds.kind import Kind

IMAGES, MASKS = "IMAGES", "MASKS"
"""The folders of a prediction, which the user replaces by real ones."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do with the winner.

    Args:
        title: what it is for, in one line.
        lines: for a POSIX shell, comments among them; empty where there is no command.
        remark: what to know before; empty if there is nothing.
    """

    title: str
    lines: tuple[str, ...] = ()
    remark: str = ""


@dataclass(frozen=True, slots=True)
class WinnerUse:
    """What can be done with the first of a ranking.

    Args:
        trial_id: the first of the ranking.
        values: its searched parameters, as ``name = value``.
        doubts: why it may not be the best, in sentences.
        steps: what to do, in order.
    """

    trial_id: str
    values: tuple[str, ...]
    doubts: tuple[str, ...]
    steps: tuple[Step, ...]

    def _repr_markdown_(self) -> str:
        """As a notebook shows it."""
        first = f"**{self.trial_id}** is the first of the ranking. {' '.join(self.doubts)}"
        parts = [first.strip(), ", ".join(f"`{value}`" for value in self.values)]
        for step in self.steps:
            parts += [f"**{step.title}**", step.remark]
            parts += ["```bash\n" + "\n".join(step.lines) + "\n```"] if step.lines else []
        return "\n\n".join(filter(None, parts))


def winner_use(results: Results) -> WinnerUse | None:
    """The commands for the winner of a sweep; None where no trial has a result.

    Paths are absolute, or URIs, so the commands run in any folder.
    """
    from sweep.trial.kinds.kind_table import KINDS

    record = results.leader
    if record is None:
        return None
    config = _config_file(results, record)
    kind = KINDS.get(results.spec.trainer.kind)
    return WinnerUse(
        trial_id=record.trial_id,
        values=tuple(parameter_words(results, record)),
        doubts=tuple(_doubts(results, record)),
        steps=(
            *_training(kind, results.named(config)),
            *_prediction(results, record, kind, config),
        ),
    )


def parameter_words(results: Results, record: TrialRecord) -> list[str]:
    """``name = value`` of each searched parameter that has an effect in a trial."""
    without = record.preset == BASELINE  # no geometric loss, so nothing that acts only with it
    return [
        f"{name} = {words(record.parameters[name])}"
        for name in results.parameters
        if name in record.parameters
        and results.acting([record], name)
        and not (without and is_late(name))
    ]


def predict_command(results: str) -> str:
    """The command that predicts with the winner of results at this path or URI."""
    return _command("python", "-m", "sweep.predict", results, IMAGES, "-o", MASKS)


def nnunet_predict_command(model: Path) -> str:
    """nnU-Net's command that predicts with the winner as `sweep.run` exported it.

    Args:
        model: ``nnunet_model/`` of a results folder, with a folder for its fold.
    """
    fold = next(iter(sorted(path.name for path in model.glob("fold_*"))), "fold_0")
    options = ["-m", model, "-f", fold.removeprefix("fold_"), "-chk", "checkpoint_best.pth"]
    return _command("nnUNetv2_predict_from_modelfolder", "-i", IMAGES, "-o", MASKS, *options)


def _config_file(results: Results, record: TrialRecord) -> Path:
    """``best.yaml`` where it holds the configuration of this trial, else the trial's own file.

    ``best.yaml`` is missing, or an earlier leader's, while a sweep runs.
    """
    layout = Layout(results.folder)
    own = layout.trial(record.trial_id).config
    try:
        is_own = read_text(layout.best_yaml).endswith(read_text(own))
    except ResultsError:
        return own
    return layout.best_yaml if is_own else own


def _training(kind: Kind | None, config: str) -> Iterator[Step]:
    train = ("python", "-m", "sweep.train", config)
    yield Step("Train it again", (_command(*train),), "It trains the same settings and seed.")
    if kind is None:
        return
    if not kind.on_all_cases:
        yield Step(
            "Train it on all cases",
            (_command(*train, "--all-cases"),),
            "It learns from the validation cases too, so nothing is left to measure it on.",
        )
    elif kind.tools is not None:  # a custom trainer has nothing that can be done
        yield Step("Train it on all cases", (), f"{kind.on_all_cases}.")


def _prediction(
    results: Results, record: TrialRecord, kind: Kind | None, config: Path
) -> Iterator[Step]:
    """Steps that need its weights, and those of other tools."""
    if kind is None:
        return
    layout = Layout(results.folder)
    kept = _kept(results, record)
    if not kept:
        remark = f"No weights of {record.trial_id} were kept. Train it again first."
        yield Step("Predict with it", (), remark)
    elif not isinstance(kind.predictor, str):
        yield Step(
            "Predict images with it",
            (predict_command(results.named()),),
            f"{_who_predicts(kept)} {IMAGES} is a folder with images of the format that it was"
            f" trained on, named CASE_0000 and so on, {MASKS} a new folder. With `--labels` and a"
            " folder of references it also scores the masks.",
        )
    elif kind.tools is None:
        remark = f"A custom trainer predicts by itself: {kind.predictor}."
        weights = results.named(layout.trial(kept[0].trial_id).best_checkpoint)
        yield Step("Predict with it", (), f"{remark} The weights: {weights}.")
    if kind.tools is None:
        return
    is_here, model = results.uri is None, layout.nnunet_model
    if model.exists():
        title = f"Predict with {kind.tools.name}"
        if is_here:
            command = nnunet_predict_command(whole_path(model))
            yield Step(title, (command,), _one_fold(kept))
        else:
            where = f"Copy its model to this machine first: {results.named(model)}."
            yield Step(title, (), f"{where} {_one_fold(kept)}")
    file = whole_path(config) if is_here else Path(layout.best_yaml.name)
    export = ("python", "-m", "sweep.export", results.named(), "--format", "yaml", "-o", ".")
    try:
        lines = kind.tools.commands(load_trial(config), file)
    except InputError:  # written by a version with other settings
        return
    if not is_here:
        lines = [_command(*export), *lines]
    title = f"Train it with {kind.tools.name} itself and predict"
    yield Step(title, tuple(lines), "Commands for the machine on which this was written.")


def _kept(results: Results, record: TrialRecord) -> list[TrialRecord]:
    """The runs with weights that predict for a trial, as `sweep.predict` chooses them."""
    runs = representing(runs_of(results.runs, record.trial_id))
    if results.uri is None:
        return [run for run in runs if (results.folder / _weights(run)).exists()]
    there = RemoteFolder(results.uri)  # the folder is a copy without weights
    places = [(run, _weights(run)) for run in runs]  # one by one: all trials have many more files
    return [run for run, own in places if own.name in there.below(own.parent.as_posix()).files()]


def _weights(run: TrialRecord) -> Path:
    """The file with its weights, within the results."""
    return Layout(Path()).trial(run.trial_id).best_checkpoint


def _who_predicts(kept: Sequence[TrialRecord]) -> str:
    if len(kept) > 1:
        runs = some([run.trial_id for run in kept])
        return f"The mean over {len(kept)} runs decides ({runs})."
    return f"The weights are those of the best epoch of {kept[0].trial_id}."


def _one_fold(kept: Sequence[TrialRecord]) -> str:
    others = f" Not in it: {some([run.trial_id for run in kept[1:]])}." if kept[1:] else ""
    return f"The weights of one run, on its one fold.{others}"


def _doubts(results: Results, record: TrialRecord) -> Iterator[str]:
    """Why the first of the ranking may not be the best."""
    objective, found = results.objective, results.confirmation
    if not results.is_over:
        yield "The sweep has not ended: another trial may still become the first."
    if sentence := results.texts.words(record.trial_id):
        yield sentence
    if end := cut_short(record):
        yield f"It was {end}: its weights are not those of a whole training."
    if record.diverged_runs:
        yield f"Trained on a further fold or seed, it diverged ({some(record.diverged_runs)})."
    on_front = front(results.table)["trial_id"] if objective.others else []
    if len(on_front) > 1 and record.trial_id in on_front:  # a real validation may choose another
        rest = some([one for one in on_front if one != record.trial_id])
        those = "The other is" if len(on_front) == 2 else "The others are"
        yield (
            f"This sweep has several objectives. {record.trial_id} has the"
            f" {objective.highest} {objective.label} of the {len(on_front)} trials that no other"
            f" beats. {those} {rest}; each has its own config.yaml."
        )
    elif found is None and record.has_further_runs:
        runs = counted(1 + len(record.replicated), "run")
        yield (
            f"The search chose {record.trial_id} by the mean of its {runs}. No run that had no part"
            " in that choice compares it with the others;"
            " `confirm: {top: 5, seeds: 5}` trains such runs."
        )
    elif found is None and len(results.ranked) > 1:
        yield (
            f"{record.trial_id} was trained once. Whether it is better than the others cannot be"
            " told from one run each; `confirm: {top: 5, seeds: 5}` trains the leaders again."
        )
    elif found is not None and found.winner is None and len(found.tied) > 1:
        others = [one.trial_id for one in found.tied if one.trial_id != record.trial_id]
        yield f"No winner is named: {record.trial_id} cannot be told apart from {listed(others)}."
    elif found is not None and found.winner is None:
        ended = counted(found.unfinished, "replicate")
        still = f" {ended} still to end." if found.unfinished else ""
        yield f"No winner is named: too little is known of the finalists.{still}"


def _command(*words: object) -> str:
    return shlex.join(map(str, words))
