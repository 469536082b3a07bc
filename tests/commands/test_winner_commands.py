"""The commands for the winner, each run as it is printed."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import sweep
from sweep.analysis.figures.sweep_results import read_results
from sweep.analysis.ranking.ranking_frame import write_ranking
from sweep.report.takeaway.winner_use import IMAGES, MASKS, winner_use
from sweep.store.at_uri.remote_folder import RemoteFolder

Call = Callable[..., Result]


SPEC = """\
name: tiny
data: {source: shapes, difficulty: 0, size: 32, count: 15}
trainer: {epochs: 3, batch_size: 4, device: cpu}
network: {name: unet, channels: [4, 8, 16]}
loss: {warmup_epochs: 1, rampup_epochs: 1}
optimizer: {lr: 0.1, momentum: 0.95}
early_stopping: {patience: null}
trials: 2
searcher: random
scheduler: none
space:
  loss.weights.compactness: {loguniform: [1.0e-3, 1.0]}
"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep that has run."""
    file = tmp_path_factory.mktemp("swept") / "tiny.yaml"
    file.write_text(SPEC)
    return sweep.run(sweep.load(file), executor="local", results=file.parent).folder


@pytest.fixture
def tiny(swept: Path, folder: Path) -> Path:
    """The same in a folder whose name needs quotes in a shell."""
    own = folder / "my results" / "tiny"
    shutil.copytree(swept, own)
    write_ranking(own)  # best.yaml names its own path
    return own


def test_each_command_for_the_winner_runs_as_it_is_printed(
    tiny: Path, call: Call, folder: Path
) -> None:
    use = winner_use(read_results(tiny))
    assert use is not None
    assert call("shapes", "502", "raw", "--count", "5", "--size", "32").exit_code == 0
    shutil.copytree(folder / "raw" / "Dataset502_Shapes_One" / "imagesTr", folder / IMAGES)
    titles = [step.title for step in use.steps]
    assert titles == ["Train it again", "Train it on all cases", "Predict images with it"]
    for step in use.steps:
        (line,) = step.lines
        python, is_module, command, *arguments = shlex.split(line)
        assert (python, is_module) == ("python", "-m")
        assert call(command.removeprefix("sweep."), *arguments).exit_code == 0
    assert len(list((folder / MASKS).glob("*.png"))) == 5
    assert {path.name for path in (folder / "results").iterdir()} == {
        "train-tiny-best",
        "train-tiny-best-all-cases",
    }


def test_each_command_for_the_winner_of_results_at_a_uri_runs_as_it_is_printed(
    swept: Path,
    object_store: str,
    call: Call,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    remote = RemoteFolder(f"{object_store}/won/tiny")
    for file in filter(Path.is_file, swept.rglob("*")):
        remote.send(file, file.relative_to(swept).as_posix())
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    results = sweep.open(remote.uri)
    use = winner_use(results._read)
    assert use is not None
    assert call("shapes", "502", "raw", "--count", "5", "--size", "32").exit_code == 0
    shutil.copytree(folder / "raw" / "Dataset502_Shapes_One" / "imagesTr", folder / IMAGES)
    lines = [line for step in use.steps for line in step.lines]
    for line in (*lines, f"python -m sweep.export {remote.uri} --format yaml,html,ipynb -o away"):
        assert str(results.folder) not in line
        _, _, command, *arguments = shlex.split(line)
        done = call(command.removeprefix("sweep."), *arguments)
        assert done.exit_code == 0, (line, done.output)
    assert len(list((folder / MASKS).glob("*.png"))) == 5
    assert {path.name for path in (folder / "results").iterdir()} == {
        "train-tiny-best",
        "train-tiny-best-all-cases",
    }
    assert not [*temporary.glob("sweep-*/tiny")][1:]  # that of `results` alone
    assert f"local_results('{remote.uri}')" in (folder / "away" / "report.ipynb").read_text()
    written = (folder / "away" / "best.yaml").read_text()
    assert f"# python -m sweep.predict {remote.uri} IMAGES -o OUTPUT" in written
    refused = call("export", remote.uri)
    assert refused.exit_code == 2
    assert "--output: must name a folder on this machine" in refused.stderr
    unknown = call("predict", f"{remote.uri}/trials/t0009", IMAGES, "-o", "out")
    assert unknown.exit_code == 2
    assert f"{remote.uri}/trials/t0009 is no trial of {remote.uri}" in unknown.stderr


def test_paths_are_those_of_the_trial_while_there_is_no_best_yaml_of_it(tiny: Path) -> None:
    results = read_results(tiny)
    use = winner_use(results)
    assert use is not None
    assert use.steps[0].lines == (f"python -m sweep.train {shlex.quote(str(tiny / 'best.yaml'))}",)
    (tiny / "best.yaml").write_text("# of an earlier leader\nseed: 9\n")
    use = winner_use(results)
    assert use is not None
    own = tiny / "trials" / use.trial_id / "config.yaml"
    assert use.steps[0].lines == (f"python -m sweep.train {shlex.quote(str(own))}",)


def test_winner_without_weights_can_only_be_trained_again(tiny: Path) -> None:
    for weights in tiny.glob("trials/*/best.pt"):
        weights.unlink()
    use = winner_use(read_results(tiny))
    assert use is not None
    assert use.steps[-1].lines == ()
    assert use.steps[-1].remark == (
        f"No weights of {use.trial_id} were kept. Train it again first."
    )
