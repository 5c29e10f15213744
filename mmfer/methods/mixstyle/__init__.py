"""MixStyle: mix the feature statistics of two images.

Zhou, Yang, Qiao and Xiang, Domain Generalization with MixStyle, ICLR 2021. It
regularises the backbone of any classifier. The loss is plain cross-entropy.

====================  ========================  ==================================
In the paper          Function                  File
====================  ========================  ==================================
statistics            ``channel_moments``       ``models/latent_statistics.py``
mixed statistics      ``mix_statistics``        ``mixstyle.py``
output                ``set_statistics``        ``mixstyle.py``
Shuffled batch        ``random_partners``       ``mixstyle.py``
Batch of two domains  ``crossdomain_partners``  ``mixstyle.py``
Ratios, Beta(a, a)    ``MixStyle.draw_mix``     ``mixstyle.py``
Layers and gates      ``FeaturePerturbation``   ``models/feature_perturbation.py``
====================  ========================  ==================================
"""

from .mixstyle import MixStyle

__all__ = ['MixStyle']
