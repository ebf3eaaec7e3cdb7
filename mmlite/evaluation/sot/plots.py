"""Success and precision plots of several trackers."""

from mmlite.utils import figure_png
from mmlite.visualization import LINE_COLORS

TITLES = dict(
    lasot='LaSOT', lasot_ext='LaSOT-ext', got10k='GOT-10k', trackingnet='TrackingNet',
    otb100='OTB100', uav123='UAV123', nfs='NFS',
)  # fmt: skip
THRESHOLDS = dict(success='overlaps', precision='pixels', norm_precision='shares')
DASHES = ('-', '--', '-.', ':')


def draw_plots(dataset, evaluations):
    """Plot every curve that the protocol has a number for; legends have the best tracker first.

    Args:
        dataset (str): For the titles.
        evaluations (list[Evaluation]): Of one protocol, in the order of their colors.

    Returns:
        dict[str, bytes]: ``success.png`` and, if the protocol has them, ``precision.png`` and
        ``norm_precision.png``.
    """
    protocol = evaluations[0].protocol
    curves = {'success': ('Success', 'overlap threshold', protocol.columns[0], None)}
    if 'P' in protocol.columns:
        curves['precision'] = ('Precision', 'center error threshold (px)', 'P', 20)
        axis = 'normalized center error threshold'
        curves['norm_precision'] = ('Normalized precision', axis, 'P_norm', 0.2)
    dataset = TITLES.get(dataset, dataset)
    return {
        f'{curve}.png': _draw(f'{title} on {dataset}', label, column, curve, read_at, evaluations)
        for curve, (title, label, column, read_at) in curves.items()
    }


def _draw(title, xlabel, column, curve, read_at, evaluations):
    """PNG of one curve of every tracker; ``read_at`` is where its number is read off."""
    from matplotlib.figure import Figure  # slow to import

    protocol = evaluations[0].protocol
    thresholds = getattr(protocol, THRESHOLDS[curve])
    figure = Figure(figsize=(8, 4), layout='constrained')
    axis = figure.subplots()
    if read_at and not protocol.area:
        axis.axvline(read_at, color='0.5', linestyle=':', linewidth=1.5)
    numbers = [evaluation.numbers()[column] for evaluation in evaluations]
    for place in sorted(range(len(numbers)), key=lambda place: -numbers[place]):
        axis.plot(
            thresholds,
            getattr(evaluations[place].curves, curve),
            DASHES[place // len(LINE_COLORS) % len(DASHES)],
            color=LINE_COLORS[place % len(LINE_COLORS)],
            label=f'{numbers[place]:.1f}  {evaluations[place].tracker}',
            linewidth=2.2,
        )
    counts = {len(evaluation.scores) for evaluation in evaluations}
    sequences = f'{counts.pop()} sequences' if len(counts) == 1 else 'different sequences'
    axis.set(xlim=(thresholds[0], thresholds[-1]), ylim=(0, 1.01))
    axis.set_xlabel(xlabel, fontsize=12)
    axis.set_ylabel('success rate' if curve == 'success' else 'precision', fontsize=12)
    axis.set_title(f'{title} ({sequences})', fontsize=13)
    axis.tick_params(labelsize=11)
    axis.grid(alpha=0.3)
    figure.legend(
        loc='outside right center', title=f'{column} (%)', alignment='left', frameon=False,
        fontsize=11 if len(numbers) <= 12 else 8, title_fontsize=11,
    )  # fmt: skip
    return figure_png(figure)
