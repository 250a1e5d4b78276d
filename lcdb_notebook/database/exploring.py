"""Exploring a database: widgets in place of typing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from lcdb_notebook.search.criteria import criteria

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lcdb_notebook.explore.explorer import Explorer
    from lcdb_notebook.explore.widget.protocols import Explorable
    from lcdb_notebook.search.criteria import Fields

__all__ = ["Exploring"]


class Exploring:
    """The method that opens an explorer."""

    if TYPE_CHECKING:

        def _fields(self, named: Iterable[str]) -> Fields: ...

    def explore(
        self,
        target: Any = None,
        *,
        catalog: Any = None,
        observation: Any = None,
        instrument: Any = None,
        photometry: Any = None,
        processing: Any = None,
        **observation_fields: Any,
    ) -> Explorer:
        """Find targets, light curves, flags and lineage by clicking; nothing has to be typed.

        Parameters
        ----------
        target, catalog, observation, instrument, photometry, processing, **observation_fields
            Where to begin, as for :meth:`Database.search`; all of it can be changed there.

        Returns
        -------
        Explorer
            A widget. ``.selection``, ``.dataset``, ``.settings`` and ``.code`` are traits that say
            what is on the screen, ``.lightcurve()`` gives it.

        Raises
        ------
        TypeError, ValueError
            As :meth:`Database.search` raises them.

        Examples
        --------
        >>> db = getfixture("demo_database")
        >>> explorer = db.explore(3, sector=1, processing="raw")
        >>> print(explorer.code)
        db.search(3, catalog="DEMO", sector=1, photometry="DEMO aperture 2px",
        processing="raw").lightcurve(quality_bitmask="default")
        >>> explorer.close()
        """
        from lcdb_notebook.explore.explorer import Explorer

        start = criteria(
            target,
            catalog=catalog,
            observation=observation,
            instrument=instrument,
            photometry=photometry,
            processing=processing,
            caller="explore()",
            known_fields=self._fields(observation_fields),
            **observation_fields,
        )
        return Explorer(cast("Explorable", self), start)
