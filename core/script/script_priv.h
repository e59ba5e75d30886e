/* SPDX-License-Identifier: BSD-2-Clause */
/* What the stages of the compiler share: positions, tokens, the tree, the code, and who reports errors. */
#ifndef RF_SCRIPT_PRIV_H
#define RF_SCRIPT_PRIV_H

#include <errno.h>

#include "core/base/log.h"
#include "core/base/pool.h"
#include "core/base/strbuf.h"
#include "core/script/files.h"
#include "core/script/func.h"
#include "core/script/known.h"
#include "core/script/nearest.h"
#include "core/script/script.h"

struct regex;

/* ---- positions and errors ---- */

struct pos {
	uint32_t line, column; /* from 1 */
	uint16_t file;
};

struct script_file {
	struct str name; /* as it was given, for messages */
	struct str text; /* as read; lives in the loader's pool */
};

struct route_code;
struct vm_code;
struct define;
struct lexer;
struct call;

/* All that one load needs; gone afterwards, but for `script`. */
struct loader {
	const struct script_opts *opts;
	struct script *script;
	struct pool *pool;  /* tree, texts of files: freed when the load ends */
	struct pool *keep;  /* the generation's */
	struct script_files *disk; /* what is read comes from there */
	struct script_file *files;
	unsigned n_files, files_cap;
	struct script_err *errs, **errs_tail;
	unsigned n_errors;
	struct missing *missing; /* modules asked for that are not there: see errors.c */
	struct pos item;   /* of the script that is being read, for script_load_place() */
	bool stop; /* the first error was found, and only that is wanted */
	bool parse_failed; /* routes may be missing: nothing is said about those that are */
};

