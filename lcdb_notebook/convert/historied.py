"""lightkurve's light curves, whose FITS files tell where they came from. Imports lightkurve."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import lightkurve

__all__ = ["KeplerLightCurve", "LightCurve", "TessLightCurve"]


def _with_history(to_fits: Callable[..., Any]) -> Callable[..., Any]:
    """Have ``to_fits`` write LINEAGE; of ``meta``, lightkurve writes a few words and no others."""

    @wraps(to_fits)
    def with_history(self: Any, *arguments: Any, **extra_data: Any) -> Any:
        history = self.meta.get("LINEAGE")
        if isinstance(history, str) and history:
            # FITS Standard 4.0, section 4.2.1: headers are ASCII.
            ascii_only = history.encode("ascii", "backslashreplace").decode()
            extra_data.setdefault("LINEAGE", ascii_only)
        return to_fits(self, *arguments, **extra_data)

    return with_history


class LightCurve(lightkurve.LightCurve):  # type: ignore[misc]
    """lightkurve's LightCurve; ``to_fits`` writes its history into the primary header."""

    to_fits = _with_history(lightkurve.LightCurve.to_fits)


class TessLightCurve(lightkurve.TessLightCurve):  # type: ignore[misc]
    """lightkurve's TessLightCurve; ``to_fits`` writes its history into the primary header."""

    to_fits = _with_history(lightkurve.TessLightCurve.to_fits)


class KeplerLightCurve(lightkurve.KeplerLightCurve):  # type: ignore[misc]
    """lightkurve's KeplerLightCurve; ``to_fits`` writes its history into the primary header."""

    to_fits = _with_history(lightkurve.KeplerLightCurve.to_fits)
