/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a job begins and ends. Sizes are asked for by the process that starts the jobs (setup). Where jobs are threads, what was opened for
 * that stays open and is theirs; where they are processes it is closed again, and each opens its own (init).
 */
#include "engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <verify.h>

#include <nvio/error.h>
#include <nvio/thread.h>


static int failed(struct thread_data *td, int rc, const char *why)
{
	log_err("fio: nvio: %s%s\n", why,
		rc == -EBUSY && !td->o.use_thread ? "; jobs that are processes cannot share a drive: thread=1" : "");
	td_verror(td, -rc, "nvio");
	return rc;
}

static bool is_written(const struct thread_data *td)
{
	return td_write(td) || td_trim(td) || td->o.trim_percentage;
}

/* What the job is to do against what the device can. */
static int check_shape(struct thread_data *td, const struct job *job, const struct fio_file *f, const struct shape *shape)
{
	static const char *const option[] = { [DDIR_READ] = "bs of reads", [DDIR_WRITE] = "bs of writes", [DDIR_TRIM] = "bs of trims" };
	const bool used[] = { [DDIR_READ] = td_read(td), [DDIR_WRITE] = td_write(td), [DDIR_TRIM] = td_trim(td) };
	char why[WHY_MAX];

	for (int ddir = 0; ddir < DDIR_RWDIR_CNT; ddir++)
		if (used[ddir] && td->o.min_bs[ddir] % shape->block_size) {
			tell(why, "%s: the %s, %llu, is to be a multiple of its block size, %u", f->file_name, option[ddir],
				td->o.min_bs[ddir], shape->block_size);
			return failed(td, -EINVAL, why);
		}
	if (td->o.start_offset % shape->block_size) {
		tell(why, "%s: offset, %llu, is to be a multiple of its block size, %u", f->file_name,
			td->o.start_offset, shape->block_size);
		return failed(td, -EINVAL, why);
	}
	if (is_written(td) && shape->read_only) {
		tell(why, "%s is read-only", f->file_name);
		return failed(td, -EROFS, why);
	}
	if ((td_trim(td) || td->o.trim_percentage) && !shape->can_trim) {
		tell(why, "%s has no trim", f->file_name);
		return failed(td, -EOPNOTSUPP, why);
	}
	if (job->opts->write_mode == WRITE_ZEROES && !shape->can_zero) {
		tell(why, "%s has no write zeroes", f->file_name);
		return failed(td, -EOPNOTSUPP, why);
	}
	return 0;
}

static int open_file(struct thread_data *td, struct job *job, unsigned i)
{
	struct device_opts opts = {
		.bounce = job->opts->bounce,
		.unsafe_no_iommu = job->opts->unsafe_no_iommu,
		.huge = (enum fio_huge)job->opts->hugepages,
	};
	struct fio_file *f = td->files[i];
	struct device_name name;
	char why[WHY_MAX] = "";
	int rc;

	rc = device_name_parse(f->file_name, &name, why);
	if (!rc)
		rc = device_get(&name, &opts, &job->devices[i], why);
	if (rc)
		return failed(td, rc, why);
	job->num_targets = i + 1;
	rc = target_look(job->devices[i], name.nsid ? name.nsid : job->opts->nsid, &job->targets[i], why);
	if (rc)
		return failed(td, rc, why);
	return check_shape(td, job, f, &job->targets[i].shape);
}

int job_open(struct thread_data *td, struct job **out)
{
	struct job *job = calloc(1, sizeof(*job));
	int rc = 0;

	if (!job)
		return failed(td, -ENOMEM, "no memory");
	job->opts = td->eo;
	job->depth = td->o.iodepth;
	job->devices = calloc(td->files_index, sizeof(struct device *));
	job->targets = calloc(td->files_index, sizeof(struct target));
	if (!job->devices || !job->targets)
		rc = failed(td, -ENOMEM, "no memory");
	for (unsigned i = 0; i < td->files_index && !rc; i++)
		rc = open_file(td, job, i);
	if (rc) {
		job_close(job);
		return rc;
	}
	*out = job;
	return 0;
}

