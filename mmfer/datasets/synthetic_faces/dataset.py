"""SyntheticFaces: a data set of drawn faces, which needs no files."""

import hashlib
import json
from typing import List

from mmfer.datasets.base import FERDataset
from mmfer.registry import DATASETS

from .parameters import EXPRESSIONS
from .rendering import render_faces
from .sampling import sample_faces

# Different seeds give unrelated faces, so train and test share none.
SPLIT_SEEDS = dict(train=0, test=1)


@DATASETS.register_module()
class SyntheticFaces(FERDataset):
    """Schematic faces of seven expressions, drawn in memory.

    The data set needs no files and no download. Drawing it takes one or two
    seconds. Some faces are blends of two expressions, whose label is uncertain.
    This makes the task hard enough for methods to differ: a small ResNet-18
    that is trained on clean labels reaches about 85 %.

    Samples also have ``gt_va``, valence and arousal in [-1, 1].

    Args:
        split (str): ``'train'`` or ``'test'``. Defaults to ``'train'``.
        num_samples (int): Number of faces. Defaults to 4000.
        size (int): Width and height of the grey images in pixels. Defaults to
            48.
        seed (int): Seed of the faces. The splits never share faces. Defaults
            to 0.
        imbalance (float): Size of the largest class divided by the size of the
            smallest. Defaults to 1.
        ambiguity (float): Probability that a face is a blend of two
            expressions. Defaults to 0.3.
        **kwargs: See :class:`~mmfer.datasets.FERDataset`.
    """

    METAINFO = dict(classes=EXPRESSIONS)
    splits = tuple(SPLIT_SEEDS)
    # The images are not files, so no list can name them.
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
    ) -> None:
        self.num_samples = num_samples
        self.size = size
        self.seed = seed
        self.imbalance = imbalance
        self.ambiguity = ambiguity
        super().__init__(split=split, **kwargs)

    def load_samples(self) -> List[dict]:
        """Draw the faces; their images stay in memory."""
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

    def images_hash(self) -> str:
        """Return a hash of the names of the faces.

        The options of the data set determine the images, so no image is read. Whoever
        stores results by this hash has to store the options, too.
        """
        names = json.dumps(self.image_paths.tolist())
        return hashlib.sha256(names.encode()).hexdigest()

    def where_it_looked(self) -> str:
        """Return a sentence that says why there are no samples."""
        return f'num_samples is {self.num_samples}; ask for at least 1.'
