"""Conditions and dependent bounds of a space: what they draw, and what is refused."""

from __future__ import annotations

import itertools
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.spec.load import load_sweep, to_yaml
from sweep.spec.reading.yaml_document import parse_document
from sweep.spec.search.shared_warmup import branching_epochs, trunk_key
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.space.distribution_yaml import parse_distribution
from sweep.spec.space.distributions import Distribution, LogRandInt, LogUniform, RandInt, Uniform
from sweep.spec.space.linked_space import (
    blocks,
    configurations,
    drawn_in,
    grid_size,
    in_order,
    lies_in,
    taken,
    within,
)
from sweep.spec.space.relative_places import STEPS, place_of, value_at
from sweep.vocabulary.errors import InputError

NAME = {"optimizer.name": {"choice": ["sgd", "adamw"]}}
MOMENTUM = {"optimizer.momentum": {"uniform": [0.8, 0.99], "when": {"optimizer.name": "sgd"}}}
WARMUP = {"loss.warmup_epochs": {"randint": [1, 9]}}
RAMPUP = {"loss.rampup_epochs": {"randint": [0, "loss.warmup_epochs"]}}


def space_of(space: dict[str, Any], **settings: Any) -> dict[str, Distribution]:
    values = {"name": "linked", "replay_patience": False, "space": space, **settings}
    return SweepSpec.model_validate(values).space


def refused(space: dict[str, Any], **settings: Any) -> list[tuple[str, str]]:
    with pytest.raises(InputError) as caught:
        load_sweep({"name": "linked", "space": space, **settings})
    return [(mistake.key, mistake.message) for mistake in caught.value.mistakes]


def draw(space: dict[str, Distribution], seed: int) -> dict[str, Any]:
    rng = Random(seed)
    return taken(space, lambda _, distribution: distribution.sample(rng))


# Spaces of four parameters that depend on earlier ones in every way.

KEYS = ("loss.warmup_epochs", "loss.rampup_epochs", "data.folds", "trainer.batch_size")


@st.composite
def linked_spaces(drawn: st.DrawFn) -> dict[str, Any]:
    space: dict[str, Any] = {}
    order = drawn(st.permutations(KEYS))
    for place, key in enumerate(order):
        earlier = list(order[:place])
        listed = st.just({"choice": [1, 2, 3]})
        kinds = [listed, st.just({"randint": [1, 6]}), st.just({"uniform": [1, 4]})]
        whole = [one for one in earlier if "uniform" not in space[one]]
        if whole:
            kinds.append(
                st.sampled_from(whole).map(lambda of: {"randint": [-3, of]})  # below any value
            )
        own = dict(drawn(st.one_of(kinds)))
        if earlier and drawn(st.booleans()):
            on = drawn(st.sampled_from(earlier))
            own["when"] = {on: {"above": 2} if "choice" not in space[on] else [2, 3]}
        space[key] = own
    return {key: space[key] for key in drawn(st.permutations(KEYS))}


def linked_or_none(space: dict[str, Any]) -> dict[str, Distribution] | None:
    try:
        return space_of(space)
    except ValueError:  # a condition that never holds
        return None


@given(linked_spaces(), st.integers(0, 9))
def test_every_draw_satisfies_its_conditions_and_lies_between_its_bounds(
    space: dict[str, Any], seed: int
) -> None:
    if (linked := linked_or_none(space)) is None:
        return
    found = draw(linked, seed)
    # By hand, from the text of the space alone.
    for key, written in space.items():
        [(on, wanted)] = written.get("when", {None: None}).items()
        parent = found.get(on)
        holds = on is None or (
            parent is not None and (parent > 2 if isinstance(wanted, dict) else parent in wanted)
        )
        assert (key in found) == holds
        if key in found and isinstance(written.get("randint", [0, 0])[1], str):
            of = written["randint"][1]
            bound = found[of] if of in found else linked[key].ends[1].otherwise  # type: ignore[attr-defined]
            assert -3 <= found[key] < bound
    assert lies_in(linked, found)
    assert list(found) == drawn_in(linked, found)


@settings(max_examples=20)
@given(linked_spaces())
def test_linked_space_survives_yaml(space: dict[str, Any]) -> None:
    values = {"name": "linked", "replay_patience": False, "space": space}
    try:
        spec = SweepSpec.model_validate(values)
    except ValueError:
        return
    again = SweepSpec.model_validate(parse_document(to_yaml(spec), "a file").values)
    assert again == spec
    assert [one.when for one in again.space.values()] == [one.when for one in spec.space.values()]


