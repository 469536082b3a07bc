"""Shared by all tests: no clock decides a test, no test touches the user's cache."""

import functools
import gc
import logging
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Generator, Iterator
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import settings
from typer.main import get_command
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from sweep.machine.codebase import PACKAGE


def _free_memory() -> int:
    """Bytes that are free or can be freed at once; 0 where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if "MemAvailable" in line), 0)


# Before anything imports sweep.data: generated datasets are shared by the whole test session, all
# its processes included, each of which inherits what the first has set.
if "PYTEST_XDIST_WORKER" not in os.environ:
    _cache = tempfile.TemporaryDirectory(prefix="sweep-tests-")
    os.environ["MEDICAL_SWEEP_CACHE"] = _cache.name
# Each of a hundred processes would compile the package anew, which takes it 0.3 s.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Before anything imports torch: processes that each take every core slow one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Every step of a sweep is flushed to disk, which costs a test of many sweeps most of its time. In
# memory it costs nothing. A container may have little of it there.
_MEMORY, _ENOUGH = "/dev/shm", 6 * 2**30
if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ENOUGH < _free_memory():
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", _MEMORY)
# Ten processes that only the tests of monitoring look at.
os.environ["MEDICAL_SWEEP_DASHBOARD"] = "0"

# Started in the background of a script, this process ignores Ctrl-C, and so would what it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run: twice as many take twice as long, and find nothing the next day.
settings.register_profile("sweep", deadline=None, derandomize=True, max_examples=50)
# To look further by hand: pytest tests/hostile --hypothesis-profile=long
settings.register_profile("long", deadline=None, max_examples=5_000, print_blob=True)
settings.load_profile("sweep")


ON_A_CLUSTER = {
    "tests/engine/test_cluster_e2e.py": 1,
    "tests/engine/test_sweep_e2e.py": 1,
    "tests/engine/test_packs_e2e.py": 2,
    "tests/nnunet/test_nnunet_sweep_e2e.py": 2,
    "tests/engine/test_monitoring_e2e.py": 2,
    "tests/api/test_notebook_progress.py": 2,
}
"""Files whose tests start Ray, and the process that runs them. They wait more than they compute,
and take longest: two processes begin with theirs, and the third with the other slow ones."""

VERY_SLOW = (
    *(file for file in ON_A_CLUSTER if file != "tests/engine/test_sweep_e2e.py"),
    "tests/hostile/",
    "tests/nnunet/test_command.py",
    "tests/nnunet/test_nnunet_training.py",
    "tests/nnunet/test_explained_alike.py",
    "tests/nnunet/test_ordered_batches.py",
    "tests/nnunet/test_own_trainer_class.py",
    "tests/nnunet/test_planning.py",
    "tests/nnunet/test_record.py",
    "tests/nnunet/test_regions.py",
    "tests/trainer/test_effective.py",
    "tests/trainer/test_fast_steps.py",
    "tests/trainer/test_guard_on_real_runs.py",
    "tests/trainer/test_region_training.py",
    "tests/trainer/test_replayed_patience.py",
    "tests/trainer/test_trunk.py",
    "tests/trainer/test_volume_training.py",
    "tests/plugins/",
    "tests/report/test_browser.py",
    "tests/report/test_live_page.py",
    "tests/report/test_notebook.py",
    "tests/report/test_page.py",
    "tests/page_server/test_live_data.py",
    "tests/page_server/test_page_beside_sweep.py",
    "tests/api/test_notebook_example.py",
    "tests/api/test_several_objectives.py",
    "tests/analysis/test_findings.py",
    "tests/search/test_linked_searchers.py",
    "tests/search/test_optuna_search.py",
    "tests/search/test_searcher_contract.py",
    "tests/spec/test_geometric_terms.py::test_fifth_term_is_a_setting",
    "tests/spec/test_load_laws.py",
    "tests/store/test_crashes.py",
    "tests/engine/test_sweep_controller.py::test_curves_of_the_table",
    "tests/engine/test_sweep_controller.py::test_decisions_and_proposals",
    "tests/engine/test_sweep_controller.py::test_every_trial_ends",
    "tests/engine/test_sweep_controller.py::test_killed",
    "tests/engine/test_sweep_controller.py::test_sweep_of_a_metric",
    "tests/engine/test_sweep_controller.py::test_sweep_whose_trials_pause",
    "tests/test_imports.py::test_layers_are_usable",
)
"""Files and tests that ``pytest`` leaves out unless they are named, or everything is (``--all``):
real clusters, browsers, notebooks, whole trainings of nnU-Net, compilers, contracts with each
searcher, files broken in every way."""

SLOW = (
    *VERY_SLOW,
    *ON_A_CLUSTER,
    "tests/nnunet/test_copies.py",
    "tests/nnunet/test_nnunet_check.py",
    "tests/nnunet/test_nnunet_fingerprint.py",
    "tests/nnunet/test_nnunet_on_gpu.py",
    "tests/nnunet/test_trainer.py",
    "tests/trainer/test_augmentation.py",
    "tests/trainer/test_checkpoints.py::test_full_disk",
    "tests/trainer/test_custom.py::test_going_on",
    "tests/trainer/test_divergence.py",
    "tests/trainer/test_fit.py",
    "tests/trainer/test_lightning.py",
    "tests/trainer/test_machine_use.py::test_peak_memory",
    "tests/trainer/test_networks.py",
    "tests/trainer/test_own_optimizers.py",
    "tests/trainer/test_statistics.py",
    "tests/commands/test_all_cases_training.py",
    "tests/commands/test_export_command.py",
    "tests/commands/test_help.py::test_every_command_is_a_module_too",
    "tests/commands/test_predict_command.py",
    "tests/commands/test_run_command.py::test_sweep_in_an_object_store",
    "tests/commands/test_winner_commands.py::test_each_command",
    "tests/report/test_page_pictures.py",
    "tests/report/test_takeaway_page.py",
    "tests/page_server/test_serve_command.py",
    "tests/api/test_lists_searched.py",
    "tests/api/test_local_executor.py",
    "tests/api/test_pictures_of_sweep.py",
    "tests/api/test_python_door.py::test_examples_do",
    "tests/api/test_results_at_uri.py::test_copy_of_results",
    "tests/api/test_results_at_uri.py::test_sweep_at_a_uri_is_watched",
    "tests/api/test_steered_sweep.py",
    "tests/analysis/test_further_folds.py::test_rounds_come",
    "tests/analysis/test_importance.py::test_pruning_after",
    "tests/analysis/test_live_ranking.py",
    "tests/analysis/test_mirrored_objective.py",
    "tests/analysis/test_report_figures.py::test_every_figure_speaks",
    "tests/analysis/test_report_figures.py::test_figures_of_5000_trials",
    "tests/data/test_brain.py",
    "tests/data/test_cache.py",
    "tests/data/test_file_formats.py::test_same_volume",
    "tests/data/test_foreign_files.py",
    "tests/data/test_n4.py",
    "tests/data/test_nnunet_normalize.py",
    "tests/data/test_prepare.py::test_two_processes",
    "tests/search/test_pareto_search.py::test_search_comes_nearer",
    "tests/search/test_scheduler_contract.py",
    "tests/starter/test_fitted_file.py",
    "tests/store/test_mirrored.py",
    "tests/store/test_start.py",
    "tests/store/test_store.py::test_three_hundred_trials",
    "tests/engine/test_actor.py",
    "tests/engine/test_conditional_sweep.py",
    "tests/engine/test_foreign_sweep.py",
    "tests/engine/test_pack.py",
    "tests/engine/test_packed_sweep.py",
    "tests/engine/test_raced_replicates.py",
    "tests/engine/test_replicates.py",
    "tests/engine/test_search_end.py",
    "tests/engine/test_search_replicates.py",
    "tests/engine/test_steering.py::test_no_kill",
    "tests/engine/test_steering.py::test_what_is_asked_for_at_a_uri",
    "tests/tracking/test_mlflow.py",
    "tests/tracking/test_wandb.py",
)
"""Files and tests that train for long, start processes or try many inputs, by a measured run.
``pytest -m "not slow"`` runs the others."""

LEFT_OUT = {"not slow": SLOW, "not very_slow": VERY_SLOW}


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and collected never becomes garbage. To look for some in it again and again
    takes each process seconds, then and at the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run what is very slow too, as CI does")


def pytest_configure(config: pytest.Config) -> None:
    """Where neither tests nor marks are asked for, those that are very slow are left out."""
    named = config.args_source is config.ArgsSource.ARGS
    if not (named or config.option.all or config.option.markexpr or config.option.keyword):
        config.option.markexpr = "not very_slow"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A file of nothing but what is left out is not imported, which takes seconds in each process.
    A file that is named on the command line is."""
    left_out = LEFT_OUT.get(config.option.markexpr)
    if left_out is None or config.rootpath not in collection_path.parents:
        return None
    path = collection_path.relative_to(config.rootpath).as_posix()
    return f"{path}/".startswith(left_out) or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for mark, tests in (("slow", SLOW), ("very_slow", VERY_SLOW)):
            if item.nodeid.startswith(tests):
                item.add_marker(mark)
    # Those that take long come first, so that the processes end together.
    items.sort(key=lambda item: (file_group(item.nodeid), not item.nodeid.startswith(SLOW)))


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """For two cores: a third process computes while two wait for Ray."""
    return 2 if config.option.markexpr == "not slow" else 3


