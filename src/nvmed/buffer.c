/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Buffers of nvmed_get_buffer(): memory of the device's environment. nvmed_put_buffer() has nothing but the pointer, so all of the process
 * are in one table.
 */
#include "priv.h"

#include <stdlib.h>

#define BUCKETS 256

struct buffer {
	struct buffer *next;
	void *ptr;
	struct device *device;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct buffer *table[BUCKETS];

static struct buffer **bucket(const void *ptr)
{
	return &table[((uintptr_t)ptr >> PAGE_SHIFT) % BUCKETS];
}

void *nvmed_get_buffer(NVMED *nvmed, unsigned int num_pages)
{
	struct device *d = device_of(nvmed);
	struct buffer *b, **head;

	if (!nvmed || !device_live(nvmed) || !num_pages) {
		failed(EINVAL, "nvmed: get_buffer: %s", num_pages ? "no open device" : "a buffer has at least one page");
		return NULL;
	}
	b = malloc(sizeof(*b));
	if (!b) {
		failed(ENOMEM, "nvmed: get_buffer: no memory");
		return NULL;
	}
	b->device = d;
	b->ptr = nvio_mem_alloc_zeroed(d->env, (size_t)num_pages << PAGE_SHIFT, PAGE_BYTES);
	if (!b->ptr) {
		free(b);
		failed_nvio(-ENOMEM, "get_buffer");
		return NULL;
	}
	head = bucket(b->ptr);
	pthread_mutex_lock(&mutex);
	b->next = *head;
	*head = b;
	pthread_mutex_unlock(&mutex);
	return b->ptr;
}

void nvmed_put_buffer(void *ptr)
{
	struct buffer **at, *b;

	if (!ptr)
		return;
	pthread_mutex_lock(&mutex);
	for (at = bucket(ptr); *at && (*at)->ptr != ptr; at = &(*at)->next)
		;
	b = *at;
	if (b)
		*at = b->next;
	pthread_mutex_unlock(&mutex);
	if (!b) {
		failed(EINVAL, "nvmed: put_buffer: %p is no buffer of nvmed_get_buffer(), or was given back already", ptr);
		return;
	}
	if (nvio_mem_free(b->device->env, ptr))
		failed_nvio(-EBUSY, "put_buffer");
	free(b);
}

void buffers_forget(struct device *d)
{
	pthread_mutex_lock(&mutex);
	for (unsigned int i = 0; i < BUCKETS; i++) {
		struct buffer **at = &table[i];

		while (*at) {
			struct buffer *b = *at;

			if (b->device != d) {
				at = &b->next;
				continue;
			}
			*at = b->next;
			free(b); /* its memory goes with the environment */
		}
	}
	pthread_mutex_unlock(&mutex);
}
