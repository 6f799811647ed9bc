# make demo    the main job, answered by the local model, in an environment of its own
# make test    every test (sets up what it needs)
# make schemathesis   the gateway held to its OpenAPI documents
# make lint    the guards of the house
# make instructions   instruction counts of the hot path, against those kept
# make soak    200 kills under load, 9,000 open streams, a million keys
# make bench   figures beside nginx and other gateways
# make providers   docs/providers.md made again from the table
# make catalog models and prices made again from the price packages; the diff is what moved
# make lock    renew the lock files after a change of pyproject.toml
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test schemathesis lint instructions bench soak catalog providers lock setup clean

setup: $(VENV)/.ready

$(VENV)/.ready: requirements/dev.lock pyproject.toml tools/environment.sh
	tools/environment.sh $(VENV) requirements/dev.lock
	touch $@

demo:
	tools/environment.sh .demo/venv requirements/demo.lock
	.demo/venv/bin/python examples/demo.py

# LangChain's standard tests bring pytest plugins of their own, so the classes for it are tested where those are.
$(VENV)-langchain/.ready: requirements/langchain.lock pyproject.toml tools/environment.sh
	tools/environment.sh $(VENV)-langchain requirements/langchain.lock
	touch $@

# The real litellm, over whose Router two of those classes stand as well.
LITELLM := $(CURDIR)/$(VENV)-litellm
$(LITELLM)/.ready: requirements/litellm.lock pyproject.toml tools/environment.sh
	tools/environment.sh $(LITELLM) requirements/litellm.lock
	touch $@

# The official GPTRouter clients, which the gateway's face is tried with.
CLIENTS := $(CURDIR)/$(VENV)-gptrouter
$(CLIENTS)/.ready: tools/gptrouter_clients.sh | setup
	mkdir -p $(CLIENTS)
	tools/gptrouter_clients.sh $(CLIENTS) $(BIN)
	touch $@

# The helm that renders the chart of deploy/helm.
HELM := $(CURDIR)/$(VENV)-helm/helm
$(HELM): tools/helm.sh
	tools/helm.sh $(dir $@)

test: setup $(VENV)-langchain/.ready $(LITELLM)/.ready $(CLIENTS)/.ready $(HELM)
	$(BIN)/dragoman local pull
	HELM=$(HELM) LITELLM_PYTHON=$(LITELLM)/bin/python \
	  GPTROUTER_PYTHONS=$$(ls -d $(CLIENTS)/*/bin/python 2>/dev/null | tr '\n' ':') \
	  $(BIN)/python -m pytest -n 2 --dist loadgroup --ignore tests/langchain
	$(VENV)-langchain/bin/python -m pytest -n 2 -p no:asyncio tests/langchain

$(VENV)-schemathesis/.ready: requirements/schemathesis.lock | setup
	$(BIN)/python -m venv $(VENV)-schemathesis
	$(BIN)/uv pip install --quiet --python $(VENV)-schemathesis/bin/python --require-hashes -r $<
	touch $@

schemathesis: export SCHEMATHESIS = $(CURDIR)/$(VENV)-schemathesis/bin/schemathesis
schemathesis: setup $(VENV)-schemathesis/.ready
	$(BIN)/python -m pytest -n 2 -k schemathesis tests/gateway/test_admin_openapi.py tests/gateway/test_gptrouter_openapi.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

instructions: setup
	$(BIN)/python bench/instructions.py

bench: setup
	$(BIN)/python bench/run.py

soak: setup
	$(BIN)/python bench/crash.py --kills 200
	$(BIN)/python bench/scale.py streams
	$(BIN)/python bench/scale.py keys

catalog: setup
	$(BIN)/python tools/catalog_seed.py
	git --no-pager diff --stat -- src/dragoman/catalog docs/price-disagreements.md

providers: setup
	$(BIN)/python tools/providers_page.py $(or $(DRAGOMAN_RECORDINGS),../shared/recordings)/index.jsonl

lock: setup
	tools/lock.sh $(BIN)

clean:
	rm -rf $(VENV) $(VENV)-* .demo .bench
