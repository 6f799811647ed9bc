"""The Starlette app behind the route table: patterns in paths, HEAD, and a helpful answer for what is nowhere.

Imported when the first such request comes, by `app`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dragoman.core.errors import DragomanError
from dragoman.gateway.pages import Page, Pages, key_error

Endpoint = Callable[[Request], Awaitable[Response]]


def starlette_app(pages: Pages, inference: Mapping[str, tuple[str, ...]], more: Iterable[Route] = ()) -> Starlette:
    """`inference`: a path that answers POST -> the ways it may be written, for the errors of requests that miss them.

    `more`: the routes of the admin API, where there is one.
    """
    posts = {spelling for ways in inference.values() for spelling in ways}

    async def one_model(request: Request) -> Response:
        refused = await _refusal(pages, request)
        if refused is not None:
            return refused
        name = request.path_params["name"]
        found = pages.model(name)
        if found is None:
            return _error(404, f"no model is called {name!r}; GET /v1/models lists them", "model_not_found")
        return JSONResponse(found)

    async def not_found(request: Request, problem: Exception) -> Response:
        if request.url.path in posts:
            return await not_allowed(request, problem)
        paths = ", ".join(f"POST {path}" for path in inference)
        return _error(404, f"nothing is at {request.method} {request.url.path}; there are {paths}, GET /v1/models", "not_found")

    async def not_allowed(request: Request, _: Exception) -> Response:
        return _error(405, f"{request.method} is not allowed at {request.url.path}", "method_not_allowed")

    return Starlette(
        routes=[
            *(Route(path, _endpoint(pages, page, guarded=False)) for path, page in pages.open.items()),
            *(Route(path, _endpoint(pages, page, guarded=True)) for path, page in pages.guarded.items()),
            Route("/v1/models/{name:path}", one_model),
            Route("/models/{name:path}", one_model),
            *more,
        ],
        exception_handlers={404: not_found, 405: not_allowed},
    )


def _endpoint(pages: Pages, page: Page, *, guarded: bool) -> Endpoint:
    async def answer(request: Request) -> Response:
        return (await _refusal(pages, request) if guarded else None) or JSONResponse(page())

    return answer


async def _refusal(pages: Pages, request: Request) -> Response | None:
    client = ":".join(map(str, request.client or ()))
    try:
        await pages.authorised(lambda name: request.headers.get(name.decode(), "").encode("latin-1") or None, client)
    except DragomanError as error:
        return Response(key_error(error), error.status_code, media_type="application/json")
    return None


def _error(status: int, message: str, code: str) -> Response:
    body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
    return JSONResponse(body, status_code=status)
