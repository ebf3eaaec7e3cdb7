"""Figures of the layer analysis: similarity, statistics of heads, maps of one image."""

from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MultipleLocator

from mmlite.utils import figure_png
from mmlite.visualization import LINE_COLORS

UNIFORM = '0.45'  # grey of the line of uniform attention


def draw_similarity(reference, similarities):
    """Heat maps of CKA in one row, all against one reference, as PNG; NaN is grey.

    ``similarities`` are arrays (layers of the model, of the reference) by the name of the model.
    """
    figure = Figure(figsize=(2.7 * len(similarities) + 1.0, 3.1), layout='constrained')
    axes = figure.subplots(1, len(similarities), squeeze=False)
    colours = colormaps['magma'].with_extremes(bad='0.8')
    for axis, (name, values) in zip(axes[0], similarities.items(), strict=True):
        picture = axis.imshow(values, cmap=colours, vmin=0, vmax=1, origin='lower')
        axis.set_title(_shortened(name, 26), fontsize=10)
        axis.set_xlabel(f'layer of {_shortened(reference, 24)}', fontsize=9)
        for scale in (axis.xaxis, axis.yaxis):
            scale.set_major_locator(MultipleLocator(3))
        axis.tick_params(labelsize=8)
    axes[0, 0].set_ylabel('layer of the model above', fontsize=9)
    bar = figure.colorbar(picture, ax=axes[0], fraction=0.05, shrink=0.85, pad=0.02)
    bar.set_label('CKA', fontsize=9)
    bar.ax.tick_params(labelsize=8)
    return figure_png(figure, dpi=130)


def draw_heads(panels, uniform=None):
    """Box plots over the heads of every block, one panel a quantity, one color a model, as PNG.

    ``panels`` map the label of the vertical axis to names of models with (heads,) by block, from 0;
    ``uniform`` has for each panel the dashed line of uniform attention, or None.
    """
    names = list(next(iter(panels.values())))
    blocks = 1 + max(block for panel in panels.values() for m in panel.values() for block in m)
    width = 1.6 + blocks * max(0.42, 0.2 * len(names) + 0.06)
    figure = Figure(figsize=(width, 2.7 * len(panels) + 0.5), layout='constrained')
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)
    uniform = uniform or [None] * len(panels)
    for axis, (label, models), level in zip(axes[:, 0], panels.items(), uniform, strict=True):
        for index, blocks_of_model in enumerate(models.values()):
            _draw_boxes(axis, blocks_of_model, index, len(names))
        if level is not None:
            axis.axhline(level, color=UNIFORM, linestyle='--', linewidth=1)
        axis.set_ylabel(label)
        axis.set_ylim(0, 1.05 * max(axis.dataLim.y1, level or 0))
        axis.grid(axis='y', alpha=0.3)
        axis.set_xticks(range(1, blocks + 1))
        for edge in range(1, blocks):
            axis.axvline(edge + 0.5, color='0.9', linewidth=0.8, zorder=0)
    axes[-1, 0].set_xlim(0.5, blocks + 0.5)
    axes[-1, 0].set_xlabel('block')
    keys = [Patch(facecolor=_colour(i), edgecolor='0.2', label=n) for i, n in enumerate(names)]
    if any(level is not None for level in uniform):
        keys.append(Line2D([], [], color=UNIFORM, linestyle='--', label='uniform attention'))
    columns = max(1, min(len(keys), int(width // 1.8)))
    figure.legend(
        handles=keys, loc='outside upper center', ncols=columns, fontsize=9, frameon=False
    )
    return figure_png(figure, dpi=130)


def _draw_boxes(axis, blocks, index, count):
    """The boxes of one model, side by side with those of the others."""
    step = 0.84 / count
    places = [block + 1 + (index - (count - 1) / 2) * step for block in blocks]
    axis.boxplot(
        list(blocks.values()), positions=places, widths=0.8 * step, patch_artist=True,
        manage_ticks=False,
        boxprops=dict(facecolor=_colour(index), edgecolor='0.2', linewidth=0.8),
        medianprops=dict(color='black', linewidth=1.2),
        whiskerprops=dict(color='0.2', linewidth=0.8),
        capprops=dict(color='0.2', linewidth=0.8),
        flierprops=dict(marker='o', markersize=2.5, markeredgecolor=_colour(index)),
    )  # fmt: skip


def draw_maps(image, query, models, caption):
    """Maps of the attention from a patch, by model (rows) and block (columns), as PNG.

    Every map has its own scale; blocks that do not attend globally stay empty. ``image`` is RGB
    uint8 (H, W, 3), ``query`` (x, y) in pixels; ``models`` have :func:`~.attention.attention_maps`
    by name.
    """
    depth = 1 + max(block for maps, _ in models.values() for block in maps)
    size = (1.25 * (depth + 1), 1.3 * len(models) + 0.55)
    figure = Figure(figsize=size, layout='constrained')
    axes = figure.subplots(len(models), depth + 1, squeeze=False)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    for row, (name, (maps, cells)) in zip(axes, models.items(), strict=True):
        row[0].imshow(image)
        row[0].plot(*query, marker='+', color='white', markersize=11, markeredgewidth=3.2)
        row[0].plot(*query, marker='+', color='red', markersize=10, markeredgewidth=1.6)
        row[0].set_ylabel(_shortened(name, 20), fontsize=9)
        for block, axis in enumerate(row[1:]):
            if block in maps:
                extent = (0, image.shape[1], image.shape[0], 0)
                style = dict(cmap='magma', vmin=0, interpolation='nearest')
                axis.imshow(maps[block], extent=extent, **style)
                left, top, side = cells[block]
                frame = Rectangle((left, top), side, side, fill=False, ec='cyan', linewidth=1.3)
                axis.add_patch(frame)
            else:
                axis.text(0.5, 0.5, 'local', ha='center', va='center', color='0.5', fontsize=8)
                axis.set_aspect('equal')
                axis.set(xlim=(0, 1), ylim=(0, 1))
    axes[0, 0].set_title('image', fontsize=9)
    for block in range(depth):
        axes[0, block + 1].set_title(f'block {block + 1}', fontsize=9)
    figure.supxlabel(caption, fontsize=9)
    return figure_png(figure, dpi=130)


def _colour(index):
    return LINE_COLORS[index % len(LINE_COLORS)]


def _shortened(text, limit):
    """At most ``limit`` characters, the middle left out."""
    if len(text) <= limit:
        return text
    head = (limit - 1) // 2
    return f'{text[:head]}…{text[len(text) - (limit - 1 - head) :]}'
