"""Label a training set with a model, as in RAF-base and AffectNet-base.

    python tools/machine_labels.py CONFIG CHECKPOINT DATA_CONFIG --out DIR

CONFIG and CHECKPOINT belong to a model that was trained on another data set. It
predicts the training images of DATA_CONFIG through the test pipeline of CONFIG. The
tool writes to DIR:

- ``labels.txt`` or ``.csv``: the predicted classes in the data set's own format
  (``noisy_list`` of RAF-DB and CIFAR, ``table`` of AffectNet and FERPlus)
- ``va.txt``: valence and arousal, clipped to [-1, 1], for ``va_list`` of RAF-DB; only
  if the model predicts them

Classes are matched by name. Classes that the data set lacks are never predicted. The
data set is not changed.
"""

import argparse
import os

from mmengine.config import Config, DictAction

from mmfer.analysis.machine_labels import (
    build_image_set,
    checkpoint_classes,
    match_classes,
    predict_images,
    write_labels,
)
from mmfer.cli import (
    check_checkpoint_file,
    checkpoint_loading,
    finish_config,
    load_config,
    run_tool,
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config of the model')
    parser.add_argument('checkpoint', help='weights of the model')
    parser.add_argument('data_config', help='config whose training images get labels')
    parser.add_argument('--out', required=True, help='folder for the lists')
    parser.add_argument(
        '--data-options',
        nargs='+',
        action=DictAction,
        help='settings that override DATA_CONFIG, as key=value',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='settings that override CONFIG, as key=value',
    )
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='load a checkpoint that torch refuses to load safely',
    )
    # load_config and finish_config expect these arguments.
    parser.set_defaults(
        launcher='none', local_rank=0, work_dir=None, no_pin_memory=False
    )
    return parser.parse_args()


def label(args: argparse.Namespace) -> None:
    """Predict labels and write them."""
    cfg = finish_config(load_config(args.config, args), args)
    data_cfg = Config.fromfile(args.data_config)
    if args.data_options:
        data_cfg.merge_from_dict(args.data_options)
    dataset = build_image_set(data_cfg)
    os.makedirs(args.out, exist_ok=True)
    if os.listdir(args.out):
        raise ValueError(f'{args.out} is not empty; choose another --out.')
    shared = match_classes(checkpoint_classes(args.checkpoint, cfg), dataset.CLASSES)
    missing = set(range(dataset.num_classes)) - set(shared.values())
    if missing:
        names = ', '.join(dataset.CLASSES[i] for i in sorted(missing))
        print(f'The model does not have these classes, so no image gets them: {names}')
    found = predict_images(cfg, args.checkpoint, dataset)
    print('\n'.join(write_labels(args.out, dataset, found, shared)))


def main() -> None:
    args = parse_args()
    check_checkpoint_file(args.checkpoint)
    with checkpoint_loading(args.checkpoint, args.trust_checkpoint):
        label(args)


if __name__ == '__main__':
    run_tool(main)
