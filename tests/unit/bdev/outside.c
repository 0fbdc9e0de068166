/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two modules of an application, with the public headers alone: one that takes all types there are, and one that stands on it. And the
 * error device above them, which strikes each type. B4 (error, by type), B5 (modules from outside), Z1.
 */
#include "support.h"

#include <nvio/bdev_lock.h>
#include <nvio/spec/command.h>

#define BLOCK  512u
#define BLOCKS 64u

/* ---- one that takes everything, and holds it back while told to ---- */

struct taker {
	unsigned counts[NVIO_BDEV_IO_TYPES];
	struct nvio_bdev_io *held;
	bool holds;
};

static struct taker taker;

static int taker_submit(void *device, void *channel, struct nvio_bdev_io *io)
{
	taker.counts[io->type]++;
	if (taker.holds)
		taker.held = io;
	else
		nvio_bdev_io_done(io, 0);
	return 0;
}

static void taker_abort(void *device, void *channel)
{
	struct nvio_bdev_io *io = taker.held;

	taker.held = NULL;
	if (io)
		nvio_bdev_io_done(io, -ECANCELED);
}

static void taker_destroy(void *device)
{
}

static const struct nvio_bdev_module taker_module = {
	.name = "taker",
	.submit = taker_submit,
	.channel_destroy = taker_abort,
	.abort = taker_abort,
	.destroy = taker_destroy,
};

static int taker_resize(void *device, uint64_t num_blocks, bool busy)
{
	return 0;
}

static const struct nvio_bdev_module elastic_module = {
	.name = "elastic",
	.submit = taker_submit,
	.channel_destroy = taker_abort,
	.abort = taker_abort,
	.resize = taker_resize,
	.destroy = taker_destroy,
};

static void make_taker(struct fixture *f, const struct nvio_bdev_module *module)
{
	struct nvio_bdev_params p;

	taker = (struct taker){ 0 };
	assert_ok(nvio_bdev_module_register(f->env, module));
	nvio_bdev_params_init(&p);
	p.module = module;
	p.name = "t";
	p.num_blocks = BLOCKS;
	p.io_types = NVIO_BDEV_CAN(NVIO_BDEV_IO_TYPES) - 1;
	p.volatile_cache = true; /* so that a flush is for somebody */
	assert_ok(nvio_bdev_register(f->env, &p));
}

static int do_type(struct disk *d, enum nvio_bdev_io_type type, struct nvio_op *op)
{
	static unsigned char buf[BLOCK], other[BLOCK];
	static const struct nvio_sqe cmd;
	int rc = -EINVAL;

	*op = (struct nvio_op)NVIO_OP(NULL);
	switch (type) {
	case NVIO_BDEV_IO_READ: rc = nvio_bdev_read(d->desc, d->ch, buf, 0, BLOCK, op); break;
	case NVIO_BDEV_IO_WRITE: rc = nvio_bdev_write(d->desc, d->ch, buf, 0, BLOCK, op); break;
	case NVIO_BDEV_IO_WRITE_ZEROES: rc = nvio_bdev_write_zeroes(d->desc, d->ch, 0, BLOCK, op); break;
	case NVIO_BDEV_IO_UNMAP: rc = nvio_bdev_unmap(d->desc, d->ch, 0, BLOCK, op); break;
	case NVIO_BDEV_IO_FLUSH: rc = nvio_bdev_flush(d->desc, d->ch, op); break;
	case NVIO_BDEV_IO_COMPARE: rc = nvio_bdev_compare(d->desc, d->ch, buf, 0, BLOCK, op); break;
	case NVIO_BDEV_IO_COMPARE_AND_WRITE:
		rc = nvio_bdev_compare_and_write(d->desc, d->ch, buf, other, 0, BLOCK, op);
		break;
	case NVIO_BDEV_IO_COPY: rc = nvio_bdev_copy(d->desc, d->ch, 0, BLOCK, BLOCK, op); break;
	case NVIO_BDEV_IO_RESET: rc = nvio_bdev_reset(d->desc, d->ch, op); break;
	case NVIO_BDEV_IO_NVME: rc = nvio_bdev_nvme_io(d->desc, d->ch, &cmd, buf, BLOCK, op); break;
	case NVIO_BDEV_IO_NVME_ADMIN: rc = nvio_bdev_nvme_admin(d->desc, d->ch, &cmd, buf, BLOCK, op); break;
	case NVIO_BDEV_IO_TYPES: break;
	}
	return nvio_await(rc, op);
}

