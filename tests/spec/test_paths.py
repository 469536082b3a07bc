"""``~`` and ``$VARIABLES`` in every path that a user may write, and what is told of unset ones."""

import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import sweep
from sweep.cli import app
from sweep.machine.machine_cache import default_cache
from sweep.machine.user_paths import expanded, results_argument
from sweep.nnunet.dataset.nnunet_folders import Folders
from sweep.spec.load import load_sweep, load_trial
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.vocabulary.errors import InputError, Mistake

SPACE = "space: {seed: {choice: [1, 2]}}\n"


@pytest.fixture(autouse=True)
def _somebody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SCRATCH", "/scratch/me")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.delenv("UNSET", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("~", "HOME"),
        ("~/raw", "HOME/raw"),
        ("$SCRATCH/raw", "/scratch/me/raw"),
        ("${SCRATCH}_2/raw", "/scratch/me_2/raw"),
        ("$HOME/a$SCRATCH", "HOME/a/scratch/me"),
        ("raw", "raw"),
        ("/a~b/$", "/a~b/$"),
        ("100$", "100$"),
        ("$5", "$5"),
    ],
)
def test_variables_and_the_home_folder_are_expanded(
    tmp_path: Path, written: str, meant: str
) -> None:
    assert expanded(written) == meant.replace("HOME", str(tmp_path / "home"))


def test_folder_whose_name_has_a_dollar_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "we$UNSET").mkdir()
    assert expanded(str(tmp_path / "we$UNSET")) == str(tmp_path / "we$UNSET")


@pytest.mark.parametrize("written", ["$UNSET/raw", "${UNSET}/raw", "$EMPTY/raw", "/x/$UNSET"])
def test_variable_that_is_not_set_is_named(written: str) -> None:
    name = "EMPTY" if "EMPTY" in written else "UNSET"
    with pytest.raises(ValueError, match=f"the environment variable '{name}' is not set, in"):
        expanded(written)


def test_home_of_nobody_is_told() -> None:
    with pytest.raises(ValueError, match="there is no home folder '~nobody-of-that-name'"):
        expanded("~nobody-of-that-name/raw")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("data: {source: nnunet_raw, folder: PATH}\n", "data.folder"),
        ("trainer: {kind: custom, entry: 'PATH/mine.py:Mine'}\n", "trainer.entry"),
        ("trainer: {kind: nnunet, dataset: 502, raw: PATH}\n", "trainer.raw"),
        ("trainer: {kind: nnunet, dataset: 502, preprocessed: PATH}\n", "trainer.preprocessed"),
        ("warm_start: PATH\n", "warm_start.results.0"),
    ],
)
def test_every_path_of_a_sweep_file_is_expanded(tmp_path: Path, text: str, key: str) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(SPACE + text.replace("PATH", "$SCRATCH/x"))
    found: Any = load_sweep(file)
    for part in key.split("."):
        found = found[int(part)] if part.isdigit() else getattr(found, part)
    assert found.startswith("/scratch/me/x")

    file.write_text(SPACE + text.replace("PATH", "$UNSET/x"))
    with pytest.raises(InputError) as caught:
        load_sweep(file)
    [mistake] = caught.value.mistakes
    assert str(mistake).startswith(f"{file}:2: {key.removesuffix('.0')}")
    assert "the environment variable 'UNSET' is not set, in '$UNSET/x" in mistake.message


def test_override_is_expanded_too(tmp_path: Path) -> None:
    file = tmp_path / "trial.yaml"
    file.write_text("data: {source: nnunet_raw, folder: x}\n")
    settings = load_trial(file, ["data.folder=~/raw"])
    assert settings.data.folder == str(tmp_path / "home" / "raw")  # type: ignore[union-attr]


def test_variables_that_name_folders_are_expanded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDICAL_SWEEP_CACHE", "$SCRATCH/cache")
    for name in ("raw", "preprocessed", "results"):
        monkeypatch.setenv(f"nnUNet_{name}", f"~/{name}")
    assert default_cache() == Path("/scratch/me/cache")
    home = tmp_path / "home"
    assert Folders.here() == Folders(home / "raw", home / "preprocessed", home / "results")
    file = tmp_path / "sweep.yaml"
    file.write_text(SPACE + "trainer: {kind: nnunet, dataset: 502}\n")
    assert load_sweep(file).trainer.raw == str(home / "raw")  # type: ignore[union-attr]
    monkeypatch.setenv("MEDICAL_SWEEP_CACHE", "$UNSET")
    with pytest.raises(InputError, match="MEDICAL_SWEEP_CACHE: the environment variable 'UNSET'"):
        default_cache()


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "PATH"],
        ["run", "space.yaml", "--results=PATH"],
        ["run", "space.yaml", "--results=s3://bucket/PATH"],
        ["check", "PATH"],
        ["train", "PATH"],
        ["train", "space.yaml", "--results=PATH"],
        ["train", "--replay=PATH"],
        ["rank", "PATH"],
        ["rank", "s3://bucket/PATH"],
        ["export", "PATH"],
        ["export", "space.yaml", "--output=PATH"],
        ["watch", "PATH"],
        ["shapes", "502", "PATH"],
        ["schema", "--write=PATH"],
    ],
)
def test_every_path_of_a_command_is_expanded(arguments: list[str]) -> None:
    answer = CliRunner().invoke(app, [a.replace("PATH", "$UNSET/x") for a in arguments])
    assert answer.exit_code == 2
    assert "the environment variable 'UNSET' is not set, in '" in answer.stderr
    assert "$UNSET/x'" in answer.stderr
    assert os.listdir() == []  # noqa: PTH208 (names are enough)


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "URI"],
        ["check", "URI"],
        ["train", "space.yaml", "--results=URI"],
        ["export", "space.yaml", "--output=URI"],
        ["predict", "results", "images", "--output=URI"],
        ["init", "quickstart", "--output=URI"],
        ["shapes", "502", "URI"],
        ["schema", "--write=URI"],
    ],
)
def test_uri_where_a_path_is_meant_is_refused_and_no_folder_s3_is_made(
    arguments: list[str],
) -> None:
    answer = CliRunner().invoke(app, [a.replace("URI", "s3://bucket/x") for a in arguments])
    assert answer.exit_code == 2
    assert ": must be a path on this machine, but is a URI" in answer.stderr
    assert os.listdir() == []  # noqa: PTH208 (names are enough)


