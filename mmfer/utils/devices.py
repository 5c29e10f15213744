"""Choose the device to compute on."""

import argparse
from typing import Optional, Union

import torch
from mmengine.device import get_device


def choose_device(
    device: Optional[Union[str, int, torch.device]] = None,
) -> torch.device:
    """Return a device that works, by default the best one available.

    Args:
        device (str | int | torch.device, optional): Name of the device in
            torch, such as ``'cpu'``, ``'cuda'`` or ``'cuda:1'``. Defaults to
            the choice of ``mmengine.device.get_device``: a GPU if there is
            one.

    Raises:
        ValueError: torch does not know the device, or it is not available.
    """
    if device is None:
        return torch.device(get_device())
    try:
        chosen = torch.device(device)
        if chosen.type == 'meta':
            raise ValueError('it holds no numbers')
        torch.zeros(1, device=chosen)
        return chosen
    # Missing backends raise errors of several types.
    except Exception as error:
        # Only the first sentence is for users. The rest of torch's message is
        # advice for people who build torch.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        reason = reason.split('. ')[0].rstrip('.')
        if reason.startswith('Expected one of'):
            reason = (
                'torch has no device of this name; names are cpu, cuda, cuda:1 and mps'
            )
        raise ValueError(
            f'device {str(device)!r} cannot be used: {reason}. '
            f'Leave it out to use the best device here, {get_device()!r}.'
        ) from error


def add_device_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--device`` to a parser; the default is the best device available."""

    def device(name: str) -> torch.device:
        try:
            return choose_device(name)
        # argparse does not print the messages of other errors.
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    parser.add_argument(
        '--device',
        type=device,
        default=choose_device(),
        help='cpu, cuda, cuda:1, ...; default: the best one available',
    )


def synchronize(device: Union[str, torch.device]) -> None:
    """Wait until a device has finished its work.

    Call it before you read a clock, because a GPU computes asynchronously.

    Args:
        device (str | torch.device): Device that computes. A CPU works
            synchronously, so there is nothing to wait for.
    """
    device = torch.device(device)
    if device.type == 'mps':
        torch.mps.synchronize()
    elif device.type != 'cpu':
        getattr(torch, device.type).synchronize(device)


def bf16_is_fast(device: str) -> bool:
    """Return whether ``device`` computes in bfloat16 natively.

    On older CPUs torch emulates bfloat16, several times slower than float32.
    torch has no public query for the instruction sets, so private ones are
    used where they exist.

    Args:
        device (str): Type of the device, such as ``'cpu'`` or ``'cuda'``.
    """
    if device == 'cpu':
        # The default ``bool`` returns False where torch lacks a query.
        return bool(
            getattr(torch.cpu, '_is_avx512_bf16_supported', bool)()
            or getattr(torch.cpu, '_is_amx_tile_supported', bool)()
        )
    if device == 'cuda':
        return torch.cuda.is_bf16_supported()
    return False
