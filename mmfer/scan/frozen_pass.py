"""One pass over the images of a data set: features of an encoder, and duplicates."""

from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from mmfer.datasets import FERDataset

from .duplicates import Duplicates, Thumbnails, find_duplicates
from .features import Extracted, Extractor, extract
from .scoring import LabelScores, ScoreOptions, score_labels


@dataclass
class FrozenPass:
    """What is known about N images before their labels are scored.

    Attributes:
        found (Extracted): Results of all extractors, and which images can be read.
        blocks (dict[str, np.ndarray]): Features of the encoder, (N, D) by name.
        duplicates (Duplicates): Images that are there several times.
    """

    found: Extracted
    blocks: Dict[str, np.ndarray]
    duplicates: Duplicates

    def score(
        self,
        labels: np.ndarray,
        num_classes: int,
        groups: Optional[np.ndarray] = None,
        options: Optional[ScoreOptions] = None,
    ) -> LabelScores:
        """Score how probably each given label is wrong.

        Args:
            labels (np.ndarray): Given labels, int64 (N,).
            num_classes (int): Number of classes C.
            groups (np.ndarray, optional): Group of each image, int64 (N,). Defaults to
                None: duplicates are one group.
            options (ScoreOptions, optional): See :func:`~mmfer.scan.score_labels`.

        Raises:
            ValueError: The readable images have one class or one group only.
        """
        groups = self.duplicates.group if groups is None else groups
        return score_labels(
            self.blocks, labels, num_classes, groups, self.found.valid, options
        )


def run_frozen_pass(
    dataset: FERDataset, encoder: Any, name: str, others: Sequence[Extractor] = ()
) -> FrozenPass:
    """Extract the features of a data set, and find its duplicates.

    The results are kept in the cache, and a pass that was killed continues.

    Args:
        dataset (FERDataset): N images.
        encoder (Extractor): See :func:`~mmfer.scan.find_encoder`.
        name (str): Name of the images, for messages and the list of the cache.
        others (Sequence[Extractor]): Further extractors for the same pass.

    Raises:
        ValueError: There is no image, or not one of them can be read.
    """
    extractors: List[Any] = [encoder, Thumbnails(), *others]
    found = extract(dataset, extractors, name)
    if not found.valid.any():
        first = found.errors[min(found.errors)]
        raise ValueError(
            f'{name}: not one of {len(found.valid)} images can be read. {first}'
        )
    duplicates = find_duplicates(
        found.arrays['thumbnail'], found.arrays['pixel_hash'], found.valid
    )
    blocks = {output: found.arrays[output] for output in encoder.outputs}
    return FrozenPass(found, blocks, duplicates)
