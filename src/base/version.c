/* SPDX-License-Identifier: BSD-3-Clause */
/* The version, as meson.build says it, and the choices it made; a test holds the numbers of the header against it. */
#include "base/compiler.h"
#include <nvio/version.h>

const char *nvio_version(void)
{
	return NVIO_VERSION;
}

const struct nvio_feature *nvio_features(void)
{
	static const struct nvio_feature features[] = {
		{ "loop", "software drives, and the transport that reaches them", true },
		{ "pcie", "drives on the PCI bus, through VFIO", true },
		{ "io_uring", "image files without a thread for each I/O", NVIO_HAVE_IO_URING },
		{ "openssl", "block devices that encrypt", NVIO_HAVE_OPENSSL },
		{ "checked", "misuse of the library is looked for while it runs", NVIO_CHECKED },
		{ NULL, NULL, false },
	};

	return features;
}
