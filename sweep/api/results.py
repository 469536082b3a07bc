"""The results of a sweep in Python: tables, trials, weights, figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from html import escape
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import finalize

from sweep.analysis.figures.sweep_results import Results, read_results
from sweep.analysis.ranking.finalists import is_finished
from sweep.api.python_words import for_python, in_python
from sweep.spec.load import load_trial
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.words.phrases import counted, did_you_mean, near_miss
from sweep.store.at_uri.local_results import fetch_missing, local_results
from sweep.store.at_uri.remote_folder import is_uri
from sweep.store.case_table import COUNTS
from sweep.store.layout import Layout, TrialPaths
from sweep.store.read_results import instead_of
from sweep.vocabulary.errors import ResultsError
from sweep.vocabulary.record import Divergence, ParameterValue, Status, TrialRecord

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from sweep.analysis.figures.figure import ReportFigure
    from sweep.api.user_requests import Asked
    from sweep.store.journal import NoteAdded


@dataclass(frozen=True, slots=True, repr=False)
class TrialResult:
    """One trial of a sweep, or one training of `sweep.train`.

    Args:
        record: everything recorded about it.
        folder: the folder with its files.
        runs: folders with weights for its configuration, best first: its replicates', then its own.
        notes: what users noted on it, in order, each with ``text``, ``by`` and ``at``.
        _sweep: the results that it is one of, with which a copy of results at a URI is deleted.

    >>> import sweep
    >>> results = sweep.open("results/doctest")
    >>> trial = results["t0000"]
    >>> trial.status.value, len(trial.history), trial.divergence
    ('completed', 3, None)
    >>> trial.config.trainer.epochs
    3
    >>> sorted(trial.weights())[0]
    'model.0.conv.unit0.adn.A.weight'
    """

    record: TrialRecord
    folder: Path
    runs: tuple[Path, ...] = ()
    notes: tuple[NoteAdded, ...] = ()
    _sweep: SweepResults | None = field(default=None, compare=False)

    @property
    def trial_id(self) -> str:
        return self.record.trial_id

    @property
    def status(self) -> Status:
        return self.record.status

    @property
    def parameters(self) -> Mapping[str, ParameterValue]:
        """The searched parameters, by dotted name."""
        return self.record.parameters

    @property
    def value(self) -> float | None:
        """The objective at the best epoch; None if no epoch has one."""
        return self.record.value

    @property
    def divergence(self) -> Divergence | None:
        """The guard's verdict with its diagnosis; None if the trial did not diverge."""
        return self.record.outcome.divergence if self.record.outcome else None

    @property
    def config(self) -> TrialSettings:
        """All of its settings. `sweep.train` can train them again.

        Raises:
            InputError: this version does not know a setting in it.
        """
        return load_trial(TrialPaths(self.folder).config)

    @property
    def history(self) -> pd.DataFrame:
        """One row per epoch, as in ``history.jsonl``, with columns ``terms.…`` and
        ``metrics.…``."""
        import pandas as pd

        return pd.json_normalize([epoch.to_json() for epoch in self.record.history])

    @property
    def cases(self) -> pd.DataFrame:
        """The validation of the best epoch, one row per case and class, as in ``cases.csv``.

        Raises:
            ResultsError: the trial has none. Only our own trainer writes it, in an epoch with a
                value of the objective.
        """
        import pandas as pd

        path = TrialPaths(self.folder).cases
        if not path.exists():
            raise ResultsError(f"{self.trial_id} has no {self._named(path)}")
        kinds = {"case": "string", "class": "string", "group": "string"}
        kinds |= dict.fromkeys(COUNTS, "Int64")
        return pd.read_csv(path, dtype=kinds, keep_default_na=False, na_values=[""])

    def __repr__(self) -> str:
        value = "no value" if self.value is None else self.record.objective.text(self.value)
        cause = f", {self.record.outcome.cause}" if self.record.outcome else ""
        epochs = counted(len(self.record.history), "epoch")
        end = f"{self.status}{cause}".rstrip(", ")
        return f"<TrialResult {self.trial_id}: {end}, {epochs}, {value}>"

    def weights(self) -> dict[str, Any]:
        """The network's state at the best epoch, with tensors on the CPU.

        For a confirmed trial it is the state of its best replicate on the sweep's own fold.

        Raises:
            ResultsError: no weights were kept.
        """
        from sweep.trial.checkpoints import Checkpoints

        self.fetch_weights()
        for run in self.runs or (self.folder,):
            if (state := Checkpoints(run).load_best()) is not None:
                return dict(state["model"])
        raise ResultsError(f"no weights of {self.trial_id} were kept in {self._named(self.folder)}")

    def _named(self, path: Path) -> str:
        return str(path) if self._sweep is None else self._sweep._read.named(path)

    def fetch_weights(self) -> None:
        """Download the weights of its runs that a copy of results at a URI lacks."""
        if self._sweep is not None:
            runs = (*self.runs, self.folder)
            self._sweep.fetch(TrialPaths(run).best_checkpoint for run in runs)


