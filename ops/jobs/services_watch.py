"""The file of services while a worker runs: what it says is taken up when it changes, and kept while it is faulty."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from ledger.errors import UsageError
from ops.services import Services
from ops.services_file import read_services

_LOG = logging.getLogger(__name__)


class ServicesWatch:
    """Looks at the file of services, and at the files of secrets that it names.

    Args:
        path: of the file.
        services: what the worker goes by.
        environment: where secrets are that stand in variables.
    """

    def __init__(self, path: Path, services: Services, environment: Mapping[str, str] = os.environ) -> None:
        self._path = path
        self._services = services
        self._environment = environment
        self._seen: Services | str = services
        self._fault = ""

    def changed(self) -> Services | None:
        """Return what the file says now, if that is something else than before; None otherwise.

        Only what two looks in a row find the same counts, since a file may be half written. A file that cannot be used
        is logged once, with the place and the cure.
        """
        before, self._seen = self._seen, self._read()
        if self._seen != before:
            return None
        if isinstance(self._seen, str):
            if self._seen != self._fault:
                _LOG.error("%s cannot be used, and what it said before stays: %s", self._path.name, self._seen)
            self._fault = self._seen
            return None
        self._fault = ""
        if self._seen == self._services:
            return None
        self._services = self._seen
        _LOG.info("%s changed: starting anew", self._path.name)
        return self._services

    def _read(self) -> Services | str:
        try:
            return read_services(self._path, self._environment)
        except UsageError as error:
            return str(error)
