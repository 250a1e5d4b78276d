"""FITS images: headers into the table of frames, and files opened again from there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from astropy.io import fits
from sqlalchemy import orm

import lcdb_notebook as lcdb
from lcdb_notebook.errors import (
    ConfigurationError,
    FrameNotFoundError,
    IngestError,
    LCDBError,
    ReadOnlyError,
)
from lcdb_notebook.ingest import add_frames
from lcdb_notebook.models import FITSFrame, Instrument, Observation, TESSObservation

PIXELS = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.fixture
def connection(engine: sa.Engine) -> Iterator[sa.Connection]:
    with engine.connect() as connection, connection.begin() as transaction:
        yield connection
        transaction.rollback()


@pytest.fixture
def observation(connection: sa.Connection) -> int:
    return observe(connection)


def observe(
    connection: sa.Connection, sector: int = 1, camera: int = 2, ccd: int = 3, first: int = 100
) -> int:
    """Make an observation of three cadences and give its id."""
    with orm.Session(connection) as session:
        tess = Instrument(name="TESS")
        part = Instrument(name=f"CCD {ccd}", parent=Instrument(name=f"Camera {camera}"))
        made = TESSObservation(
            sector=sector, cadence_reference=np.arange(first, first + 3), instrument=part
        )
        assert part.parent is not None
        part.parent.parent = tess
        session.add(made)
        session.flush()
        return made.id


def ffi(path: Path, cadence: int = 100, **cards: Any) -> Path:
    """Write a full-frame image as SPOC does: an empty primary HDU, then the image."""
    header_cards = {"TELESCOP": "TESS", "FFIINDEX": cadence, "SECTOR": 1} | cards
    primary, image = fits.PrimaryHDU(), fits.ImageHDU(PIXELS)
    for key, value in header_cards.items():
        if value is not None:
            primary.header[key] = value
    image.header["CAMERA"], image.header["CCD"] = 2, 3
    fits.HDUList([primary, image]).writeto(path)
    return path


def stored(connection: sa.Connection) -> list[FITSFrame]:
    with orm.Session(connection) as session:
        return list(session.scalars(sa.select(FITSFrame).order_by(FITSFrame.cadence)))


def test_an_image_is_described_by_its_headers(
    connection: sa.Connection, observation: int, tmp_path: Path
) -> None:
    table = add_frames(connection, ffi(tmp_path / "a.fits"))
    (frame,) = stored(connection)
    assert table.to_dict("records") == [
        {
            "path": str(tmp_path / "a.fits"),
            "status": "added",
            "frame": frame.id,
            "type": "basefits",
            "cadence": 100,
            "observation": observation,
            "reason": "",
        }
    ]
    assert (frame.simple, frame.extended, frame.bitpix, frame.naxis) == (True, True, -32, 2)
    assert list(frame.naxis_values) == [4, 3]
    assert (frame.bscale, frame.bzero) == (1, 0)
    assert frame.observation_id == observation
    assert frame.file_path == tmp_path / "a.fits"


def primary_image(path: Path) -> None:
    fits.PrimaryHDU(PIXELS).writeto(path)


def compressed_image(path: Path) -> None:
    image = fits.CompImageHDU(PIXELS.astype(np.int16), compression_type="RICE_1")
    fits.HDUList([fits.PrimaryHDU(), image]).writeto(path)


def scaled_image(path: Path) -> None:
    image = fits.PrimaryHDU(PIXELS)
    image.scale("int16", bscale=0.5, bzero=7)
    image.writeto(path)


def unsigned_image(path: Path) -> None:
    fits.PrimaryHDU(PIXELS.astype(np.uint16)).writeto(path)


def cube(path: Path) -> None:
    fits.PrimaryHDU(np.zeros((2, 3, 4))).writeto(path)


@pytest.mark.parametrize(
    ("write", "bitpix", "axes", "bscale", "bzero"),
    [
        (primary_image, -32, [4, 3], 1, 0),
        (compressed_image, 16, [4, 3], 1, 0),
        (scaled_image, 16, [4, 3], 0.5, 7),
        (unsigned_image, 16, [4, 3], 1, 32768),
        (cube, -64, [4, 3, 2], 1, 0),
    ],
)
@pytest.mark.parametrize("ending", [".fits", ".fits.gz"])
def test_every_kind_of_image_is_read_with_its_metadata(
    connection: sa.Connection,
    observation: int,
    tmp_path: Path,
    write: Callable[[Path], None],
    bitpix: int,
    axes: list[int],
    bscale: float,
    bzero: float,
    ending: str,
) -> None:
    write(tmp_path / f"image{ending}")
    add_frames(connection, tmp_path, observation=observation, cadence=5)
    (frame,) = stored(connection)
    assert (frame.bitpix, list(frame.naxis_values)) == (bitpix, axes)
    assert (frame.naxis, frame.bscale, frame.bzero) == (len(axes), bscale, bzero)
    with frame.open() as hdus:
        pixels = next(hdu.data for hdu in hdus if hdu.data is not None)
    assert pixels.shape == tuple(reversed(axes))


def test_the_same_file_twice_changes_nothing(
    connection: sa.Connection, observation: int, tmp_path: Path
) -> None:
    path = ffi(tmp_path / "a.fits")
    first = add_frames(connection, path)
    (tmp_path / "link.fits").symlink_to(path)
    for again in (path, tmp_path / "link.fits", tmp_path):
        table = add_frames(connection, again, observation=observation)
        assert table["status"].tolist() == ["unchanged"]
        assert table["frame"].tolist() == first["frame"].tolist()
    assert len(stored(connection)) == 1


@pytest.mark.usefixtures("observation")
def test_two_frames_of_a_type_cannot_share_a_cadence(
    connection: sa.Connection, tmp_path: Path
) -> None:
    add_frames(connection, ffi(tmp_path / "a.fits"))
    other = ffi(tmp_path / "b.fits")
    with pytest.raises(
        IngestError, match=r"b\.fits: .*a\.fits.*already has cadence 100, with another file"
    ):
        add_frames(connection, other)
    both = [ffi(tmp_path / "c.fits", 101), ffi(tmp_path / "d.fits", 101)]
    with pytest.raises(IngestError, match=r"d\.fits: .*c\.fits.*already has cadence 101"):
        add_frames(connection, both)
    assert len(stored(connection)) == 1


@pytest.mark.usefixtures("observation")
def test_a_file_that_was_rewritten_is_noticed(connection: sa.Connection, tmp_path: Path) -> None:
    path = ffi(tmp_path / "a.fits")
    add_frames(connection, path)
    path.unlink()
    fits.PrimaryHDU(np.zeros((2, 2)), fits.Header({"FFIINDEX": 100})).writeto(path)
    other = observe(connection, sector=2)
    with pytest.raises(
        IngestError, match="another observation and bitpix and naxis_values and extended"
    ):
        add_frames(connection, path, observation=other)


@pytest.mark.usefixtures("observation")
def test_bad_files_are_skipped_with_on_error_skip(
    connection: sa.Connection, tmp_path: Path
) -> None:
    (tmp_path / "b.fits").write_text("no FITS")
    files = [ffi(tmp_path / "a.fits"), tmp_path / "b.fits", tmp_path / "none.fits"]
    table = add_frames(connection, files, on_error="skip").set_index("path")
    assert table.loc[str(files[0]), "status"] == "added"
    assert table.loc[[str(f) for f in files[1:]], "status"].tolist() == ["skipped", "skipped"]
    assert "not a FITS file" in str(table.loc[str(files[1]), "reason"])
    assert "no such file" in str(table.loc[str(files[2]), "reason"])
    assert len(stored(connection)) == 1


@pytest.mark.usefixtures("observation")
def test_one_bad_file_keeps_all_out(connection: sa.Connection, tmp_path: Path) -> None:
    files = [ffi(tmp_path / "a.fits"), ffi(tmp_path / "b.fits", FFIINDEX=None)]
    with pytest.raises(IngestError, match=r"b\.fits: the headers have no cadence number"):
        add_frames(connection, files)
    assert stored(connection) == []


# Cadences


def test_a_cadence_is_accepted_for_headers_without_one(
    connection: sa.Connection, observation: int, tmp_path: Path
) -> None:
    files = [ffi(tmp_path / f"{name}.fits", FFIINDEX=None) for name in "ab"]
    add_frames(connection, files, cadence=[7, 2**40])
    assert [frame.cadence for frame in stored(connection)] == [7, 2**40]
    assert {frame.observation_id for frame in stored(connection)} == {observation}


@pytest.mark.usefixtures("observation")
def test_the_cadence_card_of_tica_is_read(connection: sa.Connection, tmp_path: Path) -> None:
    add_frames(connection, ffi(tmp_path / "a.fits", FFIINDEX=None, CADENCE=102))
    assert stored(connection)[0].cadence == 102


@pytest.mark.usefixtures("observation")
@pytest.mark.parametrize(
    ("cards", "given", "complaint"),
    [
        ({"FFIINDEX": None}, None, r"no cadence number \(FFIINDEX, CADENCE\); pass cadence="),
        ({}, 7, "cadence=7 contradicts the header, which has 100"),
        ({"FFIINDEX": -1}, None, "FFIINDEX must be .* got -1"),
        ({"FFIINDEX": 1.5}, None, "FFIINDEX must be .* got 1.5"),
        ({}, [1, 2], "got 2 for 1 files"),
        ({}, -1, "must be one or several non-negative integers"),
        ({}, "seven", "must be one or several non-negative integers"),
    ],
)
def test_an_invalid_cadence_is_refused(
    connection: sa.Connection,
    tmp_path: Path,
    cards: dict[str, Any],
    given: Any,
    complaint: str,
) -> None:
    path = ffi(tmp_path / "a.fits", **cards)
    with pytest.raises(IngestError, match=complaint):
        add_frames(connection, path, cadence=given)


# Observations


def test_an_observation_is_accepted_as_argument(
    connection: sa.Connection, observation: int, tmp_path: Path
) -> None:
    other = observe(connection, sector=9)
    with orm.Session(connection) as session:
        add_frames(connection, ffi(tmp_path / "a.fits"), observation=other)
        given = session.get(Observation, observation)
        add_frames(connection, ffi(tmp_path / "b.fits", 101), observation=given)
    assert [frame.observation_id for frame in stored(connection)] == [other, observation]


@pytest.mark.usefixtures("observation")
def test_the_sector_is_read_from_the_file_name(connection: sa.Connection, tmp_path: Path) -> None:
    path = tmp_path / "tess2018206192942-s0001-2-3-0120-s_ffic.fits"
    add_frames(connection, ffi(path, SECTOR=None))
    assert len(stored(connection)) == 1


def test_the_observation_with_the_cadence_is_chosen(
    connection: sa.Connection, observation: int, tmp_path: Path
) -> None:
    later = observe(connection, first=200)
    add_frames(connection, [ffi(tmp_path / "a.fits", 101), ffi(tmp_path / "b.fits", 201)])
    assert [frame.observation_id for frame in stored(connection)] == [observation, later]
    with pytest.raises(IngestError, match=f"sector 1, .*observations {observation}, {later}; pass"):
        add_frames(connection, ffi(tmp_path / "c.fits", 300))


@pytest.mark.usefixtures("observation")
@pytest.mark.parametrize(
    ("cards", "given", "complaint"),
    [
        ({"SECTOR": 2}, None, "no observation of sector 2, camera 2, CCD 3; pass observation="),
        ({"SECTOR": None}, None, "do not identify the observation"),
        ({"TELESCOP": "HST"}, None, "do not identify the observation"),
        ({}, 2**30, f"no observation {2**30}"),
        ({}, Observation(), "no observation None"),
    ],
)
def test_a_missing_observation_is_reported(
    connection: sa.Connection, tmp_path: Path, cards: dict[str, Any], given: Any, complaint: str
) -> None:
    with pytest.raises(IngestError, match=complaint):
        add_frames(connection, ffi(tmp_path / "a.fits", **cards), observation=given)


# Files that are not images


def test_a_table_is_not_read_as_an_image(
    connection: sa.Connection, observation: int, tmp_path: Path
) -> None:
    column = fits.Column(name="TIME", format="D", array=np.arange(3.0))
    path = tmp_path / "lc.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns([column])]).writeto(path)
    with pytest.raises(IngestError, match="a table, not an image"):
        add_frames(connection, path, observation=observation, cadence=1)


def test_an_empty_file_is_not_read_as_an_image(
    connection: sa.Connection, observation: int, tmp_path: Path
) -> None:
    fits.PrimaryHDU().writeto(tmp_path / "empty.fits")
    with pytest.raises(IngestError, match="no HDU has data"):
        add_frames(connection, tmp_path, observation=observation, cadence=1)


@pytest.mark.usefixtures("connection")
@pytest.mark.parametrize("wrong", [{"on_error": "ignore"}, {"frame_class": int}])
def test_arguments_that_make_no_sense_are_refused(
    connection: sa.Connection, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError):
        add_frames(connection, tmp_path, **wrong)


# Opening


@pytest.mark.usefixtures("observation")
def test_a_frame_opens_its_file(connection: sa.Connection, tmp_path: Path) -> None:
    add_frames(connection, ffi(tmp_path / "a.fits"))
    (frame,) = stored(connection)
    with frame.open(memmap=False) as hdus:
        assert np.array_equal(hdus[1].data, PIXELS)


@pytest.mark.parametrize("kind", [LCDBError, LookupError, FileNotFoundError])
def test_a_file_that_is_gone_is_named(tmp_path: Path, kind: type[Exception]) -> None:
    path = tmp_path / "gone.fits"
    frame = FITSFrame(id=4, type="basefits", cadence=7, file_path=path)
    with pytest.raises(kind, match=f"frame 4 .*cadence 7.* does not exist: {path}") as caught:
        frame.open()
    assert isinstance(caught.value, FrameNotFoundError)


def test_a_frame_without_a_file_is_reported() -> None:
    with pytest.raises(FrameNotFoundError, match="no file path for frame 4"):
        FITSFrame(id=4, type="basefits", cadence=7).open()


# Through the front door


def test_frames_are_stored_and_listed(empty_dsn: str, tmp_path: Path) -> None:
    folder = tmp_path / "ffi"
    folder.mkdir()
    for number in (102, 100, 101):
        ffi(folder / f"{number}.fits", number)
    with lcdb.connect(empty_dsn, write=True) as db:
        observation = observe(db.session.connection())
        db.session.commit()
        assert db.add_frames(folder)["status"].tolist() == ["added"] * 3
        listed = db.frames(observation)
        assert listed["cadence"].tolist() == [100, 101, 102]
        assert listed["file_path"].tolist()[0] == folder / "100.fits"
    with lcdb.connect(empty_dsn) as db, pytest.raises(ReadOnlyError, match="add_frames"):
        db.add_frames(folder)
