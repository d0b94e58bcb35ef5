"""People who are asked for: whether and when they are in a result."""

from __future__ import annotations

from collections.abc import Iterable

from facerec_models.documents import AskedView
from facerec_models.names import identity_of, person_id_of
from facerec_models.result import Result
from serving.store.contract import Store


def with_asked(store: Store, result: Result, people: Iterable[str]) -> Result:
    """Return a result with whether and when these people are in it, each once.

    Raises
    ------
    InputError
        If one can be nobody's name.
    """
    enrolled = {person.person_id for person in store.list_people(result.project) if person.taken}
    asked = []
    for person_id in dict.fromkeys(map(person_id_of, people)):
        times = [(one.start_s, one.end_s) for one in result.appearances if one.person_id == person_id]
        asked.append(
            AskedView(
                person_id=person_id,
                identity=identity_of(person_id),
                enrolled=person_id in enrolled,
                found=bool(times),
                intervals=times,
            )
        )
    return result.model_copy(update={"asked_for": asked})
