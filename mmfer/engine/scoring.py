"""Predict all samples of the training set, or of any other set."""

from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple, cast

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.dist import all_gather_object, is_main_process
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor

from mmfer.datasets import (
    FERDataset,
    fer_datasets,
    pipeline_of,
    prepare_images,
    unaugmented,
    view_of,
)
from mmfer.datasets.batches import SampleBatch, stack_field
from mmfer.models.heads import least_confidence
from mmfer.models.protocols import Classifier
from mmfer.utils.progress import tracked
from mmfer.utils.signals import outlive_signals

# Epoch offset of the second augmentation stream, larger than any run.
SECOND_STREAM_OFFSET = 1 << 20


def training_set(runner: Runner) -> FERDataset:
    """Return the mmfer data set that a runner trains on.

    Raises:
        ValueError: There is no such data set, or there are several.
    """
    datasets = list(fer_datasets(runner.train_dataloader.dataset))
    if len(datasets) != 1:
        raise ValueError(
            'per-sample scores need exactly one mmfer data set in '
            f'train_dataloader, but {len(datasets)} were found. If you have '
            'several lists, join them to one list and use ImageList.'
        )
    return datasets[0]


def evaluation_view(runner: Runner) -> FERDataset:
    """Return the training set with the pipeline of the validation set."""
    return unaugmented(training_set(runner), validation_pipeline(runner))


def validation_pipeline(runner: Runner) -> Callable:
    """Return the pipeline of the validation set."""
    return cast(Callable, pipeline_of(runner.val_dataloader.dataset))


def augmented_view(runner: Runner) -> FERDataset:
    """Return the training set with another augmentation than this epoch's."""
    dataset = view_of(training_set(runner))
    # The workers of the train loader share the old tensor, so make a new one.
    dataset._random_state = torch.tensor(
        [runner.seed, runner.epoch + SECOND_STREAM_OFFSET]
    )
    return dataset


def batches_in_order(
    view: Any, batch_size: int, num_workers: int, collate_fn: Any
) -> Iterator[dict]:
    """Yield the batches of this process in order, with a progress bar.

    Args:
        view: Map-style data set.
        batch_size (int): Samples per batch.
        num_workers (int): Worker processes of the loader.
        collate_fn (Callable | dict): Function that makes a batch, or its
            config.
    """
    prepare_images(view)
    loader = Runner.build_dataloader(
        dict(
            dataset=view,
            sampler=dict(type='DefaultSampler', shuffle=False),
            batch_size=batch_size,
            num_workers=num_workers,
            collate_fn=collate_fn,
        )
    )
    outlive_signals(loader)
    if is_main_process():
        yield from tracked(loader, 'predicting the samples', 'batches')
    else:
        yield from loader


def merge_by_id(
    ids: np.ndarray, values: np.ndarray, axis: int = 0
) -> Tuple[np.ndarray, np.ndarray]:
    """Join the results of all processes, with each sample once, by ascending id.

    Args:
        ids (np.ndarray): Sample ids of this process, int64 (n, ).
        values (np.ndarray): Values of the same samples, with n entries along
            ``axis``.
        axis (int): Axis of the samples. Defaults to 0.

    Returns:
        tuple[np.ndarray, np.ndarray]: Ids and values, the same in every
        process.
    """
    return join_parts(all_gather_object((ids, values)), axis)


def join_parts(
    parts: List[Tuple[np.ndarray, np.ndarray]], axis: int = 0
) -> Tuple[np.ndarray, np.ndarray]:
    """Join ids and values of several processes; see :func:`merge_by_id`.

    The sampler repeats samples so that all processes get equally many. For a
    repeated sample, the value of the first process is used. Ids are sorted,
    because a sum over all samples would otherwise depend on how the sampler
    distributes them.
    """
    ids = np.concatenate([part[0] for part in parts])
    values = np.concatenate([part[1] for part in parts], axis=axis)
    ids, first = np.unique(ids, return_index=True)
    # np.take would return another memory layout, and sums of torch depend on it.
    return ids, values[(slice(None),) * axis + (first,)]


def one_view(images: Tensor) -> Iterator[Tensor]:
    """Give images as they are."""
    yield images


# The names of these functions are in the settings of stored stages: other views need
# other names.
def five_views(images: Tensor) -> Iterator[Tensor]:
    """Give images, and shifts of them to the four corners; two of these mirrored.

    The mean over such views says more about a sample than one view, since the network
    has learned others in its training. Shifts are 1/22 of height and width, as with
    crops of 44 of 48 pixels; the border is repeated.

    Args:
        images (Tensor): (N, channels, height, width).
    """
    shifted = five_shifts(images)
    for mirrored in (False, False, True, True, False):
        view = next(shifted)
        yield view.flip(-1) if mirrored else view


def five_shifts(images: Tensor) -> Iterator[Tensor]:
    """Give the same views without mirrors, for networks that have not learned them."""
    yield images
    height, width = images.shape[-2:]
    y, x = round(height / 22), round(width / 22)
    large = F.pad(images, (x, x, y, y), mode='replicate')
    for top, left in ((0, 0), (0, 2 * x), (2 * y, 0), (2 * y, 2 * x)):
        yield large[..., top : top + height, left : left + width]


