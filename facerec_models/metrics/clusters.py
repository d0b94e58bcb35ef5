"""How well groups of faces agree with who the faces are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class ClusterScore:
    """Agreement of groups with people; an empty one says nothing.

    Parameters
    ----------
    items, clusters, people : int
        How many items lie in how many groups and show how many people.
    precision : float or None
        B-cubed (Bagga and Baldwin, COLING-ACL 1998): of the items in an item's group, the fraction that shows the same
        person, averaged over items. Falls where strangers are mixed.
    recall : float or None
        Of the items of an item's person, the fraction in the same group, averaged over items. Falls where a stranger is split.
    purity : float or None
        Items whose person is the most frequent one of their group, over all items.
    """

    items: int = 0
    clusters: int = 0
    people: int = 0
    precision: float | None = None
    recall: float | None = None
    purity: float | None = None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall."""
        if self.precision is None or self.recall is None:
            return None
        return 2 * self.precision * self.recall / (self.precision + self.recall)

    def to_dict(self) -> dict[str, float | int | None]:
        """Return the counts and the ratios."""
        return {
            "items": self.items,
            "clusters": self.clusters,
            "people": self.people,
            "bcubed_precision": self.precision,
            "bcubed_recall": self.recall,
            "bcubed_f1": self.f1,
            "purity": self.purity,
        }


def cluster_score(items: Sequence[tuple[Hashable, Hashable]]) -> ClusterScore:
    """Compare groups with people.

    Parameters
    ----------
    items : sequence of (cluster, person)
        One entry for each track, or other thing that was grouped and whose person is known.

    Examples
    --------
    >>> score = cluster_score([("a", "Ann"), ("a", "Ann"), ("a", "Bob"), ("b", "Bob")])
    >>> round(score.precision, 3), score.recall, score.purity
    (0.667, 0.75, 0.75)
    """
    if not items:
        return ClusterScore()
    both, cluster, person = Counter(items), Counter(c for c, _ in items), Counter(p for _, p in items)
    # Exact sums: a perfect grouping scores 1, not a little less.
    precision = sum(Fraction(n * n, cluster[c]) for (c, _), n in both.items()) / len(items)
    recall = sum(Fraction(n * n, person[p]) for (_, p), n in both.items()) / len(items)
    largest: Counter[Hashable] = Counter()
    for (c, _), n in both.items():
        largest[c] = max(largest[c], n)
    purity = largest.total() / len(items)
    return ClusterScore(len(items), len(cluster), len(person), float(precision), float(recall), purity)
