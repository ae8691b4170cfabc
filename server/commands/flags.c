#include "flags.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"

int srv_usage_error(const struct srv_flags *flags, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("heed: ", stderr);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\nusage: %s\n", flags->usage);
    return SRV_EXIT_USAGE;
}

/* ---- Help ----------------------------------------------------------------------------------------- */

static void print_default(const struct srv_flag *flag)
{
    const char *choice = flag->form;
    switch (flag->kind) {
    case SRV_FLAG_ON:
        break;
    case SRV_FLAG_COUNT:
        printf(" [%u]", *(const unsigned *)flag->value);
        break;
    case SRV_FLAG_NUMBER:
        printf(" [%g]", *(const double *)flag->value);
        break;
    case SRV_FLAG_TEXT:
        if (*(const char *const *)flag->value)
            printf(" [%s]", *(const char *const *)flag->value);
        break;
    case SRV_FLAG_CHOICE:
        for (unsigned i = 0; i < *(const unsigned *)flag->value; i++)
            choice = strchr(choice, '|') + 1;
        printf(" [%.*s]", (int)strcspn(choice, "|"), choice);
        break;
    }
}

static void print_help(const struct srv_flags *flags)
{
    printf("usage: %s\n\n%s\n\n", flags->usage, flags->about);
    for (size_t i = 0; i < flags->count; i++) {
        const struct srv_flag *const flag = &flags->items[i];
        char left[96];
        const bool choice = flag->kind == SRV_FLAG_CHOICE;
        const char *const value = choice ? "NAME" : flag->form ? flag->form : "";
        snprintf(left, sizeof left, "--%s %s", flag->name, value);
        printf("  %-26s %s%s%s", left, flag->help, choice ? ": " : "", choice ? flag->form : "");
        print_default(flag);
        putchar('\n');
    }
}

/* ---- Reading -------------------------------------------------------------------------------------- */

static bool read_number(const struct srv_flag *flag, const char *text, double *number)
{
    char *end;
    *number = strtod(text, &end);
    return end > text && !*end && !text[strspn(text, flag->kind == SRV_FLAG_COUNT ? "0123456789" : "0123456789.")] &&
           *number >= flag->least && *number <= flag->most;
}

/* The index of the choice; false if there is none of that name. */
static bool read_choice(const char *choices, const char *text, unsigned *index)
{
    const size_t length = strlen(text);
    unsigned i = 0;
    for (const char *at = choices; at; i++) {
        const size_t width = strcspn(at, "|");
        if (width == length && strncmp(at, text, width) == 0) {
            *index = i;
            return true;
        }
        at = at[width] ? at + width + 1 : NULL;
    }
    return false;
}

static bool set(const struct srv_flags *flags, const struct srv_flag *flag, const char *text)
{
    double number;
    switch (flag->kind) {
    case SRV_FLAG_ON:
        *(bool *)flag->value = true;
        return true;
    case SRV_FLAG_TEXT:
        *(const char **)flag->value = text;
        return true;
    case SRV_FLAG_CHOICE:
        if (read_choice(flag->form, text, flag->value))
            return true;
        srv_usage_error(flags, "--%s is \"%s\", allowed is %s", flag->name, text, flag->form);
        return false;
    case SRV_FLAG_COUNT:
    case SRV_FLAG_NUMBER:
        break;
    }
    if (!read_number(flag, text, &number)) {
        srv_usage_error(flags, "--%s is \"%s\", allowed is %s from %.10g to %.10g", flag->name, text,
                        flag->kind == SRV_FLAG_COUNT ? "a whole number" : "a number", flag->least, flag->most);
        return false;
    }
    if (flag->kind == SRV_FLAG_COUNT)
        *(unsigned *)flag->value = (unsigned)number;
    else
        *(double *)flag->value = number;
    return true;
}

static const struct srv_flag *find(const struct srv_flags *flags, const char *name, size_t length)
{
    for (size_t i = 0; i < flags->count; i++)
        if (strlen(flags->items[i].name) == length && strncmp(flags->items[i].name, name, length) == 0)
            return &flags->items[i];
    return NULL;
}

/* The flag at argv[i] and its value; how many arguments it took, 0 after a usage error. */
static int take(const struct srv_flags *flags, int argc, char **argv, int i)
{
    const char *const name = argv[i] + 2;
    const size_t length = strcspn(name, "=");
    const struct srv_flag *const flag = strncmp(argv[i], "--", 2) == 0 ? find(flags, name, length) : NULL;
    if (!flag) {
        srv_usage_error(flags, "there is no option %s", argv[i]);
        return 0;
    }
    if (flag->kind == SRV_FLAG_ON) {
        if (name[length])
            srv_usage_error(flags, "--%s takes no value", flag->name);
        return !name[length] && set(flags, flag, NULL) ? 1 : 0;
    }
    if (name[length])
        return set(flags, flag, name + length + 1) ? 1 : 0;
    if (i + 1 == argc) {
        srv_usage_error(flags, "--%s needs a value", flag->name);
        return 0;
    }
    return set(flags, flag, argv[i + 1]) ? 2 : 0;
}

bool srv_flags_read(const struct srv_flags *flags, int argc, char **argv, int *rest, int *exit_status)
{
    *rest = 0;
    for (int i = 0; i < argc;) {
        if (strcmp(argv[i], "--") == 0) {
            while (++i < argc)
                argv[(*rest)++] = argv[i];
            return true;
        }
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(flags);
            *exit_status = SRV_EXIT_OK;
            return false;
        }
        if (argv[i][0] != '-' || argv[i][1] == 0) {
            argv[(*rest)++] = argv[i++];
            continue;
        }
        const int used = take(flags, argc, argv, i);
        if (used == 0) {
            *exit_status = SRV_EXIT_USAGE;
            return false;
        }
        i += used;
    }
    return true;
}
