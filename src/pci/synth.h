/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A synthetic bus: functions made of a test's own memory, which pci_open() finds before it looks at any real one (and also with no_pci).
 * A test fills in a struct synth, plays the device on its BARs, raises vectors, and pulls it out.
 */
#ifndef PCI_SYNTH_H
#define PCI_SYNTH_H

#include <pthread.h>
#include <stdatomic.h>

#include "mem/mem.h"
#include "pci/dev.h"

#define SYNTH_VECTORS 64

/* What can be made to fail: each the next time it is called, once, with the -errno put here. */
struct synth_faults {
	atomic_int open, config_read, config_write, bar, reset, vectors_enable, vector;
};

/* What was asked of it. */
struct synth_counts {
	atomic_uint opens, closes, config_writes, resets, vectors_set;
	atomic_uint vectors_enabled; /* so many since it was opened */
};

struct synth {
	/* The test's, set before synth_add(). */
	char bdf[20];
	struct {
		void *base; /* memory BAR; NULL: none. Whole 32-bit words. */
		size_t len;
	} bars[PCI_BARS];
	uint32_t vectors;             /* at most SYNTH_VECTORS */
	bool tells_when_gone;         /* pci_gone_fd() */
	bool has_reset;
	struct mem_mapper *mapper;    /* added when it is opened, removed when it is closed; NULL: device addresses are virtual ones */
	/* On the thread that writes, after the write. NULL: nobody is told. */
	void (*config_written)(struct synth *s, uint32_t offset, uint32_t width, uint32_t value);
	void (*was_reset)(struct synth *s);
	void *arg;

	struct synth_faults faults;
	struct synth_counts counts;

	/* The room's. */
	struct list link;             /* pci->synths */
	pthread_mutex_t lock;         /* what follows */
	uint8_t config[PCI_CONFIG_SIZE];
	int fds[SYNTH_VECTORS];
	bool pulled, taken;
	int gone_fd;
};

/*
 * An NVMe controller without BARs that can be reset, tells when it goes and has 8 vectors; `class_code` as in pci_class(). The test
 * changes what it wants otherwise; config space can be written with synth_config_set().
 */
void synth_init(struct synth *s, const char *bdf, uint32_t class_code);
void synth_fini(struct synth *s);

/* On the bus of this environment. Removed, closed first, before s or the environment goes. */
void synth_add(struct nvio_env *env, struct synth *s);
void synth_remove(struct nvio_env *env, struct synth *s);

uint32_t synth_config_get(struct synth *s, uint32_t offset, uint32_t width);
void synth_config_set(struct synth *s, uint32_t offset, uint32_t width, uint32_t value);
bool synth_is_bus_master(struct synth *s);

/* The device's interrupt. False: the vector leads to nothing. Any thread. */
bool synth_raise(struct synth *s, uint32_t vector);

/* The system wants it back: pci_gone_fd() says so from now on, and the function still answers. Any thread. */
void synth_ask_back(struct synth *s);

/* Out of its slot: configuration space and BARs read as all-ones (the memory of the BARs is filled with it). Any thread. */
void synth_pull(struct synth *s);

#endif
