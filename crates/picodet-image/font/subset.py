"""Writes captions.ttf: the characters of European languages from Roboto Medium 2.138, without hinting.

Usage: python subset.py Roboto-Medium.ttf captions.ttf   (needs the package fonttools)
"""

import sys

from fontTools import subset
from fontTools.ttLib import TTFont

RANGES = [
    (0x20, 0x7E), (0xA0, 0xAC), (0xAE, 0x17F),  # Latin, Latin-1, Latin Extended-A
    (0x384, 0x38A), (0x38C, 0x38C), (0x38E, 0x3A1), (0x3A3, 0x3CE),  # Greek
    (0x401, 0x40F), (0x410, 0x44F), (0x451, 0x45F), (0x490, 0x491),  # Cyrillic
    (0x2010, 0x2010), (0x2013, 0x2014), (0x2018, 0x201A), (0x201C, 0x201E), (0x2022, 0x2022), (0x2026, 0x2026),
    (0x2039, 0x203A), (0x20AC, 0x20AC), (0x2116, 0x2116), (0x2122, 0x2122), (0x2212, 0x2212),
    (0x2260, 0x2260), (0x2264, 0x2265),
]


def share_equal_outlines(font):
    """Maps characters of equal outline and width, such as Latin and Cyrillic "c", to one glyph."""
    outlines, widths, first = font["glyf"], font["hmtx"], {}
    for table in font["cmap"].tables:
        for character, name in sorted(table.cmap.items()):
            key = (outlines[name].compile(outlines), widths[name])
            table.cmap[character] = first.setdefault(key, name)


source, target = sys.argv[1:]
options = subset.Options(
    layout_features=[], hinting=False, notdef_outline=True, name_IDs=[0, 4, 13], glyph_names=False,
)
options.drop_tables += ["GSUB", "GPOS", "GDEF", "kern", "hdmx", "VDMX", "LTSH", "gasp"]
font = TTFont(source)
for share in (False, True):
    if share:
        share_equal_outlines(font)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=[c for low, high in RANGES for c in range(low, high + 1)])
    subsetter.subset(font)
font.save(target)
