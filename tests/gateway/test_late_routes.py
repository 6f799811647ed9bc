"""A face that is made when it is first asked answers all that the route table promises for it."""

from __future__ import annotations

from dragoman.core.errors import BadRequestError
from dragoman.gateway.app import build
from dragoman.gateway.gptrouter.routes import gptrouter_routes
from dragoman.gateway.gptrouter.served import KEYS
from dragoman.gateway.late_routes import LateRoutes
from dragoman.gateway.serving import Route, RouteTable


def test_gptrouters_face_answers_what_stands_for_it() -> None:
    gateway = build(None, env={})
    late = {key for key in KEYS if key in gateway.routes}
    assert late == set(KEYS)
    made = RouteTable(gptrouter_routes(pipeline=gateway.routes["POST", b"/v1/chat/completions"].handler.pipeline))
    for method, path in KEYS:
        assert made.find(method.encode(), path.replace(b"*", b"anything/at/all")) is not None


def test_the_face_is_made_once_and_refuses_in_its_own_words() -> None:
    made = []

    def make() -> dict[tuple[str, bytes], Route]:
        made.append(1)
        return {("GET", b"/face/*"): Route(lambda _: None), ("GET", b"/face"): Route(lambda _: None, lambda _: b"face")}

    late = LateRoutes(make, [("GET", b"/face/*"), ("GET", b"/face")])
    assert made == []
    route = late.routes["GET", b"/face/*"]
    assert route.encode_error(BadRequestError("x")) == b"face"
    assert route.encode_error(BadRequestError("x")) == b"face"
    assert made == [1]
