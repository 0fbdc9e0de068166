/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device from its registration to its end, its size, and what it says of itself.
 */
#include <inttypes.h>
#include <sched.h>
#include <string.h>

#include "base/alloc.h"
#include "base/opts.h"
#include "bdev/gate.h"
#include "bdev/uuid.h"
#include <nvio/error.h>

void nvio_bdev_params_init(struct nvio_bdev_params *params)
{
	*params = (struct nvio_bdev_params){
		.size = sizeof(*params),
		.block_size = BDEV_MIN_BLOCK,
		.io_types = NVIO_BDEV_CAN(NVIO_BDEV_IO_READ) | NVIO_BDEV_CAN(NVIO_BDEV_IO_WRITE),
	};
}

/* Whether so many blocks make a device whose offsets fit into a loff_t. */
static int size_check(const char *what, const char *name, uint64_t num_blocks, uint32_t block_size)
{
	uint64_t bytes;

	if (!num_blocks)
		return fail(-EINVAL, "bdev: %s: %s: num_blocks is 0", what, name);
	if (__builtin_mul_overflow(num_blocks, (uint64_t)block_size, &bytes) || bytes > INT64_MAX)
		return fail(-EINVAL,
			"bdev: %s: %s: %" PRIu64 " blocks of %u bytes are more than 2^63 - 1 bytes", what,
			name, num_blocks, block_size);
	return 0;
}

static int limits_check(const struct nvio_bdev_params *p)
{
	if (p->max_io_bytes % p->block_size)
		return fail(-EINVAL, "bdev: create: %s: max_io_bytes %u is not a multiple of the block size %u", p->name,
			p->max_io_bytes, p->block_size);
	if (p->boundary_bytes && (!IS_POWER_OF_2(p->boundary_bytes) || p->boundary_bytes < p->block_size))
		return fail(-EINVAL, "bdev: create: %s: boundary_bytes %u is not a power of two of at least a block of %u",
			p->name, p->boundary_bytes, p->block_size);
	if (p->buf_align && (!IS_POWER_OF_2(p->buf_align) || p->buf_align > BDEV_MAX_BUF_ALIGN))
		return fail(-EINVAL, "bdev: create: %s: buf_align %u is not a power of two up to %u", p->name, p->buf_align,
			BDEV_MAX_BUF_ALIGN);
	return 0;
}

static int params_check(const struct nvio_bdev_params *p)
{
	int rc = bdev_name_check("create", p->name);

	if (rc)
		return rc;
	if (!p->module)
		return fail(-EINVAL, "bdev: create: %s: the module is NULL", p->name);
	if (!IS_POWER_OF_2(p->block_size) || p->block_size < BDEV_MIN_BLOCK || p->block_size > BDEV_MAX_BLOCK)
		return fail(-EINVAL, "bdev: create: %s: block size %u is not a power of two from %u to %u",
			p->name, p->block_size, BDEV_MIN_BLOCK, BDEV_MAX_BLOCK);
	if (!(p->io_types & NVIO_BDEV_CAN(NVIO_BDEV_IO_READ)))
		return fail(-EINVAL, "bdev: create: %s: a module must be able to read", p->name);
	if (p->volatile_cache && !(p->io_types & NVIO_BDEV_CAN(NVIO_BDEV_IO_FLUSH)))
		return fail(-EINVAL, "bdev: create: %s: a device with a volatile cache must be able to flush",
			p->name);
	rc = limits_check(p);
	return rc ? rc : size_check("create", p->name, p->num_blocks, p->block_size);
}

/*
 * What the layer adds to what the module can do: what can be made of reads and writes, a flush that nobody needs, and reset,
 * of which the module need have no part.
 */
