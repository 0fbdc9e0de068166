# SPDX-License-Identifier: BSD-3-Clause
# The driver core of a freestanding program: what it is built from, named from the top of the tree. See docs/porting.md.
# tools/freestanding holds all of it against the C library that it must not need, and tools/layers against the headers.
NVIO_BARE_SOURCES := \
	src/base/errno_name.c \
	src/base/fail.c \
	src/base/log_name.c \
	src/base/op.c \
	src/base/opts.c \
	src/base/text.c \
	src/spec/bits.c \
	src/spec/status.c \
	src/spec/strerror.c \
	src/spec/words.c \
	src/host/admin.c \
	src/host/ctrlr.c \
	src/host/event.c \
	src/host/io.c \
	src/host/ns.c \
	src/host/piece.c \
	src/host/qpair.c \
	src/host/recover.c \
	src/host/sleep.c \
	src/host/state.c \
	src/host/pcie/mmio.c \
	src/host/pcie/mq.c \
	src/host/pcie/prp.c \
	src/bare/alloc.c \
	src/bare/connect.c \
	src/bare/env.c \
	src/bare/format.c \
	src/bare/mem.c \
	src/bare/system.c
