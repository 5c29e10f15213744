"""Checks of a runner: facts are gathered, compared and reported."""

import copy
import logging
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.runner import IterBasedTrainLoop, Runner
from torch import Tensor
from torch.utils.data import DataLoader

from mmfer.datasets import FERDataset, fer_datasets, with_pipeline
from mmfer.models.utils import predicts_classes, unwrap_model
from mmfer.utils.random import random_state_kept

from .comparisons import (
    check_batch_count,
    check_crops,
    check_image_size,
    check_loop,
    check_narrow_views,
    check_one_class,
    check_shapes,
    check_single_samples,
    compare_classes,
    compare_labels,
    compare_one_hot,
    compare_outputs,
    smallest_batch,
)
from .facts import (
    ModelFacts,
    class_sets,
    classes_of_config,
    largest_label,
    model_facts,
    output_settings,
    prepared_images,
    resizes,
    stacks,
    stated_classes,
    stated_input_shape,
)


class PreflightError(ValueError):
    """Settings that contradict each other, found before the training."""


class Findings:
    """Errors and warnings of one check."""

    def __init__(self):
        self.errors: List[str] = []
        self.warnings: List[str] = []

    def error(self, *sentences: Optional[str]) -> None:
        """Add those that are not None, each once."""
        self.errors += [s for s in sentences if s and s not in self.errors]

    def warn(self, *sentences: Optional[str]) -> None:
        """Add those that are not None, each once."""
        self.warnings += [s for s in sentences if s and s not in self.warnings]

    def report(self, strict: bool = True) -> None:
        """Log the warnings; raise if there are errors.

        Args:
            strict (bool): False logs errors as warnings. Defaults to True.

        Raises:
            PreflightError: With all errors, a sentence or two for each.
        """
        warnings = self.warnings if strict else self.errors + self.warnings
        for sentence in warnings:
            print_log(sentence, 'current', level=logging.WARNING)
        if self.errors and strict:
            raise PreflightError('\n'.join(self.errors))


def check_training(runner: Runner, strict: bool = True) -> None:
    """Compare all that a training states in several places.

    Builds the train loop and the val loop, as training itself would next,
    and runs some images through the pipelines and the model once. No random
    state is changed.

    Args:
        runner (Runner): Before its training.
        strict (bool): See :meth:`Findings.report`. Defaults to True.

    Raises:
        PreflightError: Settings contradict each other.
    """
    findings = Findings()
    try:
        loop = runner.train_loop
        loaders = dict(train_dataloader=loop.dataloader)
        if runner._val_loop is not None:
            loaders['val_dataloader'] = runner.val_loop.dataloader
    except (TypeError, ValueError):
        # mmengine refuses to join data sets without saying what differs.
        for name in ('train_dataloader', 'val_dataloader'):
            cfg = (runner.cfg.get(name) or {}).get('dataset')
            check_parts(findings, name, cfg)
        findings.report(strict)
        raise
    if isinstance(loop, IterBasedTrainLoop) and any(
        getattr(hook, 'needs_epochs', False) for hook in runner.hooks
    ):
        findings.error(check_loop(loop.max_iters, len(loop.dataloader)))
    facts = check_model(
        findings, runner, loaders, check_loaders(findings, runner, loaders)
    )
    findings.error(batch_problem(loop.dataloader, facts.batch_norms))
    # A training on one class is of no use, but possible.
    findings.warn(one_class_problem(runner))
    findings.report(strict)


def check_evaluation(
    runner: Runner, where: str, loader: DataLoader, strict: bool = True
) -> None:
    """Compare what a test or a validation alone states in several places.

    Args:
        runner (Runner): Before it tests or validates.
        where (str): ``'test_dataloader'`` or ``'val_dataloader'``.
        loader (DataLoader): The one of this name.
        strict (bool): See :meth:`Findings.report`. Defaults to True.

    Raises:
        PreflightError: Settings contradict each other.
    """
    findings = Findings()
    loaders = {where: loader}
    check_model(findings, runner, loaders, check_loaders(findings, runner, loaders))
    findings.report(strict)


def check_batches(runner: Runner) -> None:
    """Check the train loader again, after a hook has changed the samples.

    Raises:
        PreflightError: There is no batch, or one of one image that the model
            cannot train on.
    """
    findings = Findings()
    findings.error(batch_problem(runner.train_dataloader, lone_layers(runner)))
    findings.report()


