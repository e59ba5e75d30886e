# Files of core/settings: one line each.
libringfort_a_SOURCES += core/settings/schema.c core/settings/schema.h
libringfort_a_SOURCES += core/settings/cfg.c core/settings/cfg.h core/settings/cfg_priv.h \
	core/settings/cfg_queue.c core/settings/cfg_follow.c
