"""Choice of the device that computes."""

import argparse
from typing import Optional, Union

import torch
from mmengine.device import get_device


def choose_device(
    device: Optional[Union[str, int, torch.device]] = None,
) -> torch.device:
    """Return a device that can compute, by default the best one there is.

    Args:
        device (str | int | torch.device, optional): As torch names it, such
            as ``'cpu'``, ``'cuda'`` or ``'cuda:1'``. Defaults to that of
            ``mmengine.device.get_device``: a GPU where there is one.

    Raises:
        ValueError: torch knows no such device, or finds none.
    """
    if device is None:
        return torch.device(get_device())
    try:
        chosen = torch.device(device)
        if chosen.type == 'meta':
            raise ValueError('it holds no numbers')
        torch.zeros(1, device=chosen)
        return chosen
    # Backends that are missing raise errors of several kinds.
    except Exception as error:
        # torch goes on with advice for those who build it.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        reason = reason.split('. ')[0].rstrip('.')
        raise ValueError(
            f'device {str(device)!r} cannot be used: {reason}. '
            f'Leave it out to take the best one here, {get_device()!r}, or '
            "name another, such as 'cpu' or 'cuda:0'."
        ) from error


def add_device_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--device`` to a program, by default the best one there is."""

    def device(name: str) -> torch.device:
        try:
            return choose_device(name)
        # Of other errors argparse keeps the words to itself.
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    parser.add_argument(
        '--device',
        type=device,
        default=choose_device(),
        help='cpu, cuda, cuda:1, ...; the best one there is',
    )


def synchronize(device: Union[str, torch.device]) -> None:
    """Wait until a device has computed all it was given, before a clock.

    Args:
        device (str | torch.device): Of the computation; a CPU never runs
            behind.
    """
    device = torch.device(device)
    if device.type == 'mps':
        torch.mps.synchronize()
    elif device.type != 'cpu':
        getattr(torch, device.type).synchronize(device)
