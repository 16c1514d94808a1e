# make demo    installs what is missing, builds, and shows the time example at http://localhost:7788; Ctrl-C ends it
# make test    installs what is missing and runs all tests: swift test, then real emitters, clients and a browser
# make build   builds the programs for release
# make bench   measures CPU time per delivered message beside the original Python service
# make format  formats the Swift sources; make lint only checks them
# make fuzz    fuzzes the pickle codec with coverage under the address sanitizer for 60 seconds; SECONDS=600 for longer
.PHONY: demo test build bench format lint fuzz

demo:
	@scripts/demo

test:
	@scripts/install-packages build demo test
	@scripts/require-swift
	swift build --build-tests
	swift test
	@scripts/integration-tests

build:
	@scripts/install-packages build
	@scripts/require-swift
	swift build -c release --product ws-emit
	swift build -c release --product subspy

fuzz:
	@Benchmarks/PickleCodecBenchmarks/fuzz $(SECONDS)

bench:
	@Benchmarks/fanout/run

format:
	swift format --in-place --recursive Package.swift Sources Tests

lint:
	swift format lint --strict --recursive Package.swift Sources Tests
