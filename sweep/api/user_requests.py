"""Ask something of a sweep: stop a trial, enqueue a configuration, note something.

Nothing here needs the folder's lock, imports torch or ray, or waits for the session that runs.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unicodedata import category, normalize

from sweep.analysis.report_words import status
from sweep.machine.user_identity import settle_user
from sweep.spec.words.phrases import no_character, quoted, shown
from sweep.store.at_uri.local_results import WRITER, edited_results, is_light
from sweep.store.at_uri.remote_folder import RemoteFolder, is_uri
from sweep.store.journal import ConfigurationEnqueued, NoteAdded, Request, StopRequested
from sweep.store.layout import TRIAL_ID, Layout, TrialPaths, is_replicate
from sweep.store.lock import is_locked
from sweep.store.read_results import (
    instead_of,
    read_facts,
    read_objective,
    require_no_link,
    require_results,
    trial_folders,
)
from sweep.store.spool.request_spool import RequestSpool, origin
from sweep.store.trial_files import add_file
from sweep.vocabulary.errors import InputError
from sweep.vocabulary.record import TrialRecord

MOST_CHARACTERS, MOST_OF_A_SWEEP = 2000, 20_000
"""Longest note on a trial and on the sweep."""
MOST_OF_A_NAME = 200
"""Longest name of a file, in bytes: systems take 255, and a number may follow."""
_NEEDED = (WRITER, Layout.sweep_yaml.name)
PUTS = ".puts"
"""Extension of the hidden file of somebody who puts a file beside a trial at a URI."""
LEFT_OVER = 3600 * 10**9
"""Nanoseconds after which such a file is one that a killed process has left."""
_FACTS = f"/{TrialPaths.trial.name}"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was left in a results folder.

    Args:
        request: what was asked.
        words: what will happen, in sentences.
        warnings: what is probably not intended.
    """

    request: Request
    words: str
    warnings: Sequence[str] = ()

    def __str__(self) -> str:
        return self.words


def ask_to_stop(results: str | Path, trial_ids: Sequence[str]) -> list[Asked]:
    """Ask the session to stop trials, all of them or, after a mistake, none.

    Each ends as pruned, at its next report.

    Raises:
        ResultsError: ``results`` is not a results folder.
        InputError: a trial is unknown, has ended, or is a replicate.
    """
    with _asking(results) as layout:
        for trial_id in trial_ids:
            record = _trial(layout, trial_id)
            if is_replicate(trial_id):
                of = record.configuration_id
                raise InputError.single(
                    f"is a replicate of {of}, and only trials of the search can be stopped",
                    key=trial_id,
                )
            if record.outcome is not None:
                cause = f": {record.outcome.cause}" if record.outcome.cause else ""
                words = status(record.status)
                raise InputError.single(f"has ended already ({words}{cause})", key=trial_id)
        found = []
        for trial_id in dict.fromkeys(trial_ids):
            request = StopRequested(trial_id=trial_id, **origin())
            RequestSpool(layout).add(request)
            words = f"{trial_id} ends as pruned at its next report. {_when(layout)}"
            found.append(Asked(request, words.rstrip()))
        return found


def ask_for_trial(results: str | Path, values: Mapping[str, Any] | Sequence[str]) -> Asked:
    """Ask for a trial of a configuration. It is the next one that starts.

    Args:
        results: the results folder, or its URI.
        values: of some or all searched parameters, a mapping or ``KEY=VALUE`` texts. The searcher
            draws the others.

    Raises:
        ResultsError: ``results`` is not a results folder.
        InputError: with every mistake: a name that is not searched, a value that cannot be taken.
    """
    from sweep.analysis.effective_settings import read_spec
    from sweep.spec.checks.enqueued_configuration import check_enqueued, parse_configuration

    with _asking(results) as layout:
        spec = read_spec(layout.folder)
        parameters, warnings = check_enqueued(spec, parse_configuration(values))
        request = ConfigurationEnqueued(parameters=parameters, **origin())
        RequestSpool(layout).add(request)
        given = ", ".join(f"{key}={shown(value)}" for key, value in parameters.items())
        missing = [
            key
            for key, kind in spec.drawn.items()
            if key not in parameters
            and all(one.on not in parameters or one.holds(parameters[one.on]) for one in kind.when)
        ]
        drawn = f" The searcher draws {', '.join(missing)}." if missing else ""
        words = f"The next trial has {given}.{drawn} It is one more than `trials`. {_when(layout)}"
        return Asked(request, words.rstrip(), warnings)


