# Every target that a user calls has its help behind '##'; `make` alone prints them.

PYTHON ?= python3
COMPOSE ?= docker compose
VENV ?= .venv
BIN := $(VENV)/bin
PACKAGES := proto services/flowcontrol services/servicekit services/stockfeed services/server services/client services/market .
WINDOW_BYTES ?= 65535
TESTS ?=
TEST_WORKERS ?= 4

.DEFAULT_GOAL := help
.PHONY: help setup certs sbom audit demo demo-policies verify scenario-fast scenario-slow snapshot test test-repeat test-churn lint proto lock up down server client client-random-processing-time obs obs-stop compose-answers dashboards rules k8s-rules k8s-smoke kind-up kind-down images tools bench bench-isolation window-age chaos wheel test-wheel docs

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  \033[1m%-34s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/ready ## Install everything into .venv, from pinned and hashed requirements

$(VENV)/ready: requirements/dev.txt pyproject.toml proto/pyproject.toml $(wildcard services/*/pyproject.toml)
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "make setup: PYTHON=$(PYTHON) must be Python 3.11 or newer with venv (on Debian: apt install python3-venv)" >&2; exit 2; }
	@echo "Setting up $(VENV), once; this takes about a minute"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(addprefix -e ./,$(PACKAGES))
	@touch $@

demo: $(VENV)/ready ## Prove it all in a minute, without Docker; WINDOW_BYTES=16384 or any other
	@$(BIN)/lab demo --window-bytes $(WINDOW_BYTES)

up: compose-answers ## Run everything through Compose, in the background, and print the addresses; SERVICES="server client"
	@COMPOSE='$(COMPOSE)' SERVICES='$(SERVICES)' scripts/up.sh
	@$(addresses)

down: compose-answers ## Stop everything that runs through Compose; its data stays (docker compose down -v removes it)
	@$(COMPOSE) down

server: compose-answers ## Run the server through Compose, until Ctrl-C
	@$(COMPOSE) up --build --no-deps server

client: compose-answers ## Run a client that keeps up, through Compose, until Ctrl-C
	@$(COMPOSE) up --build --no-deps client

client-random-processing-time: compose-answers ## Run a client that takes 1, 2 or 3 s for an update
	@$(COMPOSE) build client
	@$(COMPOSE) up --no-deps slow-client

obs: compose-answers ## Run Prometheus, Grafana and its renderer in the background, and print the addresses
	@COMPOSE='$(COMPOSE)' SERVICES='prometheus grafana renderer' scripts/up.sh
	@$(addresses)

obs-stop: compose-answers ## Stop Prometheus, Grafana and its renderer; Prometheus' data stays
	@$(COMPOSE) rm --stop --force prometheus grafana renderer renderer-token

addresses = for at in grafana:3000:d/backpressure prometheus:9090:; do \
	  service=$${at%%:*} path=$${at\#\#*:} port=$${at\#*:}; \
	  address=$$($(COMPOSE) port $$service $${port%:*} 2>/dev/null) && printf '  %-12s http://%s/%s\n' $$service $$address $$path; \
	done; true

compose-answers:
	@$(COMPOSE) version >/dev/null 2>&1 || \
	  { echo "make $(MAKECMDGOALS): '$(COMPOSE)' is not there; install Docker with its Compose plugin" >&2; exit 2; }
	@$(COMPOSE) ls --quiet >/dev/null 2>&1 || \
	  { echo "make $(MAKECMDGOALS): Docker is installed, but its engine does not answer; is it started?" >&2; exit 2; }

demo-policies: $(VENV)/ready ## Prove what each policy for slow consumers costs, without Docker
	@$(BIN)/lab demo-policies

verify: $(VENV)/ready ## Prove it on the running stack, from Prometheus; LAB_VERIFY_PROMETHEUS_URL=http://HOST:PORT
	@$(BIN)/lab verify

scenario-fast: $(VENV)/ready compose-answers ## Five minutes with a client that keeps up, on a fresh stack: verdict and pictures
	@$(BIN)/lab scenario fast

scenario-slow: $(VENV)/ready compose-answers ## Five minutes with a client that does not: sent stops at the predicted number
	@$(BIN)/lab scenario slow

snapshot: $(VENV)/ready ## Save the home dashboard and its panels as PNG; LAB_SNAPSHOT_THEME=dark and more (lab snapshot --help)
	@$(BIN)/lab snapshot

bench: $(VENV)/ready ## Measure the services beside bare grpcio in 10 minutes; BENCH=--quick; PEER=host:port for another server
	@$(BIN)/lab bench $(BENCH) $(if $(PEER),--peer $(PEER))

bench-isolation: $(VENV)/ready ## Measure a fast client beside up to 1,000 stalled ones, and what these cost the server
	@$(BIN)/lab bench-isolation

chaos: $(VENV)/ready ## Play all faults, in half an hour: kills, dead links, floods, bad input; ROWS="server-kill link-down" QUICK=1
	@$(BIN)/lab chaos $(ROWS) $(if $(QUICK),--quick)

window-age: $(VENV)/ready ## Draw how old a slow client's data is with windows of 16 KiB to 1 MiB
	@$(BIN)/lab window-age

certs: $(VENV)/ready ## Make certificates for development in certs/, for compose.tls.yaml; once more: new ones, of the same authority
	@$(BIN)/lab certs

# more workers than most machines have cores, for most tests wait most of the time
test: $(VENV)/ready ## Run all tests side by side; on another Python: make test VENV=.venv-3.13 PYTHON=python3.13
	@$(BIN)/pytest -n $(TEST_WORKERS) --no-loadscope-reorder $(TESTS)

test-repeat: $(VENV)/ready ## Run the flow control tests 100 times over
	@$(BIN)/pytest -m repeat services/flowcontrol/tests

test-churn: $(VENV)/ready ## Open and cancel streams at random for 30 s, then look for what is left over
	@CHURN_SECONDS=30 $(BIN)/pytest tests/policies/test_churn.py

lint: $(VENV)/ready ## Check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

proto: $(VENV)/ready ## Generate the Python code of the contract anew
	@cd proto && ../$(BIN)/python -m grpc_tools.protoc -I . --python_out=. --pyi_out=. --grpc_python_out=. stockservice/stock.proto

dashboards: $(VENV)/ready ## Compile the dashboards to the JSON that Grafana is provisioned from
	@cd obs && ../$(BIN)/python -m dashboards

rules: $(VENV)/ready ## Check and test the recording rules and alerts, with promtool or its image
	@$(BIN)/pytest tests/obs/test_rules.py

k8s-rules: $(VENV)/ready ## Generate the Prometheus Operator's rules anew from obs/prometheus/rules
	@$(BIN)/python k8s/scripts/generate_rules.py

k8s-smoke: $(VENV)/ready ## Try everything on the Kubernetes cluster that kubectl points at: apply, verify, scale, restart, delete
	@k8s/scripts/smoke.sh

kind-up: ## Make a Kubernetes cluster in Docker with kind, and run everything in it
	@k8s/scripts/kind_up.sh

kind-down: ## Remove the cluster that kind-up made
	@k8s/scripts/kind_down.sh

images: ## Build and push all images for amd64 and arm64: make images REGISTRY=ghcr.io/you TAG=1.0.0
	@REGISTRY='$(REGISTRY)' TAG='$(TAG)' k8s/scripts/images.sh

tools: $(VENV)/ready ## Build what tests run beside Python: Prometheus, promtool, kustomize, actionlint, nats-server; in minutes
	@tests/tools.sh .tools $(BIN)/python

# in an environment of its own: what lists and checks is no part of what is listed
.venv/supply/ready: $(VENV)/ready requirements/supply.txt
	@$(BIN)/python -m venv --clear .venv/supply
	@.venv/supply/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/supply.txt
	@touch $@

sbom: .venv/supply/ready ## List what the images and the lab are made of, as CycloneDX, in out/sbom/
	@mkdir -p out/sbom
	@for name in server client market dev; do \
	  project=$$([ $$name = dev ] && echo . || echo services/$$name)/pyproject.toml; \
	  .venv/supply/bin/cyclonedx-py requirements --pyproject $$project --output-reproducible --output-format JSON \
	    --output-file out/sbom/$$name.cdx.json requirements/$$name.txt 2>/dev/null || exit; \
	  echo "  out/sbom/$$name.cdx.json"; done

audit: .venv/supply/ready ## Ask whether a vulnerability is known of any package that is pinned; needs the network
	@for name in server client market build dev supply docs go; do \
	  echo "requirements/$$name.txt"; \
	  .venv/supply/bin/pip-audit --strict --progress-spinner off --disable-pip --require-hashes -r requirements/$$name.txt || failed=1; \
	done; exit $${failed:-0}

wheel: $(VENV)/ready ## Build the library for other projects: dist/flowcontrol-*.whl
	@rm -rf dist && $(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	  --wheel-dir dist ./services/flowcontrol && ls dist/*.whl

test-wheel: wheel ## Run all tests of the library against that wheel, in an environment without this checkout's packages
	@rm -rf $(VENV)/wheel && $(BIN)/python services/flowcontrol/tests/support/installed.py dist/*.whl $(VENV)/wheel
	@$(VENV)/wheel/bin/python -m pytest -n $(TEST_WORKERS) services/flowcontrol/tests

.venv/docs/ready: $(VENV)/ready requirements/docs.txt
	@$(BIN)/python -m venv --clear .venv/docs
	@.venv/docs/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/docs.txt
	@touch $@

docs: .venv/docs/ready ## Make the library's API reference of its docstrings: out/docs/index.html
	@PYTHONPATH=services/flowcontrol PYTHONWARNINGS=ignore .venv/docs/bin/pdoc --docformat markdown --no-show-source --output-directory out/docs \
	  flowcontrol flowcontrol.sync && echo "  out/docs/index.html"

lock: $(VENV)/ready ## Pin all requirements anew, with hashes
	@$(BIN)/python -m pip install --quiet uv
	@cd requirements && for name in dev server client market build supply docs go; do \
	  ../$(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-header \
	    $$name.in $$([ $$name = dev ] || [ $$name = supply ] || echo -c dev.txt) -o $$name.txt || exit; done
