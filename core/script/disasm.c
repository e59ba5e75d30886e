/* SPDX-License-Identifier: BSD-2-Clause */
/* Code as text, from the same table that defines it. For people and for tests. */
#include "core/script/script_priv.h"

static const char *const operand_kinds[] = {
#define OP(name, operands, pops, pushes, meaning) operands,
#include "core/script/opcodes.def"
#undef OP
};

static const char *const oper_names[] = {
	[O_NONE] = "", [O_OR] = "||", [O_AND] = "&&", [O_BOR] = "|", [O_BAND] = "&", [O_BXOR] = "^", [O_SHL] = "<<", [O_SHR] = ">>",
	[O_EQ] = "==", [O_NE] = "!=", [O_MATCH] = "=~", [O_SEQ] = "eq", [O_SNE] = "ne", [O_IEQ] = "ieq", [O_INE] = "ine",
	[O_LT] = "<", [O_GT] = ">", [O_LE] = "<=", [O_GE] = ">=", [O_ADD] = "+", [O_SUB] = "-", [O_MUL] = "*", [O_DIV] = "/",
	[O_MOD] = "mod", [O_NOT] = "!", [O_BNOT] = "~", [O_NEG] = "-", [O_DEFINED] = "defined", [O_CAST_INT] = "(int)",
	[O_CAST_STR] = "(str)", [O_STRLEN] = "strlen", [O_STREMPTY] = "strempty",
};

static void print_operand(const struct vm_code *c, char kind, int64_t x, FILE *out)
{
	const struct value *v;

	switch (kind) {
	case '-':
		return;
	case 'K':
		v = &c->consts[x];
		if (v->kind == VALUE_STR)
			fprintf(out, " \"%.*s\"", STR_FMT(v->s));
		else if (v->kind == VALUE_INT)
			fprintf(out, " %lld", (long long)v->i);
		else
			fputs(" null", out);
		return;
	case 'V':
		fprintf(out, " %.*s", STR_FMT(c->pvs[x]->text));
		return;
	case 'F':
		fprintf(out, " %s.%s/%u", c->calls[x].module, c->calls[x].func->name, c->calls[x].n);
		return;
	case 'R':
		fprintf(out, " [%.*s]#%lld", STR_FMT(c->routes[x].name), (long long)x);
		return;
	case 'J':
		fprintf(out, " ->%lld", (long long)x);
		return;
	case 'M':
		fprintf(out, " %s", x == CALL_STMT ? "action" : x == CALL_RAW ? "raw" : "value");
		return;
	case 'P':
		fprintf(out, " %s", oper_names[x]);
		return;
	default:
		fprintf(out, " %lld", (long long)x);
		return;
	}
}

void script_disasm(const struct script *s, FILE *out)
{
	const struct vm_code *c = &s->code;
	uint32_t r, i, k;

	for (r = 0; r < c->n_routes; r++) {
		fprintf(out, "route %u kind %d [%.*s]%s stack %u\n", r, (int)c->routes[r].kind, STR_FMT(c->routes[r].name),
			c->routes[r].is_block ? " block" : "", c->routes[r].max_depth);
		for (i = c->routes[r].entry; i < c->routes[r].end; i++) {
			const struct insn *in = &c->insns[i];

			fprintf(out, "%6u  %5u  %-8s", i, c->pos[i].line, opcode_name(in->op));
			print_operand(c, operand_kinds[in->op][0], in->a, out);
			print_operand(c, operand_kinds[in->op][1], in->b, out);
			print_operand(c, operand_kinds[in->op][2], in->c, out);
			if (in->op == OP_SWITCH) {
				const struct switch_table *t = &c->switches[in->c];

				for (k = 0; k < t->n; k++) {
					if (t->text)
						fprintf(out, " %s\"%.*s\"->%u", t->cases[k].re ? "/" : "", STR_FMT(t->cases[k].s), t->cases[k].target);
					else
						fprintf(out, " %lld->%u", (long long)t->cases[k].i, t->cases[k].target);
				}
				fprintf(out, " else->%u", t->otherwise);
			}
			fputc('\n', out);
		}
	}
}
