"""Files, commands, code and messages that pages show. Links are followed in test_readme.py."""

from __future__ import annotations

import ast
import re
import runpy
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from PIL import Image
from ruamel.yaml import YAML
from test_readme import leads_somewhere

import sweep
from sweep.cli import app
from sweep.data.files.image_file import read_header, read_pixels
from sweep.data.files.image_geometry import from_lps
from sweep.spec.load import load_sweep
from sweep.spec.search.sweep_spec import SweepSpec

ROOT = Path(__file__).parent.parent
FOLDERS = ("docs", "examples", "benchmarks", "results")
PAGES = [*ROOT.glob("*.md"), *(page for name in FOLDERS for page in ROOT.glob(f"{name}/**/*.md"))]
NOT_LOADED = (
    "example_middle",  # registered by the package of examples/plugin
    "with mistakes",  # on purpose: test_readme.py compares what is said of them
    "surface_mm",  # a metric of somebody's own trainer
)


def blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", text, re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for _, block in found]


def alternatives(block: str) -> list[str]:
    """The files that a block shows: one, or one for each time that it repeats a key."""
    entries = re.split(r"^(?=[a-z_]+:)", block, flags=re.MULTILINE)
    by_key: dict[str, list[str]] = {}
    for entry in entries:
        by_key.setdefault(entry.partition(":")[0], []).append(entry)
    most = max(map(len, by_key.values()))
    return ["".join(them[min(n, len(them) - 1)] for them in by_key.values()) for n in range(most)]


def test_every_file_of_a_sweep_that_a_page_shows_is_valid(tmp_path: Path) -> None:
    loaded = Counter[str]()
    for page in PAGES:
        name = str(page.relative_to(ROOT))
        for block in blocks(page, "yaml"):
            for text in alternatives(block):
                keys = YAML(typ="safe", pure=True).load(text) or {}
                is_sweep = set(keys) <= set(SweepSpec.model_fields)
                if not is_sweep or any(mark in block for mark in NOT_LOADED):
                    continue
                space = "" if "space" in keys else "space: {optimizer.lr: {choice: [0.1, 0.2]}}\n"
                file = tmp_path / "shown.yaml"
                file.write_text(f"{text}\n{space}")
                load_sweep(file)
                loaded[name] += bool(keys)
    assert len(loaded) > 15


def test_python_that_pages_show_can_be_compiled() -> None:
    shown = [block for page in PAGES for block in blocks(page, "python")]
    assert len(shown) > 20
    for block in shown:
        compile(block, "shown", "exec", ast.PyCF_ONLY_AST)


def options_of_commands() -> dict[str, set[str]]:
    group: Any = typer.main.get_command(app)
    return {
        name: {"--help", *(opt for p in one.params for opt in (*p.opts, *p.secondary_opts))}
        for name, one in group.commands.items()
    }


def test_readme_names_every_command_and_no_other() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = set(options_of_commands())
    assert commands - set(re.findall(r"`(?:python -m )?sweep\.(\w+)", readme)) == set()
    assert set(re.findall(r"python -m sweep\.(\w+)", readme)) - commands == set()


def test_every_option_of_a_command_that_a_page_shows_exists() -> None:
    options = options_of_commands()
    command = re.compile(rf"(?:python -m sweep\.|`sweep[. ]|^sweep )({'|'.join(options)})\b([^`]*)")
    wrong, found = [], 0
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        spans = [*re.findall(r"(?<!`)(`[^`]+`)(?!`)", text), *text.splitlines()]
        for name, rest in (match.groups() for span in spans for match in command.finditer(span)):
            own = re.split(r"[|;&>#]", rest)[0]
            for option in re.findall(r"(?<!\S)--[a-z][\w-]*", own):
                found += 1
                if option not in options[name]:
                    wrong.append(f"{page.relative_to(ROOT)}: sweep.{name} {option}")
    assert found > 100
    assert wrong == []


def test_every_link_of_a_notebook_leads_somewhere() -> None:
    notebooks = list(ROOT.glob("examples/**/*.ipynb"))
    links = [
        (notebook, link)
        for notebook in notebooks
        for link in re.findall(r"\]\(([^)\s]+)\)", notebook.read_text(encoding="utf-8"))
        if link.startswith(".")
    ]
    assert len(links) > len(notebooks)
    assert [link for notebook, link in links if not leads_somewhere(notebook, link)] == []


