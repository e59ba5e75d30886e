/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One growing block: records of path, outcome and bytes, one after the other. The block is what goes to other processes, so there
 * is nothing to write out or to read in: a record is found by walking, which is quick enough for the dozens of files that a script has.
 */
#include "core/script/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"

#define FILE_BYTES_MAX ((size_t)64 << 20)
#define BLOCK_BYTES_MAX ((size_t)512 << 20)

struct record {
	uint32_t path_n; /* with its NUL */
	int32_t err;     /* 0, or why there are no bytes */
	uint64_t n;
	char data[];     /* path, bytes, padding to 8 */
};

struct script_files {
	char *mem;
	size_t n, cap;
	int dir_fd;
	enum script_files_kind kind;
	bool sealed; /* came from elsewhere: the disk is not asked */
};

static size_t record_bytes(size_t path_n, size_t n)
{
	return (sizeof(struct record) + path_n + n + 7) & ~(size_t)7;
}

struct script_files *script_files_new(int dir_fd, enum script_files_kind kind)
{
	struct script_files *f = calloc(1, sizeof(*f));

	if (f) {
		f->dir_fd = dir_fd;
		f->kind = kind;
	}
	return f;
}

void script_files_free(struct script_files *f)
{
	if (!f)
		return;
	free(f->mem);
	free(f);
}

static const struct record *record_at(const struct script_files *f, size_t at)
{
	return (const struct record *)(const void *)(f->mem + at);
}

struct script_files *script_files_from(struct str bytes)
{
	struct script_files *f = script_files_new(-1, SCRIPT_FILES_REGULAR);
	size_t at = 0, left;

	if (!f)
		return NULL;
	f->mem = malloc(bytes.n + 1);
	if (!f->mem)
		goto fail;
	memcpy(f->mem, bytes.s, bytes.n);
	f->n = f->cap = bytes.n;
	f->sealed = true;
	for (; at < f->n; at += record_bytes(record_at(f, at)->path_n, record_at(f, at)->n)) {
		const struct record *r = record_at(f, at);

		left = f->n - at;
		if (left < sizeof(*r) || r->path_n == 0 || r->path_n > left || r->n > left ||
		    record_bytes(r->path_n, r->n) > left || r->data[r->path_n - 1] != '\0')
			goto fail;
	}
	return f;
fail:
	script_files_free(f);
	return NULL;
}

static int add(struct script_files *f, struct str path, int why, struct str text)
{
	size_t need = record_bytes(path.n + 1, text.n), cap = f->cap ? f->cap : 65536;
	struct record *r;
	char *mem;

	if (f->n + need > BLOCK_BYTES_MAX)
		return -EFBIG;
	while (cap < f->n + need)
		cap *= 2;
	if (cap > f->cap) {
		mem = realloc(f->mem, cap);
		if (!mem)
			return -ENOMEM;
		f->mem = mem;
		f->cap = cap;
	}
	memset(f->mem + f->n, 0, need);
	r = (struct record *)(void *)(f->mem + f->n);
	r->path_n = (uint32_t)path.n + 1;
	r->err = why;
	r->n = text.n;
	memcpy(r->data, path.s, path.n);
	if (text.n > 0)
		memcpy(r->data + r->path_n, text.s, text.n);
	f->n += need;
	return 0;
}

int script_files_put(struct script_files *f, struct str path, struct str text)
{
	return add(f, path, 0, text);
}

static int read_all(int fd, char **ret_mem, size_t *ret_n)
{
	size_t cap = 65536, n = 0;
	char *mem = malloc(cap), *bigger;
	ssize_t got = 1;

	while (mem && got != 0) {
		if (n == cap) {
			if (cap >= FILE_BYTES_MAX) {
				free(mem);
				return -EFBIG;
			}
			bigger = realloc(mem, cap * 2);
			if (!bigger)
				break;
			mem = bigger;
			cap *= 2;
		}
		got = read(fd, mem + n, cap - n);
		if (got < 0 && errno != EINTR) {
			int err = -errno;

			free(mem);
			return err;
		}
		n += got > 0 ? (size_t)got : 0;
	}
	if (!mem || got != 0) {
		free(mem);
		return -ENOMEM;
	}
	*ret_mem = mem;
	*ret_n = n;
	return 0;
}

static int open_any(int dir_fd, const char *path, int *ret_fd)
{
	int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

static int from_disk(struct script_files *f, const char *path)
{
	bool is_stdin = strcmp(path, "-") == 0;
	int fd = STDIN_FILENO, err = 0;
	char *mem = NULL;
	size_t n = 0;

	if (!is_stdin)
		err = f->kind == SCRIPT_FILES_ANY ? open_any(f->dir_fd, path, &fd) : file_open_regular(f->dir_fd, path, &fd);
	if (err == 0) {
		err = read_all(fd, &mem, &n);
		if (!is_stdin)
			(void)close(fd);
	}
	if (err == -ENOMEM)
		return err;
	err = add(f, str_lit(path), err, str_of(mem, n));
	free(mem);
	return err;
}

int script_files_read(struct script_files *f, const char *path, struct str *ret_text)
{
	size_t at = 0;
	int err;

	for (;; at += record_bytes(record_at(f, at)->path_n, record_at(f, at)->n)) {
		const struct record *r;

		if (at == f->n) {
			err = f->sealed ? -ENOENT : from_disk(f, path);
			if (err < 0)
				return err;
		}
		r = record_at(f, at);
		if (strcmp(r->data, path) != 0)
			continue;
		if (r->err == 0)
			*ret_text = str_of(r->data + r->path_n, r->n);
		return r->err;
	}
}

struct str script_files_bytes(const struct script_files *f)
{
	return str_of(f->mem, f->n);
}

const char *script_files_name(const struct script_files *f, unsigned i)
{
	size_t at;

	for (at = 0; at < f->n; at += record_bytes(record_at(f, at)->path_n, record_at(f, at)->n))
		if (record_at(f, at)->err == 0 && i-- == 0)
			return record_at(f, at)->data;
	return NULL;
}

unsigned script_files_count(const struct script_files *f)
{
	unsigned n = 0;

	while (script_files_name(f, n))
		n++;
	return n;
}
