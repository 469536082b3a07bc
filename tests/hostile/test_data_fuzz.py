"""No dataset folder and no data cache is answered otherwise than in words that name the file."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from watching import Answer, Ask

from sweep.data.nnunet_raw.header_survey import survey
from sweep.data.nnunet_raw.pixels import RawCase, load_case, write_raw
from sweep.data.nnunet_raw.raw_dataset import open_raw
from sweep.data.prepared.packed_cases import Contents, open_packed, write_packed
from sweep.data.prepared.samples import CaseArrays, OwnGrid
from sweep.vocabulary.errors import gathering

SPACE = """\
name: raw
data: {source: nnunet_raw, folder: raw}
space: {optimizer.lr: {choice: [0.01, 0.02]}}
"""
VALUES = st.sampled_from(
    [None, True, -1, 0, 1, 2**70, 0.5, "", "0", "../../x", "\x1b[2J", "a\nb", "\ud800", [], [1], {},
     {"a": 1}, {"0": "a", "1": "b"}, {"background": 0, "\x1b": 1}, "x" * 9000]
)  # fmt: skip


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of four images of 16² pixels, with a split of its own."""
    folder = tmp_path_factory.mktemp("pristine") / "raw"
    label = np.zeros((16, 16), np.uint8)
    label[4:9, 4:9] = 1
    names = [f"case_{index}" for index in range(4)]
    write_raw(
        folder,
        [RawCase(name, label[None] * 100, label) for name in names],
        name="raw",
        channel_names=["grey"],
        labels={"background": 0, "square": 1},
        file_ending=".png",
        splits=[(tuple(names[:2]), tuple(names[2:]))],
    )
    return folder


@pytest.fixture(scope="module")
def fresh(pristine: Path, here: Path) -> Callable[[], Path]:
    """Gives the dataset ``raw`` beside a sweep file that names it, whatever was there before."""
    (here / "space.yaml").write_text(SPACE)

    def fresh() -> Path:
        shutil.rmtree(here / "raw", ignore_errors=True)
        return Path(shutil.copytree(pristine, here / "raw"))

    return fresh


Fresh = Callable[[], Path]


def checked(ask: Ask) -> Answer:
    """What ``sweep check`` says of the dataset."""
    answer = ask("check", "space.yaml")
    answer.must_be_sound()
    assert answer.acts == []
    assert all(
        line.startswith("space.yaml:2: data.") or (line[0] == "/" and "/cwd/raw/" in line)
        for line in answer.mistakes
    )
    return answer


@given(
    file=st.sampled_from(["dataset.json", "splits_final.json"]),
    change=st.dictionaries(
        st.sampled_from(["channel_names", "labels", "numTraining", "file_ending", "name", "train"]),
        VALUES,
        max_size=3,
    ),
    at=st.sampled_from([None, 0]),
)
def test_any_description(
    ask: Ask, fresh: Fresh, file: str, change: dict[str, Any], at: int | None
) -> None:
    path = fresh() / file
    values = json.loads(path.read_text())
    top = values if isinstance(values, dict) else values[0]
    top.update(change)
    path.write_text(json.dumps(top if at is None else [top]))
    checked(ask)


@given(
    st.sampled_from(["dataset.json", "splits_final.json"]),
    st.binary(max_size=30) | st.sampled_from([b"[" * 100_000, b"9" * 5000, b"NaN", b"1e999"]),
)
def test_any_bytes_for_a_description(ask: Ask, fresh: Fresh, file: str, content: bytes) -> None:
    (fresh() / file).write_bytes(content)
    checked(ask)


FILE_NAMES = st.binary(min_size=1, max_size=20).filter(lambda n: not set(n) & {0, ord("/")})


@given(st.sampled_from(["imagesTr", "labelsTr"]), FILE_NAMES)
@example("imagesTr", b"a\nb_0000")
@example("imagesTr", b"\x1b[2J")
@example("labelsTr", b"\xff\xfe")
def test_any_file_name(ask: Ask, fresh: Fresh, folder: str, name: bytes) -> None:
    path = os.path.join(os.fsencode(fresh() / folder), name + b".png")  # noqa: PTH118 (bytes)
    with open(path, "wb"):  # noqa: PTH123
        pass
    visible = not name.startswith(b".")
    assert checked(ask).code == (2 if visible else 0)


