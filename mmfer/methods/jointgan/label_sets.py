"""Read the labels of a batch for a model with several label sets."""

from typing import List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmfer.datasets.batches import Samples, has_field
from mmfer.models.heads import stack_labels
from mmfer.models.label_sets import stack_array, stack_label_sets

VA = 'va'


class LabelSets(NamedTuple):
    """Label sets of a model, in the order of its outputs.

    Attributes:
        entries (tuple[int | str]): One entry per set: the number of classes of
            a discrete set, or ``'va'`` for valence and arousal.
    """

    entries: Tuple[Union[int, str], ...]

    @classmethod
    def of(cls, entries: Sequence[Union[int, str]]) -> 'LabelSets':
        """Build the label sets of a config, and check them.

        Raises:
            ValueError: There is no set, ``'va'`` occurs twice, or an entry is
                unknown.
        """
        for entry in entries:
            if entry != VA and (not isinstance(entry, int) or entry < 2):
                raise ValueError(
                    f'label_sets={list(entries)!r}: {entry!r} is neither a '
                    "number of classes of at least 2 nor 'va' for valence "
                    'and arousal.'
                )
        if not entries or list(entries).count(VA) > 1:
            raise ValueError(
                f'label_sets={list(entries)!r}: give at least one set, and '
                "'va' at most once, e.g. [7, 'va']."
            )
        return cls(tuple(entries))

    @property
    def dims(self) -> List[int]:
        """Number of classes or dimensions of each set."""
        return [2 if isinstance(entry, str) else entry for entry in self.entries]

    @property
    def discrete(self) -> List[int]:
        """Positions of the discrete sets."""
        return [i for i, entry in enumerate(self.entries) if entry != VA]

    def read(self, data_samples: Samples, device: torch.device) -> Tuple[Tensor, ...]:
        """Read the labels of a batch.

        One discrete set is read from ``gt_label``; several are the columns of
        ``gt_label_sets``. Valence and arousal are read from ``gt_va``, and are
        NaN where missing.

        Args:
            data_samples (SampleBatch | list[DataSample]): The batch.
            device (torch.device): Device of the result.

        Returns:
            tuple[Tensor]: One tensor per set, int64 (B, ) or float32 (B, 2).

        Raises:
            ValueError: The samples do not have these label sets.
        """
        number = len(self.discrete)
        # stack_labels raises an error for soft labels, which no label set can use.
        classes = (
            stack_labels(data_samples)[:, None]
            if number or has_field(data_samples, 'gt_score')
            else None
        )
        if number > 1 or number and has_field(data_samples, 'gt_label_sets'):
            given = stack_label_sets(
                data_samples,
                [self.dims[i] for i in self.discrete],
                'the model',
                "In label_noise=dict(type='Annotators') of the data set, give one "
                'generator for each discrete set in label_sets of the head, or set '
                'majority=True for a single set.',
                'Set label_sets of the head to the numbers of classes that the '
                'annotators use.',
            )
            classes = torch.from_numpy(given)
        labels: List[Tensor] = []
        column = 0
        for entry in self.entries:
            if entry == VA:
                labels.append(torch.from_numpy(stack_va(data_samples)).to(device))
            else:
                assert classes is not None  # There is a discrete set.
                labels.append(classes[:, column].to(device))
                column += 1
        return tuple(labels)

    def complete(self, data_samples: Samples) -> Optional[np.ndarray]:
        """Return the positions of the samples that have valence and arousal.

        They are found on the CPU, where the labels are. Their number decides
        whether there is a game, and the CPU would have to wait for a GPU.

        Returns:
            np.ndarray, optional: Positions in the batch, int64. None if the
            model does not predict valence and arousal.
        """
        if VA not in self.entries:
            return None
        return np.flatnonzero(np.isfinite(stack_va(data_samples)).all(axis=1))

    def vectors(self, labels: Sequence[Tensor]) -> List[Tensor]:
        """Convert labels to the input vectors of decoder and discriminator.

        Args:
            labels (Sequence[Tensor]): See :meth:`read`.

        Returns:
            list[Tensor]: One-hot vectors (B, C), and valence and arousal
            (B, 2), float32.
        """
        return [
            values.float()
            if isinstance(entry, str)
            else F.one_hot(values, entry).float()
            for entry, values in zip(self.entries, labels, strict=True)
        ]

    def predicted(self, outputs: Sequence[Tensor], label_form: str) -> List[Tensor]:
        """Convert the outputs of a model to input vectors of the discriminator.

        Args:
            outputs (Sequence[Tensor]): One tensor per set: logits (B, C), or
                valence and arousal (B, 2).
            label_form (str): ``'logits'`` or ``'probabilities'`` of the classes.
                Valence and arousal stay as they are.

        Returns:
            list[Tensor]: Tensors of the same shapes.
        """
        return [
            values
            if label_form == 'logits' or isinstance(entry, str)
            else values.float().softmax(dim=1)
            for entry, values in zip(self.entries, outputs, strict=True)
        ]


def stack_va(data_samples: Samples) -> np.ndarray:
    """Stack valence and arousal of a batch, NaN where missing, float32 (B, 2)."""
    return stack_array(data_samples, 'gt_va').astype(np.float32, copy=False)
