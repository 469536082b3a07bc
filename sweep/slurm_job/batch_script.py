"""The batch script of a sweep: Ray on the job's nodes, the sweep, the return to the queue.

Ray's own ``ray symmetric-run`` is not used. It refuses a node on which any other Ray runs, its
``ray stop`` ends that of other jobs there, it exits with 0 if Ray does not start, and a signal ends
it before the sweep (Ray 2.60, `ray.scripts.symmetric_run`).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweep.machine.text_templates import text_template
from sweep.vocabulary.errors import InputError, Mistake

SECONDS_TO_STOP = 120
"""Slurm's signal comes so many seconds before the time limit, or up to a minute earlier."""

_TEMPLATE = Path(__file__).with_name("batch_script.sh.j2")  # it quotes for the shell itself
PLAIN = re.compile(r"[\w@%+=:,./\[\]*-]+")
"""What a line of ``#SBATCH`` takes without quotes."""


@dataclass(frozen=True, slots=True)
class SlurmJob:
    """What the job is to do, and what it asks Slurm for.

    Args:
        name: of the sweep.
        made_by: the command that wrote the script.
        file: the script.
        folder: where the sweep runs; relative paths start there.
        python: the interpreter, after a container's command if there is one.
        run: arguments of ``python -m sweep.run``.
        results: folder of the sweep's results, or a URI.
        logs: existing folder for the output of the job.
        nodes: how many.
        cpus_per_node: cores of each.
        gpus_per_node: as Slurm writes it: ``8`` or ``a100:8``; None for no GPU.
        options: further options of sbatch, name → value; None: left to the cluster.
        raw: options as the user wrote them; they override the others.
        setup: lines of shell that prepare the environment.
    """

    name: str
    made_by: Sequence[str]
    file: Path
    folder: Path
    python: Sequence[str]
    run: Sequence[str]
    results: str
    logs: Path
    nodes: int
    cpus_per_node: int
    gpus_per_node: str | None = None
    options: tuple[tuple[str, str | None], ...] = ()
    raw: Sequence[str] = ()
    setup: Sequence[str] = ()

    @property
    def log(self) -> str:
        """File of the job's output, in Slurm's notation: ``%`` begins a variable."""
        return str(self.logs / self.name).replace("%", "%%") + ".%j.log"

    def render(self) -> str:
        """The script.

        Raises:
            InputError: a value that cannot stand in it.
        """
        texts = [*self.made_by, *self.raw, str(self.folder), str(self.file), str(self.logs)]
        if broken := [text for text in texts if not text.isprintable()]:
            raise InputError([Mistake(f"has a line break or the like: {one!r}") for one in broken])
        again = f"sbatch {shlex.quote(str(self.file))}"
        local = "://" not in self.results
        return text_template(_TEMPLATE).render(
            made_by=shlex.join(self.made_by),
            file=shlex.quote(str(self.file)),
            sbatch=list(self._sbatch()),
            setup=self.setup,
            python=shlex.join(self.python),
            run=shlex.join([*self.run, "--continue", "--resume-with", again]),
            watch=shlex.quote(f"watch it: python -m sweep.watch {shlex.quote(self.results)}"),
            nodes=self.nodes,
            cpus=self.cpus_per_node,
            ray_log=shlex.quote(f"{self.logs / self.name}.") + "$SLURM_JOB_ID.ray.log",
            folder=shlex.quote(self.results) if local else None,
            again=shlex.quote(again),
        )

    def _sbatch(self) -> Iterator[str]:
        yield sbatch_option("job-name", self.name)
        yield sbatch_option("nodes", str(self.nodes))
        yield sbatch_option("ntasks-per-node", "1")
        yield sbatch_option("cpus-per-task", str(self.cpus_per_node))
        if self.gpus_per_node is not None:
            yield sbatch_option("gpus-per-node", self.gpus_per_node)
        for name, value in self.options:
            if value is not None:
                yield sbatch_option(name, value)
        yield sbatch_option("chdir", str(self.folder))
        yield sbatch_option("output", self.log)
        yield "--open-mode=append"
        yield f"--signal=B:USR1@{SECONDS_TO_STOP}"
        yield "--requeue"
        if self.nodes > 1:
            yield "--no-kill  # a node that fails does not end the job"
        yield from self.raw


def sbatch_option(name: str, value: str) -> str:
    """``--name=value`` as a line of ``#SBATCH`` reads it: quotes as in a shell, no variables."""
    if not PLAIN.fullmatch(value):
        value = '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'
    return f"--{name}={value}"