@given(linked_spaces())
def test_each_parameter_comes_after_all_that_it_depends_on(space: dict[str, Any]) -> None:
    if (linked := linked_or_none(space)) is None:
        return
    order = in_order(linked)
    assert sorted(order) == sorted(space)
    for key, written in space.items():
        for on in written.get("when", {}):
            assert order.index(on) < order.index(key)


def test_order_of_a_space_without_conditions_is_its_own() -> None:
    space = space_of(WARMUP | NAME | {"optimizer.lr": {"loguniform": [1e-3, 1]}})
    assert in_order(space) == list(space)


GRID = {
    "optimizer.momentum": {"grid": [0.8, 0.9], "when": {"optimizer.name": "sgd"}},
    "optimizer.name": {"grid": ["sgd", "adamw"]},
    "optimizer.schedule": {"choice": ["poly", "constant"]},
    "optimizer.poly_exponent": {
        "choice": [0.8, 0.9, 1.0],
        "when": {"optimizer.schedule": "poly", "optimizer.momentum": 0.9},
    },
    "loss.sqrt_epsilon": {"choice": [1e-6, 1e-4]},
}


def test_grid_has_every_distinct_combination_once() -> None:
    space = space_of(GRID, searcher="grid")
    every = [block.combination(n) for block in blocks(space) for n in range(block.size)]
    texts = {repr(sorted(one.items())) for one in every}
    # By brute force: all products, less what a condition leaves out.
    products = itertools.product(*(kind.values for kind in space.values()))  # type: ignore[attr-defined]
    brute = set()
    for values in products:
        found = dict(zip(space, values, strict=True))
        brute.add(repr(sorted((key, found[key]) for key in drawn_in(space, found))))
    assert texts == brute
    assert len(every) == len(texts) == grid_size(space)
    # adamw: 2 schedules; sgd: 0.8 with 2 schedules, 0.9 with constant, 0.9 and poly with 3.
    assert grid_size(space) == 2 * (2 + 2 + 1 + 3)


def test_grid_of_a_sweep_has_as_many_trials_as_distinct_combinations() -> None:
    assert load_sweep({"name": "linked", "space": GRID, "searcher": "grid"}).trials == 16
    [(key, message)] = refused(GRID, searcher="grid", trials=17)
    assert (key, "at most 16" in message) == ("trials", True)


@pytest.mark.parametrize("kind", [Uniform, LogUniform, RandInt, LogRandInt])
@given(low=st.integers(1, 50), width=st.integers(1, 500), place=st.integers(0, STEPS))
def test_place_between_bounds_survives_the_way_to_the_value_and_back(
    kind: type[Uniform], low: int, width: int, place: int
) -> None:
    interval = kind(low, low + width)
    value = value_at(interval, place)
    assert interval.contains(value)
    settled = place_of(interval, value)
    assert value_at(interval, settled) == pytest.approx(value, rel=1e-12)
    assert place_of(interval, value_at(interval, settled)) == settled
    if not isinstance(interval, RandInt):
        assert settled == place


def test_every_whole_number_has_about_as_many_places() -> None:
    values = [value_at(RandInt(0, 4), place) for place in range(0, STEPS, 1000)]
    assert [values.count(number) for number in range(4)] == [250] * 4


def test_bound_is_the_value_of_the_other_and_its_range_the_widest() -> None:
    space = space_of(WARMUP | RAMPUP)
    rampup = space["loss.rampup_epochs"]
    assert rampup.extent == (0, 7)
    assert within(rampup, {"loss.warmup_epochs": 3}).extent == (0, 2)
    assert rampup.arguments == [0, "loss.warmup_epochs"]
    assert not lies_in(space, {"loss.warmup_epochs": 3, "loss.rampup_epochs": 3})


def test_bound_can_be_a_fixed_setting() -> None:
    space = {"loss.warmup_epochs": {"randint": [1, "trainer.epochs"]}}
    assert space_of(space, trainer={"epochs": 7})["loss.warmup_epochs"].extent == (1, 6)


def test_bound_that_is_not_drawn_is_the_value_of_the_sweep_file() -> None:
    name = {"when": {"optimizer.name": "sgd"}}
    space = space_of(
        NAME | {"loss.warmup_epochs": WARMUP["loss.warmup_epochs"] | name} | RAMPUP,
        loss={"warmup_epochs": 30},
    )
    assert space["loss.rampup_epochs"].extent == (0, 29)
    other = within(space["loss.rampup_epochs"], {"optimizer.name": "adamw"})
    assert other.extent == (0, 29)


