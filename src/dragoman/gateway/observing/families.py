"""The metrics of a gateway: their names, what they mean, their labels and bounds. Data only.

Label values come from the configuration (model groups, deployments), from tables of ours (operations, dialects, errors) or are
"other". Keys and users are no labels, unless `metrics.by_key` says how many.
"""

from __future__ import annotations

from dragoman.gateway.observing.series import Family

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
TOKEN_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)

_REQUEST = ("operation", "model", "dialect", "status")

REQUESTS = Family(name="dragoman_requests", help="Requests that were answered, by status class", labels=_REQUEST)
DURATION = Family(
    name="dragoman_request_duration_seconds",
    help="From the request until the last byte of its answer",
    labels=("operation", "model"),
    kind="histogram",
    bounds=SECONDS,
)
FIRST_TOKEN = Family(
    name="dragoman_time_to_first_token_seconds",
    help="From the request until the first event of its stream",
    labels=("model",),
    kind="histogram",
    bounds=SECONDS,
)
PER_TOKEN = Family(
    name="dragoman_time_per_output_token_seconds",
    help="The mean time between two tokens of a stream, one observation a stream",
    labels=("model",),
    kind="histogram",
    bounds=TOKEN_SECONDS,
)
ATTEMPTS = Family(
    name="dragoman_attempts",
    help="Requests to providers, by the class of the error they ended in, or success or cancelled",
    labels=("deployment", "outcome"),
)
RETRIES = Family(
    name="dragoman_retries",
    help="Attempts after a failed one in the same model group, by that failure",
    labels=("model", "reason"),
)
FALLBACKS = Family(
    name="dragoman_fallbacks",
    help="Attempts in another model group than the one before, by what failed there",
    labels=("model", "to", "reason"),
)
HEDGES = Family(name="dragoman_hedges", help="Attempts that were made beside one that was silent", labels=("model",))
TOKENS = Family(name="dragoman_tokens", help="Tokens as providers counted them, by kind", labels=("deployment", "kind"))
SPEND = Family(name="dragoman_spend_usd", help="What calls cost, where their price is known", labels=("deployment",))
REFUSALS = Family(
    name="dragoman_refusals", help="Requests that the gateway refused itself, by the class of the error", labels=("reason",)
)
CACHE = Family(
    name="dragoman_cache_lookups",
    help="Requests that looked for a kept answer: hit, miss or partial",
    labels=("model", "status"),
)
CACHE_CHECKS = Family(
    name="dragoman_cache_checks",
    help="Semantic hits at which the provider was asked as well, by whether it said nearly the same",
    labels=("agreed",),
)
STAND_INS = Family(
    name="dragoman_stand_ins",
    help="Requests that a cheaper model answered because a budget is nearly spent",
    labels=("asked", "model"),
)
KEY_REQUESTS = Family(name="dragoman_key_requests", help="Requests by virtual key", labels=("key",))
KEY_TOKENS = Family(name="dragoman_key_tokens", help="Tokens by virtual key", labels=("key",))

IN_FLIGHT = Family(name="dragoman_requests_in_flight", help="Requests that are not answered yet", kind="gauge")
STREAMS = Family(name="dragoman_open_streams", help="Streams that are not at their end", kind="gauge")
WAITING = Family(
    name="dragoman_requests_waiting",
    help="Requests that no deployment is working on: before a retry, or for room",
    kind="gauge",
)
DEPLOYMENT_OUT = Family(
    name="dragoman_deployment_out",
    help="Workers that ask the deployment nothing for now, by the reason",
    labels=("deployment", "reason"),
    kind="gauge",
)
DEPLOYMENT_BUSY = Family(
    name="dragoman_deployment_in_flight", help="Requests at the deployment", labels=("deployment",), kind="gauge"
)
LEDGER_ROWS = Family(name="dragoman_ledger_waiting_rows", help="Rows that the database does not have yet", kind="gauge")
LEDGER_LAG = Family(
    name="dragoman_ledger_lag_seconds", help="How long the oldest of them has waited, added over the workers", kind="gauge"
)
WORKER_CPU = Family(name="dragoman_worker_cpu_seconds", help="CPU time of a worker", labels=("worker",))
WORKER_MEMORY = Family(
    name="dragoman_worker_resident_memory_bytes", help="Resident memory of a worker", labels=("worker",), kind="gauge"
)
WORKER_FILES = Family(
    name="dragoman_worker_open_fds", help="Open files and sockets of a worker", labels=("worker",), kind="gauge"
)
WORKER_START = Family(
    name="dragoman_worker_start_time_seconds", help="When a worker began, Unix seconds", labels=("worker",), kind="gauge"
)

COUNTED = (
    REQUESTS,
    DURATION,
    FIRST_TOKEN,
    PER_TOKEN,
    ATTEMPTS,
    RETRIES,
    FALLBACKS,
    HEDGES,
    TOKENS,
    SPEND,
    REFUSALS,
    CACHE,
    CACHE_CHECKS,
    STAND_INS,
    KEY_REQUESTS,
    KEY_TOKENS,
)
"""What lasts: a worker that is gone still counts."""

CURRENT = (
    IN_FLIGHT,
    STREAMS,
    WAITING,
    DEPLOYMENT_OUT,
    DEPLOYMENT_BUSY,
    LEDGER_ROWS,
    LEDGER_LAG,
    WORKER_CPU,
    WORKER_MEMORY,
    WORKER_FILES,
    WORKER_START,
)
"""What is so now, in the workers that there are."""
