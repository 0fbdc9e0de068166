/* SPDX-License-Identifier: BSD-3-Clause */
/* The device: opened on its own environment, so that programs need no set-up and devices do not know of each other. */
#include "priv.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define POLLING_PERIOD_MAX 1000000 /* a second */
#define OPEN_FLAGS (NVMED_NO_CACHE | NVMED_CACHE_LAZY_INIT)

static pthread_mutex_t devices_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct device *devices;

bool device_live(NVMED *nvmed)
{
	struct device *d;

	pthread_mutex_lock(&devices_mutex);
	for (d = devices; d && d != device_of(nvmed); d = d->next)
		;
	pthread_mutex_unlock(&devices_mutex);
	return d;
}

struct device *device_by_fd(int fd)
{
	struct device *d;

	pthread_mutex_lock(&devices_mutex);
	for (d = devices; d && d->pub.ns_fd != fd; d = d->next)
		;
	pthread_mutex_unlock(&devices_mutex);
	return d;
}

static void device_publish(struct device *d)
{
	pthread_mutex_lock(&devices_mutex);
	d->magic = DEVICE_LIVE;
	d->next = devices;
	devices = d;
	pthread_mutex_unlock(&devices_mutex);
}

/* False: somebody else has, or it was never open. */
static bool device_retract(struct device *d)
{
	struct device **at;
	bool found;

	pthread_mutex_lock(&devices_mutex);
	for (at = &devices; *at && *at != d; at = &(*at)->next)
		;
	found = *at;
	if (found)
		*at = d->next;
	pthread_mutex_unlock(&devices_mutex);
	return found;
}

static int device_connect(struct device *d, const struct target *t)
{
	struct nvio_ctrlr_opts opts;
	int rc = nvio_env_open(NULL, &d->env);

	if (rc)
		return failed_nvio(rc, "open");
	strcpy(d->trid, t->trid);
	nvio_ctrlr_opts_init(&opts);
	opts.bounce = true; /* programs may use any buffer */
	rc = nvio_connect(d->env, t->trid, &opts, &d->ctrlr);
	if (rc)
		return failed_nvio(rc, "open");
	d->ns = nvio_ctrlr_ns(d->ctrlr, t->nsid);
	return d->ns ? 0 : failed(ENODEV, "nvmed: open: %s: no namespace %u: %s", t->trid, t->nsid, nvio_errmsg());
}

static int device_describe(struct device *d, const struct target *t)
{
	u64 first = 0, blocks = nvio_ns_num_blocks(d->ns);
	u32 block = nvio_ns_block_size(d->ns);
	const struct nvio_id_ns *id = nvio_ns_identify(d->ns);

	if (block < 512 || block > PAGE_BYTES)
		return failed(EOPNOTSUPP, "nvmed: open: blocks of %u bytes; 512 to 4096 are supported", block);
	d->block_shift = (unsigned int)__builtin_ctz(block);
	if (t->part && part_find(d, t->part, &first, &blocks))
		return -1;
	d->start = first;
	d->capacity = blocks << d->block_shift;
	d->info = (NVMED_DEVICE_INFO){
		.instance = t->instance,
		.lba_shift = (int)d->block_shift,
		.ns_id = t->nsid,
		.capacity = d->capacity,
		.max_hw_sectors = nvio_ns_max_transfer(d->ns) >> d->block_shift,
		.stripe_size = (u32)(id->noiob.b[0] | id->noiob.b[1] << 8) << d->block_shift,
		.db_stride = (u32)(nvio_ctrlr_cap(d->ctrlr) >> 32 & 0xf),
		.vwc = nvio_ctrlr_id(d->ctrlr)->vwc & NVIO_VWC_PRESENT,
		.start_sect = first,
		.nr_sects = blocks,
		.part_no = t->part,
		.q_depth = QUEUE_IODS,
	};
	return 0;
}

/* Also for one that was opened in part only. */
static void device_free(struct device *d)
{
	reaper_stop(d);
	cache_drop(d);
	while (d->dead_queues) {
		struct queue *q = d->dead_queues;

		d->dead_queues = q->next;
		free(q);
	}
	while (d->dead_handles) {
		struct handle *h = d->dead_handles;

		d->dead_handles = h->next;
		free(h);
	}
	buffers_forget(d);
	if (d->env)
		nvio_env_close(d->env);
	if (d->pub.ns_fd >= 0)
		close(d->pub.ns_fd);
	pthread_mutex_destroy(&d->mutex);
	free(d->pub.ns_path);
	free(d);
}