class Figures(Mapping[str, "go.Figure"]):
    """The figures of the report by their names, as plotly figures.

    Each is also a method: ``figures["learning_curves"]`` and ``figures.learning_curves()``.
    """

    def __init__(self, results: Results) -> None:
        self._results = results

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers())

    def __len__(self) -> int:
        return len(self._makers())

    def __contains__(self, name: object) -> bool:  # without drawing it
        return name in self._makers()

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]

    def __repr__(self) -> str:
        return f"<Figures: {', '.join(self)}>"

    def __getitem__(self, name: str) -> go.Figure:
        if name not in self:
            raise KeyError(self._lacks(name))
        return self._drawn(self._makers()[name](self._results))

    def __getattr__(self, name: str) -> Callable[[], go.Figure]:
        if name not in self:
            raise AttributeError(self._lacks(name))
        return lambda: self[name]

    @staticmethod
    def _makers() -> Mapping[str, Callable[[Results], ReportFigure]]:
        from sweep.report.report_figures import REPORT_FIGURES

        return {make.__name__: make for make in REPORT_FIGURES}

    def _lacks(self, name: object) -> str:
        meant = near_miss(name, self) if isinstance(name, str) else None
        there = did_you_mean(meant) or f"; there are {', '.join(self)}"
        return f"there is no figure {name!r}{there}"

    @staticmethod
    def _drawn(drawn: ReportFigure) -> go.Figure:
        """The figure, or one that says why there is nothing to draw."""
        import plotly.graph_objects as go

        found: go.Figure | None = drawn.figure
        if found is not None:
            return found
        lines = wrap(escape(drawn.finding), TITLE_COLUMNS)
        return go.Figure(
            layout={
                "height": 100 + 20 * len(lines),
                "title": {"text": "<br>".join(lines), "font": {"size": 14}},
                "xaxis": {"visible": False},
                "yaxis": {"visible": False},
                "plot_bgcolor": "white",
            }
        )


TITLE_COLUMNS = 90
"""Longest line of a figure's title, in letters: plotly breaks none itself."""
NO_FRAME = """\
The report is not shown: this notebook is not trusted here, or its front end shows no frames. Trust
it (in JupyterLab: View, Activate Command Palette, Trust Notebook), or run the cell again."""
"""Stands in the frame: whoever removes that leaves this text."""


@dataclass(frozen=True, slots=True, repr=False)
class PageWidget:
    """A page in a frame, which a notebook shows as the value of a cell.

    Args:
        folder: the results folder that the page shows, or its URI.
        html: the page.
        height: of the frame, in pixels.
    """

    folder: str
    html: str
    height: int

    def __repr__(self) -> str:
        return f"<PageWidget of {self.folder}: shown by a notebook>"

    def _repr_html_(self) -> str:
        """A frame that holds the page and cannot reach the notebook around it."""
        # Else a link to a section would lead to that of the notebook.
        page = self.html.replace("<head>", '<head><base href="about:srcdoc">', 1)
        return (
            f'<iframe title="Sweep report" style="width: 100%; height: {self.height}px; border: 0"'
            f' sandbox="allow-scripts allow-downloads" srcdoc="{escape(page)}">{NO_FRAME}</iframe>'
        )


ELSEWHERE = {
    "best_config": "best.config",
    "best_estimator_": "best.weights()",
    "best_index_": "best.trial_id",
    "best_params": "best.parameters",
    "best_params_": "best.parameters",
    "best_score_": "best.value",
    "best_trial": "best",
    "best_value": "best.value",
    "cv_results_": "frame",
    "df": "frame",
    "get_best_result": "best",
    "get_dataframe": "frame",
    "ranking": "frame",
    "trials": "values()",
    "trials_dataframe": "frame",
}
"""What Optuna, Ray Tune and scikit-learn name it → the same here."""