static void make_error(struct fixture *f, const char *base)
{
	struct nvio_bdev_error_opts o;

	nvio_bdev_error_opts_init(&o);
	o.name = "e";
	o.base = base;
	assert_ok(nvio_bdev_error_create(f->env, &o));
}

/* B4: the one type that was asked for fails, with errno and NVMe status, and is not seen below; all others arrive there. */
static void each_type_is_struck_and_no_other(void **state)
{
	struct fixture *f = *state;
	struct nvio_op op, cleared;
	struct disk d;

	make_taker(f, &taker_module);
	make_error(f, "t");
	d = disk_open(f, "e", NVIO_BDEV_WRITE);
	for (enum nvio_bdev_io_type struck = 0; struck < NVIO_BDEV_IO_TYPES; struck++) {
		struct nvio_bdev_error_inject i;

		memset(taker.counts, 0, sizeof(taker.counts));
		nvio_bdev_error_inject_init(&i);
		i.io_types = NVIO_BDEV_CAN(struck);
		i.status = -ENODATA;
		i.sf = 0x4281;
		/* Of types without a range all are struck, of the others those that touch it. */
		i.lba = 0;
		i.num_blocks = 2;
		assert_ok(nvio_bdev_error_inject(f->env, "e", &i));
		for (enum nvio_bdev_io_type type = 0; type < NVIO_BDEV_IO_TYPES; type++) {
			int rc = do_type(&d, type, &op);

			if (rc != (type == struck ? -ENODATA : 0) || taker.counts[type] != (type != struck))
				fail_msg("type %d, struck %d: %d, %u times below", type, struck, rc, taker.counts[type]);
			assert_int_equal(op.cpl.answered, type == struck);
		}
		cleared = (struct nvio_op)NVIO_OP(NULL);
		assert_ok(nvio_await(nvio_bdev_error_clear(f->env, "e", &cleared), &cleared));
	}
	disk_close(&d);
}

/* ---- one that stands on it: everything goes down, and comes back by forwarded() ---- */

struct stander {
	struct nvio_bdev_base *base;
	uint64_t blocks; /* as told by resized */
	unsigned back, aborts, removals;
	int last;
};

struct stander_channel {
	struct nvio_channel *below;
};

static struct stander stander;

static int stander_submit(void *device, void *channel, struct nvio_bdev_io *io)
{
	struct stander_channel *c = channel;

	return nvio_bdev_io_forward(io, nvio_bdev_base_desc(stander.base), c->below, io->offset);
}

static void stander_forwarded(void *device, void *channel, struct nvio_bdev_io *io, int status)
{
	stander.back++;
	stander.last = status;
	nvio_bdev_io_done(io, status);
}

static int stander_channel_create(void *device, void *channel, struct nvio_thread *thread)
{
	struct stander_channel *c = channel;

	return nvio_bdev_channel(nvio_bdev_base_desc(stander.base), &c->below);
}

static void stander_channel_destroy(void *device, void *channel)
{
	nvio_channel_put(((struct stander_channel *)channel)->below);
}

static void stander_abort(void *device, void *channel)
{
	stander.aborts++;
	nvio_bdev_channel_abort(((struct stander_channel *)channel)->below);
}

static void stander_destroy(void *device)
{
	nvio_bdev_base_close(stander.base);
	stander.base = NULL;
}

