"""The watches, by kopf: it lists, watches, reconnects and backs off; what comes is handed on and nothing
else.

Only raw event handlers are used, so kopf neither annotates objects nor adds finalizers of its own. It is
not told of what vanished while a watch was broken: the controller's resync sees to that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import kopf

from c2d_box.workflow import names
from c2d_box.workflow.cluster import CLAIMS, PODS, WORKFLOWS, Object, Resource
from c2d_box.workflow.connection import Connection

Observe = Callable[[Resource, Object, bool], None]


async def watch(connection: Connection, namespace: str, observe: Observe, stop: asyncio.Event) -> None:
    """Until ``stop``; raises what kopf gives up on (Kubernetes then starts the engine anew)."""
    registry = kopf.OperatorRegistry()
    _log_in(registry, connection)
    _hand_on(registry, WORKFLOWS, (names.GROUP, names.VERSION, names.PLURAL), {}, observe)
    labels = {names.LABEL_JOB: kopf.PRESENT}
    _hand_on(registry, PODS, ("", "v1", "pods"), labels, observe)
    _hand_on(registry, CLAIMS, ("", "v1", "persistentvolumeclaims"), labels, observe)
    await kopf.operator(
        registry=registry,
        settings=_settings(),
        namespaces=[namespace],
        standalone=True,
        stop_flag=stop,
    )


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.watching.server_timeout = 300
    settings.watching.connect_timeout = 10
    settings.process.ultimate_exiting_timeout = 3
    settings.queueing.exit_timeout = 1.0
    logging.getLogger("kopf").setLevel(logging.WARNING)
    return settings


def _log_in(registry: kopf.OperatorRegistry, connection: Connection) -> None:
    @kopf.on.login(registry=registry)
    def login(**_: Any) -> kopf.ConnectionInfo:
        """The token is read at each login: the kubelet rotates it, and kopf logs in again when it is
        refused.
        """
        token = connection.token_file.read_text().strip() if connection.token_file else None
        certificate, key = connection.certificate or (None, None)
        return kopf.ConnectionInfo(
            server=connection.server,
            ca_path=str(connection.ca_file) if connection.ca_file else None,
            scheme="Bearer" if token else None,
            token=token,
            certificate_path=str(certificate) if certificate else None,
            private_key_path=str(key) if key else None,
        )


def _hand_on(
    registry: kopf.OperatorRegistry,
    kind: Resource,
    where: tuple[str, str, str],
    labels: dict[str, Any],
    observe: Observe,
) -> None:
    group, version, plural = where

    @kopf.on.event(group, version, plural, labels=labels, registry=registry, id=f"see-{plural}")
    async def see(event: Any, **_: Any) -> None:
        observe(kind, dict(event["object"]), event["type"] == "DELETED")
