# SPDX-License-Identifier: BSD-3-Clause
# The short names of what there is to do; Meson does the work. On a fresh machine `make check` or `make demo` is enough: it installs
# what is missing, or prints the line that does.
#
#     make            build everything into build/ (build/nvio runs in place)
#     make check      build, then run all tests and examples
#     make check-vm   the tests in virtual machines, on emulated drives (tests/vm; needs no device and no root)
#     make demo       see it work, without a device or privileges
#     make bench      measure
#     make asan tsan  the tests under the sanitizers
#     make fuzz       each fuzzer for FUZZ_SECONDS
#     make install    DESTDIR and PREFIX as usual
#     make ci         what CI runs

BUILD        ?= build
PREFIX       ?= /usr/local
FUZZ_SECONDS ?= 20
SETUP        ?=
MESON_TEST   := meson test --print-errorlogs

.PHONY: all deps deps-needed check check-vm demo bench asan tsan fuzz install clean ci
all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

deps:
	@tools/deps --all

deps-needed:
	@tools/deps

%/build.ninja: | deps-needed
	meson setup $* $(SETUP)

check: all
	$(MESON_TEST) -C $(BUILD)

check-vm: all
	tests/vm/run $(BUILD)

demo: all
	tools/demo $(BUILD)

bench: all
	bench/run $(BUILD)

# Checked builds see wrong-thread calls and buffers freed or reused in flight, on top of what the sanitizer sees.
asan: override SETUP += -Db_sanitize=address,undefined -Db_lundef=false -Dchecked=true
asan: build-asan/build.ninja
	$(MESON_TEST) -C build-asan -t 4

tsan: override SETUP += -Db_sanitize=thread -Db_lundef=false
tsan: build-tsan/build.ninja
	$(MESON_TEST) -C build-tsan -t 8

fuzz: override SETUP += -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false
fuzz: export CC = clang
fuzz: build-fuzz/build.ninja
	ninja -C build-fuzz
	tools/fuzz build-fuzz $(FUZZ_SECONDS)

install: all
	meson configure $(BUILD) -Dprefix=$(PREFIX)
	meson install -C $(BUILD) $(if $(DESTDIR),--destdir $(abspath $(DESTDIR)))

clean:
	rm -rf build build-*

ci:
	.ci/run
