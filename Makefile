# The project's commands.
.DEFAULT_GOAL := build
.PHONY: setup build release simulator run test sanitize sanitize-thread sanitize-address interop e2e besieged simulate fuzz-sql mutations soak growth e2e-growth interop-venv lint format bench profile architecture

PACKAGES := liburing-dev libsodium-dev libssl-dev liblz4-dev libsecp256k1-dev libsqlite3-dev \
	libboost1.81-dev libsimdjson-dev libtomlplusplus-dev libcsv-dev pkg-config unicode-data \
	python3 python3-venv python3-dev python3-cryptography libgmp-dev build-essential iproute2 systemd \
	libseccomp2 systemtap-sdt-dev linux-perf
# Needed only for end-to-end tests. Debian's package also starts a service, which the tests do not use.
E2E_PACKAGES := prometheus
# Needed only for benchmarks. Debian's nginx package also starts a web server, which the benchmark does not use.
BENCH_PACKAGES := nginx-light wrk
APUS := .build/release/apus
SIMULATOR := .build/release/apus-sim

# Installs the missing Debian packages of a list.
install = dpkg -s $(1) >/dev/null 2>&1 || { \
	  SUDO=; [ "$$(id -u)" = 0 ] || SUDO=sudo; \
	  $$SUDO apt-get update && $$SUDO env DEBIAN_FRONTEND=noninteractive apt-get install -y $(1); }

setup:
	@$(call install,$(PACKAGES))

build: setup
	swift build

# Links the Swift runtime statically.
release: setup
	swift build -c release --static-swift-stdlib --product apus

# The simulator is a separate program; the node contains nothing of it.
simulator: setup
	swift build -c release --static-swift-stdlib --product apus-sim

# A leader, three validators and a sentry commit the Unicode Character Database. ARGS: options of `apus testnet`.
run: release
	@$(APUS) testnet $(ARGS)

# Runs tests for at most so many seconds and shows the output of failures only. The rest is in a log below .build.
quietly = timeout -k 10 $(1) $(3) >.build/$(2).log 2>&1 || { \
	grep -A 8 -E '^✘|(WARNING|ERROR): [A-Za-z]+Sanitizer' .build/$(2).log; tail -n 20 .build/$(2).log; exit 1; }; \
	tail -n 1 .build/$(2).log
unit = $(call quietly,1500,test,swift test --skip-build $(1))

# The part of `make sanitize` for which `make test` has time: under AddressSanitizer, which includes LeakSanitizer, the
# suites of the code that parses or executes what strangers send, except those that fill large tables. It takes about seven
# minutes, four of which are the build.
SANITIZED := sanitize-address \
	ARGS="--filter '^(Bytes|Multiformats|JSON|CSV|HTTP|Crypto|Chain|Protocols|Execution)Tests' \
	--skip '(HeldAnnouncements|TransactionRequests)Tests|aBurstBeyondTheWindowArrives'"

test: setup lint
	swift build --build-tests
	@$(call unit)
	@export APUS_REACTOR=epoll; $(call unit,--filter 'LibP2PTests|ProtocolsTests|NodeTests')
	$(MAKE) $(SANITIZED)
	$(MAKE) interop release simulator
	@# Most end-to-end tests wait. The mutations use the processors that they leave idle.
	$(MAKE) -j 2 e2e-growth mutations
	$(MAKE) fuzz-sql simulate SEEDS=1-150
	@# The checks of the model of spreading.
	/usr/bin/python3 perf/bench --only spreading --short >.build/spreading.log || { tail -n 20 .build/spreading.log; exit 1; }

# The unit tests and 20 seeds under ThreadSanitizer and AddressSanitizer; "make -j 2 sanitize" uses two cores. Tests/Sanitizers
# explains Swift's locks to ThreadSanitizer and lists the suppressed leaks. ARGS="--filter HTTPTests" runs these suites and no
# seeds. Under ThreadSanitizer, tests run one after another: at once, they would contend for a lock of the Swift runtime,
# which takes one whenever ThreadSanitizer runs, and exceed their time limits.
sanitize: sanitize-thread sanitize-address

