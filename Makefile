# Everything starts here; the first call of any target makes the environment in .venv.
PYTHON ?= python3
NAME ?= quick
PRESET ?= strict
# Columns of `make experiments`: results of a row as report/summary.json calls them, and the sections of params.yaml.
KEEP ?= clean|mean_radius\.linf
SECTIONS := data|model|training|rows|teachers|at|jr|ir|saliency|threshold|permute|evaluation|threats|attacks|own_attacks|transfer|gradients|report
SHELL := /bin/bash
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help env repro parallel plots experiments test numeric slow lint scale preset audit beyond matched benchmark reference lock clean
.DEFAULT_GOAL := help

help:  ## Say what there is
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

env: .venv/ready  ## Make the environment: Python packages as pinned in requirements.lock, installed with uv

.venv/ready: requirements.lock
	test -x .venv/bin/uv || { $(PYTHON) -m venv .venv && .venv/bin/python -m pip install --quiet uv; }
	uv pip sync --quiet --compile-bytecode --python .venv/bin/python requirements.lock
	python -m tools.plots
	touch $@

# Unbuffered, or what DVC says would stand behind what its stages say; the exit status is that of DVC.
repro: export PYTHONUNBUFFERED = 1
repro: env  ## Rebuild everything that is out of date, from raw images to the report; keep a log in .logs and say what was done
	@python -m stages.check_params
	@mkdir -p .logs && log=.logs/repro-$$(date +%Y%m%d-%H%M%S) && SECONDS=0 && set -o pipefail && \
	{ STAGE_TIMES="$$PWD/$$log.jsonl" dvc repro 2>&1 | tee $$log.log; status=$$?; } ; echo ; \
	python -m tools.summary $$log.log --times $$log.jsonl --seconds $$SECONDS ; exit $$status

parallel: env  ## The same with many stages at a time, on all cores or WORKERS of them; docs/how-to/run-in-parallel.md
	python -m tools.parallel $(if $(WORKERS),--workers $(WORKERS)) $(TARGETS)

plots: env  ## Draw training and robustness curves of the workspace, on a page that needs no network
	@python -m tools.plots
	dvc plots show

experiments: env  ## A short table of all experiments: changed parameters and a few results; KEEP=<pattern> for others, SORT=<column>
	@COLUMNS=200 dvc exp show --only-changed $(if $(SORT),--sort-by $(SORT) --sort-order desc) \
	--drop '(?!Experiment$$|seeds$$|preset$$|($(SECTIONS))\.|[^.]+\.($(KEEP))$$).*'

test: env lint  ## Lint, types and tests
	python -m pytest -n 2 --dist worksteal

numeric: env  ## The tests that compute with torch, for instance as on an older processor: ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 make numeric
	python -m pytest -n 2 --dist worksteal -m "numeric and not walk and not cluster" tests

slow: env  ## What make test leaves out: every page of the documentation followed to its end, and runs on Ray (some minutes)
	python -m pytest -n 2 --dist worksteal -m "walk or cluster" tests

lint: env
	ruff check lib stages tests tools benchmarks
	ruff format --check lib stages tests tools benchmarks
	mypy --num-workers 2

scale: env  ## Choose a parameter set: make scale NAME=quick | tiny | mnist_cpu | mnist | cifar10 | cifar10_small, with PRESET=strict | paper
	python -m tools.scale $(NAME) --preset $(PRESET)

preset: env  ## Set every switch between the paper's code and its text: make preset NAME=strict | paper
	python -m tools.preset $(NAME)

audit: env  ## Turn one switch at a time from preset strict, measure what changes, and put it into the report (half an hour)
beyond: env  ## Train what the paper left out: norm against direction, distillation, other targets, nulls, activations
matched: env  ## Give every method the same validation loss, by a search for its strength

# What .dvcignore hides, DVC asks nobody for; a study that is run comes into view.
audit beyond matched:
	@sed -i '\#^/studies/dvc.yaml#d; \#^/studies/$@/#d' .dvcignore
	python -m tools.parallel $(if $(WORKERS),--workers $(WORKERS)) studies/$@/dvc.yaml
	python -m tools.publish $@
	dvc repro

benchmark: env  ## Rebuild everything in a fresh clone with an empty cache and print where the time went
	python -m tools.benchmark

reference: env  ## Pages of every module, class and function of lib, stages and tools, from their docstrings, in .reference
	python -m pdoc --docformat google --output-directory .reference lib stages tools 2> /dev/null

lock:  ## Resolve pyproject.toml anew into requirements.lock (needs uv)
	uv pip compile pyproject.toml --group dev --python-version 3.11 --no-emit-index-url --no-header --quiet -o requirements.lock

clean:  ## Remove results of rows that params.yaml no longer has, and whatever else the pipeline did not write
	git clean -fdXq models results data/maps data/targets report
	dvc checkout dvc.yaml
