# make demo    the main job, answered by the local model, in an environment of its own
# make test    every test (sets up what it needs)
# make lint    the guards of the house
# make instructions   instruction counts of the hot path, against those kept
# make bench   figures beside nginx and other gateways
# make providers   docs/providers.md made again from the table
# make catalog models and prices made again from the price packages; the diff is what moved
# make lock    renew the lock files after a change of pyproject.toml
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test lint instructions bench catalog providers lock setup clean

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

test: setup $(VENV)-langchain/.ready
	$(BIN)/dragoman local pull
	$(BIN)/python -m pytest -n 2 --dist loadgroup --ignore tests/langchain
	$(VENV)-langchain/bin/python -m pytest -n 2 -p no:asyncio tests/langchain

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

instructions: setup
	$(BIN)/python bench/instructions.py

bench: setup
	$(BIN)/python bench/run.py

catalog: setup
	$(BIN)/python tools/catalog_seed.py
	git --no-pager diff --stat -- src/dragoman/catalog docs/price-disagreements.md

providers: setup
	$(BIN)/python tools/providers_page.py $(or $(DRAGOMAN_RECORDINGS),../shared/recordings)/index.jsonl

lock: setup
	tools/lock.sh $(BIN)

clean:
	rm -rf $(VENV) $(VENV)-langchain .demo .bench
