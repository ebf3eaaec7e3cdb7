"""Write model-index.yml and docs/model_zoo.md from the metafiles of the configs.

    python tools/model_zoo.py

A metric whose name ends in ``(paper)`` is a target; any other is measured by us.
"""

import sys
from pathlib import Path

import yaml  # required by mmengine

from mmlite.engine.cli import tool
from mmlite.utils import write_text
from mmlite.utils.paths import suite_path

PAPER = ' (paper)'
TOP = """# Model zoo

Written by `python tools/model_zoo.py` from the `metafile.yml` beside the configs: edit those,
then run it.

- **paper**: targets, the numbers of MAE-Lite
  ([arXiv 2404.12210](https://arxiv.org/abs/2404.12210)) for this very recipe, initial weights
  included. None of them is ours. An empty cell: its tables have none.
- **ours**: measured by us on the real data. An empty cell: not trained on them.
- Parameters and GMAC (10^9 MACs) are counted from the configs.
"""
SECTIONS = {
    'pretrain': """Pre-training

Parameters: what is trained, decoder and heads included. GMAC: one forward pass in training,
with that of a teacher or tokenizer, see `mmlite bench`. The paper's accuracies are those after
fine-tuning.""",
    'cls': """Classification

GMAC: one image of 224 pixels, see `get_flops.py`. Transfers start from random weights here; the
README has the paper's numbers of all pre-trainings.""",
    'det': """Detection and instance segmentation

GMAC: one image of 640 pixels with 1000 regions, mask head not run, see `get_flops.py`. The
README has the paper's numbers from supervised weights.""",
    'seg': """Semantic segmentation

GMAC: one image of 512 pixels, see `get_flops.py`. UperNet's auxiliary head, which only training
runs, is in neither count. The README has the paper's numbers of other initializations.""",
    'track': """Single-object tracking

Parameters: what is trained. GMAC: one frame, attention products included, see `get_flops.py`.
The README has the paper's numbers of other pre-trainings.""",
    'shapes': """On generated data

Small versions of the recipes, measured by us on generated images: they say that the tools
learn, and nothing about real data sets.""",
}
"""Directory below ``configs/`` -> title and text of its section."""


def read_models(path):
    """Models of a metafile with the README of their collection."""
    content = yaml.safe_load(path.read_text(encoding='utf-8'))
    readmes = {item['Name']: item['README'] for item in content['Collections']}
    return [dict(model, README=readmes[model['In Collection']]) for model in content['Models']]


def row(model, columns):
    """A model as a row of Markdown."""
    metadata = model['Metadata']
    cells = {name: {} for name in columns}  # source -> data set -> results
    for result in model['Results'] or []:
        for metric, value in result['Metrics'].items():
            found = cells['paper' if metric.endswith(PAPER) else columns[-1]]
            found.setdefault(result['Dataset'], []).append(f'{metric.removesuffix(PAPER)} {value}')
    unit = 'Iterations' if 'Iterations' in metadata else 'Epochs'
    texts = [
        f'[{model["Name"]}](../{model["Config"]})',
        metadata['Backbone'],
        f'{metadata[unit]:,} {unit.lower()}',
        f'{metadata["Parameters"] / 1e6:.2f}M',
        f'{metadata["FLOPs"] / 1e9:.2f}',
    ]
    for found in cells.values():
        texts.append('<br>'.join(f'{name}: {", ".join(values)}' for name, values in found.items()))
    return '|' + '|'.join(f' {text} ' if text else ' ' for text in texts) + '|'


def section(name, models):
    """Title, text, links and table of a task."""
    columns = ['ours, on generated data'] if name == 'shapes' else ['paper', 'ours']
    header = ['config', 'backbone', 'training', 'parameters', 'GMAC', *columns]
    readmes = dict.fromkeys(model['README'] for model in models)
    links = ',\n'.join(f'[{path.removesuffix("/README.md")}](../{path})' for path in readmes)
    lines = [f'| {" | ".join(header)} |', f'| {" | ".join(["---"] * len(header))} |']
    lines += [row(model, columns) for model in models]
    return '\n'.join([f'## {SECTIONS[name]}', f'More: {links}.', '', *lines, ''])


def render(root):
    """File -> content of everything that is written."""
    paths = sorted(path.relative_to(root) for path in root.glob('configs/*/**/metafile.yml'))
    models = {name: [] for name in SECTIONS}
    for path in paths:
        models[path.parts[1]] += read_models(root / path)
    index = ''.join(f'  - {path.as_posix()}\n' for path in paths)
    page = '\n'.join([TOP, *(section(*item) for item in models.items() if item[1])])
    return {
        'model-index.yml': f'# Written by python tools/model_zoo.py.\nImport:\n{index}',
        'docs/model_zoo.md': page,
    }


@tool
def main(argv=None):
    root = suite_path()
    for name, text in render(root).items():
        write_text(Path(root, name), text)
        print(f'{name} is written')


if __name__ == '__main__':
    sys.exit(main())
