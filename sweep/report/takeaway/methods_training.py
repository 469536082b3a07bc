"""The methods text on what was trained: data, network, loss, optimizer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.provenance_facts import Start
from sweep.analysis.report_words import listed
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.data_settings import AnatomyData, RawLayoutData, is_groups_file
from sweep.spec.settings.trainer_settings import NnunetTrainer
from sweep.spec.tree.setting_tree import value_of
from sweep.spec.words.phrases import counted
from sweep.spec.words.short_names import words
from sweep.vocabulary.record import TrialRecord

MAIN_LOSSES = {
    "dice_ce": "Dice plus cross-entropy",
    "dice_focal": "Dice plus focal",
    "focal_logcosh_dice": "log-cosh Dice plus focal",
}
NORMALISATIONS = {
    "zscore": "Intensities of each image were normalised to zero mean and unit variance.",
    "minmax": "Intensities of each image were normalised to [0, 1].",
    "nnunet": (
        "Intensities were normalised by nnU-Net's rule for the name of each channel (Isensee et"
        " al., 2021): CT is clipped to the 0.5 and 99.5 percentiles of the foreground over all"
        " cases but those of the test split, and scaled by its mean and standard deviation; a"
        " channel of another name is brought to zero mean and unit variance in each image."
    ),
}
OPTIMIZERS = {"sgd": "SGD", "adamw": "AdamW"}


@dataclass(frozen=True)
class Selected:
    """The configuration that a methods text describes.

    Args:
        results: the sweep.
        record: the first of its ranking.
        start: how that trial was last started.
    """

    results: Results
    record: TrialRecord
    start: Start

    def has(self, key: str) -> bool:
        """Whether the trainer of this sweep reads the setting."""
        spec, group = self.results.spec, key.partition(".")[0]
        is_grouped = group in ("data", "network", "augmentation", "evaluation")
        return not is_grouped or group in spec.trainer.traits.reads

    def value(self, key: str) -> Any:
        """The setting's value in all trials, where it is not searched and no preset changes it."""
        return value_of(self.results.spec, key)

    def text(self, key: str) -> str:
        """The same in words; whether it was searched instead of the value."""
        return "searched" if key in self.results.spec.space else words(self.value(key))

    def count(self, key: str, noun: str) -> str:
        """``30 epochs``; ``a searched number of epochs``."""
        is_searched = key in self.results.spec.space
        return f"a searched number of {noun}s" if is_searched else counted(self.value(key), noun)

    def is_on(self, key: str) -> bool:
        """Whether the setting is searched, or has a value in all trials."""
        return key in self.results.spec.space or bool(self.value(key))


def data_words(of: Selected) -> str:
    """Source, what the network sees of it, classes, splits, normalisation, spacing."""
    return " ".join([*_source(of), *_seen(of), *_classes(of), *_split(of), *_preparation(of)])


def _source(of: Selected) -> Iterator[str]:
    spec = of.results.spec
    if isinstance(spec.trainer, NnunetTrainer):
        yield (
            f"The data are nnU-Net's dataset {spec.trainer.dataset}, planned and preprocessed by"
            f" nnU-Net (Isensee et al., 2021; {spec.trainer.plans}, configuration"
            f" {spec.trainer.configuration})."
        )
        return
    if not of.has("data.source"):
        yield f"The data are those of the trainer{_entry(spec)}."
        return
    data = spec.data.model_dump()
    match data["source"]:
        case "shapes":
            size = of.text("data.size")
            yield (
                f"The data are {of.text('data.count')} synthetic images of {size} × {size} pixels"
                f" ({str(data['kind']).replace('_', ' ')}, difficulty"
                f" {of.text('data.difficulty')})."
            )
        case "brain":
            yield "The data come from the MNI152 brain template."
        case "nnunet_raw":
            yield f"The data are the dataset {Path(str(data['folder'])).name}."
        case _:
            yield f"The data come from `{_without_folder(data.get('entry', data['source']))}`."


