# rfctl: a program of its own, of which only what it calls of the library is linked.
bin_PROGRAMS += rfctl/rfctl
rfctl_rfctl_SOURCES = rfctl/main.c rfctl/client.c rfctl/bin.c rfctl/repeats.c rfctl/out.c rfctl/cmd_server.c rfctl/cmd_tables.c rfctl/cmd_users.c rfctl/cmd_db.c \
	rfctl/top.c rfctl/top_view.c rfctl/rfctl.h rfctl/top.h
rfctl_rfctl_LDADD = libringfort.a $(JANSSON_LIBS) $(SQLITE_LIBS) $(OPENSSL_LIBS)
dist_man_MANS = rfctl/rfctl.1
bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = contrib/completion/rfctl.bash
EXTRA_DIST += rfctl/README.md conf/sql

# The standard tables, as a text of C.
rfctl/standard.inc: conf/sql/sqlite/standard.sql
	$(AM_V_GEN)$(MKDIR_P) rfctl && sed -e 's/[\\"]/\\&/g' -e 's/^/"/' -e 's/$$/\\n"/' $(top_srcdir)/conf/sql/sqlite/standard.sql >$@.new && mv $@.new $@
rfctl/cmd_db.$(OBJEXT): rfctl/standard.inc
CLEANFILES += rfctl/standard.inc
