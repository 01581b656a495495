# Everything a fresh clone needs: `make demo`, `make test`, `make check`. Nothing has to be activated.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check docs wheel wheel-check format lint types bench bench-gpu bench-memory bench-systems results clean

demo: $(READY)
	$(BIN)/twincode study run --datasets GunPoint,ItalyPowerDemand \
		--recipes mixture,vqvae,bt-vqvae --axis bits=50,100,200 --seeds 1 \
		--steps 150 --batch-size 64 --projector-width 512 --evaluations 1 --workers 2 --out demo

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: lint types test

docs: $(VENV)/.docs
	OMP_NUM_THREADS=1 $(BIN)/sphinx-build -q -W --keep-going -b html docs docs/build

wheel: $(READY)
	rm -rf build
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

wheel-check: wheel
	$(BIN)/python -m benchmarks.wheel

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python -m benchmarks

bench-gpu: $(READY)
	$(BIN)/python -m benchmarks --device cuda

bench-memory: $(READY)
	$(BIN)/python -m benchmarks.memory

bench-systems: $(READY)
	$(BIN)/python -m benchmarks.systems

results: $(READY)
	$(BIN)/python -m benchmarks.results
	$(BIN)/python -m benchmarks.figures

clean:
	rm -rf $(VENV) build dist docs/build docs/jupyter_execute src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.docs: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	touch $@

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@
