/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program as somebody would have written it from NVMeDirect's document alone: no header but the library's, no flag that the document does
 * not name. It is compiled with -Wall -Werror and nothing else. Says "flushed" and waits to be killed.
 */
#include <lib_nvmed.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS 16

static int write_direct(NVMED_QUEUE *queue)
{
	NVMED_HANDLE *handle = nvmed_handle_create(queue, HANDLE_DIRECT_IO | HANDLE_SYNC_IO | HANDLE_HINT_DMEM);
	char *buf = nvmed_get_buffer(HtoD(handle), 1);
	int i;

	memset(buf, 'D', PAGE_SIZE);
	for (i = 0; i < BLOCKS; i++)
		if (nvmed_write(handle, buf, PAGE_SIZE) != PAGE_SIZE)
			return -1;
	if (nvmed_lseek(handle, 0, SEEK_SET) != 0 || nvmed_read(handle, buf, PAGE_SIZE) != PAGE_SIZE)
		return -1;
	return nvmed_flush(handle);
}

int main(int argc, char *argv[])
{
	NVMED *nvmed;
	NVMED_QUEUE *queue;
	int ret = -1;

	if (argc < 3)
		return 1;
	nvmed = nvmed_open(argv[1], 0);
	if (nvmed == NULL) {
		printf("Fail to open %s\n", argv[1]);
		return 1;
	}
	printf("%s: %lld bytes, queue depth %d\n", nvmed->ns_path, (long long)nvmed->dev_info->capacity, nvmed->dev_info->q_depth);
	queue = nvmed_queue_create(nvmed, 0);
	if (queue == NULL)
		return 1;
	if (!strcmp(argv[2], "direct"))
		ret = write_direct(queue);
	if (ret < 0)
		return 1;
	printf("flushed\n");
	fflush(stdout);
	pause();
	return 0;
}
