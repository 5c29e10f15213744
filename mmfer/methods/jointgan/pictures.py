"""Pictures of the game: what the decoder makes, and how the scores went."""
import copy
import io
import itertools
import json
import os.path as osp
from typing import Dict, Sequence, Tuple

import numpy as np
import torch
import torch.nn as nn
from matplotlib.figure import Figure
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import revert_sync_batchnorm
from mmengine.runner import Runner
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from mmfer.analysis.figures import COLOURS
from mmfer.compat import write_atomic
from mmfer.engine.utils import bare_model
from mmfer.registry import HOOKS

from .joint_gan import SCORE_KINDS, JointGAN, bare
from .label_sets import VA, LabelSets

# Of samples for batch statistics.
BATCHES, BATCH_SIZE = 16, 64

# -- pure computation ---------------------------------------------------------
def class_labels(label_sets: LabelSets, classes: int, rows: int,
                 va: np.ndarray) -> Tuple[Tensor, ...]:
    """Labels of a grid with a column for each class.

    All discrete sets agree on the class.

    Args:
        label_sets (LabelSets): Of the model.
        classes (int): Of the first discrete set.
        rows (int): Of the grid.
        va (np.ndarray): Valence and arousal of each class, (classes, 2).

    Returns:
        tuple[Tensor]: Of each set (rows * classes, ) or (rows * classes, 2),
        row by row.
    """
    label = torch.arange(classes).repeat(rows)
    return tuple(
        torch.as_tensor(va, dtype=torch.float32)[label] if entry == VA else
        label % entry for entry in label_sets.entries)


def va_labels(label_sets: LabelSets, label: int,
              steps: int) -> Tuple[Tensor, ...]:
    """Labels of a grid along valence (rightwards) and arousal (upwards).

    Args:
        label_sets (LabelSets): Of the model.
        label (int): Class of all images.
        steps (int): From -1 to 1, in both directions.

    Returns:
        tuple[Tensor]: Of each set, as in :func:`class_labels`.
    """
    scale = torch.linspace(-1, 1, steps)
    arousal, valence = torch.meshgrid(scale.flip(0), scale, indexing='ij')
    pairs = torch.stack([valence, arousal], dim=2).flatten(0, 1)
    return tuple(
        pairs if entry == VA else torch.full((len(pairs), ), label)
        for entry in label_sets.entries)


