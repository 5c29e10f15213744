"""Train a model: ``python tools/train.py CONFIG``."""
import argparse
import os
import os.path as osp
import pickle
from contextlib import nullcontext

from mmengine.config import Config, ConfigDict, DictAction
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmfer.compat import unsafe_loading


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train a model')
    parser.add_argument('config', help='path of the training config')
    parser.add_argument('--work-dir', help='folder for logs and checkpoints')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='a checkpoint to resume from; without a path, the latest one '
        'in the work dir')
    parser.add_argument(
        '--amp', action='store_true', help='train in mixed precision')
    parser.add_argument(
        '--no-validate',
        action='store_true',
        help='do not evaluate during training')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the total batch size')
    parser.add_argument(
        '--no-pin-memory',
        action='store_true',
        help='switch pin_memory off in all data loaders')
    parser.add_argument(
        '--no-persistent-workers',
        action='store_true',
        help='start the workers of the data loaders anew each epoch')
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='load a checkpoint of another program that torch refuses to '
        'load safely; loading it can run code that it contains')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='settings that override the config, as key=value; lists as '
        'key="[a,b]" or key=a,b, without white space')
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher')
    # torch.distributed.launch passes it; torchrun sets the variable.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def set_dataloader_defaults(cfg: Config, args: argparse.Namespace) -> None:
    """mmpretrain's defaults, less what plain ``num_workers=0`` refuses."""
    for field in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if cfg.get(field) is None:
            continue
        loader = ConfigDict(
            pin_memory=True,
            persistent_workers=True,
            collate_fn=dict(type='default_collate'))
        loader.update(cfg[field])
        if args.no_pin_memory:
            loader.pin_memory = False
        if getattr(args, 'no_persistent_workers', False):
            loader.persistent_workers = False
        cfg[field] = loader


def finish_dataloaders(cfg: Config) -> None:
    """Drop what torch refuses or warns about, once all overrides are in."""
    from mmengine.device import get_device
    for field in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg.get(field)
        if loader is None:
            continue
        if not loader.get('num_workers'):
            loader.persistent_workers = False
        if get_device() == 'cpu':
            loader.pin_memory = False


def merge_args(cfg: Config, args: argparse.Namespace) -> Config:
    """Merge the command line into the config."""
    if args.no_validate:
        cfg.val_cfg = None
        cfg.val_dataloader = None
        cfg.val_evaluator = None
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = osp.join('work_dirs',
                                osp.splitext(osp.basename(args.config))[0])
    if args.amp:
        cfg.optim_wrapper.type = 'AutocastOptimWrapper'
    if args.resume == 'auto':
        cfg.resume = True
        cfg.load_from = None
    elif args.resume is not None:
        cfg.resume = True
        cfg.load_from = args.resume
    if args.auto_scale_lr:
        cfg.auto_scale_lr.enable = True
    set_dataloader_defaults(cfg, args)
    if args.cfg_options is not None:
        cfg.merge_from_dict(args.cfg_options)
    finish_dataloaders(cfg)
    return cfg


def build_runner(cfg: Config) -> Runner:
    """The runner that the config asks for."""
    if 'runner_type' in cfg:
        return RUNNERS.build(cfg)
    return Runner.from_cfg(cfg)


def loading(trust: bool):
    """Context in which checkpoints are loaded."""
    return unsafe_loading() if trust else nullcontext()


def main() -> None:
    args = parse_args()
    cfg = merge_args(Config.fromfile(args.config), args)
    try:
        with loading(args.trust_checkpoint):
            build_runner(cfg).train()
    except pickle.UnpicklingError as error:
        raise SystemExit(
            f'{cfg.load_from or args.resume}: this checkpoint holds Python '
            'objects and cannot be loaded safely. If you trust whoever made '
            f'it, pass --trust-checkpoint.\n{error}') from None


if __name__ == '__main__':
    main()
