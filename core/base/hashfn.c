/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keyed hashing. XXH3 with a seed alone mixes 64 bits of key into a published secret, so the 16
 * bytes of key are stretched to a whole private secret instead, and a chained seed is mixed in by
 * hashing it together with the digest. Whoever never calls hashfn_key() gets a random key, made on
 * first use: fine inside one process, useless between processes that did not fork after it.
 */
#include "core/base/hashfn.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/base/rng.h"

static _Alignas(64) uint8_t secret[XXH3_SECRET_SIZE_MIN + 56];
static bool keyed;

void hashfn_key(const uint8_t *key16)
{
	keyed = XXH3_generateSecret(secret, sizeof(secret), key16, 16) == XXH_OK;
}

static COLD void key_random(void)
{
	uint8_t key[16];

	rng_bytes(key, sizeof(key));
	hashfn_key(key);
}

uint64_t hashfn64(const void *p, size_t n)
{
	if (UNLIKELY(!keyed))
		key_random();
	return XXH3_64bits_withSecret(p, n, secret, sizeof(secret));
}

uint64_t hashfn64_seed(const void *p, size_t n, uint64_t seed)
{
	uint64_t pair[2] = { seed, hashfn64(p, n) };

	return hashfn64(pair, sizeof(pair));
}

uint32_t hashfn32(struct str s)
{
	uint64_t h = hashfn64(s.s, s.n);

	return (uint32_t)(h ^ h >> 32);
}

uint32_t hashfn32_icase(struct str s)
{
	char low[256];
	uint64_t h = 0;
	size_t at = 0;

	do { /* a block at a time: any length without memory */
		size_t n = s.n - at < sizeof(low) ? s.n - at : sizeof(low);

		for (size_t i = 0; i < n; i++)
			low[i] = char_lower(s.s[at + i]);
		h = at == 0 ? hashfn64(low, n) : hashfn64_seed(low, n, h);
		at += n;
	} while (at < s.n);
	return (uint32_t)(h ^ h >> 32);
}

/* Words of four bytes, the highest first; what is left of the text makes the last one. */
static uint32_t core_update(uint32_t h, struct str s)
{
	uint32_t v = 0;

	for (size_t i = 0; i < s.n; i++) {
		v = v << 8 | (uint8_t)s.s[i];
		if (i % 4 == 3) {
			h += v ^ v >> 3;
			v = 0;
		}
	}
	return h + (v ^ v >> 3);
}

uint32_t hashfn_core(struct str a, struct str b)
{
	uint32_t h = core_update(core_update(0, a), b);

	return h + (h >> 11) + (h >> 13) + (h >> 23);
}
