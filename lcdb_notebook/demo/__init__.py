"""A synthetic sky: simulated light curves with the problems of real ones.

Planets, eclipsing binaries, pulsators, spotted, flaring and constant stars are observed by a
spacecraft with momentum dumps, coarse pointing, stray light and safe modes. Flagged cadences have
bad fluxes: without the quality mask, momentum dumps hide the planets. The same ``seed`` results in
the same numbers on every machine, and the light curves of a target do not depend on the number of
targets.

The stars are in a separate catalog, ``DEMO``, so that they are not mistaken for real ones.

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
