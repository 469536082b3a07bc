"""The view of a prediction: a line for each case, or a bar on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sweep.console.console_words import make_console, print_line, print_warnings
from sweep.vocabulary.class_scores import ClassScore, Predicted, mean_over_classes


class PredictionView:
    """Shows a prediction to the user who started it. This base class shows nothing."""

    def warn(self, *warnings: str) -> None:
        """Show warnings, each one sentence."""

    def predicting(self, cases: int) -> AbstractContextManager[Predicted]:
        """So many cases are predicted while this is entered."""
        return nullcontext(lambda *_: None)


class PredictionLines(PredictionView):
    """Prints on a terminal, or to the log of a job."""

    def __init__(self) -> None:
        self._console = make_console()

    def say(self, line: str) -> None:
        print_line(self._console, line)

    def warn(self, *warnings: str) -> None:
        print_warnings(warnings)

    @contextmanager
    def predicting(self, cases: int) -> Iterator[Predicted]:
        """Show the cases that are done, of so many."""
        done = 0

        def line(case: str, seconds: float | None, scores: Sequence[ClassScore]) -> None:
            nonlocal done
            done += 1
            words = "".join(f"  {words}" for words in score_words(scores))
            took = "kept" if seconds is None else f"{seconds:.1f} s"
            self.say(f"[{done}/{cases}] {case}{words}  {took}")

        if not self._console.is_terminal:
            yield line
            return
        bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        with bar:
            task = bar.add_task("Predicting", total=cases)
            yield lambda case, _seconds, _scores: bar.update(task, advance=1, description=case)


def score_words(scores: Iterable[ClassScore]) -> list[str]:
    """``Dice 0.9312``, ``HD95 2.13``: means over cases, then over classes."""
    scores = list(scores)
    metrics = dict.fromkeys(name for one in scores for name in one.values)
    means = {name: mean_over_classes(scores, name) for name in metrics}
    return [f"{_named(name)} {_number(name, mean)}" for name, mean in means.items()]


def class_words(scores: Iterable[ClassScore]) -> list[str]:
    """``liver: Dice 0.9312, HD95 2.13`` for each class."""
    scores = list(scores)
    classes = list(dict.fromkeys(one.label for one in scores))
    return [
        f"{name}: {', '.join(score_words(one for one in scores if one.label == name))}"
        for name in classes
    ]


def _named(metric: str) -> str:
    return {"dice": "Dice", "hd95": "HD95", "nsd": "NSD", "iou": "IoU"}.get(metric, metric)


def _number(metric: str, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if metric == "dice" else f"{value:.4g}"
