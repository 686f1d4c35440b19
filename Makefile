# Everything one does with this tree. `make help` lists it. The work itself is done by .ci/{setup,check,test}.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.PHONY: help setup check test fuzz ceremony bench chaos

# The variables each target takes on the command line; any other one is refused.
VARIABLES_ceremony := PARAMS N T OUT RESUME KEEP SEED ATTEST_DEMO
VARIABLES_bench := OUT
VARIABLES_chaos := RUNS N T SEED FIRST JOBS OUT
VARIABLES_fuzz := SECONDS TARGETS OUT
PARAMS ?= test
N ?= 13
T ?= 4
OUT ?= out
RUNS ?= 20
FIRST ?= 0
JOBS ?= 2
TARGETS ?=

given := $(foreach v,$(.VARIABLES),$(if $(findstring command,$(origin $v)),$v))
taken := $(foreach goal,$(MAKECMDGOALS),$(VARIABLES_$(goal)))
unknown := $(filter-out $(taken),$(given))
ifneq ($(unknown),)
$(error unknown variable $(unknown) for `make $(MAKECMDGOALS)`: it takes $(or $(strip $(taken)),none), see `make help`)
endif

help:
	@echo 'make ceremony   run a whole key generation on this machine, one process a party; builds what is missing'
	@echo '                  PARAMS=test|core|production  parameter set (test)'
	@echo '                  N=13 T=4                     parties and threshold, N = 3T+1, T in 1..4'
	@echo '                  OUT=out                      where the results go: absent, empty, or RESUME=1'
	@echo '                  RESUME=1                     carry on with an unfinished run in OUT'
	@echo '                  KEEP=1                       leave the nodes running afterwards'
	@echo '                  SEED=text                    run reproducibly, for tests only'
	@echo '                  ATTEST_DEMO=modified-code    the last party runs changed code: the others refuse it'
	@echo 'make test       all tests but the long ones; builds what is missing'
	@echo 'make check      format, lint, types, layers, generated code; seconds when warm'
	@echo 'make bench      measure kernel, wire and ceremony, write OUT/bench.json'
	@echo 'make fuzz       run every decoder of outside bytes under a coverage-guided fuzzer; 1 if an input breaks one'
	@echo '                  SECONDS=60                   for all targets together, on all cores'
	@echo '                  TARGETS=a,b                  only these (all)'
	@echo '                  OUT=out                      the corpus is kept in OUT/fuzz and built upon'
	@echo 'make chaos      seeded faults on real processes: kills, stops, partitions, liars; the table of all runs so far'
	@echo '                  RUNS=20 FIRST=0 SEED=1       run r follows SEED:r; FIRST=r RUNS=1 repeats one'
	@echo '                  N=4 T=1                      parties and threshold'
	@echo '                  JOBS=2                       runs at a time'
	@echo '                  OUT=out                      OUT/chaos.json grows by a line a run'
	@echo 'make setup      only build: .venv from requirements.lock, kernel, bridge'

setup:
	@.ci/setup

check: setup
	@.ci/check

test: setup
	@.ci/test

ceremony: setup
	@.venv/bin/dkg-software run-local --params '$(PARAMS)' --parties '$(N)' --threshold '$(T)' --out '$(OUT)' \
	  $(if $(filter-out 0,$(RESUME)),--resume) $(if $(filter-out 0,$(KEEP)),--keep) $(if $(SEED),--seed '$(SEED)') \
	  $(if $(ATTEST_DEMO),--adversary '$(N)=$(ATTEST_DEMO)')

bench: setup
	@.venv/bin/dkg-software bench --out '$(OUT)/bench.json'

chaos: N = 4
chaos: T = 1
chaos: setup
	@.venv/bin/dkg-software chaos --runs '$(RUNS)' --first '$(FIRST)' --parties '$(N)' --threshold '$(T)' \
	  --seed '$(or $(SEED),1)' --jobs '$(JOBS)' --results '$(OUT)/chaos.json'

fuzz: setup
	@.ci/fuzz --seconds '$(or $(SECONDS),60)' --targets '$(TARGETS)' --out '$(OUT)'
