"""What others ask about a kind of trainer without training anything."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrainerTraits:
    """What a kind of trainer says of itself; what trains is in `sweep.trial.kinds`.

    Args:
        reads: which of the groups `data`, `network`, `augmentation` and `evaluation` it reads. What
            it does not read has no effect beside it, and is left out of its ``config.yaml``.
        looked_at: groups that a look at data and trainer may find fault with.
        fold_key: dotted name of the setting that chooses the fold.
        folds: how many folds there are; None: as many as ``data`` says.
        has_test_split: whether it leaves the cases of ``data.test`` out.
        dice_alone: why an epoch has no other metric than Dice, as a clause; empty where it has.
        is_own_loop: whether it is a loop of the user's own: its metrics are whatever it returns,
            and its loss need not be that of ``loss``.
        processes: dotted name of the setting that gives a trial further processes; empty: none has.
        places: settings below ``trainer`` whose folders its fingerprint stands for.
        packages: what a worker needs installed, beside what every kind needs.
        caution: what is to be kept in mind of the Dice that its trials are ranked by.
    """

    reads: frozenset[str] = frozenset()
    looked_at: tuple[str, ...] = ("trainer",)
    fold_key: str = "data.fold"
    folds: int | None = None
    has_test_split: bool = False
    dice_alone: str = ""
    is_own_loop: bool = False
    processes: str = ""
    places: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    caution: str = ""
