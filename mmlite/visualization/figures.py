"""Line plots as PNG."""

from mmlite.utils import figure_png

from .palette import LINE_COLORS


def draw_curves(panels, xlabel='iteration'):
    """Draw line plots side by side, each over its legend, as PNG.

    Args:
        panels (dict[str, dict[str, tuple[list, list]]]): Title -> curve name -> (x, y).
        xlabel (str): Label of the horizontal axes. Defaults to ``'iteration'``.
    """
    from matplotlib.figure import Figure  # slow to import

    figure = Figure(figsize=(5.2 * len(panels), 3.6), layout='constrained')
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (title, curves) in zip(axes, panels.items(), strict=True):
        axis.set_prop_cycle(color=LINE_COLORS)
        for name, (x, y) in curves.items():
            axis.plot(x, y, label=name[-70:], linewidth=1.4, marker='o' if len(x) < 12 else None)
        axis.set(title=title, xlabel=xlabel)
        axis.grid(alpha=0.3)
        if len(curves) > 1:  # below the axes: it would hide curves
            longest = max(map(len, curves))
            place = dict(loc='upper center', bbox_to_anchor=(0.5, -0.18), frameon=False)
            axis.legend(fontsize=8, ncols=max(1, min(3, len(curves), 60 // longest)), **place)
    return figure_png(figure)
