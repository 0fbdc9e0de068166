/* SPDX-License-Identifier: BSD-3-Clause */
/* The error device as text has it: with one injection, or none. For more, stack several. */
#include <string.h>

#include "bdev/bdev.h"
#include "bdev/modules/modules.h"

struct error_form {
	struct nvio_bdev_error_inject inject;
	uint32_t kind; /* 0: no injection; else one more than nvio_bdev_error_kind */
	uint32_t type; /* 0: all; else one more than nvio_bdev_io_type */
	uint32_t error; /* errno */
};

static const char *const kinds[] = { "none", "fail", "corrupt", "pend", "no_memory", NULL };

static const char *const types[] = {
	"all",
	[1 + NVIO_BDEV_IO_READ] = "read",
	[1 + NVIO_BDEV_IO_WRITE] = "write",
	[1 + NVIO_BDEV_IO_WRITE_ZEROES] = "write_zeroes",
	[1 + NVIO_BDEV_IO_UNMAP] = "unmap",
	[1 + NVIO_BDEV_IO_FLUSH] = "flush",
	[1 + NVIO_BDEV_IO_COMPARE] = "compare",
	[1 + NVIO_BDEV_IO_COMPARE_AND_WRITE] = "compare_and_write",
	[1 + NVIO_BDEV_IO_COPY] = "copy",
	[1 + NVIO_BDEV_IO_RESET] = "reset",
	[1 + NVIO_BDEV_IO_NVME] = "nvme",
	[1 + NVIO_BDEV_IO_NVME_ADMIN] = "nvme_admin",
	[1 + NVIO_BDEV_IO_TYPES] = NULL,
};

#define INJECT(member) offsetof(struct error_form, inject.member)

static const struct bdev_form_key keys[] = {
	{ "kind", BDEV_FORM_WORD, offsetof(struct error_form, kind), kinds },
	{ "type", BDEV_FORM_WORD, offsetof(struct error_form, type), types },
	{ "lba", BDEV_FORM_U64, INJECT(lba) },
	{ "blocks", BDEV_FORM_U64, INJECT(num_blocks) },
	{ "skip", BDEV_FORM_U64, INJECT(skip) },
	{ "every", BDEV_FORM_U64, INJECT(every) },
	{ "count", BDEV_FORM_U64, INJECT(count) },
	{ "p", BDEV_FORM_CHANCE, INJECT(probability) },
	{ "errno", BDEV_FORM_U32, offsetof(struct error_form, error) },
	{ "sf", BDEV_FORM_U16, INJECT(sf) },
	{ "xor", BDEV_FORM_U8, INJECT(corrupt_xor) },
	{ "offset", BDEV_FORM_U64, INJECT(corrupt_offset) },
	{ "us", BDEV_FORM_U64, INJECT(again_us) },
	{ NULL },
};

static void init(void *form)
{
	nvio_bdev_error_inject_init(&((struct error_form *)form)->inject);
}

static int check(void *form)
{
	struct error_form *f = form, untouched = { 0 };

	init(&untouched);
	if (!f->kind && memcmp(f, &untouched, sizeof(*f)))
		return fail(-EINVAL, "error: of which kind? kind=fail, kind=corrupt, kind=pend or kind=no_memory");
	if (f->error > 4095)
		return fail(-EINVAL, "errno: %u is none", f->error);
	if (f->kind)
		f->inject.kind = (enum nvio_bdev_error_kind)(f->kind - 1);
	if (f->type)
		f->inject.io_types = NVIO_BDEV_CAN(f->type - 1);
	f->inject.status = -(int)f->error;
	return f->kind ? error_inject_check(&f->inject) : 0;
}

static int create(struct nvio_env *env, const void *form, const struct bdev_form_args *args)
{
	const struct error_form *f = form;
	struct nvio_bdev_error_opts o;
	int rc;

	nvio_bdev_error_opts_init(&o);
	o.name = args->name;
	o.base = args->base;
	o.uuid = args->uuid;
	rc = nvio_bdev_error_create(env, &o);
	if (rc || !f->kind)
		return rc;
	rc = nvio_bdev_error_inject(env, o.name, &f->inject);
	if (rc)
		bdev_withdraw(env, o.name, NULL);
	return rc;
}

const struct bdev_form error_form = {
	.kind = "error",
	.size = sizeof(struct error_form),
	.keys = keys,
	.init = init,
	.check = check,
	.create = create,
};