def _seen(of: Selected) -> Iterator[str]:
    """Whether volumes were taken whole, where the data could be either."""
    data = of.results.spec.data
    if not of.has("data.spatial") or not isinstance(data, AnatomyData):
        return
    if of.text("data.spatial") == "searched":
        yield "Whether the network sees volumes or their slices was searched."
    elif data.spatial == "volumes":
        yield "The network sees three-dimensional volumes."
    else:
        yield "The network sees two-dimensional images, and volumes as their slices."


def _classes(of: Selected) -> Iterator[str]:
    """The foreground classes, where the scores of cases name them."""
    names = list(dict.fromkeys(one.label for one in of.results.cases(of.record.trial_id)))
    if len(names) > 1:
        yield f"{len(names)} foreground classes were segmented: {listed(names)}."
    elif names:
        yield f"One foreground class was segmented: {names[0]}."
    if of.start.classes.regions:
        yield "The classes are regions, which may overlap."
    if (ignored := of.start.classes.ignore) is not None:
        yield f"Voxels with the label {ignored} counted in no main loss and in no metric."


def _split(of: Selected) -> Iterator[str]:
    cases, spec = of.start.cases, of.results.spec
    where = ""
    fold_key = spec.trainer.traits.fold_key
    fold = of.start.effective.get(fold_key)
    if of.has(fold_key) and isinstance(fold, int):
        folds = of.start.effective.get("data.folds", spec.trainer.traits.folds)
        where = f" (fold {fold}" + (f" of 0 to {folds - 1})" if folds else ")")
    if cases.training is not None and cases.validation is not None:
        yield (
            f"{counted(cases.training, 'case')}{_of_groups(cases.training_groups)} were used for"
            f" training and {cases.validation}{_of_groups(cases.validation_groups)} for"
            f" validation{where}."
        )
        yield from _grouping(of)
    elif where and spec.replicate is None and fold_key not in spec.space:
        yield f"Configurations were compared on one validation split{where}."
    tested = of.results.held_out
    if tested is not None:
        first = tested.tested[0]
        count = counted(len(first.dice), "further case") + _of_groups(first.group_count)
        yield f"The test split has {count}, which were used for nothing else."
    elif spec.has_test_cases:
        yield "A test split was held out, and has not been evaluated."
    elif not spec.trainer.traits.is_own_loop:  # whose data only the trainer knows
        yield "No test split was held out."


def _of_groups(count: int | None) -> str:
    return f" of {counted(count, 'group')}" if count else ""


def _grouping(of: Selected) -> Iterator[str]:
    """How cases were grouped, and whether the split keeps groups whole."""
    asked, both = of.start.effective.get("data.groups"), of.start.cases.groups_in_both
    asked = asked or getattr(of.results.spec.trainer, "groups", None)
    if not isinstance(asked, str) or both is None:
        return
    is_file = is_groups_file(asked)
    found = f"are listed in {Path(asked).name}" if is_file else f"follow from names, by `{asked}`"
    if both:
        kept = f"{counted(both, 'group')} had cases in both training and validation"
    else:
        kept = "No group had cases in both training and validation"
    yield f"Groups of cases, such as those of one patient, {found}. {kept}."


def _preparation(of: Selected) -> Iterator[str]:
    if not of.has("data.normalization"):
        return
    scaled = NORMALISATIONS.get(str(of.value("data.normalization")), "")
    if "data.normalization" not in of.results.spec.space and scaled:
        yield scaled
    if of.text("data.n4") == words(True):
        yield "Bias fields were corrected by N4."
    spacing = of.start.effective.get("data.spacing")
    if "data.spacing" in of.results.spec.space:
        yield "The spacing to which images were resampled was searched."
    elif isinstance(spacing, list) and all(isinstance(step, int | float) for step in spacing):
        yield f"Images were resampled to a spacing of {' × '.join(f'{s:g}' for s in spacing)} mm."
    elif isinstance(of.results.spec.data, RawLayoutData) and "data.spacing" in of.start.effective:
        yield "Images kept the spacing of their files."
    patch = of.start.effective.get("data.patch_size")
    if isinstance(patch, int):  # the same along each axis
        patch = [patch] * (3 if of.start.effective.get("data.spatial") == "volumes" else 2)
    if "data.patch_size" in of.results.spec.space:
        yield "The size of the patches for training was searched."
    elif isinstance(patch, list):
        yield f"Training used patches of {' × '.join(map(str, patch))}."


