/* SPDX-License-Identifier: BSD-3-Clause */
/* The synthetic bus; see synth.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "pci/synth.h"

struct synth_dev {
	struct pci_dev dev;
	struct synth *s;
};

static struct synth *synth_of(struct pci_dev *dev)
{
	return container_of(dev, struct synth_dev, dev)->s;
}

/* The fault planted, which is thereby used up. */
static int fault(struct synth *s, atomic_int *planted, const char *what)
{
	int rc = atomic_exchange(planted, 0);

	return rc ? fail(rc, "pci: %s: %s: planted failure", s->bdf, what) : 0;
}

/* ---- The test's side ---- */

static uint32_t config_get(const struct synth *s, uint32_t offset, uint32_t width)
{
	uint32_t value = 0;

	for (uint32_t i = 0; i < width; i++)
		value |= (uint32_t)(s->pulled ? 0xff : s->config[offset + i]) << 8 * i;
	return value;
}

static void config_set(struct synth *s, uint32_t offset, uint32_t width, uint32_t value)
{
	for (uint32_t i = 0; i < width; i++)
		s->config[offset + i] = (uint8_t)(value >> 8 * i);
}

void synth_init(struct synth *s, const char *bdf, uint32_t class_code)
{
	*s = (struct synth){ .vectors = 8, .tells_when_gone = true, .has_reset = true, .gone_fd = -1 };
	snprintf(s->bdf, sizeof(s->bdf), "%s", bdf);
	list_init(&s->link);
	pthread_mutex_init(&s->lock, NULL);
	for (unsigned int i = 0; i < SYNTH_VECTORS; i++)
		s->fds[i] = -1;
	config_set(s, 0, 4, 0x00101b36);
	config_set(s, PCI_CFG_STATUS, 2, 0x0010);
	config_set(s, PCI_CFG_CLASS, 2, class_code & 0xffff);
	config_set(s, PCI_CFG_CLASS + 2, 1, class_code >> 16);
}

void synth_fini(struct synth *s)
{
	invariant(list_empty(&s->link) && !s->taken);
	pthread_mutex_destroy(&s->lock);
}

void synth_add(struct nvio_env *env, struct synth *s)
{
	pthread_mutex_lock(&env->pci->lock);
	list_push_back(&env->pci->synths, &s->link);
	pthread_mutex_unlock(&env->pci->lock);
}

void synth_remove(struct nvio_env *env, struct synth *s)
{
	pthread_mutex_lock(&env->pci->lock);
	list_remove(&s->link);
	pthread_mutex_unlock(&env->pci->lock);
}

uint32_t synth_config_get(struct synth *s, uint32_t offset, uint32_t width)
{
	uint32_t value;

	pthread_mutex_lock(&s->lock);
	value = config_get(s, offset, width);
	pthread_mutex_unlock(&s->lock);
	return value;
}

void synth_config_set(struct synth *s, uint32_t offset, uint32_t width, uint32_t value)
{
	pthread_mutex_lock(&s->lock);
	config_set(s, offset, width, value);
	pthread_mutex_unlock(&s->lock);
}

bool synth_is_bus_master(struct synth *s)
{
	return synth_config_get(s, PCI_CFG_COMMAND, 2) & PCI_CMD_BUS_MASTER;
}

bool synth_raise(struct synth *s, uint32_t vector)
{
	bool told = false;

	pthread_mutex_lock(&s->lock);
	if (vector < s->vectors && s->fds[vector] >= 0 && !s->pulled)
		told = eventfd_write(s->fds[vector], 1) == 0;
	pthread_mutex_unlock(&s->lock);
	return told;
}

void synth_ask_back(struct synth *s)
{
	pthread_mutex_lock(&s->lock);
	if (s->gone_fd >= 0)
		eventfd_write(s->gone_fd, 1);
	pthread_mutex_unlock(&s->lock);
}

void synth_pull(struct synth *s)
{
	pthread_mutex_lock(&s->lock);
	s->pulled = true;
	for (unsigned int i = 0; i < PCI_BARS; i++) {
		uint32_t *words = s->bars[i].base;

		/* Word by word: the driver reads them at the same time. */
		for (size_t w = 0; words && w < s->bars[i].len / 4; w++)
			__atomic_store_n(&words[w], PCI_ALL_ONES, __ATOMIC_RELAXED);
	}
	if (s->gone_fd >= 0)
		eventfd_write(s->gone_fd, 1);
	pthread_mutex_unlock(&s->lock);
}

/* ---- The driver's side ---- */

static int synth_config_read(struct pci_dev *dev, uint32_t offset, uint32_t width, uint32_t *value)
{
	struct synth *s = synth_of(dev);
	int rc = fault(s, &s->faults.config_read, "configuration space");

	if (!rc)
		*value = synth_config_get(s, offset, width);
	return rc;
}

static int synth_config_write(struct pci_dev *dev, uint32_t offset, uint32_t width, uint32_t value)
{
	struct synth *s = synth_of(dev);
	int rc = fault(s, &s->faults.config_write, "configuration space");

	if (rc)
		return rc;
	synth_config_set(s, offset, width, value);
	atomic_fetch_add(&s->counts.config_writes, 1);
	if (s->config_written)
		s->config_written(s, offset, width, value);
	return 0;
}

