/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A host that does what it likes: register writes, doorbells, memory, time, in any order. The controller may refuse and go
 * fatal; it may not touch memory that is not the host's, nor get stuck.
 */
#include "tests/fuzz/target.h"

enum action {
	ACT_WRITE32,
	ACT_WRITE64,
	ACT_DOORBELL,
	ACT_POLL,
	ACT_MEMORY,
	ACT_TIME,
	ACT_DETACH,
	ACT_REMOVE_INSERT,
	NUM_ACTIONS,
};

static void act(struct fuzz_input *in)
{
	uint32_t where;
	uint8_t len;

	switch (fuzz_int(in, 1) % NUM_ACTIONS) {
	case ACT_WRITE32:
		where = (uint32_t)fuzz_int(in, 1) * 4;
		fuzz_write(where, 4, fuzz_int(in, 4));
		break;
	case ACT_WRITE64:
		where = (uint32_t)fuzz_int(in, 1) * 8;
		fuzz_write(where, 8, fuzz_int(in, 8));
		break;
	case ACT_DOORBELL:
		where = (uint32_t)fuzz_int(in, 2) % ARRAY_SIZE(ft.doorbells);
		ft.doorbells[where] = (uint32_t)fuzz_int(in, 4);
		break;
	case ACT_POLL:
		fuzz_poll((int)(fuzz_int(in, 1) % 8) + 1);
		break;
	case ACT_MEMORY:
		where = (uint32_t)(fuzz_int(in, 3) % (FUZZ_BYTES - 256));
		len = (uint8_t)fuzz_int(in, 1);
		fuzz_bytes(in, ft.memory + where, len);
		break;
	case ACT_TIME:
		fuzz_now += fuzz_int(in, 4) * 1000;
		break;
	case ACT_DETACH:
		memq_attend(ft.m, MEMQ_ATT_DETACHED);
		break;
	case ACT_REMOVE_INSERT:
		memq_attend(ft.m, fuzz_int(in, 1) % 2 ? MEMQ_ATT_REMOVE : MEMQ_ATT_INSERT);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };

	fuzz_begin();
	while (in.left)
		act(&in);
	fuzz_poll(4);
	fuzz_end();
	return 0;
}
