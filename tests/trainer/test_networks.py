from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sweep.spec.settings.network_settings import (
    FOLLOWS_SPACING,
    WITHOUT_DEEP_SUPERVISION,
    WITHOUT_DROPOUT,
    Levels,
    NetworkName,
    NetworkSettings,
)
from sweep.trainer.networks.attention_unet import SupervisedAttentionUnet
from sweep.trainer.networks.network_outputs import as_outputs
from sweep.trainer.networks.networks import (
    BUILDERS,
    NetworkFacts,
    build_network,
    network_facts,
    size_divisor,
)

CHANNELS = dict.fromkeys(get_args(NetworkName), (4, 8, 16)) | {
    "segresnet": (8, 16, 32),
    "basic_unet_plus_plus": (4, 4, 8, 8, 16),
}
every_network = pytest.mark.parametrize("name", get_args(NetworkName))
every_supervised_network = pytest.mark.parametrize(
    "name", [name for name in get_args(NetworkName) if name not in WITHOUT_DEEP_SUPERVISION]
)


@pytest.fixture(params=[(32, 48), (16, 24, 32)], ids=["2D", "3D"])
def size(request: pytest.FixtureRequest) -> tuple[int, ...]:
    """Of an image or a volume, in pixels: every network can halve it as often as it must."""
    return tuple(request.param)


def network_settings(name: str, **changes: Any) -> NetworkSettings:
    return NetworkSettings(**{"name": name, "channels": CHANNELS[name]} | changes)


def test_every_name_of_the_settings_has_a_builder() -> None:
    assert set(BUILDERS) == set(get_args(NetworkName))


@every_network
@pytest.mark.parametrize(("channels", "classes"), [(1, 2), (3, 4)])
def test_logits_have_the_size_of_the_input_and_a_channel_a_class(
    name: str, channels: int, classes: int, size: tuple[int, ...]
) -> None:
    axes = len(size)
    size = (32, *size[1:]) if name == "basic_unet_plus_plus" else size
    network = build_network(network_settings(name), channels, classes, spatial_dims=axes).eval()
    outputs = as_outputs(network(torch.zeros(2, channels, *size)), axes)
    assert [tuple(output.shape) for output in outputs] == [(2, classes, *size)]


@every_network
def test_same_seed_builds_the_same_weights(name: str) -> None:
    def weights(seed: int) -> list[torch.Tensor]:
        torch.manual_seed(seed)
        return list(build_network(network_settings(name), 1, 2).state_dict().values())

    assert all(map(torch.equal, weights(0), weights(0)))
    assert not all(map(torch.equal, weights(0), weights(1)))


@every_network
@pytest.mark.parametrize("levels", [3, 4])
def test_sides_that_are_a_multiple_of_the_divisor_can_be_halved(name: str, levels: int) -> None:
    levels = 5 if name == "basic_unet_plus_plus" else levels
    settings = network_settings(name, channels=[8 * 2**level for level in range(levels)])
    divisor, _ = size_divisor(settings)
    assert size_divisor(settings) == (2 ** (levels - 1),) * 2
    network = build_network(settings, 1, 2).eval()
    [logits] = as_outputs(network(torch.zeros(1, 1, 3 * divisor, 5 * divisor)))
    assert logits.shape == (1, 2, 3 * divisor, 5 * divisor)


@every_network
def test_volumes_of_coarse_slices_are_halved_along_them_as_often_as_the_divisor_says(
    name: str,
) -> None:
    settings, size, spacing = network_settings(name), (16, 32, 48), (5.0, 1.0, 1.0)
    divisor = size_divisor(settings, 3, size, spacing)
    halves_all = 2 ** (len(settings.channels) - 1)
    follows = name in FOLLOWS_SPACING
    assert divisor == ((1, 4, 4) if follows else (halves_all,) * 3)
    network = build_network(settings, 1, 2, spatial_dims=3, size=size, spacing=spacing).eval()
    volume = torch.zeros(1, 1, divisor[0], 3 * divisor[1], 2 * divisor[2])
    [logits] = as_outputs(network(volume), 3)
    assert logits.shape == (1, 2, *volume.shape[2:])


