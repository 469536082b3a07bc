"""``python -m sweep.predict MODEL IMAGES -o OUTPUT``: predict images with a trained model."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.command_line.command_options import Device
from sweep.command_line.exit_codes import exit_codes, run_alone

if TYPE_CHECKING:
    from sweep.api.predict_images import Predictions
    from sweep.console.prediction_view import PredictionLines


def command(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A results folder, for its winner; the folder of a trial, or of sweep.train;"
            " or the URI of the first two.",
        ),
    ],
    images: Annotated[
        str,
        typer.Argument(metavar="IMAGES", help="A folder with CASE_0000.nii.gz …, or one image."),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="DIR", help="Folder for the masks.")
    ],
    labels: Annotated[
        str | None,
        typer.Option("--labels", metavar="DIR", help="Score against the references there."),
    ] = None,
    single: Annotated[
        bool,
        typer.Option("--single", help="Only its best replicate on the first fold, not the mean."),
    ] = False,
    tta: Annotated[
        bool | None,
        typer.Option("--tta/--no-tta", help="Average over flips; default: as in the validation."),
    ] = None,
    device: Annotated[
        Device, typer.Option("--device", help="Default: the `trainer.device` of the model.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", "--continue_prediction", help="Keep the masks that are there."),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the masks that are there.")
    ] = False,
) -> None:
    """Predict images with a trained model: write a mask for each, with the image's header."""
    with exit_codes():
        from sweep.api.predict_images import predict_images
        from sweep.console.prediction_view import PredictionLines

        view = PredictionLines()
        done = predict_images(
            model,
            images,
            output,
            view,
            names=("MODEL", "IMAGES", "--output", "--labels"),
            labels=labels,
            single=single,
            tta=tta,
            device=device,
            resume=resume,
            overwrite=overwrite,
        )
        _say_end(done, view)


def _say_end(done: Predictions, view: PredictionLines) -> None:
    """Print what was predicted by which runs, the scores, and where the files are."""
    from sweep.console.prediction_view import class_words, score_words
    from sweep.spec.words.phrases import counted

    runs = f"the mean of {', '.join(done.runs)}" if len(done.runs) > 1 else done.runs[0]
    kept = f" ({done.kept} kept from before)" if done.kept else ""
    view.say(f"Predicted {counted(len(done.masks), 'case')} by {runs}{kept}")
    if done.class_scores:
        view.say(f"{', '.join(score_words(done.class_scores))} (distances in {done.unit})")
        classes = class_words(done.class_scores)
        for words in classes if len(classes) > 1 else ():
            view.say(f"  {words}")
        view.say(f"Scores: {shlex.quote(str(done.folder / 'scores.csv'))}")
    view.say(f"Masks:  {shlex.quote(str(done.folder))}")


if __name__ == "__main__":
    run_alone(command)