def ask_to_note(results: str | Path, trial_id: str | None, text: str) -> Asked:
    """Note something on a trial, also on one that has ended, or on the sweep.

    Args:
        results: the results folder, or its URI.
        trial_id: of a trial or a replicate; None: on the sweep.
        text: of the note, at most 2000 characters; on the sweep Markdown of at most 20,000.

    Raises:
        ResultsError: ``results`` is not a results folder.
        InputError: the trial is unknown, or the text is empty, too long, or no text: with control
            characters, as of a terminal's colours, or bytes that are not UTF-8.
    """
    most = MOST_OF_A_SWEEP if trial_id is None else MOST_CHARACTERS
    text = text.strip().replace("\r\n", "\n")
    if not 0 < len(text) <= most:
        raise InputError.single(f"a note must have 1 to {most} characters, but has {len(text)}")
    control = next((one for one in text if category(one) == "Cc" and one not in "\n\t"), None)
    if wrong := no_character(text) or (control and f"has the control character {control!a}"):
        raise InputError.single(f"a note must be text, but {wrong}")
    with _asking(results) as layout:
        if trial_id is not None:
            _trial(layout, trial_id)
        request = NoteAdded(trial_id=trial_id, text=text, **origin())
        RequestSpool(layout).add(request)
        on = trial_id or "the sweep"
        return Asked(request, f"Noted on {on}. `sweep.rank --notes` and the report show it.")


def put_file(results: str | Path, trial_id: str, name: str, content: bytes) -> Asked:
    """Put a file beside the others of a trial, and note that on it. None is replaced.

    Args:
        results: the results folder, or its URI.
        trial_id: of a trial or a replicate.
        name: of the file. If there is one, or may be, the new one gets a number.
        content: at least a byte.

    Raises:
        ResultsError: ``results`` is not a results folder, or the trial's is a link.
        InputError: the trial is unknown, the name is not a plain one, the file is empty, or it has
            the name of weights and ``results`` is a URI.
    """
    name = normalize("NFC", name.strip())
    is_plain = name.isprintable() and not name.startswith(".") and not {*"/\\"} & {*name}
    if not (is_plain and 0 < len(name.encode(errors="replace")) <= MOST_OF_A_NAME):
        raise InputError.single(
            f"must be a plain name of at most {MOST_OF_A_NAME} bytes, without a folder and a dot at"
            " its beginning",
            key=shown(name),
        )
    if not content:
        raise InputError.single("is empty", key=shown(name))
    if is_uri(str(results)) and not is_light(name):
        message = "is named like weights, which results at a URI take from trials alone"
        raise InputError.single(message, key=shown(name))
    with (
        _alone(str(results), trial_id) as is_alone,
        _asking(results, f"trials/{trial_id}/") as layout,
    ):
        _trial(layout, trial_id)
        require_no_link(layout.trials, layout.trial(trial_id).folder)
        plain = Path(name)
        free = name if is_alone else f"{plain.stem}-{secrets.token_hex(4)}{plain.suffix}"
        kept = add_file(layout.trial(trial_id), free, content)
        request = NoteAdded(trial_id=trial_id, text=f"Added the file {kept}.", **origin())
        RequestSpool(layout).add(request)
    other = "" if kept == name else f" The name {name} is taken, and no file is replaced."
    return Asked(request, f"{kept} lies beside the other files of {trial_id}.{other}")


@contextmanager
def _alone(results: str, trial_id: str) -> Iterator[bool]:
    """Whether nobody else puts a file beside the trial meanwhile.

    A folder takes a name once. A store takes the last file of a name, so who puts one there shows
    it by a hidden file, and then looks for those of others: of two at once, one sees the other's.
    """
    if not (is_uri(results) and TRIAL_ID.fullmatch(trial_id)):
        yield True
        return
    trial, mine = RemoteFolder(results).below("trials", trial_id), f".{secrets.token_hex(8)}{PUTS}"
    if trial.read(TrialPaths.trial.name) is None:  # a file would make a folder of that name
        yield True
        return
    trial.write(mine, b"")
    try:
        puts = {name: ns for name, (_, ns) in trial.stamps().items() if name.endswith(PUTS)}
        now = puts.pop(mine, 0)  # by the store's clock
        yield not any(now - ns < LEFT_OVER for ns in puts.values())
    finally:
        trial.delete(mine)


@contextmanager
def _asking(results: str | Path, also: str = "/") -> Iterator[Layout]:
    """The results that something is asked of. What is left there reaches a URI.

    Args:
        also: beginning of the names of further files that are needed of a URI.
    """
    settle_user()  # a request says who asks

    def is_needed(name: str) -> bool:
        is_fact = name in _NEEDED or name.endswith(_FACTS)
        return is_fact or (name.startswith(also) and is_light(name))

    with edited_results(str(results), is_needed) as found:
        layout = Layout(found)
        require_results(layout)
        yield layout


def _trial(layout: Layout, trial_id: str) -> TrialRecord:
    """What is recorded about a trial; raises InputError if there is none of this id."""
    known = trial_folders(layout)
    if not TRIAL_ID.fullmatch(trial_id) or not layout.trial(trial_id).trial.exists():
        raise InputError.single(
            f"{layout.folder} has no trial {quoted(trial_id)}{instead_of(trial_id, known)}"
        )
    return read_facts(trial_id, layout.trial(trial_id), read_objective(layout.folder))


def _when(layout: Layout) -> str:
    if is_locked(layout):
        return ""
    return "No session runs: it is done at the next `sweep.run … --resume`."
