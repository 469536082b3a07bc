"""Other words for the settings and their values: from Ray Tune, Optuna, W&B, NNI, Keras Tuner,
nnU-Net, MONAI and habit. They are proposed, never taken: elsewhere a word may mean something else.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping


def plain(word: str) -> str:
    """``learning_rate``, ``Learning-Rate`` and ``learningRate`` are one word."""
    return re.sub(r"[^a-z0-9.+:]", "", word.lower())


NAMES: Mapping[str, str] = {
    # The sweep.
    "name": "project project_name experiment experiment_name run_name study_name sweep_name",
    "space": "parameters params search_space param_space hyperparameters hyperparams hparams",
    "trials": "num_samples n_trials num_trials max_trials max_trial_number samples run_cap budget",
    "searcher": "method algorithm algo search_alg search_algorithm sampler tuner",
    "searcher.startup_trials": "n_startup_trials n_initial_points random_state_trials",
    "scheduler": "pruner early_terminate trial_scheduler assessor",
    "scheduler.grace_period": "min_iter min_resource min_t warmup_steps n_warmup_steps "
    "scheduler.warmup scheduler.warmup_epochs",
    "scheduler.reduction_factor": "eta halving_factor factor",
    "time_budget": "timeout time_budget_s max_time time_limit walltime time max_duration "
    "max_experiment_duration",
    "max_concurrent": "max_concurrent_trials n_jobs parallel concurrency max_parallel "
    "trial_concurrency",
    "resources": "resources_per_trial",
    "resources.cpu": "cpus num_cpus cpus_per_trial cpu",
    "resources.gpu": "gpus num_gpus gpus_per_trial gpu trial_gpu_number",
    "tracking": "logger loggers logging tensorboard mlflow tracker",
    "replicate": "cross_validation crossvalidation cv replicate.cv n_replicates",
    "replicate.folds": "replicate.n_folds replicate.k cv_folds",
    "confirm": "replicates repeats repetitions",
    "confirm.seeds": "seeds n_seeds num_seeds executions_per_trial confirm.repeats "
    "confirm.repetitions confirm.replicates confirm.n",
    "warm_start": "points_to_evaluate initial_points resume_from",
    "seed": "random_seed random_state rng_seed manual_seed",
    # Where a later version has it; see `_known`.
    "objective.metric": "metric monitor metric_name objective.name objective.key",
    "objective.mode": "mode goal direction optimize_mode",
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
    "trainer.kind": "trainer_class trainer_class_name trainer_name",
    "trainer.validation_steps": "num_val_iterations_per_epoch val_steps",
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
    "network.deep_supervision": "ds deepsupervision enable_deep_supervision",
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
"""Name here → words for it elsewhere; the first name with a word wins. A word with dots is a full
name, a word without is the last part of any name."""

ELSEWHERE: Mapping[str, str] = {
    "program command entity trial_command": "a sweep file needs none: leave it out",
    "tune_config run_config": (
        "what Ray's Tuner takes stands at the top level here: `trials`, `objective`, `searcher`,"
        " `scheduler`, `time_budget`"
    ),
    "hydra defaults": (
        "the file is the whole configuration, without Hydra: searched settings stand in `space`,"
        " and `--set` overrides any key"
    ),
    "in_channels out_channels num_classes n_classes": (
        "the data say how many channels and classes there are: leave it out"
    ),
    "when prior": (
        "it stands beside a distribution, such as"
        " `optimizer.momentum: {uniform: [0.8, 0.99], when: {optimizer.name: sgd}}`"
    ),
    "stop": "a trial ends after `trainer.epochs`, or earlier by `early_stopping` or `scheduler`",
    "max_failures failure_config max_retries max_retries_per_trial": (
        "faults of the machine are retried twice, mistakes of a configuration never: leave it out"
    ),
    "catch raise_on_failed_trial fail_fast max_consecutive_failed_trials": (
        "a trial that fails is recorded with its cause, and the others continue: leave it out"
    ),
    "overwrite": "nothing is overwritten: give another `name`, or resume a sweep with --resume",
    "max_trial_duration": "`time_budget` is the whole sweep's, `trainer.epochs` a trial's",
    "validation_split val_split val_ratio train_ratio": (
        "`data.folds` says how many parts there are, and `data.fold` which one validates"
    ),
    "storage": "the study is in the results folder: leave it out",
    "storage_path local_dir results results_dir output output_dir save_dir log_dir directory"
    " experiment_working_directory": (
        "the results folder is an option of `sweep.run`: --results FOLDER"
    ),
    "resume load_if_exists continue_training": "it is an option of `sweep.run`: --resume",
    "verbose": "it is an option of `sweep.run`: --verbose",
    "address ray_address": "it is an option of `sweep.run`: --address",
    "dashboard": "it is an option of `sweep.run`: --dashboard",
    "num_workers workers pin_memory": (
        "only `trainer.kind: nnunet` has processes that augment (`trainer.workers`)"
    ),
    "learning_rate_warmup lr_warmup optimizer.warmup optimizer.warmup_epochs"
    " optimizer.warmup_steps": "`loss.warmup_epochs` is the geometric loss's, and the"
    " learning rate has no warm-up",
    "wandb use_wandb": "there is `tracking: wandb`",
}
"""Words for settings that do not exist → what to do instead. A word with dots is a full name."""

OTHERWISE = (
    "eps", "epsilon", "gamma", "beta", "decay", "scale", "norm", "dir", "path", "task", "c", "d",
    "p", "dice", "ce", "focal", "params",
)  # fmt: skip
"""Words that mean something else in other groups, such as the ε of Adam or the γ of a schedule.
They stand only for a name of their own group, unless they stand at the top level."""

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
    "val_dice": "dice dsc dice_score mean_dice val_mean_dice pseudo_dice mean_fg_dice ema_fg_dice",
    "iou": "jaccard jaccard_index jaccard_score mean_iou miou val_iou",
    "nsd": "surface_dice normalized_surface_distance normalised_surface_distance"
    " normalized_surface_dice val_nsd",
    "hd95": "hausdorff hausdorff_distance hausdorff95 hausdorff_95 hd val_hd95",
    "max": "maximize maximise maximum higher greater",
    "min": "minimize minimise minimum lower less",
}
"""Value here → words for it elsewhere."""

OTHERS = (
    "fp8", "int8", "16-true", "32-true", "radam", "nadam", "adamax", "adagrad", "adadelta",
    "rmsprop", "lion", "lamb", "sgdw", "onecycle", "motpe", "nsga", "nsgaii", "unetr",
    "swin_unetr", "vnet", "resnet", "r2unet", "transunet", "manet", "pspnet", "f1", "f1_score",
    "hdf5", "tpu", "hpu", "xpu",
)  # fmt: skip
"""Words that are right elsewhere and do not exist here. They are not slips of other words."""


def _reversed(table: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for ours, words in table.items():
        for word in words.split():
            found.setdefault(plain(word), []).append(ours)
    return found


_NAMES, _VALUES, _ELSEWHERE = map(_reversed, (NAMES, VALUES, {v: k for k, v in ELSEWHERE.items()}))
_KNOWN = {*map(plain, (*OTHERS, *VALUES)), *_VALUES}


def name_for(key: str, known: Collection[str]) -> str | None:
    """The name among ``known`` that the unknown dotted name ``key`` means.

    The whole name is looked up, then its last part. Names in the same group come first.
    """
    whole = plain(key)
    if whole in _ELSEWHERE:
        return None
    group, _, last = whole.rpartition(".")
    meant = [n for word in (whole, last) for n in _NAMES.get(word, ()) if n in known and n != group]
    if group and last in OTHERWISE:
        meant = [name for name in meant if name.partition(".")[0] == group.partition(".")[0]]
    return min(meant, key=lambda name: not name.startswith(f"{group}."), default=None)


def advice_for(key: str) -> str | None:
    """What to do instead of setting ``key``, for which there is no setting."""
    words = plain(key), plain(key).rpartition(".")[2]
    return next((advice for word in words for advice in _ELSEWHERE.get(word, ())), None)


def value_for(word: str, known: Collection[str]) -> str | None:
    """The value among ``known`` that ``word`` means."""
    same = [value for value in known if plain(value) == plain(word)]
    other = [value for value in _VALUES.get(plain(word), ()) if value in known]
    return next(iter(same + other), None)


def is_another(word: str) -> bool:
    """Whether ``word`` names a value of some setting, here or elsewhere."""
    return plain(word) in _KNOWN
