# `make rehearse` and `make test` set up whatever they need; nothing else has to be installed by hand.
.DEFAULT_GOAL := help
.PHONY: help setup rehearse bench-switch bench-verify bench-watch soak faults lab lab-down estate preview test check docs lock

PYTHON3 ?= python3
# The setup prints its progress on stderr and the virtual environment's python on stdout.
PYTHON = $(eval PYTHON := $(or $(shell $(PYTHON3) -m lab.setup --print-python),$(error setup did not finish)))$(PYTHON)

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1|/' | column -t -s '|'

setup: ## install and build what is missing, into a cache outside the clone
	@$(PYTHON3) -m lab.setup

rehearse: ## the whole migration on this machine; PLAN= BEFORE= UNTIL= THEN=rollback KILL=n SWITCH=armed|restart WITHOUT=part SEED= RATE= WATCH=port ENGINE=official|lab OUT=
	@$(PYTHON) -m lab rehearse

bench-switch: ## how long requests wait while the database is switched, many times over: out/bench/switch.json
	@$(PYTHON) -m lab bench-switch

bench-verify: ## rows a second of the verification beside other tools: out/bench/verify.json
	@$(PYTHON) -m lab bench-verify

bench-watch: ## whether 20 open pages of `cutover watch` cost the switch anything: out/bench/watch.json
	@$(PYTHON) -m lab bench-watch

soak: ## switches there and back while everybody writes, each write looked up: out/soak/report.json; DURATION= RATE= SEED= WRITES=
	@$(PYTHON) -m lab soak

faults: ## everything that may go wrong, many times: prints the fault table, out/faults/report.json; SEEDS= SEED=
	@$(PYTHON) -m tests.faults $(if $(SEED),--seed $(SEED)) $(if $(SEEDS),--seeds $(SEEDS))

lab: ## a lab that stays, to be worked with by hand; PLAN=boss-corestone|rhoam WATCH=port
	@$(PYTHON) -m lab up

lab-down: ## end it
	@$(PYTHON) -m lab down

estate: ## every stack of both environments up, previewed, refreshed and destroyed; out/estate/report.json
	@$(PYTHON) -m lab estate

preview: ## what `pulumi up` of every stack of ENV= would change, for a review: out/preview/<stack>.md and .json
	@$(PYTHON) -m stacks.review --environment $(or $(ENV),prod)

check: ## formatting, lint, types and who may import whom
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m mypy --cache-dir $(dir $(PYTHON))../mypy .
	@PYTHONPATH=. $(dir $(PYTHON))lint-imports

test: check ## everything: the checks, the unit tests and the tests in the lab
	@$(PYTHON) -m pytest -n 2 -m "not lab"
	@$(PYTHON) -m pytest -m lab --dist loadfile --no-loadscope-reorder \
		--tx "2*popen//python=$(PYTHON) -m lab.world -- $(PYTHON)" tests/lab tests

docs: ## write again what docs/ has from the code: settings, controls, costs, commands, metrics
	@$(PYTHON) -m stacks.settings.reference docs/settings.md
	@$(PYTHON) -m tests.policy.evidence docs/controls.md
	@$(PYTHON) -m tests.docs.costs docs/first-preview.md
	@$(PYTHON) -m cutover.reference docs/commands.md
	@$(PYTHON) -m cutover.measure.metrics docs/metrics.md

lock: ## renew requirements.lock from requirements.in
	@$(PYTHON) -m uv pip compile -q --universal --python-version 3.11 --generate-hashes --upgrade --no-header requirements.in -o requirements.lock
