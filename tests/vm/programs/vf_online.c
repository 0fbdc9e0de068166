/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Gives a virtual function of a drive, whose physical one the kernel's driver has, two queue pairs and two vectors, and puts it on line:
 * Virtualization Management (NVMe Base 2.0 section 5.30).
 *
 *     vm_vf_online /dev/nvme0 CNTLID
 */
#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

enum { VIRT_MGMT = 0x1c, SECONDARY_OFFLINE = 7, SECONDARY_ASSIGN = 8, SECONDARY_ONLINE = 9, QUEUES = 0, VECTORS = 1 };

static int manage(int fd, unsigned cntlid, unsigned action, unsigned resource, unsigned number)
{
	struct nvme_admin_cmd cmd = {
		.opcode = VIRT_MGMT,
		.cdw10 = cntlid << 16 | resource << 8 | action,
		.cdw11 = number,
	};
	int rc = ioctl(fd, NVME_IOCTL_ADMIN_CMD, &cmd);

	if (rc)
		fprintf(stderr, "virtualization management, action %u, resource %u: %d (0x%x)\n", action, resource, rc, (unsigned)rc);
	return rc;
}

int main(int argc, char **argv)
{
	int fd = argc == 3 ? open(argv[1], O_RDWR) : -1;
	unsigned cntlid = argc == 3 ? (unsigned)atoi(argv[2]) : 0;

	if (fd < 0)
		return fprintf(stderr, "usage: vm_vf_online /dev/nvme0 CNTLID\n"), 2;
	return manage(fd, cntlid, SECONDARY_OFFLINE, 0, 0) || manage(fd, cntlid, SECONDARY_ASSIGN, QUEUES, 2) ||
	       manage(fd, cntlid, SECONDARY_ASSIGN, VECTORS, 2) || manage(fd, cntlid, SECONDARY_ONLINE, 0, 0);
}
