/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands about the server itself: RPC of any kind, processes, statistics, reload, log, quarantine; and a script before it is one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/num.h"
#include "rfctl/rfctl.h"

#define RELOAD_TIMEOUT_MS 60000u /* compiling of a long script, in slices between calls */

/* Calls and prints: JSON as it came, else as print() has it (NULL: any shape). */
static int show(struct rfctl *rf, const char *method, json_t *params, void (*print)(const json_t *result))
{
	json_t *result;
	int status = rf_call(rf, method, params, &result);

	if (status != RF_OK)
		return status;
	if (rf->json)
		(void)rf_print_json(result);
	else if (print)
		print(result);
	else
		rf_print_value(result);
	json_decref(result);
	return RF_OK;
}

/* ---- rpc ---- */

static json_t *argument(const char *text)
{
	int64_t i;
	char *end;
	double d;

	if (strncmp(text, "s:", 2) == 0)
		return json_string(text + 2);
	if (strncmp(text, "d:", 2) == 0) {
		d = strtod(text + 2, &end);
		if (text[2] && !*end)
			return json_real(d);
	}
	if (num_i64(str_lit(text), &i) == 0)
		return json_integer(i);
	return json_string(text);
}

int cmd_rpc(struct rfctl *rf, int argc, char **argv)
{
	json_t *params = NULL;

	if (argc > 1)
		params = json_array();
	for (int i = 1; i < argc; i++) {
		json_t *v = argument(argv[i]);

		if (!v) {
			json_decref(params);
			return rf_fail(rf, RF_USAGE, 0, "argument %d is no UTF-8 text", i);
		}
		json_array_append_new(params, v);
	}
	return show(rf, argv[0], params, NULL);
}

int cmd_uptime(struct rfctl *rf, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return show(rf, "core.uptime", NULL, NULL);
}

static void print_ps(const json_t *list)
{
	static const char *const titles[] = { "INDEX", "PID", "PROCESS" };
	struct rf_table *t = rf_table_new(titles, 3);
	const json_t *p;

	for (size_t i = 0; (p = rf_item(list, "", i)); i++) {
		char mem[2][RF_CELL_MAX];
		const char *cells[] = { rf_cell(p, "IDX", mem[0]), rf_cell(p, "PID", mem[1]), json_string_value(json_object_get(p, "DSC")) };

		rf_table_row(t, cells);
	}
	rf_table_print(t);
	rf_table_free(t);
}

int cmd_ps(struct rfctl *rf, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return show(rf, "core.psx", NULL, print_ps);
}

/* ---- statistics ---- */

static void print_stats(const json_t *object)
{
	static const char *const titles[] = { "STATISTIC", "VALUE" };
	struct rf_table *t = rf_table_new(titles, 2);
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)object, name, v) {
		char mem[RF_CELL_MAX];
		const char *cells[] = { name, rf_cell(object, name, mem) };

		rf_table_row(t, cells);
	}
	rf_table_print(t);
	rf_table_free(t);
}

/* A word may be a group or a name: asked for as both, since only the server knows. */
int cmd_stats(struct rfctl *rf, int argc, char **argv)
{
	json_t *params = json_array(), *result;
	int status;

	for (int i = 0; i < argc; i++) {
		char group[160];

		if (snprintf(group, sizeof(group), "%s:", argv[i]) >= (int)sizeof(group)) {
			json_decref(params);
			return rf_fail(rf, RF_USAGE, 0, "that name is too long: %.40s...", argv[i]);
		}
		json_array_append_new(params, rf_json_text(argv[i], strlen(argv[i])));
		json_array_append_new(params, rf_json_text(group, strlen(group)));
	}
	if (argc == 0)
		json_array_append_new(params, json_string("all"));
	status = rf_call(rf, "stats.fetch", params, &result);
	if (status != RF_OK)
		return status;
	if (argc > 0 && json_object_size(result) == 0) {
		json_decref(result);
		return rf_fail(rf, RF_REFUSED, 0, "no such statistic: %s%s", argv[0], argc > 1 ? " ..." : "");
	}
	if (rf->json)
		(void)rf_print_json(result);
	else
		print_stats(result);
	json_decref(result);
	return RF_OK;
}

