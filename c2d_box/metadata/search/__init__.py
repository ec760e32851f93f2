"""The part of Elasticsearch's search language that clients of the metadata cache use, over records in memory.

Anything else is refused by name: half-understood queries would give wrong answers.
"""

from c2d_box.metadata.search.body import search
from c2d_box.metadata.search.errors import Unsupported

__all__ = ["Unsupported", "search"]
