"""One service under several names is one service everywhere."""

from __future__ import annotations

import pytest

from c2d_box.assets.endpoints import origin_spellings, same_endpoint
from c2d_box.storage import AddressRules, Fetcher

HERE = ("http://127.0.0.1:8030", "http://localhost:8030", "http://[::1]:8030", "http://0.0.0.0:8030")


@pytest.mark.parametrize("one", [*HERE, "HTTP://LOCALHOST:8030/", "http://localhost.:8030"])
@pytest.mark.parametrize("other", HERE)
def test_names_of_this_machine_are_one(one: str, other: str) -> None:
    assert same_endpoint(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://127.0.0.1:8030", "http://127.0.0.1:8031"),
        ("http://127.0.0.1:8030", "https://127.0.0.1:8030"),
        ("http://127.0.0.1:8030", "http://127.0.0.1:8030/other"),
        ("http://localhost.evil.example:8030", "http://localhost:8030"),
        ("http://a.example", "http://b.example"),
        ("", "http://127.0.0.1"),
        ("http://[::1", "http://[::1]"),
    ],
)
def test_other_services_stay_others(one: str, other: str) -> None:
    assert not same_endpoint(one, other)


def test_default_ports_are_no_difference() -> None:
    assert same_endpoint("https://provider.example/", "https://Provider.example:443")


def test_every_spelling_is_an_alias_that_the_fetcher_follows() -> None:
    inside = "http://10.1.0.30:8030"
    aliases = dict.fromkeys(origin_spellings("http://127.0.0.1:8030"), inside)
    fetcher = Fetcher(AddressRules(aliases.values()), aliases=aliases)
    assert {fetcher.apply_aliases(f"{name}/api") for name in HERE} == {f"{inside}/api"}
    assert origin_spellings("https://provider.example") == ("https://provider.example",)
