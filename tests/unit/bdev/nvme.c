/* SPDX-License-Identifier: BSD-3-Clause */
/* Namespaces as devices: attaching, what the devices look like, I/O of each kind, detaching. B4, N3, N6, N8. */
#include "nvme.h"

#include "base/alloc.h"

#define MIB (1u << 20)

static const struct form {
	const char *trid;
	bool on_thread; /* the drive is attached to the fixture's thread, under this name */
	uint32_t block;
	bool cache;
} forms[] = {
	{ "loop:ram:8M", false, 512, false },
	{ "loop:ram:8M?bs=4096&vwc=1", false, 4096, true },
	{ "loop:ram:8M?mdts=8192", false, 512, false },
	{ "loop:ram:8M?poll=thread", false, 512, false },
	{ "loop:here", true, 512, false },
};

static struct nvio_drive *drive_here(struct fixture *f, const char *name)
{
	struct nvio_drive_ns_opts ns = { .backing = NVIO_DRIVE_RAM, .bytes = 8 * MIB, .block_size = 512 };
	struct nvio_drive_opts o;
	struct nvio_drive *d;

	nvio_drive_opts_init(&o);
	o.name = name;
	o.num_ns = 1;
	o.ns = &ns;
	o.poll = NVIO_DRIVE_ATTACHED;
	o.thread = f->thread;
	assert_ok(nvio_drive_open(f->env, &o, &d));
	return d;
}

static void check_shapes(struct disk *d, uint32_t block)
{
	static unsigned char buf[2 * MIB + 64], seen[2 * MIB + 64];
	struct nvio_op op = NVIO_OP(NULL);
	struct iovec iov[4];

	stamp(buf, 0, 2 * MIB);
	assert_ok(do_write(d, buf, 0, 2 * MIB));
	assert_ok(do_read(d, seen, 0, 2 * MIB));
	assert_true(is_stamped(seen, 0, 2 * MIB));
	/* Memory that PRPs cannot describe: odd addresses, and pieces of odd lengths with one of none among them. */
	iov[0] = (struct iovec){ seen + 1, 3 };
	iov[1] = (struct iovec){ seen + 7, 0 };
	iov[2] = (struct iovec){ seen + 9, 5000 };
	iov[3] = (struct iovec){ seen + 5013, MIB };
	assert_ok(nvio_await(nvio_bdev_readv(d->desc, d->ch, iov, 4, 8 * block, 16 * block, &op), &op));
	assert_memory_equal(seen + 1, buf + 8 * block, 3);
	assert_memory_equal(seen + 9, buf + 8 * block + 3, 5000);
	assert_memory_equal(seen + 5013, buf + 8 * block + 5003, 16 * block - 5003);
	op.flags = NVIO_OP_FUA;
	assert_ok(nvio_await(nvio_bdev_writev(d->desc, d->ch, iov, 4, 3 * MIB, 16 * block, &op), &op));
	op.flags = 0;
	assert_ok(do_read(d, seen, 3 * MIB, 16 * block));
	assert_memory_equal(seen, buf + 8 * block, 16 * block);
}

static void check_without_data(struct disk *d, uint32_t block)
{
	static unsigned char seen[MIB];
	struct nvio_op op = NVIO_OP(NULL);

	assert_ok(nvio_await(nvio_bdev_write_zeroes(d->desc, d->ch, block, MIB - block, &op), &op));
	assert_ok(do_read(d, seen, 0, MIB));
	assert_true(is_stamped(seen, 0, block));
	assert_true(all_bytes_are(seen + block, 0, MIB - block));
	assert_ok(nvio_await(nvio_bdev_unmap(d->desc, d->ch, 0, MIB, &op), &op));
	assert_ok(nvio_await(nvio_bdev_flush(d->desc, d->ch, &op), &op));
	/* The end of the device, and beyond it. */
	assert_ok(do_read(d, seen, nvio_bdev_size_bytes(d->bdev) - block, block));
	assert_int_equal(do_read(d, seen, nvio_bdev_size_bytes(d->bdev), block), -ERANGE);
}

/* B4: whoever moves the drive along, on whichever thread. */
static void data_comes_back_from_any_drive(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct nvio_drive *drive = forms[i].on_thread ? drive_here(f, "here") : NULL;
		struct disk d;

		attach(f, "Nvme0", forms[i].trid);
		d = disk_open(f, "Nvme0n1", NVIO_BDEV_WRITE);
		assert_string_equal(nvio_bdev_module(d.bdev), "nvme");
		assert_int_equal(nvio_bdev_block_size(d.bdev), forms[i].block);
		assert_int_equal(nvio_bdev_size_bytes(d.bdev), 8 * MIB);
		assert_int_equal(nvio_bdev_has_volatile_cache(d.bdev), forms[i].cache);
		check_shapes(&d, forms[i].block);
		check_without_data(&d, forms[i].block);
		disk_close(&d);
		assert_ok(detach(f, "Nvme0"));
		assert_false(is_there(f, "Nvme0n1"));
		nvio_drive_close(drive);
	}
}

