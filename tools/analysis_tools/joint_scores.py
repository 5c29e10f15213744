"""Test which parts of a tuple the discriminator of a joint GAN compares.

    python tools/analysis_tools/joint_scores.py CONFIG CHECKPOINT

A tuple is an image, a latent vector and labels. The tool prints the joint scores of
the encoder's and the decoder's tuples. It also exchanges one part of each tuple with
that of another image, and prints the new scores. If a score does not change, the
discriminator does not check whether that part belongs to the others. Then no network
can learn this from the adversarial game.
"""

import argparse

import torch
from mmengine.config import DictAction

from mmfer.analysis.joint_scores import exchanged_scores, format_scores, read_batch
from mmfer.analysis.runs import open_model
from mmfer.cli import run_tool
from mmfer.methods.jointgan import JointGAN


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='path of the training config')
    parser.add_argument('checkpoint', help='path of the weights')
    parser.add_argument('--images', type=int, default=512, help='number of images')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, help='overrides of the config'
    )
    args = parser.parse_args()
    cfg, model = open_model(args.config, args.checkpoint, args.cfg_options)
    if not isinstance(model, JointGAN) or model.decoder is None:
        raise ValueError(
            f'{args.config} is not a joint-distribution GAN with a decoder, so it has '
            'no joint score. Name the config and checkpoint of one, such as '
            'configs/jointgan/jointgan_vgg16_synthfaces.py.'
        )
    torch.manual_seed(args.seed)
    model.eval()
    batch = read_batch(cfg, model, args.images)
    print(format_scores(exchanged_scores(model, *batch, args.seed)))


if __name__ == '__main__':
    run_tool(main)
