"""What the thresholds divide."""
import numpy as np

from .gaave import SIDES, WHOLE, Judgement


def plot_steps(judgement: Judgement):
    """Histogram of k for each subset, with the candidates in colour.

    Args:
        judgement (Judgement): Of a data set.

    Returns:
        matplotlib.figure.Figure: One panel for each subset.
    """
    from matplotlib import pyplot as plt
    subsets = np.unique(judgement.subset)
    names = SIDES if len(subsets) > 1 else WHOLE
    figure, panels = plt.subplots(
        1, len(subsets), figsize=(4.2 * len(subsets), 3.2), squeeze=False,
        layout='constrained')
    size = judgement.attack_steps.max() + 1
    for axes, subset, name in zip(panels[0], subsets, names):
        mine = judgement.subset == subset
        for candidate, colour, label in ((True, '#D55E00', 'candidates'),
                                         (False, '#0072B2', 'others')):
            chosen = mine & (judgement.candidate == candidate)
            axes.bar(
                np.arange(size),
                np.bincount(judgement.attack_steps[chosen], minlength=size),
                color=colour, label=f'{label} ({chosen.sum()})')
        axes.set(title=name, xlabel='steps that the prediction survives, k',
                 ylabel='samples', xticks=np.arange(size))
        axes.legend(frameon=False)
    return figure
