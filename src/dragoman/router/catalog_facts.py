"""What the catalog knows of a deployment's model, in the router's words. Passed as `facts_of` to a `Policy`.

It decides nothing. A deployment whose name says nothing of its model (an Azure deployment, a server of one's own) names it in
model_info as `base_model`.
"""

from __future__ import annotations

from dragoman.catalog.lookup import current
from dragoman.catalog.records import Model
from dragoman.router.capability import KnownFacts
from dragoman.router.deployment import Deployment

_INPUTS = {"images": "image", "audio": "audio", "video": "video", "documents": "pdf"}
_ABILITIES = {"schema": "structured_output"}
"""Our word for an ability -> the catalog's, where it is another one."""


def facts_of(deployment: Deployment) -> KnownFacts | None:
    """None when the catalog does not know the model."""
    base = deployment.terms.info.get("base_model")
    found = current().find(base or deployment.target.model, None if base else deployment.target.provider.name)
    return None if found is None else known(found.model)


def known(model: Model) -> KnownFacts:
    """Kinds of input are facts only where the record lists any."""
    abilities = dict(model.abilities)
    abilities |= {ours: model.abilities[theirs] for ours, theirs in _ABILITIES.items() if theirs in model.abilities}
    if model.inputs:
        abilities |= {ours: theirs in model.inputs for ours, theirs in _INPUTS.items()}
    return KnownFacts(
        context_window=model.context_window,
        input_rate=model.price.rates.get("input"),
        output_rate=model.price.rates.get("output"),
        abilities=abilities,
    )