def test_uri_for_a_function_is_a_text_and_only_where_one_is_meant(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^folder: is a URI: give it as a text, not as a Path"):
        sweep.open(Path("s3://bucket/x"))
    with pytest.raises(InputError, match=r"^output: must be a path on this machine, but is a URI"):
        sweep.predict(tmp_path, tmp_path, "s3://bucket/x")
    with pytest.raises(InputError, match=r"^results: must be a path on this machine, but is a URI"):
        sweep.train({}, results="s3://bucket/x")
    (tmp_path / "of:" / "me").mkdir(parents=True)
    assert results_argument("of:/me") == "of:/me"


def test_variables_within_a_uri_are_expanded() -> None:
    assert results_argument("s3://b$SCRATCH/~/x?region=eu") == "s3://b/scratch/me/~/x?region=eu"


def test_results_are_looked_for_at_home(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()  # else it counts as none
    answer = CliRunner().invoke(app, ["rank", "~/results/none"])
    assert answer.exit_code == 2
    assert str(tmp_path / "home" / "results" / "none") in answer.stderr


@pytest.mark.parametrize(
    ("text", "variable"),
    [
        ("trainer: {kind: nnunet, dataset: 1}\n", "nnUNet_raw: "),
        ("trainer: {kind: nnunet, dataset: 1, raw: /x}\n", "nnUNet_preprocessed: "),
        # What the file itself says is told where it says it.
        ("trainer: {kind: nnunet, dataset: 1, raw: /x, preprocessed: $UNSET}\n",
         "x.yaml:1: trainer.preprocessed: "),
    ],
)  # fmt: skip
def test_mistake_of_the_environment_names_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, variable: str
) -> None:
    monkeypatch.setenv("nnUNet_raw", "$UNSET")
    monkeypatch.setenv("nnUNet_preprocessed", "$UNSET")
    Path("x.yaml").write_text(text + SPACE)
    with pytest.raises(InputError) as caught:
        load_sweep("x.yaml")
    wrong = "the environment variable 'UNSET' is not set, in '$UNSET'"
    assert str(caught.value.mistakes[0]) == variable + wrong


def test_folder_of_the_environment_that_is_none_is_told_by_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "none"))
    Path("x.yaml").write_text("trainer: {kind: nnunet, dataset: 1}\n" + SPACE)

    def look(_: TrialSettings) -> list[Mistake]:
        return [Mistake("is not a folder", key="trainer.raw")]

    with pytest.raises(InputError) as caught:
        load_sweep("x.yaml", check_data=look)
    assert str(caught.value) == "nnUNet_raw: is not a folder"
    monkeypatch.delenv("nnUNet_raw")
    with pytest.raises(InputError) as caught:
        load_sweep("x.yaml", check_data=look)
    assert str(caught.value) == "x.yaml:1: trainer.raw: is not a folder"


@pytest.mark.parametrize("uri", ["s3://bucket/x", "gs://b", "https://host/x.zip", "file:///data/x"])
def test_uri_is_no_folder_of_data(uri: str) -> None:
    Path("space.yaml").write_text(f"data: {{source: nnunet_raw, folder: '{uri}'}}\n{SPACE}")
    with pytest.raises(InputError) as caught:
        load_sweep(Path("space.yaml"))
    hint = "; did you mean `/data/x`?" if uri.startswith("file") else ""
    assert str(caught.value) == (
        f"space.yaml:1: data.folder: '{uri}' is a URI: data must lie in a folder{hint}"
    )


def test_results_of_the_check_are_expanded_as_those_of_the_run(tmp_path: Path) -> None:
    Path("space.yaml").write_text(SPACE)
    (tmp_path / "home" / "r" / "space").mkdir(parents=True)
    (tmp_path / "home" / "r" / "space" / "notes").touch()
    unset = "error: --results: the environment variable 'UNSET' is not set"
    for written, told, code in (
        ("$UNSET/x", unset, 2),
        ("~/r", f"{tmp_path}/home/r/space exists and holds no sweep", 0),
        ("s3://$UNSET/x", unset, 2),
        (
            "file://host/x",
            "error: --results: must be file:///… and a path, but is file://host/x",
            2,
        ),
        ("//[r", "", 0),  # a path, and no address of a host
    ):
        result = CliRunner().invoke(app, ["check", "space.yaml", "--results", written])
        assert result.exit_code == code, result.output
        assert told in result.stderr.replace("\n", "")
