"""What is checked before the first iteration.

Some things are stated in several places: the classes by each data set and by
the model, the size of images by the files, the pipeline and the model. The
first half of this module compares plain facts and knows nothing of runners:
each function returns a sentence that says both values and the way out, or
None. The second half gathers the facts.
"""
import copy
import logging
import math
from typing import (Any, Dict, Iterator, List, NamedTuple, Optional, Sequence,
                    Tuple)

import numpy as np
import torch
import torch.nn as nn
from mmengine.dataset import InfiniteSampler, pseudo_collate
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.registry import DATASETS
from mmengine.runner import IterBasedTrainLoop, Runner
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader

from mmfer.datasets import FERDataset, fer_datasets, with_pipeline
from mmfer.models.classifier import blank_images
from mmfer.models.predictions import predict_batch

from .hooks.summary import SummaryHook
from .pipeline_probe import PreparedImage, prepare_image, spread_positions
from .utils import bare_model, predicts_classes, random_state_kept

# Images of a data set that are looked at.
MAX_IMAGES = 32
# Share of an image's area below which a crop is taken for an oversight.
MIN_VISIBLE = .5


class PreflightError(ValueError):
    """Settings that contradict each other, found before the training."""


# -- comparisons -------------------------------------------------------------
def compare_classes(where: str, classes: Optional[Sequence[str]],
                    other: str,
                    other_classes: Optional[Sequence[str]]) -> Optional[str]:
    """Compare names and order of classes.

    Upper and lower case do not count. Of classes that are only numbered ('0',
    '1', ...) the number is compared.

    Args:
        where, other (str): Who states them, for the message.
        classes, other_classes (Sequence[str], optional): None: not known.
    """
    if classes is None or other_classes is None:
        return None
    first, second = plain_names(classes), plain_names(other_classes)
    if first == second:
        return None
    if len(first) == len(second) and (numbered(first) or numbered(second)):
        return None
    advice = ('A label would mean different things in the two: give both the '
              'same classes in the same order (classes=[...] of the data '
              'set).')
    if len(first) != len(second):
        parts = []
        if not numbered(first) and not numbered(second):
            for who, lacking in ((where, set(second) - set(first)),
                                 (other, set(first) - set(second))):
                if lacking:
                    names = [n for n in [*classes, *other_classes]
                             if plain_names([n])[0] in lacking]
                    parts.append(f'{who} lacks {shorten(names)}')
        return (f'{where} has {len(first)} classes and {other} has '
                f'{len(second)}' + (': ' + ', '.join(parts) if parts else '')
                + f'. {advice}')
    label = next(i for i, pair in enumerate(zip(first, second))
                 if pair[0] != pair[1])
    kind = 'the same classes in another order' if set(first) == set(second) \
        else 'other classes'
    return (f'{where} and {other} have {kind}: label {label} is '
            f'{str(classes[label])!r} in {where} and '
            f'{str(other_classes[label])!r} in {other}. {advice}')


def compare_outputs(where: str, num_classes: Optional[int],
                    outputs: Optional[int],
                    settings: Sequence[str] = ()) -> Optional[str]:
    """Compare the number of classes with the model's number of outputs.

    Args:
        where (str): Which data set.
        num_classes (int, optional): Of the data set; None: not known.
        outputs (int, optional): Of the model; None: not known.
        settings (Sequence[str]): Where in the config ``outputs`` is stated.
    """
    if num_classes is None or outputs is None or num_classes == outputs:
        return None
    what = f'labels from {outputs} on have no output' \
        if outputs < num_classes else \
        f'outputs from {num_classes} on belong to no class'
    change = ' and '.join(f'{path}={num_classes}' for path in settings) or \
        f'num_classes={num_classes} of the model'
    return (f'{where} has {num_classes} classes, and the model has {outputs} '
            f'outputs: {what}. Set {change}, or correct the classes of the '
            'data set.')


