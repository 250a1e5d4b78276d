"""Add FITS images to the table of frames: only the headers, not the pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import ArgumentError, IngestError, LCDBError
from lcdb_notebook.errors.arguments import check_choice
from lcdb_notebook.ingest.frames.headers import CADENCE_CARDS, FrameFile, read_frame
from lcdb_notebook.ingest.frames.observations import cadence_references, tess_observations
from lcdb_notebook.ingest.readers.find_files import AnyPath, find_files
from lcdb_notebook.models import FITSFrame, NumpyArray, Observation

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["add_frames"]

_COLUMNS = ("path", "status", "frame", "type", "cadence", "observation", "reason")


@dataclass(eq=False)
class _Result:
    """The result for one file."""

    path: str
    file: FrameFile | None = None
    cadence: int | None = None
    observation: int | None = None
    frame: FITSFrame | None = None
    status: str = "added"
    reason: str = ""


def add_frames(
    connection: sa.Connection,
    paths: AnyPath | Iterable[AnyPath],
    *,
    observation: int | Observation | None = None,
    cadence: int | Sequence[int] | None = None,
    frame_class: type[FITSFrame] = FITSFrame,
    on_error: str = "raise",
) -> pd.DataFrame:
    """Add the headers of FITS images to the table of frames.

    Files that are already in the table change nothing.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        Connection in the caller's transaction; nothing is committed.
    paths : path-like or iterable of path-like
        Files, folders (searched recursively) and glob patterns.
    observation : int or Observation, optional
        The observation of the frames, or its id. By default it is found by the sector, camera and
        CCD in the headers (or the sector in MAST's file names). If there are several, the one with
        the frame's cadence is used.
    cadence : int or sequence of int, optional
        Cadence number, or one for each file, if the headers have none (FFIINDEX, CADENCE).
    frame_class : type, default FITSFrame
        Class of the frames. The cadences of a class are unique, so each CCD of a mission needs a
        separate class. Additional fields of the class are read from the header cards with the same
        names.
    on_error : {"raise", "skip"}, default "raise"
        "raise" raises the first error and adds nothing; "skip" adds the other files and puts the
        reason into the table.

    Returns
    -------
    pandas.DataFrame
        One row per file: ``path``, ``status`` ("added", "unchanged" or "skipped"), ``frame`` (its
        id), ``type``, ``cadence``, ``observation``, ``reason``.

    Raises
    ------
    IngestError
        If a file is not a FITS image, its cadence or observation is unknown, or another frame of
        that type has its cadence.
    ArgumentError
        If ``frame_class`` or ``on_error`` is invalid.

    Examples
    --------
    >>> db = getfixture("demo_database")
    >>> table = add_frames(db.session.connection(), "no/such/image.fits", on_error="skip")
    >>> table[["status", "reason"]].values.tolist()
    [['skipped', 'no such file or folder']]
    >>> db.session.rollback()
    """
    import pandas as pd

    check_choice("on_error", on_error, ("skip", "raise"))
    if not isinstance(sa.inspect(frame_class, raiseerr=False), orm.Mapper):
        raise ArgumentError(f"frame_class must be FITSFrame or a subclass, got {frame_class!r}")
    results = _read(paths, cadence)
    # Otherwise two writers could both add the same frame.
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('lcdb_notebook.frames'))"))
    with orm.Session(connection, expire_on_commit=False) as session:
        _find_observations(session, [f for f in results if not f.reason], observation)
        _compare(session, [f for f in results if not f.reason], frame_class)
        refused = next((result for result in results if result.reason), None)
        if refused is not None and on_error == "raise":
            raise IngestError(f"{refused.path}: {refused.reason}")
        session.add_all(f.frame for f in results if f.frame is not None and f.status == "added")
        session.flush()
        session.expunge_all()
    type_ = sa.inspect(frame_class).polymorphic_identity
    rows = [
        (
            result.path,
            "skipped" if result.reason else result.status,
            None if result.frame is None else result.frame.id,
            type_,
            *(result.cadence, result.observation, result.reason),
        )
        for result in results
    ]
    table = pd.DataFrame(rows, columns=list(_COLUMNS))
    # Integers, even if some are missing.
    return table.astype(dict.fromkeys(("frame", "cadence", "observation"), "Int64"))


def _read(paths: AnyPath | Iterable[AnyPath], cadence: int | Sequence[int] | None) -> list[_Result]:
    found = find_files(paths)
    results = [_Result(path, reason=reason) for path, reason in found.problems]
    given = _given_cadences(cadence, len(found.files))
    for path, number in zip(found.files, given, strict=True):
        result = _Result(str(path))
        results.append(result)
        try:
            result.file = read_frame(path)
            result.cadence = _cadence(result.file, number)
        except IngestError as error:
            result.reason = str(error).removeprefix(f"{path}: ")
    return results


def _given_cadences(cadence: int | Sequence[int] | None, files: int) -> list[int | None]:
    if cadence is None:
        return [None] * files
    several = np.atleast_1d(np.asarray(cadence))
    if several.ndim != 1 or several.dtype.kind not in "iu" or (several < 0).any():
        raise IngestError(f"cadence must be one or several non-negative integers, got {cadence!r}")
    if several.size != files:
        raise IngestError(
            f"cadence must have one number for each file, got {several.size} for {files} files"
        )
    return [int(number) for number in several]


def _cadence(file: FrameFile, given: int | None) -> int:
    if file.cadence is None and given is None:
        raise IngestError(
            f"the headers have no cadence number ({', '.join(CADENCE_CARDS)}); pass cadence="
        )
    if None not in (file.cadence, given) and file.cadence != given:
        raise IngestError(f"cadence={given} contradicts the header, which has {file.cadence}")
    number = given if file.cadence is None else file.cadence
    assert number is not None
    return number


def _find_observations(
    session: orm.Session, results: Sequence[_Result], given: int | Observation | None
) -> None:
    if given is not None:
        # None for an Observation that has not been stored.
        id_: int | None = given.id if isinstance(given, Observation) else given
        if id_ is None or session.scalar(sa.select(Observation.id).filter_by(id=id_)) is None:
            raise IngestError(f"no observation {id_}; db.observations() lists them")
        for result in results:
            result.observation = int(id_)
        return
    candidates = tess_observations(
        session, {r.file.place for r in results if r.file and r.file.place}
    )
    doubtful = [id_ for ids in candidates.values() if len(ids) > 1 for id_ in ids]
    references = cadence_references(session, doubtful)
    for result in results:
        assert result.file is not None
        place = result.file.place
        if place is None:
            result.reason = (
                "the headers do not identify the observation (TELESCOP TESS, SECTOR, CAMERA, CCD); "
                "pass observation="
            )
            continue
        ids = candidates.get(place, [])
        if len(ids) > 1:
            ids = [id_ for id_ in ids if (references[id_] == result.cadence).any()] or ids
        if len(ids) == 1:
            result.observation = ids[0]
            continue
        sector, camera, ccd = place
        where = f"sector {sector}, camera {camera}, CCD {ccd}"
        result.reason = (
            f"{where} has observations {', '.join(map(str, ids))}; pass observation="
            if ids
            else f"no observation of {where}; pass observation="
        )


def _compare(
    session: orm.Session, results: Sequence[_Result], frame_class: type[FITSFrame]
) -> None:
    """Build the new frames, and find those that are already stored."""
    type_ = sa.inspect(frame_class).polymorphic_identity
    results = [result for result in results if not result.reason]
    numbers = sorted({result.cadence for result in results if result.cadence is not None})
    has_cadence = FITSFrame.cadence == sa.any_(sa.literal(numbers, NumpyArray("int64")))
    stored = session.scalars(sa.select(FITSFrame).where(FITSFrame.type == type_, has_cadence))
    taken = {frame.cadence: frame for frame in stored}
    for result in results:
        assert result.file is not None
        assert result.cadence is not None
        existing = taken.get(result.cadence)
        if existing is not None:
            result.status = "unchanged"
            result.frame = existing
            differing = _differing(existing, result)
            if differing:
                result.frame = None
                result.reason = (
                    f"frame {f'{existing.id} ' if existing.id else ''}({existing.file_path}) of "
                    f"type {type_!r} already has cadence {result.cadence}, with another "
                    f"{' and '.join(differing)}; pass another frame_class="
                )
            continue
        try:
            further = _further_fields(frame_class, result.file)
        except LCDBError as error:
            result.reason = str(error)
            continue
        result.frame = taken[result.cadence] = frame_class(
            cadence=result.cadence,
            observation_id=result.observation,
            file_path=result.file.path,
            **{
                **result.file.columns,
                "naxis_values": np.array(result.file.columns["naxis_values"]),
            },
            **further,
        )


def _differing(existing: FITSFrame, result: _Result) -> list[str]:
    assert result.file is not None
    differing = []
    if existing.file_path is None or existing.file_path.resolve() != result.file.path.resolve():
        differing.append("file")
    if existing.observation_id != result.observation:
        differing.append("observation")
    columns = result.file.columns
    return differing + [n for n in columns if not np.array_equal(getattr(existing, n), columns[n])]


def _further_fields(frame_class: type[FITSFrame], file: FrameFile) -> dict[str, Any]:
    """Read the additional fields of a class from the cards with the same names."""
    own = set(sa.inspect(FITSFrame).column_attrs.keys())
    fields = {}
    for name in sa.inspect(frame_class).column_attrs.keys():  # noqa: SIM118
        if name in own:
            continue
        found = file.card(name.upper())
        if found is not None:
            fields[name] = found
        elif name in frame_class.__required__:
            raise IngestError(
                f"{frame_class.__name__} requires {name}, but no header has a card {name.upper()}"
            )
    return fields
