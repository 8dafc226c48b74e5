"""From settings to a planner."""

from collections.abc import Mapping, Sequence

from tidegate.core.endpoint_facts import EndpointFacts
from tidegate.core.routing_settings import PolicyConfig, Routing
from tidegate.route.affinity import Affinity
from tidegate.route.health import Health, Patience
from tidegate.route.planner import Planner
from tidegate.route.policy import Bindings, Expand, PolicyBook, compile_policy


def policy_book(
    routing: Routing, policies: Mapping[str, PolicyConfig], tenants: Mapping[str, tuple[str, ...]], expand: Expand
) -> PolicyBook:
    """All policies, compiled and checked. tenants: the policies of each that names any.

    Raises ConfigError or CatalogError naming the policy, the rules that conflict, and names that are near.
    """
    compiled = {name: compile_policy(name, config, expand) for name, config in policies.items()}
    return PolicyBook(
        compiled,
        Bindings(
            everyone=routing.policies,
            tenants={tenant: names for tenant, names in tenants.items() if names},
            projects=routing.projects,
            keys=routing.keys,
        ),
    )


def planner_of(
    routing: Routing, models: Mapping[str, Sequence[EndpointFacts]], book: PolicyBook, before: Planner | None = None
) -> Planner:
    """The planner of a worker. before: the one it had, whose live state goes on."""
    patience = Patience(routing.failures_to_open, routing.open_s)
    health = before.health if before else Health(patience)
    health.be_as_patient(patience)
    affinity = ((before.affinity if before else None) or Affinity()) if routing.affinity else None
    return Planner(models, book, health, affinity)
