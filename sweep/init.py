"""``python -m sweep.init``: write a sweep's file to start from."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

from sweep.command_line.exit_codes import exit_codes, run_alone


def command(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="What to write; default: list all."),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="DATASET",
            help="Fit a file to this dataset: a folder in nnU-Net's raw layout, or the name or"
            " number of one in $nnUNet_raw.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The file of --from; of NAME, the folder to write into."
        ),
    ] = None,
    trainer: Annotated[
        Literal["monai", "nnunet"] | None,
        typer.Option("--trainer", help="The trainer, with --from; default: monai."),
    ] = None,
    gpu_memory: Annotated[
        float | None,
        typer.Option(
            "--gpu-memory",
            min=0,
            metavar="GIB",
            help="Memory of the GPU that trials will have, with --from; 0: a CPU. Default: that of"
            " this machine's GPU.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
) -> None:
    """List the search spaces and examples, write one, or fit a file to a dataset."""
    with exit_codes():
        from sweep.machine.user_paths import argument
        from sweep.vocabulary.errors import InputError

        target = argument(output, "--output") if output else None
        if dataset is not None and name is not None:
            raise InputError.single(f"give {name} or --from, not both", key="NAME")
        if dataset is None and (trainer or gpu_memory is not None):
            key = "--trainer" if trainer else "--gpu-memory"
            raise InputError.single("fits a file to a dataset: give --from too", key=key)
        if dataset is not None:
            _fit(dataset, target, trainer or "monai", gpu_memory, force=force)
        elif name is not None:
            _write(name, target or Path(), force=force)
        else:
            _list()


def _list() -> None:
    from sweep.starter.shipped_files import SHIPPED

    width = max(map(len, SHIPPED))
    typer.echo("Write one of these with `python -m sweep.init NAME`:\n")
    for name, shipped in SHIPPED.items():
        typer.echo(f"  {name:{width}}  {shipped.words}")
    typer.echo("\nFor your own data: python -m sweep.init --from /data/Dataset123_Name")


def _write(name: str, folder: Path, *, force: bool) -> None:
    from sweep.spec.words.phrases import must_be, one_of
    from sweep.starter.shipped_files import SHIPPED, write_shipped
    from sweep.vocabulary.errors import InputError

    if name not in SHIPPED:
        raise InputError.single(must_be(one_of(list(SHIPPED)), name, SHIPPED), key="NAME")
    for path in write_shipped(SHIPPED[name], folder, force=force):
        typer.echo(path)
    if SHIPPED[name].next:
        there = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
        typer.echo(f"Next: {there}{SHIPPED[name].next}")


def _fit(
    dataset: str, target: Path | None, trainer: str, gpu_memory: float | None, *, force: bool
) -> None:
    from sweep.api.checked_spec import load_checked
    from sweep.console.console_words import print_warnings
    from sweep.machine.hardware import Machine
    from sweep.spec.reading.yaml_document import parse_document
    from sweep.spec.search.sweep_spec import check_name
    from sweep.starter.dataset_sizes import dataset_folder, dataset_sizes, named_after
    from sweep.starter.fitted_file import fitted_file, memory_of
    from sweep.starter.shipped_files import refuse_existing
    from sweep.store.files import atomic_write_text, make_folder
    from sweep.vocabulary.errors import InputError

    sizes = dataset_sizes(dataset_folder(dataset))
    file = target or named_after(sizes)
    try:
        check_name(file.stem)
    except ValueError as error:
        message = f"its file gives the sweep its name, which {error}"
        raise InputError.single(message, key="--output") from None
    refuse_existing([file], force=force)
    text = fitted_file(sizes, memory_of(gpu_memory), trainer, file)
    # With a given memory, the trials will run elsewhere.
    machine = Machine.here() if gpu_memory is None else Machine.any()
    values = parse_document(text, str(file)).values | {"name": file.stem}
    print_warnings([*sizes.doubts, *load_checked(values, machine=machine)[1]])
    make_folder(file.parent)
    atomic_write_text(file, text)
    typer.echo(file)
    typer.echo(f"Next: python -m sweep.run {shlex.quote(str(file))}")


if __name__ == "__main__":
    run_alone(command)
