import re
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.spec.checks.doubtful_settings import warnings
from sweep.spec.load import load_sweep, load_trial
from sweep.trial.trainer_check import Look
from sweep.vocabulary.errors import InputError

ROOT = Path(__file__).parent.parent
PAGES = [page for page in ROOT.glob("**/*.md") if ".venv" not in page.parts]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    broken = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert broken == []


def test_the_example_of_a_sweep_file_is_valid_but_for_its_dataset(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "example.yaml").write_text(example)
    spec = load_sweep(tmp_path / "example.yaml")
    assert spec.trials == 20
    assert len(spec.space) == 6


def test_the_example_of_the_augmentation_page_is_a_valid_trial(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "augmentation.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "example.yaml").write_text(example)
    assert load_trial(tmp_path / "example.yaml").augmentation.gamma.probability == 0.25


def test_the_example_of_the_search_page_is_a_valid_sweep(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "search.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "example.yaml").write_text(example)
    spec = load_sweep(tmp_path / "example.yaml")
    assert spec.given == 4
    assert spec.rungs() == [40]
    assert warnings(spec) == []


def test_files_of_the_tutorial_are_as_right_and_wrong_as_it_says(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    first, circles = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    file = tmp_path / "circles.yaml"
    file.write_text(first)
    assert load_trial(file).trainer.epochs == 6
    file.write_text(circles)
    with pytest.raises(InputError) as caught:
        load_sweep(file, check_data=Look())
    told = [str(mistake).partition(": ")[2] for mistake in caught.value.mistakes]
    shown = re.findall(r"^circles\.yaml:\d+: (.*)$", page, re.MULTILINE)
    ends = [line.replace(f"{Path.cwd()}/", "/home/you/") for line in told]
    assert ends == shown
    right = circles.replace("sqrt_modes", "sqrt_mode").replace("[0, 1]}", "[1e-3, 1]}")
    file.write_text(right)
    assert load_sweep(file).trials == 12


@pytest.mark.parametrize("command", re.findall(r"python -m (sweep\.\w+)", README))
def test_every_command_of_the_readme_exists(command: str) -> None:
    done = subprocess.run([sys.executable, "-m", command, "--help"], capture_output=True)
    assert done.returncode == 0


@pytest.mark.parametrize("space", sorted(ROOT.glob("search_spaces/*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_search_space_is_valid(space: Path) -> None:
    assert load_sweep(space).name == space.stem


def test_every_test_that_a_page_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs/faults.md").read_text())
    assert len(named) > 10
    for file, test in named:
        assert f"def {test}(" in (ROOT / file).read_text(), test
