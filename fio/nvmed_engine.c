/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An engine for fio over libnvmed: handles that are direct or cached, synchronous calls or asynchronous requests. A device is opened once in
 * a process, and jobs that are threads share it, and so its block cache; each job has a queue, and each of its files a handle.
 */
#include <fio.h>
#include <optgroup.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <lib_nvmed.h>

enum { MODE_ASYNC, MODE_SYNC };

struct nvmed_options {
	void *unused; /* fio takes an offset of 0 for none */
	unsigned int mode;
	unsigned int cached;
	unsigned int sync_io;
	unsigned int cache_pages;
};

/* A device of this process; processes begin with none. */
struct device {
	struct device *next;
	char *path;
	unsigned users;
	NVMED *nvmed;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct device *devices;
static pid_t devices_pid;

struct file {
	struct device *dev;
	NVMED_QUEUE *queue;
	NVMED_HANDLE *handle;
};

struct request {
	NVMED_AIO_CTX ctx;
	struct io_u *io_u;
	struct job *job;
};

struct job {
	unsigned depth, num_files;
	struct file *files;
	struct request *requests;
	struct request **done;
	unsigned num_done, num_taken, in_flight;
	struct io_u **unkicked;
	unsigned num_unkicked;
	void *mem;
};

/* Errors of libnvmed are in errno, and told by nvmed_errmsg(). */
static int failed(struct thread_data *td, const char *what)
{
	int error = errno ? errno : EIO;

	log_err("fio: nvmed: %s: %s\n", what, nvmed_errmsg());
	td_verror(td, error, "nvmed");
	return -error;
}

static struct device *open_device(struct thread_data *td, const char *path)
{
	const struct nvmed_options *opts = td->eo;
	struct device *dev = calloc(1, sizeof(*dev));

	if (!dev)
		return NULL;
	dev->path = strdup(path);
	dev->nvmed = dev->path ? nvmed_open(dev->path, 0) : NULL;
	if (dev->nvmed && (!opts->cache_pages || nvmed_feature_set(dev->nvmed, NVMED_CACHE_SIZE, (int)opts->cache_pages) >= 0))
		return dev;
	failed(td, path);
	if (dev->nvmed)
		nvmed_close(dev->nvmed);
	free(dev->path);
	free(dev);
	return NULL;
}

static struct device *device_get(struct thread_data *td, const char *path)
{
	struct device *dev;

	pthread_mutex_lock(&lock);
	if (devices_pid != getpid())
		devices = NULL;
	devices_pid = getpid();
	for (dev = devices; dev && strcmp(dev->path, path); dev = dev->next)
		;
	if (!dev) {
		dev = open_device(td, path);
		if (dev) {
			dev->next = devices;
			devices = dev;
		}
	}
	if (dev)
		dev->users++;
	pthread_mutex_unlock(&lock);
	return dev;
}

static void device_put(struct device *dev)
{
	pthread_mutex_lock(&lock);
	if (!--dev->users) {
		struct device **at = &devices;

		while (*at != dev)
			at = &(*at)->next;
		*at = dev->next;
		nvmed_close(dev->nvmed);
		free(dev->path);
		free(dev);
	}
	pthread_mutex_unlock(&lock);
}

/* fio's own; weak, as one that has none is then told so. */
extern const char fio_version_string[] __attribute__((weak));

static bool fits(void)
{
	if (fio_version_string && !strcmp(fio_version_string, NVIO_FIO_VERSION))
		return true;
	log_err("fio: nvmed: this engine was built for %s, and fio's structures differ from version to version; build it anew\n",
		NVIO_FIO_VERSION);
	return false;
}

static void job_close(struct job *job)
{
	for (unsigned i = 0; i < job->num_files; i++) {
		struct file *file = &job->files[i];

		if (file->handle)
			nvmed_handle_destroy(file->handle);
		if (file->queue)
			nvmed_queue_destroy(file->queue);
		if (file->dev)
			device_put(file->dev);
	}
	free(job->files);
	free(job->requests);
	free(job->done);
	free(job->unkicked);
	free(job);
}

/* The devices of all files; queues and handles are the job's own to make (start). */
static struct job *job_open(struct thread_data *td)
{
	struct job *job = fits() ? calloc(1, sizeof(*job)) : NULL;

