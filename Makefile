# What can be done here; `make` lists it. Everything runs on the pinned Node of node_modules/.bin.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
.DEFAULT_GOAL := help

# A test that is skipped or marked todo, and a run without tests, are red.
STRICT := --test-reporter=spec --test-reporter-destination=stdout --test-reporter=./scripts/nothing-skipped.ts --test-reporter-destination=stderr
UNIT := 'operator/**/*.test.ts' 'proxy/**/*.test.ts' 'cli/**/*.test.ts' 'scripts/**/*.test.ts' 'test/*.test.ts' 'test/bench/*.test.ts'
COVERED := 'operator/**' 'proxy/**' 'cli/**'
DATA_PLANE := 'test/data-plane/**/*.test.ts'
# Lines of the sources that tests must reach, in percent; what runs in processes that tests start counts too.
LEAST_LINES := 90

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## install the dependencies, as the lock file says
	npm ci

.PHONY: check
check: static test test-data-plane ## all that CI asks for: static checks, tests, data-plane tests

.PHONY: static
static: ## format, lint, types, dead code, generated files
	biome check --colors=off --error-on-warnings .
	oxlint --type-aware
	tsc --noEmit
	knip --no-progress
	node scripts/generate.ts --check
	node scripts/charts.ts --check

.PHONY: format
format: ## write what the formatter and the safe fixes of the linter would
	biome check --colors=off --write .

.PHONY: test
test: ## unit, golden and architecture tests, seconds
	npm test

.PHONY: test-data-plane
test-data-plane: ## a real proxy process, model servers that misbehave, a real engine
	node scripts/fetch-engine.ts
	node --test $(STRICT) $(DATA_PLANE)

.PHONY: test-faults-full
test-faults-full: ## the sixteen faults with the program's own deadlines and real silences (four minutes)
	FAULTS=full node --test $(STRICT) test/data-plane/faults/sixteen.test.ts

.PHONY: test-control-plane
test-control-plane: ## operator and proxies on a real API server; FILES=… for some (Go, Linux; the first time minutes)
	node test/support/control-plane/run-suite.ts $(FILES)

.PHONY: control-plane
control-plane: ## leave a control plane running, and say how kubectl gets there
	node test/support/control-plane/stay.ts

.PHONY: test-end-to-end
test-end-to-end: ## stories on a real one-node cluster, each file on its own; FILES=… for some (root, Linux, Go; the first time minutes)
	node scripts/fetch-tools.ts
	node scripts/fetch-chart-crds.ts
	node test/support/one-node/run-suite.ts $(FILES)

.PHONY: cluster
cluster: ## leave a real one-node cluster running, and say how kubectl gets there (root, Linux, Go; the first time minutes)
	node test/support/one-node/stay.ts

.PHONY: test-crds
test-crds: ## the resource definitions against what they must take and refuse
	node --test $(STRICT) test/crds.test.ts

.PHONY: charts
charts: ## archives of the charts and crds.yaml in dist/; in charts/ the copies of crds/ and the tables of values
	node scripts/charts.ts --package

.PHONY: test-charts
test-charts: ## the charts with helm 3 and helm 4: lint, golden cases, rights, alerts; GOLDEN=write rewrites the cases (Linux, Debian)
	node scripts/fetch-tools.ts
	node --test $(STRICT) 'test/charts/*.test.ts'

.PHONY: golden
golden: ## rewrite the expected results of golden cases; read the diff like code
	GOLDEN=write npm test

.PHONY: generate
generate: ## write the sources that are made from crds/
	node scripts/generate.ts

.PHONY: promtool-check
promtool-check: ## the metrics of a running llama-swap, by Prometheus' own checker
	node scripts/check-metrics.ts

