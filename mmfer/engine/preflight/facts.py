"""Collect facts about models, data sets and configs, for the comparisons."""

import copy
import logging
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
import torch.nn as nn
from mmengine.dataset import pseudo_collate
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.registry import DATASETS
from mmengine.runner import Runner
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from mmfer.datasets import FERDataset
from mmfer.datasets.transforms.resizing import is_resizer
from mmfer.models.data_preprocessor import blank_images
from mmfer.models.predictions import predict_batch
from mmfer.models.utils import predicts_classes

from .pipeline_probe import PreparedImage, Shares, prepare_image, spread_positions

# Number of images of a data set that are checked.
MAX_IMAGES = 32


class ModelFacts(NamedTuple):
    """Facts about a model, found by running it on blank images.

    Attributes:
        outputs (int, optional): Number of classes that the model predicts;
            None if it predicts no classes, or could not be run.
        batch_norms (list[str]): BatchNorm layers that train and get one value
            per channel of each image. They cannot compute statistics for a
            batch of one image.
    """

    outputs: Optional[int]
    batch_norms: List[str]


def model_facts(model: nn.Module, example: Optional[Tensor]) -> ModelFacts:
    """Run a model in eval mode on two blank images, and restore its modes.

    Args:
        model (nn.Module): Classifier, without a wrapper for DDP.
        example (Tensor, optional): Prepared image (C, H, W). Its shape is
            used if the data preprocessor states none.
    """
    facts = ModelFacts(getattr(getattr(model, 'head', None), 'num_classes', None), [])
    if not predicts_classes(model):
        return ModelFacts(None, [])
    preprocessor = model.data_preprocessor
    assert isinstance(preprocessor, nn.Module)
    if hasattr(preprocessor, 'input_shape'):
        images = blank_images(preprocessor)
    elif example is not None:
        images = torch.zeros_like(example).expand(2, *example.shape)
    else:
        return facts
    modes = {module: module.training for module in model.modules()}
    # Some layers stay in eval mode even when the model trains.
    model.train()
    norms = {
        module: name
        for name, module in model.named_modules()
        if isinstance(module, _BatchNorm) and module.training
    }
    seen: Dict[str, None] = {}

    def note(module, inputs):
        if inputs[0].numel() == inputs[0].shape[0] * inputs[0].shape[1] and not (
            isinstance(module, nn.SyncBatchNorm) and get_world_size() > 1
        ):
            seen[f'{norms[module]} ({type(module).__name__})'] = None

    handles = [module.register_forward_pre_hook(note) for module in norms]
    model.eval()
    try:
        with torch.no_grad():
            inputs = preprocessor(dict(inputs=images), False)['inputs']
            scores = predict_batch(model, inputs).get('pred_score')
        if scores is not None:
            facts = ModelFacts(scores.shape[1], [])
    except Exception as error:
        # This kind of model is unknown. If it is wrong, training fails with its
        # own message.
        print_log(
            f'preflight: the model could not be run ({error}).',
            'current',
            level=logging.DEBUG,
        )
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    return facts._replace(batch_norms=list(seen))


def class_sets(
    where: str, dataset: Any
) -> Iterator[Tuple[str, Optional[Sequence[str]]]]:
    """Yield the classes that a data set states, and those of its parts.

    Args:
        where (str): Name of the data set, for messages.
        dataset: Data set of any kind, with any wrappers.

    Yields:
        tuple: Name of the data set or part, and its classes or None.
    """
    yield where, stated_classes(dataset)
    inner, path = dataset, where
    while not isinstance(getattr(inner, 'datasets', None), (list, tuple)):
        inner = inner_dataset(inner)
        if inner is None:
            return
    for i, part in enumerate(inner.datasets):
        yield from class_sets(f'{path} (part {i})', part)


def inner_dataset(dataset: Any) -> Any:
    """Return the data set inside a wrapper, None if there is no wrapper."""
    if isinstance(dataset, FERDataset):
        return None
    # Compare with None: the truth value of a data set asks for its length.
    attributes = getattr(dataset, '__dict__', {})
    inner = attributes.get('dataset')
    return attributes.get('_dataset') if inner is None else inner