def compare_one_hot(where: str, num_classes: int,
                    preprocessor: nn.Module) -> Optional[str]:
    """Compare the number of classes with the width of mixed labels.

    Args:
        where (str): Which data set.
        num_classes (int): Of the data set.
        preprocessor (nn.Module): Mixes labels if it has ``batch_augments``.
    """
    width = getattr(preprocessor, 'num_classes', None)
    if getattr(preprocessor, 'batch_augments', None) is None or \
            width in (None, num_classes):
        return None
    return (f'{where} has {num_classes} classes, and '
            f'data_preprocessor.num_classes={width} is the width of mixed '
            f'labels: set data_preprocessor.num_classes={num_classes}.')


def compare_labels(where: str, largest: Optional[int],
                   outputs: Optional[int]) -> Optional[str]:
    """Compare the largest label of a data set that names no classes."""
    if largest is None or outputs is None or largest < outputs:
        return None
    return (f'{where} has a label {largest}, and the model has {outputs} '
            f'outputs, for labels 0 to {outputs - 1}. Set num_classes of the '
            'model, or correct the labels.')


def check_batch_count(where: str, batches: int, samples: int,
                      batch_size: Optional[int],
                      world_size: int = 1) -> Optional[str]:
    """Say that no batch is complete.

    Args:
        where (str): Which data loader.
        batches (int): In an epoch of one process.
        samples (int): Of one process.
        batch_size (int, optional): Of one process; None: not known.
        world_size (int): Number of processes.
    """
    if batches > 0:
        return None
    each = f' in each of {world_size} processes' if world_size > 1 else ''
    if batch_size is None:
        return (f'{where} has no batch of its {samples} samples{each}: '
                'correct its batch_sampler.')
    return (f'{where} has {samples} samples{each}, fewer than one batch of '
            f'{batch_size} ({samples} < {batch_size}), and drop_last=True '
            'drops an incomplete batch: nothing would be left. Set '
            f'{where}.batch_size={max(samples, 1)} or less, or '
            f'{where}.drop_last=False.')


def smallest_batch(samples: int, batch_size: int, drop_last: bool) -> int:
    """Number of samples in the smallest batch of an epoch."""
    rest = samples % batch_size
    return rest if rest and not drop_last else min(batch_size, samples)


def check_single_samples(where: str, samples: int, batch_size: int,
                         drop_last: bool,
                         layers: Sequence[str]) -> Optional[str]:
    """Say that a batch of one image meets a layer that needs two.

    Args:
        where (str): Which data loader.
        samples (int): Of one process.
        batch_size (int): Of one process.
        drop_last (bool): Whether an incomplete batch is dropped.
        layers (Sequence[str]): Names of layers that take statistics over the
            images of a batch alone.
    """
    if not layers or smallest_batch(samples, batch_size, drop_last) != 1:
        return None
    more = f' and {len(layers) - 1} more' if len(layers) > 1 else ''
    why = (f'{layers[0]}{more} take statistics over the images of a batch, '
           'at least two')
    if batch_size == 1 or samples == 1:
        return (f'{where} has batches of one image, and {why}. Set '
                f'{where}.batch_size to 2 or more.' if samples > 1 else
                f'{where} has one image, and {why}. Add images.')
    other = next(b for b in range(batch_size + 1, samples + 2)
                 if samples % b != 1)
    return (f'{where}: {samples} samples in batches of {batch_size} end with '
            f'a batch of one image, and {why}. Set {where}.drop_last=True, or '
            f'another batch size, such as {where}.batch_size={other}.')


def check_one_class(where: str, counts: Sequence[int],
                    classes: Sequence[str],
                    cause: str = '') -> Optional[str]:
    """Say that all training samples have the same label.

    Args:
        where (str): Which data set.
        counts (Sequence[int]): Samples of each class.
        classes (Sequence[str]): Their names.
        cause (str): What left it so, for the message.
    """
    used = np.flatnonzero(counts)
    if len(counts) < 2 or len(used) > 1:
        return None
    name = classes[used[0]] if len(used) else 'any class'
    return (f'{where} has samples of {name} only{cause}: there is nothing to '
            'tell it from. Look at the labels or the decisions, and keep '
            'samples of two classes at least.')


