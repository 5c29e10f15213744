"""Plot losses and similarities of training images, by class and epoch.

    python tools/analysis_tools/epoch_agreements.py CONFIG epoch_1.pth epoch_7.pth \\
        --classes disgust surprise

Each checkpoint has a row. Its panels show the losses of the images that are labelled as
each named class, the losses of all images, and the similarities of all images, which
ReSup uses in place of losses. If clean labels are known, wrong labels have another
colour. Images are not augmented.
"""

import argparse
from pathlib import Path

from mmengine.config import DictAction

from mmfer.analysis.class_names import class_numbers
from mmfer.analysis.epoch_agreements import epoch_figure, measure_epoch
from mmfer.analysis.mixtures import predict_training_images
from mmfer.analysis.runs import open_model
from mmfer.cli import run_tool, save_figure


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='path of the training config')
    parser.add_argument('checkpoints', nargs='+', help='weights after some epochs')
    parser.add_argument(
        '--classes', nargs='+', default=[], help='classes that have panels of their own'
    )
    parser.add_argument(
        '--network', type=int, default=1, help='1 or 2, for models of two networks'
    )
    parser.add_argument('--bins', type=int, default=50, help='bins of the histograms')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, help='overrides of the config'
    )
    parser.add_argument(
        '--out', default='epoch_agreements.png', help='file of the figure'
    )
    args = parser.parse_args()
    epochs, shown = {}, {}
    for path in args.checkpoints:
        predicted = predict_training_images(
            *open_model(args.config, path, args.cfg_options)
        )
        numbers = class_numbers(args.classes, predicted.classes)
        shown = dict(zip(args.classes, numbers))
        epochs[Path(path).stem] = measure_epoch(predicted, args.network)
    save_figure(epoch_figure(epochs, shown, args.bins), args.out)


if __name__ == '__main__':
    run_tool(main)
