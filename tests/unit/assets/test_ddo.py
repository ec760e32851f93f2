"""DDOs are read leniently and written back unchanged."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from c2d_box.assets.documents.ddo import DDO

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=6), children, max_size=3)
    ),
    max_leaves=6,
)
unknown = st.dictionaries(st.text(max_size=8).map(lambda t: "x" + t), json_values, max_size=3)
flags = st.one_of(st.booleans(), st.none(), st.text(max_size=5), st.integers())


@st.composite
def services(draw: st.DrawFn) -> dict[str, Any]:
    compute = {
        "allowRawAlgorithm": draw(flags),
        "publisherTrustedAlgorithms": draw(st.none() | st.lists(json_values, max_size=2)),
        **draw(unknown),
    }
    return {
        "id": draw(st.text(max_size=5)),
        "type": draw(st.sampled_from(["access", "compute"])),
        "timeout": draw(st.integers(0, 10**6)),
        "compute": compute,
        "additionalInformation": draw(json_values),
        **draw(unknown),
    }


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "@context": draw(json_values),
        "id": draw(st.text(max_size=20)),
        "metadata": {"name": draw(st.text(max_size=5)), **draw(unknown)},
        "services": draw(st.lists(services(), max_size=3)),
        "credentials": draw(json_values),
        **draw(unknown),
    }


@given(documents())
def test_a_ddo_is_written_back_as_it_was_read(document: dict[str, Any]) -> None:
    assert DDO.parse(document).raw == document


@given(documents())
def test_trust_settings_are_an_object_whatever_was_published(document: dict[str, Any]) -> None:
    for service in DDO.parse(document).services:
        assert isinstance(service.trust_settings, dict)


def test_services_are_found_by_text_and_number_alike() -> None:
    ddo = DDO.parse({"id": "did:op:1", "services": [{"id": "0"}, {"id": "1", "type": "compute"}]})
    assert ddo.find_service("1") is ddo.services[1]
    assert ddo.index_of("1") == 1
    assert ddo.first_service("compute") is ddo.services[1]
    assert (ddo.find_service("2"), ddo.index_of("2"), ddo.first_service("access")) == (None, None, None)


def test_a_flag_keeps_its_type() -> None:
    ddo = DDO.parse({"id": "d", "services": [{"compute": {"allowRawAlgorithm": "true"}}]})
    assert ddo.services[0].compute is not None
    assert ddo.services[0].compute.allow_raw_algorithm == "true"


def test_reading_a_ddo_needs_no_web3() -> None:
    code = (
        "import sys, c2d_box.assets.documents.ddo, c2d_box.assets.permissions; print('web3' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code]).strip() == b"False"
