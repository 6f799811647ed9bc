"""The provider `demo`: no key, no network, no model. Its answers are a pure function of the request.

`plan(request)` gives a `Plan`; `plan.at(turn)` the `Script` of one answer: what to send, when, and how it ends. Who plays it
is not decided here: `transport.demo` does in this process, `dragoman demo-upstream` does on a socket. It is our mock
server as well, so it can be slow, fail, stall and talk nonsense when asked to (`settings.Settings`).

It speaks OpenAI's chat, embeddings, images and models, and Anthropic's messages. It never claims to be a model: every
answer carries the header `x-dragoman-demo: true`, and on the OpenAI wire `system_fingerprint: "demo"`.
"""

from dragoman.providers.demo.plan import MODELS, Plan, plan, refuse
from dragoman.providers.demo.script import Piece, Script
from dragoman.providers.demo.settings import Settings

__all__ = ["MODELS", "Piece", "Plan", "Script", "Settings", "plan", "refuse"]
