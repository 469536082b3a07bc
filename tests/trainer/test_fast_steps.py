"""Settings that make a step faster: memory format, compilation, TF32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from cut_short import cut_short

from sweep.data.prepared.prepare import prepare
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.divergence.blame import forward_order
from sweep.trainer.networks.device import is_channels_last
from sweep.trainer.networks.networks import build_network
from sweep.trainer.readback.verify import verify
from sweep.trainer.runs.monai_run import MonaiTraining
from sweep.trainer.runs.run_protocol import Loop
from sweep.trial.checkpoints import Checkpoints
from sweep.trial.fit import fit
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import NotApplied

MakeTrial = Callable[..., TrialSettings]

NET = """
import torch

class Net(torch.nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.head = torch.nn.Conv2d(channels, classes, 3, padding=1)

    def forward(self, images):
        return self.head(images)
"""


def train(config: TrialSettings, folder: Path | None = None) -> list[EpochMetrics]:
    """What a trial reports, without its wall times."""
    history: list[EpochMetrics] = []
    fit(config, report=history.append, checkpoint=Checkpoints(folder) if folder else None)
    return [replace(metrics, seconds=0.0) for metrics in history]


@pytest.mark.parametrize("name", ["dynunet", "attention_unet", "segresnet_ds"])
@pytest.mark.parametrize("axes", [2, 3])
def test_channels_last_is_read_back_from_the_weights(
    trial: MakeTrial, name: str, axes: int
) -> None:
    settings = trial(f"network.name={name}", "network.channels=[4, 8, 16]").network
    network = build_network(settings, 1, 2, spatial_dims=axes)
    assert not is_channels_last(network)
    last = torch.channels_last if axes == 2 else torch.channels_last_3d
    assert is_channels_last(network.to(memory_format=last))


def test_channels_last_changes_no_more_than_roundings(trial: MakeTrial) -> None:
    first, last = (
        MonaiTraining(config, prepare(config.data))
        for config in (trial(), trial("trainer.channels_last=true"))
    )
    assert first.model.state_dict().keys() == last.model.state_dict().keys()
    passes = [run.forward(run.batch(0, 0), 0, 0) for run in (first, last)]
    torch.testing.assert_close(passes[0].outputs, passes[1].outputs, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(passes[0].loss, passes[1].loss, rtol=1e-4, atol=1e-5)


def test_channels_last_goes_on_bit_for_bit_after_an_interruption(
    trial: MakeTrial, tmp_path: Path
) -> None:
    config = trial("trainer.channels_last=true", "trainer.amp=bf16")
    cut_short(config, 1, checkpoint=Checkpoints(tmp_path))
    assert train(config, tmp_path) == train(config)


def test_compiled_network_trains_the_same_twice_and_its_weights_fit_the_plain_one(
    trial: MakeTrial, tmp_path: Path
) -> None:
    (tmp_path / "compiled_net.py").write_text(NET)
    net = f"network={{name: '{tmp_path}/compiled_net.py:Net'}}"
    plain, compiled = trial(net), trial(net, "trainer.compile=true")
    history = train(compiled, tmp_path)
    assert history == train(compiled)
    losses = [[metrics.train_loss for metrics in one] for one in (history, train(plain))]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    best = Checkpoints(tmp_path).load_best()
    assert best is not None
    MonaiTraining(plain, prepare(plain.data)).model.load_state_dict(best["model"])


def test_compiled_network_is_still_told_which_parameter_comes_first(
    trial: MakeTrial, tmp_path: Path
) -> None:
    (tmp_path / "examined_net.py").write_text(NET)
    config = trial(f"network={{name: '{tmp_path}/examined_net.py:Net'}}", "trainer.compile=true")
    run = MonaiTraining(config, prepare(config.data))
    run.train_steps(0, stop=1)
    with forward_order(run.model) as order:
        run.step_again(0, 1).forward()
    assert order == ["head.weight", "head.bias"]


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_network_that_cannot_be_watched_diverges_all_the_same(
    trial: MakeTrial, tmp_path: Path
) -> None:
    scripted = (
        "\ndef scripted(channels, classes):\n    return torch.jit.script(Net(channels, classes))"
    )
    (tmp_path / "scripted_net.py").write_text(NET + scripted)
    config = trial(f"network={{name: '{tmp_path}/scripted_net.py:scripted'}}", "optimizer.lr=1e30")
    verdict = fit(config).divergence
    assert verdict is not None
    assert verdict.diagnosis is not None
    assert verdict.diagnosis.setting == "optimizer.lr"


@pytest.mark.parametrize("wanted", ["null", "true", "false"])
def test_tf32_is_read_back_from_torch_and_its_absence_is_noticed(
    trial: MakeTrial, wanted: str
) -> None:
    config = trial(f"trainer.tf32={wanted}")
    run = MonaiTraining(config, prepare(config.data))
    verify(config, run.effective_configuration(Loop.of(config)))
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = True
    with pytest.raises(NotApplied, match="'in matrix products only' in the trainer"):
        verify(config, run.effective_configuration(Loop.of(config)))
