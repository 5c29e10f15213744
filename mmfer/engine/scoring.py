"""One pass of the model over its training set."""

import copy
from contextlib import contextmanager
from typing import Dict, Iterator, Optional, Tuple

import numpy as np
import torch
import torch.nn as nn
from mmengine.dist import all_gather_object, is_main_process
from mmengine.runner import Runner
from mmengine.utils import ProgressBar

from mmfer.datasets import FERDataset, fer_datasets, pipeline_of, unaugmented
from mmfer.models.heads import least_confidence

# Added to the epoch; no training has as many.
SECOND_STREAM_OFFSET = 1 << 20


def training_set(runner: Runner) -> FERDataset:
    """The one mmfer data set that a runner trains on.

    Raises:
        ValueError: There is none, or several.
    """
    datasets = list(fer_datasets(runner.train_dataloader.dataset))
    if len(datasets) != 1:
        raise ValueError(
            'per-sample scores need exactly one mmfer data set under the '
            f'train_dataloader, found {len(datasets)}. For several lists, '
            'write one list and use ImageList.'
        )
    return datasets[0]


def evaluation_view(runner: Runner) -> FERDataset:
    """The training set through the pipeline of the validation set."""
    return unaugmented(training_set(runner), pipeline_of(runner.val_dataloader.dataset))


def augmented_view(runner: Runner) -> FERDataset:
    """The training set with other draws than those of the current epoch."""
    dataset = copy.copy(training_set(runner))
    # Not the tensor that the training's workers share.
    dataset._random_state = torch.tensor(
        [runner.seed, runner.epoch + SECOND_STREAM_OFFSET]
    )
    return dataset


def batches_in_order(
    view, batch_size: int, num_workers: int, collate_fn
) -> Iterator[dict]:
    """This process's part of a data set, batch by batch, with progress.

    Args:
        view: A map-style data set.
        batch_size (int): Samples of a batch.
        num_workers (int): Of the loader.
        collate_fn (Callable | dict): A function, or a config of one.
    """
    loader = Runner.build_dataloader(
        dict(
            dataset=view,
            sampler=dict(type='DefaultSampler', shuffle=False),
            batch_size=batch_size,
            num_workers=num_workers,
            collate_fn=collate_fn,
        )
    )
    bar = ProgressBar(len(loader)) if is_main_process() else None
    for batch in loader:
        yield batch
        if bar is not None:
            bar.update()
    if bar is not None:
        bar.file.write('\n')


def merge_by_id(ids: np.ndarray, values: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """What all processes found, every sample once, by ascending id.

    Args:
        ids (np.ndarray): int64 (n, ), of this process's part.
        values (np.ndarray): (n, ...), of the same samples.
    """
    parts = all_gather_object((ids, values))
    ids = np.concatenate([part[0] for part in parts])
    values = np.concatenate([part[1] for part in parts])
    ids, first = np.unique(ids, return_index=True)
    return ids, values[first]


@torch.inference_mode()
def predict_view(model: nn.Module, view, loader_cfg) -> Tuple[np.ndarray, np.ndarray]:
    """Predict the samples of a view with a plain classifier.

    Args:
        model (nn.Module): In eval mode.
        view (LabelView): Unaugmented.
        loader_cfg (dict): What batch size, workers and ``collate_fn`` are
            taken from.

    Returns:
        tuple[np.ndarray, np.ndarray]: Sample ids int64 (N, ), ascending, and
        probabilities float32 (N, C); the same on every rank.
    """
    ids, scores = [], []
    for batch in batches_in_order(
        view,
        loader_cfg.batch_size,
        loader_cfg.num_workers,
        loader_cfg.get('collate_fn', dict(type='default_collate')),
    ):
        data = model.data_preprocessor(batch)
        logits = model(data['inputs'], mode='tensor')
        ids += [int(sample.sample_id) for sample in batch['data_samples']]
        scores.append(logits.float().softmax(dim=1).cpu().numpy())
    return merge_by_id(np.array(ids), np.concatenate(scores))


@contextmanager
def saved_weights(runner: Runner):
    """Give the model the weights that are saved, and put its own back.

    They are others where a hook averages weights, as ``EMAHook`` does: it
    saves the average and evaluates it, while the model goes on training with
    its own.

    Args:
        runner (Runner): While it trains; not inside of a validation.
    """
    # mmengine has no public name for it; its subclasses, such as that of
    # mmpretrain, have it, too.
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
    """Predict every training sample in eval mode, with the present weights.

    Tables are made inside of :func:`saved_weights`; noise models, which the
    next epoch trains with, are fitted to the present ones.

    Args:
        runner (Runner): Its validation pipeline and batch size are used.
        augment (bool): Use the training pipeline and batch size instead.
            Defaults to False.
        dataset (FERDataset, optional): Predict these samples instead, without
            augmentation.

    Returns:
        dict[str, np.ndarray]: ``sample_id`` (N, ) ascending, ``pred_score``
        float32 (N, C) and ``uncertainty`` float32 (N, ). Further fields that
        the model predicts, such as ``network_scores`` of two networks
        (N, 2, C), come with them in float32, (N, ...). The same on every
        rank, every sample once.
    """
    if dataset is not None:
        view = unaugmented(dataset, pipeline_of(runner.val_dataloader.dataset))
    else:
        view = augmented_view(runner) if augment else evaluation_view(runner)
    like = runner.train_dataloader if augment else runner.val_dataloader
    return predict_samples(runner.model, view, like)


@torch.inference_mode()
def predict_samples(model: nn.Module, view, like) -> Dict[str, np.ndarray]:
    """Predict the samples of a data set with any classifier, in eval mode.

    Args:
        model (nn.Module): Stays in the mode that it was in.
        view: A map-style data set; its pipeline packs ``sample_id``.
        like (DataLoader | ConfigDict): What batch size, workers and
            ``collate_fn`` are taken from.

    Returns:
        dict[str, np.ndarray]: See :func:`predict_training_set`.

    Raises:
        ValueError: Predictions carry no ``sample_id``.
    """
    was_training = model.training
    model.eval()
    rows = []
    for batch in batches_in_order(
        view,
        like.batch_size,
        like.num_workers,
        getattr(like, 'collate_fn', dict(type='default_collate')),
    ):
        for sample in model.val_step(batch):
            if 'sample_id' not in sample:
                raise ValueError(
                    'predictions carry no sample_id: end the pipeline of '
                    "training and validation with dict(type='PackFERInputs')"
                    '.'
                )
            score = sample.pred_score.float()
            uncertainty = sample.get('uncertainty')
            if uncertainty is None:
                uncertainty = least_confidence(score[None])
            fields = {
                name: value.float().cpu().numpy()
                for name, value in sample.items()
                if isinstance(value, torch.Tensor)
                and not name.startswith('gt_')
                and name not in ('pred_label', 'pred_score', 'uncertainty')
            }
            rows.append(
                (int(sample.sample_id), score.cpu().numpy(), float(uncertainty), fields)
            )
    model.train(was_training)
    # A dict drops what the sampler repeated to fill up the last ranks.
    merged = {row[0]: row for part in all_gather_object(rows) for row in part}
    ordered = [merged[key] for key in sorted(merged)]
    ids, scores, uncertainty, fields = zip(*ordered)
    return dict(
        sample_id=np.array(ids),
        pred_score=np.stack(scores),
        uncertainty=np.array(uncertainty, dtype=np.float32),
        **{name: np.stack([row[name] for row in fields]) for name in fields[0]},
    )
