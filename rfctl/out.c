/* SPDX-License-Identifier: BSD-2-Clause */
/* What people and programs see: tables, values of any shape, JSON. Text from phones is shown so that it cannot command a terminal. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "rfctl/rfctl.h"

#define INDENT 2

/* ---- texts ---- */

/* Length of the UTF-8 character at s (n bytes are left); 0: it is none. */
static size_t utf8_n(const unsigned char *s, size_t n)
{
	size_t len = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;

	if (len == 0 || len > n)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return len;
}

/* C1 controls are two bytes in UTF-8 and as good as escape sequences. */
static bool moves_cursor(const unsigned char *s, size_t len)
{
	return len == 0 || s[0] < 32 || s[0] == 127 || (len == 2 && s[0] == 0xc2 && s[1] < 0xa0);
}

/* Returns how many characters wide; out NULL: only counts. */
static size_t put_safe(FILE *out, const char *text, size_t n)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t width = 0;

	for (size_t i = 0; i < n;) {
		size_t len = utf8_n(s + i, n - i), step = len ? len : 1;

		if (!moves_cursor(s + i, len)) {
			if (out)
				(void)fwrite(s + i, 1, step, out);
			width++;
		} else {
			for (size_t k = 0; k < step; k++) {
				if (out)
					(void)fprintf(out, "\\x%02x", s[i + k]);
				width += 4;
			}
		}
		i += step;
	}
	return width;
}

void rf_print_safe(const char *s, size_t n)
{
	(void)put_safe(stdout, s, n);
}

json_t *rf_json_text(const char *s, size_t n)
{
	json_t *v = json_stringn(s, n);
	char *mem, *p;

	if (v)
		return v;
	mem = p = malloc(n * 3 + 1);
	if (!mem)
		return json_null();
	for (size_t i = 0; i < n;) {
		size_t len = utf8_n((const unsigned char *)s + i, n - i);

		if (len) {
			memcpy(p, s + i, len);
			p += len;
			i += len;
		} else {
			memcpy(p, "\xef\xbf\xbd", 3);
			p += 3;
			i++;
		}
	}
	v = json_stringn(mem, (size_t)(p - mem));
	free(mem);
	return v;
}

/* ---- failures, documents ---- */

int rf_fail(const struct rfctl *rf, int status, int code, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, "rfctl: ");
	(void)put_safe(stderr, text, strlen(text));
	if (code)
		(void)fprintf(stderr, " (code %d)", code);
	(void)fputc('\n', stderr);
	if (rf->json) {
		json_t *error = json_pack("{si, so}", "code", code, "message", rf_json_text(text, strlen(text)));
		json_t *doc = json_pack("{so}", "error", error);

		(void)rf_print_json(doc);
		json_decref(doc);
	}
	return status;
}