static const struct nvio_bdev_module stander_module = {
	.name = "stander",
	.submit = stander_submit,
	.forwarded = stander_forwarded,
	.channel_create = stander_channel_create,
	.channel_destroy = stander_channel_destroy,
	.abort = stander_abort,
	.destroy = stander_destroy,
};

static void stander_resized(void *arg, uint64_t num_blocks)
{
	((struct stander *)arg)->blocks = num_blocks;
}

static void stander_removed(void *arg)
{
	((struct stander *)arg)->removals++;
}

static struct nvio_bdev_base_opts base_opts(void)
{
	struct nvio_bdev_base_opts o;

	nvio_bdev_base_opts_init(&o);
	o.base = "t";
	o.name = "s";
	o.resized = stander_resized;
	o.arg = &stander;
	return o;
}

static void make_stander(struct fixture *f, const struct nvio_bdev_base_opts *o)
{
	struct nvio_bdev_params p;

	stander = (struct stander){ 0 };
	assert_ok(nvio_bdev_module_register(f->env, &stander_module));
	assert_ok(nvio_bdev_base_open(f->env, o, &stander.base));
	nvio_bdev_base_params(stander.base, &p);
	assert_int_equal(p.num_blocks, BLOCKS);
	assert_int_equal(p.forwards, NVIO_BDEV_FORWARDS);
	p.module = &stander_module;
	p.name = "s";
	p.channel_size = sizeof(struct stander_channel);
	assert_ok(nvio_bdev_register(f->env, &p));
}

/* B5: all that the device below does, the one above does. */
static void a_module_from_outside_can_stand_on_another(void **state)
{
	const struct nvio_bdev_base_opts o = base_opts();
	struct fixture *f = *state;
	struct nvio_bdev_desc *desc;
	struct nvio_op op;
	struct disk d;

	make_taker(f, &elastic_module);
	make_stander(f, &o);
	assert_string_equal(nvio_bdev_name(nvio_bdev_base_bdev(stander.base)), "t");
	assert_int_equal(nvio_bdev_open(f->env, "t", NVIO_BDEV_WRITE, &desc), -EPERM); /* it is claimed */
	d = disk_open(f, "s", NVIO_BDEV_WRITE);
	for (enum nvio_bdev_io_type type = 0; type < NVIO_BDEV_IO_TYPES; type++) {
		assert_ok(do_type(&d, type, &op));
		assert_int_equal(taker.counts[type], 1);
		assert_int_equal(stander.back, type + 1);
	}
	/* A reset hurries what the device below holds. */
	taker.holds = true;
	op = (struct nvio_op)NVIO_OP(NULL);
	assert_ok(nvio_bdev_flush(d.desc, d.ch, &op));
	taker.holds = false;
	{
		struct nvio_op reset;

		assert_ok(do_type(&d, NVIO_BDEV_IO_RESET, &reset));
	}
	assert_int_equal(nvio_wait(&op), -ECANCELED);
	assert_true(stander.aborts > 0);
	assert_ok(nvio_bdev_resize(f->env, "t", BLOCKS / 2));
	for (unsigned i = 0; i < 8; i++)
		nvio_thread_poll(f->thread, 0);
	assert_int_equal(stander.blocks, BLOCKS / 2);
	/* Above it is as large as it was, so the way down is too short. */
	assert_int_equal(do_read(&d, (unsigned char[BLOCK]){ 0 }, (BLOCKS - 1) * BLOCK, BLOCK), -ERANGE);
	disk_close(&d);
	/* Removal below takes it along. */
	delete_device(f, "t");
	assert_null(stander.base);
	assert_int_equal(nvio_bdev_open(f->env, "s", 0, &desc), -ENODEV);
}

