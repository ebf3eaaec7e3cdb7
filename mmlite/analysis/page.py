"""What all HTML pages of the suite share: one file that needs no other, on any screen."""

import html
import platform

import mmengine
import torch

from mmlite import __version__

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1080px;padding:0 1rem;
color:#1c2430;background:#fff}img{max-width:100%}h1{margin-bottom:.2rem}h2{margin-top:2.2rem}
.sub{color:#5b6675;overflow-wrap:anywhere}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:1rem}
.tile{background:#f1f5f9;border-radius:10px;padding:.8rem 1.2rem}
.tile b{display:block;font-size:1.7rem}
table{border-collapse:collapse}td,th{padding:.25rem .9rem;text-align:right;
border-bottom:1px solid #e2e8f0}td:first-child,th:first-child{text-align:left}
.columns{display:flex;flex-wrap:wrap;gap:1rem 2.5rem}.columns>*{min-width:0;max-width:100%}
.bar{min-width:7rem;background:linear-gradient(#bfdbfe,#bfdbfe) no-repeat left/var(--p) 100%}
.scroll{overflow:auto;max-height:48rem}
.curves{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(320px,100%),1fr));gap:1rem}
.pairs{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(500px,100%),1fr));gap:1rem}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:4px}
.trio{display:grid;grid-template-columns:repeat(3,1fr);gap:4px;align-items:start}
.full{max-width:none}.pair img,.trio img,.curves img,.wide{width:100%}
.wide{min-width:560px;max-width:640px}
figure{margin:0}figcaption{font-size:.8rem;color:#5b6675;grid-column:1/-1}
.legend{display:flex;flex-wrap:wrap;gap:0 .8rem}
.legend i{display:inline-block;width:.8em;height:.8em;margin-right:.3em;border:1px solid #94a3b8}
pre{background:#0f172a;color:#e2e8f0;padding:1rem;border-radius:8px;white-space:pre-wrap;
overflow-wrap:anywhere}
@media(max-width:600px){body{margin:1rem auto}table{font-size:.85rem}td,th{padding:.2rem .4rem}
.bar{min-width:4rem}}
"""


def versions():
    """What a page was made with, in one line."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU'
    return (
        f'mmlite {__version__}, torch {torch.__version__}, mmengine {mmengine.__version__}, '
        f'Python {platform.python_version()}, torch threads: {torch.get_num_threads()}, {device}'
    )


def whole_page(heading, title, sections):
    """The whole page around its sections.

    Args:
        heading (str): What kind of page it is.
        title (str): What it is about; also the title of the window.
        sections (Iterable[str]): HTML.

    Returns:
        str: HTML.
    """
    heading, title = html.escape(heading), html.escape(title)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<style>{STYLE}</style><h1>{heading}</h1><p class="sub">{title}<br>{versions()}</p>'
        + ''.join(sections)
        + '</html>'
    )
