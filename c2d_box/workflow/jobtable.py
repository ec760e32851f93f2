"""The PostgreSQL job table: a projection of the WorkFlows for reading, and their history once they are gone.

The columns are the original's, so that its users' queries work, plus what it lacked. Only the engine writes
``jobs`` and ``envs``; operator-service reads them and owns ``nonces``: each has a role of its own that makes
and owns its tables, and neither is a superuser. The session runs in UTC and UTF-8: the
original's LATIN9 hid every job with a file name it could not spell.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, LiteralString

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict

from c2d_box.workflow import ocean_status
from c2d_box.workflow.resource import WorkFlow

JOBS_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS jobs (
    agreementid varchar(255) NOT NULL,
    workflowid varchar(255) NOT NULL,
    owner varchar(255),
    status int,
    statustext varchar(255),
    laststatusupdate timestamp DEFAULT now(),
    datecreated timestamp DEFAULT now(),
    datefinished timestamp DEFAULT NULL,
    configlogurl text,
    publishlogurl text,
    algologurl text,
    outputsurl text,
    ddo text,
    namespace varchar(255),
    stopreq smallint DEFAULT 0,
    removed smallint DEFAULT 0,
    workflow text,
    provider varchar(255),
    did varchar(255),
    chainid varchar(255)
);
ALTER TABLE jobs ADD COLUMN IF NOT EXISTS reason text;
ALTER TABLE jobs ADD COLUMN IF NOT EXISTS exitcode int;
ALTER TABLE jobs ADD COLUMN IF NOT EXISTS times jsonb;
ALTER TABLE jobs ADD COLUMN IF NOT EXISTS wire jsonb;
ALTER TABLE jobs ADD COLUMN IF NOT EXISTS version bigint NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX IF NOT EXISTS uniq_agreementid_workflowid ON jobs (agreementid, workflowid);
CREATE UNIQUE INDEX IF NOT EXISTS uniq_workflowid ON jobs (workflowid);
CREATE INDEX IF NOT EXISTS indx_owner_jobs ON jobs (lower(owner));
CREATE TABLE IF NOT EXISTS envs (
    namespace varchar(255) NOT NULL,
    status text,
    lastping timestamp DEFAULT now()
);
CREATE UNIQUE INDEX IF NOT EXISTS unique_namespace ON envs (namespace);
GRANT SELECT ON jobs, envs TO PUBLIC;
"""
"""The original's columns, then ours, added one by one where they are missing. ``wire`` is the status object
as the job's owner gets it, ``version`` the WorkFlow's resourceVersion."""
NONCES_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS nonces (
    provider varchar(255) NOT NULL,
    nonce numeric NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS unique_provider_nonce ON nonces (provider, nonce DESC);
CREATE TABLE IF NOT EXISTS nonce_floors (provider varchar(255) PRIMARY KEY, floor numeric NOT NULL);
"""
"""Nonces that Providers have used, and a floor below which all count as used, so that old rows can be
deleted."""
_LOCK: Final = 0x633264  # serialises two processes that create the schema at the same time

_UPSERT: Final = """
INSERT INTO jobs (agreementid, workflowid, owner, status, statustext, laststatusupdate, datecreated,
                  datefinished, outputsurl, namespace, stopreq, removed, workflow, provider, did, chainid,
                  reason, exitcode, times, wire, version)
VALUES (%(agreement)s, %(job)s, %(owner)s, %(status)s, %(text)s, now(), %(created)s,
        %(finished)s, %(outputs)s, %(environment)s, %(stop)s, %(removed)s, %(workflow)s, %(provider)s,
        %(did)s, %(chain)s, %(reason)s, %(exit)s, %(times)s, %(wire)s, %(version)s)
ON CONFLICT (workflowid) DO UPDATE SET
    status = excluded.status, statustext = excluded.statustext, laststatusupdate = now(),
    datefinished = excluded.datefinished, outputsurl = excluded.outputsurl, stopreq = excluded.stopreq,
    removed = excluded.removed, reason = excluded.reason, exitcode = excluded.exitcode,
    times = excluded.times, wire = excluded.wire, version = excluded.version
WHERE jobs.version <= excluded.version
"""
"""``workflow``, ``owner`` and the like are written once, since the spec never changes. The last line keeps
an older object, written late by an engine that lost its lease, from replacing a newer row."""

_HISTORY: Final = """
SELECT wire FROM jobs
WHERE (%(job)s::text IS NULL OR workflowid = %(job)s)
  AND (%(agreement)s::text IS NULL OR agreementid = %(agreement)s)
  AND (%(owner)s::text IS NULL OR lower(owner) = lower(%(owner)s))
  AND (%(provider)s::text IS NULL OR lower(provider) = lower(%(provider)s))
  AND (%(before)s::float8 IS NULL OR datecreated < to_timestamp(%(before)s) AT TIME ZONE 'UTC')
  AND wire IS NOT NULL
ORDER BY datecreated DESC LIMIT %(limit)s
"""
"""A filter that is null does not filter. Times are compared in UTC, in which the column is written."""

Connection = psycopg.AsyncConnection[dict[str, Any]]


class PostgresSettings(BaseModel):
    """Address of the database; the password is a file of the secrets folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str
    port: int = 5432
    database: str = "c2d"
    user: str = "c2d"


async def connect(where: PostgresSettings, secrets: Path, *, seconds: int = 3) -> Connection:
    """Open a session in UTC and UTF-8; raises psycopg.OperationalError."""
    # Read at each connection: the Secret may be rotated while the process runs.
    password = secrets / "postgres-password"
    return await psycopg.AsyncConnection.connect(
        host=where.host,
        port=where.port,
        dbname=where.database,
        user=where.user,
        password=password.read_text().strip() if password.exists() else None,
        connect_timeout=seconds,
        # A pod that was removed closes nothing: without this its session hangs for a quarter of an hour.
        tcp_user_timeout=1000 * seconds,
        autocommit=True,
        row_factory=dict_row,
        # A statement that waits for a lock must not hold up whoever asked for a status.
        options="-c timezone=UTC -c client_encoding=UTF8 -c statement_timeout=5000",
    )


async def create_jobs(connection: Connection) -> None:
    """Create the engine's tables, for everybody to read. Idempotent, and safe while others do the same."""
    await _create(connection, JOBS_SCHEMA)


async def create_nonces(connection: Connection) -> None:
    """Create operator-service's own tables. Idempotent, and safe while others do the same."""
    await _create(connection, NONCES_SCHEMA)


async def _create(connection: Connection, schema: LiteralString) -> None:
    """Create tables in one transaction under an advisory lock: ``CREATE TABLE IF NOT EXISTS`` in two
    sessions at once can fail on the catalogue's own unique index."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        await connection.execute(schema)


async def upsert_job(connection: Connection, workflow: WorkFlow) -> None:
    """Write the row of a job, unless the present row was written from a newer object."""
    await connection.execute(_UPSERT, job_row(workflow))


async def announce_environment(
    connection: Connection, environment: str, announcement: dict[str, Any]
) -> None:
    """Write what an environment is and that its engine is there: ``lastping`` is the database's time."""
    await connection.execute(
        "INSERT INTO envs (namespace, status, lastping) VALUES (%s, %s, now()) "
        "ON CONFLICT (namespace) DO UPDATE SET status = excluded.status, lastping = now()",
        (environment, json.dumps(announcement)),
    )


async def job_history(
    connection: Connection,
    *,
    job: str | None,
    agreement: str | None,
    owner: str | None,
    provider: str | None = None,
    before: float | None = None,
    limit: int = 1000,
) -> list[dict[str, Any]]:
    """Return jobs' status objects as last written, newest first; none before the engine has made
    its tables."""
    # operator-service may be up before the engine has ever written: no table is no history and no error.
    known = await (await connection.execute("SELECT to_regclass('jobs') IS NOT NULL AS known")).fetchall()
    if not all(line["known"] for line in known):
        return []
    found = await connection.execute(
        _HISTORY,
        {
            "job": job,
            "agreement": agreement,
            "owner": owner,
            "provider": provider,
            "before": before,
            "limit": limit,
        },
    )
    return [line["wire"] for line in await found.fetchall()]


def job_row(workflow: WorkFlow) -> dict[str, Any]:
    """Return a WorkFlow as the values of the upsert."""
    spec, state = workflow.spec, workflow.status
    # None before publishing, and an empty list for a job without results.
    results = None if state.results is None else [result.model_dump() for result in state.results]
    return {
        "agreement": spec.agreement_id,
        "job": workflow.job,
        "owner": spec.owner,
        "status": state.code,
        "text": state.text,
        "created": _stamp(workflow.at("accepted")),
        "finished": _stamp(workflow.at("finished")),
        "outputs": None if results is None else json.dumps(results, ensure_ascii=False),
        "environment": spec.environment,
        "stop": state.stop,
        # The original's flag: there is nothing left of the job to be fetched.
        "removed": int(workflow.deleted is not None or workflow.at("expired") is not None),
        "workflow": json.dumps(spec.model_dump(by_alias=True), ensure_ascii=False),
        "provider": spec.provider_address,
        "did": workflow.stage.input[0].id if workflow.stage.input else None,
        "chain": None if spec.chain_id is None else str(spec.chain_id),
        "reason": state.reason,
        "exit": state.algorithm.exit_code,
        "times": Jsonb(state.times),
        "wire": Jsonb(ocean_status.owner_status(workflow)),
        # Kubernetes calls resourceVersion opaque; etcd's is a counter, and anything else writes as the
        # oldest.
        "version": int(workflow.version or 0) if workflow.version.isdigit() else 0,
    }


def _stamp(moment: float | None) -> datetime | None:
    """Return a moment for a column ``timestamp`` without time zone, which holds UTC."""
    return None if moment is None else datetime.fromtimestamp(moment, UTC).replace(tzinfo=None)
