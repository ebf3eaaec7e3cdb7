"""Colors that stay distinct under the common color deficiencies."""

import colorsys

PALETTE = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0),
    (204, 121, 167), (128, 128, 255), (160, 210, 80), (255, 128, 128), (100, 220, 220),
    (190, 140, 90),
)  # fmt: skip
"""Colors of classes, RGB in 0 to 255."""

LINE_COLORS = tuple(
    tuple(channel / 255 for channel in PALETTE[index]) for index in (4, 5, 2, 6, 0, 1, 7, 11)
)
"""Those that stand out from white as a line, RGB in 0 to 1 for matplotlib, most distinct first."""


def class_colors(count, palette=None):
    """RGB colors, 0 to 255, of ``count`` classes: of ``palette``, then evenly spread hues."""
    colors = [tuple(int(channel) for channel in color) for color in palette or PALETTE][:count]
    missing = count - len(colors)
    for number in range(missing):
        rgb = colorsys.hsv_to_rgb(number / missing, 0.75, (1.0, 0.75)[number % 2])
        colors.append(tuple(int(255 * channel) for channel in rgb))
    return colors
