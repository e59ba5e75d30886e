/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rfctl: the operator's command line. One row of the table below is one command; options, help, completion and the check of arguments
 * come from it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config.h"
#include "core/base/num.h"
#include "rfctl/rfctl.h"

#define TIMEOUT_MS 10000u
#define ARGS_MAX 1024

static int cmd_help(struct rfctl *rf, int argc, char **argv);

/* clang-format off */
static const struct rf_command commands[] = {
	{ "add", "USER@DOMAIN [PASSWORD]", "Makes a subscriber",
	  "Without PASSWORD (or with \"-\") it is asked for without echo, or read from standard input when that is no terminal; an argument can be\n"
	  "seen by other users of this machine. HA1 and HA1B are stored, the password itself only with --clear-text.",
	  1, 2, OPT_DB | OPT_HA1 | OPT_SERVER, cmd_add },
	{ "passwd", "USER@DOMAIN [PASSWORD]", "Gives a subscriber a new password", "As \"add\". A running server forgets the old one at once.",
	  1, 2, OPT_DB | OPT_HA1 | OPT_SERVER, cmd_passwd },
	{ "rm", "USER@DOMAIN", "Removes a subscriber", "His registrations stay until they expire: see \"ul rm\".", 1, 1, OPT_DB | OPT_SERVER, cmd_rm },
	{ "show", "[USER[@DOMAIN]]", "Lists subscribers", "Passwords and hashes are shown with --secrets only.", 0, 1, OPT_DB | OPT_SECRETS | OPT_SERVER, cmd_show },
	{ "ul show", "[AOR]", "Lists registrations, of all or of one", NULL, 0, 1, OPT_SERVER | OPT_TABLE, cmd_ul_show },
	{ "ul add", "AOR CONTACT [SECONDS [Q]]", "Registers a contact", "SECONDS 0, the default: for ever.", 2, 4, OPT_SERVER | OPT_TABLE, cmd_ul_add },
	{ "ul rm", "AOR [CONTACT]", "Removes one registration, or all of an AoR", NULL, 1, 2, OPT_SERVER | OPT_TABLE, cmd_ul_rm },
	{ "htable list", "", "Lists the hash tables of the script", NULL, 0, 0, OPT_SERVER, cmd_htable_list },
	{ "htable dump", "TABLE", "Prints all items of a table", NULL, 1, 1, OPT_SERVER, cmd_htable_dump },
	{ "htable get", "TABLE KEY", "Prints one item", NULL, 2, 2, OPT_SERVER, cmd_htable_get },
	{ "htable set", "TABLE KEY VALUE", "Sets an item, as text unless --int", NULL, 3, 3, OPT_SERVER | OPT_INT | OPT_EXPIRE, cmd_htable_set },
	{ "htable delete", "TABLE KEY", "Removes an item", NULL, 2, 2, OPT_SERVER, cmd_htable_delete },
	{ "ban list", "", "Lists banned addresses and until when",
	  "Bans are the items of the hash table that the script looks its sources up in: \"ipban\" unless --table names another.",
	  0, 0, OPT_SERVER | OPT_TABLE, cmd_ban_list },
	{ "ban add", "ADDRESS [SECONDS]", "Bans an address", "SECONDS: instead of the table's own time.", 1, 2, OPT_SERVER | OPT_TABLE, cmd_ban_add },
	{ "ban rm", "ADDRESS", "Ends a ban", NULL, 1, 1, OPT_SERVER | OPT_TABLE, cmd_ban_rm },
	{ "stats", "[GROUP|NAME ...]", "Prints statistics", NULL, 0, 64, OPT_SERVER, cmd_stats },
	{ "top", "", "Shows rates, latencies, processes, memory and bans, live", "Keys: q quits. --once prints one view and ends: for pipes.",
	  0, 0, OPT_SERVER | OPT_TABLE | OPT_TOP, cmd_top },
	{ "ps", "", "Lists the processes of the server", NULL, 0, 0, OPT_SERVER, cmd_ps },
	{ "uptime", "", "Since when the server runs", NULL, 0, 0, OPT_SERVER, cmd_uptime },
	{ "reload", "", "Has the server read its script anew",
	  "A script with errors, or with changes that need a restart, is refused as a whole: each is told as FILE:LINE:COLUMN: TEXT, the old\n"
	  "script goes on, and the exit status is 1.", 0, 0, OPT_SERVER, cmd_reload },
	{ "rpc", "METHOD [ARGUMENT ...]", "Calls any RPC command",
	  "Whole numbers go as numbers, s:TEXT as text always, d:NUMBER as a double, all else as text. What follows METHOD is an argument even\n"
	  "with a dash in front, but for --json. \"rpc system.listMethods\" names the commands, \"rpc system.methodHelp METHOD\" explains one.",
	  1, ARGS_MAX, OPT_SERVER | OPT_VERBATIM, cmd_rpc },
	{ "shm check", "", "Verifies all structures in shared memory", NULL, 0, 0, OPT_SERVER, cmd_shm_check },
	{ "trap", "", "Stack, script position, message and locks of every process", NULL, 0, 0, OPT_SERVER, cmd_trap },
	{ "log level", "[LEVEL]", "Prints or sets the log level of all processes",
	  "A number, or alert, critical, error, warning, notice, info, debug.", 0, 1, OPT_SERVER, cmd_log_level },
	{ "quarantine list", "", "Lists messages that killed workers", NULL, 0, 0, OPT_SERVER, cmd_quarantine_list },
	{ "quarantine show", "ID", "Prints one of them", NULL, 1, 1, OPT_SERVER, cmd_quarantine_show },
	{ "quarantine rm", "ID|all", "Has the server take it again", NULL, 1, 1, OPT_SERVER, cmd_quarantine_rm },
	{ "db create", "[FILE]", "Makes an SQLite database with the standard tables", "A database that is there already is left as it is.", 0, 1, OPT_DB | OPT_SERVER, cmd_db_create },
	{ "db migrate", "[FILE]", "Adds tables, columns and indexes that are missing", "All or nothing; a table newer than this program is left alone and told.",
	  0, 1, OPT_DB | OPT_SERVER, cmd_db_migrate },
	{ "db check", "[FILE]", "Compares a database with the standard tables", "Prints what is missing; then the exit status is 1.", 0, 1, OPT_DB | OPT_SERVER, cmd_db_check },
	{ "config check", "FILE [OPTION ...]", "Checks a script, as ringfort -c", "OPTIONs are ringfort's.", 1, 64, OPT_VERBATIM, cmd_config_check },
	{ "help", "[COMMAND]", "This", NULL, 0, 2, OPT_NAMES, cmd_help },
};

