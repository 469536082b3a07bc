"""A network of another package, by ``package.module:attribute``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import sweep
from sweep.plugins.plugin_kinds import NETWORK
from sweep.spec.load import load_trial
from sweep.spec.settings.network_settings import NetworkSettings
from sweep.trainer.networks.networks import build_network

NETS = """
import torch

class Tiny(torch.nn.Module):
    size_divisor = 2

    def __init__(self, channels, classes, width=4):
        super().__init__()
        self.first = torch.nn.Conv2d(channels, width, 3, stride=2, padding=1)
        self.last = torch.nn.ConvTranspose2d(width, classes, 2, stride=2)

    def forward(self, images):
        return self.last(self.first(images).relu())

def nothing(channels, classes):
    return None

class Half(Tiny):
    def forward(self, images):
        return super().forward(images)[..., ::2, ::2]
"""


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "stranger_nets.py").write_text(NETS)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("stranger_nets", None)
    return tmp_path


def values(**more: Any) -> dict[str, Any]:
    return {
        "name": "toy",
        "trials": 2,
        "searcher": "grid",
        "scheduler": "none",
        "data": {"source": "shapes", "count": 6, "size": 33},
        "trainer": {"epochs": 1, "batch_size": 2, "device": "cpu"},
        "network": {"name": "stranger_nets:Tiny", "options": {"width": 2}},
        "space": {"network.options.width": {"choice": [3, 5]}},
        **more,
    }


def refused(**more: Any) -> list[str]:
    with pytest.raises(sweep.InputError) as caught:
        sweep.check(values(**more))
    return [str(mistake) for mistake in caught.value.mistakes]


def test_network_of_a_stranger_is_trained_with_searched_options(nets: Path) -> None:
    results = sweep.run(values(), results=nets, executor="local", progress=False)
    assert [results[one].status.value for one in results] == ["completed", "completed"]
    read = [results.best.config.network.name, results.best.config.network.options["width"]]
    assert read[0] == "stranger_nets:Tiny"
    widths = {sweep.open(results.folder)[one].config.network.options["width"] for one in results}
    assert widths == {3, 5}
    provenance = (results.folder / "trials" / "t0000" / "provenance.json").read_text()
    assert '"network.name": "stranger_nets:Tiny"' in provenance


def test_nothing_is_imported_by_reading_the_file(nets: Path) -> None:
    assert sweep.SweepSpec.model_validate(values()).network.name == "stranger_nets:Tiny"
    assert "stranger_nets" not in sys.modules


def test_parameters_that_only_some_plugins_have_need_no_default(nets: Path) -> None:
    (nets / "stranger_nets.py").write_text(
        "from torch.nn import Conv2d, Conv3d\n"
        "def either(channels, classes, spatial_dims):\n"
        "    return (Conv3d if spatial_dims == 3 else Conv2d)(channels, classes, 1)\n"
        "def volume(prediction, reference, spacing):\n"
        "    return prediction.sum()\n"
    )
    metrics = {"metrics": ["stranger_nets:volume"]}
    space = {"optimizer.lr": {"choice": [0.1, 0.2]}}
    sweep.check(values(network={"name": "stranger_nets:either"}, evaluation=metrics, space=space))
    for axes in (2, 3):
        network = build_network(
            NetworkSettings(name="stranger_nets:either"), 1, 2, spatial_dims=axes
        )
        assert [one.ndim for one in network.parameters()] == [axes + 2, 1]


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"name": "stranger_nets:Tinny"}, "stranger_nets has no `Tinny`; did you mean `Tiny`?"),
        ({"name": "no_such_nets:Tiny"}, "no_such_nets cannot be imported: ModuleNotFoundError"),
        (
            {"name": "stranger_nets:Tiny", "options": {"widht": 3}},
            "must take (channels, classes, widht=…): got an unexpected keyword argument 'widht'",
        ),
        ({"name": "stranger_nets:Tiny", "dropout": 0.5}, "a plug-in is set by `network.options`"),
        ({"name": "unet", "options": {"width": 3}}, "only a plug-in has options"),
        ({"name": "unett"}, "did you mean `unet`?"),
    ],
)
def test_mistakes_are_told_before_a_trial_starts(
    nets: Path, network: dict[str, Any], message: str
) -> None:
    told = refused(network=network, space={"optimizer.lr": {"choice": [0.1, 0.2]}})
    assert any(message in one for one in told), told


def test_option_that_has_no_value_cannot_be_searched(nets: Path) -> None:
    [told] = refused(space={"network.options.depth": {"choice": [1, 2]}})
    assert "`network.options` has no `depth`: give it a value there to search it" in told


def test_plugin_that_returns_no_network_fails_its_trial_with_its_name(nets: Path) -> None:
    space = {"optimizer.lr": {"choice": [0.1, 0.2]}}
    results = sweep.run(
        values(network={"name": "stranger_nets:nothing"}, space=space),
        results=nets, executor="local", progress=False,
    )  # fmt: skip
    assert "`stranger_nets:nothing` must be a torch.nn.Module" in str(results.frame["cause"][0])


def test_winner_read_back_is_not_warned_of_defaults_that_a_plugin_does_not_use(
    nets: Path, tmp_path: Path
) -> None:
    results = sweep.run(values(), results=tmp_path / "r", executor="local", progress=False)
    warnings: list[str] = []
    load_trial(results.folder / "best.yaml", warn=lambda one: warnings.append(str(one)))
    assert not warnings


def test_network_that_returns_another_size_fails_its_trial_in_words(
    nets: Path, tmp_path: Path
) -> None:
    spec = values(network={"name": "stranger_nets:Half", "options": {"width": 2}}, trials=1)
    spec["space"] = {"optimizer.lr": {"grid": [0.1]}}
    results = sweep.run(spec, results=tmp_path / "r", executor="local", progress=False)
    error = (results.folder / "trials" / "t0000" / "error.txt").read_text()
    assert "must return logits [2, 2, 34, 34] of images [2, 1, 34, 34], but returned" in error
    assert "[2, 2, 17, 17]" in error


def test_file_that_does_not_exist_is_named(nets: Path) -> None:
    found = refused(network={"name": f"{nets}/stranger_net.py:Tiny", "options": {"width": 2}})
    assert found == [f"network.name: {nets}/stranger_net.py does not exist"]


def test_short_name_of_a_package_that_is_installed_meanwhile_is_found(nets: Path) -> None:
    assert "wide" not in NETWORK.registered
    package = nets / "wide-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Name: wide\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(f"[{NETWORK.group}]\nwide = stranger_nets:Tiny\n")
    assert NETWORK.registered["wide"].value == "stranger_nets:Tiny"
    assert NetworkSettings(name="wide").name == "wide"
