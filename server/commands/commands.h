/* The commands of the one binary. Each is given what stands after its name and answers with an exit status that
 * scripts can use. What they print to standard output is flushed and checked once, by main. */
#ifndef SRV_COMMANDS_H
#define SRV_COMMANDS_H

enum srv_exit {
    SRV_EXIT_OK = 0,
    SRV_EXIT_FAILED = 1, /* some photo, or what was asked of a server */
    SRV_EXIT_USAGE = 2,
    SRV_EXIT_MODEL = 3, /* the model could not be loaded */
};

int srv_command_serve(int argc, char **argv);
int srv_command_detect(int argc, char **argv);
int srv_command_models(int argc, char **argv);
int srv_command_bench(int argc, char **argv);
int srv_command_healthcheck(int argc, char **argv);

#endif
