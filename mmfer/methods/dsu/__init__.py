"""DSU: domain shifts with uncertainty, in the statistics of features.

Li, Dai, Ge, Liu, Shan and Duan, Uncertainty Modeling for Out-of-Distribution
Generalization, ICLR 2022. It regularises the backbone of any classifier. The loss is
plain cross-entropy. ALUM has the same operator as its latent compensation.

================  =======================  ==================================
In the paper      Function                 File
================  =======================  ==================================
statistics        ``channel_moments``      ``models/latent_statistics.py``
uncertainty       ``batch_std``            ``models/latent_statistics.py``
new statistics    ``redraw_statistics``    ``models/latent_statistics.py``
output            ``compensate``           ``models/latent_statistics.py``
Layers and gates  ``FeaturePerturbation``  ``models/feature_perturbation.py``
================  =======================  ==================================
"""

from mmfer.models.latent_compensation import LatentCompensation

__all__ = ['LatentCompensation']
