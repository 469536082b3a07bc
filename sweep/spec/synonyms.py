"""Other words for what the settings and their values are called here: from Ray Tune, Optuna, W&B,
nnU-Net, MONAI and from habit. They are proposed, never taken: a word may mean something else there.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

NAMES: Mapping[str, str] = {
    # The sweep.
    "name": "project experiment experiment_name run_name study_name sweep_name",
    "space": "parameters params search_space param_space hyperparameters hyperparams hparams",
    "trials": "num_samples n_trials num_trials max_trials samples run_cap budget",
    "searcher": "method algorithm algo search_alg search_algorithm sampler tuner",
    "searcher.startup_trials": "n_startup_trials n_initial_points random_state_trials",
    "scheduler": "pruner early_terminate trial_scheduler",
    "scheduler.grace_period": "min_iter min_resource min_t warmup_steps n_warmup_steps",
    "scheduler.reduction_factor": "eta halving_factor",
    "time_budget": "timeout time_budget_s max_time time_limit walltime time",
    "max_concurrent": "max_concurrent_trials n_jobs parallel concurrency max_parallel",
    "resources": "resources_per_trial",
    "resources.cpu": "cpus num_cpus cpus_per_trial cpu",
    "resources.gpu": "gpus num_gpus gpus_per_trial gpu",
    "tracking": "logger loggers logging tensorboard mlflow tracker",
    "confirm": "replicates repeats repetitions",
    "confirm.seeds": "seeds n_seeds num_seeds",
    "warm_start": "points_to_evaluate initial_points resume_from",
    "seed": "random_seed random_state rng_seed manual_seed",
    # Where a later version has it; see `_known`.
    "objective.metric": "metric monitor",
    "objective.mode": "mode goal direction",
    # The trial.
    "data.folder": "data_dir data_root root data_path dataset_path dataset_folder dir path",
    "data.source": "source data_source dataset_type",
    "data.size": "image_size img_size resolution",
    "data.patch_size": "crop_size roi_size patch crop",
    "data.folds": "n_folds num_folds k_folds n_splits kfold",
    "data.fold": "fold_id fold_index",
    "data.test": "test_size test_split holdout hold_out",
    "data.normalization": "normalize normalisation norm",
    "data.n4": "bias_field n4_correction bias_field_correction",
    "trainer.epochs": "max_epochs num_epochs n_epochs nb_epochs epoch max_t training_iteration "
    "max_epoch",
    "trainer.steps_per_epoch": "iterations_per_epoch num_iterations_per_epoch "
    "num_batches_per_epoch steps iterations",
    "trainer.batch_size": "batch bs train_batch_size batchsize",
    "trainer.amp": "precision mixed_precision fp16 half use_amp",
    "trainer.threads": "num_threads n_threads",
    "trainer.device": "accelerator",
    "trainer.dataset": "dataset_id task_id task dataset_name dataset_name_or_id d",
    "trainer.plans": "plans_identifier plans_name p",
    "trainer.configuration": "c",
    "trainer.compile": "torch_compile use_compile",
    "network.name": "model arch architecture backbone net network_name model_name",
    "network.channels": "features filters feature_maps widths width num_channels base_channels "
    "n_filters",
    "network.dropout": "dropout_rate drop_rate dropout_prob p_drop",
    "network.deep_supervision": "ds deepsupervision",
    "loss.main": "criterion loss_function loss_fn loss_name",
    "loss.dice_weight": "dice weight_dice lambda_dice w_dice loss.weights.dice "
    "loss.weights.dice_weight",
    "loss.pixel_weight": "ce cross_entropy ce_weight weight_ce lambda_ce focal bce focal_weight "
    "loss.weights.pixel",
    "loss.focal_gamma": "gamma",
    "loss.warmup_epochs": "warmup warm_up warmup_epoch geometric_start",
    "loss.rampup_epochs": "rampup ramp_up ramp ramp_epochs",
    "loss.weights.compactness": "compactness_weight lambda_compactness w_compactness compact",
    "loss.weights.boundary": "boundary_weight lambda_boundary w_boundary smoothness",
    "loss.weights.aspect": "aspect_ratio aspect_weight lambda_aspect w_aspect",
    "loss.weights.kervadec": "boundary_loss",
    "loss.sqrt_epsilon": "eps epsilon sqrt_eps",
    "loss.min_area": "minimum_area area_threshold",
    "optimizer.name": "optim optimizer_name opt",
    "optimizer.lr": "learning_rate lr base_lr initial_lr init_lr max_lr",
    "optimizer.weight_decay": "wd l2 decay l2_penalty",
    "optimizer.schedule": "lr_scheduler lr_schedule lr_policy scheduler_name",
    "optimizer.momentum": "nesterov beta",
    "optimizer.gradient_clip": "clip grad_clip clip_norm max_grad_norm clip_grad_norm "
    "gradient_clipping gradient_clip_val",
    "early_stopping.patience": "patience early_stop early_stopping_patience",
    "early_stopping.min_delta": "min_delta tolerance",
    "augmentation.flips.probability": "flip mirror flip_prob mirroring",
    "augmentation.rotation.probability": "rotate rotation_prob",
    "augmentation.scaling.probability": "scale zoom scale_prob",
    "augmentation.noise.probability": "gaussian_noise noise_prob",
    "evaluation.metrics": "metrics",
    "evaluation.tta": "test_time_augmentation mirroring_at_test",
    "guard.on_nonfinite": "on_nan nan_policy terminate_on_nan",
}
"""Name here → words for it elsewhere; the first name that has a word wins. A word with dots counts
as it stands, one without as the last part of any name.
"""

ELSEWHERE: Mapping[str, str] = {
    "program command entity": "a sweep file needs none: leave it out",
    "storage": "the study lies in the results folder: leave it out",
    "storage_path local_dir results results_dir output output_dir save_dir log_dir": (
        "where results go is said on the command line: --results FOLDER"
    ),
    "resume": "it is an option of the command line: --resume",
    "verbose": "it is an option of the command line: --verbose",
    "address ray_address": "it is an option of the command line: --address",
    "dashboard": "it is an option of the command line: --dashboard",
    "num_workers workers pin_memory": (
        "only `trainer.kind: nnunet` has processes that augment (`trainer.workers`)"
    ),
    "learning_rate_warmup lr_warmup": "`loss.warmup_epochs` is the geometric loss's, and the"
    " learning rate has no warm-up",
    "wandb use_wandb": "there are `tracking: tensorboard` and `tracking: mlflow`",
}
"""Words for what is no setting here → what to do instead."""

VALUES: Mapping[str, str] = {
    "adamw": "adam",
    "tpe": "bayes bayesian bayes_opt bayesian_optimization optuna optuna_search tpesampler "
    "hyperopt",
    "gp": "gpsampler gaussian_process botorch",
    "random": "random_search randomsampler basic_variant",
    "grid": "grid_search gridsampler",
    "cmaes": "cma cma_es cmaessampler",
    "qmc": "sobol qmcsampler halton",
    "asha": "ashascheduler async_hyperband successive_halving sha successivehalvingpruner",
    "hyperband": "bohb hyperbandscheduler hyperbandpruner",
    "median": "median_stopping median_stopping_rule medianpruner",
    "none": "fifo no off null nopruner",
    "cuda": "gpu cuda:0",
    "fp16": "half 16 float16 16-mixed",
    "bf16": "bfloat16 bf16-mixed",
    "off": "float32 fp32 32 none false no",
    "dynunet": "nnunet dynamic_unet plainconvunet",
    "residual_dynunet": "resunet residual_unet resencunet",
    "basic_unet_plus_plus": "unet++ unetplusplus nested_unet",
    "attention_unet": "attunet",
    "unet": "u-net basicunet",
    "dice_ce": "dice ce diceceloss dc_and_ce",
    "dice_focal": "focal dicefocalloss",
    "poly": "polynomial polylr",
    "constant": "fixed",
    "zscore": "standardize standardise",
    "nnunet": "nnunetv2 nnunet_v2",
    "custom": "pytorch own",
    "nnunet_raw": "nnunet raw nifti",
    "shapes": "synthetic circles",
    "terminate": "stop raise",
    "flips": "mirror mirroring true",
}
"""Value here → words for it elsewhere."""


def plain(word: str) -> str:
    """``learning_rate``, ``Learning-Rate`` and ``learningRate`` are one word."""
    return re.sub(r"[^a-z0-9.+:]", "", word.lower())


def _reversed(table: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for ours, words in table.items():
        for word in words.split():
            found.setdefault(plain(word), []).append(ours)
    return found


_NAMES, _VALUES, _ELSEWHERE = map(_reversed, (NAMES, VALUES, {v: k for k, v in ELSEWHERE.items()}))


def name_for(key: str, known: Collection[str]) -> str | None:
    """The name among ``known`` that is meant by ``key``, a dotted name that is none.

    The whole name is looked up, then its last part; a name in the same group goes before others.
    """
    group, _, last = plain(key).rpartition(".")
    meant = [name for word in (plain(key), last) for name in _candidates(word, known)]
    return min(meant, key=lambda name: not name.startswith(f"{group}."), default=None)


def advice_for(key: str) -> str | None:
    """What to do instead of setting ``key``, for which there is no setting."""
    return next(iter(_ELSEWHERE.get(plain(key).rpartition(".")[2], ())), None)


def value_for(word: str, known: Collection[str]) -> str | None:
    """The value among ``known`` that is meant by ``word``."""
    same = (value for value in known if plain(value) == plain(word))
    other = (value for value in _VALUES.get(plain(word), ()) if value in known)
    return next(same, None) or next(other, None)


def _candidates(word: str, known: Collection[str]) -> Iterator[str]:
    yield from (name for name in _NAMES.get(word, ()) if name in known)