static uint32_t all_types(const struct nvio_bdev_params *p)
{
	uint32_t types = p->io_types | NVIO_BDEV_CAN(NVIO_BDEV_IO_FLUSH) | NVIO_BDEV_CAN(NVIO_BDEV_IO_COMPARE) |
			 NVIO_BDEV_CAN(NVIO_BDEV_IO_RESET);

	if (types & NVIO_BDEV_CAN(NVIO_BDEV_IO_WRITE))
		types |= BDEV_EMULATED_TYPES;
	return types;
}

static void set_limits(struct nvio_bdev *bdev, const struct nvio_bdev_params *p)
{
	/* The largest number of whole blocks, of any size, in 32 bits. */
	bdev->max_io_bytes = p->max_io_bytes ? p->max_io_bytes : ALIGN_DOWN(UINT32_MAX, BDEV_MAX_BLOCK);
	bdev->max_iovcnt = p->max_iovcnt ? p->max_iovcnt : UINT32_MAX;
	bdev->boundary_mask = p->boundary_bytes ? p->boundary_bytes - 1 : UINT64_MAX;
	bdev->buf_mask = p->buf_align ? p->buf_align - 1 : 0;
	if (p->max_io_bytes || p->max_iovcnt || p->boundary_bytes || p->buf_align > 1)
		bdev->gates |= BDEV_GATE_LIMITS;
}

static struct nvio_bdev *bdev_alloc(struct nvio_env *env, const struct nvio_bdev_params *p)
{
	struct nvio_bdev *bdev = alloc_zeroed(sizeof(*bdev));

	if (!bdev)
		return NULL;
	bdev->name = alloc_strdup(p->name);
	bdev->past = alloc_array(NVIO_BDEV_IO_TYPES, sizeof(bdev->past[0]));
	if (!bdev->name || !bdev->past) {
		alloc_free(bdev->past);
		alloc_free(bdev->name);
		alloc_free(bdev);
		return NULL;
	}
	bdev->counted_since_ns = clock_monotonic_ns();
	list_init(&bdev->walks);
	bdev->env = env;
	bdev->module = p->module;
	bdev->submit = p->module->submit;
	bdev->device = p->device;
	bdev->block_size = p->block_size;
	bdev->block_mask = p->block_size - 1;
	atomic_store(&bdev->num_blocks, p->num_blocks);
	atomic_store(&bdev->io_size, p->num_blocks * p->block_size);
	bdev->io_types = all_types(p);
	atomic_store(&bdev->native, p->io_types | NVIO_BDEV_CAN(NVIO_BDEV_IO_FLUSH));
	set_limits(bdev, p);
	bdev->forwards = p->forwards;
	bdev->read_only = p->read_only;
	bdev->volatile_cache = p->volatile_cache;
	if (p->uuid)
		memcpy(bdev->uuid, p->uuid, sizeof(bdev->uuid));
	else
		uuid_random(env, bdev->uuid);
	list_init(&bdev->link);
	list_init(&bdev->descs);
	list_init(&bdev->channels);
	pthread_mutex_init(&bdev->resize_lock, NULL);
	bdev_gate_init(bdev);
	bdev_channel_ops_init(bdev, p->channel_size);
	return bdev;
}

/* Without the module's part. */
static void bdev_dealloc(struct nvio_bdev *bdev)
{
	for (unsigned i = 0; i < BDEV_MAX_ALIASES; i++)
		alloc_free(atomic_load(&bdev->aliases[i]));
	bdev_gate_fini(bdev);
	pthread_mutex_destroy(&bdev->resize_lock);
	alloc_free(bdev->past_histograms);
	alloc_free(bdev->past);
	alloc_free(bdev->name);
	alloc_free(bdev);
}

void bdev_free(struct nvio_bdev *bdev)
{
	bdev->module->destroy(bdev->device);
	bdev_dealloc(bdev);
}

