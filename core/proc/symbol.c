/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of addresses, from the symbol tables of the files that are mapped: .symtab where it was not stripped (static functions too),
 * else what is exported. For reports about processes; nothing here is needed to run.
 */
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/proc/trap.h"

#define FILES_MAX 64u

struct file {
	const void *base; /* where it is mapped for running */
	const char *map;  /* the whole file; NULL: cannot be read */
	size_t n;
};

static struct {
	struct file file[FILES_MAX];
	unsigned n;
} files;

static const char *map_file(const char *path, size_t *ret_n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *p = MAP_FAILED;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && st.st_size >= (off_t)sizeof(ElfW(Ehdr))) {
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		*ret_n = (size_t)st.st_size;
	}
	(void)close(fd);
	return p == MAP_FAILED ? NULL : p;
}

static const struct file *file_of(const Dl_info *info, bool is_program)
{
	struct file *f;

	for (unsigned i = 0; i < files.n; i++) {
		if (files.file[i].base == info->dli_fbase)
			return &files.file[i];
	}
	if (files.n == FILES_MAX)
		return NULL;
	f = &files.file[files.n++];
	f->base = info->dli_fbase;
	f->map = map_file(is_program ? "/proc/self/exe" : info->dli_fname, &f->n);
	return f;
}

/* The function of one symbol table that covers the offset; NULL. */
static const char *search(const struct file *f, const ElfW(Shdr) *table, const ElfW(Shdr) *names, uint64_t off, uint64_t *ret_start)
{
	const ElfW(Sym) *sym = (const void *)(f->map + table->sh_offset);
	size_t n = table->sh_size / sizeof(*sym);

	for (size_t i = 0; i < n; i++) {
		if (ELF64_ST_TYPE(sym[i].st_info) != STT_FUNC || off < sym[i].st_value || off >= sym[i].st_value + sym[i].st_size ||
		    sym[i].st_name >= names->sh_size)
			continue;
		*ret_start = sym[i].st_value;
		return f->map + names->sh_offset + sym[i].st_name;
	}
	return NULL;
}

static bool inside(const struct file *f, uint64_t offset, uint64_t bytes)
{
	return offset <= f->n && bytes <= f->n - offset;
}

static const char *name_of(const struct file *f, uint64_t off, uint64_t *ret_start)
{
	const ElfW(Ehdr) *eh = (const void *)f->map;
	const ElfW(Shdr) *sh;

	if (memcmp(eh->e_ident, ELFMAG, SELFMAG) != 0 || eh->e_shentsize != sizeof(*sh) || !inside(f, eh->e_shoff, (uint64_t)eh->e_shnum * sizeof(*sh)))
		return NULL;
	sh = (const void *)(f->map + eh->e_shoff);
	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < eh->e_shnum; i++) {
			const char *name;

			if (sh[i].sh_type != (pass == 0 ? SHT_SYMTAB : SHT_DYNSYM) || sh[i].sh_link >= eh->e_shnum ||
			    !inside(f, sh[i].sh_offset, sh[i].sh_size) || !inside(f, sh[sh[i].sh_link].sh_offset, sh[sh[i].sh_link].sh_size))
				continue;
			name = search(f, &sh[i], &sh[sh[i].sh_link], off, ret_start);
			if (name)
				return name;
		}
	}
	return NULL;
}

void trap_symbol(uint64_t pc, struct strbuf *sb)
{
	Dl_info here, info;
	const struct file *f;
	const char *name = NULL, *file;
	uint64_t off, start = 0;

	if (!dladdr((const void *)(uintptr_t)pc, &info) || !info.dli_fname || !dladdr((const void *)(uintptr_t)trap_symbol, &here)) {
		strbuf_printf(sb, "0x%llx", (unsigned long long)pc);
		return;
	}
	f = file_of(&info, info.dli_fbase == here.dli_fbase);
	off = pc - (uint64_t)(uintptr_t)info.dli_fbase;
	if (f && f->map && ((const ElfW(Ehdr) *)(const void *)f->map)->e_type != ET_DYN)
		off = pc; /* not position independent: absolute addresses in its table */
	if (f && f->map)
		name = name_of(f, off, &start);
	file = strrchr(info.dli_fname, '/');
	file = file ? file + 1 : info.dli_fname;
	if (!name)
		strbuf_printf(sb, "%s+0x%llx", file, (unsigned long long)off);
	else if (info.dli_fbase == here.dli_fbase)
		strbuf_printf(sb, "%s+0x%llx", name, (unsigned long long)(off - start));
	else
		strbuf_printf(sb, "%s+0x%llx (%s)", name, (unsigned long long)(off - start), file);
}
