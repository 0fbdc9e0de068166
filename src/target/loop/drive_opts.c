/* SPDX-License-Identifier: BSD-3-Clause */
/* A drive's options: defaults, what is refused, and the identity that is made up when none is given. */
#include "target/loop/drive.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "base/opts.h"
#include <nvio/version.h>

#define MAX_MDTS  (1u << 30)
#define MAX_BYTES (1ull << 62)

void nvio_drive_opts_init(struct nvio_drive_opts *opts)
{
	memset(opts, 0, sizeof(*opts));
	opts->size = sizeof(*opts);
	opts->mdts_bytes = 1u << 20;
	opts->max_queues = 64;
	opts->max_queue_entries = 4096;
	opts->ready_timeout_ms = 500;
	opts->core = -1;
}

static int check_text(const char *what, const char *text, size_t max)
{
	size_t n = text ? strlen(text) : 0;

	if (!text)
		return 0;
	if (n > max)
		return fail(-EINVAL, "drive: %s has %zu bytes; at most %zu fit", what, n, max);
	for (size_t i = 0; i < n; i++)
		if (text[i] < 0x20 || text[i] > 0x7e)
			return fail(-EINVAL, "drive: %s has a byte that is not printable ASCII, at %zu", what, i);
	return 0;
}

static int check_ns(uint32_t nsid, const struct nvio_drive_ns_opts *ns)
{
	uint32_t bs = ns->block_size ? ns->block_size : 512;

	if ((unsigned)ns->backing > NVIO_DRIVE_FILE)
		return fail(-EINVAL, "drive: namespace %u: there is no backing %u", nsid, (unsigned)ns->backing);
	if (bs != 512 && bs != 4096)
		return fail(-EINVAL, "drive: namespace %u: block size %u is not 512 or 4096", nsid, bs);
	if (ns->bytes % bs || ns->bytes > MAX_BYTES)
		return fail(-EINVAL, "drive: namespace %u: %llu bytes are not a number of blocks of %u up to 2^62 bytes", nsid,
			(unsigned long long)ns->bytes, bs);
	if (ns->backing == NVIO_DRIVE_FILE ? !ns->path || !ns->path[0] : !ns->bytes)
		return fail(-EINVAL, "drive: namespace %u: %s", nsid,
			ns->backing == NVIO_DRIVE_FILE ? "a file needs a path" : "a size is needed");
	if (ns->untouched_reads && ns->backing != NVIO_DRIVE_NULL)
		return fail(-EINVAL, "drive: namespace %u: reads can be left untouched on a null namespace only", nsid);
	if (ns->backing != NVIO_DRIVE_FILE && (ns->path || ns->engine || ns->no_direct))
		return fail(-EINVAL, "drive: namespace %u: path, engine and direct are for files only", nsid);
	if ((unsigned)ns->engine > NVIO_BDEV_FILE_THREADS)
		return fail(-EINVAL, "drive: namespace %u: there is no file engine %u", nsid, (unsigned)ns->engine);
	return 0;
}

static int check_numbers(const struct nvio_drive_opts *o)
{
	if (o->mdts_bytes && (!IS_POWER_OF_2(o->mdts_bytes) || o->mdts_bytes < 2 * TGT_PAGE || o->mdts_bytes > MAX_MDTS))
		return fail(-EINVAL, "drive: mdts %u is not 0 or a power of two from 8192 to %u (the field cannot say 4096: "
			"MDTS 0 is no limit)", o->mdts_bytes, MAX_MDTS);
	if (!o->max_queues || o->max_queues > NVIO_DRIVE_MAX_QUEUES)
		return fail(-EINVAL, "drive: queues %u is not 1 to %u", o->max_queues, NVIO_DRIVE_MAX_QUEUES);
	if (o->max_queue_entries < 2 || o->max_queue_entries > 65536)
		return fail(-EINVAL, "drive: entries %u is not 2 to 65536", o->max_queue_entries);
	if (o->doorbell_stride > 4)
		return fail(-EINVAL, "drive: stride %u is not 0 to 4", o->doorbell_stride);
	if (o->ready_timeout_ms > 255 * 500)
		return fail(-EINVAL, "drive: a ready timeout of %u ms does not fit CAP.TO; at most 127500", o->ready_timeout_ms);
	if ((unsigned)o->poll > NVIO_DRIVE_ATTACHED)
		return fail(-EINVAL, "drive: there is no poll mode %u", (unsigned)o->poll);
	if ((o->poll == NVIO_DRIVE_ATTACHED) != (o->thread != NULL))
		return fail(-EINVAL, "drive: a thread is needed for poll mode ATTACHED, and for no other");
	if (o->core < -1 || (o->core >= 0 && o->poll != NVIO_DRIVE_OS_THREAD))
		return fail(-EINVAL, "drive: core %d: only a drive with an OS thread of its own can be bound", o->core);
	return 0;
}

