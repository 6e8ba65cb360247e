# A friendly front for CMake: `make help` says what there is. Needs git, a C compiler and make; what else
# is missing, tools/setup.sh names and, as root on Debian, installs.
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
PREFIX ?= /usr/local
export CMAKE_GENERATOR ?= $(if $(shell command -v ninja 2>/dev/null),Ninja,Unix Makefiles)
# What is started below is no part of this make.
alone := env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL

# $(call build,PRESET,FOLDER): configures quietly unless something is wrong, then builds.
define build
@mkdir -p $(2)
@cmake --preset $(1) $(CMAKE_FLAGS) >$(2)/configure.log 2>&1 || { cat $(2)/configure.log; exit 1; }
@sed -n '/^-- cajal/,/^--   tests/p' $(2)/configure.log
@$(alone) cmake --build $(2) --parallel $(JOBS)
endef

.PHONY: all run test check plain debug asan asan-clang tsan core aarch64 bench install format clean help \
        setup-build setup-run setup-test
.NOTPARALLEL:

all: setup-build
	$(call build,release,build)

run: setup-run
	$(call build,release,build)
	best=$$(build/cajal train recipes/fashion-mnist.yaml) && \
	build/cajal evaluate "$$best" data=fashion-mnist && \
	sheet=$$(dirname "$$best")/predictions.png && \
	build/cajal predict "$$best" data=fashion-mnist limit=40 grid="$$sheet" >/dev/null && \
	echo "$$sheet shows what it says of 40 test pictures"

test: setup-test
	$(call build,test,build/test)
	@$(alone) tools/run_tests.sh build/test

check: setup-test
	$(call build,test,build/test)
	@$(alone) tools/run_tests.sh build/test -L quick

plain debug asan asan-clang tsan aarch64:
	$(call build,$@,build/$@)
	@$(alone) tools/run_tests.sh build/$@ $(TESTS)

core: setup-build
	$(call build,core,build/core)

bench: setup-build
	$(call build,release -DCJ_BENCH=ON,build)

install: all
	cmake --install build --prefix "$(PREFIX)"
	@[ -n "$(DESTDIR)" ] || ldconfig 2>/dev/null || true

format:
	@tools/format.sh

clean:
	rm -rf build

setup-build setup-run setup-test:
	@tools/setup.sh $(@:setup-%=%)

help:
	@echo 'make             build/cajal and libcajal, release'
	@echo 'make run         install what is missing, build, train the first network on Fashion-MNIST'
	@echo 'make test        build with assertions and run every test; ends with "N passed, M failed"'
	@echo 'make check       the quick tests only, under a minute'
	@echo 'make plain       the tests of a build without oneDNN'
	@echo 'make asan        the tests under address and undefined-behaviour sanitizers (asan-clang: clang)'
	@echo 'make tsan        the tests under the thread sanitizer, with our pthread pool'
	@echo 'make core        build/core: portable kernels, libc, libm and threads only, static'
	@echo 'make aarch64     cross build for 64-bit ARM, tests under qemu-user'
	@echo 'make bench       the programs under bench/'
	@echo 'make install     into PREFIX ($(PREFIX)); DESTDIR is honoured'
	@echo 'make format      clang-format over the sources'
	@echo 'make clean       remove build/'
	@echo 'Variables: JOBS=n, CMAKE_FLAGS="-DCJ_YAML=OFF ...", TESTS="-R regex" (plain, asan, tsan ...), FAILFAST=1'
