"""Write one network of a model into its own checkpoint.

    python tools/model_converters/export_network.py SRC DST [--network 1]

``SRC`` is a checkpoint of ReSup, Co-teaching, JoCoR or another
``DualNetwork``, or of the joint-distribution GAN (``--network encoder``).
``DST`` holds the chosen network under the names of a plain classifier. It can be used

- by ``tools/test.py``, with a config whose ``model`` is that network,
- by mmpretrain's inferencers,
- by ``init_cfg=dict(type='Pretrained', checkpoint=DST)`` of such a classifier. For a
  backbone alone, add ``prefix='backbone'``.
"""

import argparse
import io
import os.path as osp
import sys
from collections import OrderedDict
from typing import Dict, Optional, Sequence

import torch
from torch import Tensor

from mmfer.utils.files import write_atomic
from mmfer.utils.safe_pickle import load_checkpoint_file

# Prefix of the weights for each value of --network. LATENT are layers of the encoder
# that a classifier does not have.
PREFIXES = {'1': 'network1.', '2': 'network2.', 'encoder': 'encoder.'}
LATENT = ('head.mean.', 'head.log_variance.')


def extract_network(
    state_dict: Dict[str, Tensor], network: str
) -> 'OrderedDict[str, Tensor]':
    """Return the entries of one network, without their prefix.

    Args:
        state_dict (dict): Weights of the whole model.
        network (str): ``'1'``, ``'2'`` or ``'encoder'``.

    Raises:
        ValueError: The checkpoint has no such network.
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
            f'none of its {len(state_dict)} entries ({first}, ...) begins with '
            f'{prefix!r}, so this is not a checkpoint of '
            + ('a JointGAN.' if network == 'encoder' else 'two networks.')
            + ' Name another checkpoint or another --network.'
        )
    return found


def export(source: str, target: str, network: str) -> int:
    """Write the checkpoint of one network, and return its number of entries."""
    checkpoint = load_checkpoint_file(source)
    content = checkpoint if isinstance(checkpoint, dict) else {}
    weights = content.get('state_dict', content)
    if not isinstance(weights, dict) or not all(isinstance(k, str) for k in weights):
        raise ValueError('it has no weights by name. Name a checkpoint (*.pth).')
    state_dict = extract_network(weights, network)
    meta = content.get('meta')
    # The classes are kept; the config is not, as it describes the whole model.
    meta = {
        key: value
        for key, value in (meta if isinstance(meta, dict) else {}).items()
        if key != 'cfg'
    }
    buffer = io.BytesIO()
    torch.save(dict(meta=meta, state_dict=state_dict), buffer)
    write_atomic(target, buffer.getvalue())
    return len(state_dict)


def main(argv: Optional[Sequence[str]] = None) -> None:
    parser = argparse.ArgumentParser(
        description='Write one network of a model into its own checkpoint'
    )
    parser.add_argument('source', help='checkpoint of several networks')
    parser.add_argument('target', help='file to write')
    parser.add_argument(
        '--network', choices=list(PREFIXES), default='1', help='network to write'
    )
    args = parser.parse_args(argv)
    if not osp.isfile(args.source):
        sys.exit(f'{args.source}: there is no such checkpoint.')
    try:
        count = export(args.source, args.target, args.network)
    except (ValueError, OSError) as error:
        sys.exit(f'{args.source}: {error}')
    print(f'{args.target}: network {args.network}, {count} entries')


if __name__ == '__main__':
    main()
