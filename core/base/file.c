/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * open(2) of a FIFO waits for a writer and read(2) of a terminal for a key, so a name in a configuration could stop a process that
 * others wait for. ESPIPE stands for "no regular file": neither open nor read of a file gives it.
 */
#include "core/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int file_open_regular(int dir_fd, const char *path, int *ret_fd)
{
	int fd = openat(dir_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC), err = 0;
	struct stat st;

	if (fd < 0)
		return errno == ENXIO ? -ESPIPE : -errno; /* a socket, or a device without a driver */
	if (fstat(fd, &st) < 0)
		err = -errno;
	else if (!S_ISREG(st.st_mode))
		err = -ESPIPE;
	if (err < 0)
		(void)close(fd);
	else
		*ret_fd = fd;
	return err;
}

const char *file_why(int err)
{
	return err == -ESPIPE ? "not a regular file" : strerror(-err);
}