def test_api_page_has_every_public_name() -> None:
    page = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    shown = {name.rpartition(".")[2] for name in re.findall(r"^::: ([\w.]+)$", page, re.MULTILINE)}
    contracts = (ROOT / "sweep" / "testing" / "__init__.py").read_text(encoding="utf-8")
    public = {*sweep.__all__, *re.findall(r"import (\w+) as", contracts)}
    assert public - shown == set()


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/how-to/from-*.md")), ids=lambda p: p.stem)
def test_code_beside_ours_is_that_of_the_examples(page: Path) -> None:
    files = {file.name: file for file in ROOT.glob("examples/**/*.*")}
    for language in ("python", "yaml"):
        for block in blocks(page, language):
            name, _, code = block.removeprefix("# ").partition("\n")
            if name in files:
                text = files[name].read_text(encoding="utf-8")
                assert re.sub(r"\n\n\n", "\n\n", code) in re.sub(r"\n\n\n", "\n\n", text), name


@pytest.mark.slow
def test_script_of_optuna_that_a_page_shows_runs() -> None:
    import optuna

    script = runpy.run_path(str(ROOT / "examples" / "coming_from" / "with_optuna.py"))
    study = optuna.create_study(direction="maximize")
    study.enqueue_trial({"lr": 1e-2, "width": 4})
    study.optimize(script["objective"], n_trials=1)
    assert study.best_value > 0.5


OF_OTHERS = ("CUDA out of memory",)
"""Headings of the page on messages that quote another package."""


