"""CIFAR-10 and CIFAR-100 with noisy labels and long tails.

- `datasets`: the data sets.
- `files`: reading of the published batch files and of numbered image files.
- `human_labels`: label sets of CIFAR-10N and CIFAR-100N.
- `long_tail`: which samples a long-tailed subset keeps.
"""

from .datasets import NoisyCIFAR10, NoisyCIFAR100

__all__ = ['NoisyCIFAR10', 'NoisyCIFAR100']
