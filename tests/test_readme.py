import re
from pathlib import Path

import pytest
from test_imports import FLOORS

from sweep.spec.checks.doubtful_settings import warnings
from sweep.spec.load import load_sweep, load_trial
from sweep.trial.trainer_check import TrainerCheck
from sweep.vocabulary.errors import InputError

ROOT = Path(__file__).parent.parent
PAGES = [page for page in ROOT.glob("**/*.md") if ".venv" not in page.parts]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NAMING = (
    "sweep/**/*.py",
    "benchmarks/*.py",
    "examples/**/*.py",
    "examples/**/*.yaml",
    "search_spaces/*.yaml",
    "CHANGELOG.md",
)
"""Files that name pages of the documentation in plain text."""


def prose(page: Path) -> str:
    """The text of a page without its fenced blocks, in which ``#`` begins a comment."""
    return re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.M)


def anchors(page: Path) -> set[str]:
    """Names of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def leads_somewhere(page: Path, link: str) -> bool:
    file, _, heading = link.partition("#")
    target = page.parent / file if file else page
    return target.exists() and (not heading or heading in anchors(target))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_or_a_heading_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    assert [link for link in links if "://" not in link and not leads_somewhere(page, link)] == []


def test_every_page_that_a_source_an_example_or_the_changelog_names_exists() -> None:
    files = [file for pattern in NAMING for file in ROOT.glob(pattern)]
    named = {page for file in files for page in re.findall(r"docs/[\w/-]+\.md", file.read_text())}
    assert len(named) >= 5
    assert [page for page in sorted(named) if not (ROOT / page).exists()] == []


def test_index_lists_every_page_of_the_documentation() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {str(page.relative_to(ROOT / "docs")) for page in ROOT.glob("docs/**/*.md")}
    assert pages - {"README.md"} - set(re.findall(r"\]\(([^)#]+)", index)) == set()


ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
UNDER_WAY = "<!-- check"
"""Marks what the page says ahead of the code."""


def rows_below(heading: str) -> list[str]:
    section = ARCHITECTURE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| (?=[`\d]).+$", section, re.MULTILINE)


def test_architecture_names_the_floors_from_the_bottom_up() -> None:
    assert [set(re.findall(r"`(\w+)`", row)) for row in rows_below("Floors")] == FLOORS


def test_architecture_names_every_room_and_none_that_there_is_not() -> None:
    rooms = {row.split("`")[1]: UNDER_WAY in row for row in rows_below("Rooms")}
    there = {
        str(file.parent.relative_to(ROOT / "sweep"))
        for file in ROOT.glob("sweep/*/**/*.py")
        if file.name != "__init__.py"
    }
    assert there - set(rooms) == set()
    assert {room for room, under_way in rooms.items() if not under_way} - there == set()


def test_every_file_that_the_architecture_names_exists() -> None:
    named = re.findall(r"`(sweep/[\w/.]+)`(?! <!-- check)", ARCHITECTURE)
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_example_of_a_sweep_file_is_the_quickstart(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "quickstart.yaml").write_text(example)
    spec = load_sweep(tmp_path / "quickstart.yaml")
    assert spec == load_sweep(ROOT / "search_spaces" / "quickstart.yaml")
    assert spec.trials == 20
    assert len(spec.space) == 6


def test_the_example_of_the_augmentation_page_is_a_valid_trial(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "reference" / "augmentation.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "example.yaml").write_text(example)
    assert load_trial(tmp_path / "example.yaml").augmentation.gamma.probability == 0.25


def test_the_examples_of_the_search_page_are_valid_sweeps(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "reference" / "search.md").read_text(encoding="utf-8")
    first, *others = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "example.yaml").write_text(first)
    spec = load_sweep(tmp_path / "example.yaml")
    assert spec.given == 4
    assert spec.rungs() == [40]
    assert warnings(spec) == []
    for example in others:
        space = "" if "space:" in example else "space: {optimizer.lr: {choice: [0.1, 0.2]}}\n"
        (tmp_path / "example.yaml").write_text(example + space)
        load_sweep(tmp_path / "example.yaml")


def test_files_of_the_tutorial_are_as_right_and_wrong_as_it_says(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "tutorials" / "nnunet-dataset.md").read_text(encoding="utf-8")
    first, circles = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    file = tmp_path / "circles.yaml"
    file.write_text(first)
    assert load_trial(file).trainer.epochs == 6
    file.write_text(circles)
    with pytest.raises(InputError) as caught:
        load_sweep(file, check_data=TrainerCheck())
    told = [str(mistake).partition(": ")[2] for mistake in caught.value.mistakes]
    shown = re.findall(r"^circles\.yaml:\d+: (.*)$", page, re.MULTILINE)
    ends = [line.replace(f"{Path.cwd()}/", "/home/you/") for line in told]
    assert ends == shown
    right = circles.replace("sqrt_modes", "sqrt_mode").replace("[0, 1]}", "[1e-3, 1]}")
    file.write_text(right)
    assert load_sweep(file).trials == 12


@pytest.mark.parametrize("space", sorted(ROOT.glob("search_spaces/*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_search_space_is_valid(space: Path) -> None:
    assert load_sweep(space).name == space.stem


def test_every_test_that_a_page_names_exists() -> None:
    page = (ROOT / "docs" / "internals" / "fault-tests.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)
    assert len(named) > 10
    for file, test in named:
        assert f"def {test}(" in (ROOT / file).read_text(), test