def file_group(nodeid: str) -> int:
    """The process that must run the tests of a file: 1 or 2, and 3 for any."""
    return ON_A_CLUSTER.get(nodeid.partition("::")[0], 3)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A process whose tests do not start Ray steps back for the one that waits for it."""
    if file_group(item.nodeid) == 3 and "PYTEST_XDIST_WORKER" in os.environ and os.nice(0) == 0:
        os.nice(5)


class ByFile(LoadScopeScheduling):
    """One process runs all tests of a file, which share its fixtures. No process runs more than one
    cluster of Ray at a time: three would be short of memory and cores.

    The marks of ``--dist loadgroup`` would say so too, but xdist 3.8 does not see them under
    pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return f"ray {ON_A_CLUSTER[file]}" if file in ON_A_CLUSTER else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    return ByFile(config, log)


@pytest.fixture(autouse=True, scope="session")
def _commands_are_built_once() -> Iterator[None]:
    """Typer reads the signatures of all commands at each call, which takes 30 ms."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.testing._get_command", functools.cache(get_command))
        yield


@pytest.fixture(autouse=True, scope="session")
def _imported_from_where_it_is_installed() -> Iterator[None]:
    """Not warned about: tests may run on a second checkout beside the installed one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sweep.machine.codebase._location", lambda _: PACKAGE)
        yield


@pytest.fixture
def enough() -> Iterator[threading.Event]:
    """Ends the threads that wait for it with the test."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture(scope="session")
def object_store() -> Iterator[str]:
    """URI of an empty bucket in a real server of the S3 protocol; later processes find it too."""
    from moto.server import ThreadedMotoServer
    from pyarrow.fs import FileSystem

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # else a line a request
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "anyone",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        store, _ = FileSystem.from_uri("s3://?allow_bucket_creation=true")
        store.create_dir("bucket")
        yield "s3://bucket"
    server.stop()


@pytest.fixture(scope="session")
def _torchvision() -> Iterator[None]:
    """nnU-Net finds a trainer by importing all of its own, one of which needs torchvision; so does
    Lightning.

    The registry's torchvision does not import beside a torch for CPUs: two of its operators are not
    there to be described. Declared, and never called, they are enough. Where it does import, they
    must not be: an operator that is registered twice ends the process.
    """
    import torch

    library = None
    try:
        import_module("torchvision")
    except RuntimeError:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    yield
    del library
