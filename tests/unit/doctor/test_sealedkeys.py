"""Assets that hold the store's root key, as assets of results on S3 once did, are found and named."""

from __future__ import annotations

from typing import Any

from c2d_box.assets.files import FileObject, ResultFile, S3File, UrlFile, seal_files
from sandbox.doctor.sealedkeys import examine_assets

PROVIDER, OTHER = "0x" + "11" * 32, "0x" + "22" * 32
NFT, DATATOKEN = "0x1234567890AbcdEF1234567890aBcdef12345678", "0x000000000000000000000000000000000000dEaD"
OLD = S3File("http://s3:9000", "us-east-1", "results", "job/outputs/a", "ROOTKEY", "secret")
OWN = S3File("http://s3:9000", "us-east-1", "published-0x1", "x", "READ1", "secret")
NEW = ResultFile("job", "s3://results/job/outputs/a", NFT, DATATOKEN, "ab")


def ddo(number: int, *files: FileObject, key: str = PROVIDER) -> dict[str, Any]:
    return {
        "id": f"did:op:{number:064x}",
        "version": "4.1.0",
        "chainId": 8996,
        "nftAddress": NFT,
        "metadata": {"type": "dataset", "name": "n"},
        "services": [
            {
                "id": "0",
                "type": "access",
                "datatokenAddress": DATATOKEN,
                "serviceEndpoint": "http://p",
                "files": seal_files(key, NFT, DATATOKEN, files),
                "timeout": 0,
            }
        ],
    }


def test_the_old_asset_is_found_among_others() -> None:
    good = [ddo(1, OWN), ddo(2, NEW), ddo(3, UrlFile("http://x/y")), ddo(4, OLD, key=OTHER), {}, {"id": 5}]
    finding = examine_assets([*good, ddo(9, UrlFile("http://x/y"), OLD)], PROVIDER, "ROOTKEY")
    assert (finding.id, finding.level) == ("C2D-DOC-SEALED-KEY", "problem")
    assert f"did:op:{9:064x}" in finding.evidence and f"{1:064x}" not in finding.evidence
    assert "secret" not in str(finding) and "c2d-box reset" in finding.fix
    assert examine_assets(good, PROVIDER, "ROOTKEY").level == "ok"


def test_of_many_some_are_named_and_all_are_counted() -> None:
    finding = examine_assets([ddo(n, OLD) for n in range(8)], PROVIDER, "ROOTKEY")
    assert finding.evidence.count("did:op:") == 3 and "5 more" in finding.evidence
