"""A generation and the directory -> what is asked of whom: each candidate with its body in OpenAI's words, and the Call."""

from __future__ import annotations

from msgspec import Struct

from dragoman.core.chat import Warning
from dragoman.dialects.gptrouter.params import ChatBody, Manner, chat_body
from dragoman.dialects.gptrouter.requests import Candidate, Generation, Labels
from dragoman.dialects.openai_chat.reader import refuse
from dragoman.engine.call import Call, CallOptions
from dragoman.gateway.gptrouter.directory import Directory, Found
from dragoman.gateway.gptrouter.routing import Place, Wish, make_call
from dragoman.router.deployment import Deployment
from dragoman.router.policy import Policy


class Choice(Struct, frozen=True, kw_only=True):
    """A candidate that was found, with the body it is to be asked."""

    candidate: Candidate
    found: Found
    body: ChatBody


class Planned(Struct, frozen=True, kw_only=True):
    """`choices` in the order they are asked; `seconds` is the deadline of the whole call, None for none."""

    call: Call
    choices: tuple[Choice, ...]
    seconds: float | None = None

    def choice_of(self, deployment: Deployment) -> Choice:
        """Whose deployment it is; of candidates that share one, the first."""
        for choice in self.choices:
            if any(place.id == deployment.id for place in choice.found.deployments):
                return choice
        return self.choices[0]

    @property
    def warnings(self) -> tuple[Warning, ...]:
        return tuple(warning for choice in self.choices for warning in choice.body.warnings)

    def need_one_conversation(self) -> None:
        """Guardrails read one request: raises BadRequestError where candidates are to be asked different things."""
        first = self.choices[0].body.fields["messages"]
        for choice in self.choices:
            if choice.body.fields["messages"] != first:
                refuse(
                    f"{choice.candidate.path}.promptParams", "differs from that of the first candidate, and guardrails read one"
                )

    def labels(self, told: Labels) -> Labels:
        """What the request says of itself for the books, and what its first candidate's parameters say beside that."""
        return told.completed(self.choices[0].body.labels)

    def manner(self, deployment: Deployment) -> Manner:
        return self.choice_of(deployment).body.manner


def plan(generation: Generation, directory: Directory, policy: Policy, options: CallOptions) -> Planned:
    """Raises BadRequestError and NotFoundError, with the place in the request."""
    bodies: dict[int, ChatBody] = {}
    choices = []
    for candidate in generation.candidates:
        key = id(candidate.params)  # candidates that inherit share one object
        if key not in bodies:
            bodies[key] = chat_body(candidate.params, f"{candidate.path}.promptParams")
        choices.append(Choice(candidate=candidate, found=directory.find(candidate), body=bodies[key]))
    seconds = None if generation.timeout is None else generation.timeout / 1000
    wish = Wish(
        operation="chat",
        dialect="openai_chat",
        places=tuple(_place(choice) for choice in choices),
        stream=generation.stream,
        seconds=seconds,
        retries=generation.max_retries,
    )
    return Planned(call=make_call(wish, policy, options), choices=tuple(choices), seconds=seconds)


def _place(choice: Choice) -> Place:
    limit = choice.candidate.timeout
    return Place(found=choice.found, body=choice.body.fields, limit=None if limit is None else limit / 1000)