static const struct rf_option {
	const char *name, *value, *doc;
	char letter;
	unsigned bit; /* 0: all commands have it */
} options[] = {
	{ "socket",     "ADDRESS", "socket of the server, or the folder that it is in", 's', OPT_SERVER },
	{ "timeout",    "SECONDS", "how long to wait for an answer (10)", 0, OPT_SERVER },
	{ "json",       NULL,      "one JSON document on standard output", 'j', 0 },
	{ "db",         "FILE",    "the SQLite database, or its URL", 'd', OPT_DB },
	{ "realm",      "REALM",   "realm of the hashes (the domain)", 'r', OPT_HA1 },
	{ "algorithm",  "NAME",    "md5, sha-256 or sha-512-256 (md5)", 0, OPT_HA1 },
	{ "clear-text", NULL,      "stores the password itself, too", 0, OPT_HA1 },
	{ "secrets",    NULL,      "shows passwords and hashes", 0, OPT_SECRETS },
	{ "table",      "NAME",    "the table (ul: location; ban, top: ipban)", 't', OPT_TABLE },
	{ "int",        NULL,      "the value is a number", 'i', OPT_INT },
	{ "expire",     "SECONDS", "how long it stays", 'e', OPT_EXPIRE },
	{ "once",       NULL,      "prints one view and ends", 0, OPT_TOP },
	{ "interval",   "SECONDS", "time between two views (1)", 'n', OPT_TOP },
	{ "names",      NULL,      "names alone, for completion", 0, OPT_NAMES },
	{ "help",       NULL,      "help for the command", 'h', 0 },
	{ "version",    NULL,      "version of this program", 'V', 0 },
};
/* clang-format on */

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))
#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

