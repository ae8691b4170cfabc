/* A command's flags: one table that parser, defaults, ranges, error texts and --help all read. The value of each stands
 * where the table points, and holds the default before reading. */
#ifndef SRV_COMMANDS_FLAGS_H
#define SRV_COMMANDS_FLAGS_H

#include <stdbool.h>
#include <stddef.h>

enum srv_flag_kind {
    SRV_FLAG_ON,     /* bool: --name alone */
    SRV_FLAG_COUNT,  /* unsigned */
    SRV_FLAG_NUMBER, /* double */
    SRV_FLAG_TEXT,   /* const char *, borrowed from the arguments */
    SRV_FLAG_CHOICE, /* unsigned: the index in "a|b|c" */
};

struct srv_flag {
    const char *name; /* without the dashes */
    enum srv_flag_kind kind;
    void *value;
    double least, most; /* of SRV_FLAG_COUNT and SRV_FLAG_NUMBER */
    const char *form;   /* of SRV_FLAG_CHOICE the choices, "a|b|c"; of the others how --help calls the value, NULL of
                           SRV_FLAG_ON */
    const char *help;
};

struct srv_flags {
    const char *usage; /* "heed detect [options] PHOTO..." */
    const char *about; /* a sentence or two for --help */
    const struct srv_flag *items;
    size_t count;
};

/* Takes the flags out of argv; what is left moves to its front and is counted in *rest. "--" ends the flags, "-" is
 * none. True to go on. False to end the program with *exit_status: after --help, or after a usage error, which was
 * printed. */
bool srv_flags_read(const struct srv_flags *flags, int argc, char **argv, int *rest, int *exit_status);

/* Prints "heed: TEXT" and the usage on standard error; gives SRV_EXIT_USAGE. */
int srv_usage_error(const struct srv_flags *flags, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
