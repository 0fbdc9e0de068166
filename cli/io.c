/* SPDX-License-Identifier: BSD-3-Clause */
/* read, write and compare: what is to be moved, from where and to where; stream.c moves it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "image.h"
#include "out.h"
#include "stream.h"

static struct {
	uint64_t start, blocks, bytes, depth;
	const char *data;
} args = { .blocks = CLI_UNSET, .bytes = CLI_UNSET, .depth = STREAM_DEPTH_DEFAULT };

/* One transfer on its way from the command line to the stream. */
struct job {
	struct nvio_trid trid;
	struct image image;
	struct cli_dev dev;
	struct stream stream;
	struct stat st; /* of the source */
	struct stat made; /* the image, when it was made here */
	bool is_made;
};

static bool is_standard(void)
{
	return !args.data || !strcmp(args.data, "-");
}

static int check_args(enum stream_kind kind)
{
	if (args.blocks != CLI_UNSET && args.bytes != CLI_UNSET)
		return cli_usage("--block-count and --data-size exclude each other");
	if (kind == STREAM_READ && is_standard() && cli.json)
		return cli_usage("both the data and -o json would go to standard output; give --data FILE");
	if (kind == STREAM_READ && !args.data && isatty(STDOUT_FILENO))
		return cli_usage(
			"standard output is a terminal; give --data FILE, or --data - if it is to go there");
	return CLI_OK;
}

/* How many bytes the options ask for; CLI_UNSET: they do not say. */
static int wanted(const struct job *job, uint64_t *bytes)
{
	uint32_t block = nvio_ns_block_size(job->dev.ns);

	*bytes = args.bytes;
	if (args.blocks == CLI_UNSET)
		return CLI_OK;
	if (args.blocks >= CLI_UNSET / block)
		return cli_dev_check_range(&job->dev, args.start, args.blocks);
	*bytes = args.blocks * block;
	return CLI_OK;
}

static uint64_t to_blocks(const struct job *job, uint64_t bytes)
{
	uint32_t block = nvio_ns_block_size(job->dev.ns);

	return bytes / block + (bytes % block != 0);
}

static void job_stream(struct job *job, enum stream_kind kind, int fd)
{
	job->stream = (struct stream){
		.kind = kind,
		.dev = &job->dev,
		.fd = fd,
		.name = is_standard() ? kind == STREAM_READ ? "standard output" : "standard input"
				      : args.data,
		.lba = args.start,
		.bytes = CLI_UNSET,
		.expected = CLI_UNSET,
		.depth = (uint32_t)args.depth,
	};
}

static void show(const struct job *job, const char *what)
{
	const struct stream *s = &job->stream;
	char size[32], rate[32];
	json_t *root;

	if (!cli.json) {
		printf("%s %" PRIu64 " bytes from block %" PRIu64 " on (%s in %.3f s, %s/s)\n", what,
			s->moved, s->lba, cli_bytes(size, sizeof(size), (double)s->moved), s->seconds,
			cli_bytes(rate, sizeof(rate), s->seconds > 0 ? (double)s->moved / s->seconds : 0));
		return;
	}
	root = cli_json_object();
	cli_json_set(root, "start_block", cli_json_u64(s->lba));
	cli_json_set(root, "blocks", cli_json_u64(to_blocks(job, s->moved)));
	cli_json_set(root, "bytes", cli_json_u64(s->moved));
	cli_json_set(root, "seconds", json_real(s->seconds));
	if (s->kind == STREAM_WRITE)
		cli_json_set(root, "flushed", json_true());
	if (s->kind == STREAM_COMPARE)
		cli_json_set(root, "equal", json_boolean(!s->difference.found));
	if (s->difference.found) {
		json_t *first = cli_json_object();

		cli_json_set(first, "byte", cli_json_u64(s->difference.at));
		cli_json_set(first, "block", cli_json_u64(s->difference.lba));
		cli_json_set(first, "offset", json_integer(s->difference.offset));
		cli_json_set(first, "file", json_integer(s->difference.file));
		cli_json_set(first, "device", json_integer(s->difference.device));
		cli_json_set(root, "first_difference", first);
	}
	cli_json_print(root);
}

