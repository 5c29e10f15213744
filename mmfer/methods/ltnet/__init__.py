"""LTNet: a latent true label behind the labels of several annotators.

Zeng, Shan and Chen, Facial Expression Recognition with Inconsistently Annotated
Datasets, ECCV 2018. The start and the projection of the matrices are those of the
published code.

==========================  ========================  =============
In the paper                Function                  File
==========================  ========================  =============
labels of an annotator      ``observed_log_prob``     ``losses.py``
loss of each label          ``label_losses``          ``losses.py``
matrices stay stochastic    ``project_rows``          ``losses.py``
start of the matrices       ``initial_matrices``      ``losses.py``
loss over all annotators    ``LTNetHead.loss``        ``ltnet_head.py``
==========================  ========================  =============

``true_posterior``, the score of a label, is not in the paper: it follows from the
matrices by Bayes' rule.
"""

from .ltnet_head import LTNetHead

__all__ = ['LTNetHead']
