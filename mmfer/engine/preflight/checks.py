"""Run the checks for a runner: gather facts, compare them, report."""

from typing import Any, Dict, Optional, Tuple

import numpy as np
import torch.nn as nn
from mmengine.runner import IterBasedTrainLoop, Runner
from torch import Tensor
from torch.utils.data import DataLoader

from mmfer.datasets import FERDataset, fer_datasets, with_pipeline
from mmfer.models.utils import predicts_classes, unwrap_model
from mmfer.utils.random import random_state_kept

from .batches import batch_problem, lone_layers
from .compare_batches import check_loop
from .compare_classes import (
    check_one_class,
    compare_classes,
    compare_labels,
    compare_one_hot,
    compare_outputs,
)
from .compare_domains import compare_domains
from .compare_images import (
    check_crops,
    check_image_size,
    check_narrow_views,
    check_shapes,
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
from .findings import Findings, PreflightError


def check_training(runner: Runner, strict: bool = True) -> None:
    """Compare all settings that a training config states in several places.

    This builds the train loop and the val loop, as ``runner.train()`` would do
    next. It runs some images through the pipelines, and two blank images
    through the model. No random state is changed.

    Args:
        runner (Runner): Runner that has not started to train.
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
        # mmengine refuses to join different data sets without naming the
        # difference.
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
    # Training on one class is useless, but possible.
    findings.warn(one_class_problem(runner))
    findings.report(strict)


def check_evaluation(
    runner: Runner, where: str, loader: DataLoader, strict: bool = True
) -> None:
    """Compare all settings that a test or validation states in several places.

    Args:
        runner (Runner): Runner that has not started to test or validate.
        where (str): ``'test_dataloader'`` or ``'val_dataloader'``.
        loader (DataLoader): Loader of this name.
        strict (bool): See :meth:`Findings.report`. Defaults to True.

    Raises:
        PreflightError: Settings contradict each other.
    """
    findings = Findings()
    loaders = {where: loader}
    check_model(findings, runner, loaders, check_loaders(findings, runner, loaders))
    findings.report(strict)


def check_batches(runner: Runner) -> None:
    """Check the train loader again after a hook has changed the samples.

    Raises:
        PreflightError: There is no batch, or the model cannot train on a
            batch of a single image.
    """
    findings = Findings()
    findings.error(batch_problem(runner.train_dataloader, lone_layers(runner)))
    findings.report()


def check_checkpoint(
    where: str, dataset: Any, checkpoint: dict, strict: bool = True
) -> None:
    """Compare the classes of a data set with those of a checkpoint.

    Args:
        where (str): Name of the data set.
        dataset: Data set to test on, or to continue to train on.
        checkpoint (dict): Loaded checkpoint. If it states no classes, as
            those of other programs may do, nothing is compared.
        strict (bool): See :meth:`Findings.report`. Defaults to True.

    Raises:
        PreflightError: The classes differ.
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
    """Compare all settings that a cleaning states in several places.

    A cleaning takes hours, so contradictions are found before it starts.

    Args:
        runner (Runner): Runner of the training config, whose train loader has
            ``dataset``.
        dataset (FERDataset): Data set to clean.
        base (dict, optional): Settings of the models that the cleaning
            trains, see :class:`~mmfer.methods.gaave.GAAVE`.
        strict (bool): See :meth:`Findings.report`. Defaults to True.

    Raises:
        PreflightError: Settings contradict each other.
    """
    if runner._val_loop is None:
        raise PreflightError(
            'val_dataloader: a cleaning prepares the training images with '
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
        findings (Findings): Gets an error for each difference.
        where (str): Name of the data set.
        cfg (dict): Config of the data set, with any wrappers.
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
    """Check the classes, batches and images of all data sets.

    Returns:
        Tensor, optional: Prepared image of the first data set, (C, H, W).
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
    findings.error(compare_domains(test_domains(runner, loaders)))
    for where, loader in loaders.items():
        findings.error(batch_problem(loader, (), where))
    examples = [
        check_images(findings, runner, where, loader.dataset, stacks(loader.collate_fn))
        for where, loader in loaders.items()
    ]
    return examples[0]


def test_domains(runner: Runner, loaders: Dict[str, DataLoader]) -> Dict[str, str]:
    """Return ``test_domain`` of all data sets that have one, by their loaders."""
    found = {
        where: dataset.test_domain
        for where, loader in loaders.items()
        for dataset in fer_datasets(loader.dataset)
        if hasattr(dataset, 'test_domain')
    }
    test = (runner.cfg.get('test_dataloader') or {}).get('dataset') or {}
    if 'train_dataloader' in found and 'test_domain' in test:
        found.setdefault('test_dataloader', test['test_domain'])
    return found


def check_images(
    findings: Findings, runner: Runner, where: str, dataset: Any, stacked: bool = True
) -> Optional[Tensor]:
    """Check some images of a data set after its pipeline; return the first.

    Args:
        findings (Findings): Gets errors and warnings.
        runner (Runner): Runner whose config states sizes.
        where (str): Name of the data set.
        dataset: Data set of any kind, with any wrappers.
        stacked (bool): Whether the images of a batch must have one size.
            Defaults to True.
    """
    with random_state_kept():
        images = prepared_images(dataset)
    if not images:
        return None
    image_size = runner.cfg.get('image_size')
    if isinstance(image_size, int):
        image_size = (image_size, image_size)
    input_shape = stated_input_shape(runner)
    scale: Optional[Tuple[int, int]] = image_size
    if not scale and input_shape:
        scale = (input_shape[1], input_shape[2])
    cropped = check_crops(where, images, scale)
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
        preprocessor = model.data_preprocessor
        assert isinstance(preprocessor, nn.Module)
        findings.error(compare_one_hot(where, len(classes), preprocessor))
    return facts


def one_class_problem(runner: Runner) -> Optional[str]:
    """Return a message if all training samples have one label, else None."""
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
    return check_one_class('train_dataloader', counts.tolist(), dataset.CLASSES, cause)
