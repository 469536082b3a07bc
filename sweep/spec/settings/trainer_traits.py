"""Facts about a kind of trainer that are needed without training anything."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrainerTraits:
    """Facts about a kind of trainer. The trainers themselves are in `sweep.trial.kinds`.

    Args:
        reads: which of the groups `data`, `network`, `augmentation` and `evaluation` it reads. The
            others have no effect and are left out of its ``config.yaml``.
        looked_at: groups in which a first look at data and trainer can find mistakes.
        fold_key: dotted name of the setting that chooses the fold.
        folds: number of folds; None: as in ``data``.
        has_test_split: whether it keeps the cases of ``data.test`` out of training.
        dice_alone: why an epoch has no metric but Dice, as a clause; empty if it has others.
        is_own_loop: whether it is a user's own loop. It can return any metrics, and its loss need
            not be that of ``loss``.
        processes: dotted name of the setting for worker processes of a trial; empty: none.
        places: settings below ``trainer`` with folders that its fingerprint identifies.
        packages: packages that a worker needs in addition to those that every kind needs.
        caution: a caution about the Dice that its trials are ranked by.
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