static int synth_map_bar(struct pci_dev *dev, unsigned int index, void **base, size_t *len, bool *guarded)
{
	struct synth *s = synth_of(dev);
	int rc = fault(s, &s->faults.bar, "BAR");

	if (rc)
		return rc;
	if (!s->bars[index].base)
		return fail(-ENODEV, "pci: %s: there is no BAR %u", s->bdf, index);
	*base = s->bars[index].base;
	*len = s->bars[index].len;
	return 0;
}

static void synth_unmap_bar(struct pci_dev *dev, void *base, size_t len)
{
}

static int synth_reset(struct pci_dev *dev)
{
	struct synth *s = synth_of(dev);
	int rc = fault(s, &s->faults.reset, "reset");

	if (rc)
		return rc;
	if (!s->has_reset)
		return fail(-EOPNOTSUPP, "pci: %s: the function has no reset of its own", s->bdf);
	synth_config_set(s, PCI_CFG_COMMAND, 2, 0);
	atomic_fetch_add(&s->counts.resets, 1);
	if (s->was_reset)
		s->was_reset(s);
	return 0;
}

static int synth_vectors_enable(struct pci_dev *dev, uint32_t count)
{
	struct synth *s = synth_of(dev);
	int rc = fault(s, &s->faults.vectors_enable, "interrupt vectors");

	if (!rc)
		atomic_store(&s->counts.vectors_enabled, count);
	return rc;
}

static int synth_vector_set(struct pci_dev *dev, uint32_t vector, int fd)
{
	struct synth *s = synth_of(dev);
	int rc = fault(s, &s->faults.vector, "interrupt vector");

	if (rc)
		return rc;
	pthread_mutex_lock(&s->lock);
	s->fds[vector] = fd;
	pthread_mutex_unlock(&s->lock);
	atomic_fetch_add(&s->counts.vectors_set, 1);
	return 0;
}

static void synth_close(struct pci_dev *dev)
{
	struct synth *s = synth_of(dev);

	if (s->mapper)
		mem_mapper_remove(dev->env, s->mapper);
	pthread_mutex_lock(&s->lock);
	for (unsigned int i = 0; i < SYNTH_VECTORS; i++)
		s->fds[i] = -1;
	s->taken = false;
	if (s->gone_fd >= 0)
		close(s->gone_fd);
	s->gone_fd = -1;
	pthread_mutex_unlock(&s->lock);
	atomic_fetch_add(&s->counts.closes, 1);
	alloc_free(container_of(dev, struct synth_dev, dev));
}

static const struct pci_way synth_way = {
	.name = "synthetic",
	.config_read = synth_config_read,
	.config_write = synth_config_write,
	.map_bar = synth_map_bar,
	.unmap_bar = synth_unmap_bar,
	.reset = synth_reset,
	.vectors_enable = synth_vectors_enable,
	.vector_set = synth_vector_set,
	.close = synth_close,
};

static int take(struct nvio_env *env, struct synth *s, struct pci_dev **dev)
{
	int rc = fault(s, &s->faults.open, "open");
	struct synth_dev *d;

	if (rc)
		return rc;
	if (s->pulled)
		return fail(-ENODEV, "pci: %s: no such function; `nvio list` shows the drives", s->bdf);
	if (s->taken)
		return fail(-EBUSY, "pci: %s: it is taken already", s->bdf);
	d = alloc_zeroed(sizeof(*d));
	if (!d)
		return fail(-ENOMEM, "pci: %s: no memory for the function", s->bdf);
	d->s = s;
	d->dev = (struct pci_dev){ .way = &synth_way, .env = env, .vectors = s->vectors, .gone_fd = -1 };
	d->dev.info =
		(struct nvio_pci_info){ .size = sizeof(d->dev.info), .iommu_group = -1, .numa_node = -1 };
	memcpy(d->dev.info.bdf, s->bdf, sizeof(s->bdf));
	d->dev.info.class_code = config_get(s, PCI_CFG_CLASS, 2) | config_get(s, PCI_CFG_CLASS + 2, 1) << 16;
	rc = s->mapper ? mem_mapper_add(env, s->mapper) : 0;
	if (rc) {
		alloc_free(d);
		return rc;
	}
	if (s->tells_when_gone)
		s->gone_fd = d->dev.gone_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	s->taken = true;
	atomic_store(&s->counts.vectors_enabled, 0);
	atomic_fetch_add(&s->counts.opens, 1);
	*dev = &d->dev;
	return 0;
}

static bool same_bdf(const struct pci_bdf *a, const struct pci_bdf *b)
{
	return a->domain == b->domain && a->bus == b->bus && a->dev == b->dev && a->fn == b->fn;
}

int synth_open(struct nvio_env *env, const char *text, struct pci_dev **dev)
{
	struct pci_bdf want, have;

	if (pci_bdf_parse(text, &want))
		return -ENOENT;
	list_for_each (pos, &env->pci->synths) {
		struct synth *s = list_entry(pos, struct synth, link);
		int rc;

		if (pci_bdf_parse(s->bdf, &have) || !same_bdf(&want, &have))
			continue;
		pthread_mutex_lock(&s->lock);
		rc = take(env, s, dev);
		pthread_mutex_unlock(&s->lock);
		return rc;
	}
	return -ENOENT;
}