.PHONY: coverage
coverage: ## lines reached by unit and data-plane tests together; red below the least
	node scripts/fetch-engine.ts
	node --test $(STRICT) --experimental-test-coverage --test-coverage-include-all $(COVERED:%=--test-coverage-include=%) \
	  --test-coverage-exclude='**/*.test.ts' --test-coverage-exclude='**/*.suite.ts' --test-coverage-exclude='**/*.generated.ts' \
	  --test-coverage-exclude=cli/demo.ts --test-coverage-lines=$(LEAST_LINES) $(UNIT) $(DATA_PLANE)

.PHONY: deflake
deflake: ## unit tests in ever new orders, until one fails or 20 runs are through
	@mkdir -p .tools
	@for i in $$(seq 20); do node --test --test-isolation=none --test-randomize $(STRICT) $(UNIT) > .tools/deflake.log 2>&1 || { cat .tools/deflake.log; exit 1; }; done
	@rm -f .tools/deflake.log; echo '20 runs passed'

.PHONY: fuzz
fuzz: ## changed inputs for all that reads outside input; FUZZ_SECONDS (60), FUZZ_SEED, FUZZ_TARGET
	node test/fuzz/run.ts

.PHONY: soak
soak: ## a proxy under mixed load and faults for SOAK_MINUTES (30): no growth, no answer unexplained; SOAK_SEED, WRITE=--write
	node test/soak/run.ts $(WRITE)

.PHONY: bundle
bundle: ## dist/proxy.mjs and dist/cli.mjs: one file each, for Node alone
	node scripts/bundle.ts

.PHONY: image
image: bundle ## the container image and its SBOM into dist/image, without Docker (npm, apt-get, dpkg-deb); PLATFORMS=linux/arm64 for one
	node scripts/image/build.ts $(PLATFORMS:%=--platform=%)

.PHONY: test-image
test-image: image ## the image, run as a container runtime would (root)
	node --test $(STRICT) 'test/image/*.test.ts'

.PHONY: bench-image
bench-image: image ## size, start and memory of the image; writes docs/image.md (root, half a minute, idle)
	node test/image/measure.ts --write

.PHONY: bench
bench: bundle ## measure against nginx, write docs/benchmarks.md (about five minutes, an idle machine, two cores)
	node test/bench/run.ts

.PHONY: bench-quick
bench-quick: bundle ## a smoke run of the benchmark: one short round, writes nothing
	node test/bench/run.ts --quick

.PHONY: bench-control-plane
bench-control-plane: bundle ## how fast a change is at all proxies, what the operator takes; writes docs/benchmarks.md (four minutes, idle)
	node test/bench/control-plane/run.ts --write

.PHONY: bench-decision
bench-decision: ## what one decision takes, by strategy, targets and models (three minutes)
	node --expose-gc test/bench/decision.ts

.PHONY: bench-affinity
bench-affinity: ## what real engines have in their caches by loadBalancing; writes docs/benchmarks.md (three minutes; needs the fetched engine)
	node test/bench/affinity/run.ts --write

.PHONY: bench-matches
bench-matches: ## what rules with many matches cost a request (a minute)
	node test/bench/matches.ts

.PHONY: bench-routing
bench-routing: ## how well strategies route, against each other; writes docs/benchmarks.md (45 minutes, idle, two cores; needs the fetched engine)
	node test/bench/routing/run.ts --write

.PHONY: bench-parts
bench-parts: ## what limits, circuits, queues and continuations cost each request in our own code; writes docs/benchmarks.md (half a minute, idle)
	node test/bench/parts.ts --write

.PHONY: bench-continuation
bench-continuation: ## how often broken streams are gone on with on real engines; writes docs/benchmarks.md (minutes)
	node scripts/fetch-engine.ts
	node test/bench/continuation.ts --write

.PHONY: bench-estimate
bench-estimate: ## by how much estimates of prompts are off, against a real engine; writes docs/benchmarks.md (two minutes)
	node scripts/fetch-engine.ts
	node test/bench/estimate/run.ts --write

.PHONY: demo
demo: ## llama-swap with a real engine and a real small model, and a request to try
	node cli/demo.ts

.PHONY: clean
clean: ## remove what was built and fetched, node_modules aside
	rm -rf dist coverage .tools
