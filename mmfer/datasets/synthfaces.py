"""SyntheticFaces: the data set that needs no data."""

from typing import List

from mmfer.registry import DATASETS

from .base import FERDataset
from .synthetic_renderer import EXPRESSIONS, render_faces, sample_faces

# Any two different numbers: the renderer's seeds give unrelated faces.
SPLIT_SEEDS = dict(train=0, test=1)


@DATASETS.register_module()
class SyntheticFaces(FERDataset):
    """Schematic faces of seven expressions, drawn in memory.

    No files, no download, a second or two to draw. Some faces are blends
    that nobody could label for sure, so that methods can differ: a small
    ResNet-18 with correct labels ends at about 85 %.

    Samples also carry ``gt_va``, valence and arousal in [-1, 1].

    Args:
        split (str): ``'train'`` or ``'test'``. Defaults to ``'train'``.
        num_samples (int): Number of faces. Defaults to 4000.
        size (int): Side of the grey pictures in pixels. Defaults to 48.
        seed (int): Which faces; train and test never share any.
            Defaults to 0.
        imbalance (float): Ratio of the most frequent class to the rarest.
            Defaults to 1.
        ambiguity (float): Probability that a face is a blend of two
            expressions. Defaults to 0.3.
        **kwargs: See :class:`FERDataset`.
    """

    METAINFO = dict(classes=EXPRESSIONS)
    splits = tuple(SPLIT_SEEDS)
    # There are no files that it could name.
    list_suffix = None

    def __init__(
        self,
        split: str = 'train',
        num_samples: int = 4000,
        size: int = 48,
        seed: int = 0,
        imbalance: float = 1.0,
        ambiguity: float = 0.3,
        **kwargs,
    ):
        self.num_samples = num_samples
        self.size = size
        self.seed = seed
        self.imbalance = imbalance
        self.ambiguity = ambiguity
        super().__init__(split=split, **kwargs)

    def load_samples(self) -> List[dict]:
        """Draw the faces."""
        params, labels, va = sample_faces(
            self.num_samples,
            seed=2 * self.seed + SPLIT_SEEDS[self.split],
            imbalance=self.imbalance,
            ambiguity=self.ambiguity,
        )
        self._images = render_faces(params, self.size)
        return [
            dict(
                img_path=f'synthfaces/{self.split}/{i:06d}.png',
                gt_label=int(labels[i]),
                gt_va=va[i],
            )
            for i in range(len(labels))
        ]

    def where_it_looked(self) -> str:
        """A sentence on where the samples were expected."""
        return f'num_samples is {self.num_samples}; ask for at least 1.'
