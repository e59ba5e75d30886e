# Files of core/settings: one line each.
libringfort_a_SOURCES += core/settings/schema.c core/settings/schema.h
libringfort_a_SOURCES += core/settings/cfg.c core/settings/cfg.h
