# Fuzz targets. Configured as usual each is a plain program and `make check` replays its stored corpus; configured with
# CC=clang --enable-fuzzers, `make fuzzers` links them with libFuzzer (tests/fuzz/run).
RF_FUZZ_LIBS = libringfort.a $(DEPS_LIBS) -ldl $(RF_FUZZ)
if FUZZERS
RF_FUZZ_MAIN = tests/fuzz/fuzz.h
else
RF_FUZZ_MAIN = tests/fuzz/fuzz.h tests/fuzz/replay_main.c
TESTS += $(fuzz_targets)
endif
check_PROGRAMS += $(fuzz_targets)
EXTRA_DIST += tests/fuzz/README.md tests/fuzz/run tests/fuzz/coverage tests/fuzz/decoders tests/fuzz/dict tests/fuzz/corpus
fuzzers: $(fuzz_targets)
.PHONY: fuzzers

fuzz_targets = tests/fuzz/fuzz_sip_msg tests/fuzz/fuzz_sip_frame tests/fuzz/fuzz_sip_uri tests/fuzz/fuzz_sip_headers \
	tests/fuzz/fuzz_sip_build tests/fuzz/fuzz_script tests/fuzz/fuzz_trans tests/fuzz/fuzz_verify tests/fuzz/fuzz_settings \
	tests/fuzz/fuzz_rpc tests/fuzz/fuzz_dns tests/fuzz/fuzz_digest tests/fuzz/fuzz_db tests/fuzz/fuzz_route \
	tests/fuzz/fuzz_rpc_bin tests/fuzz/fuzz_flow tests/fuzz/fuzz_proxy

tests_fuzz_fuzz_sip_msg_SOURCES = tests/fuzz/fuzz_sip_msg.c $(RF_FUZZ_MAIN)
tests_fuzz_fuzz_sip_msg_LDADD = $(RF_FUZZ_LIBS)
tests_fuzz_fuzz_sip_frame_SOURCES = tests/fuzz/fuzz_sip_frame.c $(RF_FUZZ_MAIN)
tests_fuzz_fuzz_sip_frame_LDADD = $(RF_FUZZ_LIBS)
tests_fuzz_fuzz_sip_uri_SOURCES = tests/fuzz/fuzz_sip_uri.c $(RF_FUZZ_MAIN)
tests_fuzz_fuzz_sip_uri_LDADD = $(RF_FUZZ_LIBS)
tests_fuzz_fuzz_sip_headers_SOURCES = tests/fuzz/fuzz_sip_headers.c $(RF_FUZZ_MAIN)
tests_fuzz_fuzz_sip_headers_LDADD = $(RF_FUZZ_LIBS)
tests_fuzz_fuzz_sip_build_SOURCES = tests/fuzz/fuzz_sip_build.c $(RF_FUZZ_MAIN)
tests_fuzz_fuzz_sip_build_LDADD = $(RF_FUZZ_LIBS)
tests_fuzz_fuzz_script_SOURCES = tests/fuzz/fuzz_script.c $(RF_FUZZ_MAIN)
tests_fuzz_fuzz_script_LDADD = $(RF_FUZZ_LIBS)
tests_fuzz_fuzz_trans_SOURCES = tests/fuzz/fuzz_trans.c $(RF_FUZZ_MAIN) $(RF_MODULE_PV)
tests_fuzz_fuzz_trans_LDADD = $(RF_FUZZ_LIBS)
RF_FUZZ_MODS = tests/fuzz/fuzz_mods.c tests/fuzz/fuzz_mods.h
tests_fuzz_fuzz_verify_SOURCES = tests/fuzz/fuzz_verify.c $(RF_FUZZ_MAIN)
tests_fuzz_fuzz_verify_LDADD = $(RF_FUZZ_LIBS)
tests_fuzz_fuzz_settings_SOURCES = tests/fuzz/fuzz_settings.c $(RF_FUZZ_MAIN) modules/htable/def.c modules/htable/table.h $(RF_MODULE_PV)
tests_fuzz_fuzz_settings_LDADD = $(RF_FUZZ_LIBS)
tests_fuzz_fuzz_rpc_SOURCES = tests/fuzz/fuzz_rpc.c $(RF_FUZZ_MAIN) $(modules_jsonrpcs_so_SOURCES) $(modules_cfg_rpc_so_SOURCES)
tests_fuzz_fuzz_rpc_LDADD = $(RF_FUZZ_LIBS)
tests_fuzz_fuzz_dns_SOURCES = tests/fuzz/fuzz_dns.c $(RF_FUZZ_MAIN)
tests_fuzz_fuzz_dns_LDADD = $(RF_FUZZ_LIBS)
tests_fuzz_fuzz_digest_SOURCES = tests/fuzz/fuzz_digest.c $(RF_FUZZ_MAIN) $(RF_FUZZ_MODS) $(modules_auth_so_SOURCES)
tests_fuzz_fuzz_digest_LDADD = $(RF_FUZZ_LIBS)
tests_fuzz_fuzz_db_SOURCES = tests/fuzz/fuzz_db.c $(RF_FUZZ_MAIN) $(RF_FUZZ_MODS) $(modules_usrloc_so_SOURCES) $(modules_htable_so_SOURCES) $(modules_auth_so_SOURCES) $(modules_auth_db_so_SOURCES)
tests_fuzz_fuzz_db_LDADD = $(RF_FUZZ_LIBS)
tests_fuzz_fuzz_route_SOURCES = tests/fuzz/fuzz_route.c $(RF_FUZZ_MAIN) $(RF_FUZZ_MODS) $(modules_pv_so_SOURCES) $(modules_textops_so_SOURCES) $(modules_textopsx_so_SOURCES) $(modules_outbound_so_SOURCES) $(modules_corex_so_SOURCES) $(modules_siputils_so_SOURCES) $(modules_sanity_so_SOURCES) $(modules_rr_so_SOURCES) $(modules_maxfwd_so_SOURCES) $(modules_kex_so_SOURCES) $(modules_xlog_so_SOURCES) $(modules_usrloc_so_SOURCES) $(modules_registrar_so_SOURCES) $(modules_auth_so_SOURCES)
tests_fuzz_fuzz_route_LDADD = $(RF_FUZZ_LIBS)
tests_fuzz_fuzz_rpc_bin_SOURCES = tests/fuzz/fuzz_rpc_bin.c $(RF_FUZZ_MAIN)
tests_fuzz_fuzz_rpc_bin_LDADD = $(RF_FUZZ_LIBS)
tests_fuzz_fuzz_flow_SOURCES = tests/fuzz/fuzz_flow.c $(RF_FUZZ_MAIN) $(RF_FUZZ_MODS) $(modules_outbound_so_SOURCES)
tests_fuzz_fuzz_flow_LDADD = $(RF_FUZZ_LIBS)
tests_fuzz_fuzz_proxy_SOURCES = tests/fuzz/fuzz_proxy.c $(RF_FUZZ_MAIN)
tests_fuzz_fuzz_proxy_LDADD = $(RF_FUZZ_LIBS)