/* ---- help ---- */

static void print_options(unsigned bits)
{
	for (size_t i = 0; i < N_OPTIONS; i++) {
		const struct rf_option *o = &options[i];
		char text[48];

		if (o->bit && !(o->bit & bits))
			continue;
		(void)snprintf(text, sizeof(text), "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
		(void)printf("  %c%c%s%-21s %s\n", o->letter ? '-' : ' ', o->letter ? o->letter : ' ', o->letter ? ", " : "  ", text, o->doc);
	}
}

static void help_command(const struct rf_command *c)
{
	(void)printf("Usage: rfctl [OPTIONS] %s%s%s\n%s.\n", c->name, c->args[0] ? " " : "", c->args, c->brief);
	if (c->more)
		(void)printf("%s\n", c->more);
	(void)printf("\nOptions:\n");
	print_options(c->options);
}

/* As a document, of one command or of all. */
static void help_json(const struct rf_command *c)
{
	json_t *list = json_array();

	for (size_t i = 0; i < N_COMMANDS; i++) {
		const struct rf_command *of = &commands[i];

		if (!c || c == of)
			json_array_append_new(list, json_pack("{ss, ss, ss, ss?}", "command", of->name, "arguments", of->args, "help", of->brief, "more", of->more));
	}
	(void)rf_print_json(c ? json_array_get(list, 0) : list);
	json_decref(list);
}

static void help_all(void)
{
	(void)printf("Usage: rfctl [OPTIONS] COMMAND [ARGUMENTS]\n\nCommands (rfctl help COMMAND says more):\n");
	for (size_t i = 0; i < N_COMMANDS; i++) {
		char text[64];

		(void)snprintf(text, sizeof(text), "%s %s", commands[i].name, commands[i].args);
		(void)printf("  %-34s %s\n", text, commands[i].brief);
	}
	(void)printf("\nOptions:\n");
	print_options(~0u);
	(void)printf("\nThe server is looked for in /run/kamailio and /run/ringfort unless -s or RINGFORT_SOCKET says where.\n"
		     "Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 nobody answers.\n");
}

/* c NULL: of all commands. */
static int help(const struct rfctl *rf, const struct rf_command *c)
{
	if (rf->json)
		help_json(c);
	else if (c)
		help_command(c);
	else
		help_all();
	return RF_OK;
}

static size_t words(const char *name)
{
	return strchr(name, ' ') ? 2 : 1;
}

/* The command that the first one or two words name. */
static const struct rf_command *find(int argc, char **argv)
{
	char two[64] = "";

	if (argc > 1)
		(void)snprintf(two, sizeof(two), "%s %s", argv[0], argv[1]);
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(commands[i].name, argv[0]) == 0 || (two[0] && strcmp(commands[i].name, two) == 0))
			return &commands[i];
	return NULL;
}

/* "ul" alone: what may follow. Returns how many were told. */
static unsigned tell_family(const char *word)
{
	size_t n = strlen(word);
	unsigned told = 0;

	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strncmp(commands[i].name, word, n) == 0 && commands[i].name[n] == ' ')
			(void)fprintf(stderr, "%s%s", told++ ? ", " : "rfctl: which one? ", commands[i].name);
	if (told)
		(void)fputc('\n', stderr);
	return told;
}

