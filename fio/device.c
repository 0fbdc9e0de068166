/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The drives and block devices of this process. fio's jobs are threads (thread=1), which share them, or processes, which begin with none:
 * what a parent has open is not theirs. They are closed all at once, when the last job is done, so that what one job has written
 * into RAM is there for the next.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <nvio/bdev.h>
#include <nvio/nvme.h>
#include <nvio/thread.h>

#include "job.h"


static struct {
	pthread_mutex_t lock;
	pid_t pid;		     /* whose the rest is */
	unsigned users;
	struct nvio_env *env;
	struct device_opts opts;     /* of the environment */
	struct device *devices;
	struct nvio_thread *service; /* block devices are made on it, and it looks after what they have to do by themselves */
	pthread_t runner;
} process = { .lock = PTHREAD_MUTEX_INITIALIZER };

void tell(char *why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, WHY_MAX, format, args);
	va_end(args);
}

static bool is_bdev(const char *text)
{
	size_t len = strcspn(text, ":?");
	const char *kind;

	for (unsigned i = 0; (kind = nvio_bdev_str_kind(i)); i++)
		if (strlen(kind) == len && !memcmp(kind, text, len))
			return true;
	return false;
}

static bool has_key(const char *word, const char *key)
{
	size_t len = strlen(key);

	return !strncasecmp(word, key, len) && (word[len] == '=' || word[len] == ':');
}

/* The habit of other plug-ins for fio: 0000.01.00.0, as ':' separates files there. */
static void undot(char *bdf)
{
	unsigned domain, bus, dev, fn;
	int end = 0;

	if (sscanf(bdf, "%4x.%2x.%2x.%1x%n", &domain, &bus, &dev, &fn, &end) == 4 && !bdf[end])
		snprintf(bdf, strlen(bdf) + 1, "%04x:%02x:%02x.%x", domain & 0xffff, bus & 0xff, dev & 0xff, fn & 0xf);
}

static int parse_nsid(const char *text, uint32_t *nsid)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || !value || value > UINT32_MAX - 1)
		return -EINVAL;
	*nsid = value;
	return 0;
}

/* A transport id in its long form: words, of which "ns=" is ours. */
static int parse_words(const char *text, struct device_name *name, char *why)
{
	char copy[FIO_NAME_MAX + 1], *save = NULL;
	bool pcie = strcasestr(text, "trtype=pcie") || strcasestr(text, "trtype:pcie");
	size_t used = 0;

	snprintf(copy, sizeof(copy), "%s", text);
	name->text[0] = 0;
	for (char *word = strtok_r(copy, " \t", &save); word; word = strtok_r(NULL, " \t", &save)) {
		if (has_key(word, "ns")) {
			if (parse_nsid(word + 3, &name->nsid)) {
				tell(why, "%s: \"%s\" is no namespace id", text, word);
				return -EINVAL;
			}
			continue;
		}
		if (pcie && has_key(word, "traddr") && strlen(word) == strlen("traddr=0000.00.00.0"))
			undot(word + strlen("traddr="));
		used += snprintf(name->text + used, sizeof(name->text) - used, "%s%s", used ? " " : "", word);
	}
	return 0;
}

int device_name_parse(const char *file_name, struct device_name *name, char *why)
{
	size_t len = strlen(file_name);
	struct nvio_trid trid;
	int rc = 0;

	memset(name, 0, sizeof(*name));
	if (len > FIO_NAME_MAX) {
		tell(why, "a name of more than %d bytes", FIO_NAME_MAX);
		return -EINVAL;
	}
	memcpy(name->text, file_name, len);
	name->is_bdev = is_bdev(file_name);
	if (name->is_bdev) {
		rc = nvio_bdev_check_str(name->text);
	} else {
		if (has_key(file_name, "trtype") || strcasestr(file_name, " trtype"))
			rc = parse_words(file_name, name, why);
		if (rc)
			return rc;
		rc = nvio_trid_parse(name->text, &trid);
	}
	if (rc)
		tell(why, "%s: %s (in a job file ':' is written '\\:', as in filename=loop\\:ram\\:1G)", file_name, nvio_errmsg());
	return rc;
}

static void *run_service(void *arg)
{
	/* Sleeps at once where there is nothing to do: the cores are for the jobs. */
	nvio_thread_run(arg, 0);
	return NULL;
}

static int start_service(void)
{
	sigset_t all, before;
	int rc;

	rc = nvio_thread_create(process.env, NULL, &process.service);
	if (rc)
		return rc;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = -pthread_create(&process.runner, NULL, run_service, process.service);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc) {
		nvio_thread_destroy(process.service);
		process.service = NULL;
	}
	return rc;
}