/* ---- reload ---- */

static void print_messages(FILE *out, const json_t *list, const char *what)
{
	const json_t *m;

	for (size_t i = 0; (m = rf_item(list, "", i)); i++) {
		const char *file = json_string_value(json_object_get(m, "file")), *text = json_string_value(json_object_get(m, "text"));

		(void)fprintf(out, "%s:%lld:%lld: %s%s\n", file ? file : "?", (long long)rf_int(m, "line"), (long long)rf_int(m, "column"), what,
			      text ? text : "");
	}
}

int cmd_reload(struct rfctl *rf, int argc, char **argv)
{
	const char *text;
	json_t *result;
	int status;
	bool done;

	(void)argc;
	(void)argv;
	if (rf->timeout_ms < RELOAD_TIMEOUT_MS)
		rf->timeout_ms = RELOAD_TIMEOUT_MS;
	status = rf_call(rf, "core.reload", NULL, &result);
	if (status != RF_OK)
		return status;
	text = json_string_value(json_object_get(result, "result"));
	done = text && strcmp(text, "refused") != 0;
	if (rf->json) {
		(void)rf_print_json(result);
	} else {
		FILE *out = done ? stdout : stderr;

		print_messages(out, json_object_get(result, "errors"), "error: ");
		print_messages(out, json_object_get(result, "warnings"), "warning: ");
		if (rf_int(result, "errors_left_off") > 0)
			(void)fprintf(out, "and %lld errors more\n", (long long)rf_int(result, "errors_left_off"));
		(void)fprintf(out, "%s: generation %lld of the script runs\n", text ? text : "no result", (long long)rf_int(result, "generation"));
	}
	json_decref(result);
	return done ? RF_OK : RF_REFUSED;
}

/* ---- health ---- */

int cmd_shm_check(struct rfctl *rf, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return show(rf, "shm.check", NULL, NULL);
}

static void print_lines(const char *title, const json_t *list)
{
	size_t i;
	json_t *v;

	if (json_array_size(list) == 0)
		return;
	(void)printf("  %s\n", title);
	json_array_foreach(list, i, v) {
		const char *s = json_string_value(v);

		(void)printf("    ");
		rf_print_safe(s ? s : "", s ? strlen(s) : 0);
		(void)putchar('\n');
	}
}

static void print_trap(const json_t *list)
{
	static const char *const texts[][2] = { { "state", "state" }, { "script", "script" }, { "message", "message" }, { "from", "from" } };
	const json_t *p;

	for (size_t i = 0; (p = rf_item(list, "", i)); i++) {
		char mem[RF_CELL_MAX];

		(void)printf("%sprocess %lld, slot %lld: %s%s\n", i ? "\n" : "", (long long)rf_int(p, "pid"), (long long)rf_int(p, "slot"),
			     rf_cell(p, "description", mem), json_is_false(json_object_get(p, "answered")) ? " (did not answer)" : "");
		for (size_t k = 0; k < sizeof(texts) / sizeof(texts[0]); k++) {
			const char *s = json_string_value(json_object_get(p, texts[k][0]));

			if (!s || !s[0])
				continue;
			(void)printf("  %s: ", texts[k][1]);
			rf_print_safe(s, strlen(s));
			(void)putchar('\n');
		}
		print_lines("locks:", json_object_get(p, "locks"));
		print_lines("stack:", json_object_get(p, "stack"));
	}
}

int cmd_trap(struct rfctl *rf, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return show(rf, "core.trap", NULL, print_trap);
}

/* ---- log ---- */

