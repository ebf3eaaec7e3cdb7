"""Sphinx settings of the documentation; tools/build_docs.sh builds it.

The source folder is the repository itself, so that the READMEs beside configs and projects are
pages, too, and the links between all of them work as they do in a checkout.
"""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r'\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)')
FENCE = re.compile(r'^(```.*?^```)', re.MULTILINE | re.DOTALL)


def read_version():
    """``mmlite.__version__`` without importing torch."""
    tree = ast.parse((ROOT / 'mmlite' / '__init__.py').read_text(encoding='utf-8'))
    for node in tree.body:
        if isinstance(node, ast.Assign) and node.targets[0].id == '__version__':
            return ast.literal_eval(node.value)
    raise ValueError('mmlite/__init__.py has no __version__')


project = 'mmlite'
author = 'The mmlite authors'
release = version = read_version()
language = 'en'
root_doc = 'docs/index'
extensions = ['myst_parser']
include_patterns = [
    'docs/*.md',
    'README.md',
    'CONTRIBUTING.md',
    'CHANGELOG.md',
    'benchmarks/README.md',
    'configs/**README.md',
    'projects/*/README.md',
]
# folders that are not even searched
exclude_patterns = ['.*', 'build', 'checkpoints', 'data', 'dist', 'mmlite', 'tests', 'work_dirs']
myst_enable_extensions = ['deflist']
myst_heading_anchors = 3
templates_path = ['_templates']
html_theme = 'furo'
html_title = 'mmlite'
html_static_path = ['_static']
html_css_files = ['custom.css']
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
html_additional_pages = {'index': 'to_docs.html'}  # the pages begin in docs/


def unlink_folders(app, docname, source):
    """Take links to folders away, which have no page, and keep their text."""
    here = ROOT / Path(docname).parent

    def text_of(match):
        target = match[2].split('#')[0]
        folder = '://' not in target and target and (here / target).is_dir()
        return match[1] if folder else match[0]

    parts = FENCE.split(source[0])
    parts[::2] = [LINK.sub(text_of, part) for part in parts[::2]]
    source[0] = ''.join(parts)


def setup(app):
    """Called by Sphinx."""
    app.connect('source-read', unlink_folders)
    return dict(parallel_read_safe=True)
