# What a developer types. The scripts say what they do and install what is missing.

.PHONY: help check fmt test integration bench bench-loops demo install clean

help:
	@echo 'make check        lint, tests, demonstration: what CI runs'
	@echo 'make fmt          format the sources'
	@echo 'make test         all tests this machine can run'
	@echo 'make integration  only the tests that drive the built program'
	@echo 'make bench        whole commands, against other tools where installed'
	@echo 'make bench-loops  the inner loops alone'
	@echo 'make demo         the main job, on real servers of its own'
	@echo 'make install      the program to $$(PREFIX)/bin (default /usr/local)'

check:
	bash .ci/run

fmt:
	scripts/lint --fix

test:
	scripts/test

integration:
	scripts/test --filter CommandTests

bench:
	swift build -c release --explicit-target-dependency-import-check error --product dr
	Benchmarks/compare --write Benchmarks/RESULTS.md

bench-loops:
	cd Benchmarks && BENCHMARK_DISABLE_JEMALLOC=1 swift package -c release benchmark --target InnerLoops

demo:
	scripts/demo

PREFIX ?= /usr/local

install:
	scripts/install $(DESTDIR)$(PREFIX)/bin

clean:
	swift package clean
