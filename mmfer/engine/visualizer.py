"""Visualizer that draws nothing until it is asked to."""

from types import SimpleNamespace
from typing import Any, Optional

import numpy as np
from mmpretrain.visualization import UniversalVisualizer

from mmfer.registry import VISUALIZERS

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
        for attribute in FIGURE:
            delattr(self, attribute)
        if image is not None:
            self.set_image(image)

    def _initialize_fig(self, fig_cfg: dict) -> tuple:
        """Return a stand-in, because mmengine asks for a figure too early."""
        return None, SimpleNamespace(get_dpi=lambda: None), None

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