	if (!job)
		return NULL;
	job->depth = td->o.iodepth;
	job->files = calloc(td->files_index, sizeof(struct file));
	job->requests = calloc(job->depth, sizeof(struct request));
	job->done = calloc(job->depth, sizeof(struct request *));
	job->unkicked = calloc(job->depth, sizeof(struct io_u *));
	if (job->files && job->requests && job->done && job->unkicked)
		job->num_files = td->files_index;
	else
		failed(td, "memory");
	for (unsigned i = 0; i < job->num_files; i++) {
		job->files[i].dev = device_get(td, td->files[i]->file_name);
		if (!job->files[i].dev)
			break;
	}
	if (job->num_files && job->files[job->num_files - 1].dev)
		return job;
	job_close(job);
	return NULL;
}

static int engine_setup(struct thread_data *td)
{
	struct job *job = td->io_ops_data ? td->io_ops_data : job_open(td);

	if (!job)
		return 1;
	for (unsigned i = 0; i < job->num_files; i++) {
		td->files[i]->filetype = FIO_TYPE_BLOCK;
		td->files[i]->real_file_size = job->files[i].dev->nvmed->dev_info->capacity;
		fio_file_set_size_known(td->files[i]);
	}
	if (td->o.use_thread)
		td->io_ops_data = job;
	else if (!td->io_ops_data)
		job_close(job);
	return 0;
}

static int engine_init(struct thread_data *td)
{
	const struct nvmed_options *opts = td->eo;
	struct job *job = td->io_ops_data ? td->io_ops_data : job_open(td);
	int flags = (opts->cached ? 0 : HANDLE_DIRECT_IO) | (opts->sync_io ? HANDLE_SYNC_IO : 0);

	td->io_ops_data = job;
	if (!job)
		return 1;
	for (unsigned i = 0; i < job->num_files; i++) {
		struct file *file = &job->files[i];

		file->queue = nvmed_queue_create(file->dev->nvmed, QUEUE_MANUAL_COMPLETION);
		if (!file->queue)
			return failed(td, "queue");
		file->handle = nvmed_handle_create(file->queue, flags);
		if (!file->handle)
			return failed(td, "handle");
		FILE_SET_ENG_DATA(td->files[i], file);
	}
	return 0;
}

static void engine_cleanup(struct thread_data *td)
{
	if (td->io_ops_data)
		job_close(td->io_ops_data);
	td->io_ops_data = NULL;
}

static void on_done(const NVMED_AIO_CTX *ctx, void *arg)
{
	struct request *request = arg;
	struct job *job = request->job;

	job->done[job->num_done++] = request;
	job->in_flight--;
}

static void forget_taken(struct job *job)
{
	job->num_done -= job->num_taken;
	memmove(job->done, job->done + job->num_taken, job->num_done * sizeof(*job->done));
	job->num_taken = 0;
}

/* By a call that returns when it is done: 0, or an errno. */
static unsigned int call(struct file *file, struct io_u *io_u)
{
	ssize_t rc;

	fio_gettime(&io_u->issue_time, NULL);
	errno = 0;
	switch (io_u->ddir) {
	case DDIR_READ:
		rc = nvmed_pread(file->handle, io_u->xfer_buf, io_u->xfer_buflen, (off_t)io_u->offset);
		break;
	case DDIR_WRITE:
		rc = nvmed_pwrite(file->handle, io_u->xfer_buf, io_u->xfer_buflen, (off_t)io_u->offset);
		break;
	case DDIR_TRIM:
		rc = nvmed_discard(file->handle, io_u->offset, (unsigned int)io_u->xfer_buflen);
		break;
	default: /* fsync, fdatasync and sync_file_range: a drive has one flush */
		rc = nvmed_flush(file->handle);
	}
	if (rc < 0 || (ddir_rw(io_u->ddir) && io_u->ddir != DDIR_TRIM && rc != (ssize_t)io_u->xfer_buflen)) {
		unsigned int error = rc < 0 && errno ? (unsigned int)errno : EIO;

		log_err("fio: nvmed: %s\n", nvmed_errmsg());
		return error;
	}
	return 0;
}

static enum fio_q_status engine_queue(struct thread_data *td, struct io_u *io_u)
{
	const struct nvmed_options *opts = td->eo;
	struct file *file = FILE_ENG_DATA(io_u->file);
	struct request *request = io_u->engine_data;
	struct job *job = td->io_ops_data;
	int rc;

