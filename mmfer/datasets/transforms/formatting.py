"""Pack samples for the model."""

from typing import Sequence

from mmpretrain.datasets import PackInputs

from mmfer.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PackFERInputs(PackInputs):
    """``PackInputs`` whose data samples carry ``sample_id``.

    By default, it packs fewer meta keys than mmpretrain does. Each field of a
    data sample is checked, which takes a noticeable part of the time if images are
    small.
    """

    DEFAULT_META_KEYS = ('sample_id', 'img_path')

    def __init__(
        self,
        input_key: str = 'img',
        algorithm_keys: Sequence[str] = (),
        meta_keys: Sequence[str] = DEFAULT_META_KEYS,
    ):
        super().__init__(input_key, algorithm_keys, meta_keys)
