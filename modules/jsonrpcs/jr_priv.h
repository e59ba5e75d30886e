/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of jsonrpcs share. */
#ifndef RF_MODULES_JR_PRIV_H
#define RF_MODULES_JR_PRIV_H

#include <sys/stat.h>

#include "core/module/abi.h"

#define JR_PATH_MAX 108u             /* as long as a Unix socket's name may be */
#define JR_FIFO_DOC_MAX 8191u
#define JR_DGRAM_MAX 65456u
#define JR_TCP_DOC_MAX 65536u
#define JR_REPLY_MAX ((size_t)256 << 20)

struct jr_conf {
	int transport, pretty_format, fifo_mode, dgram_workers, dgram_timeout, dgram_mode;
	struct str fifo_name, fifo_user, fifo_group, fifo_reply_dir, dgram_socket, dgram_user, dgram_group, tcp_socket;
};
extern struct jr_conf jr_conf;

/* Bytes of the first complete {...} in buf, brackets in quotes not counted; 0: not complete. *ret_from: where it starts. */
size_t jr_doc_end(struct str buf, size_t *ret_from);
/* name as NUL-ended path: relative ones are under the run directory. -ENAMETOOLONG. */
MUST_CHECK int jr_path(struct str name, char out[JR_PATH_MAX]);
/* Numbers of a user and a group, names or numbers; (uid_t)-1, (gid_t)-1 when not given. Logs. */
MUST_CHECK int jr_owner(struct str user, struct str group, uid_t *ret_uid, gid_t *ret_gid);

/* A reply on its way through a descriptor that may be slow; takes over fd and text (malloc'ed). Closes when done or after 10 s. */
void jr_send_and_close(struct loop *loop, int fd, char *text, size_t n);

MUST_CHECK int jr_fifo_start(struct loop *loop);
MUST_CHECK int jr_dgram_start(struct loop *loop);
MUST_CHECK int jr_tcp_start(struct loop *loop);
/* Files made by the transports. */
void jr_files_remove(void);
void jr_file_note(bool fifo); /* it was made */

#endif
