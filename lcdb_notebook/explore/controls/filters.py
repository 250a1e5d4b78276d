"""Filters of a list of targets: a drop-down for each facet, with counts beside its values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets as widgets
import traitlets

from lcdb_notebook.explore.widget.error_box import ONE_AT_A_TIME
from lcdb_notebook.search.browse import TargetFilter
from lcdb_notebook.search.browse.target_filter import OF_CRITERIA
from lcdb_notebook.search.criteria import Criteria
from lcdb_notebook.search.size import Size

__all__ = ["Facet", "Filters"]

_TOOLTIPS = {
    "catalog": "The catalog that numbers the target",
    "instrument": "The instrument; its parts are included",
    "photometry": "The aperture or the PSF fit",
    "processing": "Processing after extraction; raw means without",
    "flags": "Targets with quality flags, either their own or those of an observation",
}


class Facet(widgets.Dropdown):  # type: ignore[misc]
    """A drop-down for one facet, with the number of targets beside each value.

    Values that no target has with the other filters are left out, as soon as this is known.

    Parameters
    ----------
    name : str
        The facet: a field of observations, "catalog", "instrument", "photometry", "processing" or
        "flags".
    values : sequence of tuple
        Each value with its label.
    chosen : tuple, optional
        The initial values; several are one entry of the drop-down.

    Attributes
    ----------
    chosen : tuple
        Trait: the values chosen; empty if the facet does not filter.
    """

    chosen = traitlets.Tuple()

    # Traits of a Dropdown.
    options: Any
    index: Any

    def __init__(
        self, name: str, values: Sequence[tuple[Any, str]], chosen: tuple[Any, ...] = ()
    ) -> None:
        self.name = name
        self._choices: list[tuple[tuple[Any, ...], str]] = [((), "any")]
        self._choices += [((value,), label) for value, label in values]
        if chosen and chosen not in [values for values, _ in self._choices]:
            labels = dict(values)
            label = " or ".join(labels.get(value, str(value)) for value in chosen)
            self._choices.append((chosen, label))
        self._offered = [values for values, _ in self._choices]
        super().__init__(
            options=[label for _, label in self._choices],
            index=self._offered.index(chosen),
            description=name.removesuffix("_number").replace("_", " ").capitalize(),
            tooltip=_TOOLTIPS.get(name, f"The observation's {name.replace('_', ' ')}"),
            _dom_classes=("lcdb-stacked", f"lcdb-facet-{name.replace('_', '-')}"),
        )
        self.chosen = chosen
        self._relabelling = False
        self.observe(self._choose, "index")

    def show_counts(self, counts: Mapping[Any, Size], whole: Size) -> None:
        """Show beside each value how many targets it leaves; leave out those that leave none.

        Parameters
        ----------
        counts : mapping
            The number of targets by value; 0 for values that are missing.
        whole : Size
            The number of targets without this filter.
        """
        labels: dict[tuple[Any, ...], str] = {(): f"any ({whole.text})"}
        for values, label in self._choices[1:]:
            if len(values) > 1:
                # The count of several values together is unknown.
                labels[values] = label
                continue
            size = counts.get(values[0], Size(0))
            # The chosen value stays, so that it can be seen and removed.
            if size or not size.exact or values == self.chosen:
                labels[values] = f"{label} ({size.text})"
        self._relabel(labels)

    def forget_counts(self) -> None:
        """Remove the counts, which are out of date."""
        self._relabel(dict(self._choices))

    def reset(self) -> None:
        """Remove the filter."""
        self.index = 0

    def _relabel(self, labels: Mapping[tuple[Any, ...], str]) -> None:
        if [*labels.values()] == list(self.options):
            return
        with ONE_AT_A_TIME, self.hold_sync():
            self._relabelling = True
            try:
                self._offered = [*labels]
                # Assigning options selects the first one.
                self.options = [*labels.values()]
                self.index = self._offered.index(self.chosen)
            finally:
                self._relabelling = False

    def _choose(self, _change: Any) -> None:
        with ONE_AT_A_TIME:
            if not self._relabelling and self.index is not None:
                self.chosen = self._offered[self.index]


class Filters(widgets.Box):  # type: ignore[misc]
    """All filters of a list of targets.

    Parameters
    ----------
    values : mapping
        The values of each facet, from :func:`lcdb_notebook.search.browse.choices`.
    start : Criteria
        The initial search. Criteria without a drop-down remain in force.

    Attributes
    ----------
    target_filter : TargetFilter
        Trait: the filters, without the digits of the target number.
    """

    target_filter = traitlets.Instance(TargetFilter)

    def __init__(self, values: Mapping[str, list[Any]], start: Criteria) -> None:
        self._start = start
        self._values = values
        self._fields = [name for name in values if name not in OF_CRITERIA]
        self._further = widgets.Dropdown(
            options=["filter by ...", *self._fields],
            description="Further",
            tooltip="Add a filter by another field of observations",
            _dom_classes=("lcdb-stacked", "lcdb-further"),
        )
        self._further.observe(self._add, "value")
        self.facets: dict[str, Facet] = {}
        super().__init__(
            target_filter=TargetFilter(criteria=start),
            _dom_classes=("lcdb-row", "lcdb-filters"),
        )
        chronology = [n for n in ("sector", "quarter", "campaign") if n in self._fields][:1]
        shown = chronology or self._fields[:1]
        shown += [name for name in start.fields if name not in shown and name in self._fields]
        for name in ("catalog", *shown, "instrument", "photometry", "processing"):
            self._make(name)
        self.facets["flags"] = Facet("flags", [(True, "with flags"), (False, "without flags")])
        self._arrange()

    def _make(self, name: str) -> None:
        start: tuple[Any, ...]
        if name in OF_CRITERIA:
            start = getattr(self._start, OF_CRITERIA[name])
        else:
            start = self._start.fields.get(name, ())
        self.facets[name] = Facet(name, _labelled(name, self._values[name]), start)

    def _add(self, change: Any) -> None:
        name = change["new"]
        if name in self._fields and name not in self.facets:
            self._make(name)
            self._arrange()
        self._further.index = 0

    def _arrange(self) -> None:
        for facet in self.facets.values():
            facet.unobserve(self._changed, "chosen")
            facet.observe(self._changed, "chosen")
        more = [name for name in self._fields if name not in self.facets]
        self._further.options = ["filter by ...", *more]
        self.children = (*self.facets.values(), *([self._further] if more else []))

    def _changed(self, _change: Any) -> None:
        changed: dict[str, Any] = {}
        fields = dict(self._start.fields)
        for name, facet in self.facets.items():
            if name in OF_CRITERIA:
                changed[OF_CRITERIA[name]] = facet.chosen
            elif name != "flags":
                fields.pop(name, None)
                if facet.chosen:
                    fields[name] = facet.chosen
        flagged = self.facets["flags"].chosen
        self.target_filter = TargetFilter(
            criteria=dataclasses.replace(self._start, **changed, fields=fields),
            flagged=flagged[0] if flagged else None,
        )


def _labelled(name: str, values: list[Any]) -> list[tuple[Any, str]]:
    if name == "instrument":
        return [(id_, path) for id_, path in values]
    return [(value, "raw" if value is None else str(value)) for value in values]
