"""What the decoder of a joint-distribution GAN makes of labels.

    python tools/analysis_tools/gan_samples.py CONFIG CHECKPOINT --out x.png

draws a column for each class, the same latent vectors in all of them, and
where the model has valence and arousal, ``x_va.png`` with valence rightwards
and arousal upwards. Trainings write these every few epochs
(``JointGANPicturesHook``). It also prints how often the encoder sees the class
that the decoder was to draw.
"""

import argparse
import os.path as osp

from mmengine.config import DictAction

from mmfer.analysis.runs import open_model
from mmfer.cli import run_tool
from mmfer.methods.jointgan import JointGAN
from mmfer.methods.jointgan.generation import class_agreement
from mmfer.methods.jointgan.pictures import as_file, sample_figures
from mmfer.registry import DATASETS
from mmfer.utils.files import write_atomic


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('--rows', type=int, default=8)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--scale', type=float, default=2, help='pixels for each of an image'
    )
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    parser.add_argument('--out', default='gan_samples.png')
    args = parser.parse_args()
    cfg, model = open_model(args.config, args.checkpoint, args.cfg_options)
    if not isinstance(model, JointGAN) or model.decoder is None:
        raise ValueError(
            f'{args.config} is no joint-distribution GAN with a '
            'decoder, so it draws nothing.'
        )
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    dataset.full_init()
    stem, ending = osp.splitext(args.out)
    figures = sample_figures(
        model, dataset, args.rows, seed=args.seed, scale=args.scale
    )
    for name, figure in figures.items():
        path = args.out if name == 'classes' else f'{stem}_{name}{ending}'
        write_atomic(path, as_file(figure, ending[1:] or 'png'))
        print(f'{path} is written.')
    if model.label_sets.discrete:
        share = class_agreement(model, dataset, seed=args.seed)
        classes = model.label_sets.entries[model.label_sets.discrete[0]]
        print(
            f'The encoder sees the class that was asked for in {share:.1%} '
            f'of 1,024 samples; chance is {1 / classes:.1%}.'
        )


if __name__ == '__main__':
    run_tool(main)
