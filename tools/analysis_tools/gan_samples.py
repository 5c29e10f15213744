"""Draw images with the decoder of a joint-distribution GAN.

    python tools/analysis_tools/gan_samples.py CONFIG CHECKPOINT --out x.png

The picture has one column for each class, with the same latent vectors in all
columns. If the model has valence and arousal, a second picture, ``x_va.png``, has
valence to the right and arousal upwards. Runs write these pictures every few epochs
(``JointGANPicturesHook``). The tool also prints how often the encoder recognises the
class that was requested from the decoder.
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
    parser.add_argument('config', help='path of the training config')
    parser.add_argument('checkpoint', help='path of the weights')
    parser.add_argument('--rows', type=int, default=8, help='rows of images')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--scale', type=float, default=2, help='enlargement of the images (default: 2)'
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, help='overrides of the config'
    )
    parser.add_argument('--out', default='gan_samples.png', help='file of the picture')
    args = parser.parse_args()
    cfg, model = open_model(args.config, args.checkpoint, args.cfg_options)
    if not isinstance(model, JointGAN) or model.decoder is None:
        raise ValueError(
            f'{args.config} is not a joint-distribution GAN with a decoder, so it '
            'cannot draw. Name the config and checkpoint of one, such as '
            'configs/jointgan/jointgan_vgg16_synthfaces.py.'
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
            f'The encoder recognises the requested class in {share:.1%} '
            f'of 1,024 samples; chance is {1 / classes:.1%}.'
        )


if __name__ == '__main__':
    run_tool(main)
