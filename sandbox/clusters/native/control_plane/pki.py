"""Issues the cluster's own certificates. Keys are 0600; nothing here leaves the machine.

Two authorities, because etcd trusts every certificate of its authority with everything: a kubelet's
certificate must not open etcd. Leaf certificates are issued again when they near their end or their
addresses changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from c2d_box.files import replace_private_file

AUTHORITY_LIFE = timedelta(days=3650)
"""Ten years: kubeconfigs and Secrets hold the authority's certificate, and nothing renews it."""
LEAF_LIFE = timedelta(days=730)
"""Two years; issued again at the first start within :data:`RENEW_BEFORE` of the end."""
RENEW_BEFORE = timedelta(days=60)
CLOCK_SLACK = timedelta(hours=1)
"""Time by which certificates are valid before now: a laptop's clock may be set back after the boot."""


@dataclass(frozen=True, slots=True)
class CertificateSubject:
    """A certificate to issue: its file's stem, its identity, and the names it serves under."""

    stem: str
    """Name of the files, without ``.crt`` and ``.key``."""
    authority: str
    common_name: str
    """The user's name to the API server; the organization is its group."""
    organization: str = ""
    dns_names: tuple[str, ...] = ()
    addresses: tuple[IPv4Address, ...] = ()

    @property
    def is_server(self) -> bool:
        """Return whether something is served under it; such a certificate is also used by clients."""
        return bool(self.dns_names or self.addresses)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def certificate_subjects(
    node: str, node_ip: IPv4Address, api_service_ip: IPv4Address
) -> list[CertificateSubject]:
    """Return every certificate of the cluster. The identities are those that Kubernetes' built-in roles
    expect.
    """
    loopback = IPv4Address("127.0.0.1")
    services = ("kubernetes", "kubernetes.default", "kubernetes.default.svc")
    # Pods reach the API server under any of these names.
    full = (*services, "kubernetes.default.svc.cluster.local", "localhost", node)
    return [
        CertificateSubject(
            "apiserver", "ca", "kube-apiserver", "", full, (node_ip, api_service_ip, loopback)
        ),
        CertificateSubject(
            "kubelet-serving", "ca", f"system:node:{node}", "system:nodes", (node,), (node_ip,)
        ),
        CertificateSubject("loopback", "ca", "loopback", "", ("localhost",), (loopback,)),
        # The group passes every authorization check; its key is in the user's kubeconfig.
        CertificateSubject("admin", "ca", "c2d-box:admin", "system:masters"),
        CertificateSubject("apiserver-kubelet", "ca", "kube-apiserver-kubelet-client", "system:masters"),
        CertificateSubject("kubelet", "ca", f"system:node:{node}", "system:nodes"),
        CertificateSubject("controller-manager", "ca", "system:kube-controller-manager"),
        CertificateSubject("scheduler", "ca", "system:kube-scheduler"),
        CertificateSubject("kube-proxy", "ca", "system:kube-proxy", "system:node-proxier"),
        # A user of our own: the supervisor grants it what DNS reads, and no more.
        CertificateSubject("coredns", "ca", "c2d-box:coredns"),
        # Of the second authority, which signs for these two alone.
        CertificateSubject("etcd", "etcd-ca", "etcd", "", ("localhost",), (loopback,)),
        CertificateSubject("etcd-client", "etcd-ca", "kube-apiserver-etcd-client"),
    ]


