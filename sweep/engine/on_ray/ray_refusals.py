"""Advice on Ray's errors: from Ray's words to one line of advice.

The words are those of Ray 2.60. Those on folders, disks and memory were seen on a machine that was
made to refuse, those on versions, tokens, ports and proxies are from Ray's source.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

LEAST_FREE = 200 * 2**20
"""Bytes that a session of Ray needs for its sockets, logs and first objects, with a margin."""

CURES: tuple[tuple[str, str], ...] = (
    (r"AF_UNIX path length|path length cannot exceed 107",
     "the name of its temporary folder is too long for a socket: RAY_TMPDIR=/tmp/r gives it a"
     " shorter one"),
    (r"[Nn]o space left on device|Errno 28",
     "the disk of its temporary folder is full: make room, or let RAY_TMPDIR name another folder"),
    (r"[Tt]oo many open files|Errno 24",
     "it may open too few files: raise the limit by `ulimit -n 65536`"),
    (r"can't start new thread|Resource temporarily unavailable|Errno 11\b",
     "it may start too few processes: raise the limit by `ulimit -u 8192`, or the container's limit"
     " of pids"),
    (r"Permission denied: '[^']*/python[0-9.]*'",
     "this user may not run that Python: install the environment where all of its folders may be"
     " entered"),
    (r"(Permission denied|Read-only file system|Not a directory|No such file or directory|File"
     r" exists): '",
     "it cannot use that folder: RAY_TMPDIR=FOLDER names another one that you may write into"),
    (r"[Vv]ersion mismatch",
     "install the same versions of Ray and of Python here as the cluster has"),
    (r"AuthenticationError|[Aa]uthentication|Unauthenticated|auth token",
     "copy the cluster's ~/.ray/auth_token to the same place here"),
    (r"[Cc]ould not find any running Ray instance|no running Ray",
     "no cluster runs on this machine: leave --address out, or start one by `ray start --head`"),
    (r"[Aa]ddress already in use|Errno 98|port .* (is|are) (already )?(in use|occupied)",
     "a port that it needs is in use: `ray stop` ends the remains of an earlier Ray"),
    (r"object store memory|memory on this node|cap object store",
     "too little memory is free for it: end other programs, or raise the container's limit"),
    (r"/dev/shm",
     "the shared memory is too small: start the container with `--shm-size=2g`"),
    (r"RuntimeEnv|runtime_env|working_dir",
     "the nodes cannot load our code: read the log of the runtime environment on a node, and check"
     " that its disk has room"),
    (r"failed to connect to all addresses|UNAVAILABLE|Connection refused|RpcError",
     "its processes cannot reach each other: where a proxy is set, `no_proxy` has to name"
     " localhost, 127.0.0.1 and this machine"),
    (r"calling ray\.init\(\) again|ray\.init twice",
     "this process is connected to Ray already: call ray.shutdown() first"),
)  # fmt: skip
"""Pattern of Ray's words → what to do. The first match counts."""

SILENT = re.compile(r"timed out during startup|Timed out waiting for file|Failed to start GCS")
"""What Ray says if one of its processes has died, whatever the reason."""

FINAL = re.compile(r"[Vv]ersion mismatch|[Aa]uthentication|Unauthenticated|auth token")
"""What Ray says if a cluster will not take us, however long we wait."""


def is_final(error: BaseException | None) -> bool:
    """Whether a cluster that refused us by this error of Ray's always will."""
    return FINAL.search(f"{type(error).__name__}: {error}") is not None


def cure_for(error: BaseException) -> str | None:
    """What to do about an error of Ray; None if that is not known."""
    text = f"{type(error).__name__}: {error}"
    if not SILENT.search(text):
        return next((cure for pattern, cure in CURES if re.search(pattern, text)), None)
    # Ray gives no reason: guess from the state of the machine.
    folder = temporary_folder()
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE:
        return (
            f"{folder} has {free // 2**20} MiB left: make room there, or let RAY_TMPDIR name"
            " another folder"
        )
    return (
        "one of its processes died or had no time: is memory free (`free -h`), are limits set"
        " (`ulimit -a`), does an earlier Ray still run (`ray stop` ends it)?"
    )


def with_cure(message: str, error: BaseException) -> str:
    """``message``, followed by the cure if there is one."""
    cure = cure_for(error)
    return message if cure is None else f"{message}; {cure}"


def temporary_folder() -> Path:
    """The folder of Ray's sessions, or its nearest parent that exists."""
    asked = Path(os.environ.get("RAY_TMPDIR") or "/tmp/ray")
    return next(folder for folder in (asked, *asked.absolute().parents) if folder.is_dir())