def test_own_condition_limits_the_range_of_a_bound() -> None:
    warmup = {"loss.warmup_epochs": {"randint": [0, 9]}}
    above = {"when": {"loss.warmup_epochs": {"above": 0}}}
    space = space_of(warmup | {"loss.rampup_epochs": RAMPUP["loss.rampup_epochs"] | above})
    assert lies_in(space, {"loss.warmup_epochs": 0})
    assert not lies_in(space, {"loss.warmup_epochs": 1})


WHEN = "optimizer.momentum"


@pytest.mark.parametrize(
    ("space", "key", "message"),
    [
        (
            MOMENTUM,
            "space.optimizer.momentum.when.optimizer.name",
            '`optimizer.name` is not searched, it is "sgd" in every trial, so '
            '`when: {optimizer.name: "sgd"}` always holds; leave it out',
        ),
        (
            NAME | {WHEN: {"uniform": [0, 1], "when": {"optimizer.name": "sdg"}}},
            "space.optimizer.momentum.when.optimizer.name",
            '`optimizer.name` is never "sdg"; did you mean `sgd`?',
        ),
        (
            {"network.channels": {"choice": [[8, 16, 32], [4, 8, 16]]}}
            | {WHEN: {"uniform": [0, 1], "when": {"network.channels": [8, 16, 32]}}},
            "space.optimizer.momentum.when.network.channels",
            "`network.channels` takes lists: write a list of them, `[[8, 16, 32]]`",
        ),
        (
            NAME | {WHEN: {"uniform": [0, 1], "when": {"optimizer.nam": "sgd"}}},
            "space.optimizer.momentum.when.optimizer.nam",
            "`optimizer.nam` is not a setting; did you mean `optimizer.name`?",
        ),
        (
            NAME | {WHEN: {"uniform": [0, 1], "when": {"optimizer": "sgd"}}},
            "space.optimizer.momentum.when.optimizer",
            "`optimizer` is a group of settings; did you mean `optimizer.name`?",
        ),
        (
            NAME | {WHEN: {"uniform": [0, 1], "when": {"loss": "dice"}}},
            "space.optimizer.momentum.when.loss",
            "`loss` is a group of settings; name one that is searched",
        ),
        (
            NAME | {WHEN: {"uniform": [0, 1], "when": {"optimizer.name": ["adamw", "sgd"]}}},
            "space.optimizer.momentum.when.optimizer.name",
            '`when: {optimizer.name: ["adamw", "sgd"]}` holds in every trial; leave it out',
        ),
        (
            NAME | {WHEN: {"uniform": [0.1, 0.9], "when": {"optimizer.name": "adamw"}}},
            "space.optimizer.momentum.when.optimizer.name",
            "is drawn only where it has no effect: AdamW has no momentum",
        ),
        (
            NAME | {WHEN: {"uniform": [0.1, 0.9], "when": {"optimizer.momentum": {"above": 0.5}}}},
            "space.optimizer.momentum",
            "depends on itself: `optimizer.momentum` needs `optimizer.momentum`",
        ),
        (
            NAME | {WHEN: {"uniform": [0, 1], "when": {"optimizer.name": [[["sgd"]], {"a": 1}]}}},
            "space.optimizer.momentum",
            "`when` for `optimizer.name` takes a value, a list of different values, or numbers "
            'for `above` and `below`, but has [[["sgd"]], {"a": 1}]',
        ),
        (
            NAME | {WHEN: {"uniform": [0, 1], "when": {"optimizer.name": [[["sgd"]]]}}},
            "space.optimizer.momentum.when.optimizer.name",
            '`optimizer.name` is never [["sgd"]]; it has `choice: ["sgd", "adamw"]`',
        ),
        (
            WARMUP | {WHEN: {"uniform": [0, 1], "when": {"loss.warmup_epochs": {"over": 3}}}},
            "space.optimizer.momentum",
            "`when` for `loss.warmup_epochs` takes a value, a list of different values, or numbers "
            'for `above` and `below`, but has {"over": 3}',
        ),
        (
            {"loss.warmup_epochs": {"randint": [0, 9]}} | RAMPUP,
            "space.loss.rampup_epochs",
            "`randint` needs low < high, but its bounds can be 0 and 0 (the upper one is excluded);"
            " limit `loss.warmup_epochs`, or add `when: {loss.warmup_epochs: {above: …}}`",
        ),
        (
            {"loss.rampup_epochs": {"randint": [0, "loss.warmup_epoch"]}},
            "space.loss.rampup_epochs",
            "`loss.warmup_epoch` is not a setting; did you mean `loss.warmup_epochs`?",
        ),
        (
            {"loss.rampup_epochs": {"randint": [0, "optimizer.lr"]}},
            "space.loss.rampup_epochs",
            "a bound of `randint` must be a whole number, but `optimizer.lr` can be 0.01",
        ),
        (
            WARMUP | {"loss.rampup_epochs": {"randint": [0, "warmup_epochs"]}},
            "space.loss.rampup_epochs",
            "`randint` takes numbers and dotted names of settings, but has "
            '"warmup_epochs"; did you mean `loss.warmup_epochs`?',
        ),
        (
            {"loss.warmup_epochs": {"randint": ["loss.rampup_epochs", 3]}},
            "space.loss.warmup_epochs",
            "`randint` needs low < high, but its bounds can be 10 and 3 (the upper one is "
            "excluded); limit `loss.rampup_epochs`",
        ),
    ],
)
def test_what_never_or_always_holds_is_refused_in_words(
    space: dict[str, Any], key: str, message: str
) -> None:
    assert refused(space, optimizer={"lr": 0.01})[0] == (key, message)


