"""A server on the loopback that answers the requests of astroquery as MAST does."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

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


class Archive:
    """Files by name, and how the next downloads of each are spoilt.

    ``spoilt`` has a list of "half", "broken", "slow" or "refused" by the name of the file, one for
    each download; ``downloads`` counts the downloads.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.observations: list[dict[str, Any]] = []
        self.spoilt: dict[str, list[str]] = {}
        self.downloads: dict[str, int] = {}
        self.address = ""

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
    """Serve an archive until the end of the context, and direct astroquery to it."""
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
            if request["service"] == "Mast.Caom.Filtered":
                self._json(_table(archive.found(request["params"]["filters"]), _OBSERVATION))
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
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
            name = query.get("uri", [self.path])[0].rpartition("/")[2]
            content = archive.files.get(name)
            if content is None:
                self.send_error(404)
                return
            how = ""
            if body:
                archive.downloads[name] = archive.downloads.get(name, 0) + 1
                how = (archive.spoilt.get(name) or [""]).pop(0)
            if how == "refused":
                self.send_error(503)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if not body:
                return
            if how == "broken":
                content = content[:5000] + bytes(len(content) - 5000)
            if how == "half":
                content = content[: len(content) // 2]
                self.close_connection = True
            step = len(content) // 20 if how == "slow" else len(content)
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
        server.shutdown()
        thread.join()
        server.server_close()
