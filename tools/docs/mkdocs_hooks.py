"""Make pages of the documentation from other files of the repository.

MkDocs calls these functions (``hooks`` in ``mkdocs.yml``). Each README in
``configs/<method>`` becomes the page of its method, with the reference of
``mmfer.methods.<method>`` below it. Each other package of ``mmfer`` gets its own
page of the reference. So a new method needs no file in ``docs``.
"""

import os.path as osp
import re
import sys
from pathlib import Path

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

sys.path.insert(0, osp.dirname(__file__))
from made_pages import ROOT, methods, packages, reference, sources  # noqa: E402

LINK = re.compile(r'(?P<text>!?\[[^]]*\])\((?P<target>[^)\s]+)\)')
LOADED = re.compile(
    r'<(?:script|img|link|iframe)\b[^>]*?\b(?:src|href)="(?:https?:)?//[^"]*"'
)
FENCE = re.compile(r'^(```.*?^```)', re.MULTILINE | re.DOTALL)


def on_config(config):
    """Add the pages of methods and packages to the navigation."""
    for section in config.nav:
        for pages in section.values():
            if 'methods/index.md' in pages:
                pages += [f'methods/{name}.md' for name in methods()]
            if 'api/index.md' in pages:
                pages += [{n.split('.', 1)[1]: f'api/{n}.md'} for n in packages()]
    return config


def on_files(files, config):
    """Add the pages that come from outside of docs/."""
    for page, source in sources().items():
        text = (ROOT / source).read_text(encoding='utf-8')
        method = Path(page).stem
        if (ROOT / 'mmfer/methods' / method / '__init__.py').is_file():
            modules = reference(f'mmfer.methods.{method}').replace('\n## ', '\n### ')
            text += f'\n## API\n\n{modules}'
        files.append(File.generated(config, page, content=text))
    for name in packages():
        text = f'# {name}\n\n{reference(name)}'
        files.append(File.generated(config, f'api/{name}.md', content=text))
    return files


def on_page_markdown(markdown, page, config, files):
    """Let links to other files of the repository lead to their pages.

    A link to a file without a page (a config, a module) becomes the name of the
    file. A link to a file that does not exist stays a link, and MkDocs reports it.
    """
    address = page.file.src_uri
    source = sources().get(address, f'docs/{address}')
    pages = {origin: made for made, origin in sources().items()}

    def redirect(match):
        target, _, anchor = match['target'].partition('#')
        if not target or '://' in target or target.startswith('mailto:'):
            return match[0]
        path = osp.normpath(osp.join(osp.dirname(source), target))
        if path in pages:
            path = pages[path]
        elif path.startswith('docs/'):
            path = path[len('docs/') :]
        elif path == 'README.md':
            path = 'index.md'
        elif (ROOT / path).exists():
            return match['text'][1:-1]
        else:
            return match[0]
        path = osp.relpath(path, osp.dirname(address) or '.')
        return f'{match["text"]}({path}{"#" if anchor else ""}{anchor})'

    parts = FENCE.split(markdown)
    parts[::2] = [LINK.sub(redirect, part) for part in parts[::2]]
    return ''.join(parts)


def on_post_page(output, page, config):
    """Refuse a page that loads a script, a font or an image from another site."""
    found = LOADED.search(output)
    if found is not None and 'rel="canonical"' not in found[0]:
        raise PluginError(
            f'{page.file.src_uri} loads {found[0]}, but the pages must work without '
            'a network: put the file into docs/ or turn the option off.'
        )
    return output
