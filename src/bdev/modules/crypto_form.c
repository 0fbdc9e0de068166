/* SPDX-License-Identifier: BSD-3-Clause */
/* "crypto?key=HEX:..." in text. */
#include "bdev/bdev.h"
#include "bdev/modules/modules.h"
#include <nvio/bdev_crypto.h>

static const struct bdev_form_key keys[] = {
	{ "key", BDEV_FORM_TEXT, offsetof(struct nvio_bdev_crypto_opts, key_hex) },
	{ NULL },
};

static void form_init(void *form)
{
	nvio_bdev_crypto_opts_init(form);
}

static int check(void *form)
{
	const struct nvio_bdev_crypto_opts *o = form;

	return o->key_hex ? 0 : fail(-EINVAL, "crypto: which key? key= and 128 or 64 hexadecimal digits");
}

static int create(struct nvio_env *env, const void *form, const struct bdev_form_args *args)
{
	struct nvio_bdev_crypto_opts o = *(const struct nvio_bdev_crypto_opts *)form;

	o.name = args->name;
	o.base = args->base;
	o.uuid = args->uuid;
	return nvio_bdev_crypto_create(env, &o);
}

const struct bdev_form crypto_form = {
	.kind = "crypto",
	.size = sizeof(struct nvio_bdev_crypto_opts),
	.keys = keys,
	.init = form_init,
	.check = check,
	.create = create,
};
