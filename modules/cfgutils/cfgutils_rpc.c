/* SPDX-License-Identifier: BSD-2-Clause */
/* RPC of cfgutils: flags, chance, and whether a file is still the one that was there at the start. */
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/strbuf.h"
#include "modules/cfgutils/cfgutils_priv.h"

#define DIGEST_BYTES 16u

static uint8_t digest_at_start[DIGEST_BYTES];

/* MD5, which is what operators compare it with (md5sum). 0 or negative errno. */
static int file_digest(struct str path, uint8_t *ret_digest)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	char name[512], buf[4096];
	int fd = -1, err;
	ssize_t n = 0;

	if (!md)
		return -ENOMEM;
	snprintf(name, sizeof(name), "%.*s", STR_FMT(path));
	err = file_open_regular(AT_FDCWD, name, &fd);
	if (err == 0 && EVP_DigestInit_ex(md, EVP_md5(), NULL) != 1)
		err = -EIO;
	while (err == 0 && (n = read(fd, buf, sizeof(buf))) > 0) {
		if (EVP_DigestUpdate(md, buf, (size_t)n) != 1)
			err = -EIO;
	}
	if (err == 0 && n < 0)
		err = -errno;
	if (err == 0 && EVP_DigestFinal_ex(md, ret_digest, NULL) != 1)
		err = -EIO;
	if (fd >= 0)
		(void)close(fd);
	EVP_MD_CTX_free(md);
	return err;
}

int cfgutils_hash_init(void)
{
	int err;

	if (cfgutils_conf.hash_file.n == 0)
		return 0;
	if (cfgutils_conf.hash_file.n >= 512)
		return log_fail(-ENAMETOOLONG, "cfgutils: hash_file");
	err = file_digest(cfgutils_conf.hash_file, digest_at_start);
	if (err < 0)
		log_error("cfgutils: hash_file \"%.*s\": %s", STR_FMT(cfgutils_conf.hash_file), file_why(err));
	return err;
}

static bool hash_file_set(struct rpc *rpc)
{
	if (cfgutils_conf.hash_file.n == 0)
		rpc_fault(rpc, 500, "No hash_file given as module parameter");
	return cfgutils_conf.hash_file.n > 0;
}

static void r_get_config_hash(struct rpc *rpc)
{
	char text[2 * DIGEST_BYTES];
	struct strbuf sb;

	if (!hash_file_set(rpc))
		return;
	strbuf_init_fixed(&sb, text, sizeof(text));
	strbuf_add_hex(&sb, digest_at_start, DIGEST_BYTES);
	rpc_add_str(rpc, NULL, NULL, strbuf_str(&sb));
}

static void r_check_config_hash(struct rpc *rpc)
{
	uint8_t now[DIGEST_BYTES];
	int err;

	if (!hash_file_set(rpc))
		return;
	err = file_digest(cfgutils_conf.hash_file, now);
	if (err < 0)
		rpc_fault(rpc, 500, "Failed to hash the file: %s", file_why(err));
	else
		rpc_add_str(rpc, NULL, NULL, memcmp(now, digest_at_start, DIGEST_BYTES) == 0 ? STR_LIT("Identical hash") : STR_LIT("Different hash"));
}

static bool mask_arg(struct rpc *rpc, uint32_t *ret)
{
	int err = rpc_arg_mask(rpc, ret);

	if (err < 0 && err != -ERANGE)
		rpc_fault(rpc, 500, "Invalid Parameters");
	return err == 0;
}

static void r_set_gflag(struct rpc *rpc)
{
	uint32_t mask;

	if (mask_arg(rpc, &mask))
		atomic_fetch_or(&cfgutils_shared->gflags, mask);
}

static void r_reset_gflag(struct rpc *rpc)
{
	uint32_t mask;

	if (mask_arg(rpc, &mask))
		atomic_fetch_and(&cfgutils_shared->gflags, ~mask);
}

static void r_is_gflag(struct rpc *rpc)
{
	uint32_t mask;

	if (mask_arg(rpc, &mask))
		rpc_add_str(rpc, NULL, NULL, (atomic_load(&cfgutils_shared->gflags) & mask) == mask ? STR_LIT("TRUE") : STR_LIT("FALSE"));
}

static void r_get_gflags(struct rpc *rpc)
{
	uint32_t flags = atomic_load(&cfgutils_shared->gflags);

	rpc_add_printf(rpc, NULL, NULL, "0x%X (%u)", flags, flags);
}

static void r_rand_set_prob(struct rpc *rpc)
{
	int64_t percent;

	if (rpc_arg_int(rpc, &percent) < 0)
		rpc_fault(rpc, 500, "Invalid Parameters");
	else if (percent < 0 || percent > 100)
		rpc_fault(rpc, 500, "Invalid Percent");
	else
		atomic_store(&cfgutils_shared->probability, (uint32_t)percent);
}

static void r_rand_reset_prob(struct rpc *rpc)
{
	(void)rpc;
	atomic_store(&cfgutils_shared->probability, (uint32_t)cfgutils_conf.initial_probability);
}

static void r_rand_get_prob(struct rpc *rpc)
{
	rpc_add_printf(rpc, NULL, NULL, "actual probability: %u percent", atomic_load(&cfgutils_shared->probability));
}

const struct rpc_method cfgutils_rpcs[] = {
	{ "cfgutils.set_gflag", r_set_gflag, 0, "Set global flags. Parameter: mask" },
	{ "cfgutils.reset_gflag", r_reset_gflag, 0, "Reset global flags. Parameter: mask" },
	{ "cfgutils.is_gflag", r_is_gflag, 0, "Are all flags of the mask set?" },
	{ "cfgutils.get_gflags", r_get_gflags, 0, "All global flags" },
	{ "cfgutils.rand_set_prob", r_rand_set_prob, 0, "Set the probability of rand_event(). Parameter: percent" },
	{ "cfgutils.rand_reset_prob", r_rand_reset_prob, 0, "Back to initial_probability" },
	{ "cfgutils.rand_get_prob", r_rand_get_prob, 0, "The probability of rand_event()" },
	{ "cfgutils.get_config_hash", r_get_config_hash, 0, "MD5 of hash_file when the server was started" },
	{ "cfgutils.check_config_hash", r_check_config_hash, 0, "Is hash_file still what it was?" },
	{ .name = NULL },
};
