"""EAC: erasing attention consistency.

Zhang, Wang, Ling and Deng, Learn From All: Erasing Attention Consistency for Noisy
Label Facial Expression Recognition, ECCV 2022. The equations are those of the published
code.

=====================  =======================  ===============
In the paper           Function                 File
=====================  =======================  ===============
attention maps         ``attention_maps``       ``losses.py``
attention consistency  ``flip_consistency``     ``losses.py``
loss                   ``EACHead.loss``         ``eac_head.py``
imbalanced framework   ``EACClassifier.loss``   ``classifier.py``
erasing, noise         ``MirroredViews.make``   ``views.py``
=====================  =======================  ===============
"""

from .classifier import EACClassifier
from .eac_head import EACHead

__all__ = ['EACClassifier', 'EACHead']
