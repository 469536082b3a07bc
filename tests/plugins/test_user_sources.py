"""Which files of a user settings stand on, and whether their text is still the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.plugins.user_sources import names_files, sources_of, text_now


def written(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def names(folder: Path, *entries: str) -> list[str]:
    settings = {"trainer": {"entry": entries[0], "epochs": 3}, "loss": {"terms": [*entries[1:]]}}
    return [Path(file).relative_to(folder).as_posix() for file in sources_of(settings)]


def test_named_file_counts_with_all_that_it_imports_from_beside_it(tmp_path: Path) -> None:
    written(
        tmp_path,
        {
            "train.py": "import torch\ndef train(config, trial):\n    from nets.unet import U",
            "nets/__init__.py": "",
            "nets/unet.py": "from .parts import block\nfrom . import other\nimport losses",
            "nets/parts.py": "import nets.unet  # in a circle",
            "nets/other.py": "",
            "nets/unused.py": "",
            "losses.py": "not Python (",
            "unused.py": "",
            "metric.py": "",
        },
    )
    assert names(tmp_path, f"{tmp_path}/train.py:train", f"{tmp_path}/metric.py:area") == [
        "losses.py",
        "metric.py",
        "nets/__init__.py",
        "nets/other.py",
        "nets/parts.py",
        "nets/unet.py",
        "train.py",
    ]


def test_module_of_a_package_on_the_import_path_counts_and_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    written(
        tmp_path,
        {
            "mine_of_test/__init__.py": "raise RuntimeError('run')",
            "mine_of_test/losses.py": "from mine_of_test.shared import x",
            "mine_of_test/shared.py": "",
        },
    )
    assert names(tmp_path, "mine_of_test.losses:roughness") == [
        "mine_of_test/__init__.py",
        "mine_of_test/losses.py",
        "mine_of_test/shared.py",
    ]


def test_installed_packages_missing_files_and_other_texts_do_not_count(tmp_path: Path) -> None:
    entries = ["torch.nn:Linear", "json:loads", "no_such.module:x", "cuda:a", f"{tmp_path}/no.py:x"]
    assert names(tmp_path, *entries, "s3://bucket/a.py", "plain") == []


def test_edit_is_seen_by_the_text_and_a_file_that_is_gone_has_none(tmp_path: Path) -> None:
    written(tmp_path, {"train.py": "import a, b", "a.py": "x = 1", "b.py": ""})
    before = sources_of([f"{tmp_path}/train.py:train"])
    assert {file: text_now(file) for file in before} == before
    (tmp_path / "a.py").write_text("x = 2")
    (tmp_path / "b.py").unlink()
    now = {Path(file).name: text_now(file) for file in before}
    assert now["train.py"] == before[str(tmp_path / "train.py")]
    assert now["a.py"] not in (None, before[str(tmp_path / "a.py")])
    assert now["b.py"] is None


def test_settings_without_an_entry_name_no_file() -> None:
    assert not names_files({"network": {"name": "unet"}, "data": {"folder": "a/b"}, "trials": 3})
    assert names_files({"space": {"loss.main": {"choice": ["dice_ce", "own.py:Mine"]}}})
