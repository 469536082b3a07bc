"""Start or resume a sweep, and rank its trials."""

from __future__ import annotations

import os
import socket
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from sweep.console.sweep_view import View
from sweep.engine.session.ending import Ending, note
from sweep.engine.session.sweep_location import SweepLocation
from sweep.machine.interrupted import forget_interruption
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.words.phrases import counted, must_be, one_of
from sweep.store.store import Store
from sweep.vocabulary.errors import InputError, ResultsError, SweepFailed

if TYPE_CHECKING:
    from sweep.analysis.ranking.ranking_frame import Ranking
    from sweep.engine.session.executor import Executor
    from sweep.tracking.tracker import Tracker

ExecutorName = Literal["ray", "local"]
"""ray: workers on this machine or a cluster. local: this process, one trial at a time."""


@dataclass(frozen=True, slots=True)
class Session:
    """Options of one session of a sweep.

    Args:
        location: where it runs and where its results are.
        resume_with: the command that resumes it, for the user to copy.
        resume: resume the existing sweep.
        continues: resume it if it has begun by then, else start it.
        extend: additions before it resumes, such as ``trials=+20``.
        executor: where its trials are trained.
        nodes: how many nodes of the cluster to wait for.
        dashboard: start Ray's dashboard.
        verbose: show the messages of Ray and other libraries.
    """

    location: SweepLocation
    resume_with: str
    resume: bool = False
    continues: bool = False
    extend: Sequence[str] = ()
    executor: ExecutorName = "ray"
    nodes: int | None = None
    dashboard: bool = False
    verbose: bool = False

    def __post_init__(self) -> None:
        if self.executor not in (known := get_args(ExecutorName)):
            raise InputError.single(must_be(one_of(known), self.executor, known), key="executor")
        if self.executor == "local" and self.location.address is not None:
            message = "trials run in this process, not on a cluster: leave it out"
            raise InputError.single(message, key="--address")
        if self.nodes is not None and self.location.address is None:
            raise InputError.single("needs a cluster: give its --address", key="--wait-for-nodes")

    @property
    def resumes(self) -> bool:
        """Whether it goes on with a sweep, as things stand now."""
        from sweep.engine.session.open_store import has_begun

        return self.resume or bool(self.extend) or (self.continues and has_begun(self.location))


def run_sweep(asked: SweepSpec, session: Session, view: View) -> tuple[Ending, Ranking]:
    """Run the requested sweep and write its ranking.

    Raises:
        ResultsError: its folder already exists, is missing, or belongs to another sweep.
        InputError: data, trainer or cluster do not fit the spec.
        SweepFailed: the sweep failed. All reported epochs are saved.
    """
    from sweep.analysis.confirm.race_words import in_prospect
    from sweep.api.handover import draw, hand_over
    from sweep.engine.session.open_store import require_folder

    location, resume = session.location, session.resumes
    require_folder(location, resume=resume)  # before reading the data, which may take long
    asked = prepare_data(asked, view)
    if location.address is not None:
        from sweep.engine.on_ray.node_checks import check_nodes

        with view.working("Preparing the data on the cluster's nodes"):
            found = check_nodes(asked, location, verbose=session.verbose, expected=session.nodes)
        view.warn(*found)
    say = partial(view.say, wrap=True)
    spec, store = _opened(asked, session, say, resume=resume)
    store.own_files = _files_of_session(spec)
    if resume:
        view.warn(*_edited(store))
    if session.extend and (sentence := _goes_on(spec, store)):
        view.say(sentence, wrap=True)
    if sentence := in_prospect(spec):
        view.say(sentence, wrap=True)
    try:
        with store, ExitStack() as to_the_end:
            executor = to_the_end.enter_context(_executor(spec, store, session, view))
            ending, ranking, trackers = _run(spec, store, executor, view, to_the_end, location.uri)
            view.ranked(spec, ranking, location.folder, location.uri)
            if ending is not Ending.INTERRUPTED:  # after Ctrl-C the user does not want to wait
                for tracker in trackers:
                    tracker.ranked()
                hand_over(spec, store, ranking, view, uri=location.uri)
            if ending is Ending.FINISHED:
                draw(spec, store, ranking, view, trackers, executor.each, uri=location.uri)
    except SweepFailed as error:
        saved = "all reported epochs are saved; once this is fixed, resume with"
        gone = "the sweep's folder was moved or deleted; once it is back, resume with"
        after = saved if location.folder.exists() else gone
        raise SweepFailed(f"{error}; {after}: {session.resume_with}") from error
    return ending, ranking


