/* SPDX-License-Identifier: BSD-2-Clause */
/* core/base/file.c: files are opened, what is none is told and never waited for. */
#include "core/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/lib/test_main.h"

static char dir[32];

static void setup(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char path[64];
	int fd;

	snprintf(dir, sizeof(dir), "/tmp/rf-file-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
	fd = open("file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(symlink("file", "link"), 0);
	ck_assert_int_eq(symlink("fifo", "fifo-link"), 0);
	ck_assert_int_eq(mkfifo("fifo", 0600), 0);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(path, sizeof(path), "%s/socket", dir);
	memcpy(sa.sun_path, path, strlen(path) + 1);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
}

static void teardown(void)
{
	static const char *const names[] = { "file", "link", "fifo", "fifo-link", "socket" };

	for (unsigned i = 0; i < 5; i++)
		unlink(names[i]);
	ck_assert_int_eq(chdir("/"), 0);
	rmdir(dir);
}

/* clang-format off */
static const struct { const char *path; int err; } vectors[] = {
	{ "file", 0 }, { "link", 0 }, { "fifo", -ESPIPE }, { "fifo-link", -ESPIPE }, { "socket", -ESPIPE }, { ".", -ESPIPE },
	{ "/dev/null", -ESPIPE }, { "/dev/zero", -ESPIPE }, { "nothing", -ENOENT }, { "file/x", -ENOTDIR }, { "/proc/self/cmdline", 0 },
};
/* clang-format on */

START_TEST(opens_files_alone)
{
	int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -7;

	ck_assert_int_ge(at, 0);
	ck_assert_int_eq(file_open_regular(at, vectors[_i].path, &fd), vectors[_i].err);
	if (vectors[_i].err == 0) {
		ck_assert_int_ge(fd, 0);
		ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		close(fd);
	} else {
		ck_assert_int_eq(fd, -7);
		ck_assert_str_eq(file_why(vectors[_i].err), vectors[_i].err == -ESPIPE ? "not a regular file" : strerror(-vectors[_i].err));
	}
	close(at);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("file");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, opens_files_alone, 0, ARRAY_LEN(vectors));
	suite_add_tcase(s, tc);
	return s;
}