sanitize-thread sanitize-address: sanitize-%: setup
	@mkdir -p .build/$*
	clang -O2 -fPIC -Wall -Werror -c Tests/Sanitizers/$*.c -o .build/$*/sanitizer.o
	@# SwiftPM does not notice when this object changes.
	@rm -f .build/$*/debug/apusPackageTests.xctest .build/$*/debug/apus-sim
	swift build --build-tests --sanitize=$* --scratch-path .build/$* -Xlinker $(CURDIR)/.build/$*/sanitizer.o
	@$(CONTROL)
	@export LSAN_OPTIONS=suppressions=$(CURDIR)/Tests/Sanitizers/leaks.supp:print_suppressions=0; \
	$(call quietly,3600,$*,.build/$*/debug/apusPackageTests.xctest --testing-library swift-testing $(if $(filter thread,$*),--no-parallel) $(ARGS))
	$(if $(ARGS),,.build/$*/debug/apus-sim simulate --seeds 1-20)

# A sanitizer must report what is wrong in Tests/Sanitizers/control.swift, and nothing else.
define CONTROL
swiftc -swift-version 6 -sanitize=$* Tests/Sanitizers/control.swift -Xlinker .build/$*/sanitizer.o \
  -o .build/$*/control 2>&1 | (grep -v 'Cannot export local symbol' || true); \
.build/$*/control sound && ! .build/$*/control $(if $(filter thread,$*),race,overrun) 2>/dev/null || \
  { echo "the $* sanitizer does not report what it should"; exit 1; }
endef

# Interoperability of py-libp2p with real processes of this build, in both directions (Tests/Interop).
interop: setup interop-venv
	swift build --product apus
	.venv/bin/python Tests/Interop/run.py .build/debug/apus $(ARGS)

# Networks of real processes that are killed, restarted and misconfigured, and ten hosts in network namespaces that are
# cut off (Tests/EndToEnd; needs root). ARGS: words in the tests' names. LATE_BLOCKS=5000 makes the late sentry's chain
# longer.
e2e: release simulator
	@$(call install,$(E2E_PACKAGES))
	/usr/bin/python3 Tests/EndToEnd/run.py $(APUS) $(ARGS)

# What must not grow with the age of a chain, at small sizes: ratios, no times (perf/README.md).
growth: release simulator
	/usr/bin/python3 perf/bench --only growth --short

e2e-growth:
	$(MAKE) e2e
	$(MAKE) growth

# A network under load with misbehaving strangers of every kind at every node, for MINUTES (Tests/EndToEnd/besieged.py).
besieged: release
	/usr/bin/python3 Tests/EndToEnd/besieged.py $(APUS) $(MINUTES)

# Simulates whole networks with faults from SEEDS, and all scenarios (docs/simulation.md). Two processes that run the
# same seed must have the same trace. ARGS="--seed 7" runs the simulator with these options instead.
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

# Runs SQL from seeds on two engines with different pasts (docs/simulation.md). ARGS="--seconds 3600" runs new seeds for
# an hour.
fuzz-sql: simulator
	$(SIMULATOR) fuzz-sql $(or $(ARGS),--seeds 1-80)

# Breaks the code in named ways, each of which the simulator or fuzz-sql must detect (Tests/Mutations). ARGS: words in
# the mutations' names. They run at idle priority, so that everything else comes first.
mutations: setup
	chrt --idle 0 python3 Tests/Mutations/run.py $(ARGS)

# Simulates new seeds for MINUTES, two hundred per process. A failure prints its seed.
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
	@# What a merge leaves of a conflict.
	! grep -rnE '^(<<<<<<<|>>>>>>>) ' README.md docs perf systemd Tests Sources Makefile

# Draws the targets, their dependencies and main types in docs/architecture.svg.
architecture:
	python3 docs/architecture.py

format:
	swift format -i -r Package.swift Sources Tests

# Prints figures and their targets (perf/README.md).
bench: release simulator
	@$(call install,$(BENCH_PACKAGES))
	/usr/bin/python3 perf/bench $(ARGS)

# Draws a flame graph of the running node (docs/operate/profiling.md). ARGS: options of `apus profile`, such as "--seconds 30".
profile: release
	$(APUS) profile $(ARGS)
