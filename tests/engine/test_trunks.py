"""Who trains a shared warm-up, and who waits for it."""

from __future__ import annotations

from sweep.engine.decisions.warmup_owners import WarmupOwners


def test_second_trial_waits_while_the_first_trains_their_warmup() -> None:
    trunks = WarmupOwners()
    trunks.add("t0000", "base", 5)
    trunks.add("t0001", "base", 3)
    assert trunks.may_start("t0001")  # nobody trains it yet
    trunks.start("t0000")
    for epochs in (1, 2):
        trunks.report("t0000", epochs)
        assert not trunks.may_start("t0001")
    trunks.report("t0000", 3)
    assert trunks.may_start("t0001")


def test_trial_of_another_trunk_does_not_wait() -> None:
    trunks = WarmupOwners()
    trunks.add("t0000", "base", 5)
    trunks.add("t0001", "other", 5)
    trunks.start("t0000")
    assert trunks.may_start("t0001")


def test_longer_warmup_waits_for_the_shorter_and_then_trains_the_rest() -> None:
    trunks = WarmupOwners()
    trunks.add("t0000", "base", 2)
    trunks.add("t0001", "base", 4)
    trunks.add("t0002", "base", 4)
    trunks.start("t0000")
    trunks.report("t0000", 1)
    assert not trunks.may_start("t0001")
    trunks.report("t0000", 2)  # it has switched on
    assert trunks.may_start("t0001")
    trunks.start("t0001")
    assert not trunks.may_start("t0002")
    trunks.report("t0001", 4)
    assert trunks.may_start("t0002")


def test_trial_that_ends_in_its_warmup_leaves_the_trunk_to_the_next() -> None:
    trunks = WarmupOwners()
    trunks.add("t0000", "base", 5)
    trunks.add("t0001", "base", 5)
    trunks.start("t0000")
    trunks.report("t0000", 2)
    trunks.end("t0000")
    assert trunks.may_start("t0001")


def test_trial_without_a_warmup_neither_waits_nor_keeps_others_waiting() -> None:
    trunks = WarmupOwners()
    trunks.add("t0000", "base", 0)
    trunks.add("t0001", "base", 4)
    trunks.add("t0002", "base", 0)
    trunks.start("t0000")
    assert trunks.may_start("t0001")
    trunks.start("t0001")
    assert trunks.may_start("t0002")


def test_epochs_after_the_switch_on_are_none_of_the_trunk() -> None:
    trunks = WarmupOwners()
    trunks.add("t0000", "base", 2)
    trunks.add("t0001", "base", 4)
    trunks.add("t0002", "base", 3)
    trunks.start("t0000")
    for epochs in range(1, 7):
        trunks.report("t0000", epochs)
    trunks.start("t0001")
    assert not trunks.may_start("t0002")
