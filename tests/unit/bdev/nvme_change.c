/* SPDX-License-Identifier: BSD-3-Clause */
/* Namespaces that come, go and change their size while they are devices; commands sent to the controller. B4, N5, N6. */
#include "nvme.h"

#include "tests/support/bare.h"
#include <nvio/spec/log.h>
#include <nvio/spec/nvm.h>

/* A controller of the test's, whose namespaces are as it likes, and which says so. */
struct changing {
	struct fixture *f;
	struct bare b;
};

static void changing_setup(struct changing *c, struct fixture *f)
{
	memset(c, 0, sizeof(*c));
	c->f = f;
	assert_ok(bare_open(&c->b, f->env, "bare"));
	c->b.id.oaes = nvio_to_le32(NVIO_OAES_NS_ATTRIBUTES);
	attach(f, "Nvme0", "loop:bare");
}

static void changing_teardown(struct changing *c)
{
	assert_ok(detach(c->f, "Nvme0"));
	bare_close(&c->b);
}

static void tell(struct changing *c)
{
	poll_until(c->f, c->b.events_held);
	c->b.events_held--;
	bare_complete(&c->b, 0, c->b.event_cids[c->b.events_held],
		nvio_aer_build(NVIO_AER_NOTICE, NVIO_AER_NOTICE_NS_CHANGED, NVIO_LID_CHANGED_NS), 0);
}

static void namespaces_come_and_go(void **state)
{
	static struct changing c;
	struct fixture *f = *state;
	struct events e = { 0 };
	struct disk d;

	changing_setup(&c, f);
	assert_true(is_there(f, "Nvme0n1"));
	assert_false(is_there(f, "Nvme0n5"));
	c.b.active[1] = 5;
	tell(&c);
	poll_until(f, is_there(f, "Nvme0n5"));
	d = disk_open(f, "Nvme0n1", NVIO_BDEV_WRITE);
	nvio_bdev_set_event_fn(d.desc, count_events, &e);
	c.b.active[0] = 5;
	c.b.active[1] = 0;
	tell(&c);
	poll_until(f, e.removed);
	assert_false(is_there(f, "Nvme0n1"));
	assert_true(is_there(f, "Nvme0n5"));
	disk_close(&d);
	/* It returns under its name. */
	c.b.active[0] = 1;
	c.b.active[1] = 5;
	tell(&c);
	poll_until(f, is_there(f, "Nvme0n1"));
	assert_int_equal(e.removed, 1);
	changing_teardown(&c);
}

static void a_size_is_followed(void **state)
{
	static struct changing c;
	struct fixture *f = *state;
	struct events e = { 0 };
	unsigned char buf[512];
	struct disk d;

	changing_setup(&c, f);
	d = disk_open(f, "Nvme0n1", NVIO_BDEV_WRITE);
	nvio_bdev_set_event_fn(d.desc, count_events, &e);
	c.b.ns.nsze = nvio_to_le64(1000);
	tell(&c);
	poll_until(f, e.resized == 1);
	assert_int_equal(nvio_bdev_num_blocks(d.bdev), 1000);
	assert_ok(do_write(&d, buf, 999 * 512, 512));
	assert_int_equal(do_write(&d, buf, 1000 * 512, 512), -ERANGE);
	/* Told of nothing new: nobody hears anything. */
	tell(&c);
	for (unsigned i = 0; i < 10000; i++)
		nvio_thread_poll(f->thread, 0);
	assert_int_equal(e.resized, 1);
	c.b.ns.nsze = nvio_to_le64(5000);
	tell(&c);
	poll_until(f, e.resized == 2);
	assert_int_equal(nvio_bdev_num_blocks(d.bdev), 5000);
	assert_int_equal(e.removed, 0);
	disk_close(&d);
	changing_teardown(&c);
}

/* Formatted to another block size it is another device. */
static void another_block_size_is_another_device(void **state)
{
	static struct changing c;
	struct fixture *f = *state;
	struct events e = { 0 };
	struct disk d;

	changing_setup(&c, f);
	d = disk_open(f, "Nvme0n1", NVIO_BDEV_WRITE);
	nvio_bdev_set_event_fn(d.desc, count_events, &e);
	c.b.ns.lbaf[0].ds = 12;
	tell(&c);
	poll_until(f, e.removed);
	disk_close(&d);
	poll_until(f, is_there(f, "Nvme0n1"));
	d = disk_open(f, "Nvme0n1", NVIO_BDEV_WRITE);
	assert_int_equal(nvio_bdev_block_size(d.bdev), 4096);
	disk_close(&d);
	changing_teardown(&c);
}