def test_bound_of_a_condition_is_told_to_its_last_digit() -> None:
    space = {"data.count": {"randint": [5, 2_000_000]}} | {
        WHEN: {"uniform": [0, 1], "when": {"data.count": {"above": 12_345_678}}}
    }
    assert "`when: {data.count: {above: 12345678}}` never holds" in refused(space)[0][1]


def test_circle_is_refused_with_its_way() -> None:
    space = {
        "optimizer.lr": {"loguniform": [0.1, 1], "when": {"optimizer.momentum": {"above": 0.5}}},
        "optimizer.momentum": {"uniform": [0.1, "optimizer.lr"]},
    }
    assert refused(space)[0] == (
        "space.optimizer.lr",
        "depends on itself: `optimizer.lr` needs `optimizer.momentum` needs `optimizer.lr`",
    )


def test_mistake_of_a_parent_is_not_told_again_of_its_children() -> None:
    wrong = {"optimizer.name": {"choise": ["sgd", "adamw"]}} | MOMENTUM
    assert [key for key, _ in refused(wrong)] == ["space.optimizer.name"]


def test_condition_beside_a_replayed_setting_is_refused() -> None:
    patience = {"early_stopping.patience": {"choice": [3, 5], "when": {"optimizer.name": "sgd"}}}
    [(key, message)] = refused(NAME | MOMENTUM | patience)
    assert key == "space.early_stopping.patience"
    assert message.startswith("needs no condition")


def test_missing_condition_is_proposed_and_a_present_one_is_not() -> None:
    from sweep.spec.checks.searched_in_vain import missing_conditions

    without = {"optimizer.momentum": {"uniform": [0.8, 0.99]}}
    spec = load_sweep({"name": "linked", "space": NAME | without})
    assert list(missing_conditions(spec)) == [
        "`optimizer.momentum` is drawn for all trials, but has no effect where `optimizer.name` is"
        ' "adamw": AdamW has no momentum; add `when: {optimizer.name: "sgd"}`'
    ]
    spec = load_sweep({"name": "linked", "space": NAME | MOMENTUM})
    assert not list(missing_conditions(spec))


@given(linked_spaces(), st.integers(0, 2**32))
def test_every_trial_is_like_one_of_the_configurations(written, seed) -> None:
    if (space := linked_or_none(written)) is None:
        return
    conditions = [one for kind in space.values() for one in kind.when]

    def kind_of(values: dict[str, Any]) -> tuple[frozenset[str], tuple[bool, ...]]:
        holding = (one.on in values and one.holds(values[one.on]) for one in conditions)
        return frozenset(values), tuple(holding)

    assert kind_of(draw(space, seed)) in [*map(kind_of, configurations(space, space))]


@pytest.mark.parametrize(
    ("number", "wanted", "outcomes"),
    [
        ({"uniform": [0, 1]}, {"above": 0.2, "below": 0.8}, 2),  # at no bound does it hold
        ({"randint": [1, 4]}, [1, 3], 2),  # at each bound it does
        ({"quniform": [0, 0.3, 0.1]}, {"above": 0.15, "below": 0.25}, 2),
        ({"uniform": [0, 1]}, {"above": -1}, 1),
    ],
)
def test_configurations_are_of_each_side_of_a_condition(number, wanted, outcomes) -> None:
    when = {"uniform": [0, 1], "when": {"optimizer.momentum": wanted}}
    space = {
        name: parse_distribution(value)
        for name, value in {"optimizer.momentum": number, "optimizer.lr": when}.items()
    }
    assert len(configurations(space, ["optimizer.lr"])) == outcomes


