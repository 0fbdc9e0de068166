/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What nvio's headers take from a C library: error numbers, memcpy() and its like, struct iovec. In a freestanding program
 * (-ffreestanding), which has no library, the same names stand here, and the numbers are those of Linux. Of such a program's
 * platform, only the functions memcpy(), memmove(), memset() and memcmp() are needed: compilers call them unasked.
 */
#ifndef NVIO_LIBC_H
#define NVIO_LIBC_H

#if __STDC_HOSTED__

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#else

#include <stddef.h>

/* Without the aliases: EWOULDBLOCK is EAGAIN, EDEADLOCK is EDEADLK, ENOTSUP is EOPNOTSUPP. */
enum {
	EPERM = 1, ENOENT, ESRCH, EINTR, EIO, ENXIO, E2BIG, ENOEXEC, EBADF, ECHILD, EAGAIN, ENOMEM, EACCES, EFAULT, ENOTBLK, EBUSY,
	EEXIST, EXDEV, ENODEV, ENOTDIR, EISDIR, EINVAL, ENFILE, EMFILE, ENOTTY, ETXTBSY, EFBIG, ENOSPC, ESPIPE, EROFS, EMLINK, EPIPE,
	EDOM, ERANGE, EDEADLK, ENAMETOOLONG, ENOLCK, ENOSYS, ENOTEMPTY, ELOOP,
	ENOMSG = 42, EIDRM, ECHRNG, EL2NSYNC, EL3HLT, EL3RST, ELNRNG, EUNATCH, ENOCSI, EL2HLT, EBADE, EBADR, EXFULL, ENOANO, EBADRQC,
	EBADSLT,
	EBFONT = 59, ENOSTR, ENODATA, ETIME, ENOSR, ENONET, ENOPKG, EREMOTE, ENOLINK, EADV, ESRMNT, ECOMM, EPROTO, EMULTIHOP, EDOTDOT,
	EBADMSG, EOVERFLOW, ENOTUNIQ, EBADFD, EREMCHG, ELIBACC, ELIBBAD, ELIBSCN, ELIBMAX, ELIBEXEC, EILSEQ, ERESTART, ESTRPIPE,
	EUSERS, ENOTSOCK, EDESTADDRREQ, EMSGSIZE, EPROTOTYPE, ENOPROTOOPT, EPROTONOSUPPORT, ESOCKTNOSUPPORT, EOPNOTSUPP, EPFNOSUPPORT,
	EAFNOSUPPORT, EADDRINUSE, EADDRNOTAVAIL, ENETDOWN, ENETUNREACH, ENETRESET, ECONNABORTED, ECONNRESET, ENOBUFS, EISCONN,
	ENOTCONN, ESHUTDOWN, ETOOMANYREFS, ETIMEDOUT, ECONNREFUSED, EHOSTDOWN, EHOSTUNREACH, EALREADY, EINPROGRESS, ESTALE, EUCLEAN,
	ENOTNAM, ENAVAIL, EISNAM, EREMOTEIO, EDQUOT, ENOMEDIUM, EMEDIUMTYPE, ECANCELED, ENOKEY, EKEYEXPIRED, EKEYREVOKED,
	EKEYREJECTED, EOWNERDEAD, ENOTRECOVERABLE, ERFKILL, EHWPOISON,
};

struct iovec {
	void *iov_base;
	size_t iov_len;
};

/* By these names the compiler knows what they do, and makes a load of a copy of eight bytes. */
#define memcpy  __builtin_memcpy
#define memmove __builtin_memmove
#define memset  __builtin_memset
#define memcmp  __builtin_memcmp

static inline size_t nvio_strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}
#define strlen nvio_strlen

#endif

#endif