/* With the registry lock held. */
static int bdev_publish(struct bdev_registry *reg, struct nvio_bdev *bdev)
{
	unsigned i = 0;

	while (i < reg->module_count && reg->modules[i] != bdev->module)
		i++;
	if (i == reg->module_count)
		return fail(-ENOENT,
			"bdev: create: %s: its module is not registered; call nvio_bdev_module_register()",
			bdev->name);
	if (bdev_find(reg, bdev->name))
		return fail(-EEXIST, "bdev: create: the name %s is in use", bdev->name);
	bdev->serial = ++reg->last_serial;
	list_push_back(&reg->devices, &bdev->link);
	bdev_names_add(&reg->names, &bdev->by_name, bdev, bdev->name, false);
	bdev_names_add(&reg->names, &bdev->by_uuid, bdev, bdev->uuid, true);
	return 0;
}

int nvio_bdev_register(struct nvio_env *env, const struct nvio_bdev_params *params)
{
	struct nvio_bdev_params p;
	struct nvio_bdev *bdev;
	int rc;

	if (!env || !params)
		return fail(-EINVAL, "bdev: create: %s is NULL", env ? "the parameters" : "the environment");
	nvio_bdev_params_init(&p);
	rc = opts_copy("nvio_bdev_params", &p, sizeof(p), params, sizeof(p));
	if (rc)
		return rc;
	rc = params_check(&p);
	if (rc)
		return rc;
	bdev = bdev_alloc(env, &p);
	if (!bdev)
		return fail(-ENOMEM, "bdev: create: %s: no memory for the device", p.name);
	rc = nvio_io_device_register(env, bdev, &bdev->channel_ops);
	if (rc)
		goto out_dealloc;
	pthread_mutex_lock(&env->bdevs->lock);
	rc = bdev_publish(env->bdevs, bdev);
	pthread_mutex_unlock(&env->bdevs->lock);
	if (rc)
		goto out_unregister;
	return 0;
out_unregister:
	nvio_io_device_unregister(env, bdev, NULL);
out_dealloc:
	bdev_dealloc(bdev);
	return rc;
}

/* With neither descriptor nor channel left. On delete_thread. */
static void finish(void *arg)
{
	struct nvio_bdev *bdev = arg;
	struct bdev_registry *reg = bdev->env->bdevs;
	struct nvio_thread *t = bdev->delete_thread;
	struct nvio_op *op = bdev->delete_op;

	pthread_mutex_lock(&reg->lock);
	list_remove(&bdev->link);
	pthread_mutex_unlock(&reg->lock);
	/* A resize that found the device before it was deleted may still be at it. */
	pthread_mutex_lock(&bdev->resize_lock);
	pthread_mutex_unlock(&bdev->resize_lock);
	bdev_free(bdev);
	thread_end_op(t, op, 0);
}

/* The last channel is gone, or delete_thread exits and cannot wait for that: then the device goes with the
 * environment. */
static void channels_gone(struct nvio_op *gone_op)
{
	struct nvio_bdev *bdev = gone_op->arg;
	struct bdev_registry *reg = bdev->env->bdevs;
	struct nvio_op *op = bdev->delete_op;
	bool last;

	pthread_mutex_lock(&reg->lock);
	bdev->channels_gone = !gone_op->status;
	last = bdev_is_unused(bdev);
	if (!bdev->channels_gone)
		bdev->delete_op = NULL;
	pthread_mutex_unlock(&reg->lock);
	if (last)
		finish(bdev);
	else if (gone_op->status)
		thread_end_op(bdev->delete_thread, op, gone_op->status);
}

bool bdev_is_unused(const struct nvio_bdev *bdev)
{
	return bdev->channels_gone && list_empty(&bdev->descs) && !bdev->pins;
}

void bdev_unpin(struct nvio_bdev *bdev)
{
	struct bdev_registry *reg = bdev->env->bdevs;
	bool last;

	pthread_mutex_lock(&reg->lock);
	bdev->pins--;
	last = bdev_is_unused(bdev);
	pthread_mutex_unlock(&reg->lock);
	if (last)
		bdev_last_closed(bdev);
}