def check_checkpoint(
    where: str, dataset: Any, checkpoint: dict, strict: bool = True
) -> None:
    """Compare the classes of a data set with those of a checkpoint.

    Args:
        where (str): Which data set.
        dataset: What is tested on, or trained on further.
        checkpoint (dict): As loaded; foreign ones may state no classes.
        strict (bool): See :meth:`Findings.report`. Defaults to True.

    Raises:
        PreflightError: They differ.
    """
    meta = checkpoint.get('meta')
    meta = meta.get('dataset_meta') if isinstance(meta, dict) else None
    known = meta.get('classes') if isinstance(meta, dict) else None
    if not isinstance(known, (list, tuple)):
        return
    findings = Findings()
    findings.error(
        compare_classes(where, stated_classes(dataset), 'the checkpoint', known)
    )
    findings.report(strict)


def check_cleaning(
    runner: Runner,
    dataset: FERDataset,
    base: Optional[dict] = None,
    strict: bool = True,
) -> None:
    """Compare what a cleaning states in several places, before its hours.

    Args:
        runner (Runner): Of the training config; its train loader has
            ``dataset``.
        dataset (FERDataset): What is to be cleaned.
        base (dict, optional): Settings of the cleaning's own models, see
            :class:`~mmfer.methods.gaave.GAAVE`.
        strict (bool): See :meth:`Findings.report`. Defaults to True.

    Raises:
        PreflightError: Settings contradict each other.
    """
    if runner._val_loop is None:
        raise PreflightError(
            'val_dataloader: cleaning looks at the training images through '
            'the validation pipeline, and validation is switched off. Give '
            'the config a val_dataloader, val_cfg and val_evaluator.'
        )
    base = base or {}
    pipeline = base.get('train_dataloader', {}).get('dataset', {}).get('pipeline')
    if pipeline is None:
        return
    findings = Findings()
    check_images(
        findings,
        runner,
        'train_dataloader with the pipeline of the cleaning (base)',
        with_pipeline(dataset, pipeline),
    )
    findings.report(strict)


def check_parts(findings: Findings, where: str, cfg: Any) -> None:
    """Compare the classes of data sets that a config joins.

    Args:
        findings (Findings): Gets what differs.
        where (str): Name of the data set.
        cfg (dict): Of the data set, in any wrappers.
    """
    while isinstance(cfg, dict) and 'datasets' not in cfg:
        cfg = cfg.get('dataset')
    if not isinstance(cfg, dict):
        return
    stated = [classes_of_config(part) for part in cfg['datasets']]
    for i, classes in enumerate(stated[1:], 1):
        findings.error(
            compare_classes(
                f'{where} (part {i})', classes, f'{where} (part 0)', stated[0]
            )
        )


def check_loaders(
    findings: Findings, runner: Runner, loaders: Dict[str, DataLoader]
) -> Optional[Tensor]:
    """Compare classes of all data sets; check batches and images of each.

    Returns:
        Tensor, optional: A prepared image of the first, (C, H, W).
    """
    stated = [
        found
        for where, loader in loaders.items()
        for found in class_sets(where, loader.dataset)
    ]
    if 'train_dataloader' in loaders:
        test = (runner.cfg.get('test_dataloader') or {}).get('dataset')
        val = (runner.cfg.get('val_dataloader') or {}).get('dataset')
        if isinstance(test, dict) and test != val:
            stated.append(('test_dataloader', classes_of_config(test)))
    (first, classes), *others = stated
    for where, found in others:
        findings.error(compare_classes(where, found, first, classes))
    for where, loader in loaders.items():
        findings.error(batch_problem(loader, (), where))
    examples = [
        check_images(findings, runner, where, loader.dataset, stacks(loader.collate_fn))
        for where, loader in loaders.items()
    ]
    return examples[0]


def check_images(
    findings: Findings, runner: Runner, where: str, dataset: Any, stacked: bool = True
) -> Optional[Tensor]:
    """Look at what the pipeline makes of some images; return the first.

    Args:
        findings (Findings): Gets what is wrong.
        runner (Runner): Whose config states sizes.
        where (str): Name of the data set.
        dataset: Any data set, in any wrappers.
        stacked (bool): Whether images of a batch must have one size.
    """
    with random_state_kept():
        images = prepared_images(dataset)
    if not images:
        return None
    image_size = runner.cfg.get('image_size')
    if isinstance(image_size, int):
        image_size = (image_size, image_size)
    input_shape = stated_input_shape(runner)
    cropped = check_crops(where, images, image_size or input_shape and input_shape[1:])
    findings.error(cropped)
    if stacked or input_shape is not None:
        findings.error(check_shapes(where, images, input_shape))
    findings.warn(check_narrow_views(where, images))
    if image_size and not cropped and not resizes(dataset):
        findings.warn(check_image_size(where, images, image_size))
    return images[0].inputs


