"""Where a sweep runs and writes, what it asks of a cluster, and what it tells of its nodes."""

from __future__ import annotations

import math
import socket
import threading
from pathlib import Path

import pytest

from sweep.engine.on_ray.capacity import fitting
from sweep.engine.on_ray.node_checks import _look
from sweep.engine.on_ray.ray_cluster import require_answer
from sweep.engine.session.sweep_location import SweepLocation
from sweep.spec.settings.data_settings import NnunetRawData, ShapesData
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.vocabulary.errors import InputError

TRIAL = TrialSettings(data=ShapesData(source="shapes", difficulty=0, size=32, count=15))


def test_folder_does_not_depend_on_where_a_worker_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert SweepLocation.of("toy", "out", "auto") == SweepLocation(
        tmp_path / "out" / "toy", None, "auto"
    )


def test_uri_of_a_file_system_is_its_path(tmp_path: Path) -> None:
    folder = tmp_path / "a b"
    assert SweepLocation.of("toy", folder.as_uri()) == SweepLocation(folder / "toy")


def test_each_uri_has_a_copy_of_its_own(object_store: str) -> None:
    uris = (f"{object_store}/b", f"{object_store}/c", f"{object_store}/b?region=us-east-1")
    sites = [SweepLocation.of("toy", uri) for uri in uris]
    assert [location.uri for location in sites] == [
        f"{object_store}/b/toy",
        f"{object_store}/c/toy",
        f"{object_store}/b/toy?region=us-east-1",
    ]
    assert len({location.folder for location in sites}) == 3
    assert {location.folder.name for location in sites} == {"toy"}


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ray://head:10001", "Ray Client cannot drive a sweep"),
        ("head", "must be auto or HOST:PORT"),
        ("127.0.0.1:99999", "cannot join the Ray cluster at 127.0.0.1:99999"),
        ("no such host:6379", "cannot join the Ray cluster at no such host:6379"),
    ],
)
def test_wrong_address_is_refused_at_once(address: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        require_answer(address)
    assert caught.value.mistakes[0].key == "--address"


@pytest.mark.parametrize("address", ["ray://head:10001", "head", "127.0.0.1:99999"])
def test_address_that_can_never_answer_is_not_waited_for(address: str) -> None:
    with pytest.raises(InputError):
        require_answer(address, deadline=math.inf)


def test_cluster_that_is_still_starting_is_waited_for() -> None:
    with socket.socket() as late:
        late.bind(("127.0.0.1", 0))
        threading.Timer(0.1, late.listen).start()
        require_answer("{}:{}".format(*late.getsockname()), deadline=math.inf)


@pytest.mark.parametrize(
    ("node", "trial", "expected"),
    [
        ({"CPU": 8.0}, {"cpu": 1.0, "gpu": 0.0}, 8),
        ({"CPU": 8.0}, {"cpu": 3.0, "gpu": 0.0}, 2),
        ({"CPU": 8.0}, {"cpu": 1.0, "gpu": 1.0}, 0),
        ({"CPU": 8.0, "GPU": 2.0}, {"cpu": 1.0, "gpu": 0.5}, 4),
        ({"CPU": 8.0, "GPU": 2.0}, {"cpu": 1.0, "gpu": 0.4}, 4),  # no fraction is of two GPUs
        ({"memory": 1.0}, {"cpu": 1.0, "gpu": 0.0}, 0),
    ],
)
def test_node_has_room_for_what_all_of_its_resources_allow(
    node: dict[str, float], trial: dict[str, float], expected: int
) -> None:
    assert fitting(node, trial) == expected


def test_node_that_sees_the_results_answers_there(tmp_path: Path) -> None:
    (tmp_path / ".probe").touch()
    assert _look("n1", tmp_path.as_uri(), ".probe", TRIAL) == []
    assert (tmp_path / ".probe-n1").exists()


def test_node_that_does_not_see_the_results_says_so_and_makes_nothing(tmp_path: Path) -> None:
    [mistake] = _look("n1", (tmp_path / "mount").as_uri(), ".probe", TRIAL)
    assert (mistake.key, list(tmp_path.iterdir())) == ("--results", [])
    assert str(mistake.on("host (10.0.0.7)")) == (
        f"--results: file://{tmp_path}/mount is not seen: results must lie in storage that all"
        " nodes share, or at a URI (on node host (10.0.0.7))"
    )


def test_node_that_does_not_see_the_data_names_the_folder(tmp_path: Path) -> None:
    (tmp_path / ".probe").touch()
    data = NnunetRawData(source="nnunet_raw", folder=str(tmp_path / "raw"))
    [mistake] = _look("n1", tmp_path.as_uri(), ".probe", TrialSettings(data=data))
    assert mistake.key == "data.folder"
    assert mistake.message.startswith(f"{tmp_path / 'raw'} is not a folder")
