"""Visualizer that draws nothing until it is asked to."""

import logging
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Iterator, Optional

import numpy as np
from mmengine.logging import print_log
from mmpretrain.visualization import UniversalVisualizer

from mmfer.registry import VISUALIZERS
from mmfer.utils.full_disk import FULL

# Attributes in which mmengine's visualizer keeps its figure.
FIGURE = ('fig_save_canvas', 'fig_save', 'ax_save', 'dpi')


@VISUALIZERS.register_module()
class LazyVisualizer(UniversalVisualizer):
    """mmpretrain's visualizer, whose figure is made on first use.

    Each runner has a visualizer, which also passes the logged values on to the
    ``vis_backends``. Few runs draw anything with it. The figure of
    ``UniversalVisualizer`` takes half a second at the start of each run, and many
    seconds where matplotlib has not listed the fonts yet.

    Args:
        name (str): Name of the instance. Defaults to ``'visualizer'``.
        image (np.ndarray, optional): First image to draw on. Defaults to None.
        **kwargs: See mmengine's ``Visualizer``.
    """

    def __init__(
        self, name: str = 'visualizer', image: Optional[np.ndarray] = None, **kwargs
    ):
        super().__init__(name, **kwargs)
        self.disk_full = False
        for attribute in FIGURE:
            delattr(self, attribute)
        if image is not None:
            self.set_image(image)

    def _initialize_fig(self, fig_cfg: dict) -> tuple:
        """Return a stand-in, because mmengine asks for a figure too early."""
        return None, SimpleNamespace(get_dpi=lambda: None), None

    def add_scalar(self, *args: Any, **kwargs: Any) -> None:
        """Pass a value on to the backends."""
        with self._full_disk_reported():
            super().add_scalar(*args, **kwargs)

    def add_scalars(self, *args: Any, **kwargs: Any) -> None:
        """Pass values on to the backends."""
        with self._full_disk_reported():
            super().add_scalars(*args, **kwargs)

    @contextmanager
    def _full_disk_reported(self) -> Iterator[None]:
        """Go on without values for plots if their disk is full, and say so once."""
        try:
            yield
        except OSError as error:
            if error.errno not in FULL:
                raise
            if not self.disk_full:
                self.disk_full = True
                print_log(
                    'The disk is full, so values for plots (vis_data/scalars.json) '
                    'are not written any more. The training goes on until it has to '
                    'write a result.',
                    'current',
                    level=logging.WARNING,
                )

    def __getattr__(self, attribute: str) -> Any:
        # Python calls this for attributes that do not exist yet.
        if attribute not in FIGURE:
            raise AttributeError(
                f'{type(self).__name__} has no attribute {attribute!r}'
            )
        self.fig_save_canvas, self.fig_save, self.ax_save = super()._initialize_fig(
            self.fig_save_cfg
        )
        self.dpi = self.fig_save.get_dpi()
        return self.__dict__[attribute]
