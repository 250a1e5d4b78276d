"""GivesBack: what an explorer of light curves hands on, as objects and as code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import traitlets

from lcdb_notebook.errors import AmbiguousError, LightCurveNotFoundError
from lcdb_notebook.explore.view.settings import Settings
from lcdb_notebook.read.selection import Selection

if TYPE_CHECKING:
    import lightkurve

__all__ = ["GivesBack"]


class GivesBack(traitlets.HasTraits):
    """A Selection and the settings that it is drawn with, and what the two make."""

    selection = traitlets.Instance(Selection, allow_none=True)
    settings = traitlets.Instance(Settings)

    def lightcurve(self) -> lightkurve.LightCurve:
        """Read exactly what is drawn, as one LightCurve; sectors are stitched.

        Raises
        ------
        LightCurveNotFoundError
            If nothing is drawn.
        AmbiguousError
            If light curves lie over each other, which are not one: see :meth:`lightcurves`.
        """
        found, settings = self._selection(), self.settings
        if self._overlaid(found):
            raise AmbiguousError(
                f"{len(found)} light curves of different photometry or processing are drawn over "
                "each other; lightcurves() gives all, and choosing one of them makes one"
            )
        if len(found) == 1:
            read = found.lightcurve(quality_bitmask=settings.quality_bitmask)
            return settings.all(settings.each(read))
        several = found.lightcurves(quality_bitmask=settings.quality_bitmask, progress=False)
        return settings.all(several.stitch(settings.each))

    def lightcurves(self) -> lightkurve.LightCurveCollection:
        """Read exactly what is drawn, a LightCurve for each DataSet, in the order of time."""
        import lightkurve

        found, settings = self._selection(), self.settings
        several = found.lightcurves(quality_bitmask=settings.quality_bitmask, progress=False)
        return lightkurve.LightCurveCollection([settings.all(settings.each(lc)) for lc in several])

    def code(self, found: str = "") -> str:
        """Write Python that makes what is drawn.

        Parameters
        ----------
        found
            The expression of the Selection: ``db.search(1, sector=1)``.
        """
        selection = self._selection()
        return self.settings.code(
            found, several=len(selection) > 1, overlaid=self._overlaid(selection)
        )

    def _selection(self) -> Selection:
        if self.selection is None or not self.selection:
            raise LightCurveNotFoundError("no light curve is chosen, so none can be given")
        return self.selection

    def _overlaid(self, found: Selection) -> bool:
        names = found.table[["catalog", "target", "photometry", "processing"]]
        return len(names.drop_duplicates()) > 1