int rf_print_json(const json_t *v)
{
	(void)json_dumpf(v, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
	(void)putchar('\n');
	return RF_OK;
}

/* ---- values of any shape ---- */

static bool is_scalar(const json_t *v)
{
	return !json_is_object(v) && !json_is_array(v);
}

static void print_scalar(const json_t *v)
{
	if (json_is_string(v))
		rf_print_safe(json_string_value(v), json_string_length(v));
	else
		(void)json_dumpf(v, stdout, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
}

static void print_value(const json_t *v, int depth, bool in_line);

static void print_member(const char *name, const json_t *v, int depth)
{
	rf_print_safe(name, strlen(name));
	(void)putchar(':');
	if (is_scalar(v)) {
		(void)putchar(' ');
		print_value(v, depth, true);
	} else {
		(void)putchar('\n');
		print_value(v, depth + INDENT, false);
	}
}

/* in_line: the cursor is where the first line begins already. */
static void print_value(const json_t *v, int depth, bool in_line)
{
	const char *name;
	json_t *m;
	size_t i;

	if (is_scalar(v)) {
		(void)printf("%*s", in_line ? 0 : depth, "");
		print_scalar(v);
		(void)putchar('\n');
	} else if (json_is_object(v)) {
		json_object_foreach((json_t *)v, name, m) {
			(void)printf("%*s", in_line ? 0 : depth, "");
			in_line = false;
			print_member(name, m, depth);
		}
		if (in_line)
			(void)putchar('\n');
	} else {
		json_array_foreach(v, i, m) {
			if (is_scalar(m)) {
				print_value(m, depth, in_line);
			} else {
				(void)printf("%*s- ", in_line ? 0 : depth, "");
				print_value(m, depth + INDENT, true);
			}
			in_line = false;
		}
		if (in_line)
			(void)putchar('\n');
	}
}

void rf_print_value(const json_t *v)
{
	print_value(v, 0, false);
}

/* ---- members ---- */

const char *rf_cell(const json_t *object, const char *name, char mem[RF_CELL_MAX])
{
	const json_t *v = json_object_get(object, name);

	if (json_is_string(v))
		return json_string_value(v);
	if (json_is_integer(v))
		(void)snprintf(mem, RF_CELL_MAX, "%lld", (long long)json_integer_value(v));
	else if (json_is_real(v))
		(void)snprintf(mem, RF_CELL_MAX, "%.3g", json_real_value(v));
	else if (json_is_boolean(v))
		(void)snprintf(mem, RF_CELL_MAX, "%s", json_is_true(v) ? "yes" : "no");
	else
		mem[0] = '\0';
	return mem;
}

int64_t rf_int(const json_t *object, const char *name)
{
	const json_t *v = json_object_get(object, name);

	return json_is_real(v) ? (int64_t)json_real_value(v) : json_integer_value(v);
}

const json_t *rf_item(const json_t *list, const char *name, size_t i)
{
	const json_t *v, *inner;

	if (json_is_object(list))
		return i > 0 ? NULL : name[0] ? json_object_get(list, name) : list;
	v = json_array_get(list, i);
	inner = json_object_get(v, name);
	return inner ? inner : v;
}

/* ---- tables ---- */

struct rf_table {
	unsigned n_cols;
	size_t n_cells, cap;
	char **cell; /* the titles first */
};

static void no_memory(void)
{
	(void)fprintf(stderr, "rfctl: out of memory\n");
	exit(RF_REFUSED);
}

void rf_table_row(struct rf_table *t, const char *const *cells)
{
	for (unsigned i = 0; i < t->n_cols; i++) {
		if (t->n_cells == t->cap) {
			char **more = realloc(t->cell, (t->cap * 2 + 64) * sizeof(*more));

			if (!more)
				no_memory();
			t->cell = more;
			t->cap = t->cap * 2 + 64;
		}
		t->cell[t->n_cells] = strdup(cells[i] ? cells[i] : "");
		if (!t->cell[t->n_cells++])
			no_memory();
	}
}

struct rf_table *rf_table_new(const char *const *titles, unsigned n_cols)
{
	struct rf_table *t = calloc(1, sizeof(*t));

	if (!t)
		no_memory();
	else {
		t->n_cols = n_cols;
		rf_table_row(t, titles);
	}
	return t;
}

void rf_table_print(const struct rf_table *t)
{
	size_t width[32] = { 0 }, gap = 0;

	for (size_t i = 0; i < t->n_cells; i++) {
		size_t w = put_safe(NULL, t->cell[i], strlen(t->cell[i]));

		if (w > width[i % t->n_cols])
			width[i % t->n_cols] = w;
	}
	for (size_t i = 0; i < t->n_cells; i++) {
		bool last = i % t->n_cols == t->n_cols - 1;
		size_t w;

		(void)printf("%*s", t->cell[i][0] ? (int)gap : 0, ""); /* none at the end of a line */
		gap = t->cell[i][0] ? 0 : gap;
		w = put_safe(stdout, t->cell[i], strlen(t->cell[i]));
		gap += width[i % t->n_cols] - w + 2;
		if (last) {
			(void)putchar('\n');
			gap = 0;
		}
	}
}

void rf_table_free(struct rf_table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n_cells; i++)
		free(t->cell[i]);
	free(t->cell);
	free(t);
}
