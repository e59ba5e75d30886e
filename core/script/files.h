/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes of a script and of all that it includes, each file read once. As one block of bytes they go to other processes, which
 * then compile exactly what was proven, whatever happens to the files meanwhile; a file that was not there stays so.
 */
#ifndef RF_SCRIPT_FILES_H
#define RF_SCRIPT_FILES_H

#include "core/base/str.h"

struct script_files;

/* What may be read: at the start whatever the operator names (`-f <(...)`); where others wait, regular files alone. */
enum script_files_kind { SCRIPT_FILES_ANY, SCRIPT_FILES_REGULAR };

/* Empty: files are read from disk as they are asked for. dir_fd: where relative names begin, AT_FDCWD. NULL without memory. */
struct script_files *script_files_new(int dir_fd, enum script_files_kind kind);
/* As script_files_bytes() gave it; the bytes are copied. NULL without memory, or when they are no such block. Nothing is read from disk. */
struct script_files *script_files_from(struct str bytes);
void script_files_free(struct script_files *f);
/*
 * path: as for open(2); "-" is standard input. Returns 0, and a view that lives until the next call; or why it cannot be read:
 * -ENOENT, -EACCES ..., -ESPIPE no regular file, -EFBIG over 64 MiB; file_why() has words for them. Context: start-up, rpcd: reads from disk.
 */
MUST_CHECK int script_files_read(struct script_files *f, const char *path, struct str *ret_text);
/* All of it as one block; view, until the next script_files_read(). */
struct str script_files_bytes(const struct script_files *f);
/* Adds a text under a name, as if it had been read. */
MUST_CHECK int script_files_put(struct script_files *f, struct str path, struct str text);
/* How many could be read. */
unsigned script_files_count(const struct script_files *f);
/* Names, in the order of their first reading; NULL past the end. */
const char *script_files_name(const struct script_files *f, unsigned i);

#endif