def texts_of_the_package() -> list[str]:
    """Every text in its sources; of one with values in it, the parts between them."""
    found: list[str] = []
    for file in ROOT.glob("sweep/**/*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


FIRST_FILE = ROOT / "docs/how-to/first-file.md"


def save(pixels: NDArray[Any], file: str) -> None:
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    options = {"optimize": False} if file.endswith(".gif") else {}  # which would number the greys
    Image.fromarray(pixels).save(file, **options)


def as_drive(n: int, mask: NDArray[np.bool_], image: NDArray[np.uint8]) -> None:
    save(255 * mask.astype(np.uint8), f"1st_manual/2{n}_manual1.gif")
    save(image, f"images/2{n}_training.tif")


def as_chase_db1(n: int, mask: NDArray[np.bool_], image: NDArray[np.uint8]) -> None:
    for observer, seen in (("1st", mask), ("2nd", ~mask)):
        save(seen, f"CHASEDB1/Image_0{n}L_{observer}HO.png")  # of 1 bit
    save(image, f"CHASEDB1/Image_0{n}L.jpg")


def as_kvasir_seg(n: int, mask: NDArray[np.bool_], image: NDArray[np.uint8]) -> None:
    save(np.stack([255 * mask.astype(np.uint8)] * 3, -1), f"masks/c{n}.jpg")
    assert len(np.unique(Image.open(f"masks/c{n}.jpg"))) > 2
    save(image, f"images/c{n}.jpg")


def as_data_science_bowl_2018(n: int, mask: NDArray[np.bool_], image: NDArray[np.uint8]) -> None:
    for half in range(2):
        own = 255 * mask.astype(np.uint8)
        own[half * 20 :][:20] = 0
        save(own, f"stage1_train/c{n}/masks/{half}.png")
    opaque = np.full((*mask.shape, 1), 255, np.uint8)
    save(np.concatenate([image, opaque], -1), f"stage1_train/c{n}/images/c{n}.png")


PUBLISHED = {
    "DRIVE": as_drive,
    "CHASE_DB1": as_chase_db1,
    "Kvasir-SEG": as_kvasir_seg,
    "Data Science Bowl 2018": as_data_science_bowl_2018,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_script_for_images_and_masks_writes_public_datasets_as_their_line_says(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is written in the layout, the format and the bits in which it is published."""
    script, *_ = blocks(FIRST_FILE, "python")
    rows = re.findall(
        r"^\| ([^|]+) \| `(\"[^`]+)` \| `(.+)` \|$", FIRST_FILE.read_text(encoding="utf-8"), re.M
    )
    lines = {row: (label, cases) for row, label, cases in rows}
    assert lines.keys() == PUBLISHED.keys()
    label, cases = lines[name]
    script = re.sub(
        r"^classes = .*", f'classes = {{"background": 0, {label}}}', script, flags=re.MULTILINE
    )
    script = re.sub(r"^cases = .*", f"cases = {cases}", script, flags=re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    masks = np.zeros((3, 40, 48), bool)
    for n, mask in enumerate(masks):
        mask[9 + n : 31, 11:37] = True
        PUBLISHED[name](n, mask, rng.integers(0, 255, (40, 48, 3), dtype=np.uint8))
    exec(script, {})
    found = sorted(Path("Dataset123_Name/labelsTr").iterdir())
    np.testing.assert_array_equal([np.array(Image.open(file)) for file in found], masks)
    data = {"source": "nnunet_raw", "folder": "Dataset123_Name", "folds": 3}
    space = {"optimizer.lr": {"choice": [0.1, 0.2]}}
    sweep.check(sweep.load({"name": "x", "data": data, "space": space}))


Volume = NDArray[np.int16]
LPS = np.diag([-1.5, -1.5, 3, 1])


def save_volume(pixels: Volume, file: str) -> None:
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(pixels, LPS), file)


def as_brats(n: int, channels: Volume, classes: Volume) -> None:
    case = f"BraTS20_Training_00{n}"
    for name, pixels in zip(("flair", "t1", "t1ce", "t2"), channels, strict=True):
        save_volume(pixels, f"BraTS/{case}/{case}_{name}.nii.gz")
    save_volume(np.array([0, 1, 2, 4], np.int16)[classes], f"BraTS/{case}/{case}_seg.nii.gz")


def as_acdc(n: int, channels: Volume, classes: Volume) -> None:
    folder = f"training/patient00{n}"
    save_volume(channels[0], f"{folder}/patient00{n}_frame01.nii.gz")
    save_volume(classes, f"{folder}/patient00{n}_frame01_gt.nii.gz")
    save_volume(np.moveaxis(channels, 0, -1), f"{folder}/patient00{n}_4d.nii.gz")
    Path(f"{folder}/Info.cfg").write_text("ED: 1\n")


def as_kits19(n: int, channels: Volume, classes: Volume) -> None:
    save_volume(channels[0], f"data/case_0000{n}/imaging.nii.gz")
    save_volume(classes.clip(max=2), f"data/case_0000{n}/segmentation.nii.gz")


def as_decathlon_task01_braintumour(n: int, channels: Volume, classes: Volume) -> None:
    save_volume(np.moveaxis(channels, 0, -1), f"imagesTr/BRATS_00{n}.nii.gz")
    save_volume(classes, f"labelsTr/BRATS_00{n}.nii.gz")
    for folder in ("imagesTr", "labelsTr"):  # as tar writes them on macOS
        Path(f"{folder}/._BRATS_00{n}.nii.gz").write_bytes(b"")


PUBLISHED_VOLUMES = {
    "BraTS, 2018 to 2021": as_brats,
    "ACDC": as_acdc,
    "KiTS19": as_kits19,
    "Decathlon, Task01_BrainTumour": as_decathlon_task01_braintumour,
}


@pytest.mark.parametrize("name", PUBLISHED_VOLUMES)
def test_script_for_volumes_writes_public_datasets_as_their_line_says(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, script, _ = blocks(FIRST_FILE, "python")
    page = FIRST_FILE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \| `(\[.+?\])` \| `(.+?)` \| `(.+)` \|$", page, re.M)
    assert [row for row, *_ in rows] == [*PUBLISHED_VOLUMES]
    row = dict(zip(PUBLISHED_VOLUMES, rows, strict=True))[name]
    for key, value in zip(
        ("channels", "classes", "cases"),
        (row[1], f'{{"background": 0, {row[2]}}}', row[3]),
        strict=True,
    ):
        script, count = re.subn(rf"^{key} = .*", f"{key} = {value}", script, flags=re.MULTILINE)
        assert count == 1
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    channels = rng.integers(-99, 999, (3, 4, 20, 24, 18)).astype(np.int16)
    classes = rng.integers(0, 4, (3, 20, 24, 18)).astype(np.int16)
    for n in range(3):
        PUBLISHED_VOLUMES[name](n, channels[n], classes[n])
    exec(script, {})
    dataset, count = Path("Dataset124_Name"), len(ast.literal_eval(row[1]))
    known = len(ast.literal_eval(f"{{{row[2]}}}"))
    files = sorted((dataset / "imagesTr").iterdir())
    assert len(files) == 3 * count
    for n, file in enumerate(files):
        image = nibabel.load(file)
        np.testing.assert_array_equal(image.dataobj, channels[n // count, n % count])
        np.testing.assert_array_equal(image.affine, LPS)
    for n, file in enumerate(sorted((dataset / "labelsTr").iterdir())):
        label = nibabel.load(file)
        np.testing.assert_array_equal(label.dataobj, classes[n].clip(max=known))
        np.testing.assert_array_equal(label.affine, LPS)
        assert label.get_data_dtype() == np.uint8
    data = {"source": "nnunet_raw", "folder": str(dataset), "folds": 3}
    sweep.check(
        sweep.load({"name": "x", "data": data, "space": {"optimizer.lr": {"choice": [0.1, 0.2]}}})
    )


def test_script_for_images_and_masks_writes_a_dataset_with_classes_in_their_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, *_ = blocks(FIRST_FILE, "python")
    monkeypatch.chdir(tmp_path)
    old = np.random.default_rng(0).choice([0, 38, 255], (5, 40, 48))
    for folder in ("images", "masks"):
        Path(folder).mkdir()
    for number, mask in enumerate(old.astype(np.uint8)):
        Image.fromarray(mask).save(f"masks/case_{number}.png")
        Image.fromarray(np.stack([mask] * 3, -1)).save(f"images/case_{number}.png")
    exec(script, {})
    dataset = Path("Dataset123_Name")
    labels = [np.array(Image.open(file)) for file in sorted(dataset.glob("labelsTr/*.png"))]
    np.testing.assert_array_equal(labels, np.searchsorted([0, 38, 255], old))
    spec = sweep.load(
        {
            "name": "x",
            "data": {"source": "nnunet_raw", "folder": str(dataset)},
            "space": {"optimizer.lr": {"choice": [0.1, 0.2]}},
        }
    )
    assert not [line for line in sweep.check(spec) if "labels" in line]


def test_script_for_detached_headers_keeps_pixels_and_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import SimpleITK as sitk  # noqa: N813 (its usual name)

    *_, script = blocks(FIRST_FILE, "python")
    monkeypatch.chdir(tmp_path)
    Path("subset0").mkdir()
    stored = sitk.GetImageFromArray(np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6))
    stored.SetSpacing((0.7, 0.8, 2.5))
    stored.SetOrigin((-100, 30.5, 7))
    stored.SetDirection((0, -1, 0, 0, 0, -1, 1, 0, 0))
    for name, deflated in (("raw", False), ("zraw", True)):
        sitk.WriteImage(stored, f"subset0/{name}.mhd", useCompression=deflated)
    assert {file.suffix for file in Path("subset0").iterdir()} == {".mhd", ".raw", ".zraw"}
    exec(script, {})
    for name in ("raw", "zraw"):
        file = Path(f"Dataset016_Luna/imagesTr/{name}_0000.mha")
        geometry, doubts = read_header(file)
        columns = np.reshape(stored.GetDirection(), (3, 3))
        affine = from_lps(columns, stored.GetSpacing(), stored.GetOrigin())
        np.testing.assert_allclose(geometry.affine, affine)
        np.testing.assert_array_equal(read_pixels(file), sitk.GetArrayFromImage(stored).T)
        assert doubts == []


def test_package_says_every_message_of_the_page_on_troubles() -> None:
    page = (ROOT / "docs" / "how-to" / "troubleshooting.md").read_text(encoding="utf-8")
    headings = re.findall(r"^(?:###|-) `(.+)`$", page, re.MULTILINE)
    texts = re.sub(r"[`']", "", "\n".join(texts_of_the_package()))
    assert len(headings) > 30
    missing = [
        message
        for message in set(headings) - {*OF_OTHERS}
        if any(part.strip() not in texts for part in re.sub(r"[`']", "", message).split("…"))
    ]
    assert missing == []
