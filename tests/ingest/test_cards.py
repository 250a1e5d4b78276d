"""Header cards: read exactly as astropy reads them, or left to astropy."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from lcdb_notebook.ingest.readers.cards import Cards, parse_header
from lcdb_notebook.ingest.readers.dispatch import read_product
from lcdb_notebook.ingest.readers.hdus import primary_and_table
from lcdb_notebook.ingest.readers.headers import text, value

DATA = Path(os.environ.get("LCDB_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
FILES = sorted(DATA.rglob("*.fits.gz"))
QLP = "qlp/hlsp_qlp_tess_ffi_s0024-0000000188589164_tess_v01_llc.fits.gz"
pytestmark = pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyWarning")

# FITS Standard 4.0, section 4.
ORDINARY = [
    "KEY     = 'fixed   '           / a string",
    "KEY     =   'free, of odd characters: {}~' / a star's name, isn't it",
    "KEY     = 'a/b'/without spaces",
    "KEY     = ''                   / an empty string",
    "KEY     = '        '           / a blank string",
    "KEY     = ' leading'",
    "KEY     = '2020-01-01T00:00:00' / a date",
    "KEY     = 'ends with &'",
    "KEY     =                    T / a logical",
    "KEY     = F/ in free format",
    "KEY     =                  -42 / an integer",
    "KEY     =                 +007 / leading zeros",
    "KEY     = 12345678901234567890 / more than 64 bits",
    "KEY     =                   -0",
    "KEY     =               -1.5E3 / a float",
    "KEY     =                 .5D0 / double precision",
    "KEY     =                   5. / without decimals",
    "KEY     =               1E-400 / too small",
    "KEY     =                1D+05 / an exponent without a point",
    "KEY     =                1E400 / too large",
    "KEY     =                      / undefined",
    "KEY     =",
    "KEY     = /",
    "KEY     =                    1 /no space, then three   spaces   ",
    "KEY_1-2A=                    1 / all characters of a keyword",
    "1KEY    =                    1 / begins with a digit",
    "COMMENT = 'not a value'",
    "COMMENT a comment",
    "HISTORY",
    "        = 5 is a comment",
]
UNUSUAL = [
    "KEY     = 'it''s'              / a quote in a string",
    "KEY     = 'a '' / b'           / that astropy cuts",
    "KEY     = ''''                 / a string of one quote",
    "KEY     = ''                   / it's empty, astropy disagrees' ",
    "KEY     = (1.0, -2.0)          / complex",
    "KEY     =                1.5e3 / a lower-case exponent",
    "KEY     =                1.5d3 / a lower-case exponent",
    "KEY     =                1 000 / spaces within",
    "KEY     = - 5",
    "KEY     = 'not closed",
    "KEY     = 'closed' then more",
    "KEY     = NaN",
    "KEY     =5",
    "KEY     : 5",
    "KEY  = 5",
    "KEY = 'a= '",
    "END=   /= 5       D",
    " KEY    = 5",
    "K EY    = 5",
    "key     = 5",
    "KEY     = 5\t/ a tab",
    "KEY     = 'T\xe9te'",
    "COMMENT caf\xe9",
    "DP1     = 'AXIS.1: 2'          / a record-valued card",
    "HIERARCH ESO DET ID = 5        / a long keyword",
    "HIERARCH= 5",
    "CONTINUE  'of nothing'",
    "CONTINUE= 'of nothing'",
    "END     = 5",
    "END of it",
]
TWICE = "KEY     = 1 / first".ljust(80) + "KEY     = 2 / second"
LONG = "KEY     = 'a long &'  / one".ljust(80) + "CONTINUE  'string'   / two"


def block(*cards: str) -> bytes:
    """A header of SIMPLE and other cards, padded to whole blocks."""
    written = lines("SIMPLE  =                    T", *cards, "END")
    return written.ljust(-(-len(written) // 2880) * 2880).encode("latin1")


def lines(*cards: str) -> str:
    """Join cards, each of 80 bytes or several times as many."""
    return "".join(card.ljust(-(-len(card) // 80) * 80) for card in cards)


def contents(header: Any) -> dict[str, tuple[str, ...]]:
    """The type, value and comment of every card; str of the commentary."""
    return {
        key: (str(header[key]),)
        if key in ("", "COMMENT", "HISTORY")
        else (type(header[key]).__name__, repr(header[key]), header.comments[key])
        for key in header
    }


def differs(content: bytes) -> bool:
    """Whether a header is parsed, but not as astropy reads it."""
    found = parse_header(content, 0)
    if found is None:
        return False
    theirs = fits.Header.fromfile(io.BytesIO(content))
    return contents(found[0]) != contents(theirs) or found[1] != len(content)


@pytest.mark.skipif(not FILES, reason=f"no real light curves in {DATA} (LCDB_TEST_DATA)")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name[:60])
def test_real_headers_are_parsed_as_astropy_reads_them(path: Path) -> None:
    content = gzip.decompress(path.read_bytes())
    ours = primary_and_table(content)
    with fits.open(io.BytesIO(content)) as hdus:
        for mine, theirs in zip(ours, hdus, strict=False):
            place = theirs.fileinfo()
            end = place["datLoc"] + place["datSpan"]
            assert mine[1:] == (place["hdrLoc"], place["datLoc"], end)
            assert isinstance(mine.header, Cards)
            assert contents(mine.header) == contents(theirs.header)


@pytest.mark.parametrize("card", ORDINARY, ids=repr)
def test_an_ordinary_card_is_parsed_as_astropy_reads_it(card: str) -> None:
    found = parse_header(block(card), 0)
    assert found is not None
    assert contents(found[0]) == contents(fits.Header.fromfile(io.BytesIO(block(card))))


@pytest.mark.parametrize("card", [*UNUSUAL, TWICE, LONG], ids=repr)
def test_an_unusual_card_is_left_to_astropy(card: str) -> None:
    assert parse_header(block(card), 0) is None


def test_no_damaged_card_is_parsed_as_another_value_than_astropys() -> None:
    random = np.random.default_rng(20261130)
    odd = np.frombuffer(b" ''''==//&.:+-TFED0123456789(),aZ_\xe9\0\n\t~^", np.uint8)
    cards = [*ORDINARY, *UNUSUAL, *(card.strip() for card in ORDINARY if "= " in card)]
    wrong = []
    for _ in range(1500):
        content = bytearray(block(cards[random.integers(len(cards))]))
        for at in random.exponential(14, random.integers(1, 4)).astype(int):
            content[80 + min(at, 79)] = random.choice(odd)
        if differs(bytes(content)):
            wrong.append(bytes(content[80:160]))
    assert not wrong


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(block()[:2879], id="one byte of the padding is missing"),
        pytest.param(block().replace(b"END", b"   "), id="no END"),
        pytest.param(block("KEY     = 1")[:2000], id="truncated"),
        pytest.param(b" " + block()[:-1], id="cards at other columns"),
        pytest.param(block()[:-1] + b"\0", id="padded with zeros"),
    ],
)
def test_a_damaged_header_is_left_to_astropy(content: bytes) -> None:
    assert parse_header(content, 0) is None


@pytest.mark.parametrize(
    ("cards", "kept"),
    [
        pytest.param([TWICE], (1, "first"), id="the first of two"),
        pytest.param([LONG], ("a long string", "one two"), id="all lines of a string"),
        pytest.param(["KEY     = 'it''s' / odd"], ("it's", "odd"), id="a quote"),
        pytest.param(["KEY     = / empty"], (None, "empty"), id="no value"),
        pytest.param(["END", "KEY     = 5"], None, id="nothing after the end"),
    ],
)
def test_the_cards_of_a_file_are_kept_as_astropy_reads_them(
    data_folder: Path, tmp_path: Path, cards: list[str], kept: object
) -> None:
    content = gzip.decompress((data_folder / QLP).read_bytes())
    end = content.index(b"END".ljust(80))
    header = content[:end].decode() + lines(*cards, "END")
    path = tmp_path / "edited.fits"
    path.write_bytes(header.ljust(2880).encode() + content[2880:])
    edited, original = read_product(path).contents, read_product(data_folder / QLP).contents
    assert edited is not None
    assert original is not None
    assert edited.cards.get("KEY") == kept
    assert {key: card for key, card in edited.cards.items() if key != "KEY"} == original.cards


@pytest.mark.parametrize("of", [Cards, fits.Header])
def test_value_of_a_card_without_value_is_the_default(of: type) -> None:
    header = of()
    header["KEY"] = None
    assert (value(header, "KEY"), value(header, "KEY", 0), text(header, "KEY")) == (None, 0, "")