void job_close(struct job *job)
{
	for (unsigned i = 0; i < job->num_targets; i++)
		device_put();
	free(job->devices);
	free(job->targets);
	free(job);
}

/* The job's own nvio_thread, for all its block devices. */
static int need_thread(struct job *job, char *why)
{
	int rc;

	if (job->thread)
		return 0;
	rc = nvio_thread_create(device_env(), NULL, &job->thread);
	if (!rc) {
		rc = nvio_thread_attach(job->thread);
		if (rc) {
			nvio_thread_destroy(job->thread);
			job->thread = NULL;
		}
	}
	if (rc)
		tell(why, "%s", nvio_errmsg());
	return rc;
}

static int find_lane(struct thread_data *td, struct job *job, struct device *dev, struct lane **lane, char *why)
{
	int rc = 0;

	for (unsigned i = 0; i < job->num_lanes; i++)
		if (job->lanes[i].dev == dev) {
			*lane = &job->lanes[i];
			return 0;
		}
	if (job->num_lanes == FIO_LANES_MAX) {
		tell(why, "a job can have %d drives and block devices", FIO_LANES_MAX);
		return -E2BIG;
	}
	if (!dev->ctrlr)
		rc = need_thread(job, why);
	if (!rc)
		rc = lane_open(&job->lanes[job->num_lanes], dev, job->depth, is_written(td), why);
	if (!rc)
		*lane = &job->lanes[job->num_lanes++];
	return rc;
}

int job_start(struct thread_data *td, struct job *job)
{
	char why[WHY_MAX] = "";
	int rc;

	job->ios = calloc(job->depth, sizeof(*job->ios));
	job->done = calloc(job->depth, sizeof(struct io *));
	job->unkicked = calloc(job->depth, sizeof(struct io_u *));
	if (!job->ios || !job->done || !job->unkicked)
		return failed(td, -ENOMEM, "no memory");
	for (unsigned i = 0; i < job->num_targets; i++) {
		rc = find_lane(td, job, job->devices[i], &job->targets[i].lane, why);
		if (rc)
			return failed(td, rc, why);
		FILE_SET_ENG_DATA(td->files[i], &job->targets[i]);
	}
	return 0;
}

void job_stop(struct job *job)
{
	while (job->num_lanes)
		lane_close(&job->lanes[--job->num_lanes]);
	if (job->thread) {
		nvio_thread_detach(job->thread);
		if (nvio_thread_destroy(job->thread))
			log_err("fio: nvio: %s\n", nvio_errmsg());
		job->thread = NULL;
	}
	free(job->ios);
	free(job->done);
	free(job->unkicked);
	job->ios = NULL;
	job->done = NULL;
	job->unkicked = NULL;
}

static int check_options(struct thread_data *td)
{
	const struct nvio_options *opts = td->eo;

	if (opts->write_mode == WRITE_ZEROES && td->o.verify != VERIFY_NONE)
		return failed(td, -EINVAL, "write_mode=zeroes writes no data that could be verified");
	return 0;
}

static int begin(struct thread_data *td, struct job **job)
{
	int rc = engine_fits() ? -EINVAL : check_options(td);

	return rc ? rc : job_open(td, job);
}

int engine_setup(struct thread_data *td)
{
	struct job *job = td->io_ops_data;

	/* With create_serialize=0 the job has been begun already. */
	if (!job && begin(td, &job))
		return 1;
	for (unsigned i = 0; i < job->num_targets; i++) {
		struct fio_file *f = td->files[i];

		f->filetype = FIO_TYPE_BLOCK;
		f->real_file_size = job->targets[i].shape.bytes;
		fio_file_set_size_known(f);
	}
	if (td->o.use_thread)
		td->io_ops_data = job;
	else if (!td->io_ops_data)
		job_close(job);
	return 0;
}

int engine_init(struct thread_data *td)
{
	struct job *job = td->io_ops_data;

	if (!job) {
		if (begin(td, &job))
			return 1;
		td->io_ops_data = job;
	}
	/* What is left open by a start that failed is closed by engine_cleanup(). */
	return job_start(td, job) ? 1 : 0;
}
