"""``python -m sweep.shapes 502 nnUNet_raw/``: the shapes as a raw dataset of nnU-Net."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.command_line.exit_codes import exit_codes, run_alone

if TYPE_CHECKING:
    from sweep.spec.settings.data_settings import ShapesData


def command(
    dataset: Annotated[
        int,
        typer.Argument(metavar="DATASET", help="501: several circles per image; 502: one."),
    ],
    raw: Annotated[
        Path,
        typer.Argument(
            metavar="NNUNET_RAW",
            envvar="nnUNet_raw",
            help="nnU-Net's folder of raw datasets; default: $nnUNet_raw.",
        ),
    ],
    count: Annotated[int, typer.Option("--count", help="Images for training and validation.")] = 80,
    test: Annotated[int, typer.Option("--test", min=0, help="Further images for testing.")] = 20,
    size: Annotated[int, typer.Option("--size", help="Side of the images in pixels.")] = 64,
    difficulty: Annotated[
        float, typer.Option("--difficulty", help="0: bright and clean; 1: faint, with distractors.")
    ] = 0.5,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the generator.")] = 0,
) -> None:
    """Write Dataset501_Shapes_Several or Dataset502_Shapes_One in nnU-Net's raw format."""
    with exit_codes():
        import shlex

        from sweep.data.sources.shapes_datasets import write_shapes_dataset
        from sweep.machine.user_paths import argument

        raw = argument(raw, "NNUNET_RAW")
        settings = _settings(count=count, size=size, difficulty=difficulty, seed=seed)
        folder = write_shapes_dataset(raw, dataset, settings, test=test)
        typer.echo(f"{folder}: {count} images to train on, {test} to test on")
        command = ["nnUNetv2_plan_and_preprocess", "-d", str(dataset), "-c", "2d"]
        typer.echo(f"Next: data: {{source: nnunet_raw, folder: {folder}}} in the file of sweep.run")
        environment = f"nnUNet_raw={shlex.quote(str(raw.absolute()))}"
        typer.echo(f"For nnU-Net's own trainer: {environment} {shlex.join(command)}")


def _settings(**values: float) -> ShapesData:
    """The generator's settings. Mistakes are reported with the name of the option."""
    from pydantic import ValidationError

    from sweep.spec.settings.data_settings import ShapesData
    from sweep.spec.tree.validation_reports import findings_of
    from sweep.vocabulary.errors import InputError, Mistake

    try:
        return ShapesData.model_validate(values)
    except ValidationError as error:
        found = findings_of(error, ShapesData)
        raise InputError([Mistake(one.message, key=f"--{one.path[-1]}") for one in found]) from None


if __name__ == "__main__":
    run_alone(command)
