"""Ray's words, as Ray 2.60 says them or has them in its source, and the cures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sweep.engine.on_ray import ray_refusals as refusals
from sweep.engine.on_ray.ray_refusals import cure_for, is_final, temporary_folder, with_cure

TIMED_OUT = Exception(
    "The current node timed out during startup. This could happen because some of the raylet failed"
    " to startup or the GCS has become overloaded."
)


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        (OSError("validate_socket_filename failed: AF_UNIX path length cannot exceed 107 bytes"),
         "RAY_TMPDIR=/tmp/r"),
        (FileNotFoundError(2, "No such file or directory", "/proc/1/nothing"), "RAY_TMPDIR=FOLDER"),
        (NotADirectoryError(20, "Not a directory", "/tmp/file/ray"), "RAY_TMPDIR=FOLDER"),
        (PermissionError(13, "Permission denied", "/tmp/ray/session_1"), "RAY_TMPDIR=FOLDER"),
        (PermissionError(13, "Permission denied", "/venv/bin/python"), "may not run that Python"),
        (OSError(28, "No space left on device", "/tmp/ray/x"), "RAY_TMPDIR name another"),
        (OSError(24, "Too many open files"), "ulimit -n"),
        (RuntimeError("can't start new thread"), "ulimit -u"),
        (ValueError("Attempting to cap object store memory usage at 10 bytes, but the minimum "
                    "allowed is 78643200 bytes."), "too little memory"),
        (RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 2.9.0"),
         "same versions of Ray"),
        (ConnectionError("Could not find any running Ray instance. Please specify the one to "
                         "connect to by setting `--address` flag"), "ray start --head"),
    ],
)  # fmt: skip
def test_refusal_has_its_cure(error: Exception, cure: str) -> None:
    found = cure_for(error)
    assert found is not None
    assert cure in found
    assert "\n" not in found
    assert with_cure("Ray did not start: x", error) == f"Ray did not start: x; {found}"
    assert is_final(error) == (cure == "same versions of Ray")


def test_unknown_refusal_is_told_as_it_is() -> None:
    assert cure_for(ValueError("zzz")) is None
    assert with_cure("Ray did not start: zzz", ValueError("zzz")) == "Ray did not start: zzz"


def test_silent_death_is_explained_by_the_state_of_the_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "not" / "there"))
    assert temporary_folder() == tmp_path
    assert "ulimit -a" in str(cure_for(TIMED_OUT))
    monkeypatch.setattr(refusals, "LEAST_FREE", 2**62)
    assert str(cure_for(TIMED_OUT)).startswith(f"{tmp_path} has ")
    assert (
        cure_for(RuntimeError("Timed out waiting for file /tmp/ray/s/gcs_server_port")) is not None
    )
    assert os.environ["RAY_TMPDIR"]
