# Two commands for a fresh machine: `make demo` and `make test`. Each sets up what it needs; a second run starts at once.
BIN := .venv/bin

.PHONY: demo gui test quick golden mutants speed compat lint docs clean

demo:
	@tools/setup demo
	@$(BIN)/genprior demo -o demo
	@if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ]; then echo "To open it in napari: make gui"; fi

gui:
	@tools/setup gui
	@[ -f demo/input.png ] || $(BIN)/genprior demo -o demo
	$(BIN)/napari -w napari-genprior Deblur -- demo/input.png

test: export OMP_NUM_THREADS := 1
test:
	@tools/setup test
	@$(MAKE) --no-print-directory lint
	$(BIN)/pytest -n auto --durations=25 $(ARGS)

quick: export OMP_NUM_THREADS := 1
quick: # what is tested in a minute
	@tools/setup test
	$(BIN)/pytest -n auto -m "not slow" $(ARGS)

golden: # the quality of every method, held to a record; accept a change with ARGS=--update-golden
	@tools/setup test
	$(BIN)/pytest tests/golden $(ARGS)

mutants: # small faults put into a copy of the package: does a golden case notice each?
	@tools/setup test
	$(BIN)/python tools/mutants

speed: # import time, speed and peak memory of this checkout
	@tools/setup test
	$(BIN)/pip install -q -c constraints.txt "asv>=0.6" virtualenv
	$(BIN)/asv machine --yes >/dev/null
	PATH="$(CURDIR)/$(BIN):$$PATH" OMP_NUM_THREADS=1 $(BIN)/asv run --quick --python=same --dry-run

compat: # the oldest and the newest versions that users may have
	tools/compat oldest
	tools/compat newest

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python benchmarks/make_tables.py --check

docs:
	@tools/setup docs
	xvfb-run -a -s "-screen 0 1280x900x24" $(BIN)/python docs/make_screenshots.py docs/images
	$(BIN)/python docs/make_gallery.py docs/images
	$(BIN)/sphinx-build -W -q docs docs/_build
	@echo "docs/_build/index.html"

clean:
	rm -rf .venv .venv-oldest .venv-newest demo build dist
