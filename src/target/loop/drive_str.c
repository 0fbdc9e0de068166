/* SPDX-License-Identifier: BSD-3-Clause */
/* A drive from a line of text: "ram:64M?bs=4096&fault=delay:us=500". */
#include "target/loop/drive.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "base/parse.h"

#define KEYS \
	"bs, size, ns, serial, model, mdts, queues, entries, stride, vwc, poll, core, ro, engine, direct, untouched, iommu, seed, fault"

struct form {
	struct nvio_drive_opts opts;
	struct nvio_drive_ns_opts ns;   /* of all namespaces */
	uint64_t size;                  /* of all together; 0: not said */
	uint64_t num_ns;
	struct nvio_fault faults[FAULT_MAX];
	uint32_t num_faults;
};

static int parse_u32(const char *what, const char *value, uint32_t *out)
{
	uint64_t v = 0;
	int rc = parse_u64(what, value, UINT32_MAX, &v);

	*out = (uint32_t)v;
	return rc;
}

static int parse_u32_size(const char *what, const char *value, uint32_t *out)
{
	uint64_t v = 0;
	int rc = parse_size(what, value, &v);

	if (!rc && v > UINT32_MAX)
		rc = fail(-EINVAL, "%s: %s is too large; at most %u", what, value, UINT32_MAX);
	*out = (uint32_t)v;
	return rc;
}

static int key_bs(struct form *f, const char *what, const char *v)
{
	return parse_u32_size(what, v, &f->ns.block_size);
}

static int key_size(struct form *f, const char *what, const char *v) { return parse_size(what, v, &f->size); }

static int key_ns(struct form *f, const char *what, const char *v)
{
	return parse_u64(what, v, NVIO_DRIVE_MAX_NS, &f->num_ns);
}

static int key_serial(struct form *f, const char *what, const char *v)
{
	f->opts.serial = v;
	return 0;
}

static int key_model(struct form *f, const char *what, const char *v)
{
	f->opts.model = v;
	return 0;
}

static int key_mdts(struct form *f, const char *what, const char *v)
{
	return parse_u32_size(what, v, &f->opts.mdts_bytes);
}

static int key_queues(struct form *f, const char *what, const char *v)
{
	return parse_u32(what, v, &f->opts.max_queues);
}

static int key_entries(struct form *f, const char *what, const char *v)
{
	return parse_u32(what, v, &f->opts.max_queue_entries);
}

static int key_stride(struct form *f, const char *what, const char *v)
{
	return parse_u32(what, v, &f->opts.doorbell_stride);
}

static int key_vwc(struct form *f, const char *what, const char *v)
{
	return parse_bool(what, v, &f->opts.volatile_cache);
}

static int key_poll(struct form *f, const char *what, const char *v)
{
	if (!strcmp(v, "inline"))
		f->opts.poll = NVIO_DRIVE_INLINE;
	else if (!strcmp(v, "thread"))
		f->opts.poll = NVIO_DRIVE_OS_THREAD;
	else
		return fail(-EINVAL, "drive: poll=%s is not inline or thread", v);
	return 0;
}

static int key_core(struct form *f, const char *what, const char *v)
{
	uint64_t core = 0;
	int rc = parse_u64(what, v, INT32_MAX, &core);

	f->opts.core = (int)core;
	return rc;
}

static int key_ro(struct form *f, const char *what, const char *v) { return parse_bool(what, v, &f->ns.read_only); }

static int key_engine(struct form *f, const char *what, const char *v)
{
	if (!strcmp(v, "io_uring"))
		f->ns.engine = NVIO_BDEV_FILE_IO_URING;
	else if (!strcmp(v, "threads"))
		f->ns.engine = NVIO_BDEV_FILE_THREADS;
	else
		return fail(-EINVAL, "drive: engine=%s is not io_uring or threads", v);
	return 0;
}

static int key_direct(struct form *f, const char *what, const char *v)
{
	bool direct = true;
	int rc = parse_bool(what, v, &direct);

	f->ns.no_direct = !direct;
	return rc;
}

static int key_untouched(struct form *f, const char *what, const char *v)
{
	return parse_bool(what, v, &f->ns.untouched_reads);
}

static int key_iommu(struct form *f, const char *what, const char *v) { return parse_bool(what, v, &f->opts.iommu); }

static int key_seed(struct form *f, const char *what, const char *v)
{
	return parse_u64(what, v, UINT64_MAX, &f->opts.seed);
}

static int key_fault(struct form *f, const char *what, const char *v)
{
	if (f->num_faults == FAULT_MAX)
		return fail(-EINVAL, "drive: more than %u faults", FAULT_MAX);
	return fault_parse(v, &f->faults[f->num_faults++]);
}

static const struct {
	const char *key;
	/* `what` is the option, as failures name it. */
	int (*set)(struct form *f, const char *what, const char *value);
} keys[] = {
	{ "bs", key_bs }, { "size", key_size }, { "ns", key_ns }, { "serial", key_serial }, { "model", key_model },
	{ "mdts", key_mdts }, { "queues", key_queues }, { "entries", key_entries }, { "stride", key_stride },
	{ "vwc", key_vwc }, { "poll", key_poll }, { "core", key_core }, { "ro", key_ro }, { "engine", key_engine },
	{ "direct", key_direct }, { "untouched", key_untouched }, { "iommu", key_iommu }, { "seed", key_seed }, { "fault", key_fault },
};

