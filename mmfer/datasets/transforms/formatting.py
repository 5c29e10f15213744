"""Packing samples for the model."""

from mmpretrain.datasets import PackInputs

from mmfer.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PackFERInputs(PackInputs):
    """``PackInputs`` that carries ``sample_id``.

    Fewer meta keys than mmpretrain's default: a data sample's fields are
    checked one by one, which shows on small images.
    """

    DEFAULT_META_KEYS = ('sample_id', 'img_path')

    def __init__(self, input_key='img', algorithm_keys=(), meta_keys=DEFAULT_META_KEYS):
        super().__init__(input_key, algorithm_keys, meta_keys)
