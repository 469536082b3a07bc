from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from sweep.data.sources.shapes_datasets import write_shapes_dataset
from sweep.machine.hardware import Machine
from sweep.spec.settings.data_settings import ShapesData

Call = Callable[..., Result]

BAD = """\
trials: 0
searcher: tpee
loss:
  warmup_epoch: 3
space:
  loss.sqrt_epsilon: {loguniform: [0, 1]}
  early_stopping.patience: {choice: []}
"""


def errors(result: Result) -> list[str]:
    """The lines on stderr of a command that refused its input."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    return result.stderr.splitlines()


def test_good_file_is_summed_up_in_one_line(call: Call) -> None:
    result = call("check", "tiny.yaml")
    assert result.exit_code == 0
    assert result.stdout == (
        "tiny.yaml is fine: 3 trials of up to 4 epochs over 2 settings,"
        " searcher random, scheduler none\n"
    )
    assert result.stderr == ""


def test_example_of_the_repository_is_fine(call: Call) -> None:
    quickstart = Path(__file__).parents[2] / "search_spaces" / "quickstart.yaml"
    assert call("check", str(quickstart)).exit_code == 0


def test_nothing_is_written_or_trained(call: Call, folder: Path) -> None:
    call("check", "tiny.yaml")
    assert not (folder / "results").exists()
    assert len(list(folder.iterdir())) == 2


def test_every_mistake_is_told_at_once_with_file_line_and_key(call: Call, folder: Path) -> None:
    (folder / "bad.yaml").write_text(BAD)
    head, *mistakes = errors(call("check", "bad.yaml"))
    assert head == "errors:"
    assert [mistake.split(": ")[:2] for mistake in mistakes] == [
        ["bad.yaml:1", "trials"],
        ["bad.yaml:2", "searcher.name"],
        ["bad.yaml:4", "loss.warmup_epoch"],
        ["bad.yaml:6", "space.loss.sqrt_epsilon"],
        ["bad.yaml:7", "space.early_stopping.patience"],
    ]
    assert mistakes[2].endswith("did you mean `warmup_epochs`?")


def test_single_mistake_is_one_line(call: Call) -> None:
    [line] = errors(call("check", "tiny.yaml", "--set", "trials=-3"))
    assert line.startswith("error: ")
    assert "trials: must be at least 1, but is -3" in line


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("trials: [1, 2", "`[` is not closed"),
        ("", "empty"),
        ("- a list\n", "mapping"),
        ("\x00\x01\x02", "bad.yaml"),
        ("a: &a [*a]\n", "bad.yaml"),
    ],
)
def test_file_that_is_no_settings_file_is_refused_in_words(
    call: Call, folder: Path, text: str, told: str
) -> None:
    (folder / "bad.yaml").write_text(text)
    lines = errors(call("check", "bad.yaml"))
    assert told in "\n".join(lines)
    assert "bad.yaml" in "\n".join(lines)


@pytest.mark.parametrize("path", ["nowhere.yaml", ".", "tiny.yaml/x", "a" * 300])
def test_file_that_cannot_be_read_is_named(call: Call, path: str) -> None:
    [line] = errors(call("check", path))
    assert path in line


@pytest.mark.parametrize(
    "name", ["../../x", "/tmp/x", "..", "a/b", "a\\b", "", " ", "nul", "x\n", "-rf", "$(id)"]
)
def test_hostile_name_is_refused(call: Call, folder: Path, name: str) -> None:
    text = (folder / "tiny.yaml").read_text()
    (folder / "bad.yaml").write_text(f"name: {name!r}\n{text}".replace("\\\\", "\\"))
    [line] = errors(call("check", "bad.yaml"))
    assert line.startswith("error: bad.yaml:1: name: must be 1 to 100 letters")


def test_settings_can_be_overridden(call: Call) -> None:
    result = call("check", "tiny.yaml", "--set", "trials=7", "--set", "scheduler=asha")
    assert result.exit_code == 0
    assert "7 trials" in result.stdout
    assert "scheduler asha" in result.stdout


@pytest.mark.parametrize("override", ["trails=7", "trials", "=3", "loss.warmup_epoch=3", "trials="])
def test_override_that_is_wrong_is_refused(call: Call, override: str) -> None:
    [line] = errors(call("check", "tiny.yaml", "--set", override))
    assert "--set" in line


@pytest.mark.parametrize(
    "override", ["loss.weights.boundary=0.5", "loss={weights: {boundary: 0.5}, warmup_epochs: 2}"]
)
def test_override_of_a_searched_setting_is_a_warning_whose_cure_works(
    call: Call, override: str
) -> None:
    result = call("check", "tiny.yaml", "--set", override)
    assert result.exit_code == 0
    [warning] = [line for line in result.stderr.splitlines() if "is searched" in line]
    assert warning.startswith(f"warning: --set {override}: loss.weights.boundary: is searched")
    cure = warning.split("`--set '")[1].split("'`")[0]
    cured = call("check", "tiny.yaml", "--set", cure)
    assert cured.exit_code == 0
    assert "is searched" not in cured.stderr


def test_value_of_a_searched_setting_in_the_file_is_no_warning(call: Call, folder: Path) -> None:
    text = (folder / "tiny.yaml").read_text()
    (folder / "own.yaml").write_text(text.replace("loss: {", "loss: {weights: {boundary: 0.5}, "))
    assert "is searched" not in call("check", "own.yaml", "--set", "loss.rampup_epochs=1").stderr


def test_what_is_hardly_meant_is_a_warning(call: Call) -> None:
    result = call("check", "tiny.yaml", "--set", "loss.sqrt_epsilon=0")
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: `loss.sqrt_epsilon` 0 can diverge")
    assert result.stdout.startswith("tiny.yaml has no mistake, but 1 warning: 3 trials")


def test_rung_inside_the_warmup_is_a_warning(call: Call) -> None:
    result = call("check", "tiny.yaml", "--set", "scheduler={name: asha, grace_period: 1}")
    assert result.exit_code == 0
    assert "inside the longest warm-up" in result.stderr


def test_more_gpus_than_there_are_are_refused(call: Call) -> None:
    wanted = Machine.here().gpus + 1
    [line] = errors(call("check", "tiny.yaml", "--set", f"resources.gpu={wanted}"))
    assert "resources.gpu" in line


def test_dataset_folder_that_is_not_there_is_refused_with_its_line(
    call: Call, folder: Path
) -> None:
    _, *rest = (folder / "tiny.yaml").read_text().splitlines()
    data = "data: {source: nnunet_raw, folder: no/such/place}"
    (folder / "tiny.yaml").write_text("\n".join([data, *rest]))
    [line] = errors(call("check", "tiny.yaml"))
    assert line.startswith(
        f"error: tiny.yaml:1: data.folder: {folder / 'no/such/place'} is not a folder"
    )


def test_trial_file_is_sent_to_the_right_command(call: Call, folder: Path) -> None:
    (folder / "trial.yaml").write_text("trainer: {epochs: 3}\n")
    [line] = errors(call("check", "trial.yaml"))
    assert "python -m sweep.train trial.yaml" in line


def test_searched_seed_is_not_called_fine(call: Call) -> None:
    result = call("check", "tiny.yaml", "--set", "space.seed={randint: [0, 5]}")
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: `seed` is searched")
    assert "is fine" not in result.stdout


def test_gpu_that_there_is_not_is_told(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Machine, "here", lambda: Machine(cpus=2, gpus=0))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    told = "is `cuda`, but this machine has no GPU: must be `auto` or `cpu`"
    [line] = errors(call("check", "tiny.yaml", "--set", "trainer.device=cuda"))
    assert line == f"error: --set trainer.device=cuda: trainer.device: {told}"
    [line] = errors(call("train", "best.yaml", "--set", "trainer.device=cuda"))
    assert line.endswith(told)
    monkeypatch.setattr(Machine, "here", lambda: Machine(cpus=2, gpus=1, cuda=False))
    [line] = errors(call("check", "tiny.yaml", "--set", "trainer.device=cuda"))
    assert "but the installed torch is built without CUDA" in line


def test_results_that_stand_in_the_way_are_told(call: Call, folder: Path, results: Path) -> None:
    result = call("check", "tiny.yaml", "--set", f"name={results.name}")
    assert f"{results} already holds a sweep" in result.stderr
    (results.parent / "other").mkdir()
    (results.parent / "other" / "notes.txt").touch()
    result = call("check", "tiny.yaml", "--set", "name=other")
    assert "other exists and holds no sweep: give another `name`" in result.stderr
    [line] = errors(call("check", "tiny.yaml", "--results", "tiny.yaml"))
    assert line == f"error: --results: {folder / 'tiny.yaml'} is a file, not a folder"


def test_pixels_are_read_where_that_is_asked_for(call: Call, folder: Path) -> None:
    write_shapes_dataset(folder, 502, ShapesData(size=32, count=10), test=0)
    raw = folder / "Dataset502_Shapes_One"
    (raw / "imagesTr" / "one_circle_00003_0000.png").write_bytes(b"no picture")
    data = f"data={{source: nnunet_raw, folder: {raw}}}"
    assert call("check", "tiny.yaml", "--set", data).exit_code == 0
    found = errors(call("check", "tiny.yaml", "--set", data, "--data", "--set", "trials=0"))
    assert found[0] == "errors:"
    assert any("one_circle_00003_0000.png" in line for line in found)
    assert any("trials" in line for line in found)


def test_what_was_read_is_told_where_pixels_are(call: Call) -> None:
    told = "; read 15 cases of 32×32; fold 0: 12 train, 3 validate"
    assert told in call("check", "tiny.yaml", "--data").stdout
    told = "; read 15 cases of 32×32; fold 1: 9 train, 3 validate, 3 test"
    assert (
        told
        in call(
            "check", "tiny.yaml", "--data", "--set", "data.fold=1", "--set", "data.test=0.2"
        ).stdout
    )
    assert "cases" not in call("check", "tiny.yaml").stdout


def test_case_in_no_split_and_subjects_on_both_sides_are_warnings(call: Call, folder: Path) -> None:
    write_shapes_dataset(folder, 502, ShapesData(size=32, count=10), test=0)
    raw = folder / "Dataset502_Shapes_One"
    for path in raw.glob("*Tr/*.png"):
        path.rename(path.with_name(path.name.replace("one_circle_0000", "sub-01_ses-")))
    names = [f"sub-01_ses-{n}" for n in range(10)]
    (raw / "splits_final.json").write_text(json.dumps([{"train": names[:6], "val": names[6:9]}]))
    result = call("check", "tiny.yaml", "--set", f"data={{source: nnunet_raw, folder: {raw}}}")
    assert result.exit_code == 0
    assert "1 of 10 cases is on neither side of the split that splits_final.json" in result.stderr
    assert "3 of 3 validation cases have another image of the same subject" in result.stderr


NAMES_A_CLASS = """\
evaluation: {nsd_tolerance: {cirlce: 2}}
objective: nsd[disc]
"""


@pytest.mark.parametrize("source", ["shapes", "nnunet_raw"])
def test_class_that_the_data_do_not_have_is_found_before_a_pixel_is_read(
    call: Call, folder: Path, source: str
) -> None:
    text = (folder / "tiny.yaml").read_text()
    if source == "nnunet_raw":
        raw = write_shapes_dataset(folder, 502, ShapesData(count=12, size=32), test=0)
        first = text.splitlines()[0]
        text = text.replace(first, f"data: {{source: nnunet_raw, folder: {raw}}}")
        for image in (raw / "imagesTr").iterdir():
            image.write_bytes(b"")  # whoever reads it, fails
    (folder / "named.yaml").write_text(text + NAMES_A_CLASS)
    lines = errors(call("check", "named.yaml"))
    assert any(
        "evaluation.nsd_tolerance.cirlce: the data have no class `cirlce`; did you mean `circle`?"
        in line
        for line in lines
    )
    assert any("objective.metric: the data have no class `disc`" in line for line in lines)