class SweepResults(Mapping[str, TrialResult]):
    """A snapshot of a running or ended sweep: its trials by their ids, replicates included.

    Args:
        folder: the results folder.
        uri: what the folder is a copy of, without weights; None if it is the results themselves.

    Raises:
        ResultsError: ``folder`` is no results folder, or a file in it is broken.

    >>> import sweep
    >>> results = sweep.open("results/doctest")
    >>> list(results.frame.columns[:4])
    ['rank', 'trial_id', 'status', 'val_dice']
    >>> results.best.trial_id == results.frame["trial_id"].iloc[0]
    True
    >>> len(results), "t0000" in results
    (2, True)
    >>> [trial.status.value for trial in results.values()]
    ['completed', 'completed']
    >>> results.figures.learning_curves().data[0].type
    'scatter'
    """

    def __init__(self, folder: str | Path, uri: str | None = None) -> None:
        found = read_results(folder, uri)
        self._read = replace(found, folder=found.folder.absolute())  # whatever folder is current

    @classmethod
    def of(cls, read: Results) -> SweepResults:
        """The same of results that have been read."""
        found = cls.__new__(cls)
        found._read = replace(read, folder=read.folder.absolute())
        return found

    @classmethod
    def at(cls, place: str) -> SweepResults:
        """The results at a path or a URI. Of a URI a copy is read, which is there as long as
        anything that was read of it.
        """
        with ExitStack() as stack:
            folder = stack.enter_context(local_results(place))
            found = cls(folder, place if is_uri(place) else None)
            finalize(found._read, stack.pop_all().close)
        return found

    def fetch(self, files: Iterable[Path]) -> None:
        """Download those of ``files`` that a copy of results at a URI lacks and the URI has."""
        fetch_missing(self.folder, self._read.uri, files)

    @property
    def folder(self) -> Path:
        return self._read.folder

    @property
    def spec(self) -> SweepSpec:
        """The effective settings of the sweep."""
        return self._read.spec

    @property
    def is_finished(self) -> bool:
        """Whether all trials and replicates that were asked for have ended.

        Otherwise `sweep.run` with ``resume=True`` continues the sweep.
        """
        return is_finished(self.spec, self._all, self._read.search_end)

    @property
    def frame(self) -> pd.DataFrame:
        """The ranking, as in ``ranking.csv``: best first, diverged and failed trials last."""
        return self._read.frame

    @property
    def pareto(self) -> pd.DataFrame:
        """The rows of `frame` that no other row beats: the Pareto set of a sweep's objectives.

        Of a sweep with one objective: beside it in validation Dice, HD95 and epochs, as
        ``sweep.rank --pareto``.
        """
        from sweep.analysis.ranking.row_selection import pareto

        found = pareto(self._read.table, self.spec.judged_by)["trial_id"]
        return self.frame[self.frame["trial_id"].isin(found)]

    @cached_property
    def per_class(self) -> pd.DataFrame:
        """`frame` with columns for each class at the end, such as ``val_dice[liver]``.

        Raises:
            ResultsError: a trial's ``cases.csv`` is broken.
        """
        from sweep.analysis.ranking.per_class import with_classes

        return with_classes(self._read.table, self.folder).frame()

    @cached_property
    def replicates(self) -> pd.DataFrame:
        """The finalists' replicates, one per row, as in ``replicates.csv``."""
        from sweep.analysis.ranking.ranking_columns import replicates_table

        return replicates_table(self._all, self._read.table["trial_id"]).frame()

    @cached_property
    def test(self) -> pd.DataFrame | None:
        """The finalists on the test split, one row per case, as in ``test.csv``; None without
        one."""
        from sweep.analysis.confirm.test_scores import cases_frame

        return None if self._read.held_out is None else cases_frame(self._read.held_out)

    @property
    def best(self) -> TrialResult:
        """The first of the ranking.

        Raises:
            ResultsError: no trial has a result.
        """
        from sweep.analysis.ranking.ranking_frame import winner

        if (best := winner(self._read.table)) is None:
            raise ResultsError(f"no trial of {self.spec.name} has a result")
        return self[best]

    @property
    def figures(self) -> Figures:
        """The figures of the report: ``results.figures.learning_curves()``."""
        return Figures(self._read)

    def page(
        self, height: int = 800, figures: Sequence[Callable[[SweepResults], go.Figure]] = ()
    ) -> PageWidget:
        """The report's page, to be shown as the last line of a notebook's cell.

        It is the file that `sweep.export` writes: it needs no server, and stays in the notebook.

        Args:
            height: in pixels.
            figures: functions from results to a figure of plotly, each of which the page shows too:
                see `sweep.api.own_figures`.

        Raises:
            ResultsError: a file of the results folder is broken.

        >>> import sweep
        >>> sweep.open("results/doctest").page()
        <PageWidget of ...results/doctest: shown by a notebook>
        """
        from sweep.api.own_figures import own_figures
        from sweep.report.page import page

        text = page(self._read, figures=own_figures(figures, SweepResults.of))
        return PageWidget(self._read.named(), text, height)

    @for_python
    def stop(self, trial_id: str) -> Asked:
        """Ask the running sweep to stop a trial, as the command ``sweep.stop``.

        Raises:
            InputError: the trial is unknown, has ended, or is a replicate.
        """
        from sweep.api.user_requests import ask_to_stop

        return _answer(ask_to_stop(self._read.uri or self.folder, [trial_id])[0])

    @for_python
    def enqueue(self, parameters: Mapping[str, Any]) -> Asked:
        """Ask for a trial of a configuration, as the command ``sweep.enqueue``.

        Args:
            parameters: values of some or all searched parameters by dotted name.

        Raises:
            InputError: with every mistake.
        """
        from sweep.api.user_requests import ask_for_trial

        return _answer(ask_for_trial(self._read.uri or self.folder, parameters))

    @for_python
    def note(self, trial_id: str | None, text: str) -> Asked:
        """Note something on a trial, as the command ``sweep.note``; None: on the sweep.

        Raises:
            InputError: the trial is unknown, or the text is empty or too long.
        """
        from sweep.api.user_requests import ask_to_note

        return _answer(ask_to_note(self._read.uri or self.folder, trial_id, text))

    @property
    def notes(self) -> tuple[NoteAdded, ...]:
        """What users noted on the sweep, in order, each with ``text``, ``by`` and ``at``."""
        return self._read.notes.get(None, ())

    def __getitem__(self, trial_id: str) -> TrialResult:
        """A trial or a replicate.

        Raises:
            KeyError: there is none of this id.
            TypeError: ``trial_id`` is no text.
        """
        from sweep.analysis.ranking.finalists import runs_of

        record = self._by_id.get(trial_id) if isinstance(trial_id, str) else None
        if record is None:
            raise self._lacks(trial_id)
        layout = Layout(self.folder)
        runs = [] if record.replicate else runs_of(self._all, trial_id)
        folders = tuple(layout.trial(run.trial_id).folder for run in runs)
        notes = self._read.notes.get(trial_id, ())
        return TrialResult(record, layout.trial(trial_id).folder, folders, notes, self)

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_id)

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, trial_id: object) -> bool:
        return trial_id in self._by_id

    __eq__ = object.__eq__  # a snapshot equals itself; a mapping would compare every trial
    __hash__ = object.__hash__

    if not TYPE_CHECKING:  # or else any misspelt attribute would pass

        def __getattr__(self, name: str) -> NoReturn:
            import pandas as pd

            here = ELSEWHERE.get(name)
            if here is None and not name.startswith("_") and hasattr(pd.DataFrame, name):
                here = f"frame.{name}"
            hint = f"; here it is `results.{here}`" if here else ""
            raise AttributeError(f"results of a sweep have no attribute {name!r}{hint}")

    def __repr__(self) -> str:
        state = "finished" if self.is_finished else "unfinished"
        return (
            f"<SweepResults {self.spec.name!r}: {len(self)} trials, {state}, {self._read.named()}>"
        )

    def _repr_html_(self) -> str:
        """The ranking as HTML, for notebooks."""
        return str(self.frame.to_html(max_rows=20))

    @cached_property
    def _all(self) -> tuple[TrialRecord, ...]:
        return (*self._read.records, *self._read.replicates)

    @cached_property
    def _by_id(self) -> Mapping[str, TrialRecord]:
        return {record.trial_id: record for record in self._all}

    def _lacks(self, asked: object) -> KeyError | TypeError:
        """The error for what names no trial: what would be right."""
        if not isinstance(asked, str):
            such = f", such as results[{next(iter(self))!r}]" if len(self) else ""
            return TypeError(
                f"a trial has an id, a text{such}, but was asked for by {asked!r}; rows and columns"
                " of the ranking are in results.frame"
            )
        there = instead_of(asked, [record.trial_id for record in self._read.records])
        if asked in self.frame:
            there = f"; the column of the ranking is results.frame[{asked!r}]"
        return KeyError(f"no trial {asked!r} in {self._read.named()}{there}")


def _answer(asked: Asked) -> Asked:
    """What was asked, with its words in those of Python."""
    return replace(asked, words=in_python(asked.words))
