/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How many queues a user may have on a device, over all processes. With no kernel module in between this is an agreement among programs of this
 * library, kept in a table in shared memory; there is none as long as nobody has set a quota. A process writes down how many it has
 * whenever that changes; those of processes that have ended are forgotten.
 */
#include "priv.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TABLE_MAGIC   0x4e51554f54413031u
#define TABLE_QUOTAS  64
#define TABLE_HOLDERS 256

struct table {
	u64 magic;
	struct {
		u32 set, uid, max;
	} quotas[TABLE_QUOTAS];
	struct {
		u32 pid, uid, queues; /* pid 0: free */
		u32 id;               /* of the device within the process */
	} holders[TABLE_HOLDERS];
};

/* One name for one drive and namespace, whatever path led there. */
static void table_name(const struct device *d, char *name, size_t size)
{
	u64 hash = 0xcbf29ce484222325u;

	for (const char *p = d->trid; *p; p++)
		hash = (hash ^ (u8)*p) * 0x100000001b3u;
	snprintf(name, size, "/nvmed-quota.%016llx.%u", (unsigned long long)hash, d->info.ns_id);
}

static void forget_the_dead(struct table *t)
{
	for (int i = 0; i < TABLE_HOLDERS; i++)
		if (t->holders[i].pid && kill((pid_t)t->holders[i].pid, 0) && errno == ESRCH)
			t->holders[i].pid = 0;
}

