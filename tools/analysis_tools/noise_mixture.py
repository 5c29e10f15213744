"""Plot how well predictions agree with labels, with a fitted mixture.

    python tools/analysis_tools/noise_mixture.py CONFIG CHECKPOINT

For ReSup, Co-teaching and JoCoR, the figure has the scores of each network, with
the mixture from which the model computes the weights of samples. For other models,
the tool fits a mixture to their scores. If clean labels are known, samples with
wrong labels have another colour. Scores are those of unaugmented training images.
"""

import argparse

from mmengine.config import DictAction

from mmfer.analysis.mixtures import AGREEMENTS, measure_agreements, mixture_figure
from mmfer.analysis.runs import open_model
from mmfer.cli import run_tool, save_figure


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='path of the training config')
    parser.add_argument('checkpoint', help='path of the weights')
    parser.add_argument(
        '--agreement',
        choices=list(AGREEMENTS),
        help='fit a mixture to these scores, even if the model has one',
    )
    parser.add_argument('--bins', type=int, default=50, help='bins of the histogram')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, help='overrides of the config'
    )
    parser.add_argument('--out', default='noise_mixture.png', help='file of the figure')
    args = parser.parse_args()
    cfg, model = open_model(args.config, args.checkpoint, args.cfg_options)
    found = measure_agreements(cfg, model, args.agreement)
    save_figure(mixture_figure(*found, bins=args.bins), args.out)


if __name__ == '__main__':
    run_tool(main)