def tile(images: np.ndarray, columns: int, gap: int = 2) -> np.ndarray:
    """One picture of many.

    Args:
        images (np.ndarray): uint8 (N, H, W, C), row by row.
        columns (int): Of the grid; N is a multiple.
        gap (int): White pixels between. Defaults to 2.

    Returns:
        np.ndarray: uint8 (height, width, C).
    """
    padded = np.pad(
        images, ((0, 0), (gap, 0), (gap, 0), (0, 0)), constant_values=255)
    n, h, w, c = padded.shape
    grid = padded.reshape(n // columns, columns, h, w, c)
    grid = grid.transpose(0, 2, 1, 3, 4).reshape(n // columns * h,
                                                 columns * w, c)
    return np.pad(grid, ((0, gap), (0, gap), (0, 0)), constant_values=255)


def mean_va(labels: np.ndarray, va: np.ndarray, classes: int) -> np.ndarray:
    """Mean valence and arousal of each class, 0 where none is known.

    Args:
        labels (np.ndarray): int64 (N, ).
        va (np.ndarray): (N, 2), NaN where missing.
        classes (int): Number of classes.

    Returns:
        np.ndarray: float64 (classes, 2).
    """
    known = np.isfinite(va).all(axis=1)
    return np.stack([
        va[known & (labels == c)].mean(axis=0)
        if (known & (labels == c)).any() else np.zeros(2)
        for c in range(classes)
    ])


def sample_grids(model: JointGAN, dataset, rows: int = 8, va_steps: int = 7,
                 seed: int = 0) -> Dict[str, np.ndarray]:
    """What the decoder makes of labels.

    Args:
        model (JointGAN): With a decoder.
        dataset (FERDataset): What it was trained on; the mean valence and
            arousal of each class are its own.
        rows (int): Latent vectors of the first grid. Defaults to 8.
        va_steps (int): Images from -1 to 1 of the second. Defaults to 7.
        seed (int): Of the latent vectors. Defaults to 0.

    Returns:
        dict[str, np.ndarray]: Grids, BGR or grey, uint8 (height, width, C).
        ``classes``, a column for each, the same latent vectors in all;
        ``va``, valence rightwards and arousal upwards, of one latent vector
        and the class called neutral, or the first. Each where the model has
        such label sets.
    """
    sets, grids = model.label_sets, {}
    labels, va = known_labels(model, dataset)
    decoder = settle(model, labels, va, seed)
    if sets.discrete:
        classes = sets.entries[sets.discrete[0]]
        wanted = class_labels(sets, classes, rows,
                              mean_va(labels, va, classes))
        grids['classes'] = draw_grid(
            model, decoder, wanted, rows, classes, seed)
    if VA in sets.entries:
        names = [name.lower() for name in dataset.metainfo['classes']]
        neutral = names.index('neutral') if 'neutral' in names else 0
        grids['va'] = draw_grid(
            model, decoder, va_labels(sets, neutral, va_steps), 1, va_steps,
            seed)
    return grids


def class_agreement(model: JointGAN, dataset, count: int = 1024,
                    seed: int = 0) -> float:
    """How often the encoder sees the class that the decoder was to draw.

    Args:
        model (JointGAN): With a decoder and a discrete label set.
        dataset (FERDataset): Whose labels are drawn.
        count (int): Images. Defaults to 1024.
        seed (int): Of latent vectors and labels. Defaults to 0.

    Returns:
        float: Share, in [0, 1].
    """
    labels, va = known_labels(model, dataset)
    decoder = settle(model, labels, va, seed)
    generator = torch.Generator().manual_seed(seed + 2)
    training, hits = model.training, 0
    model.eval()
    for start in range(0, count, BATCH_SIZE):
        latent, given = draw_labels(
            model, labels, va, min(BATCH_SIZE, count - start), generator)
        images = model.generate(latent, given, decoder)
        first = model.label_sets.discrete[0]
        with torch.no_grad():
            said = bare(model.encoder)(images).labels[first].argmax(dim=1)
        hits += int((said == given[first]).sum())
    model.train(training)
    return hits / count


def known_labels(model: JointGAN, dataset) -> Tuple[np.ndarray, np.ndarray]:
    """Labels (N, ) of a data set, and valence and arousal (N, 2).

    Samples that miss these are left out, if not all do. They are 0 where the
    model has none.
    """
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    labels = np.array([info['gt_label'] for info in infos])
    if VA not in model.label_sets.entries:
        return labels, np.zeros((len(infos), 2))
    va = np.stack([info['gt_va'] for info in infos])
    known = np.isfinite(va).all(axis=1)
    if not known.any():
        return labels, np.zeros_like(va)
    return labels[known], va[known]


def draw_labels(model: JointGAN, labels: np.ndarray, va: np.ndarray,
                count: int, generator: torch.Generator
                ) -> Tuple[Tensor, Tuple[Tensor, ...]]:
    """Latent vectors, and labels as often as a data set has them.

    Args:
        model (JointGAN): On whose device they will be.
        labels, va (np.ndarray): See :func:`known_labels`. The same label is
            for all discrete sets.
        count (int): How many.
        generator (torch.Generator): By which they are drawn.
    """
    device = next(model.parameters()).device
    rows = torch.randint(len(labels), (count, ), generator=generator)
    latent = torch.randn(count, model.latent_dim, generator=generator)
    label = torch.as_tensor(labels)[rows]
    values = torch.as_tensor(va, dtype=torch.float32)[rows]
    return latent.to(device), tuple(
        (values if entry == VA else label % entry).to(device)
        for entry in model.label_sets.entries)


def settle(model: JointGAN, labels: np.ndarray, va: np.ndarray,
           seed: int) -> nn.Module:
    """The decoder with batch statistics of its present weights.

    The running ones are of weights that have changed since, and of an
    average of weights (``EMAHook``) there are none. They are found anew, on
    images of random latent vectors and labels of the data set: the standing
    statistics of BigGAN (Brock et al., ICLR 2019).

    Args:
        model (JointGAN): With a decoder, which stays as it is.
        labels, va (np.ndarray): See :func:`known_labels`.
        seed (int): Of what is drawn.

    Returns:
        nn.Module: A copy in eval mode.
    """
    # What one process draws must not wait for the others.
    decoder = revert_sync_batchnorm(copy.deepcopy(bare(model.decoder)))
    for module in decoder.modules():
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()
            module.momentum = None  # A plain mean over the batches.
    generator = torch.Generator().manual_seed(seed + 1)
    decoder.train()
    for _ in range(BATCHES):
        model.generate(
            *draw_labels(model, labels, va, BATCH_SIZE, generator), decoder)
    return decoder.eval()


def sample_figures(model: JointGAN, dataset, rows: int = 8,
                   va_steps: int = 7, seed: int = 0,
                   scale: float = 2.) -> Dict[str, Figure]:
    """The grids of :func:`sample_grids` with their labels beside them.

    Args:
        model, dataset, rows, va_steps, seed: See :func:`sample_grids`.
        scale (float): Pixels for each of an image, at 100 dpi. Defaults
            to 2.
    """
    grids = sample_grids(model, dataset, rows, va_steps, seed)
    figures = {}
    if 'classes' in grids:
        names = dataset.metainfo['classes']
        figures['classes'] = frame(grids['classes'], scale, columns=names)
    if 'va' in grids:
        values = [f'{x:.2g}' for x in np.linspace(-1, 1, va_steps)]
        figures['va'] = frame(
            grids['va'], scale, columns=values, rows=values[::-1],
            xlabel='valence', ylabel='arousal')
    return figures


def frame(grid: np.ndarray, scale: float, columns: Sequence[str],
          rows: Sequence[str] = (), xlabel: str = '',
          ylabel: str = '') -> Figure:
    """A grid with words at its columns and rows."""
    height, width = grid.shape[:2]
    figure = Figure(figsize=(scale * width / 100, scale * height / 100))
    # The image keeps its pixels; savefig grows around it for the words.
    panel = figure.add_axes((0, 0, 1, 1))
    panel.imshow(grid[..., ::-1] if grid.shape[2] == 3 else grid[..., 0],
                 cmap='gray', vmin=0, vmax=255, interpolation='nearest',
                 extent=(0, len(columns), 0, max(1, len(rows))),
                 aspect='auto')
    # Names are longer than images are wide.
    slant = dict(rotation=35, ha='left') if max(map(len, columns)) > 5 else {}
    panel.set_xticks(np.arange(len(columns)) + .5, columns, **slant)
    panel.set_yticks(np.arange(len(rows)) + .5, rows[::-1])
    panel.tick_params(length=0, top=False, labeltop=True, bottom=False,
                      labelbottom=False)
    panel.xaxis.set_label_position('top')
    panel.set_xlabel(xlabel)
    panel.set_ylabel(ylabel)
    for spine in panel.spines.values():
        spine.set_visible(False)
    return figure


def as_file(figure: Figure, kind: str = 'png') -> bytes:
    """The contents of an image file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=100, bbox_inches='tight',
                   pad_inches=.05)
    return buffer.getvalue()


def draw_grid(model: JointGAN, decoder: nn.Module,
              labels: Tuple[Tensor, ...], latents: int, columns: int,
              seed: int) -> np.ndarray:
    """One grid; ``latents`` parts of it have equal latent vectors."""
    device = next(model.parameters()).device
    count = len(labels[0])
    # Of its own, not the training's.
    generator = torch.Generator().manual_seed(seed)
    latent = torch.randn(latents, model.latent_dim, generator=generator)
    latent = latent.repeat_interleave(count // latents, dim=0)
    images = model.generate(
        latent.to(device), tuple(x.to(device) for x in labels), decoder)
    pixels = (127.5 * (images.float().cpu() + 1)).round().clamp(0, 255)
    pixels = pixels.byte().permute(0, 2, 3, 1).numpy()
    picture = tile(pixels, columns)
    if model.data_preprocessor.to_rgb:
        picture = picture[:, :, ::-1]  # To OpenCV's BGR.
    return np.ascontiguousarray(picture)


# -- the hook -----------------------------------------------------------------
@HOOKS.register_module()
class JointGANPicturesHook(Hook):
    """Write what the decoder makes, and the curves of the game.

    In ``pictures/`` of the work dir: ``epoch_{n}.png``, a column for each
    class (Fig. 4 of the paper), the same latent vectors in each;
    ``va_epoch_{n}.png``, valence rightwards and arousal upwards, for models
    with both; and ``scores.png``, the losses of each kind of score and of
    the label sets over the epochs (appendix, Fig. 6).

    Random numbers are drawn apart: with the hook a training comes out as
    without.

    Args:
        interval (int): Epochs between pictures; the last one has some in
            any case. Defaults to 10.
        rows (int): Latent vectors. Defaults to 8.
        va_steps (int): Images from -1 to 1. Defaults to 7.
        seed (int): Of the latent vectors. Defaults to 0.
    """

    # Before the summary takes down what the epoch has to say.
    priority = 80

    def __init__(self,
                 interval: int = 10,
                 rows: int = 8,
                 va_steps: int = 7,
                 seed: int = 0):
        if min(interval, rows) < 1 or va_steps < 2:
            raise ValueError(
                'JointGANPicturesHook: interval and rows must be at least 1, '
                f'va_steps at least 2; got {interval}, {rows}, {va_steps}')
        self.interval = interval
        self.rows = rows
        self.va_steps = va_steps
        self.seed = seed

    def before_train(self, runner: Runner) -> None:
        """Check the model."""
        if not isinstance(bare_model(runner), JointGAN):
            raise TypeError(
                'JointGANPicturesHook is for a JointGAN, not for '
                f'{type(bare_model(runner)).__name__}: remove it from '
                'custom_hooks.')

    def after_train_epoch(self, runner: Runner) -> None:
        """Note the means of the game's losses; draw, if it is time to."""
        hub, number = runner.message_hub, len(runner.train_dataloader)
        if bare_model(runner).in_game:
            hub.update_info(
                'epoch_figures', {
                    name.removeprefix('train/'): float(buffer.mean(number))
                    for name, buffer in hub.log_scalars.items()
                    if name.startswith(('train/d_', 'train/g_'))
                })
        epoch = runner.epoch + 1
        if epoch % self.interval == 0 or epoch == runner.max_epochs:
            self.draw(runner, epoch)

    def after_train(self, runner: Runner) -> None:
        """Draw the curves."""
        if is_main_process() and osp.isfile(
                osp.join(runner.work_dir, 'history.json')):
            history = osp.join(runner.work_dir, 'history.json')
            draw_scores(history, self.path(runner, 'scores.png'))

    def path(self, runner: Runner, name: str) -> str:
        return osp.join(runner.work_dir, 'pictures', name)

    def draw(self, runner: Runner, epoch: int) -> None:
        """Write the grids of an epoch."""
        model = bare_model(runner)
        if model.decoder is None or not is_main_process():
            return
        figures = sample_figures(model, runner.train_dataloader.dataset,
                                 self.rows, self.va_steps, self.seed)
        for name, figure in figures.items():
            prefix = '' if name == 'classes' else f'{name}_'
            write_atomic(
                self.path(runner, f'{prefix}epoch_{epoch}.png'),
                as_file(figure))


def draw_scores(history: str, path: str) -> None:
    """Curves of all losses, from ``history.json``."""
    with open(history) as file:
        losses = {
            e['epoch']: dict(e.get('losses', {}), **(e.get('figures') or {}))
            for e in json.load(file)
        }
    figure = Figure(figsize=(12, 3.5), layout='constrained')
    panels = figure.subplots(1, 3)
    titles = dict(
        loss='label sets', g='generator, before lambda', d='discriminator')
    for panel, (prefix, title) in zip(panels, titles.items()):
        names = sorted({
            n for entry in losses.values() for n in entry
            if n.startswith(f'{prefix}_')
        }, key=order_of)
        for name, colour in zip(names, itertools.cycle(COLOURS)):
            points = [(epoch, entry[name]) for epoch, entry in losses.items()
                      if name in entry]
            label = name.removeprefix(f'{prefix}_')
            panel.plot(*zip(*points), color=colour, label='mean' if name in (
                'd_loss', 'g_loss') else label)
        panel.set_title(title)
        panel.set_xlabel('epoch')
        panel.grid(alpha=.3)
        if names:
            panel.legend(loc='upper center', bbox_to_anchor=(.5, -.2),
                         ncols=len(names), columnspacing=.8, handlelength=1,
                         frameon=False, fontsize='small')
    panels[0].set_ylabel('loss')
    write_atomic(path, as_file(figure))


def order_of(name: str) -> Tuple[int, str]:
    """Kinds of scores in their order, others before them."""
    kind = name.split('_', 1)[1]
    return (SCORE_KINDS.index(kind) + 1 if kind in SCORE_KINDS else 0, name)
