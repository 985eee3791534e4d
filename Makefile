# Two commands for a fresh machine: `make demo` and `make test`. Each sets up what it needs; a second run starts at once.
BIN := .venv/bin

.PHONY: demo gui test lint bench-levin clean

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
	$(BIN)/pytest

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf .venv demo build dist
