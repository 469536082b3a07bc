"""The batch script as a file, and its submission."""

from __future__ import annotations

import subprocess
from pathlib import Path

from sweep.vocabulary.errors import InputError, SweepFailed


def write_script(file: Path, script: str, logs: Path, *, force: bool = False) -> None:
    """Write the script, and make the folder of its output: Slurm does not.

    Raises:
        InputError: the file exists with other content, which somebody may have edited, and not
            ``force``; or it cannot be written.
    """
    try:
        if not force and file.exists() and file.read_text(encoding="utf-8") != script:
            differs = f"{file} exists and differs: overwrite it by --force, or name another with -o"
            raise InputError.single(differs, key="--output")
        file.write_text(script, encoding="utf-8")
        logs.mkdir(parents=True, exist_ok=True)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError.single(f"cannot write {file}: {error}", key="--output") from error


def submit_script(file: Path) -> str:
    """Give the script to ``sbatch``. Returns what that prints.

    Raises:
        InputError: there is no ``sbatch`` here.
        SweepFailed: it refused the script.
    """
    try:
        done = subprocess.run(
            ["sbatch", str(file)], capture_output=True, text=True, errors="replace", check=False
        )
    except OSError:
        missing = f"sbatch is not found here: on a login node, submit with `sbatch {file}`"
        raise InputError.single(missing, key="--submit") from None
    if done.returncode:
        raise SweepFailed(f"sbatch refused {file}: {done.stderr.strip()}")
    return done.stdout.strip()