def stated_classes(dataset: Any) -> Optional[Sequence[str]]:
    """Return the class names of a data set of any library, None if unknown."""
    metainfo = getattr(dataset, 'metainfo', None)
    classes = metainfo.get('classes') if isinstance(metainfo, dict) else None
    if classes is None:
        # Data sets of torchvision have this attribute.
        classes = getattr(dataset, 'classes', None)
    if classes is None and inner_dataset(dataset) is not None:
        return stated_classes(inner_dataset(dataset))
    if not isinstance(classes, (list, tuple)) or not classes:
        return None
    return classes


def classes_of_config(cfg: dict) -> Optional[Sequence[str]]:
    """Return the classes of a data set without loading it.

    Args:
        cfg (dict): Config of the data set.

    Returns:
        Sequence[str], optional: None if the data set states no classes, or
        cannot be built, for example because its files do not exist yet.
    """
    try:
        dataset = DATASETS.build(dict(copy.deepcopy(cfg), lazy_init=True))
        if stated_classes(dataset) is None and isinstance(dataset, FERDataset):
            # The folders are the classes: list the files, but decode none.
            dataset.on_bad_image = 'raise'
            dataset.full_init()
        return stated_classes(dataset)
    except Exception as error:
        print_log(
            f'preflight: classes of {cfg.get("type")} are not known ({error}).',
            'current',
            level=logging.DEBUG,
        )
        return None


def largest_label(dataset: Any) -> Optional[int]:
    """Return the largest label of a data set, None if it is unknown."""
    try:
        labels = np.asarray(dataset.get_gt_labels())
        return int(labels.max()) if labels.ndim == 1 else None
    except Exception:
        return None


def image_datasets(dataset: Any) -> Iterator[Any]:
    """Yield data sets with a pipeline and annotations, inside any wrappers."""
    if hasattr(dataset, 'get_data_info') and hasattr(
        getattr(dataset, 'pipeline', None), 'transforms'
    ):
        yield dataset
        return
    parts = getattr(dataset, 'datasets', None)
    if not isinstance(parts, (list, tuple)):
        parts = [inner_dataset(dataset)]
    for part in parts:
        if part is not None:
            yield from image_datasets(part)


def prepared_images(dataset: Any) -> List[PreparedImage]:
    """Run images spread evenly over a data set through its pipeline.

    Images that cannot be read are skipped, because training names them.
    """
    inner = list(image_datasets(dataset))
    images = []
    for part in inner:
        shares: Shares = {}
        for position in spread_positions(len(part), max(4, MAX_IMAGES // len(inner))):
            try:
                info = part.get_data_info(position)
                path = info.get('img_path')
                name = (
                    f'sample {position}'
                    if path is None
                    else part.image_name(path)
                    if isinstance(part, FERDataset)
                    else str(path)
                )
                image = prepare_image(part.pipeline.transforms, info, name, shares)
            except Exception as error:
                print_log(
                    f'preflight: image {position} was not checked ({error}).',
                    'current',
                    level=logging.DEBUG,
                )
                continue
            if image is not None:
                images.append(image)
    return images


def resizes(dataset: Any) -> bool:
    """Return whether every pipeline in a data set has a step that resizes."""
    return all(
        any(is_resizer(step) for step in part.pipeline.transforms)
        for part in image_datasets(dataset)
    )


def stacks(collate_fn: Any) -> bool:
    """Return whether a loader stacks the images of a batch in one tensor.

    Otherwise the model gets a list, and may pad images of different sizes.
    """
    return getattr(collate_fn, 'func', collate_fn) is not pseudo_collate


def output_settings(cfg: Any, outputs: int) -> List[str]:
    """Return the dotted paths at which a config states the number of outputs."""
    found = []

    def search(value, path):
        if isinstance(value, dict):
            for key, item in value.items():
                if key == 'num_classes' and item == outputs:
                    found.append(f'{path}.{key}')
                search(item, f'{path}.{key}')
        elif isinstance(value, (list, tuple)):
            for i, item in enumerate(value):
                search(item, f'{path}.{i}')

    for name in ('data_preprocessor', 'model'):
        search(cfg.get(name) or {}, name)
    return found


def stated_input_shape(runner: Runner) -> Optional[Tuple[int, ...]]:
    """Return ``input_shape`` of the data preprocessor, None if not stated."""
    for cfg in (
        runner.cfg.get('data_preprocessor'),
        (runner.cfg.get('model') or {}).get('data_preprocessor'),
    ):
        if isinstance(cfg, dict) and 'input_shape' in cfg:
            return tuple(cfg['input_shape'])
    return None
