# Every target sets up .venv by itself; a second call reuses it. `make` alone lists the targets.

PYTHON ?= python3
CORES ?= all

BIN := .venv/bin
STAMP := .venv/.installed
RULES := Snakefile rules
UV := $(BIN)/uv
PIP := $(BIN)/python -m pip install --no-cache-dir --no-deps --require-hashes
COMPILE := $(UV) pip compile --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-annotate --no-emit-package triton

# Snakemake, matplotlib and torch keep caches in HOME, which some clusters mount read-only.
ifneq ($(shell test -d "$$HOME" && test -w "$$HOME" && echo yes),yes)
export XDG_CACHE_HOME ?= $(CURDIR)/.snakemake/cache
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help env slurm demo test units e2e survival lint format docs lock reproduce clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

env: $(STAMP) ## create .venv from requirements.lock (5 GB)

# uv installs in half of pip's time, but does not read pip's configuration (mirrors, certificates):
# where that matters, pip takes over. Both check every hash. Neither leaves a cache behind: on a
# cluster five gigabytes in HOME can exceed its quota. Both compile to bytecode: each job is a
# process of its own, and without it one that needs PyTorch and timm took 12 s longer to start.
# The lock is whole but for triton, PyTorch's compiler for GPUs (0.7 GB), which nothing here calls:
# hence --no-deps.
$(STAMP): requirements.lock envs/uv.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("segxai needs Python 3.11 \
	or newer and $(PYTHON) is " + sys.version.split()[0] + ": run make PYTHON=python3.11 env.")'
	rm -rf .venv
	$(PYTHON) -m venv .venv
	$(PIP) --quiet -r envs/uv.txt \
	&& $(UV) pip install --cache-dir .venv/.cache --python $(BIN)/python --compile-bytecode \
		--no-deps --require-hashes -r requirements.lock \
	|| $(PIP) -r requirements.lock
	@rm -rf .venv/.cache
	@touch $@

slurm: env ## add Snakemake's Slurm plugin to .venv (docs/clusters.md)
	$(PIP) --quiet -r envs/slurm.txt

demo: env ## run the whole study on built-in phantoms, on the CPU, in minutes
# Its networks are small: several jobs share what one of the full study has for itself.
	$(BIN)/snakemake --cores $(CORES) --resources gpu=4 \
		--configfile config/overlays/demo.yaml --directory demo
	@echo "The report is $(CURDIR)/demo/results/report.html"

# The demo leaves parts of two cores free: the other tests run beside it.
test: lint ## run the linters, then the unit, hostile, workflow and demo tests
	$(MAKE) --jobs 2 units e2e

units: env
	$(BIN)/python -m pytest -n 1 tests/unit tests/hostile tests/workflow

e2e: env
	$(BIN)/python -m pytest tests/e2e

survival: env ## kill the reduced demo 20 times and continue it; takes 15 to 60 minutes
	$(BIN)/python -m pytest -s tests/survival

lint: env ## check style without changing anything
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/snakefmt --check $(RULES)
	$(BIN)/codespell
	$(BIN)/snakemake --lint

format: env ## put every file into the house style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/snakefmt $(RULES)

docs: env ## write config/README.md anew from the schema and the methods
	$(BIN)/python -m segxai.workflow.manual > config/.README.new
	mv config/.README.new config/README.md

lock: env ## resolve requirements.in into requirements.lock
	$(COMPILE) --upgrade requirements.in -o requirements.lock
	echo uv==0.13.8 | $(COMPILE) - -o envs/uv.txt
	printf 'snakemake-executor-plugin-slurm%s\n' ==2.8.0 -jobstep==0.6.1 \
		| $(COMPILE) --no-deps - -o envs/slurm.txt

reproduce: env ## run the full study into results/
	$(BIN)/snakemake --cores all --resources gpu=1

clean: ## remove the demo, logs and caches; keep results/ and .venv
	rm -rf demo logs .snakemake/log .pytest_cache .ruff_cache .hypothesis
	find . -path ./.venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
