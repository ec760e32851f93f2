"""Each parser of JSON in services, pods and SDK is the guard, or reads what we wrote ourselves."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3] / "c2d_box"
OURS = {
    "chain/abis.py": "artifacts of a package",
    "kubernetes/client.py": "the API server",
    "kubernetes/kubeconfig.py": "what the user's own credential program says",
    "kubernetes/sync_client.py": "the API server",
    "metadata/decorations.py": "documents that passed the guard before they were stored",
    "metadata/indexer.py": "documents that passed the guard before they were stored",
    "metadata/store.py": "records that passed the guard before they were stored",
    "pods/alive.py": "a file of our own beside it",
    "pods/configuration/__main__.py": "the job as the engine wrote it",
    "pods/judge/__main__.py": "limits that the engine set",
    "pods/judge/jsonwalk.py": "one string, cut out by the judge's own walk",
    "pods/upload/__main__.py": "the judge's manifest and the engine's store",
    "pods/warden/__main__.py": "settings that the engine set",
    "provider/auth/grants.py": "what this Provider encrypted",
    "strict_json.py": "the guard",
    "workflow/listing.py": "a list that the engine packed",
}


def test_whoever_parses_json_without_the_guard_says_whose_it_is() -> None:
    """A new entry is a decision: is there a stranger who can write these bytes?"""
    parsing = re.compile(r"json\.loads?\(|(?<!_)from_json\(|\b(?:response|answer)\.json\(\)")
    found = {str(path.relative_to(ROOT)) for path in ROOT.rglob("*.py") if parsing.search(path.read_text())}
    assert found - set(OURS) == set()