void load_error(struct loader *ld, struct pos pos, const char *fmt, ...) PRINTF_LIKE(3, 4);
void load_warning(struct loader *ld, struct pos pos, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* A name that is not known (why->kind): told under the missing module that would bring it, else as an error of its own, with
 * `before` in front of why->text. */
void load_unknown(struct loader *ld, struct pos pos, const struct diag *why, const char *before);
/* Warns that the name is an old one. */
void load_old_name(struct loader *ld, struct pos pos, const struct renamed *r);
/* The script loads a module that is not there; what it would bring is gathered under this error from now on. name: lives as
 * long as the load. */
void load_missing_module(struct loader *ld, struct pos pos, struct str name, const struct diag *why);
/* The same for one that is gone for good: nothing is said about its parameters. */
void load_gone_module(struct loader *ld, struct str name);
/* Is a missing module among those that the expression names? Then its use is noted. */
bool load_missing_modparam(struct loader *ld, struct pos pos, struct str modules, struct str param);
/* Keeps it, in memory that the script owns. Never fails short of memory: then it records an error and returns "". */
struct str load_dup(struct loader *ld, struct str s);
/* A context with a well-formed OPTIONS in it, for texts that are evaluated while the script is read. NULL without memory. */
struct ctx *load_dummy_ctx(struct loader *ld);

/* ---- tokens ---- */

enum tok {
	T_EOF = 0,
	/* single characters stand for themselves */
	T_ID = 256, T_NUM, T_STR, T_STR_SINGLE, T_PVAR, T_SELECT, T_IP, T_ADDR, T_NUM_ID,
	T_EQ, T_NE, T_MATCH, T_LE, T_GE, T_AND, T_OR, T_SHL, T_SHR, T_CAST_INT, T_CAST_STR,
	T_SUBST, T_SUBSTDEF, T_SUBSTDEFS, /* handled by the lexer, never seen by the parser */
	T_ERROR
};

struct token {
	enum tok kind;
	struct pos pos;
	struct str text; /* strings: decoded; variables and selects: whole text, with rules applied */
	int64_t num;
	bool compat; /* read without #!KAMAILIO in front */
};

struct define {
	struct define *next;
	struct str name, value;
	bool has_value;
};

/* Reads and gives the first token's source. Returns 0 or negative errno after load_error(). */
MUST_CHECK int lexer_new(struct loader *ld, struct lexer **ret_lx);
void lexer_free(struct lexer *lx);
/* T_ERROR after load_error(). */
void lexer_next(struct lexer *lx, struct token *ret_tok);
/* Words of listen, alias, advertise: "udp:10.0.0.1:5060" is one token, T_ADDR. */
void lexer_addr_mode(struct lexer *lx, bool on);
/* Text up to and without `end`, on this line. */
MUST_CHECK int lexer_raw_until(struct lexer *lx, char end, struct token *ret_tok);
/* Gives text back to be read again. */
void lexer_unread(struct lexer *lx, struct str text);
/* The next character behind blanks; 0 at the end. Consumes nothing. */
char lexer_peek_char(struct lexer *lx);
/* Echoes what is left after includes and conditionals. */
void lexer_echo(struct lexer *lx, FILE *out);
/* value n 0 and !has_value: valueless. Returns -EEXIST when it was defined before. */
MUST_CHECK int lexer_define(struct lexer *lx, struct str name, struct str value, bool has_value, bool replace);
struct define *lexer_define_find(struct lexer *lx, struct str name);
struct define *lexer_defines(struct lexer *lx);
/* "subst", "substdef", "substdefs" with its /a/b/f text. */
MUST_CHECK int lexer_subst_add(struct lexer *lx, struct pos pos, struct str directive, struct str text);

/* Expressions of ifexp and defexp. lookup: value of a define, or false. */
struct pp_value {
	bool is_str;
	float num;
	struct str s;
};
typedef bool pp_lookup_fn(void *arg, struct str name, struct str *ret_value, bool *ret_has_value);
MUST_CHECK int pp_eval(struct pool *pool, struct str text, pp_lookup_fn *lookup, void *arg, struct pp_value *ret,
		       struct diag *reterr);
/* The integer of a number of these expressions. -EBADMSG: it is none of 64 bits; reterr says so of offset at. */
MUST_CHECK int pp_integer(float num, long *ret, size_t at, struct diag *reterr);

/* Rules of #!subst. */
struct subst;
MUST_CHECK int subst_parse(struct loader *ld, struct str text, struct subst **ret, struct diag *reterr);
/* Applies every rule in order; in itself when nothing matched. */
struct str subst_apply(struct loader *ld, struct subst *list, struct str in);
void subst_append(struct subst **list, struct subst *rule);
/* What stood left and right, for substdef. */
struct str subst_left(const struct subst *rule);
struct str subst_right(struct loader *ld, const struct subst *rule);
void subst_free_all(struct subst *list);

/* ---- the tree ---- */

enum node_kind {
	/* expressions */
	N_NUM, N_STR, N_PV, N_UNARY, N_BINARY, N_CALL, N_ROUTE, N_BLOCKEXPR, N_ASSIGNEXPR, N_COND, N_SELVAL, N_NULL, N_IPCONST,
	N_MYSELF,
	/* statements */
	N_BLOCK, N_EXPRSTMT, N_ASSIGN, N_IF, N_WHILE, N_SWITCH, N_CASE, N_RETURN, N_EXIT, N_DROP, N_BREAK
};

enum ty { TY_ANY, TY_INT, TY_STR };

/* The operators, as the tree names them; opcodes of the same meaning exist for each. */
enum oper {
	O_NONE, O_OR, O_AND, O_BOR, O_BAND, O_BXOR, O_SHL, O_SHR, O_EQ, O_NE, O_MATCH, O_SEQ, O_SNE, O_IEQ, O_INE, O_LT, O_GT,
	O_LE, O_GE, O_ADD, O_SUB, O_MUL, O_DIV, O_MOD, O_NOT, O_BNOT, O_NEG, O_DEFINED, O_CAST_INT, O_CAST_STR, O_STRLEN,
	O_STREMPTY
};

/* What stands left in `method=="INVITE"` and the like. */
enum cond_operand {
	C_METHOD, C_URI, C_STATUS, C_FROM_URI, C_TO_URI,                             /* text */
	C_SRC_PORT, C_DST_PORT, C_AF, C_MSG_LEN, C_PROTO,                            /* numbers */
	C_SND_PORT, C_TO_PORT, C_SND_AF, C_TO_AF, C_SND_PROTO, C_TO_PROTO,           /* numbers, onsend only */
	C_SRC_IP, C_DST_IP, C_SND_IP, C_TO_IP,                                       /* addresses */
	C_N
};
#define COND_IS_TEXT(c) ((c) <= C_TO_URI)
#define COND_IS_IP(c) ((c) >= C_SRC_IP)

struct node {
	enum node_kind kind;
	uint8_t op;      /* enum oper, enum cond_operand */
	uint8_t type;    /* enum ty, set by check */
	bool flag;       /* N_CASE: regex; is default when a is NULL. N_PV: select */
	bool compat;     /* N_PV: as in struct token */
	struct pos pos, end;
	int64_t num;
	struct str text; /* strings, names */
	struct node *a, *b, *c;
	struct node *args, *next; /* lists */
	unsigned n;      /* args */
	/* filled by check */
	struct pv_spec *pv;
	const struct script_func *func;
	const char *module;
	const struct command *command;
	struct call *call; /* prepared; lives in the loader's pool */
};

struct route_src {
	struct route_src *next;
	enum ctx_kind kind;
	struct str name; /* n 0: the unnamed one */
	struct pos pos;
	struct node *body; /* N_BLOCK; more are appended to unnamed ones */
	int index;
};

struct parsed {
	struct route_src *routes, **tail;
	unsigned n_routes;
};

/* Both go on item by item, and lie in the loader's pool; NULL without memory. A step returns false when there is no more to do. */
struct parser;
struct parser *parser_new(struct loader *ld, struct lexer *lx, struct parsed *out);
bool parser_step(struct parser *p);

/* ---- core commands that are words of the grammar ---- */

enum command_shape {
	CMD_NONE,     /* optional () */
	CMD_STR,      /* ("text") */
	CMD_NUM,      /* (3) */
	CMD_FLAG,     /* (name or number) -> number */
	CMD_DEST,     /* () | (host [, port]) | (uri:host [, uri:port or N]) -> text, number */
	CMD_SOCKET,   /* (proto:host:port), bare or text -> text */
	CMD_HOST,     /* host, IP or text -> text */
	CMD_PROTO,    /* UDP ... -> number of the protocol */
	CMD_OPT_NUM,  /* optional ([+-N]) -> number, 0 */
	CMD_LOG,      /* ([N,] "text") -> number, text */
	CMD_STR_STR,  /* ("a", "b") */
	CMD_AVP_FLAG, /* ($avp(x) or "text", flag) -> text, number */
	CMD_STR_INT,  /* ("group", N or expression) */
};

struct command {
	const char *word; /* as written */
	const char *name; /* the function that it calls */
	enum command_shape shape;
	bool onsend; /* allowed in onsend_route */
};
const struct command *command_find(struct str word);

/* ---- code ---- */

enum opcode {
#define OP(name, operands, pops, pushes, meaning) OP_##name,
#include "core/script/opcodes.def"
#undef OP
	OP_N
};

struct insn {
	uint8_t op;
	uint8_t a;
	uint16_t b;
	int32_t c;
};

enum call_mode { CALL_STMT, CALL_VALUE, CALL_RAW };

/* How an argument is made at each call. */
enum arg_mode {
	ARG_READY,    /* prepared at load: in args[] */
	ARG_FMT,      /* text with variables: fmt -> s */
	ARG_FMT_INT,  /* the same, as a number */
	ARG_PV_INT,   /* one variable -> i */
	ARG_VALUE_S,  /* from the operand stack -> s */
	ARG_VALUE_I,  /* from the operand stack -> i */
	ARG_REGEX,    /* text (fmt or stack) compiled per call */
	ARG_SUBST,
	ARG_FIXUP     /* text from the stack through the function's fixup */
};

struct call {
	const struct script_func *func;
	script_fn *fn;
	const char *module;
	bool is_core;           /* leaves $rc alone */
	uint8_t n, n_stack;     /* arguments; of these, how many are on the operand stack */
	uint8_t mode[SCRIPT_PARAMS_MAX];
	union script_arg args[SCRIPT_PARAMS_MAX];
	struct fmt *fmt[SCRIPT_PARAMS_MAX];
	const struct pv_spec *pv[SCRIPT_PARAMS_MAX];
};

struct switch_case {
	int64_t i;
	struct str s;
	const struct regex *re; /* then s is its text */
	uint32_t target;
};

struct switch_table {
	bool text;
	uint32_t n, otherwise; /* otherwise: default, or the end */
	struct switch_case *cases; /* numbers: sorted */
};

struct ip_const {
	struct net_addr net;
	unsigned bits;
};

/* Where to go on when an expression fails, and how deep the operand stack is there. */
struct fail_range {
	uint32_t from, to, target;
	uint16_t depth;
};

struct code_pos {
	uint32_t line;
	uint16_t file;
};

struct route_code {
	enum ctx_kind kind;
	struct str name;
	uint32_t entry, end;
	uint16_t max_depth; /* operand stack, set by the verifier */
	bool is_block;      /* a block used as a value: no route of its own */
};

struct vm_code {
	struct insn *insns;
	struct code_pos *pos;
	uint32_t n_insns;
	struct value *consts;
	uint32_t n_consts;
	struct pv_spec **pvs;
	uint32_t n_pvs;
	struct call *calls;
	uint32_t n_calls;
	const struct regex **regexes;
	uint32_t n_regexes;
	struct switch_table *switches;
	uint32_t n_switches;
	struct ip_const *ips;
	uint32_t n_ips;
	struct fail_range *fails;
	uint32_t n_fails;
	struct route_code *routes;
	uint32_t n_routes;
};

enum flag_set { FLAGS_MSG, FLAGS_AVP, FLAG_SETS };

struct script {
	struct pool *pool;
	struct vm_code code;
	struct str *files; /* names */
	unsigned n_files;
	unsigned n_ctx;    /* contexts that hold it: current.c */
	struct define *defines;
	struct flag_name {
		struct flag_name *next;
		struct str name;
		int number;
	} *flags[FLAG_SETS];
};

/* Checks names and types, folds constants, writes code: one route per step. Errors go to the loader. */
struct compiler;
struct compiler *compiler_new(struct loader *ld, struct parsed *parsed);
bool compiler_step(struct compiler *c);
void compiler_done(struct compiler *c);
/* Names, argument kinds and types of one route's body; marks what it resolved in the tree. */
void check_route(struct loader *ld, struct parsed *parsed, struct route_src *route);
/* Prepares the arguments of a call whose function is known. Returns -EBADMSG after load_error(). */
MUST_CHECK int call_prepare(struct loader *ld, struct parsed *parsed, const struct node *n, struct call *ret_call);
bool parsed_has_route(const struct parsed *parsed, enum ctx_kind kind, struct str name);

/* Every opcode known, operands in range, jumps inside their route, stack depth the same on every path. Sets max_depth. */
MUST_CHECK int script_verify(struct vm_code *code, struct diag *reterr);
const char *opcode_name(unsigned op);

/* Compiles an expression of the language and keeps it with the script. flags: of regex_compile(). Operators see the text as
 * one line (only arguments of functions are newline-sensitive), and case labels heed case. */
MUST_CHECK int script_regex(struct loader *ld, struct str text, unsigned flags, const struct regex **ret, struct diag *reterr);

/* A substitution whose variables are struct pv_spec in pool, and which goes with it. */
MUST_CHECK int script_subst_parse(struct pool *pool, struct str text, const struct regex_subst **ret, struct diag *reterr);

/* ---- operators on values, shared by folding and the machine ---- */
MUST_CHECK int value_unary(enum oper op, const struct value *a, struct pool *pool, struct value *ret);
MUST_CHECK int value_binary(enum oper op, const struct value *a, const struct value *b, struct pool *pool, struct value *ret);

/* ---- operands of conditions ---- */
/* Text, number or address of the operand in ctx. Returns 0, or < 0: cannot be evaluated. */
MUST_CHECK int cond_value(struct ctx *ctx, enum cond_operand op, struct value *ret);
MUST_CHECK int cond_addr(struct ctx *ctx, enum cond_operand op, struct net_addr *ret);
bool cond_addr_known_text(struct str text, struct ip_const *ret);
/*
 * Is a the address, inside the network, or one of the host that the text names; with as_regex, does its text match? Returns one of these, or < 0: a
 * bad expression. COND_WAIT: the name is being looked up and ctx was parked; ask again when it is woken. Without may_wait what is not known does not match.
 */
enum { COND_NO = 0, COND_YES = 1, COND_WAIT = 2 };
MUST_CHECK int cond_addr_is(struct ctx *ctx, const struct net_addr *a, struct str text, bool as_regex, bool may_wait);
/* Parks for one turn of the loop; false when that is not possible here. */
bool vm_park_turn(struct ctx *ctx);
/* 1, 0, or -1: cannot be told. */
int cond_myself(struct ctx *ctx, enum cond_operand op);

/* ctx is handled by s from now on. */
void script_hold(struct ctx *ctx, struct script *s);

/* ---- flags ---- */
MUST_CHECK int flag_declare(struct script *s, enum flag_set set, struct str name, int number);
int flag_find(const struct script *s, enum flag_set set, struct str name);

/* ---- old attributes ---- */
/* Is *text (as written where there is no #!KAMAILIO) an attribute of the old kind? Then it becomes one of today. Warns, and
 * records an error when it cannot be assigned to. */
bool legacy_name(struct loader *ld, struct pos pos, struct str *text, bool assigned);
/* Whose flags and defines are meant: those of the text that is being read, else of the generation that runs. */
const struct script *script_names(void);

#endif
