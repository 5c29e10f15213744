"""Figures of a joint GAN: generated images, and curves of the losses."""

import io
import itertools
import os.path as osp
from typing import TYPE_CHECKING, Any, Dict, Sequence, Tuple, cast

import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmfer.datasets import FERDataset
from mmfer.engine.scoring import saved_weights
from mmfer.models.utils import unwrap_model
from mmfer.registry import HOOKS
from mmfer.utils.checks import positive_int, whole_number
from mmfer.utils.files import write_atomic
from mmfer.utils.json_files import read_history
from mmfer.utils.palette import DARK_GREY, SERIES

from .generation import sample_grids
from .joint_gan import JointGAN
from .options import SCORE_KINDS

# Matplotlib takes half a second to import, and most runs draw nothing. Functions
# import it.
if TYPE_CHECKING:
    from matplotlib.figure import Figure


def sample_figures(
    model: JointGAN,
    dataset: FERDataset,
    rows: int = 8,
    va_steps: int = 7,
    seed: int = 0,
    scale: float = 2.0,
) -> Dict[str, 'Figure']:
    """Draw the grids of :func:`sample_grids` with names at rows and columns.

    Args:
        model (JointGAN): See :func:`sample_grids`.
        dataset (FERDataset): See :func:`sample_grids`.
        rows (int): See :func:`sample_grids`. Defaults to 8.
        va_steps (int): See :func:`sample_grids`. Defaults to 7.
        seed (int): See :func:`sample_grids`. Defaults to 0.
        scale (float): Pixels in the figure, at 100 dpi, for each pixel of an
            image. Defaults to 2.
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
) -> 'Figure':
    """Draw a grid of images with names at its columns and rows.

    Args:
        grid (np.ndarray): Picture, BGR or grey, uint8 (height, width, C).
        scale (float): See :func:`sample_figures`.
        columns (Sequence[str]): Names of the columns.
        rows (Sequence[str]): Names of the rows. Defaults to none.
        xlabel (str): Name of the horizontal axis. Defaults to none.
        ylabel (str): Name of the vertical axis. Defaults to none.
    """
    from matplotlib.figure import Figure

    height, width = grid.shape[:2]
    figure = Figure(figsize=(scale * width / 100, scale * height / 100))
    # The images fill the figure; savefig enlarges it to make room for the names.
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
    # Slant long names. They are wider than the images and would overlap.
    slanted = max(map(len, columns)) > 5
    slant: Dict[str, Any] = dict(rotation=35, ha='left') if slanted else {}
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


def as_file(figure: 'Figure', kind: str = 'png') -> bytes:
    """Return the bytes of an image file that shows a figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=100, bbox_inches='tight', pad_inches=0.05)
    return buffer.getvalue()


@HOOKS.register_module()
class JointGANPicturesHook(Hook):
    """Write generated images and curves of the losses into the work dir.

    The files are in ``pictures/`` of the work dir:

    - ``epoch_{n}.png``: one column for each class; all columns have the same
      latent vectors (Fig. 4 of the paper);
    - ``va_epoch_{n}.png``: valence increases to the right, arousal upwards;
      only for models that predict both;
    - ``scores.png``: losses of each kind of score and of the label sets over
      the epochs. The means over all K scores are those of the appendix, Fig. 6.

    The hook has its own random generators, so it does not change the run.

    Args:
        interval (int): Number of epochs between pictures. The last epoch always
            has pictures. Defaults to 10.
        rows (int): Number of latent vectors. Defaults to 8.
        va_steps (int): Number of values from -1 to 1 of valence and arousal.
            Defaults to 7.
        seed (int): Seed of the latent vectors. Defaults to 0.
    """

    # Run before SummaryHook, which writes the losses of the epoch to
    # history.json.
    priority = 80

    def __init__(
        self, interval: int = 10, rows: int = 8, va_steps: int = 7, seed: int = 0
    ):
        self.interval = positive_int(self, 'interval', interval)
        self.rows = positive_int(self, 'rows', rows)
        self.va_steps = whole_number(self, 'va_steps', va_steps, 2)
        self.seed = seed

    def before_train(self, runner: Runner) -> None:
        """Check that the model is a :class:`JointGAN`."""
        if not isinstance(unwrap_model(runner.model), JointGAN):
            raise TypeError(
                'JointGANPicturesHook is for a JointGAN, but the model is a '
                f'{type(unwrap_model(runner.model)).__name__}. Remove the hook '
                'from custom_hooks.'
            )

    def after_train_epoch(self, runner: Runner) -> None:
        """Record the mean losses of the game, and draw images if they are due."""
        hub, number = runner.message_hub, len(runner.train_dataloader)
        if joint_gan_of(runner).in_game:
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
        """Draw the curves of all losses."""
        if is_main_process() and osp.isfile(osp.join(runner.work_dir, 'history.json')):
            history = osp.join(runner.work_dir, 'history.json')
            draw_scores(history, self.path(runner, 'scores.png'))

    def path(self, runner: Runner, name: str) -> str:
        """Return the path of a picture."""
        return osp.join(runner.work_dir, 'pictures', name)

    def draw(self, runner: Runner, epoch: int) -> None:
        """Write the grids of an epoch."""
        model = joint_gan_of(runner)
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


def joint_gan_of(runner: Runner) -> JointGAN:
    """Return the model of a runner without its wrappers."""
    return cast(JointGAN, unwrap_model(runner.model))


def draw_scores(history: str, path: str) -> None:
    """Draw the curves of all losses into one figure.

    Args:
        history (str): Path of ``history.json``.
        path (str): Path of the figure.
    """
    from matplotlib.figure import Figure

    losses = {
        e['epoch']: dict(e.get('losses', {}), **(e.get('figures') or {}))
        for e in read_history(history)
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
            # The paper's figure has only the mean over all scores.
            mean = name in ('d_loss', 'g_loss')
            panel.plot(
                *zip(*points),
                color=DARK_GREY if mean else colour,
                linewidth=2.5 if mean else 1.2,
                label='mean of all' if mean else name.removeprefix(f'{prefix}_'),
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
    """Return the sort key of a loss: kinds of scores come last, in fixed order."""
    kind = name.split('_', 1)[1]
    return (SCORE_KINDS.index(kind) + 1 if kind in SCORE_KINDS else 0, name)
