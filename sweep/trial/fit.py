"""One trial from first to last epoch, without Ray."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from sweep.data.prepared.samples import PreparedData
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.words.phrases import did_you_mean, near_miss
from sweep.trainer.divergence.guard import Diverged
from sweep.trainer.readback.provenance import record
from sweep.trainer.readback.verify import verify
from sweep.trainer.runs.run_protocol import Ended, Loop, Run
from sweep.trial.checkpoints import Checkpoints
from sweep.trial.expectations import unmet
from sweep.trial.kinds.kind_table import kind_of
from sweep.trial.warmup_snapshots import Trunk
from sweep.vocabulary.early_stopping import EarlyStopping
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import InputError
from sweep.vocabulary.objective import VAL_DICE, Objective
from sweep.vocabulary.record import Divergence, Outcome, Status


def fit(
    config: TrialSettings,
    *,
    report: Callable[[EpochMetrics], None] | None = None,
    checkpoint: Checkpoints | None = None,
    data: PreparedData | None = None,
    provenance: Path | None = None,
    trunk: Trunk | None = None,
    exactly: int | None = None,
) -> Outcome:
    """Train one configuration and say how it ended.

    Args:
        config: the trial's whole configuration.
        report: called with each epoch's metrics, in order; it may raise to stop the trial.
        checkpoint: keeps the best and the last state. If it holds a last state, the trial resumes
            from there and reports the epochs before it again. None keeps nothing.
        data: prepared data to share between trials; None prepares ``config.data``, if the kind of
            trainer uses it.
        provenance: file that records what the trial is really trained with; None records nothing.
        trunk: shares the warm-up with other trials; needs a ``checkpoint``. Epochs that come from
            there are reported as shared.
        exactly: train so many epochs, with the schedules of all, and keep the weights of the last:
            for data whose validation cannot judge them. None: until the end, or early stopping, and
            keep those of the best.
    Returns:
        completed, early stopped, or diverged with the guard's verdict.
    Raises:
        NotApplied: the configuration that was read back is not ``config``.
    """
    run = epochs(
        config,
        checkpoint=checkpoint,
        data=data,
        provenance=provenance,
        trunk=trunk,
        exactly=exactly,
    )
    while True:
        try:
            finished = next(run)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
        if report is not None:
            for metrics in finished:
                report(metrics)


def epochs(
    config: TrialSettings,
    *,
    checkpoint: Checkpoints | None = None,
    data: PreparedData | None = None,
    provenance: Path | None = None,
    trunk: Trunk | None = None,
    exactly: int | None = None,
) -> Generator[Sequence[EpochMetrics], None, Outcome]:
    """`fit` as a generator, which returns the outcome.

    Yields the epochs that were trained before, all at once, and then each when it is trained and
    saved. Within an epoch it yields nothing, ``()``, wherever another run of this process may take
    its turn. However it ends, the run is closed, such as a function that waits.
    """
    with closing(kind_of(config).make_run(config, data)) as run:
        loop = Loop.of(config)
        last = loop.epochs if exactly is None else exactly
        files = _Files(checkpoint, trunk if run.shares_warmup else None)
        objective, stopping = loop.objective, loop.stopping
        history, verdict = files.take_up(run, stopping)
        best = max((m for epoch in history if (m := objective.merit(epoch))), default=None)
        stop = stopping.replay(objective.curve(history)) is not None and exactly is None
        found = run.effective_configuration(loop)
        warnings: tuple[str, ...] = ()
        if provenance is not None:
            damaged = () if checkpoint is None else checkpoint.damaged
            warnings = record(provenance, config, found, first_epoch=len(history), damaged=damaged)
        verify(config, found)
        if history:
            yield tuple(history)
        if verdict is not None and not stop:
            return Outcome.diverged(run.taken_over(verdict))
        while (judged := run.judge(history)) is None:
            if stop or len(history) >= last:
                finished = len(history) >= last
                return Outcome(status=Status.COMPLETED if finished else Status.EARLY_STOPPED)
            try:
                metrics = yield from run.epoch_in_turns(len(history))
            except Diverged as end:
                return files.diverged(run, end, in_epoch=len(history))
            except Ended:
                cause = f"it ended by itself after {len(history)} of {loop.epochs} epochs"
                return Outcome(status=Status.EARLY_STOPPED, cause=cause)
            if not history:
                require_measured(objective.each[:1], metrics)
            merit = objective.merit(metrics)
            improved = merit is not None and (best is None or merit > best)
            if exactly is not None:
                improved = len(history) + 1 == exactly
            metrics = run.measured(metrics, best=improved)
            require_measured(objective.others if improved else (), metrics)
            warnings += metrics.warnings + unmet(loop.expect, [*history, metrics])
            metrics, warnings = replace(metrics, warnings=warnings), ()
            history.append(metrics)
            stop = stopping.update(metrics.epoch, objective.score(metrics)) and exactly is None
            best = merit if improved else best
            files.keep(run, history, improved=improved)
            yield (metrics,)
        return files.diverged(run, judged)


def require_measured(objectives: Iterable[Objective], first: EpochMetrics) -> None:
    """Check that the first epoch of a run has the objectives among its metrics, if only as None.

    Raises:
        InputError: with the metrics that it has, and the near miss.
    """
    names = [VAL_DICE, *first.metrics]
    for one in objectives:
        if one.metric in names or one.is_cost:
            continue
        hint = did_you_mean(near_miss(one.metric, names))
        raise InputError.single(
            f"the first validation returned no `{one.metric}`, only {', '.join(names)}{hint}"
            f" (a metric that only some epochs measure is returned in the others as None)",
            key="objective.metric",
        )


@dataclass(frozen=True, slots=True)
class _Files:
    """Where a trial's states are kept and loaded from, if anywhere."""

    checkpoint: Checkpoints | None
    trunk: Trunk | None

    def take_up(
        self, run: Run, stopping: EarlyStopping
    ) -> tuple[list[EpochMetrics], Divergence | None]:
        """Resume from the trial's own last state, or start from its trunk.

        Returns:
            the epochs that were trained before, and the trunk's verdict if it diverged there.
        """
        if self.checkpoint is not None and (state := self.checkpoint.load_last()) is not None:
            run.load_state_dict(state["training"])
            return [EpochMetrics.from_json(line) for line in state["history"]], None
        if self.trunk is not None and (snapshot := self.trunk.start(stopping)) is not None:
            if snapshot.state is not None:
                run.load_state_dict(snapshot.state)
            return snapshot.history, snapshot.verdict
        return [], None

    def keep(self, run: Run, history: list[EpochMetrics], *, improved: bool) -> None:
        """Save the state after an epoch."""
        if self.checkpoint is not None:
            if improved:
                if weights := run.weights():  # a function may have saved none
                    best = {"model": weights, "epoch": history[-1].epoch}
                    self.checkpoint.save_best(best | {"data": run.data_facts()})
                if scores := run.class_scores():
                    self.checkpoint.save_cases(scores)
            lines = [epoch.to_json() for epoch in history]
            self.checkpoint.save_last({"training": run.state_dict(), "history": lines})
        if self.trunk is not None:
            self.trunk.save(len(history))

    def diverged(self, run: Run, end: Diverged, in_epoch: int | None = None) -> Outcome:
        """Save the weights and what reproduces the step, and return the outcome.

        Args:
            in_epoch: the epoch, from 0, that was not finished; None for a verdict after an epoch.
        """
        if self.checkpoint is not None:
            self.checkpoint.save_healthy({"model": run.weights()})
            if end.offending is not None:
                self.checkpoint.save_offending(end.offending)
        if self.trunk is not None and in_epoch is not None:
            self.trunk.save_end(in_epoch, end.divergence)
        return Outcome.diverged(end.divergence)