/* B1: shared and read-only bases, and one that sees to the removal itself. */
static void what_a_base_is_opened_for_is_heeded(void **state)
{
	struct nvio_bdev_base_opts o = base_opts();
	struct nvio_bdev_base *second, *none = NULL;
	struct fixture *f = *state;
	struct nvio_op gone = NVIO_OP(NULL);
	struct nvio_bdev_desc *desc;

	make_taker(f, &taker_module);
	o.shared = true;
	o.removed = stander_removed;
	make_stander(f, &o);
	assert_ok(nvio_bdev_base_open(f->env, &o, &second));
	assert_ok(nvio_bdev_open(f->env, "t", NVIO_BDEV_WRITE, &desc));
	o.shared = false;
	assert_int_equal(nvio_bdev_base_open(f->env, &o, &none), -EBUSY);
	assert_ok(nvio_bdev_close(desc));
	nvio_bdev_base_close(second);
	o.read_only = true;
	assert_ok(nvio_bdev_base_open(f->env, &o, &second));
	assert_int_equal(nvio_bdev_can(nvio_bdev_base_bdev(second), NVIO_BDEV_IO_WRITE), NVIO_BDEV_NATIVE);
	{
		struct nvio_bdev_params p;

		nvio_bdev_base_params(second, &p);
		assert_true(p.read_only);
		assert_false(p.io_types & NVIO_BDEV_CAN(NVIO_BDEV_IO_WRITE));
	}
	nvio_bdev_base_close(second);
	nvio_bdev_base_close(NULL);
	o.base = "nobody";
	assert_int_equal(nvio_bdev_base_open(f->env, &o, &none), -ENODEV);
	assert_int_equal(nvio_bdev_base_open(f->env, NULL, &none), -EINVAL);
	assert_null(none);
	assert_ok(nvio_bdev_delete(f->env, "t", &gone));
	for (unsigned i = 0; i < 8; i++)
		nvio_thread_poll(f->thread, 0);
	assert_int_equal(stander.removals, 1);
	assert_true(nvio_op_pending(&gone)); /* the device above is its own to delete */
	delete_device(f, "s");
	assert_ok(nvio_wait(&gone));
}

/* Z1: what the options point to may go as soon as the call has returned. */
static void options_are_copied_at_the_call(void **state)
{
	struct fixture *f = *state;
	char name[8] = "below", base[8] = "below";
	uint8_t uuid[16] = { 1, 2, 3 };
	struct nvio_bdev_malloc_opts m;
	struct nvio_bdev_delay_opts o;
	struct disk d;

	nvio_bdev_malloc_opts_init(&m);
	m.name = name;
	m.uuid = uuid;
	m.num_blocks = BLOCKS;
	assert_ok(nvio_bdev_malloc_create(f->env, &m));
	strcpy(name, "above");
	nvio_bdev_delay_opts_init(&o);
	o.name = name;
	o.base = base;
	assert_ok(nvio_bdev_delay_create(f->env, &o));
	memset(name, 'x', sizeof(name) - 1);
	memset(base, 'y', sizeof(base) - 1);
	memset(uuid, 0xff, sizeof(uuid));
	memset(&m, 0xee, sizeof(m));
	memset(&o, 0xee, sizeof(o));
	d = disk_open(f, "above", NVIO_BDEV_WRITE);
	assert_ok(do_read(&d, (unsigned char[BLOCK]){ 0 }, 0, BLOCK));
	disk_close(&d);
	d = disk_open(f, "below", 0);
	assert_int_equal(nvio_bdev_uuid(d.bdev)[2], 3);
	disk_close(&d);
	assert_ok(nvio_bdev_resize(f->env, "below", BLOCKS / 2)); /* which goes up by name */
	for (unsigned i = 0; i < 8; i++)
		nvio_thread_poll(f->thread, 0);
	d = disk_open(f, "above", 0);
	assert_int_equal(nvio_bdev_num_blocks(d.bdev), BLOCKS / 2);
	disk_close(&d);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		fixture_test(each_type_is_struck_and_no_other),
		fixture_test(a_module_from_outside_can_stand_on_another),
		fixture_test(what_a_base_is_opened_for_is_heeded),
		fixture_test(options_are_copied_at_the_call),
	};

	return cmocka_run_group_tests_name("bdev/outside", tests, NULL, NULL);
}
