/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands about what the server keeps in tables: registrations, the script's hash tables, and the bans among them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/num.h"
#include "core/net/addr.h"
#include "rfctl/rfctl.h"

#define LOCATION "location"
#define BAN_TABLE "ipban"
#define EXPIRES_ASKED 1000u /* each ban's end is a call of its own */

static json_t *text(const char *s)
{
	return rf_json_text(s, strlen(s));
}

/* Calls a command that changes something; says "done" in its own words. */
static int change(struct rfctl *rf, const char *method, json_t *params, const char *done)
{
	json_t *result;
	int status = rf_call(rf, method, params, &result);

	if (status != RF_OK)
		return status;
	json_decref(result);
	if (rf->json) {
		json_t *doc = json_pack("{ss}", "result", done);

		(void)rf_print_json(doc);
		json_decref(doc);
	} else {
		(void)printf("%s\n", done);
	}
	return RF_OK;
}

static int seconds(const struct rfctl *rf, const char *s, int64_t *ret)
{
	if (num_i64(str_lit(s), ret) == 0 && *ret >= 0 && *ret <= 315360000)
		return RF_OK;
	return rf_fail(rf, RF_USAGE, 0, "seconds expected, 0 to 315360000: %s", s);
}

/* ---- registrations ---- */

static void contact_rows(struct rf_table *t, const char *aor, const json_t *contacts)
{
	static const char *const names[] = { "Address", "Expires", "Q", "Received", "Socket", "User-Agent" };
	const json_t *c;

	for (size_t i = 0; (c = rf_item(contacts, "Contact", i)); i++) {
		char mem[6][RF_CELL_MAX];
		const char *cells[7] = { aor };

		for (unsigned k = 0; k < 6; k++) {
			cells[k + 1] = rf_cell(c, names[k], mem[k]);
			if (strcmp(cells[k + 1], "[not set]") == 0)
				cells[k + 1] = "-";
		}
		rf_table_row(t, cells);
	}
}

/* Is a domain of the answer the one that was asked for? table NULL: all. */
static bool is_asked(const json_t *domain, const char *table)
{
	const char *name = json_string_value(json_object_get(domain, "Domain"));

	return !table || (name && strcmp(name, table) == 0);
}

static bool has_domain(const json_t *result, const char *table)
{
	const json_t *domains = json_object_get(result, "Domains"), *d;

	for (size_t i = 0; (d = rf_item(domains, "Domain", i)); i++)
		if (is_asked(d, table))
			return true;
	return table == NULL;
}

static void domain_rows(struct rf_table *t, const char *table, const json_t *result)
{
	const json_t *domains = json_object_get(result, "Domains"), *d, *info;

	for (size_t i = 0; (d = rf_item(domains, "Domain", i)); i++) {
		if (!is_asked(d, table))
			continue;
		for (size_t k = 0; (info = rf_item(json_object_get(d, "AoRs"), "Info", k)); k++)
			contact_rows(t, json_string_value(json_object_get(info, "AoR")), json_object_get(info, "Contacts"));
	}
}

int cmd_ul_show(struct rfctl *rf, int argc, char **argv)
{
	static const char *const titles[] = { "AOR", "CONTACT", "EXPIRES", "Q", "RECEIVED", "SOCKET", "USER-AGENT" };
	struct rf_table *t;
	json_t *result;
	int status;

	if (argc > 0)
		status = rf_call(rf, "ul.lookup", json_pack("[so]", rf->table ? rf->table : LOCATION, text(argv[0])), &result);
	else
		status = rf_call(rf, "ul.dump", NULL, &result);
	if (status != RF_OK)
		return status;
	if (argc == 0 && !has_domain(result, rf->table)) {
		status = rf_fail(rf, RF_REFUSED, 0, "the server has no table %s of registrations", rf->table);
	} else if (rf->json) {
		(void)rf_print_json(result);
	} else {
		t = rf_table_new(titles, 7);
		if (argc > 0)
			contact_rows(t, json_string_value(json_object_get(result, "AoR")), json_object_get(result, "Contacts"));
		else
			domain_rows(t, rf->table, result);
		rf_table_print(t);
		rf_table_free(t);
	}
	json_decref(result);
	return status;
}

