"""Checks of a user's network, its outputs, batches and losses, before they are used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from sweep.trainer.networks.network_outputs import as_outputs
from sweep.trainer.runs.returned_values import Method, described
from sweep.vocabulary.error_lines import last_line


class OwnBatch(NamedTuple):
    """Images ``[B, C, H, W]`` and labels ``[B, 1, H, W]``, class indices."""

    images: Tensor
    labels: Tensor

    @classmethod
    def of(cls, found: Any, by: Method) -> Self:
        """A batch of two tensors; raises `TrainerError` for anything else."""
        is_pair = isinstance(found, tuple | list) and len(found) == 2
        if not (is_pair and all(isinstance(part, Tensor) for part in found)):
            by.refuse(
                found,
                "without a compute_loss of its own a class must give batches (images, labels),"
                " two tensors",
            )
        images, labels = found
        if images.is_meta or labels.is_meta or labels.layout is not torch.strided:
            by.fail("returned images or labels that are sparse or without values (`meta`)")
        if images.ndim and not len(images):
            by.fail("returned a batch of 0 images, of which there is no loss")
        if labels.is_complex():
            by.fail(f"returned labels of {_kind(labels)}, but they must be class indices")
        return cls(images, labels)


def why_no_network(model: Any) -> str | None:
    """Why something cannot be trained as a network; None if it can."""
    if not isinstance(model, nn.Module):
        return "is no torch.nn.Module"
    tensors = [*model.parameters(), *model.buffers()]
    if any(isinstance(t, UninitializedParameter | UninitializedBuffer) for t in tensors):
        return "has lazy modules, whose weights do not exist yet: pass it one batch before"
    if any(t.is_meta for t in tensors):
        return (
            "lies on the device `meta`, where weights have no values: model.to_empty(device=…) and"
            " an initialisation give it some"
        )
    weights = ((name, one) for name, one in model.named_parameters() if one.requires_grad)
    if broken := next((name for name, one in weights if not bool(one.isfinite().all())), None):
        return f"has weights that are not finite before it is trained, in {broken}"
    return None


def answers(model: nn.Module, images: Tensor, gave: Method, built: Method) -> list[Tensor]:
    """The network's outputs for images: ``[B, C, H, W]``, the finest first.

    Args:
        gave: the method that gave the images, for messages.
        built: the method that built the network, for messages.
    Raises:
        TrainerError: the network cannot process the images, or returns something else.
    """
    try:
        found = model(images)
    except OF_THE_MACHINE:
        raise
    except (RuntimeError, ValueError, TypeError) as error:
        first, cast = next(model.parameters()), ""
        if images.dtype != first.dtype:
            cast = f" (its weights are {_kind(first)}: images.to({first.dtype}) is like them)"
        gave.fail(
            f"returned images of shape {list(images.shape)} and {_kind(images)}, with which the"
            f" network, {described(model)}, fails{cast}: {last_line(error)}",
            error,
        )
    right = "logits [B, C, H, W] with their graph, or a list of them, finest first"
    axes = 3 if images.ndim == 5 else 2
    outputs = as_outputs(found, axes) if isinstance(found, Tensor | list | tuple) else []
    network = f"returned a network, {described(model)}, that answers"
    if not outputs or not all(isinstance(output, Tensor) for output in outputs):
        out = ": its 'out'" if isinstance(found, Mapping) and "out" in found else ""
        parts = described(found)
        if isinstance(found, list | tuple) and found:
            parts += f" with {', '.join(map(described, found[:3]))}"
        built.fail(f"{network} {parts}, but it must answer {right}{out}")
    finest = outputs[0]
    for output in outputs:
        if output.ndim < 2 or not output.is_floating_point():
            built.fail(
                f"{network} {described(output)} and {_kind(output)}, but it must answer {right}"
            )
        if output.shape[:2] != finest.shape[:2]:
            built.fail(
                f"{network} shapes {list(finest.shape)} and {list(output.shape)}, but all its"
                " outputs must be of the same images and classes"
            )
    if torch.is_grad_enabled() and not any(output.requires_grad for output in outputs):
        built.fail(f"{network} without a graph: it does not depend on a parameter, or was detached")
    return outputs


OF_THE_MACHINE: tuple[type[Exception], ...] = (
    torch.OutOfMemoryError,
    getattr(torch, "AcceleratorError", torch.OutOfMemoryError),
)
"""Errors that are not about the network's input."""


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype).rpartition(".")[2]


def checked_batch(batch: OwnBatch, output: Tensor, by: Method) -> None:
    """Check that the labels of a batch fit the network's output for its images.

    Values are checked only on the CPU, where that costs nothing.

    Args:
        output: the finest output of the network, ``[B, C, H, W]``.
    Raises:
        TrainerError: they do not fit.
    """
    labels = batch.labels
    wanted = (output.shape[0], 1, *output.shape[2:])
    if labels.shape != wanted:
        cure = ""
        if labels.shape == (output.shape[0], *output.shape[2:]):
            cure = "; labels.unsqueeze(1) adds the channel"
        elif labels.shape == output.shape and output.shape[1] > 1:
            cure = "; labels.argmax(1, keepdim=True) makes indices of one-hot labels"
        by.fail(
            f"returned labels of shape {list(labels.shape)}, but they must be of shape"
            f" {list(wanted)}: class indices with one channel, for an output of"
            f" {list(output.shape)}{cure}"
        )
    if labels.device.type != "cpu" or labels.numel() == 0:
        return
    if labels.is_floating_point() and bool((labels != labels.round()).any()):
        part = labels[labels != labels.round()][0].item()
        by.fail(f"returned labels such as {part:g}, but they must be whole numbers: class indices")
    low, high, classes = labels.min().item(), labels.max().item(), output.shape[1]
    if not (low >= 0 and high < classes):
        by.fail(
            f"returned labels from {low} to {high}, but the network has {classes} outputs: labels"
            f" must lie in 0 to {classes - 1}"
        )


def checked_loss(found: Any, by: Method) -> tuple[Tensor, Mapping[str, Tensor]]:
    """A loss (scalar) and its terms, as `CustomTraining.compute_loss` returns them.

    Without a term the loss is the only one, under the name ``loss``.

    Raises:
        TrainerError: they are of another form.
    """
    right = 'must return (loss, terms): a scalar and its terms by name, such as {"ce": ce}'
    if not (isinstance(found, tuple | list) and len(found) == 2):
        by.refuse(found, right)
    loss, terms = found
    if not isinstance(loss, Tensor):
        by.refuse(loss, f"{right}; the loss must be a tensor with its graph")
    if loss.numel() != 1:
        by.refuse(loss, "the loss must be a single number: take its mean")
    if not loss.requires_grad:
        by.fail(
            "returned a loss without a graph: it does not depend on a parameter, or was detached"
        )
    if not isinstance(terms, Mapping):
        by.refuse(terms, f"{right}; the terms must be a dict")
    for name, term in terms.items():
        if not isinstance(name, str):
            by.fail(f"names a term {described(name)}, but a name must be a text")
        if not isinstance(term, Tensor) or term.numel() != 1:
            by.fail(
                f"returned {described(term)} as the term {name!r}, but it must be a tensor of one"
                " number with its graph, so that the guard can say which term broke"
            )
    loss = loss.reshape(())
    return loss, {name: term.reshape(()) for name, term in terms.items()} or {"loss": loss}