def check_crops(where: str, images: Sequence[PreparedImage],
                scale: Optional[Tuple[int, int]] = None) -> Optional[str]:
    """Say that images are cropped to less than half without a resize.

    Args:
        where (str): Which data set.
        images (Sequence[PreparedImage]): A sample of its images.
        scale (tuple[int, int], optional): Height and width to resize to, for
            the message.
    """
    cropped = [i for i in images if i.visible_before_resize < MIN_VISIBLE]
    if not cropped:
        return None
    worst = min(cropped, key=lambda i: i.visible_before_resize)
    scale = f'({scale[1]}, {scale[0]})' if scale else '(width, height)'
    return (f'{where}: the pipeline crops {len(cropped)} of {len(images)} '
            'images that were looked at to less than half of their area '
            'without resizing them first: of '
            f'{worst.name} ({in_pixels(worst.size)} pixels) '
            f'{worst.visible_before_resize:.0%} is left. Put '
            f"dict(type='Resize', scale={scale}, interpolation='area') before "
            'the crop in all pipelines.')


def check_narrow_views(where: str, images: Sequence[PreparedImage]
                       ) -> Optional[str]:
    """Say that less than half of resized images is seen (a warning)."""
    narrow = [i for i in images if i.visible < MIN_VISIBLE
              and i.visible_before_resize >= MIN_VISIBLE]
    if not narrow:
        return None
    worst = min(narrow, key=lambda i: i.visible)
    return (f'{where}: of {len(narrow)} of {len(images)} images that were '
            'looked at the pipeline leaves less than half of the area, for '
            f'example {worst.visible:.0%} of {worst.name} '
            f'({in_pixels(worst.size)} pixels). If faces are cut off, resize '
            'with keep_ratio=False or crop the files around the faces.')


def check_shapes(where: str, images: Sequence[PreparedImage],
                 input_shape: Optional[Sequence[int]]) -> Optional[str]:
    """Compare what the pipeline makes with what the model is built for.

    Args:
        where (str): Which data set.
        images (Sequence[PreparedImage]): A sample of its images.
        input_shape (Sequence[int], optional): (C, H, W) of the model; None:
            not stated, then images of a batch have only to be alike.
    """
    images = [i for i in images if i.shape is not None]
    if not images:
        return None
    if input_shape is None:
        other = [i for i in images if i.shape != images[0].shape]
        if not other:
            return None
        return (f'{where}: the pipeline makes images of different sizes, '
                f'{in_pixels(images[0].shape[1:])} pixels of '
                f'{images[0].name} and {in_pixels(other[0].shape[1:])} of '
                f'{other[0].name}, which cannot be put in one batch. Add '
                "dict(type='Resize', scale=(width, height)) to the pipeline.")
    input_shape = tuple(input_shape)
    wrong = [i for i in images if i.shape != input_shape]
    if not wrong:
        return None
    advice = "Resize or crop in all pipelines, or change " \
        'data_preprocessor.input_shape.'
    if all(i.shape[1:] == input_shape[1:] for i in wrong):
        advice = "Set color_type='color' or 'grayscale' of LoadFERImage in " \
            'all pipelines, or change data_preprocessor.input_shape.'
    return (f'{where}: the pipeline makes images of {wrong[0].shape} '
            f'(channels, height, width) of {wrong[0].name} '
            f'({in_pixels(wrong[0].size)} pixels), and '
            f'data_preprocessor.input_shape is {input_shape}; '
            f'so it is with {len(wrong)} of {len(images)} images that were '
            f'looked at. {advice}')


def check_image_size(where: str, images: Sequence[PreparedImage],
                     image_size: Sequence[int]) -> Optional[str]:
    """Compare images that no step resizes with the ``image_size`` stated.

    FERInferencer brings faces to that size, so that training and test would
    see other pixels than it does. A warning.

    Args:
        where (str): Which data set; its pipeline has no step that resizes.
        images (Sequence[PreparedImage]): A sample of its images.
        image_size (Sequence[int]): Height and width.
    """
    wrong = [i for i in images if tuple(i.size) != tuple(image_size)]
    if not wrong:
        return None
    return (f'{where}: {len(wrong)} of {len(images)} images that were looked '
            f'at are not of image_size {in_pixels(image_size)}, for example '
            f'{wrong[0].name} with {in_pixels(wrong[0].size)} pixels, and no '
            'step of the pipeline resizes them; FERInferencer does, and will '
            "see other pixels than the training. Put dict(type='Resize', "
            f"scale=({image_size[1]}, {image_size[0]}), "
            "interpolation='area') behind the loading step in all pipelines.")


