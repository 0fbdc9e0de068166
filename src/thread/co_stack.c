/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stacks. A mapping is a guard, the stack, and at the top of it the coroutine itself, so one that waits costs a page or two.
 * Ended ones stay with their thread: a few as they are, more without their memory, and they even keep their context,
 * in which co_main() waits for the next function to run.
 *
 * The tops of stacks lie a power of two apart, so the same few lines of the first-level cache would serve them all;
 * hence the colors.
 */
#include "thread/co.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "thread/co_switch.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#endif

static size_t class_size(unsigned class)
{
	return (size_t)1 << (class + CO_CLASS_MIN);
}

static unsigned size_class(size_t size)
{
	unsigned class = 0;

	while (class_size(class) < size)
		class++;
	return class;
}

static char *stack_bottom(const struct nvio_co *co)
{
	return (char *)co->map + CO_GUARD;
}

bool co_stack_guards(const struct nvio_co *co, const void *addr)
{
	return (const char *)addr >= (char *)co->map && (const char *)addr < stack_bottom(co);
}

/*
 * A guard that is an entry in the page table costs no mapping of its own, so that there may be more than 32,000 stacks
 * (vm.max_map_count is 65,530, usually); older kernels do not know of it, and locked memory cannot have it.
 */
static int make_guard(void *map)
{
	if (!madvise(map, CO_GUARD, MADV_GUARD_INSTALL))
		return 0;
	return mprotect(map, CO_GUARD, PROT_NONE) ? -errno : 0;
}

static void *map_stack(size_t size)
{
	void *map;
	int rc;

	if (alloc_fails()) {
		errno = ENOMEM;
		return NULL;
	}
	map = mmap(NULL, CO_GUARD + size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (map == MAP_FAILED)
		return NULL;
	rc = make_guard(map);
	if (rc) {
		munmap(map, CO_GUARD + size);
		errno = -rc;
		return NULL;
	}
	return map;
}

static struct nvio_co *co_make(struct nvio_thread *t, unsigned class)
{
	size_t size = class_size(class);
	char *map = map_stack(size);
	struct nvio_co *co;

	if (!map) {
		fail(-ENOMEM, "coroutine: %s: no memory for a stack of %zu KiB: %s; there are %u already (vm.max_map_count)",
			t->name, size >> 10, strerror(errno), t->co->count);
		return NULL;
	}
	co = (struct nvio_co *)ALIGN_DOWN((uintptr_t)map + CO_GUARD + size - sizeof(*co) -
						  t->co->color++ % CO_COLORS * CO_COLOR_BYTES,
		CACHE_LINE);
	co->map = map;
	co->class = class;
	list_init(&co->link);
	co_san_make(&co->san, stack_bottom(co), class_size(class));
	co->sp = co_switch_make(stack_bottom(co), co, co_main, co);
	return co;
}

void co_stack_free(struct nvio_co *co)
{
	size_t size = class_size(co->class);

	list_remove(&co->link);
	co_san_unmake(&co->san, stack_bottom(co), size);
	munmap(co->map, CO_GUARD + size);
}

/* A context may use so much below what stands for it. */
#define BELOW_SP 512u

/* The topmost page has the coroutine, and the few frames that wait for the next function. */
static void cool(struct nvio_co *co)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *keep = (char *)ALIGN_DOWN((uintptr_t)co->sp - BELOW_SP, page);

	/* It can fail only for memory that is locked, and then nothing is to be gained. */
	madvise(stack_bottom(co), (size_t)(keep - stack_bottom(co)), MADV_DONTNEED);
}

struct nvio_co *co_stack_get(struct nvio_thread *t, size_t size)
{
	unsigned class = size_class(size * CO_STACK_FACTOR);
	struct co_pool *pool = &t->co->pools[class];
	struct nvio_co *co;

	if (!list_empty(&pool->warm)) {
		co = list_entry(list_pop_front(&pool->warm), struct nvio_co, link);
		pool->warm_count--;
	} else if (!list_empty(&pool->cold)) {
		co = list_entry(list_pop_front(&pool->cold), struct nvio_co, link);
		pool->cold_count--;
	} else {
		return co_make(t, class);
	}
	co_san_reuse(&co->san);
	return co;
}

void co_stack_put(struct nvio_thread *t, struct nvio_co *co)
{
	struct co_pool *pool = &t->co->pools[co->class];

	list_push_front(&pool->warm, &co->link);
	if (++pool->warm_count <= CO_POOL_WARM)
		return;
	/* The one that has not run for longest is the one that its memory is least wanted of. */
	co = list_entry(pool->warm.prev, struct nvio_co, link);
	pool->warm_count--;
	if (pool->cold_count == CO_POOL_COLD) {
		co_stack_free(co);
		return;
	}
	cool(co);
	list_remove(&co->link);
	list_push_front(&pool->cold, &co->link);
	pool->cold_count++;
}

void co_pool_init(struct co_sched *s)
{
	for (unsigned i = 0; i < CO_CLASSES; i++) {
		list_init(&s->pools[i].warm);
		list_init(&s->pools[i].cold);
	}
}

static void free_list(struct list *l)
{
	while (!list_empty(l))
		co_stack_free(list_entry(l->next, struct nvio_co, link));
}

void co_pool_free(struct co_sched *s)
{
	for (unsigned i = 0; i < CO_CLASSES; i++) {
		free_list(&s->pools[i].warm);
		free_list(&s->pools[i].cold);
	}
}
