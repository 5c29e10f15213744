"""SCE: symmetric cross-entropy.

Wang, Ma, Chen, Luo, Yi and Bailey, Symmetric Cross Entropy for Robust Learning with
Noisy Labels, ICCV 2019.

=====================  =========================  ===============
In the paper           Function                   File
=====================  =========================  ===============
cross-entropy          ``cross_entropy``          ``losses.py``
reverse cross-entropy  ``reverse_cross_entropy``  ``losses.py``
alpha CE + beta RCE    ``SCEHead.loss``           ``sce_head.py``
=====================  =========================  ===============

Paper and published codes differ. ``PRESETS`` in ``sce_head.py`` has the options of all.
"""

from .sce_head import SCEHead

__all__ = ['SCEHead']
