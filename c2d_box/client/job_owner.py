"""The account that owns jobs: lists, follows and stops them, and fetches what they left."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from c2d_box.client import job_outcomes
from c2d_box.client.connection import Connection
from c2d_box.client.jobs import Job, JobDetails, id_of
from c2d_box.client.results import decryption, downloads
from c2d_box.client.services.provider import save_response
from c2d_box.errors import Failed, Refused
from c2d_box.retry import Backoff
from c2d_box.workflow.manifests import SEALED

if TYPE_CHECKING:
    from c2d_box.chain import Signer

# Bytes that a result may have to be held in memory: 64 MiB is far above any log.
READ_BYTES = 64 << 20


class JobOwner:
    """Reads and stops the jobs that one account started; the Provider shows them to nobody else."""

    def __init__(self, connection: Connection, signer: Signer) -> None:
        self.connection = connection
        self.signer = signer

    def get_job_details(self, job: Job | str) -> JobDetails:
        """Return the job as the Provider reports it; Refused C2D-JOB-UNKNOWN if this account has
        no such job."""
        found = self.connection.provider.list_jobs(self.signer.address, id_of(job), self.signer)
        # The Provider may answer for another job than was asked; only the id decides.
        match = next((each for each in map(JobDetails.parse, found) if each.id == id_of(job)), None)
        if match is None:
            raise Refused(
                "C2D-JOB-UNKNOWN",
                f"{self.signer.address} has no job {id_of(job)}",
                "see them: c2d-box jobs; a job is its owner's alone (--as)",
            )
        return match

    def jobs(self) -> list[JobDetails]:
        """Return all jobs of this account, as the Provider reports them.

        The request is signed, so reasons, exit codes and times are in it, which others do not get.
        """
        found = self.connection.provider.list_jobs(self.signer.address, signer=self.signer)
        return [JobDetails.parse(job) for job in found]

    def explain(self, job: Job | str) -> str:
        """Return two sentences: how the job ended and what to do about it."""
        return job_outcomes.explain_outcome(self.get_job_details(job))

    def stop(self, job: Job | str) -> JobDetails:
        """Ask the job to stop; what it wrote until then is published."""
        return JobDetails.parse(self.connection.provider.stop_job(self.signer, id_of(job)))

    def wait(self, job: Job | str, timeout: float = 3600) -> JobDetails:
        """Return the job's details once it has ended; Failed C2D-JOB-SLOW after ``timeout`` seconds.

        The job itself goes on: waiting again is always possible.
        """
        deadline, backoff = time.monotonic() + timeout, Backoff(0.1, 2.0, 1.3)
        while True:
            # Asked once more after the deadline passed, so a job that ends in the last pause still counts.
            details = self.get_job_details(job)
            if details.has_ended:
                return details
            if time.monotonic() > deadline:
                raise Failed(
                    "C2D-JOB-SLOW", f"job {id_of(job)} is still: {details.text}", f"c2d-box job {id_of(job)}"
                )
            # The last pause ends at the deadline, not after it.
            time.sleep(min(backoff.next_pause(), max(0.0, deadline - time.monotonic())))

    def results(self, job: Job | str) -> list[Mapping[str, Any]]:
        """Return the job's results: ``filename, filesize, type, index``; empty until they are published."""
        return list(self.get_job_details(job).results)

    def download_result(self, job: Job | str, index: int, to: str | Path) -> Path:
        """Write one result to the file ``to`` (or into the folder ``to`` under its own name), decrypted where
        it was encrypted for this account. One that was encrypted for another reader stays beside it as it
        came."""
        sealed = self._is_sealed(job, index)
        with self.connection.provider.stream_result(self.signer, id_of(job), index) as response:
            path = Path(to)
            # The name is the Provider's; name_of leaves only its last part.
            if path.is_dir():
                name = downloads.name_of(response, f"result-{index}")
                path = path / (name.removesuffix(SEALED) if sealed else name)
            if not sealed:
                return save_response(response, path)
            # Stored encrypted first: if the key does not fit, the bytes are still there to decrypt elsewhere.
            received = save_response(response, path.with_name(path.name + SEALED))
        decryption.decrypt_file(self.signer.key, received, path)
        received.unlink()
        return path

    def read_result(self, job: Job | str, index: int, most: int = READ_BYTES) -> bytes:
        """Return one result as bytes, for small ones such as logs; decrypted where it is encrypted for this
        account.

        Refused C2D-RESULT-LARGE beyond ``most`` bytes: :meth:`download_result` takes results of any size.
        """
        content = bytearray()
        with self.connection.provider.stream_result(self.signer, id_of(job), index) as response:
            # Counted while it arrives: the size in a list of results is a claim.
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) > most:
                    raise Refused(
                        "C2D-RESULT-LARGE",
                        f"result {index} of job {id_of(job)} is larger than {most} bytes",
                        "fetch it into a file: c2d-box results JOB INDEX --to FOLDER",
                    )
        if self._is_sealed(job, index):
            return decryption.decrypt_result(self.signer.key, bytes(content))
        return bytes(content)

    def result_sha256(self, job: Job | str, index: int) -> str:
        """Return the SHA-256 of a result, decrypted where it is encrypted for this account, in bounded
        memory."""
        # By way of a file: decryption in one piece would need the memory for the whole result.
        with tempfile.TemporaryDirectory(prefix="c2d-result-") as scratch:
            path = self.download_result(job, index, Path(scratch) / "result")
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()

    def _is_sealed(self, job: Job | str, index: int) -> bool:
        """Return whether the listed result is encrypted; False for an index that is not in the list."""
        listed = self.results(job)
        return 0 <= index < len(listed) and decryption.is_sealed(listed[index])

    def logs(self, job: Job | str, kind: str = "algorithmLog") -> str:
        """Return the logs of one type among the results (``algorithmLog``, ``configrationLog``,
        ``publishLog``)."""
        listed = [entry for entry in self.results(job) if entry["type"] == kind]
        if not listed:
            raise Refused(
                "C2D-LOG-NONE", f"job {id_of(job)} has no such log yet", f"c2d-box job {id_of(job)}"
            )
        # An algorithm may write any bytes; those that are no UTF-8 must not keep the rest from being read.
        return "".join(self.read_result(job, e["index"]).decode(errors="replace") for e in listed)