/* The image itself as the output would be cut to nothing by opening it. */
static int open_output(const struct job *job, int *fd)
{
	struct stat to, image;

	if (is_standard()) {
		*fd = STDOUT_FILENO;
		return CLI_OK;
	}
	if (image_stat(&job->image, &image) && !stat(args.data, &to) && image.st_dev == to.st_dev &&
		image.st_ino == to.st_ino)
		return cli_fail("%s is the image that is to be read", args.data);
	*fd = open(args.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	return *fd < 0 ? cli_fail("%s: %s", args.data, strerror(errno)) : CLI_OK;
}

static int read_to_file(struct job *job)
{
	uint64_t bytes, blocks;
	int fd, status = wanted(job, &bytes);

	if (status)
		return status;
	blocks = bytes == CLI_UNSET ? 0 : to_blocks(job, bytes);
	status = cli_dev_check_range(&job->dev, args.start, blocks);
	if (!status)
		status = open_output(job, &fd);
	if (status)
		return status;
	if (bytes == CLI_UNSET)
		bytes = (nvio_ns_num_blocks(job->dev.ns) - args.start) * nvio_ns_block_size(job->dev.ns);
	job_stream(job, STREAM_READ, fd);
	job->stream.bytes = job->stream.expected = bytes;
	status = stream_run(&job->stream);
	/* Some file systems tell of a full disk no sooner than here. */
	if (!is_standard() && close(fd) && !status)
		status = cli_fail("%s: %s", args.data, strerror(errno));
	if (!status && !is_standard())
		show(job, "read");
	return status;
}

static int run_read(void)
{
	static struct job job;
	int status = check_args(STREAM_READ);

	if (!status)
		status = cli_dev_parse(cli.devices[0], &job.trid);
	if (status)
		return status;
	image_parse(&job.trid, &job.image);
	status = cli_dev_open_ns(&job.dev, &job.trid, NULL);
	if (status)
		return status;
	status = read_to_file(&job);
	cli_dev_close(&job.dev);
	return status;
}

/* Says how many bytes the source has before anything is moved; a pipe does not tell. */
static uint64_t source_bytes(const struct job *job, int fd)
{
	off_t at = lseek(fd, 0, SEEK_CUR);

	if (!S_ISREG(job->st.st_mode) || at < 0)
		return CLI_UNSET;
	return job->st.st_size > at ? (uint64_t)(job->st.st_size - at) : 0;
}

static int open_source(struct job *job, int *fd)
{
	const char *name = is_standard() ? "standard input" : args.data;

	*fd = is_standard() ? STDIN_FILENO : open(args.data, O_RDONLY | O_CLOEXEC);
	if (*fd < 0 || fstat(*fd, &job->st))
		return cli_fail("%s: %s", name, strerror(errno));
	if (S_ISDIR(job->st.st_mode)) {
		close(*fd);
		return cli_fail("%s: %s", name, strerror(EISDIR));
	}
	return CLI_OK;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * A source that is too short is refused before an image is made or extended for it. How large blocks are,
 * only an image's form says this early; from_source() looks again.
 */
static int check_length(const struct job *job, uint64_t have)
{
	uint32_t block = job->image.block_size;
	uint64_t bytes = args.bytes;

	if (job->image.is_file && args.blocks != CLI_UNSET && args.blocks <= UINT64_MAX / block)
		bytes = args.blocks * block;
	if (bytes == CLI_UNSET || have >= bytes)
		return CLI_OK;
	return cli_fail("%s has %" PRIu64 " bytes, and %" PRIu64 " are asked for",
		is_standard() ? "standard input" : args.data, have, bytes);
}

/* Here and not by connecting, so that it is known for sure whose it is should it have to go again. */
static int create_image(struct job *job, uint64_t bytes)
{
	int fd = open(job->image.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0)
		return cli_fail("there is no image %s, and it cannot be made: %s", job->image.path,
			strerror(errno));
	job->is_made = !fstat(fd, &job->made);
	close(fd);
	cli_note("there is no image %s: making one of %" PRIu64 " bytes", job->image.path, bytes);
	return CLI_OK;
}

/* Leaves no image behind that was made for data of which nothing has arrived. */
static void drop_image(const struct job *job)
{
	struct stat st;

	if (job->is_made && image_stat(&job->image, &st) && st.st_dev == job->made.st_dev &&
		st.st_ino == job->made.st_ino)
		unlink(job->image.path);
}

/*
 * An image that is not there yet is made for a source whose size is known; connecting extends it, once it is
 * told the size.
 */
static int make_image(struct job *job, int fd)
{
	uint64_t have = source_bytes(job, fd), block = job->image.block_size,
		 bytes = smaller(have, args.bytes), rounded;
	char sep = strchr(job->trid.traddr, '?') ? '&' : '?';
	struct stat st;

	if (!job->image.is_file || job->image.sized || job->image.read_only ||
		image_stat(&job->image, &st) || errno != ENOENT)
		return CLI_OK;
	if (have == CLI_UNSET)
		return cli_fail(
			"there is no image %s, and a pipe does not say how large to make it; say so: "
			"'%s%csize=SIZE'",
			job->image.path, cli.devices[0], sep);
	if (job->image.several)
		return cli_fail(
			"there is no image %s; say how large to make all namespaces together: "
			"'%s%csize=SIZE'",
			job->image.path, cli.devices[0], sep);
	if (args.blocks != CLI_UNSET && args.blocks <= UINT64_MAX / block)
		bytes = smaller(bytes, args.blocks * block);
	if (args.start > (UINT64_MAX - bytes) / block ||
		image_add_size(&job->trid, args.start * block + bytes, &rounded))
		return cli_fail("there is no image %s, and it cannot be made so large", job->image.path);
	return create_image(job, rounded);
}

/* What is known to be too much is refused before the first block is written. */
static int check_source(struct job *job, uint64_t bytes, uint64_t have)
{
	uint64_t room = nvio_ns_num_blocks(job->dev.ns), moves = smaller(bytes, have), end;
	uint32_t block = nvio_ns_block_size(job->dev.ns);

	if (bytes != CLI_UNSET && have < bytes)
		return cli_fail("%s has %" PRIu64 " bytes, and %" PRIu64 " are asked for", job->stream.name,
			have, bytes);
	if (moves == CLI_UNSET)
		return cli_dev_check_range(&job->dev, args.start, 0);
	if (args.start <= room && to_blocks(job, moves) <= room - args.start)
		return CLI_OK;
	if (!job->image.is_file || args.start > UINT64_MAX / block - to_blocks(job, moves))
		return cli_dev_check_range(&job->dev, args.start, to_blocks(job, moves));
	end = (args.start + to_blocks(job, moves)) * block;
	return cli_fail("%" PRIu64 " bytes from block %" PRIu64 " on need an image of %" PRIu64
			" bytes, and %s has %" PRIu64 "; make it larger: '%s%csize=%" PRIu64 "'",
		moves, args.start, end, job->image.path, nvio_ns_size_bytes(job->dev.ns), cli.devices[0],
		strchr(job->trid.traddr, '?') ? '&' : '?', end);
}

static int from_source(struct job *job, enum stream_kind kind, int fd)
{
	uint64_t bytes, have = source_bytes(job, fd);
	int status = wanted(job, &bytes);

	if (status)
		return status;
	job_stream(job, kind, fd);
	status = check_source(job, bytes, have);
	if (status)
		return status;
	job->stream.bytes = bytes;
	job->stream.expected = smaller(bytes, have);
	return stream_run(&job->stream);
}

static int run_source(enum stream_kind kind)
{
	static struct job job;
	int fd, status = check_args(kind);

	if (!status)
		status = cli_dev_parse(cli.devices[0], &job.trid);
	if (!status)
		status = open_source(&job, &fd);
	if (status)
		return status;
	image_parse(&job.trid, &job.image);
	status = check_length(&job, source_bytes(&job, fd));
	if (!status && kind == STREAM_WRITE)
		status = make_image(&job, fd);
	if (!status)
		status = cli_dev_open_ns(&job.dev, &job.trid, NULL);
	if (!status) {
		status = from_source(&job, kind, fd);
		if (status == CLI_OK || (status == CLI_DIFFERS && cli.json))
			show(&job, kind == STREAM_WRITE ? "wrote and flushed" : "equal:");
		/* Still locked, so that it is nobody else's yet. */
		if (status && !job.stream.done)
			drop_image(&job);
		cli_dev_close(&job.dev);
	} else {
		drop_image(&job);
	}
	if (!is_standard())
		close(fd);
	if (status == CLI_DIFFERS) {
		cli_note("byte %" PRIu64 " differs (block %" PRIu64 ", offset %" PRIu32
			 "): the file has %02x, the device %02x",
			job.stream.difference.at, job.stream.difference.lba, job.stream.difference.offset,
			job.stream.difference.file, job.stream.difference.device);
	}
	return status;
}

static int run_write(void)
{
	return run_source(STREAM_WRITE);
}

static int run_compare(void)
{
	return run_source(STREAM_COMPARE);
}

#define OPT_START                                                                                            \
	{                                                                                                    \
		"start-block", 's', CLI_NUMBER, &args.start, "N", "the first block (default: 0)"             \
	}
#define OPT_COUNT(what)                                                                                      \
	{                                                                                                    \
		"block-count", 'c', CLI_NUMBER, &args.blocks, "N",                                           \
			what " (1 is one; nvme-cli counts from 0)"                                           \
	}
#define OPT_SIZE(what)                                                                                       \
	{                                                                                                    \
		"data-size", 'z', CLI_SIZE, &args.bytes, "BYTES", what                                       \
	}
#define OPT_DEPTH                                                                                            \
	{                                                                                                    \
		"qd", 0, CLI_NUMBER, &args.depth, "N", "I/Os in flight (default: 8)",                        \
			.min = 1, .max = STREAM_DEPTH_MAX                                                    \
	}

static const struct cli_opt read_opts[] = {
	CLI_OPT_NSID,
	OPT_START,
	OPT_COUNT("how many blocks"),
	OPT_SIZE("how many bytes; with neither: all to the end"),
	{ "data", 'd', CLI_TEXT, &args.data, "FILE", "where to (default: -, standard output)" },
	OPT_DEPTH,
	CLI_OPT_TIMEOUT,
	{ NULL },
};

static const struct cli_opt write_opts[] = {
	CLI_OPT_NSID,
	OPT_START,
	OPT_COUNT("how many blocks"),
	OPT_SIZE("how many bytes; with neither: until the file ends"),
	{ "data", 'd', CLI_TEXT, &args.data, "FILE", "where from (default: -, standard input)" },
	OPT_DEPTH,
	CLI_OPT_TIMEOUT,
	{ NULL },
};

const struct cli_cmd cli_read = {
	.name = "read",
	.what = "Copy from a namespace to a file or pipe",
	.devices = CLI_DEVICE_ONE,
	.opts = read_opts,
	.run = run_read,
};

const struct cli_cmd cli_write = {
	.name = "write",
	.what = "Copy a file or pipe to a namespace, and flush",
	.more = "The bytes need not fill the last block: its rest stays as it is. An image that is not\n"
		"there is made, as large as the file needs, and at least 1 MiB.\n",
	.devices = CLI_DEVICE_ONE,
	.opts = write_opts,
	.run = run_write,
};

const struct cli_cmd cli_compare = {
	.name = "compare",
	.what = "Compare a namespace with a file or pipe",
	.more = "Exit status 3: they differ; the first difference is told.\n",
	.devices = CLI_DEVICE_ONE,
	.opts = write_opts,
	.run = run_compare,
};
