"""Generative motion matching (GenMM, Li et al. 2023): new takes from patches of the clips.

Coarse to fine, every patch of a take is replaced by the nearest patch of the clips and overlapping patches are
averaged, a few rounds a level; bidirectional normalisation makes takes show every patch of the clips.
What differs from the paper (benchmarks/matcher.py holds the plain form; where they can be compared they agree):

- features are heading-free, weighted into metres and projected on their principal axes, of which a few dozen hold
  99.5 % of the variance; averages commute with that projection, so the levels never see the full features;
- a distance between patches is a sum along a diagonal of the frame-to-frame matrix: p times fewer products;
- levels are low-passed instead of point-sampled, and start from the clips' own pieces in a new order, not noise;
- the last average is taken over the clips' own frames at their own rate, all joints included, under a Hann window that
  reaches a little beyond the patch.
"""

from .config import MatchConfig  # noqa: F401
from .exemplar import Exemplar, prepare, take_length  # noqa: F401
from .guides import Guide, guides  # noqa: F401
from .pca import Pca, pca  # noqa: F401
from .search import Database, blend, mean_distance, nearest, overlap_add  # noqa: F401
from .stream import Stream, StreamState, start, step  # noqa: F401
from .synthesize import reordered, shuffled, synthesize  # noqa: F401