/* After a reset the namespaces may be others, and no event says so. */
static void a_reset_shows_what_has_changed(void **state)
{
	static struct changing c;
	struct fixture *f = *state;
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_ctrlr *ctrlr;

	changing_setup(&c, f);
	assert_ok(nvio_bdev_nvme_ctrlr(f->env, "Nvme0", &ctrlr));
	c.b.active[0] = 3;
	assert_ok(nvio_await(nvio_ctrlr_reset(ctrlr, &op), &op));
	poll_until(f, is_there(f, "Nvme0n3"));
	assert_false(is_there(f, "Nvme0n1"));
	changing_teardown(&c);
}

/* ---- what the controller has, and what the library does for it ---- */

static void compare_copy_and_their_like(void **state)
{
	static unsigned char buf[65536], other[65536];
	struct fixture *f = *state;
	struct nvio_op op = NVIO_OP(NULL);
	struct iovec iov[2] = { { buf, 1000 }, { buf + 1000, sizeof(buf) - 1000 } };
	struct disk d;

	attach(f, "Nvme0", "loop:ram:8M");
	d = disk_open(f, "Nvme0n1", NVIO_BDEV_WRITE);
	assert_int_equal(nvio_bdev_can(d.bdev, NVIO_BDEV_IO_COMPARE), NVIO_BDEV_NATIVE);
	assert_int_equal(nvio_bdev_can(d.bdev, NVIO_BDEV_IO_WRITE_ZEROES), NVIO_BDEV_NATIVE);
	assert_int_equal(nvio_bdev_can(d.bdev, NVIO_BDEV_IO_COPY), NVIO_BDEV_EMULATED);
	stamp(buf, 0, sizeof(buf));
	assert_ok(do_write(&d, buf, 0, sizeof(buf)));
	assert_ok(nvio_await(nvio_bdev_compare(d.desc, d.ch, buf, 0, sizeof(buf), &op), &op));
	assert_ok(nvio_await(nvio_bdev_comparev(d.desc, d.ch, iov, 2, 0, sizeof(buf), &op), &op));
	buf[5000] ^= 1;
	assert_int_equal(nvio_await(nvio_bdev_compare(d.desc, d.ch, buf, 0, sizeof(buf), &op), &op), -EILSEQ);
	assert_int_equal(nvio_await(nvio_bdev_comparev(d.desc, d.ch, iov, 2, 0, sizeof(buf), &op), &op), -EILSEQ);
	buf[5000] ^= 1;
	memset(other, 7, sizeof(other));
	assert_ok(nvio_await(nvio_bdev_compare_and_write(d.desc, d.ch, buf, other, 0, 4096, &op), &op));
	assert_int_equal(nvio_await(nvio_bdev_compare_and_write(d.desc, d.ch, buf, other, 0, 4096, &op), &op), -EILSEQ);
	assert_ok(nvio_await(nvio_bdev_copy(d.desc, d.ch, 0, 1 << 20, sizeof(buf), &op), &op));
	assert_ok(do_read(&d, other, 1 << 20, sizeof(other)));
	assert_true(all_bytes_are(other, 7, 4096));
	assert_memory_equal(other + 4096, buf + 4096, sizeof(buf) - 4096);
	disk_close(&d);
	assert_ok(detach(f, "Nvme0"));
}