/* Opens and locks it. -1 with ENOENT: there is none. */
static int table_open(struct device *d, bool make, struct table **t)
{
	struct stat st;
	char name[64];
	int fd;

	table_name(d, name, sizeof(name));
	fd = shm_open(name, O_RDWR | (make ? O_CREAT : 0), 0666);
	if (fd < 0)
		return errno == ENOENT ? -1 : failed(errno, "nvmed: quota: %s: %s", name, strerror(errno));
	if (flock(fd, LOCK_EX) || fstat(fd, &st) || (!st.st_size && (fchmod(fd, 0666) || ftruncate(fd, sizeof(**t))))) {
		failed(errno, "nvmed: quota: %s: %s", name, strerror(errno));
		goto close;
	}
	/* Who took the last quota away removed it between the two. */
	if (!st.st_nlink) {
		close(fd);
		return table_open(d, make, t);
	}
	*t = st.st_size && st.st_size != sizeof(**t) ? MAP_FAILED : mmap(NULL, sizeof(**t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (*t == MAP_FAILED || ((*t)->magic && (*t)->magic != TABLE_MAGIC)) {
		failed(EINVAL, "nvmed: quota: /dev/shm%s is no table of quotas; remove it", name);
		if (*t != MAP_FAILED)
			munmap(*t, sizeof(**t));
		goto close;
	}
	(*t)->magic = TABLE_MAGIC;
	forget_the_dead(*t);
	return fd;
close:
	close(fd);
	return -1;
}

static void table_close(struct table *t, int fd)
{
	munmap(t, sizeof(*t));
	close(fd);
}

static int quota_of(const struct table *t, uid_t uid)
{
	for (int i = 0; i < TABLE_QUOTAS; i++)
		if (t->quotas[i].set && t->quotas[i].uid == uid)
			return i;
	return -1;
}

static unsigned int used_by(const struct table *t, uid_t uid)
{
	unsigned int sum = 0;

	for (int i = 0; i < TABLE_HOLDERS; i++)
		if (t->holders[i].pid && t->holders[i].uid == uid)
			sum += t->holders[i].queues;
	return sum;
}

static int note(struct table *t, struct device *d)
{
	u32 pid = (u32)getpid();
	int at = -1;

	for (int i = 0; i < TABLE_HOLDERS; i++) {
		if (t->holders[i].pid == pid && t->holders[i].id == (u32)d->pub.ns_fd) {
			at = i;
			break;
		}
		if (at < 0 && !t->holders[i].pid)
			at = i;
	}
	if (at < 0)
		return failed(EUSERS, "nvmed: quota: more than %d processes use the drive", TABLE_HOLDERS);
	t->holders[at].pid = d->num_queues ? pid : 0;
	t->holders[at].uid = geteuid();
	t->holders[at].queues = d->num_queues;
	t->holders[at].id = (u32)d->pub.ns_fd;
	return 0;
}

int quota_take(struct device *d)
{
	struct table *t;
	int fd, at, rc = 0;

	errno = 0;
	fd = table_open(d, false, &t);
	if (fd < 0) {
		d->num_queues += errno == ENOENT;
		return errno == ENOENT ? 0 : -1;
	}
	at = quota_of(t, geteuid());
	if (at >= 0 && used_by(t, geteuid()) >= t->quotas[at].max)
		rc = failed(EDQUOT, "nvmed: queue_create: user %u has all the %u queues of its quota", geteuid(), t->quotas[at].max);
	d->num_queues += !rc;
	if (!rc && note(t, d)) {
		d->num_queues--;
		rc = -1;
	}
	table_close(t, fd);
	return rc;
}

void quota_give_back(struct device *d)
{
	struct table *t;
	int fd;

	d->num_queues--;
	fd = table_open(d, false, &t);
	if (fd < 0)
		return;
	note(t, d);
	table_close(t, fd);
}

static int quota_set(struct table *t, uid_t uid, unsigned int max)
{
	int at = quota_of(t, uid);

	for (int i = 0; at < 0 && i < TABLE_QUOTAS; i++)
		if (!t->quotas[i].set)
			at = i;
	if (at < 0) {
		failed(EUSERS, "nvmed: quota: %d users have one; that is all there is room for", TABLE_QUOTAS);
		return -NVMED_EXCEEDLIMIT;
	}
	t->quotas[at].uid = uid;
	t->quotas[at].max = max;
	t->quotas[at].set = max != 0;
	return 0;
}

static bool quotas_left(const struct table *t)
{
	for (int i = 0; i < TABLE_QUOTAS; i++)
		if (t->quotas[i].set)
			return true;
	return false;
}

int nvmed_set_user_quota(NVMED *nvmed, uid_t uid, unsigned int num_queue, unsigned int *max, unsigned int *used)
{
	struct device *d = device_of(nvmed);
	struct table *t;
	char name[64];
	int fd, rc;

	if (!nvmed || !device_live(nvmed)) {
		failed(EINVAL, "nvmed: quota: no open device");
		return -NVMED_NOENTRY;
	}
	if (geteuid()) {
		failed(EPERM, "nvmed: quota: only root sets quotas");
		return -NVMED_NOPERM;
	}
	pthread_mutex_lock(&d->mutex);
	fd = table_open(d, true, &t);
	rc = fd < 0 ? -NVMED_FAULT : quota_set(t, uid, num_queue);
	if (fd >= 0) {
		if (!rc)
			note(t, d);
		if (max)
			*max = num_queue;
		if (used)
			*used = used_by(t, uid);
		table_name(d, name, sizeof(name));
		if (!quotas_left(t))
			shm_unlink(name);
		table_close(t, fd);
	}
	pthread_mutex_unlock(&d->mutex);
	return rc;
}

int nvmed_get_user_quota(NVMED *nvmed, uid_t uid, unsigned int *max, unsigned int *used)
{
	struct device *d = device_of(nvmed);
	struct table *t;
	int fd, at;

	if (!nvmed || !device_live(nvmed)) {
		failed(EINVAL, "nvmed: quota: no open device");
		return -NVMED_NOENTRY;
	}
	errno = 0;
	fd = table_open(d, false, &t);
	if (fd < 0 && errno != ENOENT)
		return -NVMED_FAULT;
	at = fd < 0 ? -1 : quota_of(t, uid);
	if (at >= 0 && max)
		*max = t->quotas[at].max;
	if (at >= 0 && used)
		*used = used_by(t, uid);
	if (fd >= 0)
		table_close(t, fd);
	if (at >= 0)
		return 0;
	failed(ENOENT, "nvmed: quota: user %u has none", uid);
	return -NVMED_NOENTRY;
}
