/* SPDX-License-Identifier: BSD-2-Clause */
/* Files that a process which serves others may read: only what is a file answers at once. */
#ifndef RF_BASE_FILE_H
#define RF_BASE_FILE_H

#include "shm/defs.h"

/*
 * Opens a regular file, or what a link leads to when that is one, for reading. A FIFO, a device or a socket is refused and not waited for.
 *
 * dir_fd: where a relative path begins, AT_FDCWD. Returns 0 and a descriptor that is the caller's and close-on-exec; -ESPIPE: what is
 * there is no regular file; or why openat(2) failed.
 */
MUST_CHECK int file_open_regular(int dir_fd, const char *path, int *ret_fd);
/* What such a negative errno says; lives for ever. */
const char *file_why(int err);

#endif