def training_words(of: Selected) -> str:
    """Network, loss, optimizer, epochs, augmentation, seeds."""
    parts = [*_network(of), *_loss(of), *_optimizer(of), *_loop(of), *_augmentation(of)]
    return " ".join(parts)


def _network(of: Selected) -> Iterator[str]:
    built = of.start.network
    if built.class_ is None:
        return
    name = built.class_.rpartition(".")[2]
    own = [f"{built.parameters:,} parameters"] if built.parameters else []
    if of.has("network.options"):
        own += _options(of, "network.options")
        own += [] if of.results.spec.network.is_plugin else _levels(of)
    sees = ""  # what it is given, in one word
    if of.has("data.spatial") and not {"data.source", "data.spatial"} & set(of.results.spec.space):
        sees = f"{of.results.spec.data.spatial_dims}D "
    is_searched = any(key.startswith("network.") for key in of.results.spec.space)
    which = "selected network" if is_searched else "network"
    yield f"The {which} is a {sees}{name}" + (f" ({', '.join(own)})." if own else ".")


def _levels(of: Selected) -> list[str]:
    """Of a network of our own, which has no options."""
    named = {name: f"network.{name}" for name in ("channels", "dropout")}
    return [f"{name} {of.text(key)}" for name, key in named.items() if of.is_on(key)]


def _options(of: Selected, group: str) -> list[str]:
    """``alpha 0.3``, for each option of a plug-in."""
    return [f"{name} {of.text(f'{group}.{name}')}" for name in of.value(group)]


def _loss(of: Selected) -> Iterator[str]:
    spec = of.results.spec
    is_own = spec.trainer.own_code and "loss.main" not in of.start.effective
    if is_own or (spec.trainer.traits.is_own_loop and spec.trainer.computes_its_own_loss):
        yield f"The loss is that of the trainer{_entry(spec)}."
        return
    main = of.text("loss.main")
    known = MAIN_LOSSES.get(main)
    if main == "searched":
        yield "The main loss was searched."
    else:
        of_what = ", of each region under a sigmoid" if of.start.classes.regions else ""
        options = ", ".join(_options(of, "loss.main_options"))
        own = f"`{_without_folder(main)}`" + (f" ({options})" if options else "")
        yield f"The main loss is {known or own}{of_what}."
    acting = [key for key in spec.loss.weights.keys if of.is_on(key)]
    if not acting:
        return
    terms = listed([f"{key.rpartition('.')[2]} ({of.text(key)})" for key in acting])
    yield f"Geometric terms were added to it with these weights: {terms}."
    warmup, rampup = (of.text(f"loss.{name}_epochs") for name in ("warmup", "rampup"))
    if warmup != "0":
        yield f"They were off for the first epochs (`loss.warmup_epochs`: {warmup})."
    if rampup != "0":
        yield (
            f"From then on they rose linearly to full weight (over `loss.rampup_epochs`: {rampup})."
        )
    if any(key.endswith(("compactness", "aspect")) for key in acting):
        yield (
            f"Their square roots were guarded by ε (`loss.sqrt_epsilon`:"
            f" {of.text('loss.sqrt_epsilon')}, mode {of.text('loss.sqrt_mode')})."
        )


