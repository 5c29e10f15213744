"""Which steps of a pipeline resize images."""

from mmfer.datasets.transforms.resizing import is_resizer
from mmfer.registry import TRANSFORMS


def test_steps_that_resize():
    for step in (
        'Resize',
        'mmpretrain.ResizeEdge',
        TRANSFORMS.get('RandomResizedCrop'),
        TRANSFORMS.build(dict(type='Resize', scale=8)),
    ):
        assert is_resizer(step), step
    for step in ('CenterCrop', TRANSFORMS.get('PackFERInputs')):
        assert not is_resizer(step), step
