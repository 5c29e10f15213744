"""Arguments of ``mmfer cache``."""

from argparse import ArgumentParser

DESCRIPTION = """\
List and clear the cache: decoded images and features that runs share.

MMFER_CACHE_DIR sets its folder and MMFER_CACHE_GB its largest size in GiB (default
20; 0 switches it off). What is cleared is built again when a run needs it. Entries
that running processes use are kept.
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``mmfer cache``."""
    parser.add_argument(
        '--clear',
        nargs='*',
        metavar='NAME',
        help='remove entries of these names, kinds or keys (default: all)',
    )
