/* SPDX-License-Identifier: BSD-3-Clause */
/* What the machine and its kernel must offer: an IOMMU that is on, VFIO, and the right to change things in /sys. */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "cli.h"
#include "doctor.h"
#include "setup.h"

static bool has_groups(void)
{
	json_t *names = tree_names("/sys/kernel/iommu_groups");
	bool some = json_array_size(names) > 0;

	json_decref(names);
	return some;
}

static bool cpu_is(const char *vendor)
{
	char *text = tree_text("/proc/cpuinfo");
	bool is = text && strstr(text, vendor);

	free(text);
	return is;
}

/* A word of the kernel's command line; with a '=' at its end, what begins with it. */
static bool booted_with(const char *word)
{
	char *text = tree_text("/proc/cmdline"), *save = NULL;
	size_t len = strlen(word);
	bool found = false;

	for (char *w = text ? strtok_r(text, " \n", &save) : NULL; w; w = strtok_r(NULL, " \n", &save))
		found |= word[len - 1] == '=' ? !strncmp(w, word, len) : !strcmp(w, word);
	free(text);
	return found;
}

static bool unsafe_no_iommu(void)
{
	char line[8];

	tree_line(line, sizeof(line), "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode");
	return line[0] == 'Y' || line[0] == '1';
}

/* Where the kernel's command line is set differs by distribution; this is Debian's and Ubuntu's, and Fedora's has grubby. */
static const char *add_to_command_line(char *buf, size_t size, const char *word)
{
	if (tree_exists("/usr/sbin/grubby") || tree_exists("/sbin/grubby"))
		snprintf(buf, size, "sudo grubby --update-kernel=ALL --args=%s && sudo reboot", word);
	else
		snprintf(buf, size,
			"sudo sed -i 's/^GRUB_CMDLINE_LINUX=\"/&%s /' /etc/default/grub && sudo update-grub && sudo reboot", word);
	return buf;
}

void doctor_iommu(struct doctor *d)
{
	enum doctor_level level = unsafe_no_iommu() || !d->vfio ? DOCTOR_NOTE : DOCTOR_PROBLEM;
	char fix[256];

	if (has_groups()) {
		doctor_say(d, DOCTOR_OK, "iommu", NULL, "on: it keeps a drive's DMA to the memory of whoever uses it");
	} else if (booted_with("intel_iommu=off") || booted_with("amd_iommu=off") || booted_with("iommu=off")) {
		doctor_say(d, level, "iommu", "take iommu=off, intel_iommu=off or amd_iommu=off out of /etc/default/grub; sudo update-grub && sudo reboot",
			"off by the kernel's command line");
	} else if (cpu_is("GenuineIntel") && !booted_with("intel_iommu=")) {
		doctor_say(d, level, "iommu", add_to_command_line(fix, sizeof(fix), "intel_iommu=on"),
			"off: the kernel has not been told to use it%s",
			tree_exists("/sys/firmware/acpi/tables/DMAR") ? "" : "; and VT-d has to be enabled in the firmware (BIOS) first");
	} else if (cpu_is("GenuineIntel")) {
		doctor_say(d, level, "iommu", "enable VT-d (\"Intel Virtualization Technology for Directed I/O\") in the firmware (BIOS)",
			"off: the kernel would use it, but the firmware shows none");
	} else if (cpu_is("AuthenticAMD") || cpu_is("HygonGenuine")) {
		doctor_say(d, level, "iommu", "enable IOMMU (\"AMD-Vi\", \"SVM\") in the firmware (BIOS)",
			"off: the firmware shows none (%s IVRS table)",
			tree_exists("/sys/firmware/acpi/tables/IVRS") ? "though there is an" : "there is no");
	} else if (booted_with("iommu.passthrough=") || tree_exists("/sys/firmware/acpi/tables/IORT")) {
		doctor_say(d, level, "iommu", add_to_command_line(fix, sizeof(fix), "iommu.passthrough=0"),
			"off: the kernel uses no SMMU, though the firmware describes one");
	} else {
		doctor_say(d, level, "iommu", "enable the SMMU or IOMMU in the firmware; a virtual machine needs a virtual one",
			"this machine shows none");
	}
}

/* Without it a device could raise any interrupt; VFIO refuses then, unless told that this is accepted. */
void doctor_remapping(struct doctor *d)
{
	char line[64];
	bool off = booted_with("intremap=off") || booted_with("nointremap");

	if (!has_groups())
		return;
	if (!tree_line(line, sizeof(line), "/sys/class/iommu/dmar0/intel-iommu/ecap") && line[0])
		off |= !(strtoull(line, NULL, 16) >> 3 & 1);
	tree_line(line, sizeof(line), "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts");
	if (!off)
		doctor_say(d, DOCTOR_OK, "interrupt remapping", NULL, "nothing speaks against it");
	else if (line[0] == 'Y' || line[0] == '1')
		doctor_say(d, DOCTOR_NOTE, "interrupt remapping", NULL,
			"off, and VFIO has been told to accept that (allow_unsafe_interrupts): a drive could raise any interrupt");
	else
		doctor_say(d, DOCTOR_PROBLEM, "interrupt remapping",
			"enable it in the firmware (x2APIC), or accept the risk: sudo modprobe -r vfio_iommu_type1 && sudo modprobe "
			"vfio_iommu_type1 allow_unsafe_interrupts=1",
			"off, so VFIO refuses to give a drive away");
}

