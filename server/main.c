/* heed, the one binary: its commands. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands/commands.h"
#include "heed.h"

static const struct command {
    const char *name, *about;
    int (*run)(int argc, char **argv);
} commands[] = {
    { "serve", "serve models over HTTP", srv_command_serve },
    { "detect", "find and outline what is on photos", srv_command_detect },
    { "models", "list the models there are", srv_command_models },
    { "bench", "measure speed on this machine", srv_command_bench },
    { "healthcheck", "ask a server whether it is ready", srv_command_healthcheck },
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

static void print_help(FILE *file)
{
    fputs(
        "heed: attention vision models on a CPU. A photo in, boxes and masks out.\n\nusage: heed COMMAND [options]\n\n",
        file);
    for (int i = 0; i < COMMAND_COUNT; i++)
        fprintf(file, "  %-12s %s\n", commands[i].name, commands[i].about);
    fputs("\nheed COMMAND --help tells more; heed --version tells which heed this is.\n", file);
}

static int run(int argc, char **argv)
{
    const char *const name = argc > 1 ? argv[1] : "";
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc - 2, argv + 2);
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return SRV_EXIT_OK;
    }
    if (strcmp(name, "--version") == 0) {
        printf("heed %s (%s, %u cores)\n", HEED_VERSION, heed_cpu_level_name(heed_cpu_detect()), heed_cpu_cores());
        return SRV_EXIT_OK;
    }
    if (argc > 1)
        fprintf(stderr, "heed: there is no command \"%s\"\n\n", name);
    print_help(stderr);
    return SRV_EXIT_USAGE;
}

/* What was printed arrived, or the command failed. */
static int check_output(int exit_status)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return exit_status;
    fprintf(stderr, "heed: the output cannot be written: %s\n", strerror(errno ? errno : EIO));
    return exit_status == SRV_EXIT_OK ? SRV_EXIT_FAILED : exit_status;
}

/* Takes the numbers of standard input, output and error where whoever started us closed them, so that no socket gets
 * one and what is printed goes into it. Opened the other way round: using them fails, as without. */
static bool fill_standard_files(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return false;
    return true;
}

int main(int argc, char **argv)
{
    return fill_standard_files() ? check_output(run(argc, argv)) : SRV_EXIT_FAILED;
}