/* Before `iommu`: programs that were built then are still to be understood. */
#define FIRST_SIZE (offsetof(struct nvio_drive_opts, seed) + sizeof(uint64_t))

int drive_opts_check(struct nvio_drive_opts *opts, const struct nvio_drive_opts *from)
{
	int rc;

	nvio_drive_opts_init(opts);
	if (!from)
		return fail(-EINVAL, "drive: open: options are needed: a name and at least one namespace");
	rc = opts_copy("nvio_drive_opts", opts, sizeof(*opts), from, FIRST_SIZE);
	if (rc)
		return rc;
	if (!opts->name || !opts->name[0] || strlen(opts->name) > DRIVE_NAME_MAX)
		return fail(-EINVAL, "drive: open: a name of 1 to %u bytes is needed", DRIVE_NAME_MAX);
	if (!opts->num_ns || opts->num_ns > NVIO_DRIVE_MAX_NS || !opts->ns)
		return fail(-EINVAL, "drive: open: %u namespaces; 1 to %d expected", opts->num_ns, NVIO_DRIVE_MAX_NS);
	rc = check_numbers(opts);
	if (!rc)
		rc = check_text("serial", opts->serial, 20);
	if (!rc)
		rc = check_text("model", opts->model, 40);
	if (!rc)
		rc = check_text("firmware", opts->firmware, 8);
	if (!rc)
		rc = check_text("nqn", opts->nqn, 223);
	for (uint32_t i = 0; !rc && i < opts->num_ns; i++)
		rc = check_ns(i + 1, &opts->ns[i]);
	return rc;
}

/* FNV-1a: the same name gives the same serial number in each run. */
static uint64_t hash(const char *s)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * 0x100000001b3ull;
	return h;
}

void drive_serial(char *serial, const char *name)
{
	snprintf(serial, DRIVE_SERIAL_SIZE, "NVIO%016llX", (unsigned long long)hash(name));
}

/* bdev names have their own limit; a drive's name that is too long for them is shortened and told apart by its hash. */
static char *bdev_name(const char *drive, uint32_t nsid)
{
	char text[NVIO_BDEV_NAME_MAX + 1];

	if (strlen(drive) + 4 <= NVIO_BDEV_NAME_MAX)
		snprintf(text, sizeof(text), "%sn%u", drive, nsid);
	else
		snprintf(text, sizeof(text), "%.200s-%016llxn%u", drive, (unsigned long long)hash(drive), nsid);
	return alloc_strdup(text);
}

int drive_subsystem_init(struct nvio_drive *d, const struct nvio_drive_opts *opts)
{
	struct tgt_subsystem *s = &d->subsys;

	if (opts->serial)
		snprintf(s->serial, sizeof(s->serial), "%s", opts->serial);
	else
		drive_serial(s->serial, opts->name);
	snprintf(s->model, sizeof(s->model), "%s", opts->model ? opts->model : "nvio software drive");
	snprintf(s->firmware, sizeof(s->firmware), "%s", opts->firmware ? opts->firmware : NVIO_VERSION);
	if (opts->nqn)
		snprintf(s->nqn, sizeof(s->nqn), "%s", opts->nqn);
	else
		snprintf(s->nqn, sizeof(s->nqn), "nqn.2026-11.io.nvio:%s", s->serial);
	s->volatile_cache = opts->volatile_cache;
	s->ns = alloc_array(opts->num_ns, sizeof(*s->ns));
	if (!s->ns)
		return fail(-ENOMEM, "drive: %s: no memory for %u namespaces", opts->name, opts->num_ns);
	for (; s->num_ns < opts->num_ns; s->num_ns++) {
		s->ns[s->num_ns].read_only = opts->ns[s->num_ns].read_only;
		s->ns[s->num_ns].bdev = bdev_name(opts->name, s->num_ns + 1);
		if (!s->ns[s->num_ns].bdev)
			return fail(-ENOMEM, "drive: %s: no memory for names", opts->name);
	}
	return 0;
}