void bdev_last_closed(struct nvio_bdev *bdev)
{
	struct nvio_thread *current = thread_current();

	/* By both: a thread made later may have its address. */
	if (current && bdev->delete_thread == current && bdev->delete_thread_id == nvio_thread_id(current))
		finish(bdev);
	else if (thread_send_by_id(bdev->env, bdev->delete_thread_id, finish, bdev))
		log_msg(&bdev->env->log, NVIO_LOG_WARN,
			"bdev: delete: %s: its thread takes no message; the device goes with the environment: %s",
			bdev->name, nvio_errmsg());
}

/* With the registry lock held. From here on nobody finds it, and I/O is refused. */
static int begin_delete(struct bdev_registry *reg, struct nvio_bdev *bdev, struct nvio_op *op)
{
	int rc;

	bdev->gone_op = (struct nvio_op)NVIO_OP(channels_gone);
	bdev->gone_op.arg = bdev;
	rc = nvio_io_device_unregister(bdev->env, bdev, &bdev->gone_op);
	if (rc)
		return rc;
	bdev_unlist(reg, bdev);
	list_push_back(&reg->leaving, &bdev->link);
	bdev->delete_op = op;
	bdev->delete_thread = thread_current();
	bdev->delete_thread_id = nvio_thread_id(bdev->delete_thread);
	op_begin(op, thread_pollable(bdev->delete_thread));
	atomic_store(&bdev->io_size, 0);
	atomic_store(&bdev->removed, true);
	bdev_notify(bdev, NVIO_BDEV_REMOVED);
	return 0;
}

/* With the registry lock held. */
static struct nvio_bdev *find_of(struct bdev_registry *reg, const char *name, const void *device)
{
	struct nvio_bdev *bdev = bdev_find(reg, name);

	return bdev && device && bdev->device != device ? NULL : bdev;
}

int bdev_delete_of(struct nvio_env *env, const char *name, const void *device, struct nvio_op *op)
{
	struct bdev_registry *reg;
	struct nvio_bdev *bdev;
	int rc;

	if (!env || !name || !op)
		return fail(-EINVAL, "bdev: delete: %s is NULL",
			!env	? "the environment"
			: !name ? "the name"
				: "the op");
	if (op->flags)
		return fail(-EINVAL, "bdev: delete: %s: op flags 0x%x have no meaning here", name, op->flags);
	if (!thread_current())
		return fail(-EINVAL, "bdev: delete: %s: no nvio_thread is current here; attach to one", name);
	reg = env->bdevs;
	pthread_mutex_lock(&reg->lock);
	bdev = find_of(reg, name, device);
	if (bdev)
		rc = begin_delete(reg, bdev, op);
	else
		rc = fail(-ENODEV, "bdev: delete: no device is named %s", name);
	pthread_mutex_unlock(&reg->lock);
	return rc;
}

int nvio_bdev_delete(struct nvio_env *env, const char *name, struct nvio_op *op)
{
	return bdev_delete_of(env, name, NULL, op);
}

int bdev_withdraw(struct nvio_env *env, const char *name, const void *device)
{
	struct bdev_registry *reg = env->bdevs;
	struct nvio_bdev *bdev;
	int rc = 0;

	pthread_mutex_lock(&reg->lock);
	bdev = find_of(reg, name, device);
	if (!bdev)
		rc = fail(-ENODEV, "bdev: withdraw: no device is named %s", name);
	else if (!list_empty(&bdev->descs) || bdev->pins || nvio_io_device_unregister(env, bdev, NULL))
		rc = fail(-EBUSY, "bdev: withdraw: %s is open, or being looked at", name);
	else
		bdev_unlist(reg, bdev);
	pthread_mutex_unlock(&reg->lock);
	if (rc)
		return rc;
	/* As in finish(). */
	pthread_mutex_lock(&bdev->resize_lock);
	pthread_mutex_unlock(&bdev->resize_lock);
	bdev_free(bdev);
	return 0;
}

/* With resize_lock held. A shrinking device refuses what is beyond the new end before the module gives it
 * away. */