def check_loop(max_iters: int, batches: int) -> str:
    """Say that a training must be counted in epochs.

    Args:
        max_iters (int): Iterations of the training.
        batches (int): In an epoch.
    """
    epochs = max(1, math.ceil(max_iters / max(batches, 1)))
    return ('train_cfg: the training is counted in iterations, and '
            'history.json and summary.json are counted in epochs. Set '
            'train_cfg=dict(by_epoch=True, '
            f'max_epochs={epochs}, val_interval=1), which is '
            f'{epochs * batches} iterations instead of {max_iters}.')


def plain_names(classes: Sequence[str]) -> List[str]:
    """Class names without upper case and surrounding blanks."""
    return [str(name).strip().casefold() for name in classes]


def numbered(names: Sequence[str]) -> bool:
    """Whether classes have numbers instead of names."""
    return list(names) == [str(i) for i in range(len(names))]


def shorten(names: Sequence[str], limit: int = 5) -> str:
    """The first names of a list, and how many more there are."""
    names = list(dict.fromkeys(str(name) for name in names))
    text = ', '.join(names[:limit])
    return text if len(names) <= limit else \
        f'{text} and {len(names) - limit} more'


def in_pixels(size: Sequence[int]) -> str:
    """Height and width for a message."""
    return ' x '.join(str(length) for length in size)


# -- facts -------------------------------------------------------------------
class ModelFacts(NamedTuple):
    """What a model is found to be by running it on blank images.

    Attributes:
        outputs (int, optional): Classes that it predicts; None if it predicts
            none, or could not be run.
        batch_norms (list[str]): BatchNorm layers that train and see a single
            value per channel of each image, so that a batch of one image has
            no statistics.
    """
    outputs: Optional[int]
    batch_norms: List[str]


def model_facts(model: nn.Module, example: Optional[Tensor]) -> ModelFacts:
    """Run a model in eval mode on two blank images, without a trace.

    Args:
        model (nn.Module): Any classifier, without a wrapper for DDP.
        example (Tensor, optional): A prepared image (C, H, W), whose shape
            is taken where the data preprocessor states none.
    """
    facts = ModelFacts(getattr(getattr(model, 'head', None), 'num_classes',
                               None), [])
    if not predicts_classes(model):
        return ModelFacts(None, [])
    preprocessor = model.data_preprocessor
    if hasattr(preprocessor, 'input_shape'):
        images = blank_images(preprocessor)
    elif example is not None:
        images = torch.zeros_like(example).expand(2, *example.shape)
    else:
        return facts
    modes = {module: module.training for module in model.modules()}
    # Some stay in eval mode when the model trains.
    model.train()
    norms = {module: name for name, module in model.named_modules()
             if isinstance(module, _BatchNorm) and module.training}
    seen: Dict[str, None] = {}

    def note(module, inputs):
        if inputs[0].numel() == inputs[0].shape[0] * inputs[0].shape[1] and \
                not (isinstance(module, nn.SyncBatchNorm)
                     and get_world_size() > 1):
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
        # A model of another kind; what is wrong with it training will say.
        print_log(f'preflight: the model could not be run ({error}).',
                  'current', level=logging.DEBUG)
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    return facts._replace(batch_norms=list(seen))


