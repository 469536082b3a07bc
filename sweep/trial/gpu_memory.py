"""The memory of the GPU that this process trains on."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CardInUse:
    """The GPU of this process.

    Args:
        name: of its kind, such as "NVIDIA H100 80GB HBM3".
        used: largest use of its memory so far, in bytes, also by other processes.
        total: bytes that it has.
    """

    name: str
    used: int
    total: int


def card_in_use() -> CardInUse | None:
    """The GPU that this process has used; None if it has used none, or one that broke."""
    import torch

    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return None
    with suppress(Exception):  # the next step of the trial says what broke
        free, total = torch.cuda.mem_get_info()
        # What torch has released meanwhile may be needed again.
        released = torch.cuda.max_memory_reserved() - torch.cuda.memory_reserved()
        return CardInUse(torch.cuda.get_device_name(), total - free + max(0, released), total)
    return None


def limit_gpu_memory(share: float) -> None:
    """Let torch use at most this share of the GPU's memory in this process; 1 lifts the limit.

    A process that asks for more gets the error that a full GPU gives: its trial fails, and its
    neighbours on the GPU keep what they have. What CUDA itself takes does not count.
    """
    import torch

    with suppress(Exception):  # of a GPU that broke: what needs it says so
        if torch.cuda.is_available():
            torch.cuda.set_per_process_memory_fraction(share)
