"""Which text of the user's own files each trial ran with, where a file was edited in between.

A trial's provenance.json has the files of its trainer and its plug-ins, at each of its starts; its
trial.json those of the searcher, scheduler and trackers of its session.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_uppercase
from typing import Annotated

from sweep.analysis.provenance_facts import AS_FAR_AS_KNOWN, starts
from sweep.analysis.ranked_table import RankedTable, text_column
from sweep.analysis.report_words import listed, some
from sweep.plugins.user_sources import names_files
from sweep.store.files import read_record
from sweep.store.layout import Layout
from sweep.store.read_results import read_sweep, trial_folders

OWN_FILES = "own_files"
"""Name of the column."""

Digests = Mapping[str, Mapping[str, tuple[str, ...]]]
"""File → trial → SHA-256 of each text of it that the trial ran with, in order."""


@dataclass(frozen=True, slots=True)
class OwnTexts:
    """The files of a sweep that trials ran with in more than one text.

    Args:
        letters: names of files that were edited together → trial or replicate → its text, ``A`` for
            the first that was seen; ``A+B`` of a trial that went on with another.
    """

    letters: Mapping[tuple[str, ...], Mapping[str, str]] = field(default_factory=dict)

    def of_trials(self) -> dict[str, str]:
        """Each trial of which it is known → ``own.py B``; with the texts of its replicates."""
        found = defaultdict[str, list[str]](list)
        for files, by_run in self.letters.items():
            each = defaultdict[str, set[str]](set)
            for run, text in by_run.items():
                each[run.partition("r")[0]].update(text.split("+"))
            for trial_id, letters in each.items():
                found[trial_id].append(f"{some(files)} {'+'.join(sorted(letters))}")
        return {trial_id: ", ".join(texts) for trial_id, texts in found.items()}

    def words(self, winner: str | None = None) -> str:
        """Which trials ran with which text, and with which the ``winner`` did, in sentences."""
        sentences = []
        for files, by_run in self.letters.items():
            texts = defaultdict[str, list[str]](list)
            for trial_id, letters in by_run.items():
                texts[letters].append(trial_id)
            each = listed([f"{some(ids)} with {letter}" for letter, ids in sorted(texts.items())])
            were, it = ("was", "it") if len(files) == 1 else ("were", "them")
            sentences.append(
                f"{some(files)} {were} edited between trials, which ran with different texts of"
                f" {it}: {each}."
            )
        if sentences:
            own = self.of_trials().get(winner or "")
            sentences += [f"{winner} ran with {own}."] if own else []
            sentences.append(
                "Their results can be compared only if the edit leaves them as they are."
            )
        return " ".join(sentences)


def own_texts(folder: Path) -> OwnTexts:
    """The files of a sweep that its trials ran with in more than one text.

    Raises:
        ResultsError: a trial's provenance.json or trial.json is broken.
    """
    together = defaultdict[tuple[tuple[str, str], ...], list[str]](list)  # runs' letters → files
    for file, by_run in digests(folder).items():
        texts = list(dict.fromkeys(text for each in by_run.values() for text in each))
        if len(texts) > 1:
            names = {text: _letter(n) for n, text in enumerate(texts)}
            of_run = ((run, "+".join(names[one] for one in own)) for run, own in by_run.items())
            together[tuple(of_run)].append(file)
    count = Counter(Path(file).name for files in together.values() for file in files)
    return OwnTexts(
        {
            tuple(f if count[Path(f).name] > 1 else Path(f).name for f in files): dict(letters)
            for letters, files in together.items()
        }
    )


def digests(folder: Path) -> Digests:
    """Every text of own files that a trial ran with; nothing is read of a sweep that names none."""
    layout, found = Layout(folder), defaultdict[str, dict[str, tuple[str, ...]]](dict)
    if not names_files(read_sweep(folder)):
        return found
    for trial_id in trial_folders(layout):
        for file, texts in _of_trial(layout, trial_id):
            found[file][trial_id] = texts
    return found


def with_texts(table: RankedTable, edited: OwnTexts) -> RankedTable:
    """A ranking with the texts of each trial in a column, where trials ran with several."""
    if not edited.letters:
        return table
    return table.beside({OWN_FILES: text_column(map(edited.of_trials().get, table["trial_id"]))})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    """What trial.json has of it."""

    own_files: Annotated[Mapping[str, str], AS_FAR_AS_KNOWN] = field(default_factory=dict)


def _of_trial(layout: Layout, trial_id: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    paths = layout.trial(trial_id)
    if not (of_trainer := starts(paths)):  # nothing was trained yet
        return
    of_session = read_record(paths.trial, _Trial).own_files
    runs = [of_session, *(one.own_files for one in of_trainer)]
    for file in dict.fromkeys(file for run in runs for file in run):
        yield file, tuple(dict.fromkeys(run[file] for run in runs if file in run))


def _letter(number: int) -> str:
    """``A`` to ``Z``, then ``A2``."""
    turn, place = divmod(number, len(ascii_uppercase))
    return ascii_uppercase[place] + (str(turn + 1) if turn else "")