int cmd_log_level(struct rfctl *rf, int argc, char **argv)
{
	static const struct { const char *name; int level; } names[] = { { "alert", -5 }, { "critical", -2 }, { "error", -1 }, { "warning", 0 },
									 { "notice", 1 }, { "info", 2 }, { "debug", 3 } };
	json_t *params = NULL;
	int64_t level;

	if (argc > 0) {
		bool known = num_i64(str_lit(argv[0]), &level) == 0;

		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !known; i++) {
			known = strcmp(names[i].name, argv[0]) == 0;
			level = names[i].level;
		}
		if (!known)
			return rf_fail(rf, RF_USAGE, 0, "no log level: %s", argv[0]);
		params = json_pack("[I]", (json_int_t)level);
	}
	return show(rf, "core.log_level", params, NULL);
}

/* ---- quarantine ---- */

static void print_quarantine(const json_t *list)
{
	static const char *const titles[] = { "ID", "STATE", "DEATHS", "REFUSED", "FROM", "HOW", "SCRIPT", "FIRST LINE" };
	static const char *const names[] = { "id", "state", "deaths", "refused", "from", "how", "script", "first_line" };
	struct rf_table *t = rf_table_new(titles, 8);
	const json_t *q;

	for (size_t i = 0; (q = rf_item(list, "", i)); i++) {
		char mem[8][RF_CELL_MAX];
		const char *cells[8];

		for (unsigned k = 0; k < 8; k++)
			cells[k] = rf_cell(q, names[k], mem[k]);
		rf_table_row(t, cells);
	}
	rf_table_print(t);
	rf_table_free(t);
}

int cmd_quarantine_list(struct rfctl *rf, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return show(rf, "quarantine.list", NULL, print_quarantine);
}

static json_t *id_of(const char *text)
{
	int64_t id;

	return num_i64(str_lit(text), &id) == 0 && id > 0 ? json_pack("[I]", (json_int_t)id) : NULL;
}

int cmd_quarantine_show(struct rfctl *rf, int argc, char **argv)
{
	json_t *params = id_of(argv[0]);

	(void)argc;
	return params ? show(rf, "quarantine.show", params, NULL) : rf_fail(rf, RF_USAGE, 0, "no id of a message: %s", argv[0]);
}

int cmd_quarantine_rm(struct rfctl *rf, int argc, char **argv)
{
	json_t *params = strcmp(argv[0], "all") == 0 ? json_pack("[s]", "all") : id_of(argv[0]);

	(void)argc;
	return params ? show(rf, "quarantine.remove", params, NULL) : rf_fail(rf, RF_USAGE, 0, "neither the id of a message nor \"all\": %s", argv[0]);
}

/* ---- config check ---- */

/* The server's program: beside this one (where both were built: a folder above), else by PATH. */
static const char *server_program(const struct rfctl *rf, char mem[512])
{
	static const char *const beside[] = { "", "/.." };
	const char *slash = strrchr(rf->program, '/');

	for (size_t i = 0; slash && i < 2; i++)
		if (snprintf(mem, 512, "%.*s%s/ringfort", (int)(slash - rf->program), rf->program, beside[i]) < 512 && access(mem, X_OK) == 0)
			return mem;
	return "ringfort";
}

int cmd_config_check(struct rfctl *rf, int argc, char **argv)
{
	char *args[80], mem[512];
	const char *program = server_program(rf, mem);
	int n = 0, status;
	pid_t pid;

	args[n++] = (char *)program;
	args[n++] = (char *)"-c";
	args[n++] = (char *)"-f";
	for (int i = 0; i < argc; i++)
		args[n++] = argv[i];
	if (rf->json)
		args[n++] = (char *)"--errors=json";
	args[n] = NULL;
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		(void)execvp(program, args);
		_exit(errno == ENOENT ? 127 : 126);
	}
	if (pid < 0)
		return rf_fail(rf, RF_REFUSED, 0, "fork: %s", strerror(errno));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && (WEXITSTATUS(status) == 127 || WEXITSTATUS(status) == 126))
		return rf_fail(rf, RF_REFUSED, 0, "%s cannot be run: %s", program, WEXITSTATUS(status) == 127 ? "it is not there" : "not permitted");
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? RF_OK : RF_REFUSED;
}