@given(
    size=st.tuples(*[st.integers(4, 160)] * 3),
    spacing=st.tuples(*[st.sampled_from([0.5, 0.7, 1.0, 1.3, 2.0, 3.0, 5.0, 8.0])] * 3),
)
def test_levels_of_a_volume_are_those_of_nnunet(
    size: tuple[int, ...], spacing: tuple[float, ...]
) -> None:
    topology = pytest.importorskip(
        "nnunetv2.experiment_planning.experiment_planners.network_topology", exc_type=ImportError
    )
    *_, strides, kernels, padded, divisor = topology.get_pool_and_conv_props(spacing, size, 4, 99)
    levels = Levels.following_spacing(len(strides), size, spacing)
    assert (levels.strides, levels.kernels) == (strides, kernels)
    assert levels.divisor == tuple(divisor)
    # A patch that was padded to what its levels ask for has the same levels.
    assert Levels.following_spacing(len(strides), tuple(padded), spacing) == levels
    with pytest.raises(ValueError, match=f"leave room for {len(strides)} levels, .* must be at"):
        Levels.following_spacing(len(strides) + 1, size, spacing)


def test_too_many_levels_for_a_patch_are_refused_with_what_would_fit() -> None:
    settings = network_settings("dynunet", channels=(4,) * 6)
    settings.must_fit((32, 128, 128), 2, size=(32, 128, 128), spacing=(5.0, 1.0, 1.0))
    with pytest.raises(
        ValidationError,
        match=r"patches of \[16, 64, 64\] voxels 5 × 1 × 1 mm apart leave room for 5 levels, since"
        r" 4 voxels must be left along an axis that is halved, but there are 6: must be at most 5"
        r" levels, or patches such as \[32, 128, 128\]",
    ):
        settings.must_fit((16, 64, 64), 2, size=(16, 64, 64), spacing=(5.0, 1.0, 1.0))


def test_volume_that_is_halved_down_to_a_voxel_is_refused_and_a_flat_one_is_not() -> None:
    settings = network_settings("unet", channels=(4, 8, 16, 32))
    settings.must_fit((2, 9, 2), 1)
    with pytest.raises(
        ValidationError,
        match=r"4 levels leave a single voxel of 8, .* must be at most 3 levels, or volumes and"
        " patches of more than 8 voxels along an axis",
    ):
        settings.must_fit((2, 8, 2), 1)


@every_network
@pytest.mark.parametrize("batch_size", [1, 2])
def test_images_halved_down_to_one_pixel_are_refused_where_the_network_raises(
    name: str, batch_size: int
) -> None:
    settings = network_settings(name)
    side, _ = size_divisor(settings)
    settings.must_fit((side + 1, side + 1), batch_size)  # is shown with twice the side
    network = build_network(settings, 1, 2).train()
    network(torch.zeros(batch_size, 1, 2 * side, 2 * side))
    image = torch.zeros(batch_size, 1, side, side)
    try:
        settings.must_fit((side, side), batch_size)
    except ValidationError:
        with pytest.raises(ValueError, match="Expected more than 1"):
            network(image)
    else:
        network(image)


@pytest.mark.parametrize("name", [n for n in get_args(NetworkName) if n not in WITHOUT_DROPOUT])
def test_dropout_acts_in_training_only(name: str) -> None:
    network = build_network(network_settings(name, dropout=0.5), 1, 2)
    image = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    network.eval()
    once, again = (as_outputs(network(image))[0] for _ in range(2))
    assert torch.equal(once, again)
    network.train()
    once, again = (as_outputs(network(image))[0] for _ in range(2))
    assert not torch.equal(once, again)


