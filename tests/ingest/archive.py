"""A server on the loopback that answers the requests of astroquery and lightkurve.

It is MAST's portal, and a proxy for the addresses that the packages do not let tests change: MAST's
resolver of names and its cotrending basis vectors, and the list of asteroids of SkyBot.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from astropy.coordinates import SkyCoord

__all__ = ["Archive", "serve"]

# Columns of Mast.Caom.Filtered and Mast.Caom.Products: the type, and whether it is of products.
_OBSERVATION = {
    "obsid": "string",
    "obs_id": "string",
    "obs_collection": "string",
    "dataproduct_type": "string",
    "target_name": "string",
    "project": "string",
    "provenance_name": "string",
    "sequence_number": "int",
    "t_exptime": "float",
    "t_min": "float",
    "s_ra": "float",
    "s_dec": "float",
}
_PRODUCT = {
    "obsID": "string",
    "obs_id": "string",
    "obs_collection": "string",
    "description": "string",
    "dataURI": "string",
    "productFilename": "string",
    "productType": "string",
    "parent_obsid": "string",
    "size": "int",
}

_SKYBOT = "# Num | Name | RA(h) | DE(deg) | Class | Mv | Err(arcsec) | d(arcsec)"


class Archive:
    """Files by name, and how the next downloads of each are spoilt.

    ``spoilt`` has a list of "half", "broken", "slow", "silent" or "refused" by the name of the file
    or star, one for each download; ``downloads`` counts the downloads. ``stars`` has the right
    ascension and declination of names in lower case, and ``asteroids`` the rows of SkyBot;
    ``requests`` has the addresses of requests to other servers.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.observations: list[dict[str, Any]] = []
        self.spoilt: dict[str, list[str]] = {}
        self.downloads: dict[str, int] = {}
        self.stars: dict[str, tuple[float, float]] = {}
        self.asteroids: list[str] = []
        self.requests: list[str] = []
        self.ended = threading.Event()
        self.address = ""

    def redirect(self, patch: Any, cache: Any) -> None:
        """Direct astroquery and lightkurve to this archive, with a folder for the cache."""
        import lightkurve
        from astroquery.mast import Observations  # type: ignore[import-untyped]

        portal = Observations._portal_api_connection
        for name in ("MAST_REQUEST_URL", "COLUMNS_CONFIG_URL", "MAST_DOWNLOAD_URL"):
            place = getattr(type(portal), name).partition("//")[2].partition("/")[2]
            patch.setattr(portal, name, f"{self.address}/{place}")
        patch.setattr(lightkurve.conf, "cache_dir", str(cache))
        patch.setenv("http_proxy", self.address)
        patch.setenv("no_proxy", "127.0.0.1")
        self.downloads.clear()
        self.spoilt.clear()
        self.requests.clear()

    def put(self, name: str, content: bytes, **observation: Any) -> None:
        """Add a light curve of SPOC."""
        self.files[name] = content
        obs_id = name.removesuffix("_lc.fits")
        self.observations.append(
            {
                "obsid": str(60_000_000 + len(self.observations)),
                "obs_id": obs_id,
                "obs_collection": "TESS",
                "dataproduct_type": "timeseries",
                "project": "TESS",
                "provenance_name": "SPOC",
                "t_exptime": 120.0,
                "t_min": 58324.8,
                "s_ra": 84.29,
                "s_dec": -80.47,
            }
            | observation
        )

    def found(self, filters: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the observations that match the filters of a request."""
        return [one for one in self.observations if all(_matches(one, f) for f in filters)]

    def near(self, position: str, filters: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the observations near a position, with their distance in arcseconds."""
        ra, declination, radius = map(float, position.split(","))
        centre = SkyCoord(ra, declination, unit="deg")
        found = []
        for one in self.found(filters):
            away = centre.separation(SkyCoord(one["s_ra"], one["s_dec"], unit="deg"))
            if away.deg <= radius:
                found.append({**one, "distance": away.arcsec})
        return found

    def resolved(self, name: str) -> list[dict[str, Any]]:
        """Return the positions of a name, or of coordinates."""
        position = self.stars.get(name.lower())
        if position is None and re.fullmatch(r"[\d.]+ [-\d.]+", name):
            position = tuple(map(float, name.split()))  # type: ignore[assignment]
        if position is None:
            return []
        found = {"searchString": name.lower(), "resolver": "SIMBAD"}
        return [found | {"ra": position[0], "decl": position[1]}]

    def products(self, ids: str) -> list[dict[str, Any]]:
        """Return the products of observations."""
        return [
            {
                "obsID": one["obsid"],
                "parent_obsid": one["obsid"],
                "obs_id": one["obs_id"],
                "obs_collection": one["obs_collection"],
                "description": "Light curves",
                "dataURI": f"mast:TESS/product/{one['obs_id']}_lc.fits",
                "productFilename": f"{one['obs_id']}_lc.fits",
                "productType": "SCIENCE",
                "size": 1,
            }
            for one in self.observations
            if one["obsid"] in ids.split(",")
        ]


def _matches(observation: dict[str, Any], condition: dict[str, Any]) -> bool:
    found = observation[condition["paramName"]]
    for one in condition["values"]:
        if isinstance(one, dict):
            if one["min"] <= found <= one["max"]:
                return True
        elif str(found).lower() == str(one).lower():
            return True
    return False


def _table(rows: list[dict[str, Any]], fields: dict[str, str]) -> dict[str, Any]:
    return {
        "status": "COMPLETE",
        "fields": [{"name": name, "type": kind} for name, kind in fields.items()],
        "data": rows,
        "paging": {"page": 1, "pagesFiltered": 1},
    }


@contextlib.contextmanager
def serve() -> Iterator[Archive]:
    """Serve an archive until the end of the context."""
    archive = Archive()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_POST(self) -> None:
            if self.path.startswith("/absent"):
                self.send_error(503)
                return
            sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if "columnsconfig" in self.path:
                self._json({name: {"type": kind} for name, kind in _OBSERVATION.items()})
                return
            request = json.loads(urllib.parse.parse_qs(sent)["request"][0])
            filters = request["params"].get("filters", [])
            if request["service"] == "Mast.Caom.Filtered.Position":
                near = archive.near(request["params"]["position"], filters)
                self._json(_table(near, {**_OBSERVATION, "distance": "float"}))
            elif request["service"] == "Mast.Caom.Filtered":
                self._json(_table(archive.found(filters), _OBSERVATION))
            elif request["service"] == "Mast.Caom.Products":
                self._json(_table(archive.products(request["params"]["obsid"]), _PRODUCT))
            else:
                self.send_error(404, request["service"])

        def do_HEAD(self) -> None:
            self._file(body=False)

        def do_GET(self) -> None:
            self._file(body=True)

        def _json(self, answer: Any) -> None:
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _file(self, *, body: bool) -> None:
            asked = urllib.parse.urlsplit(self.path)
            query = urllib.parse.parse_qs(asked.query)
            if asked.hostname is not None:
                archive.requests.append(self.path)
            name = query.get("uri", [self.path])[0].rpartition("/")[2]
            content = archive.files.get(name)
            if asked.hostname == "mastresolver.stsci.edu":
                name = query["name"][0]
                answer = {"resolvedCoordinate": archive.resolved(name)}
                content = json.dumps(answer, indent=1).encode()
            elif asked.hostname == "vo.imcce.fr":
                content = "\n".join(["# Flag: 1", "", _SKYBOT, *archive.asteroids, ""]).encode()
            elif asked.hostname == "archive.stsci.edu" and asked.path.endswith("/"):
                links = [f'<a href="{file}">{file}</a>' for file in archive.files]
                content = "".join(links).encode()
            if content is None:
                self.send_error(404)
                return
            how = ""
            if body:
                archive.downloads[name] = archive.downloads.get(name, 0) + 1
                how = (archive.spoilt.get(name) or [""]).pop(0)
            if how == "silent":
                archive.ended.wait(60)
                return
            if how == "refused":
                self.send_error(503)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if not body:
                return
            if how == "broken":
                kept = min(5000, len(content) // 2)
                content = content[:kept] + bytes(len(content) - kept)
            if how == "half":
                content = content[: len(content) // 2]
                self.close_connection = True
            step = len(content) // 20 + 1 if how == "slow" else len(content)
            for start in range(0, len(content), step):
                self.wfile.write(content[start : start + step])
                if how == "slow":
                    # The answer of a slow server, not a wait for something.
                    time.sleep(0.02)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    archive.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield archive
    finally:
        archive.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()