def test_configurations_are_as_few_as_the_conditions_tell_apart() -> None:
    values = {"choice": [*range(1000)]}
    space = space_of({"loss.warmup_epochs": values, "trainer.batch_size": {"choice": [1, 2, 3]}})
    assert len(configurations(space, space)) == 1


def test_undrawn_setting_keeps_the_value_of_the_sweep_file() -> None:
    values = {"name": "linked", "space": NAME | MOMENTUM, "optimizer": {"momentum": 0.7}}
    spec = load_sweep(values)
    drawn = spec.as_drawn({"optimizer.name": "adamw", "optimizer.momentum": 0.9})
    assert drawn == {"optimizer.name": "adamw"}
    assert spec.to_train(drawn) == drawn
    assert spec.trial(drawn).optimizer.momentum == 0.7
    assert set(spec.values_of("optimizer.momentum")) == {0.8, 0.99, 0.7}


def test_bound_has_its_drawn_values_alone_where_both_are_drawn_together() -> None:
    weight = {"loss.weights.compactness": {"choice": [0, 0.1]}}
    when = {"when": {"loss.weights.compactness": 0.1}}
    warmup = {"loss.warmup_epochs": WARMUP["loss.warmup_epochs"] | when}
    rampup = {"loss.rampup_epochs": RAMPUP["loss.rampup_epochs"] | when}
    together = space_of(weight | warmup | rampup)["loss.rampup_epochs"]
    assert together.extent == (0, 7)
    # Without the condition, a ramp-up is drawn below the warm-up of the sweep file too: 20.
    assert space_of(weight | warmup | RAMPUP)["loss.rampup_epochs"].extent == (0, 19)


def test_trials_that_differ_in_what_they_do_not_draw_share_a_warmup() -> None:
    listed = {"optimizer.momentum": {"choice": [0.8, 0.9], "when": {"optimizer.name": "sgd"}}}
    spec = load_sweep({"name": "linked", "space": NAME | listed | WARMUP})
    drawn = spec.as_drawn({"optimizer.name": "adamw", "loss.warmup_epochs": 3})
    again = spec.as_drawn(drawn | {"optimizer.momentum": 0.9})
    assert trunk_key(spec.trial(drawn)) == trunk_key(spec.trial(again))
    assert branching_epochs(spec) == tuple(range(1, 9))


def test_values_that_a_condition_rules_out_beside_each_other_are_no_mistake() -> None:
    supervision = {"network.deep_supervision": {"choice": [True, False]}}
    names = {"network.name": {"choice": ["dynunet", "unet"]}}
    assert refused(names | supervision)
    when = {"when": {"network.name": "dynunet"}}
    fine = {"network.deep_supervision": supervision["network.deep_supervision"] | when}
    assert load_sweep({"name": "linked", "space": names | fine})


def test_values_of_a_setting_that_is_not_drawn_are_no_mistake_of_the_one_it_depends_on() -> None:
    space = {
        "loss.main": {"choice": ["dice_ce", "dice_focal"]},
        "loss.focal_gamma": {"choice": [1, 2], "when": {"loss.main": "dice_focal"}},
    }
    assert load_sweep({"name": "linked", "space": space})


def test_mistake_of_a_setting_beside_a_searched_one_has_its_name() -> None:
    space = {"loss.main": {"choice": ["dice_ce", "dice_focal"]}}
    message = "`loss.focal_gamma`: `dice_ce` has no focal term: must be null, but is 2"
    loss = {"main": "dice_focal", "focal_gamma": 2}
    assert refused(space, loss=loss) == [("space.loss.main", message)]


def test_bound_that_depends_limits_what_is_tried_beside_the_other() -> None:
    folds = {"data.folds": {"choice": [3, 5]}}
    assert load_sweep(
        {"name": "linked", "space": folds | {"data.fold": {"randint": [0, "data.folds"]}}}
    )
    [(_, message)] = refused(folds | {"data.fold": {"randint": [0, 5]}})
    assert message.startswith("`data.folds` 3 with `data.fold` 4: must be below `folds`")
