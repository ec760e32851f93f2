"""PostgreSQL as the chart starts it: each service has a role of its own, which does its work and no more."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from c2d_box.operator_service.database import JobDatabase
from c2d_box.operator_service.nonces import UsedNonces, parse_nonce
from c2d_box.workflow import jobtable, resource
from c2d_box.workflow.jobtable import Connection, PostgresSettings
from tests.harness.fake_services import free_port
from tests.unit.operator_engine.conftest import workflow_body

SCRIPT = Path(__file__).parents[2] / "sandbox/bundle/recipes/scripts/postgres-start.sh"
BIN = Path("/usr/lib/postgresql/15/bin")
ROLES = "c2d_engine:jobs,envs c2d_service:nonces,nonce_floors"
JOB = "0" * 31 + "1"
PASSWORDS = {
    "c2d": "the owner's",
    "c2d_engine": "it's the \"engine\"'s",
    "c2d_service": "the service's $ `x`",
}


@dataclass
class Server:
    folder: Path
    port: int

    def postgres(self, user: str) -> PostgresSettings:
        return PostgresSettings(host="127.0.0.1", port=self.port, user=user)

    def secrets(self, user: str) -> Path:
        folder = self.folder / f"of-{user}"
        folder.mkdir(exist_ok=True)
        (folder / "postgres-password").write_text(PASSWORDS[user])
        return folder

    @asynccontextmanager
    async def session(self, user: str) -> AsyncIterator[Connection]:
        connection = await jobtable.connect(self.postgres(user), self.secrets(user))
        async with connection:
            yield connection

    @contextmanager
    def running(self, roles: str = ROLES) -> Iterator[None]:
        environment = {
            "PATH": os.environ["PATH"],
            "PGDATA": str(self.folder / "data"),
            "POSTGRES_PASSWORD_FILE": str(self.folder / "secrets/postgres-password"),
            "C2D_ROLES": roles,
        }
        options: dict[str, object] = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        log = self.folder / "log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                ["/bin/sh", str(SCRIPT), "-c", f"port={self.port}"],
                env=environment,
                stdout=output,
                stderr=output,
                **options,  # type: ignore[call-overload]
            )
        try:
            self._wait(process, log)
            yield
        finally:
            process.terminate()
            process.wait(30)

    def _wait(self, process: subprocess.Popen[bytes], log: Path) -> None:
        began = time.monotonic()
        while True:
            try:
                where = f"host=127.0.0.1 port={self.port} dbname=c2d user=c2d"
                psycopg.connect(where, password=PASSWORDS["c2d"]).close()
                return
            except psycopg.OperationalError:
                assert process.poll() is None and time.monotonic() - began < 60, log.read_text()[-3000:]
            time.sleep(0.1)


@pytest.fixture(scope="module")
def place() -> Iterator[Server]:
    """Files of the server, before any start; it does not run as root."""
    if not (BIN / "postgres").exists():
        pytest.skip("no PostgreSQL 15 on this machine")
    folder = Path(tempfile.mkdtemp(prefix="c2d-postgres-"))
    folder.chmod(0o755)
    secrets = folder / "secrets"
    secrets.mkdir()
    for user, password in PASSWORDS.items():
        (secrets / ("postgres-password" if user == "c2d" else f"role-{user}")).write_text(password)
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    yield Server(folder, free_port())
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def server(place: Server) -> Iterator[Server]:
    with place.running():
        yield place


async def test_a_database_of_before_is_taken_over(place: Server) -> None:
    """Its tables belong to the one superuser that both services were."""
    with place.running(roles=""):
        async with place.session("c2d") as session:
            await jobtable.create_jobs(session)
            await jobtable.create_nonces(session)
            await jobtable.upsert_job(session, resource.parse_workflow(workflow_body(JOB)))
    with place.running():
        async with place.session("c2d_engine") as engine:
            await jobtable.create_jobs(engine)
            await jobtable.upsert_job(engine, resource.parse_workflow(workflow_body(JOB)))
        async with place.session("c2d_service") as service:
            assert len(await jobtable.job_history(service, job=JOB, agreement=None, owner=None)) == 1
            await jobtable.create_nonces(service)
            await service.execute("INSERT INTO nonces VALUES ('x', 1)")


async def test_the_service_works_with_its_role(server: Server) -> None:
    database = JobDatabase(server.postgres("c2d_service"), server.secrets("c2d_service"))
    nonces = UsedNonces(database)
    for number in range(600):  # as many as make it clear the window
        await nonces.take_nonce("0xprovider", parse_nonce(str(1000 + number)))
    async with database.session() as session:
        assert await jobtable.job_history(session, job=None, agreement=None, owner="0xnobody") == []
    await database.close()


@pytest.mark.parametrize("user", ["c2d_engine", "c2d_service"])
async def test_neither_is_a_superuser(server: Server, user: str) -> None:
    async with server.session(user) as session:
        row = await (
            await session.execute(
                "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication AS mighty FROM pg_roles "
                "WHERE rolname = current_user"
            )
        ).fetchone()
        assert row == {"mighty": False}
        for statement in (
            "COPY nonces TO PROGRAM 'true'",
            "SELECT pg_read_file('/etc/passwd')",
            "ALTER ROLE c2d PASSWORD 'mine'",
            "SET ROLE c2d",
            "ALTER SYSTEM SET log_statement = 'all'",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await session.execute(statement)


@pytest.mark.parametrize(
    ("user", "statement"),
    [
        ("c2d_service", "INSERT INTO jobs (agreementid, workflowid) VALUES ('a', 'b')"),
        ("c2d_service", "UPDATE jobs SET owner = 'me'"),
        ("c2d_service", "DELETE FROM jobs"),
        ("c2d_service", "TRUNCATE jobs"),
        ("c2d_service", "DROP TABLE jobs"),
        ("c2d_service", "ALTER TABLE jobs ADD COLUMN x int"),
        ("c2d_service", "UPDATE envs SET status = ''"),
        ("c2d_engine", "SELECT * FROM nonces"),
        ("c2d_engine", "DELETE FROM nonces"),
        ("c2d_engine", "INSERT INTO nonces VALUES ('x', 9)"),
        ("c2d_engine", "UPDATE nonce_floors SET floor = 0"),
    ],
)
async def test_each_keeps_to_its_own_tables(server: Server, user: str, statement: str) -> None:
    async with server.session(user) as session:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await session.execute(statement)


async def test_before_the_engines_first_row_there_is_no_history(server: Server) -> None:
    async with server.session("c2d") as session:
        await session.execute("ALTER TABLE jobs RENAME TO kept")
    try:
        async with server.session("c2d_service") as session:
            assert await jobtable.job_history(session, job=JOB, agreement=None, owner=None) == []
    finally:
        async with server.session("c2d") as session:
            await session.execute("ALTER TABLE kept RENAME TO jobs")
