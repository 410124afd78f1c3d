# The two commands of the README are `make demo` and `make test`; everything they need comes from here.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check serve bench chaos soak fuzz sbom audit clean

demo: $(VENV)/.demo
	$(BIN)/pingshao demo

test: $(VENV)/.test
	$(BIN)/python -m pytest -n 3 --dist worksteal --cov --cov-report=term --cov-fail-under=95

check: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Two services on one store, killed fifty times amid bad providers; some ten minutes a store.  make chaos SEED=7
chaos: $(VENV)/.test
	$(BIN)/python tests/chaos.py --store sqlite $(if $(SEED),--seed $(SEED))
	$(BIN)/python tests/chaos.py --store postgresql $(if $(SEED),--seed $(SEED))

# A simulated week of one service, some ten minutes; store, samples and plot in OUT.  make soak OUT=/tmp/soak PACE=0.3
soak: $(VENV)/.test
	$(BIN)/python tests/soak.py $(if $(OUT),--out $(OUT)) $(if $(PACE),--pace $(PACE))

# Two services and three workers on PostgreSQL, each killed ten times during 50,000 feedbacks; some ten minutes.
# make chaos-workers SEED=7 FEEDBACKS=2000 KILLS=2
chaos-workers: $(VENV)/.test
	$(BIN)/python tests/chaos_workers.py --feedbacks $(or $(FEEDBACKS),50000) --kills $(or $(KILLS),10) \
		$(if $(SEED),--seed $(SEED))

# Every parser of outside input, ten minutes each (or: make fuzz SECONDS=60 NAMES="pages wecom"); ends badly on a finding
fuzz: $(VENV)/.fuzz
	$(BIN)/python tests/fuzzing.py --seconds $(or $(SECONDS),600) $(NAMES)

# What a release is made of, for who runs it; and whether a hole is known in any of it, where osv.dev can be asked
sbom: $(VENV)/.test
	@mkdir -p dist
	$(BIN)/python tests/supply.py sbom dist/pingshao.cdx.json

audit: $(VENV)/.test
	$(BIN)/python tests/supply.py audit

serve: $(VENV)/.demo
	$(BIN)/pingshao serve

clean:
	rm -rf $(VENV) var .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "需要 Python 3.11 或更新：make PYTHON=python3.11 …"; exit 1; }
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { \
		rm -rf $(VENV); \
		echo "这台机器的 Python 没有 venv，安装 Debian 的 python3-venv"; \
		if [ "$$(id -u)" = 0 ]; then apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null; \
		else sudo apt-get update -qq && sudo apt-get install -y -qq python3-venv >/dev/null; fi && \
		$(PYTHON) -m venv $(VENV); }

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/pip
	$(BIN)/pip install -q -c constraints.txt -e .
	@touch $@

$(VENV)/.fuzz: pyproject.toml constraints.txt | $(BIN)/pip
	$(BIN)/pip install -q -c constraints.txt -e '.[test,fuzz]'
	@touch $@ $(VENV)/.test $(VENV)/.demo

$(VENV)/.test: pyproject.toml constraints.txt | $(BIN)/pip
	$(BIN)/pip install -q -c constraints.txt -e '.[test]'
	@touch $@ $(VENV)/.demo