def ensure_certificates(folder: Path, wanted: Iterable[CertificateSubject]) -> None:
    """Issue whatever is missing, about to expire or for other addresses; leave the rest as it is."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    now = datetime.now(UTC)
    # First: a new authority makes every leaf of the old one bad, which the loop then sees.
    authorities = {stem: _ensure_authority(folder, stem, now) for stem in ("ca", "etcd-ca")}
    for subject in wanted:
        if not _is_good(folder, subject, authorities[subject.authority], now):
            _write_pair(
                folder, subject.stem, _issue_certificate(subject, authorities[subject.authority], now)
            )
    _service_account_key(folder)


def _ensure_authority(folder: Path, stem: str, now: datetime) -> KeyPair:
    """Return the authority in ``folder``; make one where it is missing or its key and certificate do not
    belong together.
    """
    try:
        key = serialization.load_pem_private_key((folder / f"{stem}.key").read_bytes(), None)
        certificate = x509.load_pem_x509_certificate((folder / f"{stem}.crt").read_bytes())
        if isinstance(key, ec.EllipticCurvePrivateKey) and certificate.public_key() == key.public_key():
            return KeyPair(certificate, key)
    except (FileNotFoundError, ValueError):
        pass
    fresh = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"c2d-box {stem}")])
    # In order: digitalSignature, ..., keyCertSign, cRLSign.
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(fresh.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SLACK)
        .not_valid_after(now + AUTHORITY_LIFE)
        # May sign leaves, and no further authority.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(fresh.public_key()), critical=False)
        .sign(fresh, hashes.SHA256())
    )
    pair = KeyPair(certificate, fresh)
    _write_pair(folder, stem, pair)
    return pair


def _issue_certificate(subject: CertificateSubject, authority: KeyPair, now: datetime) -> KeyPair:
    """Return a new key and its certificate. Keys are never reused: a leaf is only issued where it was bad."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = [x509.NameAttribute(NameOID.COMMON_NAME, subject.common_name)]
    if subject.organization:
        name.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, subject.organization))
    # Servers too are clients here: the kubelet's serving certificate, say, names a node of system:nodes.
    purposes = [ExtendedKeyUsageOID.CLIENT_AUTH]
    if subject.is_server:
        purposes.insert(0, ExtendedKeyUsageOID.SERVER_AUTH)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(name))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SLACK)
        .not_valid_after(now + LEAF_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False
        )
    )
    if subject.is_server:
        # Names are taken from here only; Go's TLS ignores the common name.
        builder = builder.add_extension(
            x509.SubjectAlternativeName(_alternative_names(subject)), critical=False
        )
    return KeyPair(builder.sign(authority.key, hashes.SHA256()), key)


def _alternative_names(subject: CertificateSubject) -> list[x509.GeneralName]:
    """Return the names and addresses in a fixed order: :func:`_is_good` compares the list."""
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in subject.dns_names]
    return names + [x509.IPAddress(address) for address in subject.addresses]


def _is_good(folder: Path, subject: CertificateSubject, authority: KeyPair, now: datetime) -> bool:
    """Return whether the stored certificate can stay: of this authority, with its own key, not near its end,
    and for these names and addresses.
    """
    try:
        certificate = x509.load_pem_x509_certificate((folder / f"{subject.stem}.crt").read_bytes())
        key = serialization.load_pem_private_key((folder / f"{subject.stem}.key").read_bytes(), None)
        certificate.verify_directly_issued_by(authority.certificate)
    except Exception:  # anything unreadable or of another authority is simply issued again
        return False
    # A crash between the two writes leaves a new key beside an old certificate.
    if certificate.public_key() != key.public_key() or certificate.not_valid_after_utc - now < RENEW_BEFORE:
        return False
    if not subject.is_server:
        return True
    try:
        held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    return list(held) == _alternative_names(subject)


def _service_account_key(folder: Path) -> None:
    """Make the key that signs ServiceAccount tokens, once for the life of the box: with another one every
    pod's token would be refused.
    """
    path = folder / "service-account.key"
    if path.exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    # The public half first: the private file is what is looked for, so a crash in between makes both anew.
    replace_private_file(folder / "service-account.pub", public)
    replace_private_file(path, _key_bytes(key))


def _write_pair(folder: Path, stem: str, pair: KeyPair) -> None:
    replace_private_file(folder / f"{stem}.key", _key_bytes(pair.key))
    replace_private_file(folder / f"{stem}.crt", pair.certificate.public_bytes(serialization.Encoding.PEM))


def _key_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