/* N3: the active namespaces and no others, each under its id. */
static void each_namespace_is_a_device(void **state)
{
	static const char *const there[] = { "Nvme7n1", "Nvme7n2", "Nvme7n3" };
	struct fixture *f = *state;
	unsigned char buf[512], seen[512];
	uint8_t uuid[3][16];

	attach(f, "Nvme7", "loop:ram:24M?ns=3");
	assert_false(is_there(f, "Nvme7n0"));
	assert_false(is_there(f, "Nvme7n4"));
	for (unsigned i = 0; i < 3; i++) {
		struct disk d = disk_open(f, there[i], NVIO_BDEV_WRITE);

		memset(buf, (int)i + 1, sizeof(buf));
		assert_ok(do_write(&d, buf, 4096, 512));
		memcpy(uuid[i], nvio_bdev_uuid(d.bdev), 16);
		disk_close(&d);
	}
	assert_true(memcmp(uuid[0], uuid[1], 16) && memcmp(uuid[1], uuid[2], 16));
	for (unsigned i = 0; i < 3; i++) {
		struct disk d = disk_open(f, there[i], NVIO_BDEV_READ);

		assert_ok(do_read(&d, seen, 4096, 512));
		assert_true(all_bytes_are(seen, (unsigned char)(i + 1), 512));
		disk_close(&d);
	}
	assert_ok(detach(f, "Nvme7"));
}

static void a_write_protected_namespace_is_a_read_only_device(void **state)
{
	struct fixture *f = *state;
	struct nvio_bdev_desc *desc;

	attach(f, "Nvme0", "loop:null:8M?ro=1");
	assert_int_equal(nvio_bdev_open(f->env, "Nvme0n1", NVIO_BDEV_WRITE, &desc), -EROFS);
	assert_true(is_there(f, "Nvme0n1"));
}

/* The pool of commands is smaller than this, and the controller's queue smaller still: what waits has its turn. N8 */
static void more_than_all_commands_may_be_in_flight(void **state)
{
	enum { COUNT = 2000 };
	static struct nvio_op ops[COUNT];
	static unsigned char buf[COUNT][512];
	struct fixture *f = *state;
	struct nvio_ctrlr_opts co;
	struct disk a, b;

	nvio_ctrlr_opts_init(&co);
	co.io_queue_size = 16;
	assert_ok(attach_with(f, "Nvme0", "loop:ram:8M?ns=2", &co));
	a = disk_open(f, "Nvme0n1", NVIO_BDEV_WRITE);
	b = disk_open(f, "Nvme0n2", NVIO_BDEV_WRITE);
	for (unsigned i = 0; i < COUNT; i++) {
		struct disk *d = i % 2 ? &a : &b;

		ops[i] = (struct nvio_op)NVIO_OP(NULL);
		stamp(buf[i], i * 512, 512);
		assert_ok(nvio_bdev_write(d->desc, d->ch, buf[i], i * 512, 512, &ops[i]));
	}
	for (unsigned i = 0; i < COUNT; i++) {
		struct disk *d = i % 2 ? &a : &b;

		assert_ok(nvio_wait(&ops[i]));
		assert_ok(do_read(d, buf[i], i * 512, 512));
		assert_true(is_stamped(buf[i], i * 512, 512));
	}
	disk_close(&a);
	disk_close(&b);
	assert_ok(detach(f, "Nvme0"));
}