	forget_taken(job);
	if (opts->mode == MODE_SYNC || io_u->ddir == DDIR_TRIM || ddir_sync(io_u->ddir)) {
		io_u->error = call(file, io_u);
		return FIO_Q_COMPLETED;
	}
	request->ctx = (NVMED_AIO_CTX){
		.handle = file->handle,
		.start_lba = (off_t)io_u->offset,
		.len = io_u->xfer_buflen,
		.buf = io_u->xfer_buf,
		.aio_callback = on_done,
		.cb_userdata = request,
	};
	rc = io_u->ddir == DDIR_READ ? nvmed_aio_read(&request->ctx) : nvmed_aio_write(&request->ctx);
	if (rc != NVMED_AIO_QUEUED) {
		io_u->error = errno ? (unsigned int)errno : EIO;
		log_err("fio: nvmed: %s\n", nvmed_errmsg());
		return FIO_Q_COMPLETED;
	}
	job->in_flight++;
	job->unkicked[job->num_unkicked++] = io_u;
	return FIO_Q_QUEUED;
}

static int engine_commit(struct thread_data *td)
{
	struct job *job = td->io_ops_data;
	struct timespec now;

	if (!job->num_unkicked)
		return 0;
	for (unsigned i = 0; i < job->num_files; i++)
		nvmed_aio_queue_submit(job->files[i].handle);
	fio_gettime(&now, NULL);
	for (unsigned i = 0; i < job->num_unkicked; i++) {
		job->unkicked[i]->issue_time = now;
		io_u_queued(td, job->unkicked[i]);
	}
	io_u_mark_submit(td, job->num_unkicked);
	job->num_unkicked = 0;
	return 0;
}

static int engine_getevents(struct thread_data *td, unsigned int min, unsigned int max, const struct timespec *t)
{
	struct job *job = td->io_ops_data;

	engine_commit(td);
	forget_taken(job);
	do {
		for (unsigned i = 0; i < job->num_files; i++)
			nvmed_aio_handle_complete(job->files[i].handle);
	} while (job->num_done < min && job->in_flight);
	job->num_taken = job->num_done < max ? job->num_done : max;
	return (int)job->num_taken;
}

static struct io_u *engine_event(struct thread_data *td, int event)
{
	struct job *job = td->io_ops_data;
	struct request *request = job->done[event];

	request->io_u->error = (unsigned int)-nvmed_aio_error(&request->ctx);
	return request->io_u;
}

static int engine_io_u_init(struct thread_data *td, struct io_u *io_u)
{
	struct job *job = td->io_ops_data;
	struct request *request = &job->requests[io_u->index];

	request->io_u = io_u;
	request->job = job;
	io_u->engine_data = request;
	return 0;
}

static int engine_iomem_alloc(struct thread_data *td, size_t size)
{
	struct job *job = td->io_ops_data;

	job->mem = nvmed_get_buffer(job->files[0].dev->nvmed, (unsigned int)(size / 4096 + 1));
	td->orig_buffer = job->mem;
	return job->mem ? 0 : failed(td, "buffers");
}

static void engine_iomem_free(struct thread_data *td)
{
	struct job *job = td->io_ops_data;

	if (!job || !job->mem)
		return;
	forget_taken(job);
	while (job->in_flight)
		for (unsigned i = 0; i < job->num_files; i++)
			nvmed_aio_handle_complete(job->files[i].handle);
	nvmed_put_buffer(job->mem);
	job->mem = NULL;
}

static int open_file(struct thread_data *td, struct fio_file *f)
{
	return 0;
}

#define OPTION(opt_name, opt_lname, opt_type, field) \
	.name = (opt_name), .lname = (opt_lname), .type = (opt_type), .off1 = offsetof(struct nvmed_options, field), \
	.category = FIO_OPT_C_ENGINE, .group = FIO_OPT_G_INVALID

static struct fio_option option_table[] = {
	{
		OPTION("mode", "How I/O is done", FIO_OPT_STR, mode),
		.help = "Requests or calls",
		.def = "async",
		.posval = {
			{ .ival = "async", .oval = MODE_ASYNC, .help = "nvmed_aio_read() and nvmed_aio_write()" },
			{ .ival = "sync", .oval = MODE_SYNC, .help = "nvmed_pread() and nvmed_pwrite(), one at a time" },
		},
	},
	{
		OPTION("cached", "Cached", FIO_OPT_BOOL, cached),
		.help = "Through the device's block cache, which mode=sync uses",
		.def = "0",
	},
	{
		OPTION("sync_io", "Write through", FIO_OPT_BOOL, sync_io),
		.help = "HANDLE_SYNC_IO: what is written is with the drive when the call returns",
		.def = "0",
	},
	{
		OPTION("cache_pages", "Cache size", FIO_OPT_INT, cache_pages),
		.help = "Pages of 4 KiB; 0: the library's",
		.def = "0",
		.maxval = 1u << 30,
	},
	{ .name = NULL },
};

/* Found by its name. */
extern struct ioengine_ops ioengine __attribute__((visibility("default")));
struct ioengine_ops ioengine = {
	.name = "nvmed",
	.version = FIO_IOOPS_VERSION,
	.flags = FIO_DISKLESSIO | FIO_RAWIO | FIO_NOEXTEND | FIO_NODISKUTIL | FIO_NO_OFFLOAD | FIO_ASYNCIO_SETS_ISSUE_TIME,
	.setup = engine_setup,
	.init = engine_init,
	.queue = engine_queue,
	.commit = engine_commit,
	.getevents = engine_getevents,
	.event = engine_event,
	.cleanup = engine_cleanup,
	.open_file = open_file,
	.close_file = open_file,
	.io_u_init = engine_io_u_init,
	.iomem_alloc = engine_iomem_alloc,
	.iomem_free = engine_iomem_free,
	.option_struct_size = sizeof(struct nvmed_options),
	.options = option_table,
};