static int resize(struct nvio_bdev *bdev, uint64_t num_blocks)
{
	struct bdev_registry *reg = bdev->env->bdevs;
	uint64_t old = atomic_load(&bdev->num_blocks);
	bool busy = false;
	int rc;

	if (!bdev->module->resize)
		return fail(-EOPNOTSUPP, "bdev: resize: %s: module %s cannot resize", bdev->name,
			bdev->module->name);
	pthread_mutex_lock(&reg->lock);
	list_for_each (l, &bdev->channels)
		busy |= list_entry(l, struct bdev_channel, link)->thread != thread_current();
	pthread_mutex_unlock(&reg->lock);
	if (num_blocks < old)
		atomic_store(&bdev->io_size, num_blocks * bdev->block_size);
	rc = bdev->module->resize(bdev->device, num_blocks, busy);
	if (!rc)
		atomic_store(&bdev->num_blocks, num_blocks);
	pthread_mutex_lock(&reg->lock);
	/* Deleted meanwhile: io_size is 0 for good. */
	if (!atomic_load(&bdev->removed)) {
		atomic_store(&bdev->io_size, (rc ? old : num_blocks) * bdev->block_size);
		if (!rc && num_blocks != old)
			bdev_notify(bdev, NVIO_BDEV_RESIZED);
	}
	pthread_mutex_unlock(&reg->lock);
	return rc;
}

/*
 * The device with its resize_lock held, or NULL. The registry lock keeps the device there until it is ours,
 * and is inside of the other one: so it is tried, and another resize or a new channel waited for.
 */
static struct nvio_bdev *find_for_resize(struct bdev_registry *reg, const char *name, const void *device)
{
	struct nvio_bdev *bdev;
	bool ours;

	for (;;) {
		pthread_mutex_lock(&reg->lock);
		bdev = find_of(reg, name, device);
		ours = !bdev || !pthread_mutex_trylock(&bdev->resize_lock);
		pthread_mutex_unlock(&reg->lock);
		if (ours)
			return bdev;
		sched_yield();
	}
}

int bdev_resize_of(struct nvio_env *env, const char *name, const void *device, uint64_t num_blocks)
{
	struct nvio_bdev *bdev;
	int rc;

	if (!env || !name)
		return fail(-EINVAL, "bdev: resize: %s is NULL", env ? "the name" : "the environment");
	bdev = find_for_resize(env->bdevs, name, device);
	if (!bdev)
		return fail(-ENODEV, "bdev: resize: no device is named %s", name);
	rc = size_check("resize", name, num_blocks, bdev->block_size);
	if (!rc)
		rc = resize(bdev, num_blocks);
	pthread_mutex_unlock(&bdev->resize_lock);
	return rc;
}

int nvio_bdev_resize(struct nvio_env *env, const char *name, uint64_t num_blocks)
{
	return bdev_resize_of(env, name, NULL, num_blocks);
}

const char *nvio_bdev_name(const struct nvio_bdev *bdev)
{
	return bdev->name;
}

const char *nvio_bdev_module(const struct nvio_bdev *bdev)
{
	return bdev->module->name;
}

uint32_t nvio_bdev_block_size(const struct nvio_bdev *bdev)
{
	return bdev->block_size;
}

uint64_t nvio_bdev_num_blocks(const struct nvio_bdev *bdev)
{
	return atomic_load(&bdev->num_blocks);
}

uint64_t nvio_bdev_size_bytes(const struct nvio_bdev *bdev)
{
	return atomic_load(&bdev->num_blocks) * bdev->block_size;
}

bool nvio_bdev_is_read_only(const struct nvio_bdev *bdev)
{
	return bdev->read_only;
}

bool nvio_bdev_has_volatile_cache(const struct nvio_bdev *bdev)
{
	return bdev->volatile_cache;
}

const uint8_t *nvio_bdev_uuid(const struct nvio_bdev *bdev)
{
	return bdev->uuid;
}
