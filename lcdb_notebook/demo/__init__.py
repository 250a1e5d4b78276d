"""A synthetic sky: light curves of known stars, with the faults of real ones.

Planets, eclipsing binaries, pulsators, spotted, flaring and constant stars are watched by a
spacecraft that dumps momentum, loses its fine pointing, sees stray light and stops for safety.
What is flagged is really bad: without its mask a planet hides behind the momentum dumps. The same
numbers come from the same ``seed`` everywhere, and a target's light curves do not depend on how
many others are made.

The stars carry numbers of a catalog of their own, ``DEMO``, so they are never taken for real ones.

Examples
--------
>>> from lcdb_notebook import demo
>>> product = next(demo.products())
>>> product.mission, product.catalog, product.target, product.observation_fields["sector"]
('TESS', 'DEMO', 1, 1)
>>> [curve.processing.name if curve.processing else "raw" for curve in product.curves[:3]]
['raw', 'DEMO SYS_RM', 'DEMO DET']
>>> demo.truth(3)["kind"].tolist()
['planet', 'constant', 'eclipsing binary']
"""

from lcdb_notebook.demo.loading import load
from lcdb_notebook.demo.observing import products
from lcdb_notebook.demo.stars import KINDS, SEED, Star, star, truth

__all__ = ["KINDS", "SEED", "Star", "load", "products", "star", "truth"]
