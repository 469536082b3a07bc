"""``nnUNetTrainerGeometric``, which nnU-Net's own command trains with, and the records it leaves.

nnUNet_results/Dataset502_…/nnUNetTrainerGeometric__nnUNetPlans__2d/fold_0/
  provenance.json        settings in effect, code and machine; one entry per start
  divergence.json        the verdict, if the guard ended the run
  checkpoint_healthy.pth the weights from before the step that it names
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import nn

from sweep.machine.codebase import codebase
from sweep.nnunet.command.asked_settings import asked_in_file, exit_on_error
from sweep.nnunet.training.guarded_trainer import GuardedTrainer
from sweep.nnunet.training.nnunet_effective import effective_configuration
from sweep.store.files import read_json, to_json, write_json
from sweep.trainer.divergence.guard import Diverged
from sweep.trainer.divergence.verdicts import has_moved_weights
from sweep.trainer.readback.provenance import record
from sweep.trainer.readback.verify import verify
from sweep.trainer.runs.explain import explain
from sweep.vocabulary.errors import InputError
from sweep.vocabulary.record import Divergence
from sweep.vocabulary.strict_json import finite_or_none

PROVENANCE, DIVERGENCE, HEALTHY = "provenance.json", "divergence.json", "checkpoint_healthy.pth"

SHAPES_THE_RUN = (
    *("loss.", "optimizer.", "trainer.geometr", "trainer.patch_size", "trainer.encoder"),
    *("trainer.base_features", "trainer.max_features", "trainer.oversample", "trainer.augment"),
)
"""Prefixes of the settings that must not change when a training is continued."""


class nnUNetTrainerGeometric(GuardedTrainer):  # noqa: N801 - nnU-Net looks for this name
    """`GuardedTrainer` with nnU-Net's own loop, which records what it does."""

    _alone = False  # whether nnU-Net's own loop runs

    @staticmethod
    def build_network_architecture(  # nnU-Net looks for these names
        plans_manager: Any,
        configuration_manager: Any,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """For nnU-Net's predictor, which makes no trainer: the network of the file that it is
        given, with the options there; nnU-Net's own without one."""
        asked = asked_in_file()
        one: Any = nnUNetTrainerGeometric.configured(asked[0]) if asked else nnUNetTrainer
        planned = configuration_manager
        first: tuple[Any, ...] = (plans_manager, planned)
        if "plans_manager" not in inspect.signature(one.build_network_architecture).parameters:
            first = (  # as nnU-Net calls a method of before 2.7
                planned.network_arch_class_name,
                planned.network_arch_init_kwargs,
                planned.network_arch_init_kwargs_req_import,
            )
        channels = (num_input_channels, num_output_channels)
        network: nn.Module = one.build_network_architecture(
            *first, *channels, enable_deep_supervision
        )
        return network

    def on_train_start(self) -> None:
        super().on_train_start()
        if self._alone:
            self._begin_records()

    def run_training(self) -> None:
        """nnU-Net's own loop, which ends at the step that the guard condemns.

        Raises:
            SystemExit: with code 1 if the run diverges or other settings are in effect than
                requested; with code 2 if the requested settings are wrong.
        """
        self._alone = True
        try:
            with exit_on_error():
                super().run_training()
        except Diverged as stop:
            self._record_divergence(explain(self, stop).divergence)
            raise SystemExit(1) from None
        finally:
            self.close()

    def _begin_records(self) -> None:
        """Print and record what is in effect; return only if it is what was requested.

        Raises:
            NotApplied: other settings are in effect.
            InputError: the epochs before were trained with other settings.
        """
        found, code = effective_configuration(self), codebase()
        lines = [
            f"Trained by {code.path} (sources {code.sources[:12]}) with {self.source}.",
            "In effect:",
            *(f"  {key}: {value}" for key, value in sorted(found.effective.items())),
            *(f"  {key}: {why}" for key, why in found.not_read.items()),
        ]
        self.print_to_log_file("\n".join(lines), add_timestamp=False)
        verify(self.settings, found)
        file = Path(self.output_folder) / PROVENANCE
        if self.current_epoch > 0 and file.exists():
            _must_go_on_alike(file, found.effective, self.current_epoch)
        elif self.current_epoch == 0:
            for name in (PROVENANCE, DIVERGENCE, HEALTHY):  # of an earlier run in this folder
                (file.parent / name).unlink(missing_ok=True)
        for warning in record(file, self.settings, found, self.current_epoch):
            self.print_to_log_file(f"WARNING: {warning}")

    def _record_divergence(self, divergence: Divergence) -> None:
        folder, say = Path(self.output_folder), self.print_to_log_file
        write_json(folder / DIVERGENCE, finite_or_none(divergence.to_json()))
        say(f"DIVERGED: {divergence.summary}. {divergence.message}")
        if divergence.diagnosis is not None:
            say(f"Likely cause: {divergence.diagnosis.likely_cause} {divergence.diagnosis.advice}")
        say(f"Verdict: {folder / DIVERGENCE}")
        if not has_moved_weights(divergence) and divergence.weights_finite:
            # nnU-Net counts the epoch as done when it saves, but this epoch is not done.
            self.current_epoch -= 1
            self.save_checkpoint(str(folder / HEALTHY))
            self.current_epoch += 1
            say(f"Weights from before that step: {folder / HEALTHY}")


def _must_go_on_alike(file: Path, now: Mapping[str, Any], epoch: int) -> None:
    run: Mapping[str, Any] = read_json(file, lambda values: values["runs"][-1])
    before = {k: v for k, v in run["effective"].items() if k not in run["without_effect"]}
    changed = [
        f"{key} was {before[key]!r} and is {value!r} now"
        for key, value in json.loads(to_json(now)).items()  # as the record has it: lists
        if key.startswith(SHAPES_THE_RUN) and key in before and before[key] != value
    ]
    if changed:
        raise InputError.single(
            f"the epochs before {epoch} were trained with other settings: {'; '.join(changed)};"
            " start anew, or ask for the same",
            file=str(file),
        )
