# Files of core/base: one line each.
libringfort_a_SOURCES += core/base/avp.c core/base/avp.h
libringfort_a_SOURCES += core/base/clock.c core/base/clock.h
libringfort_a_SOURCES += core/base/diag.c core/base/diag.h
libringfort_a_SOURCES += core/base/file.c core/base/file.h
libringfort_a_SOURCES += core/base/hashfn.c core/base/hashfn.h
libringfort_a_SOURCES += core/base/log.c core/base/log.h core/base/log_priv.h core/base/log_sink.c core/base/log_repeat.c
libringfort_a_SOURCES += core/base/log_ring.c core/base/log_ring.h
libringfort_a_SOURCES += core/base/num.c core/base/num.h
libringfort_a_SOURCES += core/base/pool.c core/base/pool.h
libringfort_a_SOURCES += core/base/rng.c core/base/rng.h
libringfort_a_SOURCES += core/base/secret.c core/base/secret.h
libringfort_a_SOURCES += core/base/str.c core/base/str.h
libringfort_a_SOURCES += core/base/strbuf.c core/base/strbuf.h
libringfort_a_SOURCES += core/base/value.c core/base/value.h
libringfort_a_SOURCES += core/base/keyword.c core/base/keyword.h
libringfort_a_SOURCES += core/base/scan.c core/base/scan.h
libringfort_a_SOURCES += core/base/regex.c core/base/regex.h core/base/regex_ere.c core/base/regex_priv.h core/base/regex_subst.c