@torch.inference_mode()
def predict_view(
    model: nn.Module,
    view: Any,
    loader_cfg: Any,
    views: Callable[[Tensor], Iterator[Tensor]] = one_view,
) -> Tuple[np.ndarray, np.ndarray]:
    """Predict the samples of a view with a plain classifier.

    Args:
        model (nn.Module): Classifier in eval mode.
        view (LabelView): View without augmentation.
        loader_cfg (dict): Config of a loader; its batch size, workers and
            ``collate_fn`` are used.
        views (Callable): Gives views of a batch of normalised images, whose
            probabilities are averaged. Defaults to the images alone.

    Returns:
        tuple[np.ndarray, np.ndarray]: Ascending sample ids, int64 (N, ), and
        probabilities, float32 (N, C); the same in every process.
    """
    classifier = cast(Classifier, model)
    ids, scores = [], []
    for batch in batches_in_order(
        view,
        loader_cfg.batch_size,
        loader_cfg.num_workers,
        loader_cfg.get('collate_fn', dict(type='fer_collate')),
    ):
        data = classifier.data_preprocessor(batch)
        outputs = [
            classifier(images, mode='tensor').float().softmax(dim=1)
            for images in views(data['inputs'])
        ]
        ids.append(stack_field(batch['data_samples'], 'sample_id'))
        scores.append(torch.stack(outputs).mean(dim=0))
    return merge_by_id(torch.cat(ids).numpy(), torch.cat(scores).cpu().numpy())


@contextmanager
def saved_weights(runner: Runner) -> Iterator[None]:
    """Give the model the weights of its checkpoints, inside the block.

    They differ from the model's own if a hook averages weights, as
    ``EMAHook`` does: it saves and evaluates the average, while the model
    continues to train with its own weights. These are restored on exit.

    Args:
        runner (Runner): Runner that trains. It must not be validating.
    """
    # mmengine has no public method that swaps the weights. Subclasses of EMAHook,
    # such as mmpretrain's, have this method too.
    swaps = [
        hook._swap_ema_parameters
        for hook in runner.hooks
        if hasattr(hook, '_swap_ema_parameters')
    ]
    done = []
    try:
        for swap in swaps:
            swap()
            done.append(swap)
        yield
    finally:
        for swap in reversed(done):
            swap()


@torch.inference_mode()
def predict_training_set(
    runner: Runner, augment: bool = False, dataset: Optional[FERDataset] = None
) -> Dict[str, np.ndarray]:
    """Predict every training sample in eval mode, with the current weights.

    Score tables need the saved weights: call this inside :func:`saved_weights`
    for them. Noise models are fitted to the current weights, because the next
    epoch starts from them.

    Args:
        runner (Runner): Runner whose validation pipeline and batch size are
            used.
        augment (bool): Use the training pipeline and batch size instead.
            Defaults to False.
        dataset (FERDataset, optional): Predict these samples instead, without
            augmentation.

    Returns:
        dict[str, np.ndarray]: Arrays with each sample once, the same in every
        process:

        - ``sample_id``: int64 (N, ), ascending.
        - ``pred_score``: float32 (N, C).
        - ``uncertainty``: float32 (N, ).
        - Further fields that the model predicts, float32 (N, ...), such as
          ``network_scores`` (N, 2, C) of two networks.
    """
    if dataset is not None:
        view = unaugmented(dataset, validation_pipeline(runner))
    else:
        view = augmented_view(runner) if augment else evaluation_view(runner)
    loader = runner.train_dataloader if augment else runner.val_dataloader
    return predict_samples(runner.model, view, loader)


@torch.inference_mode()
def predict_samples(
    model: nn.Module, view: Any, loader_cfg: Any
) -> Dict[str, np.ndarray]:
    """Predict the samples of a data set with any classifier, in eval mode.

    Args:
        model (nn.Module): Any classifier. Its mode is restored afterwards.
        view: Map-style data set whose pipeline packs ``sample_id``.
        loader_cfg (DataLoader | ConfigDict): Loader or its config; its batch
            size, workers and ``collate_fn`` are used.

    Returns:
        dict[str, np.ndarray]: See :func:`predict_training_set`.

    Raises:
        ValueError: Predictions have no ``sample_id``.
    """
    was_training = model.training
    model.eval()
    ids: List[Tensor] = []
    parts: List[Dict[str, Tensor]] = []
    for batch in batches_in_order(
        view,
        loader_cfg.batch_size,
        loader_cfg.num_workers,
        getattr(loader_cfg, 'collate_fn', dict(type='fer_collate')),
    ):
        samples = cast(BaseModel, model).val_step(batch)
        if not isinstance(samples, SampleBatch):
            samples = SampleBatch.from_samples(samples)
        if 'sample_id' not in samples:
            raise ValueError(
                'predictions have no sample_id. End the pipelines of training '
                "and validation with dict(type='PackFERInputs')."
            )
        ids.append(torch.as_tensor(samples.sample_id))
        # The results stay on the device until the end, so that it need not wait.
        parts.append(predicted_fields(samples))
    model.train(was_training)
    found = {}
    for name in parts[0]:
        values = torch.cat([part[name] for part in parts]).cpu().numpy()
        found['sample_id'], found[name] = merge_by_id(torch.cat(ids).numpy(), values)
    return found


def predicted_fields(samples: SampleBatch) -> Dict[str, Tensor]:
    """Return the predictions of a batch that tables use, each float32 (B, ...).

    Args:
        samples (SampleBatch): Predictions of any model.
    """
    scores = samples.pred_score.float()
    further = {
        name: getattr(samples, name).float()
        for name in samples.keys()
        if name not in ('pred_label', 'pred_score', 'uncertainty')
        and not name.startswith('gt_')
    }
    uncertainty = (
        samples.uncertainty.float()
        if 'uncertainty' in samples
        else least_confidence(scores)
    )
    return dict(pred_score=scores, uncertainty=uncertainty, **further)