def _opened(
    asked: SweepSpec, session: Session, say: Callable[[str], object], *, resume: bool
) -> tuple[SweepSpec, Store]:
    from sweep.engine.session.open_store import open_store

    open_ = partial(open_store, asked, session.location, extend=session.extend, say=say)
    try:
        return open_(resume=resume)
    except ResultsError:
        if resume or not session.resumes:
            raise
        return open_(resume=True)  # another process has started the sweep meanwhile


def _goes_on(spec: SweepSpec, store: Store) -> str:
    """What an extension adds to a search that `stop_when` had ended; empty for others."""
    from sweep.store.journal import search_end

    end = search_end(store.layout.journal, 0)
    if end is None or end.trials >= spec.trials:
        return ""
    return (
        f"`stop_when` had ended the search after {end.started} of its {end.trials} trials. It goes"
        f" on, to {spec.trials} trials at most: `--extend` counts from `trials`."
    )


def _edited(store: Store) -> Iterator[str]:
    """A warning for files of the user with another text than trials ran with."""
    from sweep.analysis.own_texts import digests
    from sweep.analysis.report_words import some
    from sweep.plugins.user_sources import text_now

    changed = defaultdict[tuple[str, ...], list[str]](list)  # trials → files
    for file, by_trial in digests(store.layout.folder).items():
        if (now := text_now(file)) is not None:
            others = (trial_id for trial_id, texts in by_trial.items() if {*texts} != {now})
            changed[tuple(others)].append(Path(file).name)
    for trials, files in changed.items():
        were = "was" if len(trials) == 1 else "were"
        if trials:
            yield (
                f"{some(files)} changed since {some(trials)} {were} trained: results from"
                " before and after cannot be compared, unless the change leaves them as they are."
                " `name:` starts another sweep with the new code"
            )


def _files_of_session(spec: SweepSpec) -> dict[str, str]:
    """The texts of the user's files that choose, stop and log trials, as `sources_of` has them."""
    from sweep.plugins.user_sources import sources_of

    own = SweepSpec.model_fields.keys() - TrialSettings.model_fields.keys() - {"space"}
    return sources_of(spec.model_dump(mode="json", include=own))


def prepare_data(spec: SweepSpec, view: View) -> SweepSpec:
    """Read and normalise the data once before the first trial, and print warnings about them.

    Returns:
        the spec with the fingerprint of the data, unless their folder is searched.

    Raises:
        InputError: the data have mistakes, or no channel of the name that pictures are to show.
    """
    from sweep.spec.tree.moved_data import chooses_data
    from sweep.trial.kinds.kind_table import kind_of, make_ready, pinned
    from sweep.trial.pictures.case_choice import channel_index

    with view.working(kind_of(spec).preparing) as show:
        data = make_ready(spec, show)
    if data is not None:
        if spec.pictures is not None:
            channel_index(data.channels, spec.pictures.channel)
        view.warn(*kind_of(spec).doubts(spec, data))
    return spec if any(map(chooses_data, spec.space)) else pinned(spec, data)


def _run(
    spec: SweepSpec,
    store: Store,
    executor: Executor,
    view: View,
    to_the_end: ExitStack,
    uri: str | None,
) -> tuple[Ending, Ranking, Sequence[Tracker]]:
    """Run the rest of the sweep, evaluate the finalists, rank all trials.

    Args:
        executor: trains and evaluates.
        to_the_end: closes the trackers and the study, which are returned open.
        uri: where the results are, if not on this machine.
    """
    from sweep.analysis.ranking.ranking_frame import write_ranking
    from sweep.engine.session.evaluate_finalists import evaluate_finalists
    from sweep.tracking.make_trackers import Tracked, tracking
    from sweep.tracking.study_file import live_study

    tracked = Tracked(spec.name, store.layout, store.layout.trial)
    study_file = live_study(store.layout.study, spec, store.records, view.warn)
    opened: list[Tracker] = []
    try:
        trackers = to_the_end.enter_context(tracking(spec.tracking, tracked, view.warn))
        study = to_the_end.enter_context(study_file)
        opened = [*trackers, study]
        ending = _execute(spec, store, executor, view, study, trackers)
        if ending is Ending.FINISHED and spec.has_test_cases:
            with _evaluating(view, "Evaluating the finalists on the test split") as show:
                evaluate_finalists(spec, store, view.warn, show, executor.each)
        if ending is not Ending.INTERRUPTED:
            _validate(spec, store, executor, view, in_time=ending is Ending.FINISHED)
    except KeyboardInterrupt:  # during imports, Ray's start or end, or the test
        forget_interruption()
        ending = Ending.INTERRUPTED
    return ending, write_ranking(store.layout.folder, uri), opened