/* Whether the kernel comes with it: in itself, or as a file of modules. */
static bool is_available(const char *module)
{
	static const char *const lists[] = { "modules.builtin", "modules.dep" };
	char release[128], name[64];
	bool found = false;

	tree_line(release, sizeof(release), "/proc/sys/kernel/osrelease");
	snprintf(name, sizeof(name), "/%s.ko", module);
	for (size_t i = 0; i < CLI_COUNT(lists) && !found; i++) {
		char *text = tree_text("/lib/modules/%s/%s", release, lists[i]);

		found = text && strstr(text, name);
		free(text);
	}
	return found;
}

void doctor_modules(struct doctor *d)
{
	if (!d->vfio)
		return;
	if (tree_exists("/sys/bus/pci/drivers/vfio-pci"))
		doctor_say(d, DOCTOR_OK, "vfio-pci", NULL, "loaded");
	else if (is_available("vfio-pci"))
		doctor_say(d, d->one ? DOCTOR_PROBLEM : DOCTOR_NOTE, "vfio-pci", "sudo modprobe vfio-pci (nvio setup bind does it)",
			"not loaded, but this kernel has it");
	else
		doctor_say(d, DOCTOR_PROBLEM, "vfio-pci", "install a kernel that has it: CONFIG_VFIO_PCI; cloud kernels may not (Debian: linux-image-amd64)",
			"neither loaded nor found among the modules of this kernel");
}

void doctor_nodes(struct doctor *d)
{
	int container = tree_may_use("/dev/vfio/vfio"), iommufd = tree_may_use("/dev/iommu");

	if (!d->vfio || !tree_exists("/sys/bus/pci/drivers/vfio-pci"))
		return;
	if (!container || !iommufd)
		doctor_say(d, DOCTOR_OK, "vfio device", NULL, "you may use %s", container ? "/dev/iommu" : "/dev/vfio/vfio");
	else if (container == -ENOENT && iommufd == -ENOENT)
		doctor_say(d, DOCTOR_PROBLEM, "vfio device",
			"outside of a container: sudo modprobe vfio_iommu_type1; a container: --device /dev/vfio",
			"there is neither /dev/vfio/vfio nor /dev/iommu");
	else
		doctor_say(d, DOCTOR_PROBLEM, "vfio device", "sudo chmod 0666 /dev/vfio/vfio (it leads to nothing by itself)",
			"you may not use /dev/vfio/vfio: %s", strerror(container == -ENOENT ? -iommufd : -container));
}

void doctor_no_iommu(struct doctor *d)
{
	if (unsafe_no_iommu())
		doctor_say(d, has_groups() ? DOCTOR_NOTE : doctor_has_cap(CAP_SYS_RAWIO) ? DOCTOR_NOTE : DOCTOR_PROBLEM, "no-IOMMU mode",
			has_groups() ? "sudo sh -c 'echo N > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode'" : NULL,
			"on: a drive without an IOMMU can be used by root alone, with unsafe_no_iommu, and one wrong address overwrites "
			"any memory of the machine");
}

/* "none [integrity] confidentiality": the one in brackets holds. VFIO is not touched by it; what bypasses the IOMMU is. */
void doctor_lockdown(struct doctor *d)
{
	char line[128], *at, *end;
	bool matters = !d->vfio || !has_groups();

	if (tree_line(line, sizeof(line), "/sys/kernel/security/lockdown") || !(at = strchr(line, '[')) || !(end = strchr(at, ']')))
		return;
	*end = 0;
	if (!strcmp(at + 1, "none"))
		doctor_say(d, DOCTOR_OK, "lockdown", NULL, "off");
	else if (!matters)
		doctor_say(d, DOCTOR_OK, "lockdown", NULL, "%s, which VFIO behind an IOMMU does not mind", at + 1);
	else
		doctor_say(d, DOCTOR_PROBLEM, "lockdown", "use VFIO with an IOMMU; or switch Secure Boot off in the firmware",
			"%s (Secure Boot): it forbids what works without an IOMMU", at + 1);
}

/* Where /sys cannot be written nobody can bind a drive, root included; one that is bound can be used. */
void doctor_container(struct doctor *d)
{
	char path[PATH_MAX];
	struct statvfs fs;

	if (statvfs(tree_path(path, "/sys"), &fs) || !(fs.f_flag & ST_RDONLY))
		return;
	doctor_say(d, DOCTOR_NOTE, "container", "run 'nvio setup bind' on the host, and start the container with --device /dev/vfio --ulimit memlock=-1",
		"/sys is read-only here: drives can be used, but not bound");
}
