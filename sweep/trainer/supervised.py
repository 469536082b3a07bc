"""What a user's batches and losses have to be, looked at before anything is computed from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from torch import Tensor

from sweep.trainer.returned import Method, described


class Batch(NamedTuple):
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
        return cls(*found)


def checked_batch(batch: Batch, output: Tensor, by: Method) -> None:
    """Look whether the labels of a batch fit what the network makes of its images.

    Values are looked at where that costs nothing: on the CPU.

    Args:
        output: of the network, its finest, ``[B, C, H, W]``.
    Raises:
        TrainerError: they do not.
    """
    labels = batch.labels
    wanted = (output.shape[0], 1, *output.shape[2:])
    if labels.shape != wanted:
        by.fail(
            f"returned labels of shape {list(labels.shape)}, but they must be of shape"
            f" {list(wanted)}: class indices with one channel, for an output of"
            f" {list(output.shape)}{_cure(labels, output)}"
        )
    if labels.device.type != "cpu" or labels.numel() == 0:
        return
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
        TrainerError: with what is wrong of them.
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


def _cure(labels: Tensor, output: Tensor) -> str:
    """What most likely has to be done to labels of the wrong shape."""
    if labels.shape == (output.shape[0], *output.shape[2:]):
        return "; labels.unsqueeze(1) adds the channel"
    if labels.shape == output.shape and output.shape[1] > 1:
        return "; labels.argmax(1, keepdim=True) makes indices of one-hot labels"
    return ""
