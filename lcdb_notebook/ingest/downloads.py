"""Download the files of search results and addresses into lightkurve's cache."""

from __future__ import annotations

import contextlib
import shutil
import urllib.parse
import urllib.request
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.readers.find_files import AnyPath
from lcdb_notebook.ingest.readers.pipelines import PIPELINES
from lcdb_notebook.ingest.readers.table import open_table

__all__ = ["Download", "downloads", "fetch"]

_TIMEOUT = 60.0
_ATTEMPTS = 2

# lightkurve's names of products that are not light curves (lightkurve.search).
_NO_LIGHT_CURVES = ("FFI Cutout", "Target pixel")


@dataclass(frozen=True)
class Download:
    """A file to download.

    Parameters
    ----------
    label
        Its address, for messages.
    path
        Its place in the cache.
    get
        Write the file to a path.
    problem
        The reason why it is not downloaded; "" if there is none.
    """

    label: str
    path: Path
    get: Callable[[Path], None]
    problem: str = ""


def downloads(paths: Any) -> tuple[list[Download], list[AnyPath]]:
    """Separate what is downloaded from local paths.

    Parameters
    ----------
    paths : lightkurve.SearchResult, str, path-like or iterable of these
        Search results, addresses that begin with ``https://``, ``http://`` or ``mast:``, and files.
    """
    if _is_search_result(paths):
        return [*_of_search_result(paths)], []
    single = isinstance(paths, str | Path) or not isinstance(paths, Iterable)
    found: list[Download] = []
    local: list[Any] = []
    for one in [paths] if single else paths:
        if _is_search_result(one):
            found += _of_search_result(one)
        elif isinstance(one, str) and one.lower().startswith(("https://", "http://")):
            found.append(_of_address(one))
        elif isinstance(one, str) and one.lower().startswith("mast:"):
            found.append(_of_archive(one))
        else:
            local.append(one)
    return found, local


def fetch(download: Download) -> Path:
    """Return the path of a file, which is downloaded unless it is in the cache.

    A file in the cache that is damaged is downloaded once more, and so is one of which only a part
    arrived.

    Raises
    ------
    IngestError
        If the file cannot be downloaded, or is damaged after the second attempt.
    """
    if download.problem:
        raise IngestError(download.problem)
    if download.path.exists():
        with contextlib.suppress(IngestError):
            _check(download.path)
            return download.path
    download.path.parent.mkdir(parents=True, exist_ok=True)
    partial = download.path.with_name(f"partial-{download.path.name}")
    problem: Exception | None = None
    for _ in range(_ATTEMPTS):
        partial.unlink(missing_ok=True)
        try:
            download.get(partial)
            _check(partial)
        # Network libraries raise many kinds of errors.
        except Exception as error:
            problem = error
        else:
            partial.replace(download.path)
            return download.path
    partial.unlink(missing_ok=True)
    raise IngestError(f"cannot be downloaded ({problem})") from problem


def _check(path: Path) -> None:
    """Raise IngestError if a FITS file is damaged; others are checked by their readers."""
    from astropy.utils.exceptions import AstropyWarning

    if not path.name.lower().removesuffix(".gz").endswith((".fits", ".fit")):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        try:
            table = open_table(path)
            if not any(
                p.copied_cards and p.recognizes(table.primary, table.header) for p in PIPELINES
            ):
                table.check_sums()
        except IngestError:
            raise
        except Exception as error:
            raise IngestError(f"the file is damaged ({error})") from error


def _is_search_result(value: Any) -> bool:
    # Without importing lightkurve, which takes seconds.
    return any(
        cls.__name__ == "SearchResult" and cls.__module__.startswith("lightkurve")
        for cls in type(value).__mro__
    )


def _of_search_result(result: Any) -> Iterator[Download]:
    """List the files of a SearchResult, at the paths that lightkurve uses."""
    folder = Path(result._default_download_dir()) / "mastDownload"
    for row in result.table:
        name = str(row["productFilename"])
        uri = str(row["dataURI"]) if "dataURI" in row.colnames else str(row["dataURL"])
        described = str(row["description"])
        kind = next((kind for kind in _NO_LIGHT_CURVES if kind in described), None)
        yield Download(
            uri if kind is None else f"{row['target_name']}, {described}",
            folder / str(row["obs_collection"]) / str(row["obs_id"]) / name,
            _from_archive(uri),
            "" if kind is None else "not a light curve; use lightkurve.search_lightcurve()",
        )


def _of_archive(uri: str) -> Download:
    place = uri.partition(":")[2]
    folder, _, name = place.rpartition("/")
    return Download(uri, _cache() / "mastDownload" / folder / name, _from_archive(uri))


def _of_address(address: str) -> Download:
    parts = urllib.parse.urlsplit(address)
    query = urllib.parse.parse_qs(parts.query)
    # MAST's addresses end in ?uri=mast:TESS/product/..._lc.fits.
    place = query["uri"][0].partition(":")[2] if "uri" in query else parts.path.lstrip("/")
    path = _cache() / "downloads" / (parts.hostname or "unknown") / _safe(place)

    def get(target: Path) -> None:
        with urllib.request.urlopen(address, timeout=_TIMEOUT) as answer:
            with target.open("wb") as file:
                shutil.copyfileobj(answer, file)
            expected = answer.headers.get("Content-Length")
        if expected is not None and target.stat().st_size != int(expected):
            raise IngestError(f"received {target.stat().st_size} of {expected} bytes")

    return Download(address, path, get)


def _safe(place: str) -> str:
    return "/".join(part for part in place.split("/") if part not in ("", ".", ".."))


def _from_archive(uri: str) -> Callable[[Path], None]:
    def get(target: Path) -> None:
        from astroquery.mast import Observations  # type: ignore[import-untyped]

        status, message, _ = Observations.download_file(
            uri, local_path=str(target), cache=False, verbose=False
        )
        if status != "COMPLETE":
            raise IngestError(message or f"MAST returned {status}")

    return get


def _cache() -> Path:
    import lightkurve

    return Path(lightkurve.config.get_cache_dir())