static void what_cannot_be_attached_is_refused_in_words(void **state)
{
	static const struct {
		const char *name, *trid;
		int rc;
		const char *words;
	} bad[] = {
		{ "", "loop:ram:1M", -EINVAL, "empty" },
		{ "a\nb", "loop:ram:1M", -EINVAL, "control character" },
		{ "Nvme1", NULL, -EINVAL, "trid" },
		{ "Nvme1", "trtype:pigeon traddr:x", -EINVAL, "pigeon" },
		{ "Nvme1", "loop:/no/such/image", -ENOENT, "/no/such/image" },
		{ "Nvme1", "trtype:RDMA traddr:10.0.0.1 trsvcid:4420", -EOPNOTSUPP, "RDMA" },
		{ "Nvme1", "loop:ram:1M?fault=never_ready", -ETIMEDOUT, "CSTS.RDY" },
		{ "Nvme0", "loop:ram:1M", -EEXIST, "Nvme0" },
		{ "taken", "loop:ram:1M?serial=t", -EEXIST, "takenn1" },
	};
	struct fixture *f = *state;
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_ctrlr *c;
	char longest[300];

	attach(f, "Nvme0", "loop:ram:1M");
	make_null(f, "takenn1", 512, 8);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(attach_with(f, bad[i].name, bad[i].trid, NULL), bad[i].rc);
		assert_errmsg_has(bad[i].words);
	}
	memset(longest, 'x', sizeof(longest));
	longest[NVIO_BDEV_NVME_NAME_MAX + 1] = '\0';
	assert_int_equal(attach_with(f, longest, "loop:ram:1M", NULL), -EINVAL);
	longest[NVIO_BDEV_NVME_NAME_MAX] = '\0';
	assert_ok(attach_with(f, longest, "loop:ram:1M?serial=L", NULL));
	assert_ok(detach(f, longest));
	assert_int_equal(nvio_bdev_nvme_detach(f->env, "Nvme1", &op), -ENODEV);
	assert_int_equal(nvio_bdev_nvme_ctrlr(f->env, "Nvme1", &c), -ENODEV);
	assert_int_equal(nvio_bdev_nvme_attach(f->env, NULL, &op), -EINVAL);
	assert_int_equal(nvio_bdev_nvme_detach(f->env, NULL, &op), -EINVAL);
	/* Where a name was refused nothing was left behind. */
	assert_true(is_there(f, "Nvme0n1"));
	assert_ok(detach(f, "Nvme0"));
}

static int count_ctrlrs(const char *name, struct nvio_ctrlr *ctrlr, void *arg)
{
	assert_true(nvio_ctrlr_is_ready(ctrlr));
	strcat(arg, name);
	return 0;
}

/* N5, N6: the controller itself is in reach, for all that a block device has no word for. */
static void the_controllers_can_be_asked(void **state)
{
	struct fixture *f = *state;
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_ctrlr *c = NULL;
	uint8_t page[4096];
	char names[64] = "";

	attach(f, "A", "loop:ram:1M?serial=one");
	attach(f, "B", "loop:ram:1M?serial=two");
	assert_ok(nvio_bdev_nvme_for_each(f->env, count_ctrlrs, names));
	assert_string_equal(names, "AB");
	assert_ok(nvio_bdev_nvme_ctrlr(f->env, "B", &c));
	assert_memory_equal(nvio_ctrlr_id(c)->sn, "two", 3);
	assert_ok(nvio_await(nvio_ctrlr_identify(c, NVIO_CNS_CTRLR, 0, page, &op), &op));
	assert_memory_equal(page, nvio_ctrlr_id(c), 64);
	assert_ok(detach(f, "A"));
	assert_ok(detach(f, "B"));
	names[0] = '\0';
	assert_ok(nvio_bdev_nvme_for_each(f->env, count_ctrlrs, names));
	assert_string_equal(names, "");
}

/* The user may take a single device away; it does not come back by itself, and the others stay. */
static void a_deleted_device_stays_away(void **state)
{
	struct fixture *f = *state;
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_ctrlr *c;

	attach(f, "Nvme0", "loop:ram:8M?ns=2");
	delete_device(f, "Nvme0n1");
	assert_ok(nvio_bdev_nvme_ctrlr(f->env, "Nvme0", &c));
	assert_ok(nvio_await(nvio_ctrlr_reset(c, &op), &op));
	for (unsigned i = 0; i < 10000; i++)
		nvio_thread_poll(f->thread, 0);
	assert_false(is_there(f, "Nvme0n1"));
	assert_true(is_there(f, "Nvme0n2"));
	assert_int_equal(nvio_bdev_resize(f->env, "Nvme0n2", 8), -EOPNOTSUPP);
	assert_ok(detach(f, "Nvme0"));
}

static void on_removed(struct nvio_bdev_desc *desc, enum nvio_bdev_event event, void *arg)
{
	count_events(desc, event, arg);
}

/* B4: detaching lets what is in flight end, and waits for descriptors. */
static void detaching_waits_for_io_and_descriptors(void **state)
{
	static struct nvio_op ops[64];
	static unsigned char buf[64][4096];
	struct fixture *f = *state;
	struct nvio_op op = NVIO_OP(NULL), second = NVIO_OP(NULL);
	struct events e = { 0 };
	struct disk d;

	attach(f, "Nvme0", "loop:ram:8M?fault=delay:us=2000:opcode=1");
	d = disk_open(f, "Nvme0n1", NVIO_BDEV_WRITE);
	nvio_bdev_set_event_fn(d.desc, on_removed, &e);
	for (unsigned i = 0; i < 64; i++) {
		ops[i] = (struct nvio_op)NVIO_OP(NULL);
		assert_ok(nvio_bdev_write(d.desc, d.ch, buf[i], i * 4096, 4096, &ops[i]));
	}
	assert_ok(nvio_bdev_nvme_detach(f->env, "Nvme0", &op));
	assert_int_equal(nvio_bdev_nvme_detach(f->env, "Nvme0", &second), -EALREADY);
	for (unsigned i = 0; i < 64; i++)
		assert_ok(nvio_wait(&ops[i]));
	poll_until(f, e.removed);
	assert_int_equal(do_read(&d, buf, 0, 4096), -ENODEV);
	for (unsigned i = 0; i < 10000; i++)
		nvio_thread_poll(f->thread, 0);
	assert_true(nvio_op_pending(&op));
	disk_close(&d);
	assert_ok(nvio_wait(&op));
	assert_int_equal(e.removed, 1);
	/* The name is free again. */
	attach(f, "Nvme0", "loop:ram:8M");
	assert_true(is_there(f, "Nvme0n1"));
}