static void close_all(void)
{
	struct device *dev;

	if (process.service) {
		nvio_thread_stop(process.service);
		pthread_join(process.runner, NULL);
	}
	/* Takes controllers, block devices and the thread along, in order. */
	nvio_env_close(process.env);
	process.service = NULL;
	process.env = NULL;
	while ((dev = process.devices)) {
		process.devices = dev->next;
		free(dev);
	}
}

static int open_env(const struct device_opts *opts, char *why)
{
	static const enum nvio_hugepages huge[] = {
		[FIO_HUGE_NO] = NVIO_HUGEPAGES_NO,
		[FIO_HUGE_TRY] = NVIO_HUGEPAGES_TRY,
		[FIO_HUGE_2M] = NVIO_HUGEPAGES_2M,
		[FIO_HUGE_1G] = NVIO_HUGEPAGES_1G,
	};
	struct nvio_env_opts eopts;
	int rc;

	nvio_env_opts_init(&eopts);
	eopts.name = "fio";
	eopts.hugepages = huge[opts->huge];
	eopts.unsafe_no_iommu = opts->unsafe_no_iommu;
	rc = nvio_env_open(&eopts, &process.env);
	if (rc)
		tell(why, "%s", nvio_errmsg());
	process.opts = *opts;
	return rc;
}

struct make {
	struct device *dev;
	char *why;
};

static int make_bdev(void *arg)
{
	struct make *make = arg;
	int rc = nvio_bdev_create_str(process.env, make->dev->text, make->dev->bdev);

	/* The words are this thread's; who asked is another one. */
	if (rc)
		snprintf(make->why, WHY_MAX, "%s", nvio_errmsg());
	return rc;
}

static int open_bdev(struct device *dev, char *why)
{
	struct make make = { dev, why };
	struct nvio_op op = NVIO_OP(NULL);
	int rc = process.service ? 0 : start_service();

	if (rc) {
		tell(why, "%s", nvio_errmsg());
		return rc;
	}
	return nvio_await(nvio_thread_call(process.service, make_bdev, &make, &op), &op);
}

static int open_ctrlr(struct device *dev, char *why)
{
	struct nvio_ctrlr_opts opts;
	int rc;

	nvio_ctrlr_opts_init(&opts);
	opts.bounce = dev->opts.bounce;
	/* Between two jobs nobody polls, for as long as fio likes. */
	opts.keep_alive_timeout_ms = 0;
	rc = nvio_connect(process.env, dev->text, &opts, &dev->ctrlr);
	if (rc)
		tell(why, "%s", nvio_errmsg());
	return rc;
}

static int open_device(const struct device_name *name, const struct device_opts *opts, struct device **out, char *why)
{
	struct device *dev = calloc(1, sizeof(*dev));
	int rc;

	if (!dev) {
		tell(why, "no memory");
		return -ENOMEM;
	}
	snprintf(dev->text, sizeof(dev->text), "%s", name->text);
	dev->opts = *opts;
	rc = name->is_bdev ? open_bdev(dev, why) : open_ctrlr(dev, why);
	if (rc) {
		free(dev);
		return rc;
	}
	dev->next = process.devices;
	process.devices = dev;
	*out = dev;
	return 0;
}

static int find_or_open(const struct device_name *name, const struct device_opts *opts, struct device **out, char *why)
{
	struct device *dev = process.devices;

	if (opts->huge != process.opts.huge || opts->unsafe_no_iommu != process.opts.unsafe_no_iommu) {
		tell(why, "hugepages and unsafe_no_iommu are the same for all jobs of a process; put them into [global]");
		return -EINVAL;
	}
	while (dev && strcmp(dev->text, name->text))
		dev = dev->next;
	if (!dev)
		return open_device(name, opts, out, why);
	if (dev->opts.bounce != opts->bounce) {
		tell(why, "%s: jobs that share a drive have the same bounce; another one has bounce=%d", name->text,
			dev->opts.bounce);
		return -EINVAL;
	}
	*out = dev;
	return 0;
}

int device_get(const struct device_name *name, const struct device_opts *opts, struct device **dev, char *why)
{
	int rc = 0;

	pthread_mutex_lock(&process.lock);
	if (process.pid != getpid()) {
		process.pid = getpid();
		process.users = 0;
		process.env = NULL;
		process.devices = NULL;
		process.service = NULL;
	}
	if (!process.env)
		rc = open_env(opts, why);
	if (!rc) {
		rc = find_or_open(name, opts, dev, why);
		if (!rc)
			process.users++;
		else if (!process.users)
			close_all();
	}
	pthread_mutex_unlock(&process.lock);
	return rc;
}

void device_put(void)
{
	pthread_mutex_lock(&process.lock);
	if (!--process.users)
		close_all();
	pthread_mutex_unlock(&process.lock);
}

struct nvio_env *device_env(void)
{
	return process.env;
}

void device_lock(void)
{
	pthread_mutex_lock(&process.lock);
}

void device_unlock(void)
{
	pthread_mutex_unlock(&process.lock);
}