int cmd_ul_add(struct rfctl *rf, int argc, char **argv)
{
	int64_t expires = 0;
	double q = 1.0;
	char *end;

	if (argc > 2 && seconds(rf, argv[2], &expires) != RF_OK)
		return RF_USAGE;
	if (argc > 3) {
		q = strtod(argv[3], &end);
		if (!argv[3][0] || *end || !(q >= 0 && q <= 1))
			return rf_fail(rf, RF_USAGE, 0, "Q: a number from 0 to 1 expected: %s", argv[3]);
	}
	/* path, flags and branch flags: none; methods: all */
	return change(rf, "ul.add", json_pack("[sooIfsiiI]", rf->table ? rf->table : LOCATION, text(argv[0]), text(argv[1]), (json_int_t)expires, q, ".",
					      0, 0, (json_int_t)UINT32_MAX), "added");
}

int cmd_ul_rm(struct rfctl *rf, int argc, char **argv)
{
	const char *table = rf->table ? rf->table : LOCATION;
	struct rf_reply r;
	int status;

	if (argc > 1)
		return change(rf, "ul.rm_contact", json_pack("[soo]", table, text(argv[0]), text(argv[1])), "removed");
	/* ul.rm says nothing about who was not there */
	status = rf_try(rf, "ul.lookup", json_pack("[so]", table, text(argv[0])), &r);
	rf_reply_done(&r);
	if (status == RF_REFUSED)
		return rf_fail(rf, status, r.code, "%s", r.text);
	return change(rf, "ul.rm", json_pack("[so]", table, text(argv[0])), "removed");
}

/* ---- hash tables ---- */

int cmd_htable_list(struct rfctl *rf, int argc, char **argv)
{
	static const char *const titles[] = { "TABLE", "ITEMS", "EXPIRE", "SLOTS", "DBTABLE" };
	json_t *tables, *stats;
	struct rf_table *t;
	const json_t *d;
	int status;

	(void)argc;
	(void)argv;
	status = rf_call(rf, "htable.listTables", NULL, &tables);
	if (status != RF_OK)
		return status;
	status = rf_call(rf, "htable.stats", NULL, &stats);
	if (status != RF_OK) {
		json_decref(tables);
		return status;
	}
	t = rf_table_new(titles, 5);
	for (size_t i = 0; (d = rf_item(tables, "", i)); i++) {
		const json_t *s = rf_item(stats, "", i);
		char mem[5][RF_CELL_MAX];
		const char *cells[] = { rf_cell(d, "name", mem[0]), rf_cell(s, "all", mem[1]), rf_cell(d, "expire", mem[2]), rf_cell(s, "slots", mem[3]),
					rf_cell(d, "dbtable", mem[4]) };

		json_object_set_new((json_t *)d, "items", json_integer(rf_int(s, "all")));
		rf_table_row(t, cells);
	}
	if (rf->json)
		(void)rf_print_json(tables);
	else
		rf_table_print(t);
	rf_table_free(t);
	json_decref(stats);
	json_decref(tables);
	return RF_OK;
}

/* The items of a table in one array: [{"name", "value", "type"}, ...]. */
static int items_of(struct rfctl *rf, const char *table, json_t **ret_items)
{
	const json_t *slot, *item;
	json_t *dump, *items;
	int status = rf_call(rf, "htable.dump", json_pack("[o]", text(table)), &dump);

	if (status != RF_OK)
		return status;
	items = json_array();
	for (size_t i = 0; (slot = rf_item(dump, "", i)); i++)
		for (size_t k = 0; (item = rf_item(json_object_get(slot, "slot"), "", k)); k++)
			json_array_append(items, (json_t *)item);
	json_decref(dump);
	*ret_items = items;
	return RF_OK;
}

static void print_items(const json_t *items, const char *const *titles, const char *const *names, unsigned n)
{
	struct rf_table *t = rf_table_new(titles, n);
	const json_t *item;

	for (size_t i = 0; (item = rf_item(items, "", i)); i++) {
		char mem[4][RF_CELL_MAX];
		const char *cells[4];

		for (unsigned k = 0; k < n; k++)
			cells[k] = rf_cell(item, names[k], mem[k]);
		rf_table_row(t, cells);
	}
	rf_table_print(t);
	rf_table_free(t);
}

int cmd_htable_dump(struct rfctl *rf, int argc, char **argv)
{
	static const char *const titles[] = { "KEY", "VALUE", "TYPE" }, *const names[] = { "name", "value", "type" };
	json_t *items;
	int status = items_of(rf, argv[0], &items);

	(void)argc;
	if (status != RF_OK)
		return status;
	if (rf->json)
		(void)rf_print_json(items);
	else
		print_items(items, titles, names, 3);
	json_decref(items);
	return RF_OK;
}

