import math

from hypothesis import given
from hypothesis import strategies as st

from sweep.vocabulary.early_stopping import EarlyStopping


def stop_epoch(
    curve: list[float | None], patience: int | None, min_delta: float = 0.0, first_epoch: int = 0
) -> int | None:
    stopping = EarlyStopping(patience=patience, min_delta=min_delta, first_epoch=first_epoch)
    return next((e for e, value in enumerate(curve) if stopping.update(e, value)), None)


def test_it_stops_after_patience_epochs_without_improvement() -> None:
    assert stop_epoch([0.1, 0.5, 0.4, 0.4, 0.4], patience=3) == 4
    assert stop_epoch([0.1, 0.5, 0.4, 0.4, 0.6, 0.6], patience=3) is None


def test_no_patience_never_stops() -> None:
    assert stop_epoch([0.5] + [0.1] * 1000, patience=None) is None


def test_a_rise_of_exactly_min_delta_is_no_improvement() -> None:
    assert stop_epoch([0.5, 0.75], patience=1, min_delta=0.25) == 1
    assert stop_epoch([0.5, 0.76], patience=1, min_delta=0.25) is None


def test_small_rises_add_up_against_the_last_improvement() -> None:
    # 0.1 → 0.3 in steps smaller than min_delta: the third rise clears it.
    assert stop_epoch([0.1, 0.18, 0.26, 0.34, 0.34], patience=3, min_delta=0.1) is None


def test_epochs_of_the_warmup_do_not_count_against_patience_but_may_improve() -> None:
    # The users' model: no learning for 21 epochs, then 0.30.
    slow = [0.05] * 21 + [0.30, 0.31, 0.32]
    assert stop_epoch(slow, patience=10) == 10
    assert stop_epoch(slow, patience=10, first_epoch=20) is None
    assert stop_epoch([0.9] + [0.1] * 9, patience=2, first_epoch=5) == 6


def test_an_epoch_that_cannot_be_measured_counts_as_no_improvement() -> None:
    assert stop_epoch([0.5, None, math.nan], patience=2) == 2


@given(
    st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=60),
    st.integers(1, 20),
    st.integers(1, 20),
    st.floats(0, 0.2),
    st.integers(0, 30),
)
def test_more_patience_never_stops_earlier(
    curve: list[float | None], patience: int, more: int, min_delta: float, first_epoch: int
) -> None:
    short = stop_epoch(curve, patience, min_delta, first_epoch)
    long = stop_epoch(curve, patience + more, min_delta, first_epoch)
    assert (long if long is not None else len(curve)) >= (short if short is not None else 0)
    assert not (short is None and long is not None)


def test_replayed_curve_tells_after_how_many_epochs_it_stops() -> None:
    curve = [(0, 0.5), (1, 0.6), (2, 0.6), (3, 0.55), (4, 0.9)]
    assert EarlyStopping(patience=2, min_delta=0.0).replay(curve) == 4
    assert EarlyStopping(patience=3, min_delta=0.0).replay(curve) is None


def test_between_two_deltas_neither_is_the_more_patient_one() -> None:
    # From 0.0 on a delta of 0.15 takes 0.2 as its improvement, in epoch 2; one of 0.1 took 0.12,
    # an epoch before, and 0.2 is not enough above that.
    curve = [0.0, 0.12, 0.2, *[0.2] * 9]
    assert stop_epoch(curve, patience=3, min_delta=0.1) == 4
    assert stop_epoch(curve, patience=3, min_delta=0.15) == 5


@given(
    curve=st.lists(st.none() | st.floats(0, 1) | st.sampled_from([0.5, 0.5001, 0.51]), max_size=40),
    patience=st.integers(1, 9) | st.none(),
    more=st.integers(0, 9) | st.none(),
    min_delta=st.floats(0, 0.5) | st.sampled_from([1e-4, 0.01]),
    first_epoch=st.integers(0, 30),
    later=st.integers(0, 9),
)
def test_largest_patience_without_delta_that_counts_late_is_the_most_patient_of_all(
    curve: list[float | None],
    patience: int | None,
    more: int | None,
    min_delta: float,
    first_epoch: int,
    later: int,
) -> None:
    """What a curve is trained under that is to answer for every other setting by replay."""
    most = None if more is None or patience is None else patience + more
    replayed = stop_epoch(curve, patience, min_delta, first_epoch)
    trained = stop_epoch(curve, most, 0.0, first_epoch + later)
    assert (len(curve) if trained is None else trained) >= (replayed or 0)
    assert not (replayed is None and trained is not None)


@given(
    curve=st.lists(st.none() | st.sampled_from([0.5, 0.501, 0.51, 0.6]), max_size=20),
    min_delta=st.sampled_from([0.0, 5e-4, 0.05]),
    first_epoch=st.integers(0, 9),
    patience=st.integers(1, 9),
)
def test_one_pass_tells_where_each_patience_stops(
    curve: list[float | None], min_delta: float, first_epoch: int, patience: int
) -> None:
    def stopping(patience: int | None) -> EarlyStopping:
        return EarlyStopping(patience=patience, min_delta=min_delta, first_epoch=first_epoch)

    asked = stopping(None)
    waits = asked.waits(enumerate(curve))
    stops = stopping(patience).replay(enumerate(curve))
    assert (waits[patience - 1] if patience <= len(waits) else None) == stops
    assert asked.waits(enumerate(curve)) == waits, "asked again, it tells the same"
