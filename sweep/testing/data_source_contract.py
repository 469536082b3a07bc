"""What every data source promises."""

from __future__ import annotations

from pathlib import Path

from sweep.data.nnunet_raw.header_survey import survey
from sweep.data.nnunet_raw.pixels import load_case
from sweep.data.nnunet_raw.raw_dataset import RawDataset, open_raw
from sweep.data.nnunet_raw.raw_fingerprint import fingerprint
from sweep.data.sources.plugin_source import WritesData


class DataSourceContract:
    """Subclass it, and set ``write`` to the function: ``write = staticmethod(phantoms)``."""

    write: WritesData

    def test_dataset_can_be_read_and_has_a_foreground(self, tmp_path: Path) -> None:
        dataset = self._written(tmp_path)
        found = survey([dataset], "auto")
        assert not found.mistakes, [str(mistake) for mistake in found.mistakes]
        cases = [load_case(dataset, case, found.grids[case]) for case in dataset.cases]
        assert any(label.any() for _, label in cases)

    def test_dataset_has_enough_cases_to_be_split(self, tmp_path: Path) -> None:
        assert len(self._written(tmp_path).cases) >= 2

    def test_second_call_writes_the_same_dataset(self, tmp_path: Path) -> None:
        first, second = (self._written(tmp_path / name) for name in ("one", "other"))
        assert fingerprint([first], tmp_path / "cache") == fingerprint([second], tmp_path / "cache")

    def _written(self, folder: Path) -> RawDataset:
        target = folder / "raw"
        target.mkdir(parents=True)
        self.write(target)
        return open_raw(target)