/* N5: the commands of others; the device answers for its own namespace whatever they say. */
static void commands_go_through(void **state)
{
	static unsigned char buf[4096], seen[4096];
	struct fixture *f = *state;
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_sqe cmd = { .opc = NVIO_NVM_WRITE, .nsid = nvio_to_le32(1), .cdw10 = nvio_to_le32(8), .cdw12 = nvio_to_le32(7) };
	struct disk d;

	attach(f, "Nvme0", "loop:ram:8M?ns=2&fault=status:opcode=0x55:sf=0x4002");
	d = disk_open(f, "Nvme0n2", NVIO_BDEV_WRITE);
	stamp(buf, 0, sizeof(buf));
	assert_ok(nvio_await(nvio_bdev_nvme_io(d.desc, d.ch, &cmd, buf, sizeof(buf), &op), &op));
	assert_true(op.cpl.answered);
	assert_ok(do_read(&d, seen, 4096, sizeof(seen)));
	assert_memory_equal(seen, buf, sizeof(buf));
	cmd.opc = 0x55;
	assert_true(nvio_await(nvio_bdev_nvme_io(d.desc, d.ch, &cmd, NULL, 0, &op), &op) < 0);
	assert_int_equal(op.cpl.sf, 0x4002);
	cmd = (struct nvio_sqe){ .opc = NVIO_ADMIN_IDENTIFY, .cdw10 = nvio_to_le32(NVIO_CNS_CTRLR) };
	assert_ok(nvio_await(nvio_bdev_nvme_admin(d.desc, d.ch, &cmd, seen, 4096, &op), &op));
	assert_memory_equal(((struct nvio_id_ctrlr *)(void *)seen)->mn, "nvio software drive", 19);
	cmd.opc = NVIO_ADMIN_ASYNC_EVENT;
	assert_int_equal(nvio_await(nvio_bdev_nvme_admin(d.desc, d.ch, &cmd, NULL, 0, &op), &op), -EINVAL);
	disk_close(&d);
	assert_ok(detach(f, "Nvme0"));
}

/* ---- from text ---- */

static void a_line_of_text_makes_one(void **state)
{
	static const char key[] = "27182818284590452353602874713526314159265358979323846264338327950";
	static unsigned char buf[4096], seen[4096];
	struct fixture *f = *state;
	char name[NVIO_BDEV_NAME_MAX + 1], text[256];
	struct nvio_ctrlr *c;
	struct disk d;

	assert_int_equal(nvio_bdev_create_str(f->env, "nvme:trtype:pigeon traddr:x", name), -EINVAL);
	assert_errmsg_has("pigeon");
	assert_int_equal(nvio_bdev_create_str(f->env, "nvme:loop:/no/such/image", name), -ENOENT);
	assert_int_equal(nvio_bdev_create_str(f->env, "crypto:malloc:1M", name), -EINVAL);
	assert_errmsg_has("key");
	assert_ok(nvio_bdev_create_str(f->env, "nvme:loop:ram:8M?bs=4096", name));
	d = disk_open(f, name, NVIO_BDEV_WRITE);
	assert_int_equal(nvio_bdev_block_size(d.bdev), 4096);
	stamp(buf, 0, sizeof(buf));
	assert_ok(do_write(&d, buf, 0, sizeof(buf)));
	assert_ok(do_read(&d, seen, 0, sizeof(seen)));
	assert_memory_equal(buf, seen, sizeof(buf));
	disk_close(&d);
	/* With the device the controller goes. */
	delete_device(f, name);
	name[strlen(name) - 2] = '\0';
	while (nvio_bdev_nvme_ctrlr(f->env, name, &c) == 0 || !strstr(nvio_errmsg(), "not attached"))
		nvio_thread_poll(f->thread, 0);
	/* Stacked on a controller, with a key of a digit too many: nothing of it stays. */
	snprintf(text, sizeof(text), "crypto?key=%s:nvme:loop:ram:8M", key);
	assert_true(nvio_bdev_create_str(f->env, text, name) < 0);
	snprintf(text, sizeof(text), "crypto?key=%.64s:nvme:loop:ram:8M?serial=second", key);
	if (nvio_bdev_create_str(f->env, text, name) == -EOPNOTSUPP)
		return; /* this build has no cipher */
	d = disk_open(f, name, NVIO_BDEV_WRITE);
	assert_ok(do_write(&d, buf, 0, sizeof(buf)));
	assert_ok(do_read(&d, seen, 0, sizeof(seen)));
	assert_memory_equal(buf, seen, sizeof(buf));
	disk_close(&d);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		fixture_test(namespaces_come_and_go),
		fixture_test(a_size_is_followed),
		fixture_test(another_block_size_is_another_device),
		fixture_test(a_reset_shows_what_has_changed),
		fixture_test(compare_copy_and_their_like),
		fixture_test(commands_go_through),
		fixture_test(a_line_of_text_makes_one),
	};

	return cmocka_run_group_tests_name("bdev nvme change", tests, NULL, NULL);
}
