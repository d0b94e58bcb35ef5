"""The whole HTTP interface, asked with what its description allows and with what it does not: ``python -m tests.fuzz.interface``.

No answer may be a 5xx, have a status or a type of content that is not declared, or contradict its schema.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import httpx
import hypothesis
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.fuzz.command import own_service, parse

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
# Asks the web; and what ends the project that all others are asked about.
LEFT_OUT = frozenset(
    {("POST", "/v1/projects/{project}/people/{person_id}/crawl"), ("DELETE", "/v1/projects/{project}")}
)
_SHARE_OF_KNOWN = 0.75


def fuzz(
    schema: Any,
    known: dict[str, Sequence[str]],
    seed: int,
    examples: int,
    left_out: frozenset[tuple[str, str]] = LEFT_OUT,
) -> Counter[str]:
    """Send so many requests to each operation, half of them against its description; return how many answers had which status.

    Parameters
    ----------
    known : dict of str to sequence of str
        Values of parameters that exist, by name: most requests have one of them.
    """
    statuses: Counter[str] = Counter()
    failures: list[str] = []
    chance = random.Random(seed)
    for found in schema.get_all_operations():
        operation = found.ok()
        if (operation.method.upper(), operation.path) in left_out:
            continue
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            try:
                strategy = operation.as_strategy(generation_mode=mode)
            except Exception as error:  # nothing of this operation can be wrong
                if "negative" not in str(error).lower():
                    raise
                continue

            @hypothesis.seed(seed)
            @hypothesis.settings(
                max_examples=max(1, examples // 2),
                deadline=None,
                database=None,
                phases=[hypothesis.Phase.generate],
                suppress_health_check=list(hypothesis.HealthCheck),
            )
            @hypothesis.given(case=strategy)
            def ask(case: Any) -> None:
                if chance.random() < _SHARE_OF_KNOWN:
                    for name in case.path_parameters or {}:
                        if name in known:
                            case.path_parameters[name] = chance.choice(known[name])
                response = case.call()
                statuses[str(response.status_code)] += 1
                try:
                    case.validate_response(response, checks=CHECKS)
                except BaseException as error:
                    if isinstance(error, KeyboardInterrupt):
                        raise
                    failures.append(f"{case.method} {case.path} ({response.status_code}): {str(error)[:1500]}")

            try:
                ask()
            except (hypothesis.errors.Unsatisfiable, schemathesis.errors.InvalidSchema):
                continue
            except Exception as error:
                if "negative" not in str(error).lower() and "unsatisfiable" not in str(type(error)).lower():
                    raise
    if failures:
        by_route = {failure.split(":")[0]: failure for failure in failures}
        raise AssertionError(f"{len(failures)} answers are wrong, as these:\n\n" + "\n\n".join(by_route.values()))
    return statuses


def main() -> None:
    """Fuzz a service of its own."""
    args = parse(__doc__, 100)
    with own_service() as service, httpx.Client(base_url=service.url) as client:
        client.put("/v1/projects/p").raise_for_status()
        job = client.post("/v1/projects/p/training").json()["job_id"]
        schema = schemathesis.openapi.from_url(f"{service.url}/openapi.json")
        known = {"project": ["p"], "job_id": [job], "video_id": ["v-aaaaaaaaaaaaaaaa"], "person_id": ["Ada"]}
        print(dict(fuzz(schema, known, args.seed, args.examples)))


if __name__ == "__main__":
    main()
