"""What a machine has to offer."""

import pytest

from sweep.machine.hardware import Machine, visible_gpus


@pytest.mark.parametrize(
    ("installed", "visible", "expected"),
    [
        (2, None, 2),
        (2, "", 0),
        (2, "-1", 0),
        (2, "0", 1),
        (2, "1,0", 2),
        (2, "0,5,1", 1),  # CUDA stops at the first index that is not there
        (2, "0,0", 1),
        (2, "GPU-8932f937,GPU-4cf8db2d", 2),
        (1, "MIG-a,MIG-b,MIG-c", 3),
        (0, "0,1", 0),
    ],
)
def test_visible_gpus_follow_cuda_visible_devices(installed, visible, expected) -> None:
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert visible_gpus(installed, environment) == expected


def test_this_machine_has_a_cpu() -> None:
    assert Machine.here().cpus >= 1
