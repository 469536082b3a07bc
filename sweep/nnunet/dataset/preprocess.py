"""``python -m sweep.nnunet.dataset.preprocess NUMBER PLANS CONFIGURATION``, started by `planning`.

It calls nnU-Net's own API, with its folders in the environment. If it fails, its last line gives
the reason. The line begins with `REFUSED` if the dataset is wrong, else with `FAILED`.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from types import TracebackType

from sweep.machine.cpus import usable_cpus
from sweep.nnunet.dataset.nnunet_folders import Folders

REFUSED, FAILED = "REFUSED: ", "FAILED: "
MOST_PROCESSES = 8
CASES_A_PROCESS = 25
"""A process takes seconds to start, so a few cases need only one."""

PLANNERS: Mapping[str, str] = {
    "nnUNetPlans": "ExperimentPlanner",
    "nnUNetResEncUNetMPlans": "nnUNetPlannerResEncM",
    "nnUNetResEncUNetLPlans": "nnUNetPlannerResEncL",
    "nnUNetResEncUNetXLPlans": "nnUNetPlannerResEncXL",
}
"""Name of the plans → nnU-Net's planner that makes them."""


class Refused(Exception):
    """The dataset is wrong, in nnU-Net's words."""


def preprocess(number: int, plans: str, configuration: str) -> None:
    """Fingerprint and plan if there are no such plans, then preprocess one configuration.

    Raises:
        Refused: nnU-Net finds a mistake in the dataset.
    """
    from nnunetv2.experiment_planning import plan_and_preprocess_api as api
    from nnunetv2.utilities.dataset_name_id_conversion import convert_id_to_dataset_name

    folders, name = Folders.here(), convert_id_to_dataset_name(number)
    cases = sum(1 for _ in (folders.need("raw") / name / "labelsTr").glob("*"))
    count = max(1, min(usable_cpus(), MOST_PROCESSES, cases // CASES_A_PROCESS))
    if not (folders.need("preprocessed") / name / f"{plans}.json").is_file():
        try:
            api.extract_fingerprints([number], num_processes=count, check_dataset_integrity=True)
        except Exception as error:  # nnU-Net raises errors of many kinds
            raise Refused(str(error) or type(error).__name__) from error
        api.plan_experiments([number], PLANNERS[plans])
    api.preprocess([number], plans, (configuration,), (count,))


def _report(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    sys.stdout.flush()  # into the same log
    traceback.print_exception(kind, error, where)
    reason = " ".join(str(error).split()) or kind.__name__
    sys.stderr.write(f"\n{REFUSED if isinstance(error, Refused) else FAILED}{reason}\n")


def main() -> None:
    sys.excepthook = _report
    number, plans, configuration = sys.argv[1:]
    preprocess(int(number), plans, configuration)


if __name__ == "__main__":
    main()
