# Needs Python 3.11 or newer and make.  `make course` and `make test` set everything up by themselves.

PYTHON ?= python3
PRESET ?= smoke
JOBS ?= 2

# Which build of PyTorch, by the names of its download pages: cpu, cu130 ... Without a name it is the usual one, in which
# Linux gets CUDA, 5 GB, but for a Linux that shows no NVIDIA card. Whoever names a build gets that or none.
TORCH ?= $(if $(filter Linux,$(shell uname)),$(if $(shell command -v nvidia-smi),,cpu))
ELSE := $(if $(filter file,$(origin TORCH)),the usual one with CUDA comes instead,name another or leave TORCH out)

VENV := .venv
INSTALLED := $(VENV)/installed

.PHONY: help setup course site studio test lint lab clean

help:
	@echo 'make course   run every notebook, write pages to runs/course (PRESET=smoke, cpu or gpu)'
	@echo 'make site     the pages alone, to be published: runs/site (PRESET too)'
	@echo 'make studio   open the Mask Studio in the browser'
	@echo 'make test     run the tests (JOBS=4: by so many processes, not two)'
	@echo 'make lint     style, types, and notebooks without outputs'
	@echo 'make lab      open the notebooks in JupyterLab'
	@echo 'make setup    only install, into $(VENV) (PYTHON=python3.12 picks another Python, TORCH=cpu PyTorch without CUDA)'
	@echo 'make clean    remove $(VENV); what the course wrote under runs/ stays'

setup: $(INSTALLED)

# The stamp is written last: an interrupted installation is taken up again by the next call.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "Python 3.11 or newer is needed, but '$(PYTHON)' is older or missing:" \
	         "install one, or name it, as in: make setup PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@[ -z '$(TORCH)' ] || $(VENV)/bin/python -m pip install --no-deps --retries 1 --timeout 15 \
	    --index-url https://download.pytorch.org/whl/$(TORCH) \
	    $$(sed -nE 's/^torch(vision)?==.*/&+$(TORCH)/p' constraints.txt) || { \
	    echo "PyTorch's build '$(TORCH)' can't be had from its download pages: $(ELSE)" >&2; [ '$(origin TORCH)' = file ]; }
	$(VENV)/bin/python -m pip install --constraint constraints.txt --editable '.[test]'
	@touch $@

course: $(INSTALLED)
	$(VENV)/bin/python -m faceinpaint course --preset $(PRESET) --out runs/course

site: course
	$(VENV)/bin/python -m faceinpaint.course.publish runs/course runs/site
	du -sh runs/site

studio: $(INSTALLED)
	$(VENV)/bin/faceinpaint studio

# Pages are tested in a real browser: where there is none and we may, Debian's is installed; else the last line says
# what was not tested. Two processes share the tests: tests/sharing.py says which of them runs what.
test: $(INSTALLED)
	@if ! $(VENV)/bin/python tests/browsers.py && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq; \
	    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium || true; fi
	$(VENV)/bin/python -m pytest -q -n $(JOBS) --no-loadscope-reorder

lint: $(INSTALLED)
	$(VENV)/bin/ruff check faceinpaint tests notebooks
	$(VENV)/bin/ty check
	$(VENV)/bin/nbstripout --keep-id --verify notebooks/*.ipynb

# Its root is the clone, so that chapters may link to what lies beside their folder.
lab: $(INSTALLED)
	$(VENV)/bin/jupyter-lab --FileContentsManager.preferred_dir=notebooks

clean:
	rm -rf $(VENV) build faceinpaint.egg-info