static int parse_keys(struct form *f, char *query)
{
	char *key, *value, what[32];
	int rc;

	while ((rc = parse_query("drive", &query, &key, &value)) == 1) {
		size_t i;

		for (i = 0; i < ARRAY_SIZE(keys) && strcmp(key, keys[i].key); i++)
			;
		if (i == ARRAY_SIZE(keys))
			return fail(-EINVAL, "drive: \"%s\" is not an option; there are: " KEYS, key);
		if (!value || !*value)
			return fail(-EINVAL, "drive: the option \"%s\" needs a value: %s=...", key, key);
		snprintf(what, sizeof(what), "drive: %s", key);
		rc = keys[i].set(f, what, value);
		if (rc)
			return rc == -ERANGE ? -EINVAL : rc;
	}
	return rc;
}

/* What stands before the '?': how the blocks are kept, and the size or the path. */
static int parse_backing(struct form *f, char *head)
{
	char *size = NULL;
	int rc;

	if (!strncmp(head, "ram:", 4)) {
		f->ns.backing = NVIO_DRIVE_RAM;
		size = head + 4;
	} else if (!strncmp(head, "null:", 5)) {
		f->ns.backing = NVIO_DRIVE_NULL;
		size = head + 5;
	} else {
		f->ns.backing = NVIO_DRIVE_FILE;
		rc = parse_percent("drive: path", head);
		if (rc)
			return rc;
		if (!*head)
			return fail(-EINVAL, "drive: nothing is said before the options; ram:SIZE, null:SIZE or a path expected");
		f->ns.path = head;
		return 0;
	}
	if (f->size)
		return fail(-EINVAL, "drive: the size is said twice");
	rc = parse_size("drive: size", size, &f->size);
	if (!rc && !f->size)
		rc = fail(-EINVAL, "drive: a size of 0 is too small");
	return rc == -ERANGE ? -EINVAL : rc;
}

/* Splits the size among the namespaces, and names their files. */
static int make_namespaces(struct form *f, struct nvio_drive_ns_opts *ns, char **paths)
{
	uint32_t bs = f->ns.block_size ? f->ns.block_size : 512;
	uint64_t each = f->size / f->num_ns;

	if (f->size && f->num_ns > 1)
		each -= each % bs;
	if (f->size && !each)
		return fail(-EINVAL, "drive: %llu bytes are too few for %llu namespaces", (unsigned long long)f->size,
			(unsigned long long)f->num_ns);
	for (uint32_t i = 0; i < f->num_ns; i++) {
		ns[i] = f->ns;
		ns[i].bytes = each;
		if (f->ns.path && i) {
			size_t n = strlen(f->ns.path) + 12;

			paths[i] = alloc_zeroed(n);
			if (!paths[i])
				return fail(-ENOMEM, "drive: no memory for the path of namespace %u", i + 1);
			snprintf(paths[i], n, "%s.%u", f->ns.path, i + 1);
			ns[i].path = paths[i];
		}
	}
	f->opts.ns = ns;
	f->opts.num_ns = (uint32_t)f->num_ns;
	return 0;
}

static int open_form(struct nvio_env *env, struct form *f, struct nvio_drive **drive)
{
	struct nvio_drive_ns_opts ns[NVIO_DRIVE_MAX_NS];
	char *paths[NVIO_DRIVE_MAX_NS] = { 0 };
	char serial[DRIVE_SERIAL_SIZE];
	int rc = make_namespaces(f, ns, paths);

	/* An image is the same drive with whatever options it is opened. */
	if (f->ns.path && !f->opts.serial) {
		drive_serial(serial, f->ns.path);
		f->opts.serial = serial;
	}
	if (!rc)
		rc = nvio_drive_open(env, &f->opts, drive);
	for (int i = 0; i < NVIO_DRIVE_MAX_NS; i++)
		alloc_free(paths[i]);
	/* Only we know the drive yet; each fault has been checked, so there is little left that can go wrong. */
	for (uint32_t i = 0; !rc && i < f->num_faults; i++) {
		rc = nvio_drive_add_fault(*drive, &f->faults[i]);
		if (rc)
			nvio_drive_close(*drive);
	}
	return rc;
}

int nvio_drive_open_str(struct nvio_env *env, const char *text, struct nvio_drive **drive)
{
	struct form *f;
	char *copy, *query;
	int rc;

	if (!env || !text || !drive)
		return fail(-EINVAL, "drive: open: an environment, a text and a place for the result are needed");
	copy = alloc_strdup(text);
	f = alloc_zeroed(sizeof(*f));
	if (!copy || !f) {
		rc = fail(-ENOMEM, "drive: open %s: no memory", text);
		goto free;
	}
	nvio_drive_opts_init(&f->opts);
	f->opts.name = text;
	f->num_ns = 1;
	query = strchr(copy, '?');
	if (query)
		*query++ = '\0';
	rc = query ? parse_keys(f, query) : 0;
	if (!rc)
		rc = parse_backing(f, copy);
	if (!rc && !f->num_ns)
		rc = fail(-EINVAL, "drive: ns=0: a drive has 1 to %d namespaces", NVIO_DRIVE_MAX_NS);
	if (!rc)
		rc = open_form(env, f, drive);
free:
	alloc_free(f);
	alloc_free(copy);
	return rc;
}
