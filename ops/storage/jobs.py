"""The storage jobs of a configuration."""

from __future__ import annotations

from ops.jobs.work import Job
from ops.services import Services
from ops.storage.checking import Check
from ops.storage.preserving import Preserve


def storage_jobs(services: Services) -> list[Job]:
    """Return the jobs that make copies and check them; without archives or hosts they say why nothing is done."""
    return [Preserve(services), Check(services)]
