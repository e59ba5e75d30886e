/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Attributes as scripts wrote them before there was $avp(): `$name` when no variable is called so, `%name`, `$name[2]`, `$f.name`
 * and the other tracks. Scripts without the line #!KAMAILIO may still say them; here they become $avp(). Assigning to one
 * replaces its values, as it did.
 */
#include "core/script/script_priv.h"

/* The track in front of the dot: 0: none. *ret_own: attributes of it are not those of $avp(name). */
static size_t track_len(struct str name, bool *ret_own)
{
	static const char *const tracks[] = { "f", "fr", "fu", "fd", "t", "tr", "tu", "td", "g" };
	ptrdiff_t dot = str_find_char(name, '.');
	size_t i;

	for (i = 0; dot > 0 && i < ARRAY_LEN(tracks); i++) {
		if (str_eq(str_sub(name, 0, (size_t)dot), str_lit(tracks[i]))) {
			*ret_own = i > 0; /* the plain list is the caller's */
			return (size_t)dot;
		}
	}
	return 0;
}

bool legacy_name(struct loader *ld, struct pos pos, struct str *text, bool assigned)
{
	struct str name = str_sub(*text, 1, text->n), index = STR_NULL;
	ptrdiff_t bracket = str_find_char(name, '['), paren = str_find_char(name, '(');
	bool own = false, by_form;
	size_t track;

	if (paren >= 0 && paren < bracket)
		bracket = -1; /* $xavp(a[0]=>b), $(hdr(Via)[0]): of a variable as we have them */
	by_form = text->s[0] == '%' || bracket > 0;
	if (bracket > 0) {
		index = str_sub(name, (size_t)bracket, name.n);
		name = str_sub(name, 0, (size_t)bracket);
	}
	track = track_len(name, &own);
	if (track > 0 && !own)
		name = str_sub(name, track + 1, name.n);
	if (track == 0 && !by_form) {
		if (name.n == 0 || str_find_char(name, '(') >= 0 || pv_find(name) || known_module(DIAG_VARIABLE, name))
			return false;
		load_warning(ld, pos, "unknown variable $%.*s: read as $avp(%.*s), for there is no #!KAMAILIO in front", STR_FMT(name), STR_FMT(name));
	}
	if (assigned && (index.n > 0 || (own && name.s[0] == 'g'))) {
		load_error(ld, pos, "%.*s cannot be assigned to", STR_FMT(*text));
		return true;
	}
	if (assigned)
		index = STR_LIT("[*]");
	if (pool_printf(ld->keep, text, "$(avp(%.*s)%.*s)", STR_FMT(name), STR_FMT(index)) < 0)
		load_error(ld, pos, "out of memory");
	return true;
}
