# Every target works from a fresh checkout with Python 3.11+. A C compiler makes the proxy faster, none is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
DEV_STAMP := $(VENV)/.stamp-dev
JOBS ?= logical

.PHONY: venv demo test check bench behaviours fields envtest h2spec tls-scan format schema clean help

help: ## what the targets do
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml setup.py workers/http1/_heads.c
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(DEV_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,peers,redis,http3]'
	touch $@

venv: $(DEV_STAMP) ## .venv with everything that tests and benchmarks need

demo: $(STAMP) ## start the embedded demo and print a curl line that works
	$(BIN)/pointsman demo

test: $(DEV_STAMP) ## the whole suite, in parallel
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup

check: $(DEV_STAMP) ## ruff, mypy, import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV_STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(DEV_STAMP) ## the essential benchmarks beside the peers that are installed; about five minutes
	$(BIN)/python -m benchmarks.http1 --rounds 3 --seconds 2
	$(BIN)/python -m benchmarks.http1 --rounds 3 --seconds 2 --only pointsman,traefik --new-connections
	$(BIN)/python -m benchmarks.http2 --rounds 3 --seconds 2
	$(BIN)/python -m benchmarks.tls --rounds 2 --seconds 2 --idle 500
	$(BIN)/python -m benchmarks.websocket --rounds 3 --seconds 2
	$(BIN)/python -m benchmarks.workers --rounds 2 --seconds 2
	$(BIN)/python -m benchmarks.propagation --routes 1000 --changes 10

behaviours: $(DEV_STAMP) ## which numbered behaviours have a passing test
	$(BIN)/python -m tests.behaviours

fields: $(DEV_STAMP) ## write the table of docs/fields.md anew
	$(BIN)/python -m tests.fields --write

schema: $(DEV_STAMP) ## write etc/kubernetes/crds from the structs
	$(BIN)/python -m provider.resources.schema etc/kubernetes/base/crds

envtest: $(DEV_STAMP) ## provider tests against a real kube-apiserver and etcd (needs Go and etcd)
	KUBEBUILDER_ASSETS="$$(tests/apiserver/build.sh | tail -n 1)" $(BIN)/python -m pytest -m envtest -rs

tls-scan: $(DEV_STAMP) ## what testssl.sh and sslyze find in our TLS and in the original's; minutes
	$(BIN)/python -m tests.tls_scan

h2spec: $(DEV_STAMP) ## the conformance test of HTTP/2 (needs Go)
	POINTSMAN_H2SPEC="$$(tests/h2spec/build.sh | tail -n 1)" $(BIN)/python -m pytest -m h2spec -rs

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache
