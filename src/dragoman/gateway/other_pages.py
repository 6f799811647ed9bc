"""The Starlette app behind the route table: patterns in paths, HEAD, and a helpful answer for what is nowhere.

Imported when the first such request comes, by `app`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dragoman.core.errors import DragomanError
from dragoman.gateway import model_pages
from dragoman.gateway.model_pages import Header
from dragoman.gateway.pages import OwnPage, Page, Pages, key_error

if TYPE_CHECKING:
    from dragoman.gateway.governance.identity import Identity

Endpoint = Callable[[Request], Awaitable[Response]]


def starlette_app(pages: Pages, inference: Mapping[str, tuple[str, ...]], more: Iterable[Route] = ()) -> Starlette:
    """`inference`: a path that answers POST -> the ways it may be written, for the errors of requests that miss them.

    `more`: the routes of the admin API, where there is one.
    """
    posts = {spelling for ways in inference.values() for spelling in ways}

    def one_model(at: str) -> Route:
        async def answer(request: Request) -> Response:
            try:
                who = await _authorised(pages, request)
            except DragomanError as error:
                return _refused(error)
            name, header = request.path_params["name"], _header(request)
            found = pages.model(name, who, model_pages.gemini if at == "/v1beta/models" else model_pages.shape(header))
            if found is None:
                return _error(404, f"no model is called {name!r}; GET {at} lists them", "model_not_found")
            return JSONResponse(found)

        return Route(at + "/{name:path}", answer)

    async def not_found(request: Request, problem: Exception) -> Response:
        if request.url.path in posts:
            return await not_allowed(request, problem)
        paths = ", ".join(f"POST {path}" for path in inference)
        return _error(404, f"nothing is at {request.method} {request.url.path}; there are {paths}, GET /v1/models", "not_found")

    async def not_allowed(request: Request, _: Exception) -> Response:
        return _error(405, f"{request.method} is not allowed at {request.url.path}", "method_not_allowed")

    return Starlette(
        routes=[
            *(Route(path, _shown(page)) for path, page in pages.open.items()),
            *(Route(path, _guarded(pages, page)) for path, page in pages.guarded.items()),
            *map(one_model, pages.guarded),
            *more,
        ],
        exception_handlers={404: not_found, 405: not_allowed},
    )


def _shown(page: Page) -> Endpoint:
    async def answer(_: Request) -> Response:
        return JSONResponse(page())

    return answer


def _guarded(pages: Pages, page: OwnPage) -> Endpoint:
    async def answer(request: Request) -> Response:
        try:
            who = await _authorised(pages, request)
        except DragomanError as error:
            return _refused(error)
        return JSONResponse(page(who, _header(request)))

    return answer


async def _authorised(pages: Pages, request: Request) -> Identity | None:
    return await pages.authorised(_header(request), ":".join(map(str, request.client or ())))


def _header(request: Request) -> Header:
    return lambda name: request.headers.get(name.decode(), "").encode("latin-1") or None


def _refused(error: DragomanError) -> Response:
    return Response(key_error(error), error.status_code, media_type="application/json")


def _error(status: int, message: str, code: str) -> Response:
    body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
    return JSONResponse(body, status_code=status)
