#!/usr/bin/env python3
"""Writes src/model/svg/advances.txt: what each character may take of a line, in the broadest of many fonts.

    pip install fonttools uharfbuzz
    scripts/advances.py FOLDER > src/model/svg/advances.txt

FOLDER holds the files of Debian's packages fonts-dejavu-core, fonts-liberation, fonts-noto-core, fonts-noto-cjk,
fonts-roboto-unhinted, fonts-open-sans, fonts-lato, fonts-cantarell, fonts-freefont-ttf, fonts-urw-base35,
fonts-droid-fallback, fonts-wqy-zenhei, fonts-ipafont-gothic, fonts-lohit-*, fonts-sil-padauk, fonts-sil-abyssinica,
fonts-sil-scheherazade, fonts-khmeros, fonts-lao, fonts-lklug-sinhala, fonts-farsiweb and fonts-tlwg-garuda-ttf.
"""

import math
import pathlib
import sys
import unicodedata

import uharfbuzz as hb
from fontTools.ttLib import TTCollection, TTFont

# Latin, Greek, Cyrillic and symbols are in nearly every font, and are taken from those that people have for text. That
# of Japan has Greek and Cyrillic letters as broad as its own.
COMMON = """DejaVuSans DejaVuSerif LiberationSans-Regular LiberationSerif-Regular NotoSans-Regular NotoSerif-Regular
NotoSansCJK-Regular NotoSerifCJK-Regular Roboto-Regular OpenSans-Regular Lato-Regular Cantarell-Regular FreeSans FreeSerif
NimbusSans-Regular NimbusRoman-Regular wqy-zenhei DroidSansFallbackFull ipagp""".split()
# Not for the text of a page.
LEFT_OUT = """mono bold italic oblique -light -black -thin medium heavy hairline condensed narrow semib extra display math
nastaliq music signwriting duployan coloremoji khmerosmet khmerosfast khmerosfree khmerosmuol khmerosbokor kufi""".split()
# Verdana, of which there is no package, is broader here.
VERDANA = {"%": 1.08, "*": 0.64, "`": 0.64}

# What the table has; the rest is told by its range, in text_room.rs.
RANGES = [(0x0, 0x2FFF), (0xA4C0, 0xABFF), (0xFB00, 0xFFFF)]
ROW = 64
# Values of letters, in twentieths of the font size.
LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# What is broader than the last letter can tell, such as ligatures of whole sentences.
BROADER = "~"
# A character that no font has: a box stands for it.
UNKNOWN = 1.0
# Arabic prefixes that enclose digits, the only format characters that are seen.
SEEN_FORMATS = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x8E2}


def is_common(code):
    return code < 0x530 or 0x1E00 <= code < 0x2800 or 0x2900 <= code < 0x2C00


def is_joined(code):
    """Letters whose form depends on their neighbours."""
    return 0x600 <= code < 0x900 or 0x1800 <= code < 0x18B0


def keeps_marks(code):
    """Scripts in which nonspacing marks may take room all the same."""
    return 0x900 <= code < 0xE00 or 0x1780 <= code < 0x1800


def broadest_form(path, char):
    face = hb.Face(hb.Blob.from_file_path(str(path)))
    forms = []
    for text in (char, "\u200d" + char, char + "\u200d", "\u200d" + char + "\u200d"):
        buffer = hb.Buffer()
        buffer.add_str(text)
        buffer.guess_segment_properties()
        hb.shape(hb.Font(face), buffer, {})
        forms.append(sum(place.x_advance for place in buffer.glyph_positions) / face.upem)
    return max(forms)


def main(folder):
    wanted = [code for first, last in RANGES for code in range(first, last + 1)]
    advances = {}
    for path in sorted(pathlib.Path(folder).rglob("*")):
        if path.suffix not in (".ttf", ".otf", ".ttc") or any(word in path.name.lower() for word in LEFT_OUT):
            continue
        font = TTCollection(path).fonts[0] if path.suffix == ".ttc" else TTFont(path)
        letters, metrics, em = font.getBestCmap() or {}, font["hmtx"], font["head"].unitsPerEm
        for code in wanted:
            if code not in letters or is_common(code) and path.stem not in COMMON:
                continue
            advance = metrics[letters[code]][0] / em
            if is_joined(code):
                advance = max(advance, broadest_form(path, chr(code)))
            advances[code] = max(advances.get(code, 0), advance)
    for char, advance in VERDANA.items():
        advances[ord(char)] = max(advances[ord(char)], advance)

    for first, last in RANGES:
        for row in range(first, last + 1, ROW):
            print(f"{row:04X} " + "".join(letter(code, advances) for code in range(row, row + ROW)))


def letter(code, advances):
    category = unicodedata.category(chr(code))
    advance = advances.get(code, UNKNOWN)
    if category in ("Mn", "Me") and not keeps_marks(code) or category == "Cf" and code not in SEEN_FORMATS:
        advance = 0
    if code < 0x20:
        # XML knows only these of them, and white space is a space.
        advance = advances[0x20] if chr(code) in "\t\n\r" else 0
    twentieths = math.ceil(advance * 20 - 1e-6)
    return LETTERS[twentieths] if twentieths < len(LETTERS) else BROADER


if __name__ == "__main__":
    main(*sys.argv[1:])
