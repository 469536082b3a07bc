from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.store import files
from sweep.vocabulary.errors import ResultsError, SweepFailed


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "lines.jsonl"
    path.write_text('{"a": 1}\n{"a": 2}\n')
    return path


def test_appended_lines_are_read_back_in_order(lines: Path) -> None:
    files.append_line(lines, '{"a": 3}')
    assert list(files.read_jsonl(lines, lambda line: line["a"])) == [1, 2, 3]


@pytest.mark.parametrize("torn", [b'{"a": 3', b'{"a": 3}', b"\0\0\0", b'{"a": "\xc3'])
def test_line_without_its_newline_is_passed_over_and_dropped(lines: Path, torn: bytes) -> None:
    whole = lines.read_bytes()
    lines.write_bytes(whole + torn)
    assert list(files.read_jsonl(lines, lambda line: line["a"])) == [1, 2]
    files.drop_torn_line(lines)
    assert lines.read_bytes() == whole


@pytest.mark.parametrize("broken", [b'{"a": ', b"[1]", b'{"a": NaN}', b"", b"\xff", b'{"b": 1}'])
def test_broken_line_in_the_middle_is_an_error_that_names_the_line(
    lines: Path, broken: bytes
) -> None:
    lines.write_bytes(b'{"a": 1}\n' + broken + b'\n{"a": 2}\n')
    with pytest.raises(ResultsError, match=r"lines\.jsonl:2: broken"):
        list(files.read_jsonl(lines, lambda line: line["a"]))


def test_nesting_without_end_is_an_error_and_no_traceback(lines: Path) -> None:
    lines.write_text("[" * 200_000 + "\n")
    with pytest.raises(ResultsError, match=r"lines\.jsonl:1: broken"):
        list(files.read_jsonl(lines, dict))


def test_numbers_that_are_not_finite_are_not_json() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.to_json({"a": float("nan")})


def test_append_does_not_make_a_file_that_has_vanished(tmp_path: Path) -> None:
    with pytest.raises(SweepFailed, match=r"cannot write .*gone\.jsonl: No such file"):
        files.append_line(tmp_path / "gone.jsonl", "{}")


def test_atomic_write_replaces_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for text in ("first", "second\n", "undecodable \udcff"):
        files.atomic_write_text(path, text)
    assert path.read_text() == "undecodable \\udcff"
    assert names(tmp_path) == ["a.txt"]


def test_failed_atomic_write_keeps_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "target"
    (target / "inside").mkdir(parents=True)
    with pytest.raises(SweepFailed, match="cannot write"):
        files.atomic_write_text(target, "text")  # os.replace cannot put a file over a folder
    assert names(tmp_path) == ["target"]
    assert names(target) == ["inside"]


def test_missing_file_is_a_results_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"cannot read .*gone\.json: No such file"):
        files.read_json(tmp_path / "gone.json", dict)


FULL_DISK = """
import resource, sys
from pathlib import Path
from sweep.vocabulary.errors import SweepFailed
from sweep.store import files

# A file size limit fails as a full disk does: what still fits is written, then comes an error.
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
for write in (files.append_line, files.atomic_write_text):
    try:
        write(Path(sys.argv[1]), "x" * 150)
    except SweepFailed as error:
        print(error)
"""


def test_full_disk_takes_back_the_part_that_was_written(lines: Path) -> None:
    before = lines.read_bytes()
    run = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(lines)], capture_output=True, text=True, check=True
    )
    assert run.stdout.count(f"cannot write {lines}: File too large") == 2
    assert lines.read_bytes() == before
    assert names(lines.parent) == [lines.name]


USES = {
    "read_text": files.read_text,
    "read_jsonl": lambda path: list(files.read_jsonl(path, dict)),
    "append_line": lambda path: files.append_line(path, "{}"),
    "drop_torn_line": files.drop_torn_line,
    "sync": files.sync,
}
every_use = pytest.mark.parametrize("use", USES.values(), ids=USES)


@every_use
def test_link_is_neither_read_nor_written_through(tmp_path: Path, lines: Path, use) -> None:
    lines.write_text('{"a": 1}\ntorn')
    link = tmp_path / "link.jsonl"
    link.symlink_to(lines)
    with pytest.raises((ResultsError, SweepFailed), match=r"link\.jsonl: it is a link"):
        use(link)
    assert lines.read_text() == '{"a": 1}\ntorn'


@every_use
def test_pipe_is_refused_and_nobody_waits_for_its_other_end(tmp_path: Path, use) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises((ResultsError, SweepFailed), match=r"pipe: it is not a file"):
        use(tmp_path / "pipe")


def test_file_that_is_far_too_large_is_not_read_into_memory(lines: Path) -> None:
    os.truncate(lines, 2**40)
    with pytest.raises(ResultsError, match=r"lines\.jsonl: broken, larger than 65536 KiB"):
        files.read_text(lines)
    with pytest.raises(ResultsError, match=r"lines\.jsonl:3: broken, longer than 1024 KiB"):
        list(files.read_jsonl(lines, dict))
    with pytest.raises(ResultsError, match=r"lines\.jsonl: broken, it ends in more than 1024 KiB"):
        files.drop_torn_line(lines)