def class_sets(where: str, dataset: Any
               ) -> Iterator[Tuple[str, Optional[Sequence[str]]]]:
    """Classes as a data set states them, and those of its parts.

    Args:
        where (str): Name of the data set, for messages.
        dataset: Any data set, in any wrappers.

    Yields:
        tuple: Who states them, and the classes or None.
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
    """The data set in a wrapper of one, else None."""
    if isinstance(dataset, FERDataset):
        return None
    # Not truth values: those of a data set ask for its length.
    attributes = getattr(dataset, '__dict__', {})
    inner = attributes.get('dataset')
    return attributes.get('_dataset') if inner is None else inner


def stated_classes(dataset: Any) -> Optional[Sequence[str]]:
    """Class names of a data set of any library, None if it has none."""
    metainfo = getattr(dataset, 'metainfo', None)
    classes = metainfo.get('classes') if isinstance(metainfo, dict) else None
    if classes is None:
        # Those of torchvision.
        classes = getattr(dataset, 'classes', None)
    if classes is None and inner_dataset(dataset) is not None:
        return stated_classes(inner_dataset(dataset))
    if not isinstance(classes, (list, tuple)) or not classes:
        return None
    return classes


def classes_of_config(cfg: dict) -> Optional[Sequence[str]]:
    """Classes of a data set that is not loaded for it.

    Args:
        cfg (dict): Of the data set. What cannot be built (it may not be
            there yet) states no classes.
    """
    try:
        dataset = DATASETS.build(dict(copy.deepcopy(cfg), lazy_init=True))
        if stated_classes(dataset) is None and isinstance(
                dataset, FERDataset):
            # Folders are classes: list them, but decode nothing.
            dataset.cache_images, dataset.on_bad_image = False, 'raise'
            dataset.full_init()
        return stated_classes(dataset)
    except Exception as error:
        print_log(f'preflight: classes of {cfg.get("type")} are not known '
                  f'({error}).', 'current', level=logging.DEBUG)
        return None


def check_parts(findings: 'Findings', where: str, cfg: Any) -> None:
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
            compare_classes(f'{where} (part {i})', classes,
                            f'{where} (part 0)', stated[0]))


def largest_label(dataset: Any) -> Optional[int]:
    """Largest label of a data set that can tell its labels, else None."""
    try:
        labels = np.asarray(dataset.get_gt_labels())
        return int(labels.max()) if labels.ndim == 1 else None
    except Exception:
        return None


def image_datasets(dataset: Any) -> Iterator[Any]:
    """Data sets with a pipeline and annotations, inside any wrappers."""
    if hasattr(dataset, 'get_data_info') and hasattr(
            getattr(dataset, 'pipeline', None), 'transforms'):
        yield dataset
        return
    parts = getattr(dataset, 'datasets', None)
    if not isinstance(parts, (list, tuple)):
        parts = [inner_dataset(dataset)]
    for part in parts:
        if part is not None:
            yield from image_datasets(part)


def prepared_images(dataset: Any) -> List[PreparedImage]:
    """Some images of a data set, spread over it, through its pipeline.

    Images that cannot be read are passed over: training names them.
    """
    inner = list(image_datasets(dataset))
    images = []
    for part in inner:
        for position in spread_positions(
                len(part), max(4, MAX_IMAGES // len(inner))):
            try:
                info = part.get_data_info(position)
                path = info.get('img_path')
                name = f'sample {position}' if path is None else \
                    part.image_name(path) if isinstance(part, FERDataset) \
                    else str(path)
                image = prepare_image(part.pipeline.transforms, info, name)
            except Exception as error:
                print_log(f'preflight: image {position} was not looked at '
                          f'({error}).', 'current', level=logging.DEBUG)
                continue
            if image is not None:
                images.append(image)
    return images


def resizes(dataset: Any) -> bool:
    """Whether every pipeline in a data set has a step that resizes."""
    return all(
        any('Resize' in type(step).__name__
            for step in part.pipeline.transforms)
        for part in image_datasets(dataset))


def stacks(collate_fn: Any) -> bool:
    """Whether a loader stacks images, which the model may also pad."""
    return getattr(collate_fn, 'func', collate_fn) is not pseudo_collate


def output_settings(cfg: Any, outputs: int) -> List[str]:
    """Where a config states the number of outputs, as dotted paths."""
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
    """``input_shape`` of the data preprocessor, if the config states it."""
    for cfg in (runner.cfg.get('data_preprocessor'),
                (runner.cfg.get('model') or {}).get('data_preprocessor')):
        if isinstance(cfg, dict) and 'input_shape' in cfg:
            return tuple(cfg['input_shape'])
    return None


# -- checks of a runner ------------------------------------------------------
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
        self.warnings += [s for s in sentences
                          if s and s not in self.warnings]

    def report(self) -> None:
        """Log the warnings; raise if there are errors.

        Raises:
            PreflightError: With all errors, a sentence or two for each.
        """
        for sentence in self.warnings:
            print_log(sentence, 'current', level=logging.WARNING)
        if self.errors:
            raise PreflightError('\n'.join(self.errors))


def check_training(runner: Runner) -> None:
    """Compare all that a training states in several places.

    Builds the train loop and the val loop, as training itself would next,
    and runs some images through the pipelines and the model once. No random
    state is changed.

    Args:
        runner (Runner): Before its training.

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
        findings.report()
        raise
    if isinstance(loop, IterBasedTrainLoop) and any(
            isinstance(hook, SummaryHook) for hook in runner.hooks):
        findings.error(check_loop(loop.max_iters, len(loop.dataloader)))
    facts = check_model(findings, runner, loaders,
                        check_loaders(findings, runner, loaders))
    findings.error(batch_problem(loop.dataloader, facts.batch_norms))
    # A training on one class is of no use, but possible.
    findings.warn(one_class_problem(runner))
    findings.report()


