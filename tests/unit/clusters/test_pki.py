"""Certificates: who signs whom, who may serve, what is kept and what is made again."""

from __future__ import annotations

import stat
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sandbox.clusters.native.control_plane import pki

NODE = IPv4Address("10.1.255.2")
SERVICE = IPv4Address("10.1.0.1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pki.ensure_certificates(tmp_path / "pki", pki.certificate_subjects("c2d", NODE, SERVICE))
    return tmp_path / "pki"


def certificate(folder: Path, stem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / f"{stem}.crt").read_bytes())


def test_every_file_is_the_owners_alone(folder: Path) -> None:
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_no_cluster_certificate_opens_etcd(folder: Path) -> None:
    etcd = certificate(folder, "etcd-ca")
    signed = {
        path.stem for path in folder.glob("*.crt") if _is_signed_by(certificate(folder, path.stem), etcd)
    }
    assert signed == {"etcd-ca", "etcd", "etcd-client"}


def _is_signed_by(leaf: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(authority)
    except Exception:
        return False
    return True


def test_only_servers_may_serve(folder: Path) -> None:
    serving = {
        path.stem
        for path in folder.glob("*.crt")
        if not path.stem.endswith("ca") and _may_serve(certificate(folder, path.stem))
    }
    assert serving == {"apiserver", "kubelet-serving", "loopback", "etcd"}


def _may_serve(leaf: x509.Certificate) -> bool:
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    return ExtendedKeyUsageOID.SERVER_AUTH in usage


def test_kubelet_speaks_for_its_node_only(folder: Path) -> None:
    subject = certificate(folder, "kubelet").subject
    assert subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "system:node:c2d"
    assert subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "system:nodes"


def test_api_server_answers_for_node_and_service_address(folder: Path) -> None:
    names = certificate(folder, "apiserver").extensions.get_extension_for_class(x509.SubjectAlternativeName)
    addresses = names.value.get_values_for_type(x509.IPAddress)
    assert {NODE, SERVICE} <= set(addresses)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_second_time_changes_nothing(folder: Path) -> None:
    before = contents(folder)
    pki.ensure_certificates(folder, pki.certificate_subjects("c2d", NODE, SERVICE))
    assert contents(folder) == before


def test_other_node_address_renews_what_serves_under_it_alone(folder: Path) -> None:
    before = contents(folder)
    pki.ensure_certificates(folder, pki.certificate_subjects("c2d", IPv4Address("10.2.255.2"), SERVICE))
    changed = {name for name, data in contents(folder).items() if before[name] != data}
    assert changed == {"apiserver.crt", "apiserver.key", "kubelet-serving.crt", "kubelet-serving.key"}


@pytest.mark.parametrize("damaged", ["admin.crt", "admin.key"])
def test_damaged_certificate_is_issued_again(folder: Path, damaged: str) -> None:
    (folder / damaged).write_text("not a certificate")
    pki.ensure_certificates(folder, pki.certificate_subjects("c2d", NODE, SERVICE))
    assert _is_signed_by(certificate(folder, "admin"), certificate(folder, "ca"))


def test_service_account_key_outlives_everything(folder: Path) -> None:
    before = (folder / "service-account.key").read_bytes()
    (folder / "ca.key").unlink()
    pki.ensure_certificates(folder, pki.certificate_subjects("c2d", NODE, SERVICE))
    assert (folder / "service-account.key").read_bytes() == before