def check_model(
    findings: Findings,
    runner: Runner,
    loaders: Dict[str, DataLoader],
    example: Optional[Tensor],
) -> ModelFacts:
    """Compare the model's outputs with the classes of the first data set."""
    where, loader = next(iter(loaders.items()))
    model = unwrap_model(runner.model)
    with random_state_kept():
        facts = model_facts(model, example)
    classes = stated_classes(loader.dataset)
    if classes is None:
        findings.error(
            compare_labels(where, largest_label(loader.dataset), facts.outputs)
        )
        return facts
    settings = (
        [] if facts.outputs is None else output_settings(runner.cfg, facts.outputs)
    )
    findings.error(compare_outputs(where, len(classes), facts.outputs, settings))
    if facts.outputs == len(classes):
        findings.error(compare_one_hot(where, len(classes), model.data_preprocessor))
    return facts


def batch_problem(
    loader: DataLoader, layers: Sequence[str], where: str = 'train_dataloader'
) -> Optional[str]:
    """Say what is wrong with the batches of a loader, None if nothing is.

    Args:
        loader (DataLoader): Its sampler says how many samples there are.
        layers (Sequence[str]): See :func:`check_single_samples`.
        where (str): Name of the loader.
    """
    if isinstance(loader.sampler, InfiniteSampler):
        # Its batches do not end.
        return None
    # A batch sampler of one's own has its own sizes.
    batch_size = loader.batch_size or getattr(loader.batch_sampler, 'batch_size', None)
    try:
        batches = len(loader)
        sampler = loader.sampler if loader.batch_size else loader.batch_sampler.sampler
        samples = len(sampler)
    except (AttributeError, TypeError):
        return None
    problem = check_batch_count(where, batches, samples, batch_size, get_world_size())
    if problem or not batch_size:
        return problem
    return check_single_samples(
        where,
        samples,
        batch_size,
        getattr(loader.batch_sampler, 'drop_last', loader.drop_last),
        layers,
    )


def one_class_problem(runner: Runner) -> Optional[str]:
    """Say that all training samples have one label, None if they do not."""
    datasets = list(fer_datasets(runner.train_dataloader.dataset))
    if len(datasets) != 1 or not predicts_classes(unwrap_model(runner.model)):
        return None
    (dataset,) = datasets
    counts = np.bincount(dataset.get_gt_labels(), minlength=dataset.num_classes)
    cause = (
        f' after {dataset.decisions} has dropped or relabelled the others'
        if dataset.decisions is not None
        else ''
    )
    return check_one_class('train_dataloader', counts, dataset.CLASSES, cause)


def lone_layers(runner: Runner) -> List[str]:
    """BatchNorm layers of the model that need two images."""
    with random_state_kept():
        example = None
        if not hasattr(unwrap_model(runner.model).data_preprocessor, 'input_shape'):
            images = prepared_images(runner.train_dataloader.dataset)
            example = images[0].inputs if images else None
        return model_facts(unwrap_model(runner.model), example).batch_norms


def build_fitting_loop(runner: Runner, loader: dict, loop: dict, what: str) -> None:
    """Build a train loop, with batches that suit what is left of a set.

    Hours of cleaning are not thrown away for a batch that is too large: it
    becomes smaller, and a last batch of one image is dropped where the model
    cannot train on it. Both are said.

    Args:
        runner (Runner): Gets the loop.
        loader (dict): Config of the train loader.
        loop (dict): Config of the train loop.
        what (str): Which set it is, for the log.
    """

    def build(**changes):
        runner._train_dataloader = dict(loader, **changes)
        runner._train_loop = runner.build_train_loop(copy.deepcopy(loop))
        return runner.train_dataloader

    built = build()
    if built.batch_size is None:
        # A batch sampler of one's own decides; check_batches looks at it.
        return
    samples, changes = len(built.sampler), {}
    if not len(built) and samples:
        changes['batch_size'] = samples
        print_log(
            f'{what}: {samples} samples are left, fewer than a batch of '
            f'{built.batch_size}; batches are made of {samples}.',
            'current',
            level=logging.WARNING,
        )
        built = build(**changes)
    if (
        samples > 1
        and smallest_batch(samples, built.batch_size, built.drop_last) == 1
        and built.batch_size > 1
    ):
        layers = lone_layers(runner)
        if layers:
            print_log(
                f'{what}: {samples} samples in batches of '
                f'{built.batch_size} would end with a batch of one image, '
                f'and {layers[0]} needs two; the last batch is dropped.',
                'current',
                level=logging.WARNING,
            )
            build(**changes, drop_last=True)
