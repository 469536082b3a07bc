from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from pydantic import ValidationError

from sweep.spec.settings.network_settings import (
    WITHOUT_DEEP_SUPERVISION,
    WITHOUT_DROPOUT,
    NetworkName,
    NetworkSettings,
)
from sweep.trainer.networks.attention_unet import SupervisedAttentionUnet
from sweep.trainer.networks.networks import BUILDERS, as_outputs, build_network, size_divisor

CHANNELS = dict.fromkeys(get_args(NetworkName), (4, 8, 16)) | {
    "segresnet": (8, 16, 32),
    "basic_unet_plus_plus": (4, 4, 8, 8, 16),
}
every_network = pytest.mark.parametrize("name", get_args(NetworkName))
every_supervised_network = pytest.mark.parametrize(
    "name", [name for name in get_args(NetworkName) if name not in WITHOUT_DEEP_SUPERVISION]
)


def network_settings(name: str, **changes: Any) -> NetworkSettings:
    return NetworkSettings(**{"name": name, "channels": CHANNELS[name]} | changes)


def test_every_name_of_the_settings_has_a_builder() -> None:
    assert set(BUILDERS) == set(get_args(NetworkName))


@every_network
@pytest.mark.parametrize(("channels", "classes"), [(1, 2), (3, 4)])
def test_logits_have_the_size_of_the_input_and_a_channel_a_class(
    name: str, channels: int, classes: int
) -> None:
    network = build_network(network_settings(name), channels, classes).eval()
    outputs = as_outputs(network(torch.zeros(2, channels, 32, 48)))
    assert [tuple(output.shape) for output in outputs] == [(2, classes, 32, 48)]


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
    divisor = size_divisor(settings)
    assert divisor == 2 ** (levels - 1)
    network = build_network(settings, 1, 2).eval()
    [logits] = as_outputs(network(torch.zeros(1, 1, 3 * divisor, 5 * divisor)))
    assert logits.shape == (1, 2, 3 * divisor, 5 * divisor)


@every_network
@pytest.mark.parametrize("batch_size", [1, 2])
def test_images_halved_down_to_one_pixel_are_refused_where_the_network_raises(
    name: str, batch_size: int
) -> None:
    settings = network_settings(name)
    side = size_divisor(settings)
    settings.must_fit(side + 1, batch_size)  # is shown with twice the side
    network = build_network(settings, 1, 2).train()
    network(torch.zeros(batch_size, 1, 2 * side, 2 * side))
    image = torch.zeros(batch_size, 1, side, side)
    try:
        settings.must_fit(side, batch_size)
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
    name: str,
) -> None:
    network = build_network(network_settings(name), 3, 4).train()
    image = torch.randn(2, 3, 64, 96)
    outputs = as_outputs(network(image))
    sizes = [tuple(output.shape[-2:]) for output in outputs]
    assert len(outputs) == len(network_settings(name).channels) - 1
    assert {tuple(output.shape[:2]) for output in outputs} == {(2, 4)}
    assert sizes[0] == (64, 96)
    assert sizes == sorted(sizes, reverse=True)
    network.eval()
    [logits] = as_outputs(network(image))
    assert logits.shape == (2, 4, 64, 96)


@every_supervised_network
def test_deep_supervision_can_be_switched_off(name: str) -> None:
    network = build_network(network_settings(name, deep_supervision=False), 1, 2).train()
    assert len(as_outputs(network(torch.randn(2, 1, 32, 32)))) == 1


@every_supervised_network
def test_every_prediction_is_learnt_and_the_first_is_the_one_of_evaluation(name: str) -> None:
    # Without dropout and batch statistics training and evaluation predict the same.
    torch.manual_seed(0)
    network = build_network(network_settings(name), 1, 2).train()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    image = torch.randn(2, 1, 32, 32)
    outputs = as_outputs(network(image))
    torch.testing.assert_close(as_outputs(network.eval()(image))[0], outputs[0])
    for output in outputs:
        parameters = list(network.parameters())
        gradients = torch.autograd.grad(
            output.square().sum(), parameters, retain_graph=True, allow_unused=True
        )
        assert any(g is not None and bool(g.count_nonzero()) for g in gradients)
    network.train()
    loss = sum(output.square().sum() for output in as_outputs(network(image)))
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


def test_outputs_are_a_list_whatever_the_network_returns() -> None:
    coarse, fine = torch.zeros(2, 3, 8, 8), torch.ones(2, 3, 8, 8)
    for returned in ([fine, coarse], (fine, coarse), torch.stack([fine, coarse], dim=1)):
        outputs = as_outputs(returned)
        assert torch.equal(outputs[0], fine)
        assert torch.equal(outputs[1], coarse)
    assert len(as_outputs(fine)) == 1
