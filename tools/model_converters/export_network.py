"""Make one network of several a checkpoint of its own.

    python tools/model_converters/export_network.py SRC DST [--network 1]

``SRC`` is a checkpoint of ReSup, Co-teaching, JoCoR or another
``DualNetwork``, or of the joint-distribution GAN (``--network encoder``).
``DST`` holds the chosen network under the names of a plain classifier, ready
for ``tools/test.py`` with a config whose ``model`` is that network, for
mmpretrain's inferencers, or for the
``init_cfg=dict(type='Pretrained', checkpoint=DST)`` of such a classifier; that
of a backbone alone needs ``prefix='backbone'``.
"""

import argparse
import io
import os.path as osp
import pickle
import sys
from collections import OrderedDict
from typing import Dict, Optional, Sequence

import torch
from torch import Tensor

from mmfer.utils.files import write_atomic

# Prefixes by what --network says, and what is not part of a classifier.
PREFIXES = {'1': 'network1.', '2': 'network2.', 'encoder': 'encoder.'}
LATENT = ('head.mean.', 'head.log_variance.')


def extract_network(
    state_dict: Dict[str, Tensor], network: str
) -> 'OrderedDict[str, Tensor]':
    """Entries of one network, without their prefix.

    Args:
        state_dict (dict): Of the whole model.
        network (str): ``'1'``, ``'2'`` or ``'encoder'``.

    Raises:
        ValueError: There are none.
    """
    prefix = PREFIXES[network]
    found = OrderedDict(
        (key[len(prefix) :], value)
        for key, value in state_dict.items()
        if key.startswith(prefix) and not key[len(prefix) :].startswith(LATENT)
    )
    if not found:
        first = ', '.join(list(state_dict)[:3])
        raise ValueError(
            f'there is no {prefix}* among its {len(state_dict)} entries '
            f'({first}, ...), so this is no checkpoint of '
            + ('a JointGAN.' if network == 'encoder' else 'two networks.')
        )
    return found


def export(source: str, target: str, network: str) -> int:
    """Write the network's checkpoint; returns its number of entries."""
    checkpoint = torch.load(source, map_location='cpu', weights_only=True)
    state_dict = extract_network(checkpoint.get('state_dict', checkpoint), network)
    # The classes go with it, the config does not: it is that of the whole.
    meta = {
        key: value for key, value in checkpoint.get('meta', {}).items() if key != 'cfg'
    }
    buffer = io.BytesIO()
    torch.save(dict(meta=meta, state_dict=state_dict), buffer)
    write_atomic(target, buffer.getvalue())
    return len(state_dict)


def main(argv: Optional[Sequence[str]] = None) -> None:
    parser = argparse.ArgumentParser(
        description='Make one network of several a checkpoint of its own'
    )
    parser.add_argument('source', help='checkpoint of several networks')
    parser.add_argument('target', help='file to write')
    parser.add_argument(
        '--network', choices=list(PREFIXES), default='1', help='which one'
    )
    args = parser.parse_args(argv)
    if not osp.isfile(args.source):
        sys.exit(f'{args.source}: there is no such checkpoint.')
    try:
        count = export(args.source, args.target, args.network)
    except (ValueError, pickle.UnpicklingError) as error:
        sys.exit(f'{args.source}: {error}')
    print(f'{args.target}: network {args.network}, {count} entries')


if __name__ == '__main__':
    main()
