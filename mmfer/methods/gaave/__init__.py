"""GAAVE: Geometry Aware Adversarial Vulnerability Estimation.

Zheng et al., Attack Can Benefit: An Adversarial Approach to Recognizing Facial
Expressions under Noisy Annotations, AAAI 2023.

======================  ===============================  =================
In the paper            Function                         File
======================  ===============================  =================
Dataset Splitting       ``split_head_tail``              ``splitting.py``
Subset Refactoring      ``refactor``                     ``splitting.py``
Eqs. 1 and 2, attack    ``PGD.step``                     ``attack.py``
Eq. 3, k                ``attack_steps``                 ``attack.py``
Criterion 1, threshold  ``find_threshold``               ``thresholds.py``
Clean and noisy sets    ``unite``                        ``division.py``
Eq. 4, annotators       ``SubsetModels.predict_labels``  ``models.py``
Eq. 5, pseudo-labels    ``combine_annotators``           ``annotation.py``
Algorithm 1             ``decide_labels``                ``algorithm.py``
======================  ===============================  =================

:class:`GAAVE` is the whole method as a component. :class:`GAAVEHook` applies it
before the first step of a run. Their options are in ``options.py``.
"""

from .attack import PGD, attack_steps
from .gaave import GAAVE
from .hook import GAAVEHook
from .label_decisions import LabelDecisions

__all__ = ['GAAVE', 'GAAVEHook', 'LabelDecisions', 'PGD', 'attack_steps']
