/* SPDX-License-Identifier: BSD-2-Clause */
/* A text of the script on its way to become what runs: read, compiled and compared with what runs, without touching that. */
#ifndef RF_MAIN_STAGE_H
#define RF_MAIN_STAGE_H

#include "core/main/directives.h"
#include "core/script/files.h"

struct stage;

/* From the command line; host and files are the caller's. */
void stage_script_opts(const struct options *o, struct script_opts *ret);

/* files are the stage's now. was: what runs, to the end of the stage. One stage at a time in a process. NULL without memory. */
struct stage *stage_new(const struct options *opts, const struct config *was, struct script_files *files);
void stage_free(struct stage *s); /* NULL accepted */
/* Goes on for about budget_us; true while there is more to do. */
bool stage_run(struct stage *s, uint64_t budget_us);
/* When it is over: 0, or -EBADMSG: refused, see stage_errors(); or -ENOMEM. */
int stage_result(const struct stage *s);
/* Errors and warnings, and the changes that need a restart: errors too, line 0 when no line makes them. */
const struct script_err *stage_errors(const struct stage *s);
struct script_files *stage_files(const struct stage *s);
/* Hands over what was made; once, after a result of 0. */
void stage_take(struct stage *s, struct script **ret_script, struct config **ret_config);
struct config *stage_config(struct stage *s);

#endif