static int no_command(const struct rfctl *rf, int argc, char **argv)
{
	if (!rf->json && tell_family(argv[0]))
		return RF_USAGE;
	return rf_fail(rf, RF_USAGE, 0, "no command \"%s%s%s\": rfctl help lists them", argv[0], argc > 1 ? " " : "", argc > 1 ? argv[1] : "");
}

static int cmd_help(struct rfctl *rf, int argc, char **argv)
{
	const struct rf_command *c;

	if (rf->names) {
		for (size_t i = 0; i < N_COMMANDS; i++)
			(void)printf("%s\n", commands[i].name);
		for (size_t i = 0; i < N_OPTIONS; i++)
			(void)printf("--%s\n", options[i].name);
		return RF_OK;
	}
	if (argc == 0)
		return help(rf, NULL);
	c = find(argc, argv);
	return c ? help(rf, c) : no_command(rf, argc, argv);
}

/* ---- the command line ---- */

struct line {
	unsigned used; /* bits of the options that were given */
	const char *last[32]; /* their names, by bit */
	bool help, version;
	int argc;
	char *argv[ARGS_MAX + 4];
};

static int seconds(const struct rfctl *rf, const char *name, const char *value, unsigned *ret_ms)
{
	char *end;
	double s = strtod(value, &end);

	if (!value[0] || *end || !(s >= 0.05 && s <= 3600))
		return rf_fail(rf, RF_USAGE, 0, "--%s %s: seconds expected, 0.05 to 3600", name, value);
	*ret_ms = (unsigned)(s * 1000 + 0.5);
	return RF_OK;
}

static int set_option(struct rfctl *rf, struct line *line, const struct rf_option *o, const char *value)
{
	const struct { const char *name; const char **text; bool *flag; } table[] = {
		{ "socket", &rf->address, NULL }, { "db", &rf->db, NULL }, { "realm", &rf->realm, NULL }, { "algorithm", &rf->algorithm, NULL },
		{ "table", &rf->table, NULL }, { "expire", &rf->expire, NULL }, { "json", NULL, &rf->json }, { "int", NULL, &rf->as_int },
		{ "clear-text", NULL, &rf->clear_text }, { "secrets", NULL, &rf->secrets }, { "once", NULL, &rf->once },
		{ "names", NULL, &rf->names }, { "help", NULL, &line->help }, { "version", NULL, &line->version },
	};

	if (o->bit) {
		line->used |= o->bit;
		line->last[__builtin_ctz(o->bit)] = o->name;
	}
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strcmp(table[i].name, o->name) != 0)
			continue;
		if (table[i].text)
			*table[i].text = value;
		else
			*table[i].flag = true;
		return RF_OK;
	}
	return seconds(rf, o->name, value, strcmp(o->name, "timeout") == 0 ? &rf->timeout_ms : &rf->interval_ms);
}

static const struct rf_option *option_of(const char *arg, const char **ret_value)
{
	const char *eq = strchr(arg, '=');

	*ret_value = NULL;
	for (size_t i = 0; i < N_OPTIONS; i++) {
		const struct rf_option *o = &options[i];
		size_t n = strlen(o->name);

		if (arg[1] != '-') {
			if (!o->letter || arg[1] != o->letter)
				continue;
			if (arg[2] && o->value)
				*ret_value = arg + 2;
			else if (arg[2])
				continue;
			return o;
		}
		if (strncmp(arg + 2, o->name, n) == 0 && (arg[2 + n] == '\0' || (eq == arg + 2 + n && o->value))) {
			*ret_value = eq ? eq + 1 : NULL;
			return o;
		}
	}
	return NULL;
}

/* "-", and what could be a negative number, are arguments. */
static bool is_option(const char *arg)
{
	return arg[0] == '-' && arg[1] && !(arg[1] >= '0' && arg[1] <= '9');
}

