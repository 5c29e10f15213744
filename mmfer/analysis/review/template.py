"""Put the parts of the page together: HTML, style, script and data."""

import html
import os.path as osp
import re
from typing import Any, Dict

from mmfer.utils import palette

from .files import as_script

WEB = osp.join(osp.dirname(osp.abspath(__file__)), 'web')
"""Folder with the parts of the page."""

SCRIPTS = (
    'state',
    'layout',
    'panel',
    'counts',
    'decisions',
    'filters',
    'downloads',
    'progress',
    'main',
)
"""Parts of the script, in the order in which the page runs them."""


def read_template() -> str:
    """Return the page with style and script, and with placeholders for the data."""
    page = _read('page.html')
    parts = dict(
        STYLE=_read('style.css'),
        SCRIPT='\n'.join(_read(f'{name}.js') for name in SCRIPTS),
    )
    return re.sub(r'/\*(STYLE|SCRIPT)\*/', lambda found: parts[found[1]], page)


def _read(name: str) -> str:
    """Return a file of :data:`WEB`."""
    with open(osp.join(WEB, name), encoding='utf-8') as file:
        return file.read()


def fill(template: str, title: str, data: Dict[str, Any]) -> bytes:
    """Fill the template of the page and encode it.

    Args:
        template (str): See :func:`read_template`.
        title (str): Title of the page.
        data (dict): What the script reads.
    """
    parts = {
        'TITLE': lambda: html.escape(title),
        'DATA': lambda: as_script(data),
        'COLOURS': lambda: _variables(palette.DECISIONS_ON_LIGHT),
        'DARK_COLOURS': lambda: _variables(palette.DECISIONS_ON_DARK),
    }
    # All placeholders are filled at once, because a title or a name may look
    # like a placeholder.
    return re.sub(
        r'/\*(TITLE|DATA|COLOURS|DARK_COLOURS)\*/',
        lambda found: parts[found[1]](),
        template,
    ).encode()


def _variables(colours: Dict[str, str]) -> str:
    """Return colours as variables of a style sheet."""
    return ' '.join(f'--{name}: {colour};' for name, colour in colours.items())