@pytest.mark.parametrize("name", ["imagesTr/case_0_0000.png", "labelsTr/case_3.png"])
@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n", b"\xff" * 99, b"GIF89a" + b"\0" * 9]
)
def test_broken_image_is_named_before_a_trial_starts(
    ask: Ask,
    fresh: Fresh,
    here: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    content: bytes,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # where a library of MONAI keeps a list of fonts
    (fresh() / name).write_bytes(content)
    assert checked(ask).code == 0  # whose pixels nobody reads
    answer = ask("run", "space.yaml")
    answer.must_be_sound()
    [line] = answer.mistakes
    assert f"/raw/{name}: cannot be read as an image" in line
    assert not (here / "results").exists()


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of two small volumes, not compressed, so that any byte can be changed."""
    folder = tmp_path_factory.mktemp("volumes") / "raw"
    label = np.zeros((4, 5, 6), np.uint8)
    label[1:3, 1:4, 2:5] = 1
    write_raw(
        folder,
        [RawCase(name, label[None] * np.float32(9.5), label) for name in ("a", "b")],
        name="volumes",
        channel_names=["scan"],
        labels={"background": 0, "box": 1},
        file_ending=".nii",
    )
    return folder


@pytest.mark.filterwarnings("error")
@given(
    name=st.sampled_from(["imagesTr/a_0000.nii", "labelsTr/a.nii"]),
    changes=st.lists(st.tuples(st.integers(0, 351), st.integers(0, 255)), max_size=4),
)
@example("imagesTr/a_0000.nii", [(41, 127), (43, 127), (45, 127)])  # 32,516³ pixels
@example("labelsTr/a.nii", [(40, 0)])
@example("labelsTr/a.nii", [(80, 255), (81, 255), (82, 255), (83, 255)])  # spacing NaN
@example("imagesTr/a_0000.nii", [(254, 0), (252, 0)])  # no orientation
def test_any_nifti_header_is_read_or_refused_by_its_name(
    volumes: Path, name: str, changes: list[tuple[int, int]]
) -> None:
    file = volumes / name
    before = file.read_bytes()
    content = bytearray(before)
    for place, value in changes:
        content[place] = value
    file.write_bytes(content)
    dataset = open_raw(volumes)
    try:
        found = survey([dataset], "auto")
        mistakes = [*found.mistakes]
        for case, grid in found.grids.items():
            with gathering(mistakes):
                image, label = load_case(dataset, case, grid)
                assert image.shape == (1, *label.shape)
    finally:
        file.write_bytes(before)
    assert all(one.file.startswith(f"{volumes}/") and one.message for one in mistakes)
    assert all(found.warnings)


@given(data=st.data())
def test_any_index_of_a_data_cache_is_opened_or_built_again(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("packed")
    image, label = np.zeros((1, 1, 4, 4), np.float32), np.zeros((1, 4, 4), np.uint8)
    own = OwnGrid(np.zeros((1, 8, 8), np.uint8), (0.5, 0.5))
    write_packed(
        folder,
        [CaseArrays("a", image, label, (), (1.0, 1.0), own)],
        lambda: Contents(
            channels=("grey",),
            classes=("background", "square"),
            splits=((("a",), ("a",)),),
            settings={},
        ),
    )
    file = folder / "index.json"
    index = json.loads(file.read_text())
    group = data.draw(st.sampled_from([index, index["cases"][0]]))
    key = data.draw(st.sampled_from(sorted(group)))
    group[key] = data.draw(VALUES | st.lists(VALUES, max_size=3))
    text = json.dumps(index)
    file.write_text(data.draw(st.sampled_from([text, text, text[:30], "[" * 100_000])))
    packed = open_packed(folder)
    assert packed is None or isinstance(packed[0], Contents)
    shutil.rmtree(folder)
