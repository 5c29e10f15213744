"""The figure of a visualizer is made on first use, and is the same."""

import numpy as np
import pytest
from mmpretrain.structures import DataSample
from mmpretrain.visualization import UniversalVisualizer

from mmfer.engine import LazyVisualizer

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)


def has_figure(visualizer):
    return 'fig_save' in visualizer.__dict__


def test_no_figure_for_logged_values(tmp_path):
    visualizer = LazyVisualizer(
        vis_backends=[dict(type='LocalVisBackend')], save_dir=str(tmp_path)
    )
    visualizer.add_scalars(dict(loss=1.5), step=3)
    assert not has_figure(visualizer)
    (written,) = tmp_path.rglob('scalars.json')
    assert '"loss": 1.5' in written.read_text()


def test_same_pictures():
    sample = DataSample().set_gt_label(1).set_pred_score([0.2, 0.8])

    def draw(visualizer):
        visualizer.dataset_meta = dict(classes=('sad', 'glad'))
        for _ in range(2):
            picture = visualizer.visualize_cls(IMAGE, sample, rescale_factor=4)
        return picture

    lazy = LazyVisualizer()
    assert not has_figure(lazy)
    np.testing.assert_array_equal(draw(lazy), draw(UniversalVisualizer()))
    assert has_figure(lazy)


def test_first_image_and_cfg():
    cfg = dict(frameon=True)
    pictures = [
        kind(image=IMAGE, fig_save_cfg=cfg).draw_bboxes(np.array([5, 5, 30, 30]))
        for kind in (LazyVisualizer, UniversalVisualizer)
    ]
    np.testing.assert_array_equal(*(p.get_image() for p in pictures))


def test_other_attributes_are_missing():
    visualizer = LazyVisualizer()
    with pytest.raises(AttributeError, match="LazyVisualizer has no attribute 'axes'"):
        _ = visualizer.axes
    assert not has_figure(visualizer)
