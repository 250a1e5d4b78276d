"""A changed file is refused if it has a checksum."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.readers.dispatch import read_product

SUMMED = (
    "spoc/tess2018206045859-s0001-0000000261136679-0120-s_lc.fits.gz",
    "tess-spoc/hlsp_tess-spoc_tess_phot_0000000188589164-s0024_tess_v1_lc.fits.gz",
    "kepler/kplr011446443-2009131105131_llc.fits.gz",
    "kepler/ktwo211117077-c04_llc.fits.gz",
)


def light_curve_hdus(content: bytes | bytearray) -> int:
    """Where the third HDU, the aperture's image, begins: nothing of it is read."""
    return content.index(b"XTENSION= 'IMAGE", 2880)


@pytest.mark.parametrize("name", SUMMED)
def test_any_flipped_bit_of_a_nasa_file_is_noticed(
    data_folder: Path, tmp_path: Path, name: str
) -> None:
    content = gzip.decompress((data_folder / name).read_bytes())
    random, file = np.random.default_rng(20261122), tmp_path / "flipped.fits"
    for at in random.integers(light_curve_hdus(content), size=12).tolist():
        flipped = bytearray(content)
        flipped[at] ^= 1 << int(random.integers(8))
        file.write_bytes(flipped)
        with pytest.raises(IngestError):
            read_product(file)


def test_a_change_of_the_fluxes_alone_is_reported_as_such(
    data_folder: Path, tmp_path: Path
) -> None:
    content = bytearray(gzip.decompress((data_folder / SUMMED[1]).read_bytes()))
    content[light_curve_hdus(content) - 20_000] ^= 1
    file = tmp_path / "changed.fits"
    file.write_bytes(content)
    with pytest.raises(IngestError, match=r"LIGHTCURVE does not match its CHECKSUM.*remove"):
        read_product(file)


@pytest.mark.parametrize("checksum", [True, "datasum"], ids=["both sums", "DATASUM alone"])
@pytest.mark.parametrize("changed", [False, True])
def test_the_sums_that_astropy_writes_are_understood(
    data_folder: Path, tmp_path: Path, checksum: bool | str, changed: bool
) -> None:
    file = tmp_path / "written.fits"
    with fits.open(data_folder / SUMMED[2]) as hdus:
        for hdu in hdus:
            hdu.header.pop("CHECKSUM", None)
        hdus.writeto(file, checksum=checksum)
    if not changed:
        assert len(read_product(file).curves) == 2
        return
    with fits.open(file) as hdus:
        at = hdus[1].fileinfo()["datLoc"] + 100
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)
    with pytest.raises(IngestError, match="CHECKSUM" if checksum is True else "DATASUM"):
        read_product(file)
