"""Tables as text, for terminals and Markdown files."""

from rich import box
from rich.console import Console
from rich.table import Table

STYLES = {'plain': box.SIMPLE_HEAD, 'markdown': box.MARKDOWN}


def render_table(header, rows, style='plain', left=1):
    """Render a table as lines without trailing blanks.

    Args:
        header (Sequence[str]): Names of the columns.
        rows (Iterable[Sequence]): Cells, formatted by ``str``; None is an empty cell.
        style (str): ``'plain'`` or ``'markdown'``.
        left (int): Leading columns that are aligned left; the others are aligned right.
    """
    table = Table(box=STYLES[style], pad_edge=style == 'markdown')
    for index, name in enumerate(header):
        table.add_column(str(name), justify='left' if index < left else 'right', no_wrap=True)
    for row in rows:
        table.add_row(*('' if cell is None else str(cell) for cell in row))
    console = Console(width=10_000, color_system=None, markup=False, highlight=False, emoji=False)
    with console.capture() as captured:
        console.print(table)
    lines = [line.rstrip() for line in captured.get().splitlines()]
    return '\n'.join(line for line in lines if line)
