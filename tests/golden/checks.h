/* The parts of test_golden, in the order main.c runs them. Each returns how many of its tests failed. */
#ifndef TESTS_GOLDEN_CHECKS_H
#define TESTS_GOLDEN_CHECKS_H

int check_results(void);
int check_layers(void);
int check_attention(void);
int check_networks(void);
int check_models(void);

#endif
