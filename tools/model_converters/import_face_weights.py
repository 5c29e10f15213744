"""Convert face-recognition weights to the format that the configs load.

    python tools/model_converters/import_face_weights.py SRC DST [--depth 18]

``SRC`` has the weights of a ResNet under torchvision's names, which mmpretrain also
uses. It is

- a torch file with a state dict, or with a checkpoint that has a ``state_dict``.
  Prefixes such as ``module.`` before the names are removed. An example is the
  MS-Celeb ResNet-18 that RUL, SCN, ReSup and ALUM start from.
- or a pickle of numpy arrays, such as VGGFace2's ``resnet50_ft_weight.pkl``.

A config loads ``DST`` by ``init_cfg=dict(type='Pretrained', checkpoint=DST,
prefix='backbone')``. The file is written only if all weights of the backbone match:
a loader that skips weights would train from scratch without a warning.
"""

import argparse
import hashlib
import os
import os.path as osp
import sys
from typing import List, Optional

from mmfer.apis.face_weights import (
    convert,
    explain_mismatch,
    extract_state_dict,
    load_arrays,
    load_torch,
    reference_shapes,
    weights_file,
)
from mmfer.utils.files import write_atomic
from mmfer.utils.safe_pickle import is_torch_file, read_bytes


def import_weights(args: argparse.Namespace) -> None:
    """Read the weights, match them, report, and write them."""
    if not osp.isfile(args.src):
        raise ValueError(
            'there is no such file. Download the weights from their publisher first.'
        )
    if osp.exists(args.dst) and osp.samefile(args.src, args.dst):
        raise ValueError('it would overwrite itself: choose another DST.')
    data = read_bytes(args.src)
    torch_file = is_torch_file(data)
    state_dict = extract_state_dict(
        load_torch(data, args.trust_checkpoint) if torch_file else load_arrays(data)
    )
    reference = reference_shapes(args.backbone_type, args.depth)
    report = convert(state_dict, reference, args.prefix)
    print(report)
    if not report.ok:
        raise ValueError(explain_mismatch(report, state_dict, args.depth))

    content = weights_file(
        report,
        source=osp.basename(args.src),
        source_sha256=hashlib.sha256(data).hexdigest(),
        backbone=args.backbone_type,
        depth=args.depth,
    )
    write_atomic(args.dst, content)
    print(f'written:        {args.dst}')
    if not torch_file and 'layer1.0.conv3.weight' in reference:
        # Both kinds of bottleneck have the same names and shapes.
        print(
            "Note: VGGFace2's published ResNet-50 comes from Caffe, with "
            'the stride in the first 1x1 convolution of a block. Its '
            "backbone is dict(type='ResNet', depth=50, style='caffe')."
        )


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Import torchvision-keyed ResNet weights'
    )
    parser.add_argument('src', metavar='SRC', help='the published file')
    parser.add_argument(
        'dst', metavar='DST', help='file to write, as named by the configs'
    )
    parser.add_argument('--depth', type=int, default=18, help='depth of the ResNet')
    parser.add_argument(
        '--backbone-type',
        default='ResNet',
        help='class of the backbone that will load the file',
    )
    parser.add_argument(
        '--prefix',
        help="prefix of the backbone's names, with its dot; needed only if it "
        'is not module., backbone. or model.',
    )
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='load a torch file that torch refuses to load safely; loading '
        'it can run code that it contains',
    )
    return parser.parse_args(argv)


def main(argv: Optional[List[str]] = None) -> None:
    args = parse_args(argv)
    try:
        import_weights(args)
    except (ValueError, OSError) as error:
        sys.stdout.flush()
        raise SystemExit(
            f'{args.src}: {error}{os.linesep}Nothing was written.'
        ) from None


if __name__ == '__main__':
    main()