def check_evaluation(runner: Runner, where: str, loader: DataLoader) -> None:
    """Compare what a test or a validation alone states in several places.

    Args:
        runner (Runner): Before it tests or validates.
        where (str): ``'test_dataloader'`` or ``'val_dataloader'``.
        loader (DataLoader): The one of this name.

    Raises:
        PreflightError: Settings contradict each other.
    """
    findings = Findings()
    loaders = {where: loader}
    check_model(findings, runner, loaders,
                check_loaders(findings, runner, loaders))
    findings.report()


def check_batches(runner: Runner) -> None:
    """Check the train loader again, after a hook has changed the samples.

    Raises:
        PreflightError: There is no batch, or one of one image that the model
            cannot train on.
    """
    findings = Findings()
    findings.error(
        batch_problem(runner.train_dataloader, lone_layers(runner)))
    findings.report()


def check_checkpoint(where: str, dataset: Any, checkpoint: dict) -> None:
    """Compare the classes of a data set with those of a checkpoint.

    Args:
        where (str): Which data set.
        dataset: What is tested on, or trained on further.
        checkpoint (dict): As loaded; foreign ones may state no classes.

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
        compare_classes(where, stated_classes(dataset), 'the checkpoint',
                        known))
    findings.report()


def check_cleaning(runner: Runner, dataset: FERDataset,
                   base: Optional[dict] = None) -> None:
    """Compare what a cleaning states in several places, before its hours.

    Args:
        runner (Runner): Of the training config; its train loader has
            ``dataset``.
        dataset (FERDataset): What is to be cleaned.
        base (dict, optional): Settings of the cleaning's own models, see
            :class:`~mmfer.methods.gaave.GAAVE`.

    Raises:
        PreflightError: Settings contradict each other.
    """
    if runner._val_loop is None:
        raise PreflightError(
            'val_dataloader: cleaning looks at the training images through '
            'the validation pipeline, and validation is switched off. Give '
            'the config a val_dataloader, val_cfg and val_evaluator.')
    base = base or {}
    pipeline = base.get('train_dataloader', {}).get('dataset', {}).get(
        'pipeline')
    if pipeline is None:
        return
    findings = Findings()
    check_images(findings, runner, 'train_dataloader with the pipeline of '
                 'the cleaning (base)', with_pipeline(dataset, pipeline))
    findings.report()


def check_loaders(findings: Findings, runner: Runner,
                  loaders: Dict[str, DataLoader]) -> Optional[Tensor]:
    """Compare classes of all data sets; check batches and images of each.

    Returns:
        Tensor, optional: A prepared image of the first, (C, H, W).
    """
    stated = [found for where, loader in loaders.items()
              for found in class_sets(where, loader.dataset)]
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
        check_images(findings, runner, where, loader.dataset,
                     stacks(loader.collate_fn))
        for where, loader in loaders.items()
    ]
    return examples[0]


def check_images(findings: Findings, runner: Runner, where: str,
                 dataset: Any, stacked: bool = True) -> Optional[Tensor]:
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
    cropped = check_crops(
        where, images, image_size or input_shape and input_shape[1:])
    findings.error(cropped)
    if stacked or input_shape is not None:
        findings.error(check_shapes(where, images, input_shape))
    findings.warn(check_narrow_views(where, images))
    if image_size and not cropped and not resizes(dataset):
        findings.warn(check_image_size(where, images, image_size))
    return images[0].inputs


def check_model(findings: Findings, runner: Runner,
                loaders: Dict[str, DataLoader],
                example: Optional[Tensor]) -> ModelFacts:
    """Compare the model's outputs with the classes of the first data set."""
    where, loader = next(iter(loaders.items()))
    model = bare_model(runner)
    with random_state_kept():
        facts = model_facts(model, example)
    classes = stated_classes(loader.dataset)
    if classes is None:
        findings.error(
            compare_labels(where, largest_label(loader.dataset),
                           facts.outputs))
        return facts
    settings = [] if facts.outputs is None else output_settings(
        runner.cfg, facts.outputs)
    findings.error(
        compare_outputs(where, len(classes), facts.outputs, settings))
    if facts.outputs == len(classes):
        findings.error(
            compare_one_hot(where, len(classes), model.data_preprocessor))
    return facts


