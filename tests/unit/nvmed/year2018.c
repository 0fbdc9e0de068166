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

static int write_buffered(NVMED_QUEUE *queue)
{
	NVMED_HANDLE *handle = nvmed_handle_create(queue, 0);
	char line[] = "a line of a log, of no particular length\n";
	int i;

	for (i = 0; i < 3000; i++)
		if (nvmed_write(handle, line, strlen(line)) != (ssize_t)strlen(line))
			return -1;
	return nvmed_flush(handle);
}

static int completed;

static void aio_callback(const NVMED_AIO_CTX *context, void *userdata)
{
	completed++;
}

static int write_aio(NVMED_QUEUE *queue)
{
	NVMED_HANDLE *handle = nvmed_handle_create(queue, HANDLE_DIRECT_IO);
	NVMED_AIO_CTX *context = calloc(BLOCKS, sizeof(NVMED_AIO_CTX));
	char *buf = nvmed_get_buffer(HtoD(handle), 1);
	int i;

	memset(buf, 'A', PAGE_SIZE);
	for (i = 0; i < BLOCKS; i++) {
		context[i].handle = handle;
		context[i].start_lba = i * PAGE_SIZE;
		context[i].len = PAGE_SIZE;
		context[i].buf = buf;
		context[i].aio_callback = aio_callback;
		if (nvmed_aio_write(&context[i]) == NVMED_AIO_ERROR)
			return -1;
	}
	if (nvmed_aio_queue_submit(handle) != BLOCKS)
		return -1;
	while (completed < BLOCKS)
		nvmed_aio_handle_complete(handle);
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
	if (!strcmp(argv[2], "buffered"))
		ret = write_buffered(queue);
	if (!strcmp(argv[2], "aio"))
		ret = write_aio(nvmed_queue_create(nvmed, QUEUE_MANUAL_COMPLETION));
	if (ret < 0)
		return 1;
	printf("flushed\n");
	fflush(stdout);
	pause();
	return 0;
}
