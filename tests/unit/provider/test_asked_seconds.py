"""A job ends when its consumer asked for it to end, also on an order that was paid for longer."""

from __future__ import annotations

from typing import Any

from tests.unit.provider.test_compute_flow import (
    finish_all,
    ordered,
    permit,
    publish_pair,
    resigned,
    start_body,
)


def test_a_job_on_an_order_of_ten_minutes_keeps_the_seconds_that_were_asked_for(world: Any) -> None:
    dataset, algorithm = publish_pair(world)
    permit(world, dataset, algorithm)
    request = start_body(world, dataset, algorithm, ordered(world, dataset, algorithm))
    for seconds in (0, -1, "20", True, 1.5):
        answer = world.services("compute", "POST", json={**request, "seconds": seconds})
        assert (answer.status_code, answer.json()["error"]) == (400, {"seconds": "invalid"})
    asked = resigned(world, {**request, "seconds": 20})
    assert world.services("compute", "POST", json=asked).status_code == 200, "no refusal used its nonce"
    assert world.operator.payloads[-1]["maxtime"] == 20
    finish_all(world)