/* From here on everything is an argument, but for --json and --help. */
static bool is_verbatim(const struct line *line)
{
	const struct rf_command *c = line->argc > 0 ? find(line->argc, (char **)line->argv) : NULL;

	return c && (c->options & OPT_VERBATIM) && line->argc > (int)words(c->name);
}

static int parse(struct rfctl *rf, struct line *line, int argc, char **argv)
{
	bool only_args = false;

	for (int i = 1; i < argc; i++) {
		const struct rf_option *o = NULL;
		const char *value = NULL;
		int status;

		if (!only_args && strcmp(argv[i], "--") == 0) {
			only_args = true;
			continue;
		}
		if (!only_args && is_option(argv[i])) {
			o = option_of(argv[i], &value);
			if (is_verbatim(line) && (!o || o->bit || o->letter == 'V' || argv[i][1] != '-'))
				o = NULL;
			else if (!o)
				return rf_fail(rf, RF_USAGE, 0, "no option %s: rfctl help lists them", argv[i]);
		}
		if (!o) {
			if (line->argc == ARGS_MAX)
				return rf_fail(rf, RF_USAGE, 0, "more than %d arguments", ARGS_MAX);
			line->argv[line->argc++] = argv[i];
			continue;
		}
		if (o->value && !value) {
			if (i + 1 == argc)
				return rf_fail(rf, RF_USAGE, 0, "--%s needs %s", o->name, o->value);
			value = argv[++i];
		}
		status = set_option(rf, line, o, value);
		if (status != RF_OK)
			return status;
	}
	return RF_OK;
}

static int version(const struct rfctl *rf)
{
	json_t *doc;

	if (!rf->json) {
		(void)printf("rfctl (%s)\n", PACKAGE_STRING);
		return RF_OK;
	}
	doc = json_pack("{ss, ss}", "name", PACKAGE_NAME, "version", PACKAGE_VERSION);
	(void)rf_print_json(doc);
	json_decref(doc);
	return RF_OK;
}

static int run(struct rfctl *rf, struct line *line)
{
	const struct rf_command *c;
	unsigned wrong;
	int argc;

	if (line->version)
		return version(rf);
	if (line->argc == 0 && line->help)
		return help(rf, NULL);
	if (line->argc == 0)
		return rf_fail(rf, RF_USAGE, 0, "a command is missing: rfctl help lists them");
	c = find(line->argc, line->argv);
	if (!c)
		return no_command(rf, line->argc, line->argv);
	if (line->help)
		return help(rf, c);
	wrong = line->used & ~c->options;
	if (wrong)
		return rf_fail(rf, RF_USAGE, 0, "%s takes no --%s", c->name, line->last[__builtin_ctz(wrong)]);
	argc = line->argc - (int)words(c->name);
	if (argc < c->min || argc > c->max)
		return rf_fail(rf, RF_USAGE, 0, "usage: rfctl %s%s%s", c->name, c->args[0] ? " " : "", c->args);
	return c->run(rf, argc, line->argv + words(c->name));
}

/* A standard descriptor that is closed stays of no use: the next file or socket must not get its number, and what is printed. */
static void keep_closed(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

/* Has all been written? */
static int finish(int status)
{
	int err = fflush(stdout) != 0 ? errno : ferror(stdout) ? EIO : 0;

	if (err == 0)
		return status;
	(void)fprintf(stderr, "rfctl: standard output: %s\n", strerror(err));
	return status == RF_OK ? RF_REFUSED : status;
}

int main(int argc, char **argv)
{
	struct rfctl rf = { .program = argv[0], .timeout_ms = TIMEOUT_MS, .interval_ms = 1000 };
	static struct line line;
	int status;

	keep_closed();
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) /* failures of the command line itself are told as it asks */
		rf.json |= strcmp(argv[i], "--json") == 0;
	status = parse(&rf, &line, argc, argv);
	if (status == RF_OK)
		status = run(&rf, &line);
	rf_peer_free(rf.peer);
	return finish(status);
}
