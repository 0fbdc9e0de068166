/* SPDX-License-Identifier: BSD-3-Clause */
/* What makes a binding last: a rule of udev for each drive, and the module loaded at the start. setup_persist.c */
#ifndef CLI_SETUP_PERSIST_H
#define CLI_SETUP_PERSIST_H

#include <jansson.h>

/* Adds the steps that write the files. CLI_OK or CLI_FAILED. */
int persist_add(json_t *steps, const json_t *drives);
/*
 * Adds the steps that remove what is there for this drive, and to `forget` what they are about. `leaving`: the drives for which that
 * is being done; the module stays for others.
 */
void persist_remove(json_t *steps, json_t *forget, const char *bdf, const json_t *leaving);

#endif
