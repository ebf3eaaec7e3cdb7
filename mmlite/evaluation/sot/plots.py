"""Success and precision plots of several trackers."""

import io

from mmlite.analysis.pictures import PALETTE, plt

#: Of the palette, what can be told from white and from each other as a line.
COLOURS = [PALETTE[i] for i in (4, 5, 2, 0, 6, 1, 7, 11)]
TITLES = dict(
    lasot='LaSOT', lasot_ext='LaSOT-ext', got10k='GOT-10k', trackingnet='TrackingNet',
    otb100='OTB100', uav123='UAV123', nfs='NFS',
)  # fmt: skip
DASHES = ('-', '--', '-.', ':')


def draw_plots(dataset, evaluations):
    """One picture for every curve that the protocol gives a number for.

    A legend names the trackers with the number of that plot, the best first.

    Args:
        dataset (str): For the titles.
        evaluations (list[Evaluation]): Of one protocol; a tracker has the same colour in all
            pictures, in the order given.

    Returns:
        dict[str, bytes]: ``success.png`` and, where the protocol has them, ``precision.png`` and
        ``norm_precision.png``.
    """
    protocol = evaluations[0].protocol
    dataset = TITLES.get(dataset, dataset)
    column = protocol.columns[0]
    axes = ('overlap threshold', 'success rate')
    pictures = {'success.png': _draw(f'Success on {dataset}', axes, column, 'success', evaluations)}
    if 'P' in protocol.columns:
        axes = ('centre error threshold (px)', 'precision')
        pictures['precision.png'] = _draw(
            f'Precision on {dataset}', axes, 'P', 'precision', evaluations
        )
        axes = ('normalised centre error threshold', 'precision')
        pictures['norm_precision.png'] = _draw(
            f'Normalised precision on {dataset}', axes, 'P_norm', 'norm_precision', evaluations
        )
    return pictures


def _draw(title, axes, column, curve, evaluations):
    """PNG of one curve of every tracker."""
    protocol = evaluations[0].protocol
    thresholds, read_at = {
        'success': (protocol.overlaps, None),
        'precision': (protocol.pixels, 20),
        'norm_precision': (protocol.shares, 0.2),
    }[curve]
    figure, axis = plt.subplots(figsize=(8, 4), layout='constrained')
    if read_at and not protocol.area:
        axis.axvline(read_at, color='0.5', linestyle=':', linewidth=1.5)
    numbers = [evaluation.numbers()[column] for evaluation in evaluations]
    for place in sorted(range(len(numbers)), key=lambda place: -numbers[place]):
        axis.plot(
            thresholds,
            getattr(evaluations[place].curves, curve),
            DASHES[place // len(COLOURS) % len(DASHES)],
            color=[value / 255 for value in COLOURS[place % len(COLOURS)]],
            label=f'{numbers[place]:.1f}  {evaluations[place].tracker}',
            linewidth=2.2,
        )
    counts = {len(evaluation.scores) for evaluation in evaluations}
    sequences = f'{counts.pop()} sequences' if len(counts) == 1 else 'different sequences'
    axis.set(xlim=(thresholds[0], thresholds[-1]), ylim=(0, 1.01))
    axis.set_xlabel(axes[0], fontsize=12)
    axis.set_ylabel(axes[1], fontsize=12)
    axis.set_title(f'{title} ({sequences})', fontsize=13)
    axis.tick_params(labelsize=11)
    axis.grid(alpha=0.3)
    figure.legend(
        loc='outside right center', title=f'{column} (%)', alignment='left', frameon=False,
        fontsize=11 if len(numbers) <= 12 else 8, title_fontsize=11,
    )  # fmt: skip
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=110)
    plt.close(figure)
    return buffer.getvalue()