def batch_problem(loader: DataLoader, layers: Sequence[str],
                  where: str = 'train_dataloader') -> Optional[str]:
    """What is wrong with the batches of a loader, None if nothing is.

    Args:
        loader (DataLoader): Its sampler says how many samples there are.
        layers (Sequence[str]): See :func:`check_single_samples`.
        where (str): Name of the loader.
    """
    if isinstance(loader.sampler, InfiniteSampler):
        # Its batches do not end.
        return None
    # A batch sampler of one's own has its own sizes.
    batch_size = loader.batch_size or getattr(
        loader.batch_sampler, 'batch_size', None)
    try:
        batches = len(loader)
        sampler = loader.sampler if loader.batch_size else \
            loader.batch_sampler.sampler
        samples = len(sampler)
    except (AttributeError, TypeError):
        return None
    problem = check_batch_count(where, batches, samples, batch_size,
                                get_world_size())
    if problem or not batch_size:
        return problem
    return check_single_samples(
        where, samples, batch_size,
        getattr(loader.batch_sampler, 'drop_last', loader.drop_last), layers)


def one_class_problem(runner: Runner) -> Optional[str]:
    """Say that all training samples have one label, None if they do not."""
    datasets = list(fer_datasets(runner.train_dataloader.dataset))
    if len(datasets) != 1 or not predicts_classes(bare_model(runner)):
        return None
    dataset, = datasets
    counts = np.bincount(dataset.get_gt_labels(),
                         minlength=dataset.num_classes)
    cause = f' after {dataset.decisions} has dropped or relabelled the ' \
        'others' if dataset.decisions is not None else ''
    return check_one_class('train_dataloader', counts, dataset.CLASSES,
                           cause)


def lone_layers(runner: Runner) -> List[str]:
    """BatchNorm layers of the model that need two images."""
    with random_state_kept():
        example = None
        if not hasattr(bare_model(runner).data_preprocessor, 'input_shape'):
            images = prepared_images(runner.train_dataloader.dataset)
            example = images[0].inputs if images else None
        return model_facts(bare_model(runner), example).batch_norms


def build_fitting_loop(runner: Runner, loader: dict, loop: dict,
                       what: str) -> None:
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
    samples, changes = len(built.sampler), {}
    if not len(built) and samples:
        changes['batch_size'] = samples
        print_log(
            f'{what}: {samples} samples are left, fewer than a batch of '
            f'{built.batch_size}; batches are made of {samples}.', 'current',
            level=logging.WARNING)
        built = build(**changes)
    if samples > 1 and smallest_batch(
            samples, built.batch_size, built.drop_last) == 1 and \
            built.batch_size > 1:
        layers = lone_layers(runner)
        if layers:
            print_log(
                f'{what}: {samples} samples in batches of '
                f'{built.batch_size} would end with a batch of one image, '
                f'and {layers[0]} needs two; the last batch is dropped.',
                'current', level=logging.WARNING)
            build(**changes, drop_last=True)
