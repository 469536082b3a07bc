"""A trial that trains in a fifth of a second."""

from collections.abc import Callable

import pytest

from sweep.spec.load import load_trial
from sweep.spec.settings.trial_settings import TrialSettings

TINY = """\
data: {source: shapes, difficulty: 0, size: 32, count: 15}
trainer: {epochs: 4, batch_size: 4, device: cpu}
network: {name: unet, channels: [4, 8, 16]}
loss: {warmup_epochs: 2, rampup_epochs: 1}
optimizer: {lr: 0.1, momentum: 0.95}
"""


@pytest.fixture(scope="session")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., TrialSettings]:
    """The tiny configuration with overrides, such as ``trial("loss.sqrt_epsilon=0")``."""
    file = tmp_path_factory.mktemp("tiny") / "tiny.yaml"
    file.write_text(TINY)
    return lambda *overrides: load_trial(file, overrides)