def _optimizer(of: Selected) -> Iterator[str]:
    spec = of.results.spec
    if spec.trainer.traits.is_own_loop:
        return
    if spec.trainer.own_code and "optimizer.name" not in of.start.effective:
        yield f"The optimizer is that of the trainer{_entry(spec)}."
        return
    name, names = of.text("optimizer.name"), {*of.results.spec.values_of("optimizer.name")}
    own = [f"learning rate {of.text('optimizer.lr')}"]
    own += [f"momentum {of.text('optimizer.momentum')}"] if "sgd" in names else []
    if names & OPTIMIZERS.keys():
        own.append(f"weight decay {of.text('optimizer.weight_decay')}")
    options = _options(of, "optimizer.options")
    if names == {name}:  # not searched
        own += options
        name = OPTIMIZERS.get(name, f"`{_without_folder(name)}`")
    elif options:
        own.append(f"where it is not ours: {', '.join(options)}")
    schedule = of.text("optimizer.schedule")
    if schedule == "poly":
        schedule = f"polynomial, exponent {of.text('optimizer.poly_exponent')}"
    elif schedule == "cosine":
        schedule = "cosine, to 0 after the last epoch"
    clip = of.text("optimizer.gradient_clip")
    clipped = f", gradients clipped at norm {clip}" if of.is_on("optimizer.gradient_clip") else ""
    yield (
        f"The optimizer was {name} ({', '.join(own)}; learning rate schedule: {schedule}{clipped})."
    )


def _loop(of: Selected) -> Iterator[str]:
    effective = of.start.effective
    steps, batch = effective.get("trainer.steps_per_epoch"), effective.get("trainer.batch_size")
    space, size = of.results.spec.space, []
    if steps:
        is_searched = "trainer.steps_per_epoch" in space
        size.append("a searched number of steps" if is_searched else counted(steps, "step"))
    if batch:
        is_searched = "trainer.batch_size" in space
        size.append(f"batches of {'a searched size' if is_searched else batch}")
    each = f" of {' with '.join(size)}" if size else ""
    yield f"A run had at most {of.count('trainer.epochs', 'epoch')}{each}."
    if not of.is_on("early_stopping.patience"):
        yield "There was no early stopping."
    else:
        patience = of.count("early_stopping.patience", "epoch")
        yield f"Early stopping had a patience of {patience}."
    amp = of.text("trainer.amp")
    if amp not in ("off", "auto"):
        yield f"Training used mixed precision ({amp})."
    if of.has("evaluation.tta") and of.text("evaluation.tta") == "flips":
        yield "In the validation, predictions were averaged over flips."
    again = of.results.spec.replicate
    if again is None:
        yield f"The seed was {of.text('seed')} for every configuration of the search."
    else:
        yield (
            f"The first seed was {of.text('seed')}. A configuration was trained on up to"
            f" {counted(again.folds, 'fold')} with {counted(again.seeds, 'seed')} each, as long as"
            " it could still be the best."
        )


def _entry(spec: SweepSpec) -> str:
    """The name of the user's code after a blank; empty where none trains."""
    key = spec.trainer.own_code
    return f" `{_without_folder(value_of(spec, key))}`" if key else ""


def _without_folder(entry: str) -> str:
    """``my.py:Mine`` for ``/a/my.py:Mine``."""
    return entry.rpartition("/")[2]


def _augmentation(of: Selected) -> Iterator[str]:
    spec = of.results.spec
    if isinstance(spec.trainer, NnunetTrainer):
        strength = of.text("trainer.augmentation_strength")
        yield f"Augmentation is nnU-Net's own (strength {strength})."
    if not of.has("augmentation.flips"):
        return
    groups: Iterable[str] = type(spec.augmentation).model_fields
    found = []
    for name in groups:
        key = f"augmentation.{name}.probability"
        if key in spec.space or of.value(key):
            found.append(f"{name.replace('_', ' ')} ({of.text(key)})")
    if found:
        yield f"Augmentations and their probabilities: {listed(found)}."
    else:
        yield "Images were not augmented."