int cmd_htable_get(struct rfctl *rf, int argc, char **argv)
{
	json_t *result;
	const json_t *item;
	int status = rf_call(rf, "htable.get", json_pack("[oo]", text(argv[0]), text(argv[1])), &result);

	(void)argc;
	if (status != RF_OK)
		return status;
	item = json_object_get(result, "item");
	if (rf->json)
		(void)rf_print_json(item ? item : result);
	else
		rf_print_value(item ? item : result);
	json_decref(result);
	return RF_OK;
}

int cmd_htable_set(struct rfctl *rf, int argc, char **argv)
{
	const char *methods[2][2] = { { "htable.sets", "htable.setxs" }, { "htable.seti", "htable.setxi" } };
	int64_t number = 0, expire = 0;
	json_t *params;

	(void)argc;
	if (rf->as_int && num_i64(str_lit(argv[2]), &number) < 0)
		return rf_fail(rf, RF_USAGE, 0, "a number expected: %s", argv[2]);
	if (rf->expire && seconds(rf, rf->expire, &expire) != RF_OK)
		return RF_USAGE;
	params = json_pack("[ooo]", text(argv[0]), text(argv[1]), rf->as_int ? json_integer(number) : text(argv[2]));
	if (rf->expire)
		json_array_append_new(params, json_integer(expire));
	return change(rf, methods[rf->as_int][rf->expire != NULL], params, "set");
}

int cmd_htable_delete(struct rfctl *rf, int argc, char **argv)
{
	(void)argc;
	return change(rf, "htable.delete", json_pack("[oo]", text(argv[0]), text(argv[1])), "deleted");
}

/* ---- bans ---- */

static const char *ban_table(const struct rfctl *rf)
{
	return rf->table ? rf->table : BAN_TABLE;
}

/* As the script's $si has it: the key of the table. */
static int address(const struct rfctl *rf, const char *s, char out[NET_ADDR_TEXT_MAX])
{
	struct net_addr addr;

	if (net_addr_parse(str_lit(s), 0, &addr) < 0)
		return rf_fail(rf, RF_USAGE, 0, "no IP address: %s", s);
	out[net_addr_ip_text(&addr, false, out)] = '\0';
	return RF_OK;
}

int cmd_ban_list(struct rfctl *rf, int argc, char **argv)
{
	static const char *const titles[] = { "ADDRESS", "UNTIL", "VALUE" }, *const names[] = { "address", "until", "value" };
	json_t *items, *bans;
	const json_t *item;
	int status = items_of(rf, ban_table(rf), &items);

	(void)argc;
	(void)argv;
	if (status != RF_OK)
		return status;
	bans = json_array();
	for (size_t i = 0; (item = rf_item(items, "", i)); i++) {
		json_t *name = json_object_get(item, "name"), *until = NULL;
		struct rf_reply r = { 0 };

		if (i < EXPIRES_ASKED && rf_try(rf, "htable.get", json_pack("[sO]", ban_table(rf), name), &r) == RF_OK)
			until = json_object_get(json_object_get(r.result, "item"), "expire");
		json_array_append_new(bans, json_pack("{sO, sO?, sO}", "address", name, "until", until, "value", json_object_get(item, "value")));
		rf_reply_done(&r);
	}
	if (rf->json)
		(void)rf_print_json(bans);
	else
		print_items(bans, titles, names, 3);
	json_decref(bans);
	json_decref(items);
	return RF_OK;
}

int cmd_ban_add(struct rfctl *rf, int argc, char **argv)
{
	char key[NET_ADDR_TEXT_MAX];
	int64_t expire;

	if (address(rf, argv[0], key) != RF_OK)
		return RF_USAGE;
	if (argc == 1)
		return change(rf, "htable.seti", json_pack("[ssi]", ban_table(rf), key, 1), "banned");
	if (seconds(rf, argv[1], &expire) != RF_OK)
		return RF_USAGE;
	return change(rf, "htable.setxi", json_pack("[ssiI]", ban_table(rf), key, 1, (json_int_t)expire), "banned");
}

int cmd_ban_rm(struct rfctl *rf, int argc, char **argv)
{
	char key[NET_ADDR_TEXT_MAX];

	(void)argc;
	if (address(rf, argv[0], key) != RF_OK)
		return RF_USAGE;
	return change(rf, "htable.delete", json_pack("[ss]", ban_table(rf), key), "removed");
}