def _validate(
    spec: SweepSpec, store: Store, executor: Executor, view: View, *, in_time: bool
) -> None:
    """Validate the finalists on whole cases, where their kind of trainer does that.

    Args:
        in_time: whether the time budget is left, which a validation may take hours of.
    """
    from sweep.engine.session.evaluate_finalists import validate_finalists
    from sweep.trial.kinds.kind_table import kind_of

    if kind_of(spec).validate is None:
        return
    if not in_time:
        view.say("The finalists are not validated on whole cases: the time budget is spent.")
        return
    with _evaluating(view, "Validating the finalists on whole cases") as show:
        validate_finalists(spec, store, view.warn, show, executor.each)


@contextmanager
def _evaluating(view: View, what: str) -> Iterator[Callable[[str], object]]:
    """Show which finalist is evaluated: on a terminal each in turn, in a log one line for all."""
    with view.working(what) as show:
        yield lambda which: show(f"{what}: {which}")


def _execute(
    spec: SweepSpec,
    store: Store,
    executor: Executor,
    view: View,
    study: Tracker,
    trackers: Iterable[Tracker],
) -> Ending:
    """Run the rest of the search and the confirmation.

    Args:
        study: needs no event of earlier sessions; the ``trackers`` do.
    """
    from sweep.analysis.ranking.finalists import Planned
    from sweep.analysis.ranking.sweep_state import RankingFile
    from sweep.console.console_words import duration_words
    from sweep.console.sweep_progress import Progress
    from sweep.engine.decisions.steering import Steering
    from sweep.engine.decisions.sweep_controller import SweepController
    from sweep.vocabulary.error_lines import last_line

    log = store.layout.log

    def failed(observer: str, error: Exception) -> None:
        note(log, error)
        view.warn(f"{observer} failed: {last_line(error)}; the sweep continues, more in {log}")

    planned, epochs = Planned(spec), spec.ranges.most_epochs
    progress = Progress(planned.total, spec.judged_by, planned, max_epochs=epochs)
    with ExitStack() as stack:
        ranking = RankingFile(store.layout.ranking_csv, spec)
        controller = SweepController(spec, store, [progress, ranking, *trackers], failed)
        controller.subscribe(study)
        progress.start_clock()
        watch = stack.enter_context(view.watching(spec.name, progress))
        if watch.observer is not None:
            controller.subscribe(watch.observer)
        steer = Steering(controller, spec, store, view.warn)
        ending = executor.train(controller, progress, steer, watch.acknowledge)
    if ending is Ending.OUT_OF_TIME and not progress.epochs_reported:
        why = "starting workers and the first epoch took longer"
        if progress.trials_ended:
            why = f"{counted(progress.trials_ended, 'trial')} ended without one"
        raise SweepFailed(
            f"the time budget of {duration_words(spec.time_budget or 0)} ended before any trial"
            f" reported an epoch: {why}; allow more with --extend time_budget=+10m"
        )
    return ending


def _executor(spec: SweepSpec, store: Store, session: Session, view: View) -> Executor:
    if session.executor == "local":
        from sweep.engine.session.in_process import InThisProcess

        return InThisProcess(spec, store, session.location)
    from sweep.console.console_words import dashboard_words
    from sweep.engine.on_ray.execute import OnRay
    from sweep.engine.packs.pack_sizes import Packing

    def announce(address: str | None) -> None:
        if address is None:
            view.say(f"warning: Ray's dashboard did not start; more in {store.layout.log}")
            return
        asks = os.environ.get("RAY_AUTH_MODE") == "token"
        view.say(dashboard_words(address, socket.gethostname(), asks_for_token=asks))

    return OnRay(
        spec,
        store,
        session.location,
        dashboard=session.dashboard,
        announce=announce,
        verbose=session.verbose,
        packing=Packing(store.packing(), store.record_packing, view.say),
    )
