/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lock of an environment's shm_id: a file that is locked as long as the environment is open. The lock
 * goes with the process, so a crash leaves none; the file stays, for removing it would race with one who is
 * about to lock it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "env/env.h"

static bool is_private_dir(const char *path)
{
	struct stat st;

	return path && path[0] == '/' && !stat(path, &st) && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	       !access(path, W_OK | X_OK);
}

static int lock_path(int shm_id, char *path, size_t size)
{
	const char *dir = secure_getenv("XDG_RUNTIME_DIR");
	unsigned int uid = (unsigned int)geteuid();
	char run[64];
	int len;

	snprintf(run, sizeof(run), "/run/user/%u", uid);
	if (!is_private_dir(dir))
		dir = is_private_dir(run) ? run : "/tmp";
	len = snprintf(path, size, "%s/nvio-%u-%d.lock", dir, uid, shm_id);
	if (len < 0 || (size_t)len >= size)
		return fail(-ENAMETOOLONG, "env: shm_id %d: the path of XDG_RUNTIME_DIR is too long", shm_id);
	return 0;
}

/* /tmp is everyone's: what lies there under our name must be a plain file of this user. */
static int check_file(int fd, const char *path)
{
	struct stat st;

	if (fstat(fd, &st))
		return fail(-errno, "env: shm_id: %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
		return fail(-EACCES,
			"env: shm_id: %s is not a plain file of this user; remove it, or set XDG_RUNTIME_DIR",
			path);
	return 0;
}

int env_shm_init(struct nvio_env *env)
{
	int fd, rc, id = env->opts.shm_id;
	char path[PATH_MAX];

	env->shm_fd = -1;
	if (id < 0)
		return 0;
	rc = lock_path(id, path, sizeof(path));
	if (rc)
		return rc;
	/* O_NONBLOCK: a fifo planted there must not make us wait. */
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
	if (fd < 0)
		return fail(-errno, "env: shm_id %d: cannot open %s: %s", id, path, strerror(errno));
	rc = check_file(fd, path);
	if (!rc && flock(fd, LOCK_EX | LOCK_NB))
		rc = errno == EWOULDBLOCK
			     ? fail(-EALREADY,
				       "env: shm_id %d is in use by another environment of this user "
				       "(%s is locked); choose another id, or -1 for a private one",
				       id, path)
			     : fail(-errno, "env: shm_id %d: cannot lock %s: %s", id, path, strerror(errno));
	if (rc) {
		close(fd);
		return rc;
	}
	env->shm_fd = fd;
	return 0;
}

void env_shm_fini(struct nvio_env *env)
{
	if (env->shm_fd < 0)
		return;
	/* Closing alone would not do: a forked child may still have the file open. */
	flock(env->shm_fd, LOCK_UN);
	close(env->shm_fd);
	env->shm_fd = -1;
}
