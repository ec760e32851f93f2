"""Pushes an image archive to a registry, blob by blob, unchanged: the digest stays that of the archive.

The protocol is the OCI Distribution Specification; the token exchange is Docker's. A Docker engine would
write the image anew, under another digest than the one that stands in published assets. Credentials are those
of `docker login`.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import httpx

from c2d_box.errors import EnvironmentProblem, Failed, UsageError
from c2d_box.proxies import may_use_proxy
from c2d_box.strict_json import JsonRefused, parse_object
from sandbox.bundle.oci.archive_reader import ArchiveReader
from sandbox.bundle.oci.image_archives import MANIFEST
from sandbox.clusters.archive_names import ArchiveName

_PLACE = re.compile(
    r"(?P<scheme>https?://)?(?P<host>[A-Za-z0-9.-]+(:\d+)?)(?P<path>(/[a-z0-9]+([._-]+[a-z0-9]+)*)*)/?"
)
"""Registry and path as users write them. Names are lower case in the specification; a digest or tag does not
fit.
"""
_LOCAL = ("localhost", "127.0.0.1")
"""Hosts that are spoken to without TLS unasked, as Docker does it."""
_CHUNK = 1 << 20
"""Bytes read at once: a layer of gigabytes never lies in memory."""
TIMEOUT = 60.0
"""Seconds for one step of a connection, not for a whole upload."""


class ImageRegistry:
    """A registry to push to. ``place`` is ``[http://]host[:port][/path]``; without a scheme it means https,
    but http for this machine itself.
    """

    def __init__(self, place: str) -> None:
        match = _PLACE.fullmatch(place)
        if match is None:
            raise UsageError(
                "C2D-EXISTING-REGISTRY",
                f"'{place}' is no registry." if place else "Where the nodes can get images from is not said.",
                "Name a registry that you may push to and the nodes pull from: --registry host[:port][/path]",
            )
        self.host, self.path = match["host"], match["path"].strip("/")
        plain = self.host.partition(":")[0] in _LOCAL
        self._base = (match["scheme"] or ("http://" if plain else "https://")) + self.host
        self._token = ""

    @property
    def name_prefix(self) -> str:
        """Return the prefix of image names in this registry: ``host[:port][/path]``."""
        return f"{self.host}/{self.path}" if self.path else self.host

    @property
    def is_private(self) -> bool:
        """Return whether the registry asked for credentials; valid once :meth:`require_access` has passed."""
        return bool(self._token)

    def require_access(self) -> None:
        """Check that the registry answers and accepts the credentials there are.

        ``GET /v2/`` is the specification's own question for that; it pushes nothing.
        """
        with self._open_client() as client:
            answer = self._send_request(client, "GET", "/v2/", self._repository_path("x"))
        if answer.status_code >= 400:
            raise self._refused_error(answer)

    def push_image(self, archive: Path, image: ArchiveName) -> str:
        """Push what the registry lacks; return the image's reference there (``host/repository:tag``).

        Blobs go first: registries refuse a manifest that names a blob they do not have.
        """
        name, tag = _name_and_tag(image.reference)
        repository = self._repository_path(name)
        with ArchiveReader(archive) as opened, opened.documents_as_expected(), self._open_client() as client:
            entry = opened.read_json("index.json")["manifests"][0]
            manifest = opened.read_blob(entry)
            document = json.loads(manifest)
            for blob in (document["config"], *document["layers"]):
                self._push_blob(client, repository, opened, blob)
            # Both names: the nodes pull by digest, users look for the tag.
            for reference in (image.digest, tag):
                answer = self._send_request(
                    client,
                    "PUT",
                    f"/v2/{repository}/manifests/{reference}",
                    repository,
                    content=manifest,
                    headers={"content-type": entry.get("mediaType", MANIFEST)},
                )
                if answer.status_code >= 300:
                    raise self._refused_error(answer)
        return f"{self.host}/{repository}:{tag}"

    def _push_blob(
        self, client: httpx.Client, repository: str, archive: ArchiveReader, blob: dict[str, str]
    ) -> None:
        """Push one blob in a single request after the one that opens the upload; skip a blob that is
        there.
        """
        there = self._send_request(client, "HEAD", f"/v2/{repository}/blobs/{blob['digest']}", repository)
        if there.status_code == 200:
            return
        begun = self._send_request(client, "POST", f"/v2/{repository}/blobs/uploads/", repository)
        if begun.status_code != 202:
            raise self._refused_error(begun)
        # The location may be relative, or carry a query of its own that must stay (Distribution
        # Specification).
        target = urljoin(f"{self._base}/", begun.headers["location"])
        target += f"{'&' if '?' in target else '?'}digest={blob['digest']}"
        member = archive.blob_name(blob)
        done = self._send_request(
            client,
            "PUT",
            target,
            repository,
            content=archive.member_chunks(member, _CHUNK),
            headers={
                "content-type": "application/octet-stream",
                # Stated, or httpx would send the stream in chunks, which object stores behind registries
                # refuse.
                "content-length": str(archive.find_member(member).size),
            },
        )
        if done.status_code != 201:
            raise self._refused_error(done)

    def _repository_path(self, name: str) -> str:
        return f"{self.path}/{name}" if self.path else name

    def _open_client(self) -> httpx.Client:
        """Return a client. The environment's proxy is used only for addresses that a proxy could reach."""
        return httpx.Client(base_url=self._base, timeout=TIMEOUT, trust_env=may_use_proxy(self._base))

    def _send_request(
        self,
        client: httpx.Client,
        method: str,
        path: str,
        repository: str,
        headers: dict[str, str] | None = None,
        content: bytes | Iterator[bytes] | None = None,
    ) -> httpx.Response:
        """Send one request; a challenge is answered once, before anything large is sent."""
        try:
            answer = client.request(method, path, headers=self._with_token(headers), content=content)
            # A stream cannot be sent twice, so the first request of a push is one without a body (HEAD).
            if answer.status_code == 401 and self._authenticate(answer, repository):
                answer = client.request(method, path, headers=self._with_token(headers), content=content)
        except httpx.TransportError as cause:
            raise EnvironmentProblem(
                "C2D-EXISTING-REGISTRY-SILENT",
                f"No registry answers at {self._base}.",
                "Check its address; a registry without TLS is named with http:// before it.",
            ) from cause
        return answer

    def _with_token(self, headers: dict[str, str] | None) -> dict[str, str]:
        return {**(headers or {}), **({"authorization": self._token} if self._token else {})}

    def _authenticate(self, challenge: httpx.Response, repository: str) -> bool:
        """Obtain Basic credentials, or a token in exchange for them; return False where that was tried
        already.
        """
        # Bearer: Docker's token exchange, where Basic goes to the realm. Anything else: Basic to the
        # registry.
        said = challenge.headers.get("www-authenticate", "")
        entry = login_entry(self.host)
        basic = f"Basic {entry}" if entry else ""
        if said.lower().startswith("bearer"):
            fields = dict(re.findall(r'(\w+)="([^"]*)"', said))
            asked = {"service": fields.get("service", ""), "scope": f"repository:{repository}:pull,push"}
            headers = {"authorization": basic} if basic else {}
            realm = fields.get("realm", "")
            answer = httpx.get(
                realm, params=asked, headers=headers, timeout=TIMEOUT, trust_env=may_use_proxy(realm)
            )
            if not answer.is_success:
                raise self._refused_error(answer)
            try:
                found = parse_object(answer.content)
            except JsonRefused:
                raise self._refused_error(answer) from None
            # Two names for one thing: Docker's own, and OAuth 2's.
            token = f"Bearer {found.get('token') or found.get('access_token')}"
        else:
            token = basic
        # The same answer again would be refused again: give up instead of asking for ever.
        fresh, self._token = token != self._token and bool(token), token
        return fresh

    def _refused_error(self, answer: httpx.Response) -> Failed:
        return Failed(
            "C2D-EXISTING-REGISTRY-REFUSED",
            f"The registry {self.host} refused: {answer.status_code} {answer.text[:200]}".rstrip(),
            f"docker login {self.host}; then again",
        )


def login_entry(host: str) -> str:
    """Return user and password for ``host`` in base64, as `docker login` stored them.

    Empty where it stored none, or keeps them in a credential helper, whose program is not run here.
    """
    try:
        found = json.loads((Path.home() / ".docker" / "config.json").read_text()).get("auths", {})
    except (OSError, ValueError):
        return ""
    entry = found.get(host) or found.get(f"https://{host}") or {}
    if "username" in entry and not entry.get("auth"):
        return base64.b64encode(f"{entry['username']}:{entry.get('password', '')}".encode()).decode()
    return str(entry.get("auth", ""))


def _name_and_tag(reference: str) -> tuple[str, str]:
    """Return name and tag without the registry: ``c2d.local/runtime:latest`` becomes ``runtime`` and
    ``latest``.
    """
    name = reference.partition("/")[2]
    head, colon, tag = name.rpartition(":")
    return (head, tag) if colon else (name, "latest")
