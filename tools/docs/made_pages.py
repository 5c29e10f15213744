"""List the pages of the documentation that are made from other files."""

from pathlib import Path
from typing import Dict, List

ROOT = Path(__file__).resolve().parents[2]
# Source files outside of docs/, by the address of their page.
COPIED = {
    'contributing.md': 'CONTRIBUTING.md',
    'changelog.md': 'CHANGELOG.md',
    'security.md': 'SECURITY.md',
}


def methods() -> List[str]:
    """Return the names of all methods, in alphabetical order."""
    return sorted(path.parent.name for path in ROOT.glob('configs/*/README.md'))


def packages() -> List[str]:
    """Return the packages and top-level modules that have a page, as dotted names."""
    found = [path.parent for path in ROOT.glob('mmfer/*/**/__init__.py')]
    found += [path for path in ROOT.glob('mmfer/*.py') if path.stem != '__init__']
    names = ['.'.join(path.relative_to(ROOT).with_suffix('').parts) for path in found]
    skipped = ('mmfer.methods', 'mmfer.version')
    return sorted(name for name in names if not name.startswith(skipped))


def reference(name: str) -> str:
    """Return the reference of a package: its docstring, then each of its modules.

    Args:
        name (str): Dotted name of a package or a module.
    """
    folder = ROOT.joinpath(*name.split('.'))
    if not folder.is_dir():
        return f'::: {name}\n'
    text = f'::: {name}\n    options:\n      members: false\n'
    for path in sorted(folder.glob('*.py')):
        if path.stem != '__init__':
            text += f'\n## {path.stem}\n\n::: {name}.{path.stem}\n'
    return text


def sources() -> Dict[str, str]:
    """Return all pages that come from outside of docs/, with their sources."""
    return {
        **COPIED,
        **{f'methods/{m}.md': f'configs/{m}/README.md' for m in methods()},
    }
