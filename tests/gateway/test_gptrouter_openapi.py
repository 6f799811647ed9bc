"""The OpenAPI document of GPTRouter's face: it names every route there is, and a running gateway is held to it."""

from __future__ import annotations

import json
from pathlib import Path

from dragoman.engine.call import CallOptions
from dragoman.gateway import config as gateway_config
from dragoman.gateway.gptrouter import openapi
from dragoman.gateway.gptrouter.face import Settings
from dragoman.gateway.gptrouter.routes import gptrouter_routes
from dragoman.gateway.pipeline import Pipeline
from dragoman.transport.gateway import gateway_transport
from support import schemathesis
from support.demo_server import demo_server
from support.gptrouter import KEY, gptrouter_gateway, models_over


def test_every_route_is_in_it_and_nothing_else() -> None:
    _, policy = gateway_config.read("models: [{name: a, model: openai/gpt-4o, api_key: k}]", file="t", env={})
    table = gptrouter_routes(Pipeline(policy, gateway_transport({}), options=CallOptions()))
    served = {(method, path.decode()) for method, path in table if path.startswith(b"/api/v1/")}
    paths = json.loads(openapi.document())["paths"]
    written = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    exact = {(method, path) for method, path in served if not path.endswith("*")}
    patterns = {(method, path[:-1]) for method, path in served if path.endswith("*")} - {
        (method, "/api/v1/") for method in ("GET", "POST", "PUT", "DELETE")
    }
    assert exact == {(method, path) for method, path in written if "{" not in path}
    assert patterns == {(method, path.partition("{")[0]) for method, path in written if "{" in path}


def test_every_name_in_it_is_explained() -> None:
    told = openapi.document().decode()
    schemas = json.loads(told)["components"]["schemas"]
    named = {part.partition('"')[0] for part in told.split('"#/components/schemas/')[1:]}
    assert named == set(schemas)


@schemathesis.needed
def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    settings = Settings(stream_refusals="status", optimizer="gpt-4o")
    checks = f"{schemathesis.CHECKS},negative_data_rejection,ignored_auth"
    with demo_server() as demo, gptrouter_gateway(models_over(demo.url), settings=settings) as url:
        schemathesis.assert_nothing_is_found(f"{url}/api/openapi.json", f"ws-secret: {KEY}", tmp_path, checks=checks)
