"""Generate images from labels with the decoder."""

import copy
from typing import Dict, Tuple

import numpy as np
import torch
import torch.nn as nn
from mmengine.model import revert_sync_batchnorm
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from mmfer.datasets import FERDataset
from mmfer.models.utils import unwrap_model

from .joint_gan import JointGAN
from .label_sets import VA, LabelSets

# Number and size of the batches from which BatchNorm statistics are computed.
BATCHES, BATCH_SIZE = 16, 64


def class_labels(
    label_sets: LabelSets, classes: int, rows: int, va: np.ndarray
) -> Tuple[Tensor, ...]:
    """Return the labels of a grid of images with a column for each class.

    All discrete sets get the same class.

    Args:
        label_sets (LabelSets): Label sets of the model.
        classes (int): Number of classes of the first discrete set.
        rows (int): Number of rows of the grid.
        va (np.ndarray): Valence and arousal of each class, (classes, 2).

    Returns:
        tuple[Tensor]: One tensor for each set, (rows * classes, ) or
        (rows * classes, 2), row by row.
    """
    label = torch.arange(classes).repeat(rows)
    return tuple(
        torch.as_tensor(va, dtype=torch.float32)[label]
        if isinstance(entry, str)
        else label % entry
        for entry in label_sets.entries
    )


def va_labels(label_sets: LabelSets, label: int, steps: int) -> Tuple[Tensor, ...]:
    """Return the labels of a grid over valence and arousal.

    Valence increases to the right, arousal upwards.

    Args:
        label_sets (LabelSets): Label sets of the model.
        label (int): Class of all images.
        steps (int): Number of values from -1 to 1, in both directions.

    Returns:
        tuple[Tensor]: One tensor for each set, see :func:`class_labels`.
    """
    scale = torch.linspace(-1, 1, steps)
    arousal, valence = torch.meshgrid(scale.flip(0), scale, indexing='ij')
    pairs = torch.stack([valence, arousal], dim=2).flatten(0, 1)
    return tuple(
        pairs if entry == VA else torch.full((len(pairs),), label)
        for entry in label_sets.entries
    )