NVMED *nvmed_open(char *path, int flags)
{
	struct device *d = NULL;
	struct target target;

	if (!path || (flags & ~OPEN_FLAGS)) {
		failed(EINVAL, path ? "nvmed: open: unknown flags %#x" : "nvmed: open: the path is NULL", flags);
		goto failed;
	}
	if (path_resolve(path, &target))
		goto failed;
	d = aligned_alloc(_Alignof(struct device), sizeof(*d));
	if (!d) {
		failed(ENOMEM, "nvmed: open: no memory");
		goto failed;
	}
	memset(d, 0, sizeof(*d));
	pthread_mutex_init(&d->mutex, NULL);
	d->pub.flags = (u32)flags;
	d->pub.dev_info = &d->info;
	d->reaper.period_us = NVMED_POLLING_ADAPT;
	d->reaper.wake_fd = -1;
	d->pub.ns_fd = memfd_create("nvmed", MFD_CLOEXEC);
	d->pub.ns_path = strdup(path);
	if (d->pub.ns_fd < 0 || !d->pub.ns_path) {
		failed(errno, "nvmed: open: %s", strerror(errno));
		goto failed;
	}
	if (device_connect(d, &target) || device_describe(d, &target) || cache_make(d))
		goto failed;
	device_publish(d);
	return &d->pub;
failed:
	/* Programs print no more than that it failed. */
	fprintf(stderr, "%s\n", nvmed_errmsg());
	if (d) {
		int err = errno;

		device_free(d);
		errno = err;
	}
	return NULL;
}

int nvmed_close(NVMED *nvmed)
{
	struct device *d = device_of(nvmed);

	if (!nvmed || !device_live(nvmed)) {
		failed(EINVAL, "nvmed: close: no open device");
		return -NVMED_NOENTRY;
	}
	if (d->queues) {
		failed(EBUSY, "nvmed: close: %s: queues still exist; nvmed_queue_destroy() first", d->pub.ns_path);
		return -NVMED_FAULT;
	}
	if (reaper_is_me(d)) {
		failed(EDEADLK, "nvmed: close: not from a callback on the device's own thread");
		return -NVMED_FAULT;
	}
	if (!device_retract(d)) {
		failed(EINVAL, "nvmed: close: closed by another thread");
		return -NVMED_NOENTRY;
	}
	device_free(d);
	return 0;
}

static int feature_refused(NVMED *nvmed, int feature, int value)
{
	failed(EINVAL, "nvmed: feature: %#x with value %d: no open device, no such feature, or out of range", feature, value);
	return -NVMED_INVALID;
}

int nvmed_feature_set(NVMED *nvmed, int feature, int value)
{
	struct device *d = device_of(nvmed);

	if (nvmed && device_live(nvmed) && feature == NVMED_CACHE_SIZE)
		return cache_resize(d, value) ? -NVMED_INVALID : value;
	if (!nvmed || !device_live(nvmed) || feature != NVMED_POLLING_PERIOD || value < NVMED_POLLING_ADAPT || value > POLLING_PERIOD_MAX)
		return feature_refused(nvmed, feature, value);
	__atomic_store_n(&d->reaper.period_us, value, __ATOMIC_RELAXED);
	return value;
}

int nvmed_feature_get(NVMED *nvmed, int feature)
{
	struct device *d = device_of(nvmed);

	if (!nvmed || !device_live(nvmed))
		return feature_refused(nvmed, feature, 0);
	switch (feature) {
	case NVMED_NO_CACHE:
	case NVMED_CACHE_LAZY_INIT:
		return d->pub.flags & (u32)feature ? NVMED_TRUE : NVMED_FALSE;
	case NVMED_CACHE_SIZE:
		return (int)__atomic_load_n(&d->cache.capacity, __ATOMIC_RELAXED);
	case NVMED_POLLING_PERIOD:
		return __atomic_load_n(&d->reaper.period_us, __ATOMIC_RELAXED);
	default:
		return feature_refused(nvmed, feature, 0);
	}
}
