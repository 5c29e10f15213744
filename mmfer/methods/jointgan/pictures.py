"""Figures of the game: what the decoder makes, and how the scores went."""

import io
import itertools
import json
import os.path as osp
from typing import Dict, Sequence, Tuple

import numpy as np
from matplotlib.figure import Figure
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmfer.engine.scoring import saved_weights
from mmfer.models.utils import unwrap_model
from mmfer.registry import HOOKS
from mmfer.utils.files import write_atomic
from mmfer.utils.palette import SERIES

from .joint_gan import SCORE_KINDS, JointGAN
from .samples import sample_grids


def sample_figures(
    model: JointGAN,
    dataset,
    rows: int = 8,
    va_steps: int = 7,
    seed: int = 0,
    scale: float = 2.0,
) -> Dict[str, Figure]:
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
            grids['va'],
            scale,
            columns=values,
            rows=values[::-1],
            xlabel='valence',
            ylabel='arousal',
        )
    return figures


def frame(
    grid: np.ndarray,
    scale: float,
    columns: Sequence[str],
    rows: Sequence[str] = (),
    xlabel: str = '',
    ylabel: str = '',
) -> Figure:
    """A grid with words at its columns and rows."""
    height, width = grid.shape[:2]
    figure = Figure(figsize=(scale * width / 100, scale * height / 100))
    # The image keeps its pixels; savefig grows around it for the words.
    panel = figure.add_axes((0, 0, 1, 1))
    panel.imshow(
        grid[..., ::-1] if grid.shape[2] == 3 else grid[..., 0],
        cmap='gray',
        vmin=0,
        vmax=255,
        interpolation='nearest',
        extent=(0, len(columns), 0, max(1, len(rows))),
        aspect='auto',
    )
    # Names are longer than images are wide.
    slant = dict(rotation=35, ha='left') if max(map(len, columns)) > 5 else {}
    panel.set_xticks(np.arange(len(columns)) + 0.5, columns, **slant)
    panel.set_yticks(np.arange(len(rows)) + 0.5, rows[::-1])
    panel.tick_params(
        length=0, top=False, labeltop=True, bottom=False, labelbottom=False
    )
    panel.xaxis.set_label_position('top')
    panel.set_xlabel(xlabel)
    panel.set_ylabel(ylabel)
    for spine in panel.spines.values():
        spine.set_visible(False)
    return figure


def as_file(figure: Figure, kind: str = 'png') -> bytes:
    """The contents of an image file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=100, bbox_inches='tight', pad_inches=0.05)
    return buffer.getvalue()


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

    def __init__(
        self, interval: int = 10, rows: int = 8, va_steps: int = 7, seed: int = 0
    ):
        if min(interval, rows) < 1 or va_steps < 2:
            raise ValueError(
                'JointGANPicturesHook: interval and rows must be at least 1, '
                f'va_steps at least 2; got {interval}, {rows}, {va_steps}'
            )
        self.interval = interval
        self.rows = rows
        self.va_steps = va_steps
        self.seed = seed

    def before_train(self, runner: Runner) -> None:
        """Check the model."""
        if not isinstance(unwrap_model(runner.model), JointGAN):
            raise TypeError(
                'JointGANPicturesHook is for a JointGAN, not for '
                f'{type(unwrap_model(runner.model)).__name__}: remove it from '
                'custom_hooks.'
            )

    def after_train_epoch(self, runner: Runner) -> None:
        """Note the means of the game's losses; draw, if it is time to."""
        hub, number = runner.message_hub, len(runner.train_dataloader)
        if unwrap_model(runner.model).in_game:
            hub.update_info(
                'epoch_figures',
                {
                    name.removeprefix('train/'): float(buffer.mean(number))
                    for name, buffer in hub.log_scalars.items()
                    if name.startswith(('train/d_', 'train/g_'))
                },
            )
        epoch = runner.epoch + 1
        if epoch % self.interval == 0 or epoch == runner.max_epochs:
            self.draw(runner, epoch)

    def after_train(self, runner: Runner) -> None:
        """Draw the curves."""
        if is_main_process() and osp.isfile(osp.join(runner.work_dir, 'history.json')):
            history = osp.join(runner.work_dir, 'history.json')
            draw_scores(history, self.path(runner, 'scores.png'))

    def path(self, runner: Runner, name: str) -> str:
        return osp.join(runner.work_dir, 'pictures', name)

    def draw(self, runner: Runner, epoch: int) -> None:
        """Write the grids of an epoch."""
        model = unwrap_model(runner.model)
        if model.decoder is None or not is_main_process():
            return
        with saved_weights(runner):
            figures = sample_figures(
                model,
                runner.train_dataloader.dataset,
                self.rows,
                self.va_steps,
                self.seed,
            )
        for name, figure in figures.items():
            prefix = '' if name == 'classes' else f'{name}_'
            write_atomic(
                self.path(runner, f'{prefix}epoch_{epoch}.png'), as_file(figure)
            )


def draw_scores(history: str, path: str) -> None:
    """Curves of all losses, from ``history.json``."""
    with open(history) as file:
        losses = {
            e['epoch']: dict(e.get('losses', {}), **(e.get('figures') or {}))
            for e in json.load(file)
        }
    figure = Figure(figsize=(12, 3.5), layout='constrained')
    panels = figure.subplots(1, 3)
    titles = dict(loss='label sets', g='generator, before lambda', d='discriminator')
    for panel, (prefix, title) in zip(panels, titles.items()):
        names = sorted(
            {
                n
                for entry in losses.values()
                for n in entry
                if n.startswith(f'{prefix}_')
            },
            key=order_of,
        )
        for name, colour in zip(names, itertools.cycle(SERIES)):
            points = [
                (epoch, entry[name]) for epoch, entry in losses.items() if name in entry
            ]
            label = name.removeprefix(f'{prefix}_')
            panel.plot(
                *zip(*points),
                color=colour,
                label='mean' if name in ('d_loss', 'g_loss') else label,
            )
        panel.set_title(title)
        panel.set_xlabel('epoch')
        panel.grid(alpha=0.3)
        if names:
            panel.legend(
                loc='upper center',
                bbox_to_anchor=(0.5, -0.2),
                ncols=len(names),
                columnspacing=0.8,
                handlelength=1,
                frameon=False,
                fontsize='small',
            )
    panels[0].set_ylabel('loss')
    write_atomic(path, as_file(figure))


def order_of(name: str) -> Tuple[int, str]:
    """Kinds of scores in their order, others before them."""
    kind = name.split('_', 1)[1]
    return (SCORE_KINDS.index(kind) + 1 if kind in SCORE_KINDS else 0, name)
