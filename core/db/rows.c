/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Results: a table of values whose texts lie in blocks that belong to the result. Built by drivers (perhaps in a thread of the
 * pool), read by the continuation.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/num.h"
#include "core/db/db_priv.h"

#define BLOCK_BYTES 16384u

struct block {
	struct block *next;
	size_t used, size;
	char bytes[];
};

struct db_rows {
	unsigned n_cols, n_rows, cap_rows;
	struct str *col_names;
	struct db_val *vals;
	struct block *blocks;
	int64_t affected;
	bool taken;
};

static char *block_take(struct db_rows *rows, size_t n)
{
	struct block *b = rows->blocks;
	char *p;

	if (!b || b->size - b->used < n) {
		size_t size = n > BLOCK_BYTES ? n : BLOCK_BYTES;

		b = malloc(sizeof(*b) + size);
		if (!b)
			return NULL;
		b->used = 0;
		b->size = size;
		b->next = rows->blocks;
		rows->blocks = b;
	}
	p = b->bytes + b->used;
	b->used += n;
	return p;
}

static int text_copy(struct db_rows *rows, struct str in, struct str *ret)
{
	char *p = block_take(rows, in.n + 1);

	if (!p)
		return -ENOMEM;
	if (in.n)
		memcpy(p, in.s, in.n);
	p[in.n] = '\0';
	*ret = str_of(p, in.n);
	return 0;
}

struct db_rows *db_rows_new(unsigned n_cols)
{
	struct db_rows *rows = calloc(1, sizeof(*rows));

	if (!rows)
		return NULL;
	rows->n_cols = n_cols;
	rows->affected = -1;
	rows->col_names = calloc(n_cols ? n_cols : 1, sizeof(*rows->col_names));
	if (!rows->col_names) {
		free(rows);
		return NULL;
	}
	return rows;
}

void db_rows_free(struct db_rows *rows)
{
	if (!rows)
		return;
	while (rows->blocks) {
		struct block *b = rows->blocks;

		rows->blocks = b->next;
		free(b);
	}
	free(rows->vals);
	free(rows->col_names);
	free(rows);
}

int db_rows_col(struct db_rows *rows, unsigned col, struct str name)
{
	if (col >= rows->n_cols)
		return -ERANGE;
	return text_copy(rows, name, &rows->col_names[col]);
}

int db_rows_add(struct db_rows *rows, const struct db_val *vals)
{
	struct db_val *row;

	if (rows->n_rows == rows->cap_rows) {
		unsigned cap = rows->cap_rows ? rows->cap_rows * 2 : 4;
		struct db_val *p = reallocarray(rows->vals, (size_t)cap * (rows->n_cols ? rows->n_cols : 1), sizeof(*p));

		if (!p)
			return -ENOMEM;
		rows->vals = p;
		rows->cap_rows = cap;
	}
	row = rows->vals + (size_t)rows->n_rows * rows->n_cols;
	for (unsigned i = 0; i < rows->n_cols; i++) {
		row[i] = vals[i];
		if ((vals[i].type == DB_STR || vals[i].type == DB_BLOB) && text_copy(rows, vals[i].s, &row[i].s) < 0)
			return -ENOMEM;
	}
	rows->n_rows++;
	return 0;
}

void db_rows_set_affected(struct db_rows *rows, int64_t n)
{
	rows->affected = n;
}

unsigned db_rows_n(const struct db_rows *rows)
{
	return rows ? rows->n_rows : 0;
}

unsigned db_rows_cols(const struct db_rows *rows)
{
	return rows ? rows->n_cols : 0;
}

int64_t db_rows_affected(const struct db_rows *rows)
{
	return rows ? rows->affected : -1;
}

struct db_val db_rows_at(const struct db_rows *rows, unsigned row, unsigned col)
{
	if (!rows || row >= rows->n_rows || col >= rows->n_cols)
		return (struct db_val){ .type = DB_NULL };
	return rows->vals[(size_t)row * rows->n_cols + col];
}

struct str db_rows_col_name(const struct db_rows *rows, unsigned col)
{
	return rows && col < rows->n_cols ? rows->col_names[col] : STR_NULL;
}

struct db_rows *db_rows_take(struct db_rows *rows)
{
	if (rows)
		rows->taken = true;
	return rows;
}

bool db_rows_is_taken(const struct db_rows *rows)
{
	return rows->taken;
}

int db_val_int(const struct db_val *v, int64_t *ret)
{
	switch (v->type) {
	case DB_INT:
	case DB_TIME:
		*ret = v->i;
		return 0;
	case DB_DOUBLE:
		if (!(v->d >= -9.2e18 && v->d <= 9.2e18)) /* no number either */
			return -ERANGE;
		*ret = (int64_t)v->d;
		return 0;
	case DB_STR:
		return num_i64(v->s, ret);
	case DB_NULL:
	case DB_BLOB:
		break;
	}
	return -EINVAL;
}

struct str db_val_str(const struct db_val *v)
{
	return v->type == DB_STR || v->type == DB_BLOB ? v->s : STR_NULL;
}
