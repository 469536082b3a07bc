"""Records that nnU-Net's own command leaves with its weights: settings in effect, and the verdict.

nnUNet_results/Dataset502_…/nnUNetTrainerGeometric__nnUNetPlans__2d/fold_0/
  provenance.json        settings in effect, code and machine; an entry each time it was started
  divergence.json        the verdict, where the guard ended the run
  checkpoint_healthy.pth the weights from before the step that it names
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweep.machine.codebase import codebase
from sweep.nnunet.training.guarded_trainer import GuardedTrainer
from sweep.nnunet.training.nnunet_effective import effective_configuration
from sweep.store.files import atomic_write_text, read_json, to_json
from sweep.trainer.divergence.verdicts import has_moved_weights
from sweep.trainer.readback.provenance import record
from sweep.trainer.readback.verify import verify
from sweep.trainer.runs.run_protocol import EffectiveConfiguration
from sweep.vocabulary.errors import InputError
from sweep.vocabulary.record import Divergence
from sweep.vocabulary.strict_json import finite_or_none

PROVENANCE, DIVERGENCE, HEALTHY = "provenance.json", "divergence.json", "checkpoint_healthy.pth"

SHAPES_THE_RUN = ("loss.", "optimizer.", "trainer.geometr", "trainer.patch_size")
"""Beginnings of the settings that may not change when a training is continued."""


def begin(trainer: GuardedTrainer) -> None:
    """Print and record what is in effect; return only where that is what was asked for.

    Raises:
        NotApplied: something else is in effect.
        InputError: the epochs before were trained with other settings.
    """
    found = effective_configuration(trainer)
    _print(trainer, found)
    verify(trainer.asked.settings, found)
    file = Path(trainer.output_folder) / PROVENANCE
    if trainer.current_epoch > 0 and file.exists():
        _must_go_on_alike(file, found.effective, trainer.current_epoch)
    elif trainer.current_epoch == 0:
        for name in (PROVENANCE, DIVERGENCE, HEALTHY):  # nnU-Net starts anew, over an earlier run
            (file.parent / name).unlink(missing_ok=True)
    for warning in record(file, trainer.asked.settings, found, trainer.current_epoch):
        trainer.print_to_log_file(f"WARNING: {warning}")


def write_divergence(trainer: GuardedTrainer, divergence: Divergence) -> None:
    """Print and record the verdict; keep the weights where they are healthy."""
    folder = Path(trainer.output_folder)
    text = to_json(finite_or_none(divergence.to_json()), indent=2)
    atomic_write_text(folder / DIVERGENCE, text + "\n")
    say = trainer.print_to_log_file
    say(f"DIVERGED: {divergence.summary}. {divergence.message}")
    if divergence.diagnosis is not None:
        say(f"Likely cause: {divergence.diagnosis.likely_cause} {divergence.diagnosis.advice}")
    say(f"Verdict: {folder / DIVERGENCE}")
    if not has_moved_weights(divergence) and divergence.weights_finite:
        # nnU-Net counts the epoch as done when it saves; this one is not.
        trainer.current_epoch -= 1
        trainer.save_checkpoint(str(folder / HEALTHY))
        trainer.current_epoch += 1
        say(f"Weights from before that step: {folder / HEALTHY}")


def _print(trainer: GuardedTrainer, found: EffectiveConfiguration) -> None:
    code = codebase()
    lines = [
        f"Trained by {code.path} (sources {code.sources[:12]}) with {trainer.asked.source}.",
        "In effect:",
        *(f"  {key}: {value}" for key, value in sorted(found.effective.items())),
        *(f"  {key}: {why}" for key, why in found.not_read.items()),
    ]
    trainer.print_to_log_file("\n".join(lines), add_timestamp=False)


def _must_go_on_alike(file: Path, now: Mapping[str, Any], epoch: int) -> None:
    run: Mapping[str, Any] = read_json(file, lambda values: values["runs"][-1])
    before = {k: v for k, v in run["effective"].items() if k not in run["without_effect"]}
    changed = [
        f"{key} was {before[key]!r} and is {value!r} now"
        for key, value in now.items()
        if key.startswith(SHAPES_THE_RUN) and key in before and before[key] != value
    ]
    if changed:
        raise InputError.single(
            f"the epochs before {epoch} were trained with other settings: {'; '.join(changed)};"
            " start anew, or ask for the same",
            file=str(file),
        )