@every_supervised_network
def test_supervised_networks_predict_finest_first_in_training_and_once_in_evaluation(
    name: str, size: tuple[int, ...]
) -> None:
    axes = len(size)
    network = build_network(network_settings(name), 3, 4, spatial_dims=axes).train()
    size = (32, *size[1:]) if name == "basic_unet_plus_plus" else size
    image = torch.randn(2, 3, *size)
    outputs = as_outputs(network(image), axes)
    sizes = [tuple(output.shape[2:]) for output in outputs]
    assert len(outputs) == len(network_settings(name).channels) - 1
    assert {tuple(output.shape[:2]) for output in outputs} == {(2, 4)}
    assert sizes[0] == size
    assert sizes == sorted(sizes, reverse=True)
    network.eval()
    [logits] = as_outputs(network(image), axes)
    assert logits.shape == (2, 4, *size)


@every_supervised_network
def test_deep_supervision_can_be_switched_off(name: str) -> None:
    network = build_network(network_settings(name, deep_supervision=False), 1, 2).train()
    assert len(as_outputs(network(torch.randn(2, 1, 32, 32)))) == 1


@every_supervised_network
@pytest.mark.parametrize("axes", [2, 3])
def test_every_prediction_is_learnt_and_the_first_is_the_one_of_evaluation(
    name: str, axes: int
) -> None:
    # Without dropout and batch statistics training and evaluation predict the same.
    torch.manual_seed(0)
    network = build_network(network_settings(name), 1, 2, spatial_dims=axes).train()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm3d):
            module.eval()
    image = torch.randn(2, 1, *(32,) * axes)
    outputs = as_outputs(network(image), axes)
    torch.testing.assert_close(as_outputs(network.eval()(image), axes)[0], outputs[0])
    for output in outputs:
        parameters = list(network.parameters())
        gradients = torch.autograd.grad(
            output.square().sum(), parameters, retain_graph=True, allow_unused=True
        )
        assert any(g is not None and bool(g.count_nonzero()) for g in gradients)
    network.train()
    loss = sum(output.square().sum() for output in as_outputs(network(image), axes))
    assert isinstance(loss, torch.Tensor)
    loss.backward()
    assert all(p.grad is not None for p in network.parameters())


def test_attention_unet_keeps_no_graph_between_two_steps() -> None:
    network = build_network(network_settings("attention_unet"), 1, 2)
    assert isinstance(network, SupervisedAttentionUnet)
    for mode in (True, False):
        network.train(mode)(torch.randn(1, 1, 32, 32))
        assert network._features == []


@pytest.mark.parametrize(("levels", "outputs"), [(3, 2), (4, 3), (5, 4)])
def test_dynunet_predicts_at_every_level_but_the_two_coarsest(levels: int, outputs: int) -> None:
    settings = network_settings("dynunet", channels=(4,) * levels)
    network = build_network(settings, 1, 2).train()
    predicted = as_outputs(network(torch.randn(2, 1, 64, 64)))
    assert [tuple(output.shape) for output in predicted] == [(2, 2, 64, 64)] * outputs
    network.eval()
    assert len(as_outputs(network(torch.randn(2, 1, 64, 64)))) == 1


@pytest.mark.parametrize("axes", [2, 3])
def test_outputs_are_a_list_whatever_the_network_returns(axes: int) -> None:
    coarse, fine = torch.zeros(2, 3, *(8,) * axes), torch.ones(2, 3, *(8,) * axes)
    for returned in ([fine, coarse], (fine, coarse), torch.stack([fine, coarse], dim=1)):
        outputs = as_outputs(returned, axes)
        assert torch.equal(outputs[0], fine)
        assert torch.equal(outputs[1], coarse)
    assert len(as_outputs(fine, axes)) == 1


@every_network
@pytest.mark.parametrize("axes", [2, 3])
def test_network_is_read_back_as_it_was_asked_for(name: str, axes: int) -> None:
    settings = network_settings(name)
    facts = network_facts(build_network(settings, 1, 2, spatial_dims=axes))
    supervised = name not in WITHOUT_DEEP_SUPERVISION
    assert facts == NetworkFacts(name, [*settings.channels], supervised)
