# The few commands that everything starts from.
.DEFAULT_GOAL := build
.PHONY: setup build release simulator run test interop e2e besieged simulate fuzz-sql mutations soak interop-venv lint format bench architecture

PACKAGES := liburing-dev libsodium-dev libssl-dev liblz4-dev libsecp256k1-dev liblmdb-dev libsqlite3-dev \
	libboost1.81-dev libsimdjson-dev libtomlplusplus-dev libcsv-dev pkg-config unicode-data \
	python3 python3-venv python3-dev python3-cryptography libgmp-dev build-essential iproute2
# What only measuring needs. Debian's nginx package starts a web server of its own; the benchmark does not need that.
BENCH_PACKAGES := nginx-light wrk
APUS := .build/release/apus
SIMULATOR := .build/release/apus-sim

# Installs the Debian packages of a list that are missing.
install = dpkg -s $(1) >/dev/null 2>&1 || { \
	  SUDO=; [ "$$(id -u)" = 0 ] || SUDO=sudo; \
	  $$SUDO apt-get update && $$SUDO env DEBIAN_FRONTEND=noninteractive apt-get install -y $(1); }

setup:
	@$(call install,$(PACKAGES))

build: setup
	swift build

# The Swift runtime is part of the program.
release: setup
	swift build -c release --static-swift-stdlib --product apus

# The simulator is a program of its own: nothing of it is in the node.
simulator: setup
	swift build -c release --static-swift-stdlib --product apus-sim

# A leader, three validators and a sentry commit the Unicode Character Database. ARGS goes to `apus testnet`.
run: release
	@$(APUS) testnet $(ARGS)

# Runs unit tests; of those that fail, and only of them, shows what they said. The rest is in .build/test.log. A run that
# hangs is ended.
unit = timeout -k 10 1500 swift test --skip-build $(1) >.build/test.log 2>&1 || { \
	grep -A 8 '^✘' .build/test.log; tail -n 20 .build/test.log; exit 1; }; tail -n 1 .build/test.log

test: setup lint
	swift build --build-tests
	@$(call unit)
	@export APUS_REACTOR=epoll; $(call unit,--filter 'LibP2PTests|ProtocolsTests|NodeTests')
	$(MAKE) interop e2e fuzz-sql mutations simulate SEEDS=1-150

# py-libp2p speaks with real processes of this build, both ways (Tests/Interop).
interop: setup interop-venv
	swift build --product apus
	.venv/bin/python Tests/Interop/run.py .build/debug/apus $(ARGS)

# Networks of real processes: killed, restarted, misconfigured, and ten hosts in network namespaces with cut wires
# (Tests/EndToEnd; needs root). ARGS: words of the tests' names. LATE_BLOCKS=5000 makes a late sentry's chain longer.
e2e: release simulator
	/usr/bin/python3 Tests/EndToEnd/run.py $(APUS) $(ARGS)

# A network under load, with strangers of every kind at every node, for MINUTES (Tests/EndToEnd/besieged.py).
besieged: release
	/usr/bin/python3 Tests/EndToEnd/besieged.py $(APUS) $(MINUTES)

# Whole networks in one process with faults from SEEDS, and the named scenarios (docs/simulation.md). Two processes that run
# one seed must come to one trace. ARGS="--seed 7" runs that in place of all.
SEEDS ?= 1-300
ifdef ARGS
simulate: simulator
	@$(SIMULATOR) simulate $(ARGS)
else
simulate: simulator
	$(SIMULATOR) simulate --scenario all --seeds 1-2
	$(SIMULATOR) simulate --seeds $(SEEDS)
	$(SIMULATOR) simulate --seeds 1-5 --cheap-crypto
	@first=$$($(SIMULATOR) simulate --seeds 1-8 --jobs 1 | grep -o 'trace .*'); \
	second=$$($(SIMULATOR) simulate --seeds 1-8 --jobs 1 | grep -o 'trace .*'); \
	[ -n "$$first" ] && [ "$$first" = "$$second" ] || { echo "runs of one seed differ"; exit 1; }
endif

# SQL from seeds on two engines of different history (docs/simulation.md). ARGS="--seconds 3600" runs new seeds for an hour.
fuzz-sql: simulator
	$(SIMULATOR) fuzz-sql $(or $(ARGS),--seeds 1-80)

# Breaks the code in named ways; the simulator or fuzz-sql must notice each (Tests/Mutations). ARGS: words of the mutations' names.
mutations: setup
	python3 Tests/Mutations/run.py $(ARGS)

# New seeds for MINUTES, two hundred a process. A failure tells its seed.
MINUTES ?= 10
soak: simulator
	@end=$$(($$(date +%s) + 60 * $(MINUTES))); seed=$$(date +%s); \
	while [ $$(date +%s) -lt $$end ]; do \
	  $(SIMULATOR) simulate --seeds $$seed-$$((seed + 199)) || exit 1; seed=$$((seed + 200)); \
	done

interop-venv: .venv/interop
.venv/interop: Tests/Interop/requirements.txt
	python3 -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check -r Tests/Interop/requirements.txt
	touch $@

lint:
	swift format lint --strict -r Package.swift Sources Tests
	python3 Tests/Mutations/run.py --check
	python3 docs/architecture.py --check

# Draws the graph of the targets, with their main types, into docs/architecture.svg.
architecture:
	python3 docs/architecture.py

format:
	swift format -i -r Package.swift Sources Tests

# Figures beside their targets (perf/README.md).
bench: release
	@$(call install,$(BENCH_PACKAGES))
	/usr/bin/python3 perf/bench $(ARGS)
