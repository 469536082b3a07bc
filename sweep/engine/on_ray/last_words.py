"""What a process of Ray that died has printed last."""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from pathlib import Path

MOST_LINES = 40
_DIED = re.compile(r"^\s+pid: (?P<pid>\d+)$.*?^\s+ip: (?P<ip>\S+)$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r":(?:job_id|actor_name|task_name):")
"""Starts the lines by which Ray tells whose output follows."""


def log_last_words(said: str) -> None:
    """Log the end of the stderr of a process that died, if it ran on this machine.

    Ray has that in a file of each process. After a crash in compiled code Python's stack is in it.
    The message goes where Ray's own go: to ``sweep.log``.

    Args:
        said: Ray's error, which names the process.
    """
    if (found := _DIED.search(said)) is None:
        return
    with suppress(Exception):  # Ray's public interface does not tell where these files are
        from ray._private.worker import _global_node as node

        if node is None or node.node_ip_address != found["ip"]:
            return
        [file] = Path(node.get_logs_dir_path()).glob(f"worker-*-{found['pid']}.err")
        text = file.read_text(encoding="utf-8", errors="backslashreplace")
        lines = [line for line in text.splitlines() if not _MARK.match(line)]
        logging.getLogger("ray").error(
            "Process %s has died. Its stderr ended in:\n%s",
            found["pid"],
            "\n".join(lines[-MOST_LINES:]),
        )
