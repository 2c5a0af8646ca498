"""What the routes share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Request

from server.access.access import Access
from server.access.administration import Administration
from server.access.throttle import Throttle
from server.audit.audit import Audit
from server.audit.verification import Verification
from server.catalogue import Catalogue
from server.config import ServerConfig
from server.enhancement import EnhancementSource
from server.enhancement_retention import EnhancementRetention
from server.erasure import Erasure
from server.jobs.jobs import Jobs
from server.marks.marks import Marks
from server.overview import Overview
from server.rest.disclosure import Disclosures
from server.store.writable import Writable
from server.store_watch import StoreWatch
from server.subscriptions import Subscriptions
from server.timeline.timeline import Timelines
from server.views import Views
from server.watch.rules_in_force import RulesInForce
from server.watch.rules_store import RulesStore


@dataclass
class Services:
    """Parts of the server that routes call. `leaving` turns the readiness probe."""

    catalogue: Catalogue
    writable: Writable
    enhancement: EnhancementSource
    retention: EnhancementRetention
    rules: RulesInForce
    rules_store: RulesStore
    views: Views
    access: Access
    audit: Audit
    marks: Marks
    jobs: Jobs
    subscriptions: Subscriptions
    timelines: Timelines
    erasure: Erasure
    overview: Overview
    store_watch: StoreWatch
    config: ServerConfig
    leaving: bool = False
    disclosures: Disclosures = field(init=False)
    administration: Administration = field(init=False)
    verification: Verification = field(init=False)
    audit_looks: Throttle = field(init=False)

    def __post_init__(self) -> None:
        self.disclosures = Disclosures(self.access, self.audit, self.config)
        self.administration = Administration(self.access, self.audit, self.config)
        self.verification = Verification(self.audit.folder)
        self.audit_looks = Throttle("looks at the audit", self.config.audit_looks_per_minute, policy="audit")


def services_of(request: Request) -> Services:
    """The services of the application that answers."""
    return cast(Services, request.app.state.services)


Serving = Annotated[Services, Depends(services_of)]
