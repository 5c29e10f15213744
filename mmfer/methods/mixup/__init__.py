"""Mixup, CutMix and Manifold Mixup: train on mixtures of two images.

Zhang, Cisse, Dauphin and Lopez-Paz, mixup: Beyond Empirical Risk Minimization, ICLR
2018. Verma and others, Manifold Mixup, ICML 2019. Yun and others, CutMix, ICCV 2019.
Manifold Mixup with ``layers=['input']`` is Mixup. CutMix is a batch augmentation of
mmpretrain (``model.train_cfg``).

==================  ===============================  =====================
Quantity            Function                         File
==================  ===============================  =====================
Mixture of images   ``mix_with_partners``            ``manifold_mixup.py``
Mixture of labels   ``ManifoldMixup.mix_labels``     ``manifold_mixup.py``
Ratio, Beta(a, a)   ``ManifoldMixup.draw_mixture``   ``manifold_mixup.py``
Layer of a step     ``ManifoldMixup.draw_pass``      ``manifold_mixup.py``
==================  ===============================  =====================
"""

from .manifold_mixup import ManifoldMixup

__all__ = ['ManifoldMixup']