static void detaching_stops_an_attach(void **state)
{
	struct fixture *f = *state;
	struct nvio_bdev_nvme_opts o;
	struct nvio_op attach_op = NVIO_OP(NULL), op = NVIO_OP(NULL);

	nvio_bdev_nvme_opts_init(&o);
	o.name = "Nvme0";
	o.trid = "loop:ram:8M?fault=never_ready";
	assert_ok(nvio_bdev_nvme_attach(f->env, &o, &attach_op));
	nvio_thread_poll(f->thread, 0);
	assert_ok(nvio_await(nvio_bdev_nvme_detach(f->env, "Nvme0", &op), &op));
	assert_int_equal(attach_op.status, -ECANCELED);
	attach(f, "Nvme0", "loop:ram:8M");
}

/* The thread that looks after a controller cannot go before it. */
static void its_thread_stays(void **state)
{
	struct fixture *f = *state;
	struct nvio_thread *t;
	struct nvio_op op = NVIO_OP(NULL);

	assert_ok(nvio_thread_create(f->env, NULL, &t));
	assert_ok(nvio_thread_attach(t));
	attach(f, "Nvme0", "loop:ram:8M");
	assert_ok(nvio_thread_detach(t));
	assert_int_equal(nvio_bdev_nvme_detach(f->env, "Nvme0", &op), -EINVAL);
	assert_int_equal(nvio_thread_destroy(t), -EBUSY);
}

/* Every allocation fails in turn, and nothing is left behind. */
static void attaching_survives_every_allocation_that_fails(void **state)
{
	struct fixture *f = *state;
	unsigned failures = 0;

	for (long n = 0, left = -1; left < 0; n++) {
		int rc;

		alloc_fail_after(n);
		rc = attach_with(f, "Nvme0", "loop:ram:1M?ns=2", NULL);
		left = alloc_fail_after(-1);
		if (rc) {
			failures++;
			assert_true(nvio_errmsg()[0]);
			assert_false(is_there(f, "Nvme0n1"));
			assert_false(is_there(f, "Nvme0n2"));
			/* A name that was not given back would show as -EEXIST. */
			assert_true(rc == -ENOMEM || rc == -EIO);
		} else {
			assert_ok(detach(f, "Nvme0"));
		}
	}
	assert_true(failures > 5);
}

static void channels_survive_every_allocation_that_fails(void **state)
{
	struct fixture *f = *state;
	struct nvio_bdev_desc *desc;
	struct nvio_channel *ch;
	unsigned failures = 0;

	attach(f, "Nvme0", "loop:ram:1M");
	assert_ok(nvio_bdev_open(f->env, "Nvme0n1", NVIO_BDEV_WRITE, &desc));
	for (long n = 0, left = -1; left < 0; n++) {
		int rc;

		alloc_fail_after(n);
		rc = nvio_bdev_channel(desc, &ch);
		left = alloc_fail_after(-1);
		if (rc) {
			failures++;
			assert_int_equal(rc, -ENOMEM);
			continue;
		}
		nvio_channel_put(ch);
	}
	assert_true(failures > 2);
	assert_ok(nvio_bdev_close(desc));
	assert_ok(detach(f, "Nvme0"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		fixture_test(data_comes_back_from_any_drive),
		fixture_test(each_namespace_is_a_device),
		fixture_test(a_write_protected_namespace_is_a_read_only_device),
		fixture_test(more_than_all_commands_may_be_in_flight),
		fixture_test(what_cannot_be_attached_is_refused_in_words),
		fixture_test(the_controllers_can_be_asked),
		fixture_test(a_deleted_device_stays_away),
		fixture_test(detaching_waits_for_io_and_descriptors),
		fixture_test(detaching_stops_an_attach),
		fixture_test(its_thread_stays),
		fixture_test(attaching_survives_every_allocation_that_fails),
		fixture_test(channels_survive_every_allocation_that_fails),
	};

	return cmocka_run_group_tests_name("bdev nvme", tests, NULL, NULL);
}
