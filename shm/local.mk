# Files of shm: one line each.
libringfort_a_SOURCES += shm/arena.c shm/arena.h shm/shm_priv.h shm/defs.h shm/ref.h
libringfort_a_SOURCES += shm/pages.c shm/slab.c shm/slab.h shm/slab_priv.h shm/slab_recover.c shm/slab_check.c
libringfort_a_SOURCES += shm/slot.c shm/slot.h
libringfort_a_SOURCES += shm/lock.c shm/lock.h
libringfort_a_SOURCES += shm/intent.c shm/intent.h
libringfort_a_SOURCES += shm/counter.c shm/counter.h
libringfort_a_SOURCES += shm/hash.c shm/hash.h
libringfort_a_SOURCES += shm/ring.c shm/ring.h
libringfort_a_SOURCES += shm/wheel.c shm/wheel.h
libringfort_a_SOURCES += shm/recover.c shm/recover.h
libringfort_a_SOURCES += shm/crash.c shm/crash.h shm/fail.h
