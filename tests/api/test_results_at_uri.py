"""Results at a URI: when the driver evaluates finalists on whole cases, and how they are read."""

from __future__ import annotations

import gc
import html

import pytest
import torch

import sweep
from sweep.spec.load import to_yaml
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.store.at_uri.mirrored_results import MirroredStore
from sweep.store.at_uri.remote_folder import RemoteFolder
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, Status

SPEC = SweepSpec.model_validate({"name": "toy", "space": {"optimizer.lr": {"choice": [0.1]}}})


@pytest.fixture(scope="module")
def uri(object_store: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a sweep with weights."""
    folder, remote = tmp_path_factory.mktemp("x"), RemoteFolder(f"{object_store}/read/toy")
    parameters = {"optimizer.lr": 0.1}
    with MirroredStore.create_at(remote, folder / "toy", to_yaml(SPEC)) as store:
        store.start_trial(0, parameters, to_yaml(SPEC.trial(parameters)))
        store.append_epoch("t0000", EpochMetrics(epoch=0, val_dice=0.5))
        store.end_trial("t0000", Outcome(status=Status.COMPLETED))
    torch.save({"model": {"bias": 3.0}}, folder / "best.pt")
    remote.send(folder / "best.pt", "trials/t0000/best.pt")
    remote.write("nnunet_model/fold_0/checkpoint_best.pth", b"heavy")
    return remote.uri


def test_copy_of_results_lives_as_long_as_a_trial_or_a_figure_that_was_read_of_it(
    uri: str,
) -> None:
    best, figures = sweep.open(uri).best, sweep.open(uri).figures  # nobody keeps the results
    assert best.config.optimizer.lr == 0.1
    assert figures.learning_curves().data
    copy = best.folder.parent.parent
    assert copy.is_dir()
    del best
    gc.collect()
    assert not copy.exists()


def test_weights_are_downloaded_when_they_are_asked_for(uri: str) -> None:
    results = sweep.open(uri)
    assert not [*results.folder.rglob("*.pt*")]
    assert results["t0000"].weights() == {"bias": 3.0}


def test_page_says_how_to_predict_with_the_weights_at_the_uri(uri: str) -> None:
    page = sweep.open(uri).page()._repr_html_()
    assert "No weights" not in page
    assert f"python -m sweep.predict {uri} IMAGES -o MASKS" in html.unescape(html.unescape(page))


def test_note_that_would_be_lost_with_the_copy_is_refused(uri: str) -> None:
    with pytest.raises(sweep.InputError, match="a sweep with results at a URI cannot be steered"):
        sweep.open(uri).note("t0000", "good")
