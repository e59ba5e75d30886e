# Files of core/sip: one line each.
libringfort_a_SOURCES += core/sip/sip_priv.h
libringfort_a_SOURCES += core/sip/method.c core/sip/method.h
libringfort_a_SOURCES += core/sip/header.c core/sip/header.h
libringfort_a_SOURCES += core/sip/param.c core/sip/param.h
libringfort_a_SOURCES += core/sip/uri.c core/sip/uri.h
libringfort_a_SOURCES += core/sip/addr.c core/sip/addr.h
libringfort_a_SOURCES += core/sip/via.c core/sip/via.h
libringfort_a_SOURCES += core/sip/cseq.c core/sip/cseq.h
libringfort_a_SOURCES += core/sip/auth.c core/sip/auth.h
libringfort_a_SOURCES += core/sip/msg.c core/sip/msg.h
libringfort_a_SOURCES += core/sip/frame.c core/sip/frame.h
libringfort_a_SOURCES += core/sip/edit.c core/sip/edit.h
libringfort_a_SOURCES += core/sip/build.c core/sip/build.h
libringfort_a_SOURCES += core/sip/reason.c core/sip/reason.h