def tile(images: np.ndarray, columns: int, gap: int = 2) -> np.ndarray:
    """Join images into one picture, a grid.

    Args:
        images (np.ndarray): uint8 (N, H, W, C), row by row.
        columns (int): Number of columns; N is a multiple of it.
        gap (int): White pixels between images. Defaults to 2.

    Returns:
        np.ndarray: uint8 (height, width, C).
    """
    padded = np.pad(images, ((0, 0), (gap, 0), (gap, 0), (0, 0)), constant_values=255)
    n, h, w, c = padded.shape
    grid = padded.reshape(n // columns, columns, h, w, c)
    grid = grid.transpose(0, 2, 1, 3, 4).reshape(n // columns * h, columns * w, c)
    return np.pad(grid, ((0, gap), (0, gap), (0, 0)), constant_values=255)


def mean_va(labels: np.ndarray, va: np.ndarray, classes: int) -> np.ndarray:
    """Return mean valence and arousal of each class; 0 if none is known.

    Args:
        labels (np.ndarray): Labels, int64 (N, ).
        va (np.ndarray): Valence and arousal, (N, 2), NaN where missing.
        classes (int): Number of classes.

    Returns:
        np.ndarray: float64 (classes, 2).
    """
    known = np.isfinite(va).all(axis=1)
    return np.stack(
        [
            va[known & (labels == c)].mean(axis=0)
            if (known & (labels == c)).any()
            else np.zeros(2)
            for c in range(classes)
        ]
    )


def sample_grids(
    model: JointGAN,
    dataset: FERDataset,
    rows: int = 8,
    va_steps: int = 7,
    seed: int = 0,
) -> Dict[str, np.ndarray]:
    """Generate grids of images over the classes, and over valence and arousal.

    Args:
        model (JointGAN): Model with a decoder.
        dataset (FERDataset): Training set of the model. It gives the mean
            valence and arousal of each class.
        rows (int): Number of latent vectors of the first grid. Defaults to 8.
        va_steps (int): Number of values from -1 to 1 in the second grid.
            Defaults to 7.
        seed (int): Seed of the latent vectors. Defaults to 0.

    Returns:
        dict[str, np.ndarray]: Grids, BGR or grey, uint8 (height, width, C).
        Each exists only if the model has such label sets:

        - ``classes``: one column for each class. All columns have the same
          latent vectors.
        - ``va``: valence increases to the right, arousal upwards. All images
          have the same latent vector and the class called neutral, or the
          first class if no class has this name.
    """
    sets = model.label_sets
    grids: Dict[str, np.ndarray] = {}
    labels, va = known_labels(model, dataset)
    decoder = recompute_bn_stats(model, labels, va, seed)
    if sets.discrete:
        classes = sets.dims[sets.discrete[0]]
        wanted = class_labels(sets, classes, rows, mean_va(labels, va, classes))
        grids['classes'] = draw_grid(model, decoder, wanted, rows, classes, seed)
    if VA in sets.entries:
        names = [name.lower() for name in dataset.metainfo['classes']]
        neutral = names.index('neutral') if 'neutral' in names else 0
        grids['va'] = draw_grid(
            model, decoder, va_labels(sets, neutral, va_steps), 1, va_steps, seed
        )
    return grids


def class_agreement(
    model: JointGAN, dataset: FERDataset, count: int = 1024, seed: int = 0
) -> float:
    """Measure how often the encoder predicts the class given to the decoder.

    Args:
        model (JointGAN): Model with a decoder and a discrete label set.
        dataset (FERDataset): Data set whose labels are drawn.
        count (int): Number of images. Defaults to 1024.
        seed (int): Seed of latent vectors and labels. Defaults to 0.

    Returns:
        float: Share in [0, 1].
    """
    labels, va = known_labels(model, dataset)
    decoder = recompute_bn_stats(model, labels, va, seed)
    generator = torch.Generator().manual_seed(seed + 2)
    training, hits = model.training, 0
    model.eval()
    for start in range(0, count, BATCH_SIZE):
        latent, given = draw_labels(
            model, labels, va, min(BATCH_SIZE, count - start), generator
        )
        images = model.generate(latent, given, decoder)
        first = model.label_sets.discrete[0]
        with torch.no_grad():
            predicted = model(images).labels[first].argmax(dim=1)
        hits += int((predicted == given[first]).sum())
    model.train(training)
    return hits / count


def known_labels(model: JointGAN, dataset: FERDataset) -> Tuple[np.ndarray, np.ndarray]:
    """Return the labels of a data set, with valence and arousal.

    If the model predicts valence and arousal, samples without them are
    discarded. If no sample has them, all samples are kept.

    Args:
        model (JointGAN): Model whose label sets are needed.
        dataset (FERDataset): The data set.

    Returns:
        tuple[np.ndarray, np.ndarray]: Labels, int64 (N, ), and valence and
        arousal, (N, 2). The latter are 0 if the model does not predict them,
        or if no sample has them.
    """
    # A wrapper such as RepeatDataset has no arrays of labels.
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    labels = np.array([info['gt_label'] for info in infos])
    if VA not in model.label_sets.entries:
        return labels, np.zeros((len(infos), 2))
    va = np.stack([info['gt_va'] for info in infos])
    known = np.isfinite(va).all(axis=1)
    if not known.any():
        return labels, np.zeros_like(va)
    return labels[known], va[known]


def draw_labels(
    model: JointGAN,
    labels: np.ndarray,
    va: np.ndarray,
    count: int,
    generator: torch.Generator,
) -> Tuple[Tensor, Tuple[Tensor, ...]]:
    """Draw latent vectors, and labels with the frequencies of a data set.

    All discrete sets get the same label.

    Args:
        model (JointGAN): The model. The draws are moved to its device.
        labels (np.ndarray): See :func:`known_labels`.
        va (np.ndarray): See :func:`known_labels`.
        count (int): Number of draws.
        generator (torch.Generator): Source of the random numbers.
    """
    device = next(model.parameters()).device
    rows = torch.randint(len(labels), (count,), generator=generator)
    latent = torch.randn(count, model.latent_dim, generator=generator)
    label = torch.as_tensor(labels)[rows]
    values = torch.as_tensor(va, dtype=torch.float32)[rows]
    return latent.to(device), tuple(
        (values if isinstance(entry, str) else label % entry).to(device)
        for entry in model.label_sets.entries
    )


def recompute_bn_stats(
    model: JointGAN, labels: np.ndarray, va: np.ndarray, seed: int
) -> nn.Module:
    """Copy the decoder, and recompute BatchNorm statistics for its weights.

    Running statistics come from earlier weights, and averaged weights
    (``EMAHook``) have no statistics of their own. So they are recomputed while
    the decoder generates images from random latent vectors and labels of the
    data set. BigGAN calls them standing statistics (Brock et al., ICLR 2019).

    Args:
        model (JointGAN): Model with a decoder. It is not changed.
        labels (np.ndarray): See :func:`known_labels`.
        va (np.ndarray): See :func:`known_labels`.
        seed (int): Seed of the draws.

    Returns:
        nn.Module: Copy of the decoder, in eval mode.
    """
    if model.decoder is None:
        raise ValueError(
            'JointGAN: a model with use_decoder=False generates no images. Set '
            'use_decoder=True.'
        )
    # Only one process generates images; SyncBatchNorm would wait for the others.
    decoder = revert_sync_batchnorm(copy.deepcopy(unwrap_model(model.decoder)))
    for module in decoder.modules():
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()
            module.momentum = None  # Average over all batches equally.
    generator = torch.Generator().manual_seed(seed + 1)
    decoder.train()
    for _ in range(BATCHES):
        model.generate(*draw_labels(model, labels, va, BATCH_SIZE, generator), decoder)
    return decoder.eval()


def draw_grid(
    model: JointGAN,
    decoder: nn.Module,
    labels: Tuple[Tensor, ...],
    latents: int,
    columns: int,
    seed: int,
) -> np.ndarray:
    """Generate one grid of images.

    Args:
        model (JointGAN): The model.
        decoder (nn.Module): Copy of its decoder, see
            :func:`recompute_bn_stats`.
        labels (tuple[Tensor]): Labels of all images, see :func:`class_labels`.
        latents (int): Number of latent vectors. The images are divided into as
            many equal parts, and all images of a part have the same vector.
        columns (int): Number of columns.
        seed (int): Seed of the latent vectors.

    Returns:
        np.ndarray: BGR or grey, uint8 (height, width, C).
    """
    device = next(model.parameters()).device
    count = len(labels[0])
    # A separate generator does not change the random state of the run.
    generator = torch.Generator().manual_seed(seed)
    latent = torch.randn(latents, model.latent_dim, generator=generator)
    latent = latent.repeat_interleave(count // latents, dim=0)
    images = model.generate(
        latent.to(device), tuple(x.to(device) for x in labels), decoder
    )
    pixels = (127.5 * (images.float().cpu() + 1)).round().clamp(0, 255)
    picture = tile(pixels.byte().permute(0, 2, 3, 1).numpy(), columns)
    if model.data_preprocessor.to_rgb:
        picture = picture[:, :, ::-1]  # OpenCV writes BGR.
    return np.ascontiguousarray(picture)
